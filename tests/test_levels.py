"""Levels of a request that name layers and have the last word, and what their reports say."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import small_spec
from test_scope_properties import ARGUMENTS, BATCH_NORM, WEIGHTED, chosen, contents

from model_zoo import (
    ArgScope,
    BuildError,
    BuildSpec,
    ScopeError,
    SpecError,
    Trace,
    add_arg_scope,
    arg_scope,
    list_architectures,
    trace,
)
from model_zoo.layers import conv2d, find_op, op_names
from model_zoo.signatures import signature_of, to_wire

BLOCK = "InceptionV3/Mixed_5b/*"


def inception(*levels: dict[str, Any], **fields: Any) -> Trace:
    """Return Inception v3 inside these levels."""
    spec = {"architecture": "inception_v3", "params": {"num_classes": 1001}, **fields}
    return trace(BuildSpec.read({**spec, "scopes": list(levels)}))


def mobilenet_v2(*levels: dict[str, Any], **fields: Any) -> Trace:
    """Return MobileNet v2 inside these levels."""
    spec = {"architecture": "mobilenet_v2", "params": {"num_classes": 1001}, **fields}
    return trace(BuildSpec.read({**spec, "scopes": list(levels)}))


def level(ops: list[str], args: dict[str, Any], **where: Any) -> dict[str, Any]:
    return {"ops": ops, "args": args, **where}


def refused(*levels: dict[str, Any]) -> list[str]:
    """Return the problems of a spec with these levels."""
    spec = {"architecture": "inception_v3", "scopes": list(levels)}
    with pytest.raises(SpecError) as caught:
        BuildSpec.read(spec)
    return [str(problem) for problem in caught.value.problems]


def argument(build: Trace, layer: str, name: str) -> dict[str, Any]:
    """Return an argument of the first call in a layer, as the explanation has it."""
    call = next(c for c in build.explanation().to_dict()["calls"] if c["layer"] == layer)
    return dict(next(a for a in call["arguments"] if a["name"] == name))


# Where ------------------------------------------------------------------------------------------


def test_a_level_reaches_the_calls_in_its_layers_alone() -> None:
    plain = inception()
    without = inception(level(["conv2d"], {"normalizer_fn": None}, layers=[BLOCK]))
    variables = {variable.name for variable in without.graph.variables}
    changed = variables ^ {variable.name for variable in plain.graph.variables}
    assert changed
    assert all(name.startswith("InceptionV3/Mixed_5b/") for name in changed)
    # Seven convolutions of C outputs lose beta, moving mean and moving variance; biases come.
    outputs = 64 + 48 + 64 + 64 + 96 + 96 + 32
    totals = [build.summary().totals["parameters"] for build in (plain, without)]
    assert totals[0] - totals[1] == 2 * outputs


def test_a_normalizer_inside_a_layer_has_a_name_of_its_own() -> None:
    layer = "MobilenetV2/expanded_conv_1/expand"
    build = mobilenet_v2(level(["batch_norm"], {"epsilon": 0.5}, layers=[f"{layer}/*"]))
    reached = [node.scope for node in build.graph.nodes if node.attributes.get("epsilon") == 0.5]
    assert reached == [f"{layer}/BatchNorm"]


def test_excepted_layers_are_left_alone() -> None:
    build = inception(
        level(["conv2d"], {"trainable": False}, layers=[BLOCK], **{"except": ["*/Branch_0/*"]})
    )
    frozen = {v.name for v in build.graph.variables if not v.trainable and "moving" not in v.name}
    assert frozen
    assert all(name.startswith("InceptionV3/Mixed_5b/") for name in frozen)
    assert not any("/Branch_0/" in name for name in frozen)


def test_a_level_inside_another_wins_in_its_layers() -> None:
    build = inception(
        level(["conv2d"], {"activation_fn": "elu"}),
        level(["conv2d"], {"activation_fn": "tanh"}, layers=[BLOCK]),
    )
    inside = argument(build, "InceptionV3/Mixed_5b/Branch_0/Conv2d_0a_1x1", "activation_fn")
    assert (inside["value"], inside["written_at"]) == ("tanh", "/scopes/1/args/activation_fn")
    assert [beaten["value"] for beaten in inside["beat"]] == ["elu", "relu"]
    outside = argument(build, "InceptionV3/Mixed_5c/Branch_0/Conv2d_0a_1x1", "activation_fn")
    assert (outside["value"], outside["written_at"]) == ("elu", "/scopes/0/args/activation_fn")


def _every_op(layers: list[str]) -> list[dict[str, Any]]:
    """Return levels that set one argument of each op that has any to its own default."""
    levels = []
    for name in op_names():
        arguments = signature_of(find_op(name)).arguments.values()
        optional = [a for a in arguments if not a.required and a.name != "reuse"]
        if optional:
            args = {optional[0].name: to_wire(optional[0].default)}
            levels.append(level([name], args, layers=layers))
    return levels


@pytest.mark.parametrize("is_training", [False, True])
@pytest.mark.parametrize("name", list_architectures())
def test_the_name_that_is_matched_is_the_one_that_the_explanation_shows(
    name: str, is_training: bool
) -> None:
    levels = _every_op(["no such layer"])
    params = {"num_classes": 7}
    spec = {"architecture": name, "params": params, "is_training": is_training, "scopes": levels}
    calls = trace(BuildSpec.read(spec)).graph.calls
    reachable = {each["ops"][0] for each in levels}
    names = [(call.op.name, call.matched) for call in calls if call.op.name in reachable]
    assert names == [(call.op.name, call.place) for call in calls if call.op.name in reachable]
    assert len(names) > 6


@pytest.mark.parametrize(
    ("params", "layer"),
    [
        # Calls without a scope are numbered, as in TensorFlow.
        ({"depth_multiplier": 0.5}, "MobilenetV3/expanded_conv_3/squeeze_excite/Conv_1"),
        ({"depth_multiplier": 0.5}, "MobilenetV3/Conv/BatchNorm"),
    ],
)
def test_default_names_of_layers_can_be_matched(params: dict[str, Any], layer: str) -> None:
    op = "batch_norm" if layer.endswith("BatchNorm") else "conv2d"
    spec = {**small_spec("mobilenet_v3_large"), "params": {"num_classes": 5, **params}}
    build = trace(
        BuildSpec.read({**spec, "scopes": [level([op], {"trainable": False}, layers=[layer])]})
    )
    (report,) = build.explanation().overrides
    assert (report.layers, report.reached_layers, report.won) == (1, [layer], 1)


# Patterns on the wire -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", list_architectures())
def test_every_layer_without_exception_equals_no_limit(name: str) -> None:
    plain = level(WEIGHTED, {"trainable": False})
    spelt = {**plain, "layers": ["*", "**", "Logits"], "except": [], "force": False}
    builds = [BuildSpec.read({**small_spec(name), "scopes": [each]}) for each in (plain, spelt)]
    assert builds[0].digest == builds[1].digest
    assert (
        builds[0].normalized()["scopes"]
        == builds[1].normalized()["scopes"]
        == [{"ops": sorted(WEIGHTED), "args": {"trainable": False}}]
    )


def test_patterns_are_sorted_sets() -> None:
    levels = [
        level(["conv2d"], {"trainable": False}, layers=layers, **{"except": excluded}, force=True)
        for layers, excluded in ((["b*", "a", "b*"], ["d", "c"]), (["a", "b*"], ["c", "d", "c"]))
    ]
    specs = [BuildSpec.read({"architecture": "lenet", "scopes": [each]}) for each in levels]
    assert specs[0].digest == specs[1].digest
    assert specs[0].normalized()["scopes"] == [
        {
            "ops": ["conv2d"],
            "args": {"trainable": False},
            "layers": ["a", "b*"],
            "except": ["c", "d"],
            "force": True,
        }
    ]
    assert BuildSpec.read({**specs[0].normalized()}).digest == specs[0].digest


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            {"layers": []},
            "/scopes/0/layers: This should have at least 1 item; received [].",
        ),
        (
            {"layers": ["a" + "*b" * 9]},
            "/scopes/0/layers/0: A pattern has at most 8 '*'; this one has 9.",
        ),
        (
            {"layers": ["*"], "except": ["*\n" * 9]},
            "/scopes/0/except/0: A pattern has at most 8 '*'; this one has 9.",
        ),
        ({"except": "Logits"}, '/scopes/0/except: This should be a list; received "Logits".'),
        ({"force": 1}, "/scopes/0/force: This should be a valid boolean; received 1."),
        (
            {"layer": ["a"]},
            "/scopes/0/layer: There is no field 'layer'. Did you mean 'layers'?",
        ),
    ],
)
def test_a_limit_that_is_none_is_refused(where: dict[str, Any], message: str) -> None:
    assert refused(level(["conv2d"], {"trainable": False}, **where)) == [message]


def test_too_many_patterns_together_are_refused() -> None:
    levels = [
        level(["conv2d"], {"stride": 1}, layers=[f"{i}/{k}" for k in range(32)]) for i in range(5)
    ]
    assert refused(*levels) == [
        "/scopes: The levels of scopes have 160 patterns of layers together; the limit is 128."
    ]


def test_a_pattern_without_a_layer_is_told_with_the_nearest() -> None:
    build = inception(
        level(
            ["conv2d"], {"padding": "SAME"}, layers=["Mixed_5b", "InceptionV3/Mixed_8b/*", BLOCK]
        ),
        level(["batch_norm"], {"center": False}, **{"except": ["nothing like it"]}),
    )
    patterns = [warning for warning in build.warnings if "fits no layer" in warning]
    assert patterns == [
        "/scopes/0/layers/1: 'InceptionV3/Mixed_8b/*' fits no layer of inception_v3 here. Did you "
        "mean 'InceptionV3/Mixed_7b/*' or 'InceptionV3/Mixed_6b/*' or 'InceptionV3/Mixed_5b/*'?",
        "/scopes/0/layers/2: 'Mixed_5b' fits no layer of inception_v3 here. Did you mean "
        "'*/Mixed_5b/*'?",
        "/scopes/1/except/0: 'nothing like it' fits no layer of inception_v3 here. Among its "
        "layers are InceptionV3/Conv2d_1a_3x3, InceptionV3/Conv2d_1a_3x3/BatchNorm, "
        "InceptionV3/Conv2d_2a_3x3 and 208 more.",
    ]


def test_a_level_on_layers_may_set_nothing() -> None:
    assert inception(level(["conv2d"], {}, layers=[BLOCK])).warnings == ()


def test_a_level_whose_layers_are_all_excepted_is_told() -> None:
    build = inception(level(["conv2d"], {"padding": "SAME"}, layers=[BLOCK], **{"except": ["*"]}))
    assert build.warnings == (
        "/scopes/0/except: this spares every layer that the level is limited to, so it reaches "
        "none.",
    )


def test_layers_without_a_call_of_the_op_name_the_layer_where_it_is() -> None:
    layer = "InceptionV3/Mixed_5b/Branch_0/Conv2d_0a_1x1"
    build = inception(level(["batch_norm"], {"center": False}, layers=[layer]))
    assert build.warnings == (
        f"/scopes/0/args/center: this override reached no call: the level's patterns fit 1 layer "
        f"({layer}), where no batch_norm is called; batch_norm is called in {layer}/BatchNorm.",
    )


def test_under_strict_patterns_and_overrides_without_effect_are_errors() -> None:
    levels = [level(["conv2d"], {"trainable": False}, layers=["Logits", BLOCK])]
    with pytest.raises(SpecError) as caught:
        inception(*levels, strict=True)
    assert str(caught.value) == (
        "/scopes/0/layers/0: 'Logits' fits no layer of inception_v3 here. Did you mean "
        "'*/Logits/*'?"
    )
    assert caught.value.problems[0].suggestion == "*/Logits/*"


def test_under_strict_other_warnings_are_no_errors() -> None:
    forced = level(["conv2d"], {"activation_fn": "elu"}, force=True)
    build = mobilenet_v2(forced, strict=True, default_scope=None)
    assert [warning.partition(":")[0] for warning in build.warnings] == [
        "/default_scope",
        "/scopes/0/args/activation_fn",
    ]


# How strongly -------------------------------------------------------------------------------------


def test_a_forced_level_beats_calls_inner_scopes_and_normalizer_params() -> None:
    forced = {"decay": 0.5, "scale": True}
    build = inception(level(["batch_norm"], forced, force=True))
    reports = build.explanation().overrides
    assert [(r.argument, r.reached, r.won) for r in reports] == [
        ("decay", 96, 96),
        ("scale", 96, 96),
    ]
    assert {n.attributes["decay"] for n in build.graph.nodes if n.op == "batch_norm"} == {0.5}
    decay = argument(build, "InceptionV3/Conv2d_1a_3x3/BatchNorm", "decay")
    assert (decay["value"], decay["kind"], decay["level"]) == (0.5, "forced", "request")
    assert [(beaten["value"], beaten["level"]) for beaten in decay["beat"]] == [
        (0.9997, "default_scope")
    ]


def test_beaten_values_are_outer_forced_levels_then_the_call_then_scopes() -> None:
    build = inception(
        level(["conv2d"], {"activation_fn": "elu"}, force=True),
        level(["conv2d"], {"activation_fn": "tanh"}),
        level(["conv2d"], {"activation_fn": "sigmoid"}, force=True),
    )
    logits = argument(build, "InceptionV3/Logits/Conv2d_1c_1x1", "activation_fn")
    assert (logits["value"], logits["kind"]) == ("sigmoid", "forced")
    assert [(each["value"], each["level"]) for each in logits["beat"]] == [
        ("elu", "request"),
        (None, "network"),
        ("tanh", "request"),
        ("relu", "default_scope"),
    ]


def test_a_level_that_lost_to_a_forced_one_says_so() -> None:
    build = mobilenet_v2(
        level(["batch_norm"], {"epsilon": 0.5}, force=True), level(["batch_norm"], {"epsilon": 0.1})
    )
    assert build.warnings == (
        "/scopes/1/args/epsilon: this override of batch_norm reached 52 calls and won at none; "
        "beaten by /scopes/0/args/epsilon, which is forced (52).",
    )
    report = build.explanation().to_dict()["overrides"][1]
    assert report["beaten_by"] == [
        {
            "written_at": "/scopes/0/args/epsilon",
            "level": "request",
            "kind": "forced",
            "calls": 52,
        }
    ]


def test_a_forced_level_that_replaces_the_networks_nulls_says_where_and_how_to_spare_them() -> None:
    forced = level(["conv2d"], {"activation_fn": "elu"}, force=True)
    build = mobilenet_v2(forced)
    (warning,) = build.warnings
    spared = ["*/project", "MobilenetV2/Logits/Conv2d_1c_1x1"]
    assert warning == (
        "/scopes/0/args/activation_fn: this forced override replaced a null that the network gives "
        "in 18 layers (MobilenetV2/expanded_conv/project, MobilenetV2/expanded_conv_1/project, "
        f'MobilenetV2/expanded_conv_2/project and 15 more). "except": {json.dumps(spared)} would '
        "spare them."
    )
    assert mobilenet_v2({**forced, "except": spared}).warnings == ()


def test_a_null_of_the_default_scope_may_be_replaced_without_a_word() -> None:
    """An override without force replaces it too."""
    levels = [level(["conv2d"], {"activation_fn": "elu"}, force=True)]
    spec = {"architecture": "nasnet_mobile", "params": {"num_classes": 7}, "scopes": levels}
    build = trace(BuildSpec.read(spec))
    (report,) = build.explanation().overrides
    beaten = {
        (argument.beat[0][0], argument.beat[0][1].level)
        for call in build.explanation().calls
        for argument in call.arguments
        if argument.kind == "forced"
    }
    assert beaten == {(None, "default_scope")}
    assert (report.won, build.warnings) == (report.reached, ())


def test_the_line_that_spares_nulls_keeps_what_is_spared_already() -> None:
    forced = level(["conv2d"], {"activation_fn": "elu"}, force=True, **{"except": ["*/expand"]})
    (warning,) = mobilenet_v2(forced).warnings
    spared = ["*/expand", "*/project", "MobilenetV2/Logits/Conv2d_1c_1x1"]
    assert f'"except": {json.dumps(spared)} would spare them.' in warning


def test_a_forced_normalizer_beside_arguments_of_another_names_both_places() -> None:
    with pytest.raises(BuildError) as caught:
        inception(level(["conv2d"], {"normalizer_fn": "group_norm"}, force=True))
    line = next(
        binding.origin.line
        for call in inception().graph.calls
        for name, binding in call.bindings.items()
        if name == "normalizer_params"
    )
    assert str(caught.value).split("\n")[0] == (
        "InceptionV3/Conv2d_1a_3x3 (conv2d): group_norm has no argument 'decay', which "
        "normalizer_params {decay: 0.9997, epsilon: 0.001, fused: None, scale: False} passes to "
        "it: normalizer_fn is from /scopes/0/args/normalizer_fn, normalizer_params from "
        f"model_zoo/architectures/inception_v3.py:{line} (inception_v3_arg_scope). Add "
        '"normalizer_params" to /scopes/0/args: null, or what fits group_norm. It builds without '
        "/scopes/0/args/normalizer_fn."
    )
    args = {"normalizer_fn": "group_norm", "normalizer_params": {"groups": 16}}
    assert inception(level(["conv2d"], {**args}, force=True, layers=[BLOCK])).warnings == ()


@pytest.mark.parametrize("op", ["conv2d", "batch_norm"])
def test_what_names_one_call_cannot_be_forced(op: str) -> None:
    assert refused(level([op], {"reuse": False}, force=True)) == [
        f"/scopes/0/args/reuse: reuse of {op} feeds or names one call, so it cannot be forced."
    ]
    inception(level([op], {"reuse": False}))


@pytest.mark.parametrize("op", ["conv2d", "bias_add", "fully_connected"])
def test_a_tensor_or_a_layers_name_is_no_argument_of_a_request(op: str) -> None:
    assert refused(level([op], {"scope": "a", "inputs": 1})) == [
        f"/scopes/0/args/scope: scope of {op} feeds or names one call, so a scope cannot set it.",
        f"/scopes/0/args/inputs: inputs of {op} feeds or names one call, so a scope cannot set it.",
    ]


def test_the_op_whose_argument_feeds_a_call_is_named() -> None:
    """The first op here takes any of its arguments from a scope."""
    assert refused(level(["xception_module", "separable_conv2d_same"], {"scope": "a"})) == [
        "/scopes/0/args/scope: scope of xception_module feeds or names one call, so a scope cannot "
        "set it."
    ]


def test_more_winners_than_three_are_counted() -> None:
    build = inception(level(["conv2d"], {"num_outputs": 8}))
    (warning,) = build.warnings
    (report,) = build.explanation().overrides
    assert len(report.beaten_by) > 3
    assert warning.endswith(
        f" and {len(report.beaten_by) - 3} more places. "
        '"force": true in this level would beat them.'
    )


# Properties ---------------------------------------------------------------------------------------

FEW = settings(
    max_examples=max(1, settings().max_examples // 20),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", list_architectures())
def test_forcing_what_nobody_else_sets_changes_the_kind_and_the_id_alone(name: str) -> None:
    plain = level(["conv2d", "conv3d", "fully_connected"], {"biases_regularizer": None})
    specs = [
        BuildSpec.read({**small_spec(name), "scopes": [{**plain, "force": force}]})
        for force in (False, True)
    ]
    builds = [trace(spec) for spec in specs]
    assert contents(builds[0].graph) == contents(builds[1].graph)
    assert specs[0].digest != specs[1].digest
    kinds = [
        {
            argument.kind
            for call in build.explanation().calls
            for argument in call.arguments
            if argument.name == "biases_regularizer"
            and argument.source is not None
            and argument.source.level == "request"
        }
        for build in builds
    ]
    assert kinds == [{"scope"}, {"forced"}]


@pytest.mark.parametrize("name", list_architectures())
@FEW
@given(
    forced=chosen(ARGUMENTS),
    others=st.lists(st.tuples(chosen(ARGUMENTS), chosen(BATCH_NORM)), max_size=4),
    place=st.integers(0, 8),
)
def test_a_forced_level_beats_any_nest_of_others(
    name: str,
    forced: dict[str, Any],
    others: list[tuple[dict[str, Any], dict[str, Any]]],
    place: int,
) -> None:
    levels = [
        each
        for weighted, norm in others
        for each in (level(WEIGHTED, weighted), level(["batch_norm"], norm))
    ]
    levels.insert(place, level(WEIGHTED, forced, force=True))
    build = trace(BuildSpec.read({**small_spec(name), "scopes": levels}))
    for call in build.explanation().calls:
        if call.op in WEIGHTED:
            values = {each.name: each for each in call.arguments}
            for key, value in forced.items():
                if key in values:
                    assert (values[key].kind, to_wire(values[key].value)) == ("forced", value)


# In Python ----------------------------------------------------------------------------------------


@add_arg_scope
def outer(x: Any, a: int = 0, b: int = 0) -> tuple[int, int]:
    return a, b


def test_forced_levels_survive_saved_and_cleared_scopes() -> None:
    with arg_scope([outer], b=1) as saved:
        pass
    with arg_scope([outer], a=9).forced():
        with arg_scope(saved):
            assert outer("x") == (9, 1)
            assert outer("x", 2, b=3) == (9, 3)
        with arg_scope({}):
            assert outer("x", a=1) == (9, 0)
        with arg_scope([outer], a=8).forced():
            assert outer("x") == (8, 0)
    assert outer("x") == (0, 0)


def test_a_saved_scope_keeps_its_forced_levels() -> None:
    with arg_scope([outer], a=9).forced(), arg_scope([outer], b=1) as saved:
        pass
    assert dict(saved[outer]) == {"a": 9, "b": 1}
    with arg_scope(saved):
        assert outer("x", a=1) == (9, 1)
    with arg_scope([outer], a=5, b=5).forced(), arg_scope(saved), arg_scope(saved) as scope:
        assert outer("x", a=1) == (9, 5)
        assert scope.forced is not None
        assert len(list(scope.forced.levels())) == 2  # each once


def test_a_positional_argument_is_forced_in_its_place() -> None:
    with arg_scope([outer], b=7).forced():
        assert outer("x", 1, 2) == (1, 7)


def test_a_level_on_layers_needs_a_trace_to_reach_them() -> None:
    with arg_scope([outer], a=1).on("Net/*"), arg_scope([outer], b=1).on("*"):
        assert outer("x") == (0, 1)


def test_either_order_says_the_same() -> None:
    for each in (
        arg_scope([outer], a=1).on("*", except_=["x"]).forced(),
        arg_scope([outer], a=1).forced().on("*", except_=["x"]),
    ):
        with each:
            assert outer("x", a=2) == (1, 0)


def test_a_limited_level_decorates_a_function() -> None:
    @arg_scope([outer], a=1).forced()
    def network() -> tuple[int, int]:
        return outer("x", a=2)

    assert network() == network() == (1, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: arg_scope([outer], a=1).on(), "on() takes at least one pattern of layers."),
        (
            lambda: arg_scope({}).forced(),
            "A saved scope is entered as it is, not forced or on layers.",
        ),
        (
            lambda: arg_scope([conv2d], inputs=1).forced(),
            "/inputs: inputs of conv2d feeds or names one call, so it cannot be forced.",
        ),
        (
            lambda: arg_scope([conv2d], scope="a").on("*"),
            "scope names a layer, so no level on layers can set it.",
        ),
    ],
)
def test_what_makes_no_level_is_refused_before_anything_changes(make: Any, message: str) -> None:
    with arg_scope([outer], a=1):
        with pytest.raises(ScopeError) as caught, make():
            pass
        assert str(caught.value) == message
        assert outer("x") == (1, 0)


def test_thirty_two_threads_stay_apart() -> None:
    def build(number: int) -> tuple[set[float], set[str]]:
        value = (number + 1) / 100
        result = mobilenet_v2(
            level(["batch_norm"], {"epsilon": value}, force=True),
            level(["batch_norm"], {"decay": value}, layers=[f"*expanded_conv_{number % 16 + 1}/*"]),
            input_shape=[32, 32, 3],
        )
        nodes = [node for node in result.graph.nodes if node.op == "batch_norm"]
        return (
            {node.attributes["epsilon"] for node in nodes},
            {node.scope.split("/")[1] for node in nodes if node.attributes["decay"] == value},
        )

    with ThreadPoolExecutor(32) as pool:
        for number, (epsilons, blocks) in enumerate(pool.map(build, range(32))):
            assert epsilons == {(number + 1) / 100}
            assert blocks == {f"expanded_conv_{number % 16 + 1}"}
    with arg_scope({}) as scope:
        assert isinstance(scope, ArgScope)
        assert not len(scope)


# What is to blame, and what would help ----------------------------------------------------------


def blame(*levels: dict[str, Any], architecture: str = "inception_v3") -> tuple[str, str]:
    """Return the place and the message of a network's refusal."""
    with pytest.raises(BuildError) as caught:
        trace(BuildSpec.read({"architecture": architecture, "scopes": list(levels)}))
    (problem,) = caught.value.problems
    return problem.pointer, problem.message


