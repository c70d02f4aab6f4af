"""The axes of a sweep: every form, its values in order, and its refusals."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import CLASSES, LENET, listed, over, refusals

from model_zoo import list_architectures, sweep
from model_zoo.sweeps.draws import Draws

ESCAPED = "/axes/~1params~1num_classes"


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ([2, None, "x", [1], {"a": 1}, 2], [2, None, "x", [1], {"a": 1}, 2]),
        ({"values": [3, 2]}, [3, 2]),
        ({"stop": 3}, [0, 1, 2]),
        ({"start": 2, "stop": 9, "step": 3}, [2, 5, 8]),
        ({"start": 3, "stop": 0, "step": -1}, [3, 2, 1]),
        ({"start": 1, "stop": 1.2, "step": 0.1}, [1.0, 1.1]),
        ({"start": 0.1, "stop": 0.4, "step": 0.1}, [0.1, 0.2, 0.3]),
        ({"start": 10**30, "stop": 10**30 + 3}, [10**30, 10**30 + 1, 10**30 + 2]),
        ({"min": 2, "max": 4}, [2, 3, 4]),
        ({"min": 5, "max": 5}, [5]),
        ({"min": 1, "max": 9, "q": 4, "distribution": "q_uniform"}, [4, 8]),
        ({"min": 0, "max": 0.3, "q": 0.1, "distribution": "q_uniform"}, [0.0, 0.1, 0.2, 0.3]),
    ],
)
def test_axis_has_its_values_in_order(axis: Any, values: list[Any]) -> None:
    assert listed(axis) == values
    assert list(map(type, listed(axis))) == list(map(type, values))


DRAWS: list[dict[str, Any]] = [
    {"min": 1, "max": 1000},
    {"min": 0.5, "max": 2},
    {"distribution": "q_uniform", "min": 3, "max": 17, "q": 5},
    {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-2},
    {"distribution": "q_log_uniform_values", "min": 10, "max": 1000, "q": 10},
    {"distribution": "normal", "mu": 5, "sigma": 2},
    {"distribution": "q_normal", "mu": 5, "sigma": 2, "q": 0.5},
    {"distribution": "log_normal", "mu": 0, "sigma": 1},
    {"distribution": "q_log_normal", "mu": 0, "sigma": 400, "q": 2},
    {"distribution": "normal", "mu": 5, "sigma": 0},
]


@pytest.mark.parametrize("axis", DRAWS, ids=lambda axis: axis.get("distribution", "by_form"))
def test_draws_are_of_the_seed_and_of_the_range(axis: dict[str, Any]) -> None:
    drawn = listed({**axis, "count": 200}, seed=7)
    assert drawn == listed({**axis, "count": 200}, seed=7)
    assert drawn[:3] == listed({**axis, "count": 3}, seed=7)
    if axis.get("sigma") != 0:
        assert drawn != listed({**axis, "count": 200}, seed=8)
    assert all(math.isfinite(value) for value in drawn)
    if "min" in axis:
        assert all(axis["min"] <= value <= axis["max"] for value in drawn)
    if q := axis.get("q"):
        assert all(value % q == 0 and isinstance(value, type(q)) for value in drawn)


def test_draws_have_the_middle_of_their_distribution() -> None:
    def median(**axis: Any) -> float:
        return sorted(listed({**axis, "count": 2001}))[1000]

    assert median(min=0.0, max=1.0) == pytest.approx(0.5, abs=0.05)
    assert median(distribution="log_uniform_values", min=1e-6, max=1e-2) == pytest.approx(
        1e-4, rel=0.3
    )
    assert median(distribution="log_normal", mu=2, sigma=1) == pytest.approx(math.exp(2), rel=0.1)


@given(
    low=st.integers(-(10**6), 10**6),
    size=st.integers(0, 10**6),
    chance=st.floats(0, 1, exclude_max=True),
    distribution=st.sampled_from(["int_uniform", "uniform", "q_uniform"]),
)
def test_no_draw_leaves_its_range(low: int, size: int, chance: float, distribution: str) -> None:
    q = {"q": 1} if distribution == "q_uniform" else {}
    axis = Draws.model_validate({"distribution": distribution, "min": low, "max": low + size, **q})
    value: Any = axis.drawn(chance)
    assert low <= value <= low + size


def test_two_axes_draw_apart() -> None:
    axis = {"min": 0.0, "max": 1.0, "count": 1}
    values = over({CLASSES: axis, "/params/dropout_keep_prob": axis}).values(0)
    assert len(set(values.values())) == 2


def test_glob_is_of_the_names_that_it_fits_in_order() -> None:
    axis = {"glob": ["mobilenet_v1*", "lenet"], "exclude": "*_0*"}
    rows = sweep({"axes": {"/architecture": axis}})
    names = [rows.values(index)["/architecture"] for index in range(rows.rows)]
    assert names == ["lenet", "mobilenet_v1"]
    assert rows.document["axes"] == {"/architecture": {"values": names}}
    everything = sweep({"axes": {"/architecture": {"glob": "*"}}})
    assert everything.rows == len(list_architectures())


def test_zip_moves_its_places_together() -> None:
    group = {
        "zip": {"/input_shape/0": [32, 64], "/input_shape/1": {"start": 32, "stop": 96, "step": 32}}
    }
    spec = {**LENET, "input_shape": [28, 28, 1]}
    rows = sweep({"spec": spec, "axes": {"size": group, CLASSES: [2, 3]}})
    assert rows.rows_in_words == "4 = 2 x 2"
    assert [rows.spec(index)["input_shape"] for index in range(4)] == [
        [32, 32, 1],
        [32, 32, 1],
        [64, 64, 1],
        [64, 64, 1],
    ]
    assert rows.document["axes"]["size"] == {
        "zip": {
            "/input_shape/0": {"values": [32, 64]},
            "/input_shape/1": {"start": 32, "stop": 96, "step": 32},
        }
    }


FORMS = (
    "An axis is a list of values, or an object with values, stop (and start, step), min and max, "
    "distribution, glob or zip; received "
)
TOO_MANY = "An axis has at most 9007199254740992 values (2**53), and this one would have more."


@pytest.mark.parametrize(
    ("axis", "pointer", "message"),
    [
        (5, "", f"{FORMS}5."),
        (None, "", f"{FORMS}null."),
        ({"value": 1}, "", f'{FORMS}{{"value": 1}}.'),
        ({"mu": 0, "sigma": 1}, "", f'{FORMS}{{"mu": 0, "sigma": 1}}.'),
        ([], "", "This should have at least 1 item; received []."),
        ((1, 2), "", "This should be a JSON value; received [1, 2]."),
        ({"values": 1}, "/values", "This should be a list; received 1."),
        ({"values": [1], "min": 1}, "/min", "There is no field 'min'. Valid: 'values'."),
        ({"stop": True}, "/stop", "This should be a number; received true."),
        ({"stop": "3"}, "/stop", 'This should be a number; received "3".'),
        (
            {"stop": 1e200},
            "/stop",
            "This should be less than or equal to 1e+150; received 1e+200.",
        ),
        ({"stop": 3, "step": 0}, "/step", "step must not be 0."),
        ({"stop": 0}, "/stop", "There is no number from 0 to before 0 in steps of 1."),
        (
            {"start": 1, "stop": 2, "step": -1},
            "/stop",
            "There is no number from 1 to before 2 in steps of -1.",
        ),
        ({"stop": 10**100}, "/step", TOO_MANY),
        ({"stop": 1e150, "step": 5e-324}, "/step", TOO_MANY),
        ({"min": 0, "max": 10**100}, "/max", TOO_MANY),
        ({"min": 1}, "/max", "uniform needs max."),
        ({"min": 2, "max": 1}, "/max", "max must be at least min, which is 2."),
        ({"min": 1, "max": 2, "mu": 0}, "/mu", "int_uniform takes no mu."),
        (
            {"distribution": "int_uniform", "min": 1, "max": 2.5},
            "/max",
            "int_uniform takes integers.",
        ),
        ({"distribution": "normal", "mu": 0}, "/sigma", "normal needs sigma."),
        (
            {"distribution": "normal", "mu": 0, "sigma": -1},
            "/sigma",
            "sigma must not be negative.",
        ),
        ({"distribution": "q_uniform", "min": 1, "max": 2}, "/q", "q_uniform needs q."),
        (
            {"distribution": "q_uniform", "min": 1, "max": 2, "q": 0},
            "/q",
            "q must be above 0.",
        ),
        (
            {"distribution": "q_uniform", "min": 1, "max": 2, "q": 5},
            "/q",
            "There is no multiple of 5 from 1 to 2.",
        ),
        (
            {"distribution": "log_uniform_values", "min": 0, "max": 2},
            "/min",
            "log_uniform_values takes a min above 0.",
        ),
        (
            {"distribution": "log_uniform", "min": -5, "max": 0},
            "/distribution",
            "log_uniform takes exponents in W&B sweeps; give the values themselves.",
        ),
        (
            {"distribution": "beta", "min": 0, "max": 1},
            "/distribution",
            "This should be 'uniform', 'int_uniform', 'q_uniform', 'log_uniform_values', "
            "'q_log_uniform_values', 'normal', 'q_normal', 'log_normal' or 'q_log_normal'; "
            'received "beta".',
        ),
        (
            {"min": 0.0, "max": 1.0},
            "/count",
            "A grid takes so many draws as count says; give one, or values or steps, or the method "
            '"random".',
        ),
        (
            {"min": 0.0, "max": 1.0, "count": 0},
            "/count",
            "This should be greater than or equal to 1; received 0.",
        ),
        ({"glob": "*"}, "/glob", "glob finds architectures, so its place is /architecture."),
    ],
)
def test_axis_is_refused_at_its_mistake(axis: Any, pointer: str, message: str) -> None:
    assert refusals({"spec": LENET, "axes": {CLASSES: axis}}) == [(ESCAPED + pointer, message)]


VALID = f"Valid, among {len(list_architectures())}: "


@pytest.mark.parametrize(
    ("axis", "pointer", "message"),
    [
        ({"glob": "lenett"}, "/glob", "'lenett' fits no architecture. Did you mean 'lenet' or"),
        ({"glob": ["lenet", "zz*"]}, "/glob/1", f"'zz*' fits no architecture. {VALID}"),
        (
            {"glob": "lenet", "exclude": "zz*"},
            "/exclude",
            f"'zz*' fits no architecture. {VALID}",
        ),
        (
            {"glob": "lenet", "exclude": "l*"},
            "/exclude",
            "exclude leaves none of the architectures that glob fits.",
        ),
        ({"glob": 5}, "/glob", "This should be a list; received 5."),
        ({"glob": []}, "/glob", "This should have at least 1 item; received []."),
    ],
)
def test_glob_is_refused_at_its_pattern(axis: Any, pointer: str, message: str) -> None:
    ((where, text),) = refusals({"axes": {"/architecture": axis}})
    assert where == f"/axes/~1architecture{pointer}"
    # A list of the catalogue ends some of them.
    assert text.startswith(message)


GROUP = 'A group is {"zip": {...}}: an object of 2 to 32 axes, and nothing else.'


@pytest.mark.parametrize(
    ("name", "members", "pointer", "message"),
    [
        ("g", [], "", GROUP),
        ("g", {CLASSES: [1]}, "", GROUP),
        ("g", {f"/params/x{number}": [1] for number in range(33)}, "", GROUP),
        (
            "",
            {CLASSES: [1], "/params/x": [1]},
            "",
            "A group of axes has a name of its own; received ''.",
        ),
        (
            "/params",
            {CLASSES: [1], "/params/x": [1]},
            "",
            "A group of axes has a name of its own; received '/params'.",
        ),
        ("g", {CLASSES: [1], "x": [1]}, "/zip/x", "'x' is no JSON pointer: it lacks a slash."),
        (
            "g",
            {CLASSES: [1], "/a": [1]},
            "/zip/~1a",
            "A spec has no field 'a'. Valid: "
            "'architecture', 'default_scope', 'input_shape', 'is_training', 'params', 'scopes', "
            "'strict', 'weights'.",
        ),
        (
            "g",
            {CLASSES: [1], "/params/x": []},
            "/zip/~1params~1x",
            "This should have at least 1 item; received [].",
        ),
        (
            "g",
            {CLASSES: [1], "/params/x": {"min": 1, "max": 1}},
            "/zip/~1params~1x",
            "A group takes values and steps, and no draws.",
        ),
        (
            "g",
            {CLASSES: [1, 2], "/params/x": [1]},
            "/zip",
            "The axes of the group 'g' must have the "
            "same number of values: /params/num_classes has 2, /params/x has 1.",
        ),
    ],
)
def test_group_is_refused_at_its_mistake(
    name: str, members: Any, pointer: str, message: str
) -> None:
    where = "/axes/" + name.replace("/", "~1") + pointer
    assert refusals({"spec": LENET, "axes": {name: {"zip": members}}}) == [(where, message)]


NO_SPEC_FIELD = (
    "A spec has no field 'a'. Valid: 'architecture', 'default_scope', 'input_shape', "
    "'is_training', 'params', 'scopes', 'strict', 'weights'."
)


@pytest.mark.parametrize(
    ("place", "escaped", "message"),
    [
        (
            "params.x",
            "params.x",
            "'params.x' is neither a JSON pointer, which begins with a slash, nor the name of a "
            'group, which is {"zip": {...}}.',
        ),
        (
            "",
            "",
            "'' is neither a JSON pointer, which begins with a slash, nor the name of a group, "
            'which is {"zip": {...}}.',
        ),
        ("/", "~1", "An axis names a place in the spec, not the whole of it."),
        ("/a", "~1a", NO_SPEC_FIELD),
        ("/params/a~2", "~1params~1a~02", "In a JSON pointer, ~0 stands for ~ and ~1 for a slash."),
        (
            "/params" + "/a" * 99,
            "~1params" + "~1a" * 99,
            "A place has at most 64 keys; this one has 100.",
        ),
        (
            "/architecture/x",
            "~1architecture~1x",
            "'x' cannot be set in \"lenet\", which is neither an object nor a list.",
        ),
        (
            "/default_scope/x",
            "~1default_scope~1x",
            "'x' cannot be set in null, which is neither an object nor a list.",
        ),
        (
            "/input_shape/3",
            "~1input_shape~13",
            "The list there has 3 items, numbered from 0; "
            "received '3'. Write the item into the spec.",
        ),
        (
            "/input_shape/-",
            "~1input_shape~1-",
            "The list there has 3 items, numbered from 0; "
            "received '-'. Write the item into the spec.",
        ),
        (
            "/input_shape/01",
            "~1input_shape~101",
            "The list there has 3 items, numbered from 0; "
            "received '01'. Write the item into the spec.",
        ),
        (
            "/scopes/0/args/decay",
            "~1scopes~10~1args~1decay",
            "There is no list 'scopes' in which '0' could be set. Write the list into the spec.",
        ),
        (
            "/scopes/-",
            "~1scopes~1-",
            "There is no list 'scopes' in which '-' could be set. Write the list into the spec.",
        ),
    ],
)
def test_place_is_refused_that_no_row_can_have(place: str, escaped: str, message: str) -> None:
    spec = {**LENET, "default_scope": None, "input_shape": [28, 28, 1]}
    assert refusals({"spec": spec, "axes": {place: [1]}}) == [(f"/axes/{escaped}", message)]


def test_place_has_escapes_lists_and_new_objects() -> None:
    spec = {**LENET, "input_shape": [28, 28, 1], "scopes": [{"ops": ["conv2d"], "args": {}}]}
    axes: dict[str, Any] = {
        "/params/a~1b/~0c": [1],
        "/input_shape/2": [3],
        "/scopes/0/args/stride": [2],
        "/weights/seed": [5],
        "/default_scope/weight_decay": [None],
    }
    assert sweep({"spec": spec, "axes": axes}).spec(0) == {
        "architecture": "lenet",
        "params": {"a/b": {"~c": 1}},
        "input_shape": [28, 28, 3],
        "scopes": [{"ops": ["conv2d"], "args": {"stride": 2}}],
        "weights": {"seed": 5},
        "default_scope": {"weight_decay": None},
    }
    assert spec["scopes"] == [{"ops": ["conv2d"], "args": {}}]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            ("/params", CLASSES),
            "One axis sets /params, and another one /params/num_classes inside it.",
        ),
        (
            (CLASSES, "/params"),
            "One axis sets /params, and another one /params/num_classes inside it.",
        ),
    ],
)
def test_axes_that_set_one_place_are_refused(places: tuple[str, str], message: str) -> None:
    axes = {place: [1] for place in places}
    assert refusals({"spec": LENET, "axes": axes}) == [("/axes", message)]


def test_a_group_and_an_axis_that_set_one_place_are_refused() -> None:
    axes = {"g": {"zip": {CLASSES: [1], "/params/x": [1]}}, CLASSES: [2]}
    assert refusals({"spec": LENET, "axes": axes}) == [
        ("/axes", "Two axes set /params/num_classes.")
    ]


def test_every_mistake_is_told() -> None:
    axes = {CLASSES: [], "/a": [1], "/params/x": 5}
    found = refusals({"spec": LENET, "axes": axes, "where": ["x"], "method": "random"})
    assert [pointer for pointer, _ in found] == [
        "/run_cap",
        ESCAPED,
        "/axes/~1a",
        "/axes/~1params~1x",
        "/where/0",
    ]
