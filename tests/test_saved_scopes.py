"""Saved scopes in a spec: nested, in place of what is outside them, and refused."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_zoo import (
    Budget,
    BudgetError,
    BuildError,
    BuildSpec,
    Problem,
    SavedScope,
    SpecError,
    ZooError,
    arg_scope,
    layers,
    read_scope,
    trace,
)

RELU6 = {"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}
TANH = {"ops": ["fully_connected"], "args": {"activation_fn": "tanh"}}
ELU = {"ops": ["conv2d", "fully_connected"], "args": {"activation_fn": "elu"}}
DECAY = {"ops": ["batch_norm"], "args": {"decay": 0.9}}


class Scopes:
    """A library of the scopes that are put into it, one version of each."""

    def __init__(self, **scopes: Any) -> None:
        self._scopes: dict[str, SavedScope] = {}
        for name, levels in scopes.items():
            self.put(name, levels)

    def put(self, name: str, levels: list[Any]) -> SavedScope:
        scope = self._scopes[name] = read_scope(name, {"levels": levels}, self)
        return scope

    def scope(self, name: str, digest: str | None) -> SavedScope:
        scope = self._scopes.get(name)
        if scope is None or not scope.digest.startswith(digest or ""):
            raise ZooError(Problem(f"There is no {name}@{digest}.", "/elsewhere", name, "house"))
        return scope


def lenet(*scopes: Any, library: Scopes | None = None, **spec: Any) -> BuildSpec:
    return BuildSpec.read({"architecture": "lenet", "scopes": list(scopes), **spec}, library)


def refusal(*scopes: Any, library: Scopes | None = None, **spec: Any) -> list[tuple[str, str]]:
    """Return the pointers and messages of a spec's problems."""
    with pytest.raises(SpecError) as caught:
        trace(lenet(*scopes, library=library, **spec))
    return [(problem.pointer, problem.message) for problem in caught.value.problems]


# Include --------------------------------------------------------------------------------------


def test_include_nests_the_levels_where_it_stands() -> None:
    library = Scopes(house=[RELU6, DECAY])
    spec = lenet(TANH, {"include": "house"}, ELU, library=library)
    assert spec.normalized()["scopes"] == [TANH, RELU6, DECAY, ELU]
    assert spec.digest == lenet(TANH, RELU6, DECAY, ELU).digest


def test_scopes_may_include_scopes_and_take_them_by_value() -> None:
    library = Scopes(inner=[RELU6])
    outer = library.put("outer", [{"include": "inner"}, TANH])
    library.put("inner", [DECAY])
    assert outer.levels == (RELU6, TANH)
    assert lenet({"include": "outer"}, library=library).normalized()["scopes"] == [RELU6, TANH]


def test_a_spec_keeps_its_id_when_a_name_moves() -> None:
    library = Scopes(house=[RELU6])
    before = lenet({"include": "house"}, library=library)
    library.put("house", [TANH])
    after = lenet({"include": "house"}, library=library)
    assert before.digest == lenet(RELU6).digest
    assert after.digest == lenet(TANH).digest


def test_what_was_named_is_told_beside_the_spec_and_outside_its_id() -> None:
    library = Scopes(house=[RELU6, DECAY])
    digest = library.scope("house", None).digest
    spec = lenet(TANH, {"include": "house"}, {"include": f"house@{digest[:15]}"}, library=library)
    assert spec.saved_scopes == [
        {"name": "house", "digest": digest, "levels": ["/scopes/1", "/scopes/2"]},
        {"name": "house", "digest": digest, "levels": ["/scopes/3", "/scopes/4"]},
    ]
    assert lenet(RELU6).saved_scopes == []


def test_a_digest_is_that_of_the_meaning() -> None:
    library = Scopes(one=[{"ops": ["fully_connected", "conv2d"], "args": ELU["args"]}], two=[ELU])
    one, two = library.scope("one", None), library.scope("two", None)
    assert one.digest == two.digest
    assert one.digest.startswith("sha256:")
    assert len(one.digest) == len("sha256:") + 64
    assert library.put("three", [{"saved": "one"}]).digest != one.digest