def test_an_override_with_which_the_network_does_not_fit_is_named() -> None:
    pointer, message = blame(
        level(["conv2d"], {"trainable": False}),
        level(["max_pool2d"], {"padding": "VALID", "stride": 1}, force=True),
    )
    assert pointer == "/scopes/1/args/stride"
    assert message.startswith("cannot join InceptionV3/Mixed_6a/Branch_0/")
    assert message.endswith(
        "all but the channels must be equal. It builds without /scopes/1/args/stride."
    )


def test_the_except_line_that_lets_the_network_build_is_said() -> None:
    args = {"normalizer_fn": "group_norm", "normalizer_params": {"groups": 8}}
    forced = level(["conv2d", "separable_conv2d"], args, force=True)
    spared = ["MobilenetV2/Logits/Conv2d_1c_1x1"]
    assert blame(forced, architecture="mobilenet_v2") == (
        "/scopes/0",
        "groups (=8) must divide the channels (=1001) of MobilenetV2/Logits/Conv2d_1c_1x1/Conv2D. "
        f'It builds without /scopes/0, or with "except": {json.dumps(spared)} in that level.',
    )
    assert mobilenet_v2({**forced, "except": spared}).warnings == ()


def test_an_override_is_blamed_before_the_parameters_of_a_head() -> None:
    assert blame(level(["conv2d"], {"padding": "SAME"}, force=True), architecture="vgg_a") == (
        "/scopes/0/args/padding",
        "cannot squeeze dimension 1 of vgg_a/fc8/BiasAdd, which has size 7 and not 1; it builds "
        "without /scopes/0/args/padding.",
    )


