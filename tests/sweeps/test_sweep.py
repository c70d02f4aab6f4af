"""A sweep: the number, order, identity and outcome of its rows."""

import itertools
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import CLASSES, LENET, over, refusals
from test_saved_scopes import ELU, RELU6, Scopes

from model_zoo import Budget, BuildSpec, PinnedScopes, sweep, trace

# Rows ------------------------------------------------------------------------------------------


def test_a_loop_over_the_library_gives_the_same_ids_and_totals() -> None:
    classes, depths = [2, 3], [0.25, 0.5]
    axes = {CLASSES: classes, "/params/depth_multiplier": depths, "/is_training": [False, True]}
    spec: dict[str, Any] = {"architecture": "mobilenet_v1", "input_shape": [64, 64, 3]}
    expected = []
    for number, depth, training in itertools.product(classes, depths, [False, True]):
        params = {"num_classes": number, "depth_multiplier": depth}
        build = trace(BuildSpec.read({**spec, "params": params, "is_training": training}))
        expected.append((build.spec.digest, build.summary().totals, build.warnings))
    rows = list(sweep({"spec": spec, "axes": axes}))
    assert [(row.build, row.totals, row.warnings) for row in rows] == expected
    assert [row.index for row in rows] == list(range(8))
    assert {row.status for row in rows} == {"traced"}


VALUES = st.lists(st.integers(28, 31), min_size=1, max_size=4)


@given(st.dictionaries(st.sampled_from([CLASSES, "/weights/seed", "/input_shape/1"]), VALUES))
@settings(deadline=None)
def test_rows_of_a_grid_are_the_product_of_its_axes(axes: dict[str, list[int]]) -> None:
    """The last axis is the fastest, and rows are distinct or marked."""
    spec = {**LENET, "input_shape": [28, 28, 1]}
    rows = sweep({"spec": spec, "axes": axes})
    assert rows.rows == math.prod(map(len, axes.values()))
    expected = [dict(zip(axes, row, strict=True)) for row in itertools.product(*axes.values())]
    assert [rows.values(index) for index in range(rows.rows)] == expected
    seen: dict[str, int] = {}
    for row in rows:
        assert row.build == BuildSpec.read(rows.spec(row.index)).digest
        first = seen.setdefault(row.build, row.index)
        assert row.duplicate_of == (None if first == row.index else first)
        assert row.status == ("traced" if first == row.index else "duplicate")


def test_a_refused_row_stops_no_other() -> None:
    rows = [row.to_dict() for row in over({CLASSES: [2, "many", -1, None, 3]})]
    assert [row["status"] for row in rows] == ["traced", "refused", "refused", "traced", "traced"]
    assert [row["build"] is None for row in rows] == [False, True, True, False, False]
    rule = "num_classes of lenet must be an integer of at least 0 or null; received"
    assert rows[1]["problem"] == {
        "pointer": "/params/num_classes",
        "message": f'{rule} "many".',
        "layer": None,
        "received": '"many"',
        "suggestion": None,
        "more": 0,
    }
    assert rows[1]["totals"] is None
    json.dumps(rows, allow_nan=False)


def test_a_row_that_the_network_refuses_keeps_its_id_and_names_the_layer() -> None:
    spec = {**LENET, "input_shape": [28, 28, 1]}
    small, large = sweep({"spec": spec, "axes": {"/input_shape/0": [1, 28]}})
    assert (small.status, large.status) == ("refused", "traced")
    assert small.build == BuildSpec.read({**LENET, "input_shape": [1, 28, 1]}).digest
    assert small.problem is not None
    assert small.problem["layer"] == "LeNet/pool1 (max_pool2d)"