LEVELS = st.lists(
    st.fixed_dictionaries(
        {
            "ops": st.sampled_from([["conv2d"], ["conv2d", "fully_connected"]]),
            "args": st.fixed_dictionaries(
                {},
                optional={
                    "activation_fn": st.sampled_from(["elu", "tanh", None]),
                    "weights_regularizer": st.sampled_from(
                        [None, {"name": "l2_regularizer", "scale": 0.5}]
                    ),
                    "trainable": st.booleans(),
                    "normalizer_fn": st.sampled_from(["batch_norm", "layer_norm", None]),
                },
            ),
        },
        optional={
            "layers": st.sampled_from([["*"], ["LeNet/conv*"], ["LeNet/fc3", "*/conv2"]]),
            "except": st.sampled_from([[], ["*2"]]),
            "force": st.booleans(),
        },
    )
    | st.just(DECAY),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(outer=LEVELS, saved=LEVELS, inner=LEVELS, nested=LEVELS)
def test_include_equals_the_levels_written_out(
    outer: list[Any], saved: list[Any], inner: list[Any], nested: list[Any]
) -> None:
    library = Scopes(nested=nested)
    library.put("house", [*saved, {"include": "nested"}])
    included = lenet(*outer, {"include": "house"}, *inner, library=library)
    written = lenet(*outer, *saved, *nested, *inner)
    assert included.digest == written.digest
    one, two = trace(included), trace(written)
    assert one.explanation().to_dict() == two.explanation().to_dict()
    assert one.warnings == two.warnings


# Saved ----------------------------------------------------------------------------------------


def test_saved_replaces_what_is_outside_it() -> None:
    library = Scopes(house=[RELU6])
    spec = lenet(TANH, {"saved": "house"}, ELU, library=library)
    assert spec.normalized()["default_scope"] is None
    assert spec.normalized()["scopes"] == [RELU6, ELU]
    assert spec.digest == lenet(RELU6, ELU, default_scope=None).digest
    digest = library.scope("house", None).digest
    assert spec.saved_scopes == [{"name": "house", "digest": digest, "levels": ["/scopes/0"]}]


def test_saved_warns_of_the_defaults_and_levels_that_it_drops() -> None:
    library = Scopes(house=[RELU6], other=[])
    scopes = [TANH, {"include": "other"}, ELU, TANH, {"saved": "house"}]
    result = trace(lenet(*scopes, library=library, default_scope={"weight_decay": 0.1}))
    assert result.warnings == (
        "/default_scope: the saved scope 'house' replaces lenet_arg_scope, with weight_decay of "
        "the request; published checkpoints of lenet were made inside it. This drops "
        "weights_initializer, weights_regularizer of conv2d and fully_connected; activation_fn of "
        "fully_connected.",
        "/scopes: the saved scope 'house' replaces the levels that the request has before it: "
        "activation_fn of fully_connected; 'other'; activation_fn of conv2d, fully_connected; and "
        "1 more.",
    )


def test_saved_reaches_calls_as_an_arg_scope_of_a_saved_scope_does() -> None:
    with arg_scope([layers.conv2d], activation_fn=None) as saved:
        pass
    with arg_scope([layers.fully_connected], activation_fn=None), arg_scope(saved) as entered:
        assert layers.fully_connected not in entered
    library = Scopes(house=[{"ops": ["conv2d"], "args": {"activation_fn": None}}])
    result = trace(lenet(TANH, {"saved": "house"}, library=library))
    set_by_scopes = {
        (call.op, argument.name)
        for call in result.explanation().calls
        for argument in call.arguments
        if argument.kind == "scope"
    }
    assert set_by_scopes == {("conv2d", "activation_fn")}


def test_a_scope_made_of_a_saved_one_replaces_what_is_outside_even_nested() -> None:
    library = Scopes(house=[RELU6])
    outer = library.put("outer", [TANH, {"saved": "house"}, DECAY])
    assert outer.levels == (RELU6, DECAY)
    assert outer.replaces
    assert outer.warnings == (
        "/levels: the saved scope 'house' replaces the levels that the request has before it: "
        "activation_fn of fully_connected.",
    )
    included = lenet(ELU, {"include": "outer"}, library=library)
    assert included.digest == lenet(RELU6, DECAY, default_scope=None).digest


def test_the_last_saved_counts() -> None:
    library = Scopes(house=[RELU6], other=[TANH], nothing=[])
    spec = lenet({"saved": "house"}, {"saved": "other"}, library=library)
    assert spec.normalized()["scopes"] == [TANH]
    assert [use["name"] for use in spec.saved_scopes] == ["other"]
    cleared = lenet(RELU6, {"saved": "nothing"}, library=library)
    assert cleared.digest == lenet(default_scope=None).digest
    assert cleared.saved_scopes[0]["levels"] == []


def test_strict_refuses_levels_that_a_saved_scope_replaces() -> None:
    library = Scopes(house=[RELU6])
    assert refusal(TANH, {"saved": "house"}, library=library, strict=True) == [
        (
            "/scopes/0",
            "this level has no effect: the saved scope 'house' of /scopes/1/saved replaces it.",
        )
    ]
    assert trace(lenet({"saved": "house"}, library=library, strict=True)).warnings


# Places ---------------------------------------------------------------------------------------


def test_reports_place_levels_in_the_normalized_spec() -> None:
    library = Scopes(house=[RELU6, DECAY])
    result = trace(lenet({"include": "house"}, ELU, library=library))
    assert [override.pointer for override in result.explanation().overrides] == [
        "/scopes/0/args/activation_fn",
        "/scopes/1/args/decay",
        "/scopes/2/args/activation_fn",
        "/scopes/2/args/activation_fn",
    ]
    assert result.warnings == (
        "/scopes/0/args/activation_fn: this override of conv2d reached 2 calls and won at none; "
        "beaten by /scopes/2/args/activation_fn (2).",
        "/scopes/1/args/decay: this override reached no call: lenet calls no batch_norm here.",
    )


def test_errors_place_levels_in_the_request() -> None:
    library = Scopes(house=[DECAY, RELU6])
    scopes = [{"include": "house"}, ELU, {**DECAY, "ops": ["batch_norm"]}]
    assert refusal(*scopes, library=library, strict=True) == [
        (
            "/scopes/0/include",
            "/levels/0/args/decay: this override reached no call: lenet calls no batch_norm here.",
        ),
        (
            "/scopes/0/include",
            "/levels/1/args/activation_fn: this override of conv2d reached 2 calls and won at "
            "none; beaten by /scopes/1/args/activation_fn (2).",
        ),
        (
            "/scopes/2/args/decay",
            "this override reached no call: lenet calls no batch_norm here.",
        ),
    ]


def test_a_network_that_refuses_names_the_scopes_as_the_request_has_them() -> None:
    library = Scopes(house=[DECAY, RELU6])
    scopes = [{"include": "house"}, TANH, {"ops": ["conv2d"], "args": {"padding": "VALID"}}]
    spec = lenet(*scopes, library=library, input_shape=[4, 4, 1], default_scope=None)
    with pytest.raises(BuildError) as caught:
        trace(spec)
    assert caught.value.layer == "LeNet/conv1 (conv2d)"
    assert caught.value.scopes == (
        "conv2d.activation_fn=relu6 from /scopes/0/include: /levels/1/args/activation_fn",
        "conv2d.padding='VALID' from /scopes/2/args/padding",
    )


def test_levels_keep_their_layers_and_force() -> None:
    limited: dict[str, Any] = {**RELU6, "layers": ["LeNet/conv1"], "except": ["*x"], "force": True}
    library = Scopes(house=[{**limited, "layers": ["LeNet/conv1"] * 2}, {**TANH, "force": False}])
    spec = lenet({"include": "house"}, library=library)
    assert spec.normalized()["scopes"] == [limited, TANH]
    assert spec.digest == lenet(limited, TANH).digest
    won = {override.pointer: override.won for override in trace(spec).explanation().overrides}
    assert won == {"/scopes/0/args/activation_fn": 1, "/scopes/1/args/activation_fn": 1}


def test_a_default_that_is_set_again_in_some_layers_alone_is_dropped() -> None:
    library = Scopes(house=[{**ELU, "layers": ["LeNet/conv1"]}])
    assert trace(lenet({"saved": "house"}, library=library)).warnings[0] == (
        "/default_scope: the saved scope 'house' replaces lenet_arg_scope; published checkpoints "
        "of lenet were made inside it. This drops activation_fn, weights_initializer, "
        "weights_regularizer of conv2d and fully_connected."
    )


def test_patterns_without_a_layer_are_placed_in_the_request_by_errors() -> None:
    patterns = ["LeNet/conv1", "*/conv2", "LeNet/conv9"]
    library = Scopes(house=[{**TANH, "except": ["LeNet/fc9"]}, RELU6])
    scopes = [{"include": "house"}, {**RELU6, "layers": patterns, "force": True}]
    places = refusal(*scopes, library=library, strict=True)
    assert [(pointer, message.partition(": ")[0]) for pointer, message in places][:2] == [
        ("/scopes/0/include", "/levels/0/except/0"),
        (
            "/scopes/1/layers/2",
            "'LeNet/conv9' fits no layer of lenet here. Did you mean 'LeNet/conv2' or "
            "'LeNet/conv1'?",
        ),
    ]


# Refusals -------------------------------------------------------------------------------------

TWO_KEYS = "A level with 'include' takes no other key: 'ops' is of another level."
REFERENCE = (
    "must be the name of a saved scope, or a name and the digest of a version: name@sha256: and "
    "at least 8 digits; received "
)


@pytest.mark.parametrize(
    ("level", "problem"),
    [
        ({"include": "house", "ops": ["conv2d"]}, ("/scopes/0/ops", TWO_KEYS)),
        (
            {"saved": "house", "force": True},
            (
                "/scopes/0/force",
                "A level with 'saved' takes no other key: 'force' is of another level.",
            ),
        ),
        (
            {"include": "house", "saved": "house"},
            (
                "/scopes/0/saved",
                "A level with 'include' takes no other key: 'saved' is of another level.",
            ),
        ),
        ({"include": "a/b"}, ("/scopes/0/include", f'include {REFERENCE}"a/b".')),
        ({"saved": "a@12345678"}, ("/scopes/0/saved", f'saved {REFERENCE}"a@12345678".')),
        ({"saved": 1}, ("/scopes/0/saved", "This should be a valid string; received 1.")),
        ({"include": "hous"}, ("/scopes/0/include", "There is no hous@None.")),
        (
            {"saved": "house@sha256:01234567"},
            ("/scopes/0/saved", "There is no house@sha256:01234567."),
        ),
        ("house", ("/scopes/0", 'This should be an object; received "house".')),
    ],
)
def test_a_level_that_names_no_scope_is_refused(level: Any, problem: tuple[str, str]) -> None:
    assert refusal(level, library=Scopes(house=[RELU6])) == [problem]


def test_a_misspelt_include_is_told_what_there_is() -> None:
    assert refusal({"incldue": "house"})[-1] == (
        "/scopes/0/incldue",
        "There is no field 'incldue'. Did you mean 'include'?",
    )


def test_without_a_library_it_is_told_where_saved_scopes_are() -> None:
    message = (
        "Saved scopes are kept by the service, under /v1/scopes; elsewhere they are passed: "
        "BuildSpec.read(spec, scopes) in Python, --scope NAME=FILE in a terminal."
    )
    assert refusal({"include": "house"}, RELU6, {"saved": "other"}) == [
        ("/scopes/0/include", message),
        ("/scopes/2/saved", message),
    ]


def test_a_scope_whose_levels_are_no_longer_valid_is_told_at_its_name() -> None:
    class Old(Scopes):
        def scope(self, name: str, digest: str | None) -> SavedScope:
            level: Any = {"ops": ["conv2d"], "args": {"pading": "SAME"}}
            later: Any = {**RELU6, "later": True}
            return SavedScope(name, (level, later))

    assert refusal({"include": "house"}, library=Old()) == [
        (
            "/scopes/0/include",
            "/levels/0/args/pading: conv2d has no argument 'pading'. Did you mean 'padding'?",
        ),
        (
            "/scopes/0/include",
            "/levels/1/later: There is no field 'later'. Did you mean 'layers'?",
        ),
    ]


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ([RELU6], [("", 'A saved scope is an object, {"levels": [...]}; received ')]),
        ({}, [("/levels", "The field 'levels' is required.")]),
        (
            {"levels": [], "name": "x"},
            [("/name", "There is no field 'name'. Valid: 'left_out', 'levels'.")],
        ),
        (
            {"levels": [{"include": "hous"}, {"ops": ["conv4d"], "args": {}}, {"include": "x!"}]},
            [("/levels/2/include", f'include {REFERENCE}"x!".')],
        ),
        (
            {"levels": [{"ops": ["conv4d"], "args": {}}]},
            [
                (
                    "/levels/0/ops/0",
                    "There is no scoped op 'conv4d'. Did you mean 'conv3d' or 'conv2d'?",
                )
            ],
        ),
    ],
)
def test_a_scope_that_is_not_valid_is_refused(data: Any, problems: list[Any]) -> None:
    with pytest.raises(SpecError) as caught:
        read_scope("new", data, Scopes())
    told = [(problem.pointer, problem.message) for problem in caught.value.problems]
    assert [pointer for pointer, _ in told] == [pointer for pointer, _ in problems]
    for (_, message), (_, start) in zip(told, problems, strict=True):
        assert message.startswith(start)