def test_what_no_single_override_is_to_blame_for_is_told_without_one() -> None:
    twice = [level(["conv2d"], {"stride": 3}, force=True)] * 2
    pointer, message = blame(*twice, architecture="nasnet_mobile")
    assert pointer == ""
    assert message.endswith("shapes differ.")


def test_a_level_that_only_replaces_nulls_is_not_told_to_spare_them() -> None:
    forced = level(["fully_connected"], {"activation_fn": "elu"}, force=True)
    build = trace(BuildSpec.read({"architecture": "inception_v4", "scopes": [forced]}))
    assert build.warnings == (
        "/scopes/0/args/activation_fn: this forced override replaced a null that the network gives "
        "in 2 layers (InceptionV4/AuxLogits/Aux_logits, InceptionV4/Logits/Logits). The level "
        "reaches no other layer: without it, they keep their nulls.",
    )


def test_nulls_that_no_short_list_spares_are_told_so() -> None:
    forced = level(["conv2d"], {"activation_fn": "elu"}, force=True)
    spec = {"architecture": "inception_resnet_v2", "scopes": [forced]}
    (warning,) = trace(BuildSpec.read(spec)).warnings
    assert warning.endswith(
        " and 37 more). To spare them would take more than 32 patterns: limit the level by "
        '"layers" instead.'
    )