def test_a_row_over_the_budget_keeps_its_id() -> None:
    budget = Budget(max_parameters=3_274_635)
    rows = sweep({"spec": LENET, "axes": {CLASSES: [10, 11]}}, budget=budget)
    assert [row.status for row in rows] == ["traced", "refused"]
    assert [row.build is None for row in rows] == [False, False]
    problem = list(rows)[1].problem
    assert problem is not None
    assert problem["message"] == (
        "This build has 3275659 parameters; the limit is 3274635 (max_parameters)."
    )


def test_several_mistakes_are_counted() -> None:
    (row,) = over({CLASSES: ["x"], "/default_scope": [{"a": 1}]})
    assert row.problem is not None
    assert row.problem["more"] == 1


def test_strict_is_part_of_what_a_row_means() -> None:
    spec = {**LENET, "scopes": [{"ops": ["batch_norm"], "args": {"decay": 0.9}}]}
    lenient, strict, again = sweep({"spec": spec, "axes": {"/strict": [False, True, True]}})
    assert [row.status for row in (lenient, strict, again)] == ["traced", "refused", "duplicate"]
    assert lenient.build == strict.build == again.build
    assert again.duplicate_of == 1
    assert again.problem == strict.problem
    assert lenient.warnings == (
        "/scopes/0/args/decay: this override reached no call: lenet calls no batch_norm here.",
    )


def test_rows_are_filtered_by_their_totals() -> None:
    rows = list(over({CLASSES: [2, 10, 10, "x"]}, where=["parameters < 3_270_000", "layers >= 1"]))
    assert [row.status for row in rows] == ["traced", "filtered", "duplicate", "refused"]
    assert rows[1].totals is not None
    assert rows[1].totals["parameters"] == 3274634


def test_union_has_one_space_after_the_other() -> None:
    rows = sweep(
        {
            "spec": LENET,
            "union": [
                {"axes": {CLASSES: [2, 3], "/is_training": [True]}},
                {"spec": {"architecture": "cifarnet"}, "axes": {"/weights/seed": [1]}},
                {},
            ],
        }
    )
    assert rows.rows_in_words == "4 = 2 x 1 + 1 + 1"
    assert rows.places == (CLASSES, "/is_training", "/weights/seed")
    assert [rows.values(index) for index in range(4)] == [
        {CLASSES: 2, "/is_training": True},
        {CLASSES: 3, "/is_training": True},
        {"/weights/seed": 1},
        {},
    ]
    assert [row.status for row in rows] == ["traced"] * 4


@pytest.mark.parametrize("index", [-1, 2, 10**30])
def test_a_row_that_is_not_there_is_an_index_error(index: int) -> None:
    rule = f"The sweep has 2 rows, numbered from 0; received {index}."
    with pytest.raises(IndexError, match=rule):
        over({CLASSES: [2, 3]}).spec(index)


def test_rows_are_found_by_number_however_many_there_are() -> None:
    axes = {f"/params/x{number}": {"stop": 2**53} for number in range(32)}
    rows = over(axes)
    assert rows.rows == 2 ** (53 * 32)
    last = rows.values(rows.rows - 1)
    assert last == dict.fromkeys(axes, 2**53 - 1)
    with pytest.raises(OverflowError):
        len(rows)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
).filter(lambda value: "Infinity" not in json.dumps(value))
PLACES = st.sampled_from(
    [
        "/architecture",
        "/params",
        CLASSES,
        "/input_shape",
        "/input_shape/0",
        "/is_training",
        "/default_scope",
        "/default_scope/weight_decay",
        "/scopes",
        "/scopes/0",
        "/scopes/0/ops",
        "/scopes/0/args/weights_initializer",
        "/scopes/0/include",
        "/weights",
        "/weights/seed",
        "/strict",
    ]
)


@given(place=PLACES, value=JSON)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_any_value_at_any_place_gives_a_row(place: str, value: Any) -> None:
    spec = {**LENET, "input_shape": [28, 28, 1], "scopes": [{"ops": ["conv2d"], "args": {}}]}
    budget = Budget(max_parameters=10**9, max_activation_bytes=10**9)
    rows = list(sweep({"spec": spec, "axes": {place: [value, value]}}, budget=budget))
    assert [row.index for row in rows] == [0, 1]
    json.dumps([row.to_dict() for row in rows], allow_nan=False)