# Limits ---------------------------------------------------------------------------------------


def over(spec: Mapping[str, Any], library: Scopes, limit: int) -> str:
    with pytest.raises(BudgetError) as caught:
        BuildSpec.read(spec, library, Budget(max_scopes=limit))
    return str(caught.value)


def test_levels_are_counted_after_scopes_are_nested() -> None:
    library = Scopes(house=[RELU6] * 3)
    spec = {"architecture": "lenet", "scopes": [{"include": "house"}, TANH]}
    assert over(spec, library, 3) == (
        "/scopes: This build has 4 levels; the limit is 3 (max_scopes)."
    )
    assert len(BuildSpec.read(spec, library, Budget(max_scopes=4)).resolved().levels) == 4


def test_levels_that_a_saved_scope_replaces_are_not_counted() -> None:
    library = Scopes(house=[RELU6] * 3)
    spec = {"architecture": "lenet", "scopes": [{"include": "house"}, {"saved": "house"}]}
    assert len(BuildSpec.read(spec, library, Budget(max_scopes=3)).resolved().levels) == 3


def test_too_many_names_are_refused_before_one_is_looked_up() -> None:
    spec = {"architecture": "lenet", "scopes": [{"include": "nothing"}] * 65}
    assert over(spec, Scopes(), 64) == (
        "/scopes: This build has 65 levels; the limit is 64 (max_scopes)."
    )


def test_scopes_that_double_each_other_end_at_the_limit() -> None:
    library = Scopes()
    library.put("s0", [RELU6])
    budget = Budget(max_scopes=64)
    for number in range(1, 7):
        name, levels = f"s{number}", [{"include": f"s{number - 1}"}] * 2
        assert len(library.put(name, levels).levels) == 2**number
    with pytest.raises(BudgetError) as caught:
        read_scope("s7", {"levels": [{"include": "s6"}] * 2}, library, budget)
    assert str(caught.value) == (
        "/levels: This scope has 128 levels; the limit is 64 (max_scopes)."
    )