def test_patterns_that_fit_layers_but_no_call_of_the_op_are_told() -> None:
    levels = level(
        ["conv2d"],
        {"trainable": False},
        layers=["LeNet/conv1", "LeNet/pool1"],
        **{"except": ["LeNet/conv2"]},
    )
    spec = {"architecture": "lenet", "scopes": [levels], "strict": True}
    assert trace(BuildSpec.read(spec)).warnings == (
        "/scopes/0/layers/1: 'LeNet/pool1' fits 1 layer (LeNet/pool1), but reaches no call of "
        "conv2d.",
        "/scopes/0/except/0: 'LeNet/conv2' fits 1 layer (LeNet/conv2), but spares no call of "
        "conv2d.",
    )


def test_a_head_of_other_classes_is_told() -> None:
    forced = level(["conv2d"], {"num_outputs": 64}, force=True)
    build = trace(BuildSpec.read({"architecture": "resnet_v1_50", "scopes": [forced]}))
    assert build.classes is None
    assert build.warnings == (
        "/params/num_classes: the output has 64 values and not 1000: an override of scopes sets "
        "the head's. Top classes and class names are not available.",
    )


def test_of_many_beaten_values_the_first_are_shown_and_the_others_counted() -> None:
    build = trace(
        BuildSpec.read(
            {
                **small_spec("lenet"),
                "scopes": [level(["conv2d"], {"activation_fn": "elu"}) for _ in range(30)],
            }
        )
    )
    activation = argument(build, "LeNet/conv1", "activation_fn")
    # 29 levels and the default scope's.
    assert (len(activation["beat"]), activation["more_beaten"]) == (16, 14)
    assert "; and 14 more]" in build.explanation().to_text()