# Random ----------------------------------------------------------------------------------------

RANDOM: dict[str, Any] = {
    "spec": LENET,
    "method": "random",
    "run_cap": 40,
    "axes": {
        CLASSES: [2, 3, 4],
        "/weights/seed": {"min": 0, "max": 2**53 - 1},
        "g": {"zip": {"/params/dropout_keep_prob": [0.1, 0.2], "/is_training": [True, False]}},
    },
}


def test_random_draws_every_axis_for_each_row() -> None:
    rows = sweep(RANDOM)
    drawn = [rows.values(index) for index in range(rows.rows)]
    assert (rows.rows, rows.rows_in_words) == (40, "40")
    assert {row[CLASSES] for row in drawn} == {2, 3, 4}
    assert len({row["/weights/seed"] for row in drawn}) == 40
    pairs = {(row["/params/dropout_keep_prob"], row["/is_training"]) for row in drawn}
    assert pairs == {(0.1, True), (0.2, False)}
    assert drawn == [sweep(RANDOM).values(index) for index in range(40)]
    assert drawn[:5] == [sweep({**RANDOM, "run_cap": 5}).values(index) for index in range(5)]
    assert drawn[0] != sweep({**RANDOM, "seed": 1}).values(0)


def test_draws_are_the_same_in_every_release() -> None:
    rows = sweep(RANDOM)
    assert [rows.values(index)[CLASSES] for index in range(10)] == [2, 2, 2, 4, 4, 3, 3, 3, 3, 3]
    assert rows.values(0)["/weights/seed"] == 6014804780801669


# Refusals --------------------------------------------------------------------------------------

TEXT = "A condition is a total, a comparison (<=, >=, ==, !=, <, >) and a number, such as "


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        (None, "", "A sweep is a JSON object; received null."),
        ({"spec": 5}, "/spec", "This should be an object; received 5."),
        ({"axes": []}, "/axes", "This should be an object; received []."),
        (
            {"spec": LENET, "axis": {}},
            "/axis",
            "There is no field 'axis'. Did you mean 'axes'?",
        ),
        ({"spec": {}}, "/axes", "Neither the spec nor an axis names an architecture."),
        (
            {"spec": LENET, "method": "bayes"},
            "/method",
            "This should be 'grid' or 'random'; received \"bayes\".",
        ),
        (
            {"spec": LENET, "method": "random"},
            "/run_cap",
            "A random sweep needs run_cap: how many rows it draws.",
        ),
        (
            {"spec": LENET, "method": "random", "run_cap": 1, "union": [{}]},
            "/union",
            "A union is of grids; a random sweep has axes alone.",
        ),
        (
            {
                "spec": LENET,
                "method": "random",
                "run_cap": 2,
                "axes": {CLASSES: {"min": 1, "max": 2, "count": 3}},
            },
            "/axes/~1params~1num_classes/count",
            "A random sweep draws once for each row, of which run_cap says the number.",
        ),
        (
            {"spec": LENET, "axes": {CLASSES: [1]}, "union": [{}]},
            "/axes",
            "A sweep has axes, or a union of spaces with axes of their own, but not both.",
        ),
        (
            {"spec": LENET, "union": [{"spec": LENET}]},
            "/spec",
            "Each space of the union has a spec of its own, so none starts from this one.",
        ),
        (
            {"spec": LENET, "union": [{}, {"axes": {CLASSES: 5}}]},
            "/union/1/axes/~1params~1num_classes",
            "An axis is a list of values, or an object with values, stop (and start, step), min "
            "and max, distribution, glob or zip; received 5.",
        ),
        (
            {"spec": LENET, "run_cap": 0},
            "/run_cap",
            "This should be greater than or equal to 1; received 0.",
        ),
        (
            {"spec": LENET, "seed": 2**53},
            "/seed",
            "This should be less than or equal to 9007199254740991; received 9007199254740992.",
        ),
        (
            {"spec": LENET, "where": ["parameters"]},
            "/where/0",
            f"{TEXT}'parameters < 5000000'; received 'parameters'.",
        ),
        (
            {"spec": LENET, "where": ["a < 1"]},
            "/where/0",
            "There is no total 'a'. Valid: "
            "'activation_bytes', 'layers', 'multiply_adds', 'parameters', 'peak_activation_bytes', "
            "'trainable_parameters', 'weight_bytes'.",
        ),
        (
            {"spec": LENET, "where": ["layers < 1e30"]},
            "/where/0",
            "The number of a condition is below 1e30; received 'layers < 1e30'.",
        ),
        (
            {"spec": LENET, "axes": {CLASSES: [math.nan]}},
            "",
            "A sweep must be possible to write as "
            "JSON: Out of range float values are not JSON compliant.",
        ),
    ],
)
def test_sweep_is_refused_at_its_mistake(document: Any, pointer: str, message: str) -> None:
    found = refusals(document)
    if sys.version_info >= (3, 12):  # says which float
        found = [(where, text.partition(": nan")[0]) for where, text in found]
    assert [(where, text.rstrip(".")) for where, text in found] == [(pointer, message.rstrip("."))]


def test_more_rows_than_a_limit_are_refused_with_their_number_and_never_cut() -> None:
    document = {"spec": LENET, "axes": {CLASSES: [1, 2, 3], "/is_training": [True, False]}}
    rule = "This sweep has 6 = 3 x 2 rows; the limit is 5"
    assert refusals({**document, "run_cap": 5}) == [("", f"{rule} (run_cap).")]
    assert refusals(document, max_rows=5) == [("", f"{rule} (max_sweep_rows).")]
    budget = Budget(setting_prefix="zoo_")
    assert refusals(document, max_rows=5, budget=budget) == [("", f"{rule} (ZOO_MAX_SWEEP_ROWS).")]
    assert sweep({**document, "run_cap": 6}, max_rows=6).rows == 6
    many = {"spec": LENET, "axes": {f"/params/x{n}": {"stop": 10**15} for n in range(2)}}
    assert refusals(many, max_rows=5) == [
        (
            "",
            f"This sweep has 1{'0' * 30} = 1{'0' * 15} x 1{'0' * 15} rows; the limit is 5 "
            "(max_sweep_rows).",
        )
    ]


# Identity --------------------------------------------------------------------------------------

GRID: dict[str, Any] = {
    "spec": {"architecture": "lenet", "params": {"num_classes": 5, "dropout_keep_prob": 0.5}},
    "axes": {CLASSES: [2, 3], "/is_training": [True, False]},
    "where": ["parameters<5e6"],
}


def test_an_id_does_not_depend_on_the_order_of_keys() -> None:
    params = {"dropout_keep_prob": 0.5, "num_classes": 5}
    other = {**GRID, "spec": {"params": params, "architecture": "lenet"}}
    assert sweep(other).id == sweep(GRID).id == sweep(dict(reversed(GRID.items()))).id


@pytest.mark.parametrize(
    "change",
    [
        {"axes": {"/is_training": [True, False], CLASSES: [2, 3]}},
        {"axes": {CLASSES: [3, 2], "/is_training": [True, False]}},
        {"spec": LENET},
        {"where": []},
        {"seed": 1},
        {"method": "random", "run_cap": 4},
    ],
)
def test_an_id_depends_on_what_rows_there_are_and_on_their_order(change: Any) -> None:
    assert sweep({**GRID, **change}).id != sweep(GRID).id


def test_a_cap_that_a_grid_keeps_does_not_change_its_id() -> None:
    assert sweep({**GRID, "run_cap": 100}).id == sweep(GRID).id


@pytest.mark.parametrize(
    "document",
    [
        GRID,
        RANDOM,
        {"spec": LENET},
        {"axes": {"/architecture": {"glob": "lenet"}, "/weights/seed": {"stop": 2}}},
        {"spec": LENET, "axes": {"/weights/seed": {"min": 1, "max": 99, "count": 3}}, "seed": 4},
        {
            "spec": LENET,
            "union": [{"axes": {CLASSES: [1]}}, {"spec": {"architecture": "cifarnet"}}],
        },
        {"spec": LENET, "where": ["layers<=0.5e1", "parameters > 123456789012345678901"]},
    ],
)
def test_the_resolved_document_is_the_same_sweep(document: Any) -> None:
    rows = sweep(document)
    again = sweep(json.loads(json.dumps(rows.document)))
    assert (again.id, again.document) == (rows.id, rows.document)
    assert list(again) == list(rows)


# Saved scopes ----------------------------------------------------------------------------------


def test_saved_scopes_stay_as_they_were_when_the_sweep_was_read() -> None:
    library = Scopes(house=[RELU6], own=[{"include": "house"}])
    digest = library.scope("house", None).digest
    document = {
        "spec": {**LENET, "scopes": [{"include": "own"}, {"include": f"house@{digest[:20]}"}]},
        "axes": {"/scopes/0": [{"include": "own"}, {"saved": "house"}]},
    }
    rows = sweep(document, library)
    own = library.scope("own", None).digest
    assert rows.document["spec"]["scopes"][1] == {"include": f"house@{digest}"}
    assert rows.document["axes"]["/scopes/0"] == {
        "values": [{"include": f"own@{own}"}, {"saved": f"house@{digest}"}]
    }
    builds = [row.build for row in rows]
    assert None not in builds
    library.put("house", [ELU])
    assert [row.build for row in rows] == builds
    stored = PinnedScopes.stored(json.loads(json.dumps(rows.scopes.to_dict())))
    later = sweep(rows.document, stored)
    assert (later.id, [row.build for row in later]) == (rows.id, builds)
    assert later.scopes.to_dict() == rows.scopes.to_dict()


def test_a_name_of_the_base_that_stands_for_nothing_is_refused_once() -> None:
    spec = {**LENET, "scopes": [{"include": "mouse"}]}
    expected = [("/spec/scopes/0/include", "There is no mouse@None.")]
    assert refusals({"spec": spec}, scopes=Scopes(house=[])) == expected
    assert refusals({"spec": spec, "union": [{}, {}]}, scopes=Scopes()) == expected
    ((pointer, message),) = refusals({"spec": spec})
    assert pointer == "/spec/scopes/0/include"
    assert message.startswith("Saved scopes are kept by the service")


def test_a_name_of_an_axis_that_stands_for_nothing_refuses_its_rows_alone() -> None:
    levels = [[{"include": "house"}], [{"include": "house"}, {"include": "mouse"}]]
    rows = list(sweep({"spec": LENET, "axes": {"/scopes": levels}}, Scopes(house=[RELU6])))
    assert [row.status for row in rows] == ["traced", "refused"]
    assert rows[1].problem is not None
    assert rows[1].problem["pointer"] == "/scopes/1/include"
    assert rows[1].problem["message"] == (
        "There was no saved scope 'mouse' when the sweep was made. Did you mean 'house'?"
    )


def test_a_pinned_scope_is_found_by_its_whole_reference_alone() -> None:
    library: Mapping[str, Any] = sweep(
        {"spec": {**LENET, "scopes": [{"include": "house"}]}}, Scopes(house=[RELU6])
    ).scopes.to_dict()
    ((reference, scope),) = library.items()
    assert reference.startswith("house@sha256:")
    assert (scope["name"], scope["replaces"]) == ("house", False)
