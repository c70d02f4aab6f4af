"""Traces: what is built, explained, warned of and refused."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from model_zoo import (
    Architecture,
    ArgScope,
    Budget,
    BudgetError,
    BuildError,
    BuildSpec,
    SpecError,
    Tensor,
    Trace,
    layers,
    trace,
)
from model_zoo.architectures import registry
from model_zoo.errors import SizeError

# The scopes of deeplab's xception_arg_scope, as a request writes them.
DEMO: dict[str, Any] = {
    "architecture": "inception_v3",
    "params": {"num_classes": 1001},
    "input_shape": [299, 299, 3],
    "default_scope": {"weight_decay": 0.00004},
    "scopes": [
        {
            "ops": ["conv2d", "separable_conv2d"],
            "args": {
                "activation_fn": "relu6",
                "weights_initializer": {"name": "truncated_normal_initializer", "stddev": 0.09},
                "normalizer_fn": "batch_norm",
            },
        },
        {"ops": ["batch_norm"], "args": {"decay": 0.997, "epsilon": 0.001, "scale": True}},
        {
            "ops": ["conv2d"],
            "args": {"weights_regularizer": {"name": "l2_regularizer", "scale": 0.0001}},
        },
        {"ops": ["separable_conv2d"], "args": {"weights_regularizer": None}},
    ],
}


def traced(**wire: Any) -> Trace:
    return trace(BuildSpec.read(wire))


def argument(result: Trace, layer: str, op: str, name: str) -> dict[str, Any]:
    """Return one argument of one call, as the explanation tells it, without line numbers."""
    for call in result.explanation().to_dict()["calls"]:
        if (call["layer"], call["op"]) == (layer, op):
            for argument in call["arguments"]:
                if argument["name"] == name:
                    return argument
    raise AssertionError((layer, op, name))


def test_demo_says_which_level_won_at_each_layer() -> None:
    result = trace(BuildSpec.read(DEMO))
    layer = "InceptionV3/Mixed_5b/Branch_0/Conv2d_0a_1x1"

    activation = argument(result, layer, "conv2d", "activation_fn")
    assert (activation["value"], activation["kind"]) == ("relu6", "scope")
    assert activation["written_at"] == "/scopes/0/args/activation_fn"
    assert activation["level"] == "request"
    (beaten,) = activation["beat"]
    assert (beaten["value"], beaten["level"]) == ("relu", "default_scope")

    regularizer = argument(result, layer, "conv2d", "weights_regularizer")
    assert regularizer["value"] == {"name": "l2_regularizer", "scale": 0.0001}
    assert regularizer["written_at"] == "/scopes/2/args/weights_regularizer"

    stride = argument(result, layer, "conv2d", "stride")
    assert (stride["kind"], stride["level"]) == ("scope", "network")
    rate = argument(result, layer, "conv2d", "rate")
    assert rate == {"name": "rate", "value": 1, "kind": "default"}

    decay = argument(result, f"{layer}/BatchNorm", "batch_norm", "decay")
    assert (decay["value"], decay["kind"], decay["level"]) == (0.9997, "call", "default_scope")
    assert decay["written_at"].startswith("model_zoo/architectures/inception_v3.py:")
    assert decay["written_at"].endswith("(inception_v3_arg_scope), normalizer_params of conv2d")
    assert decay["beat"] == [
        {"value": 0.997, "written_at": "/scopes/1/args/decay", "level": "request"}
    ]

    logits = argument(result, "InceptionV3/Logits/Conv2d_1c_1x1", "conv2d", "activation_fn")
    assert (logits["value"], logits["kind"], logits["level"]) == (None, "call", "network")


def test_demo_warns_of_each_override_without_effect() -> None:
    warnings = trace(BuildSpec.read(DEMO)).warnings
    assert [warning.split(": ")[0] for warning in warnings] == [
        "/scopes/1/args/decay",
        "/scopes/1/args/epsilon",
        "/scopes/1/args/scale",
        "/scopes/3/args/weights_regularizer",
    ]
    assert warnings[0].startswith(
        "/scopes/1/args/decay: this override of batch_norm reached 96 calls and won at none; "
        "beaten by model_zoo/architectures/inception_v3.py:"
    )
    assert warnings[0].endswith(
        "(inception_v3_arg_scope), normalizer_params of conv2d (96). "
        '"force": true in this level would beat them.'
    )
    assert warnings[3] == (
        "/scopes/3/args/weights_regularizer: this override reached no call: inception_v3 calls no "
        "separable_conv2d here."
    )


def test_demo_counts_what_each_override_reached_and_won() -> None:
    overrides = trace(BuildSpec.read(DEMO)).explanation().to_dict()["overrides"]
    fates = {(o["pointer"], o["op"]): (o["reached"], o["won"]) for o in overrides}
    assert fates["/scopes/0/args/activation_fn", "conv2d"] == (98, 96)
    assert fates["/scopes/0/args/activation_fn", "separable_conv2d"] == (0, 0)
    assert fates["/scopes/1/args/decay", "batch_norm"] == (96, 0)
    assert fates["/scopes/2/args/weights_regularizer", "conv2d"] == (98, 98)


def test_strict_refuses_overrides_without_effect() -> None:
    wire = {
        "architecture": "lenet",
        "strict": True,
        "scopes": [{"ops": ["batch_norm"], "args": {"decay": 0.9}}],
    }
    with pytest.raises(SpecError) as caught:
        trace(BuildSpec.read(wire))
    assert str(caught.value) == (
        "/scopes/0/args/decay: this override reached no call: lenet calls no batch_norm here."
    )


def test_inner_request_level_beats_outer_and_outer_is_told() -> None:
    result = traced(
        architecture="lenet",
        scopes=[
            {"ops": ["conv2d"], "args": {"activation_fn": "tanh"}},
            {"ops": ["conv2d"], "args": {"activation_fn": "elu"}},
        ],
    )
    assert result.warnings == (
        "/scopes/0/args/activation_fn: this override of conv2d reached 2 calls and won at none; "
        "beaten by /scopes/1/args/activation_fn (2).",
    )


def test_request_normalizer_params_are_located_in_the_request() -> None:
    result = traced(
        architecture="lenet",
        scopes=[
            {
                "ops": ["conv2d"],
                "args": {"normalizer_fn": "batch_norm", "normalizer_params": {"decay": 0.5}},
            }
        ],
    )
    decay = argument(result, "LeNet/conv1/BatchNorm", "batch_norm", "decay")
    assert decay["written_at"] == "/scopes/0/args/normalizer_params/decay"
    assert decay["kind"] == "call"


def test_default_scope_null_is_left_out_with_a_warning() -> None:
    result = traced(architecture="lenet", default_scope=None)
    assert result.warnings == (
        "/default_scope: null leaves out lenet_arg_scope; published checkpoints of lenet were made "
        "inside it. This drops activation_fn, weights_initializer, weights_regularizer of conv2d "
        "and fully_connected.",
    )
    assert all(not call.bindings for call in result.graph.calls)


def test_scopes_active_outside_do_not_reach_a_trace() -> None:
    from model_zoo import arg_scope, layers

    with arg_scope([layers.conv2d], activation_fn=None):
        result = traced(architecture="lenet")
    assert argument(result, "LeNet/conv1", "conv2d", "activation_fn")["value"] == "relu"


def test_final_endpoint_ends_the_network_there() -> None:
    result = traced(architecture="inception_v3", params={"final_endpoint": "Mixed_5b"})
    assert result.graph.output.shape == (None, 35, 35, 256)
    assert list(result.graph.end_points)[-1] == "Mixed_5b"
    assert not any("Mixed_5c" in variable.name for variable in result.graph.variables)


def test_unknown_final_endpoint_is_refused_with_those_there_are() -> None:
    with pytest.raises(BuildError) as caught:
        traced(architecture="lenet", params={"final_endpoint": "conv3"})
    assert str(caught.value) == (
        "final_endpoint 'conv3' is not an end point; the network has: conv1, pool1, conv2, pool2, "
        "Flatten, fc3, dropout3, Logits, Predictions."
    )


def test_network_with_a_final_endpoint_of_its_own_classifies_by_it() -> None:
    result = traced(architecture="mobilenet_v2", params={"final_endpoint": "layer_5"})
    assert result.classes == 1001
    assert list(result.graph.end_points)[-3:] == ["global_pool", "Logits", "Predictions"]
    assert "layer_6" not in result.graph.end_points
    with pytest.raises(BuildError) as caught:
        traced(architecture="mobilenet_v2", params={"final_endpoint": "layer_20"})
    assert str(caught.value).splitlines()[0] == (
        "final_endpoint must be null or one of layer_1 to layer_19; received 'layer_20'."
    )
    video = traced(
        architecture="s3dg", input_shape=[8, 56, 56, 3], params={"final_endpoint": "Mixed_3b"}
    )
    assert video.classes == 400
    assert "Mixed_3c" not in video.graph.end_points


@pytest.mark.parametrize("num_classes", [0, None])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet", (None, 1024)),
        ("cifarnet", (None, 192)),
        ("mobilenet_v1_025", (None, 1, 1, 256)),
        ("inception_v3", (None, 1, 1, 2048)),
    ],
)
def test_without_classes_a_network_returns_features(
    name: str, shape: tuple[int | None, ...], num_classes: int | None
) -> None:
    result = traced(architecture=name, params={"num_classes": num_classes})
    assert result.graph.output.shape == shape
    assert "Logits" not in result.graph.end_points
    assert "AuxLogits" not in result.graph.end_points


def test_negative_size_names_the_layer_and_the_scopes_there() -> None:
    with pytest.raises(BuildError) as caught:
        traced(
            architecture="inception_v3",
            input_shape=[60, 60, 3],
            default_scope=None,
            scopes=[{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}],
        )
    error = caught.value
    assert error.layer == "InceptionV3/Mixed_7a/Branch_0/Conv2d_1a_3x3 (conv2d)"
    assert error.problems[0].message == (
        "a window of 3 with VALID padding does not fit an input of size 2; it builds with "
        "input_shape [299, 299, 3]."
    )
    assert error.scopes[0] == "conv2d.activation_fn=elu from /scopes/0/args/activation_fn"


POOLING = "a window of {} with VALID padding does not fit an input of size {}; "
SQUEEZE = "cannot squeeze dimension 1 of {}, which has size {} and not 1; "
REMEDIES: list[tuple[str, list[int], dict[str, Any], str]] = [
    (
        "inception_v3",
        [75, 75, 3],
        {},
        POOLING.format(5, 3)
        + 'it builds with params {"create_aux_logits": false} or with input_shape [299, 299, 3].',
    ),
    (
        "inception_v3",
        [60, 60, 3],
        {"create_aux_logits": False},
        POOLING.format(3, 2) + "it builds with input_shape [299, 299, 3].",
    ),
    (
        "inception_v3",
        [400, 400, 3],
        {"global_pool": True},
        SQUEEZE.format("InceptionV3/AuxLogits/Conv2d_2b_1x1/BiasAdd", 3)
        + 'it builds with params {"create_aux_logits": false} or with params '
        '{"spatial_squeeze": false} or with input_shape [299, 299, 3].',
    ),
    (
        "inception_v1",
        [64, 64, 3],
        {},
        POOLING.format(7, 2)
        + 'it builds with params {"global_pool": true} or with input_shape [224, 224, 3].',
    ),
    (
        "vgg_16",
        [64, 64, 3],
        {},
        POOLING.format(7, 2)
        + 'it builds with params {"global_pool": true, "fc_conv_padding": "SAME"} or with '
        "input_shape [224, 224, 3].",
    ),
    (
        "vgg_16",
        [64, 64, 3],
        {"fc_conv_padding": "SAME"},
        SQUEEZE.format("vgg_16/fc8/BiasAdd", 2)
        + 'it builds with params {"global_pool": true} or with params {"spatial_squeeze": false}.',
    ),
]


@pytest.mark.parametrize(("name", "shape", "params", "message"), REMEDIES)
def test_a_size_that_does_not_fit_comes_with_what_does(
    name: str, shape: list[int], params: dict[str, Any], message: str
) -> None:
    params = {"num_classes": 5, **params}
    with pytest.raises(SizeError) as caught:
        traced(architecture=name, input_shape=shape, params=params)
    assert caught.value.problems[0].message == message
    # What the message offers builds, and none of it is set already.
    offered = re.findall(r"with params (\{.*?\})", message)
    for change in map(json.loads, offered):
        assert not change.items() & params.items()
        traced(architecture=name, input_shape=shape, params={**params, **change})


def test_a_size_that_a_scope_makes_unfit_names_the_scope() -> None:
    with pytest.raises(SizeError) as caught:
        traced(
            architecture="lenet",
            scopes=[{"ops": ["conv2d"], "args": {"padding": "VALID", "stride": 15}}],
        )
    assert caught.value.problems[0].message == (
        POOLING.format(5, 1) + "it builds without /scopes/0/args/stride."
    )
    assert caught.value.problems[0].pointer == "/scopes/0/args/stride"


def test_a_size_that_several_scopes_make_unfit_comes_without_advice_that_fails() -> None:
    level = {"ops": ["conv2d"], "args": {"stride": 15}, "force": True}
    with pytest.raises(SizeError) as caught:
        traced(architecture="lenet", scopes=[level, level])
    (problem,) = caught.value.problems
    assert problem.message.endswith(
        "; neither other params of its head nor its own input_shape would avoid that."
    )
    assert problem.pointer == ""


def test_group_norm_that_does_not_divide_names_the_layer() -> None:
    with pytest.raises(BuildError) as caught:
        traced(
            architecture="mobilenet_v1",
            params={"depth_multiplier": 0.25},
            input_shape=[128, 128, 3],
            scopes=[{"ops": ["conv2d"], "args": {"normalizer_fn": "group_norm"}}],
        )
    error = caught.value
    assert error.layer == "MobilenetV1/Conv2d_0/GroupNorm (group_norm)"
    assert error.problems[0].message == (
        "groups (=32) must divide the channels (=8) of MobilenetV1/Conv2d_0/Conv2D. It builds "
        "without /scopes/0/args/normalizer_fn."
    )
    assert "conv2d.normalizer_fn=group_norm from /scopes/0/args/normalizer_fn" in error.scopes


def default_scope_line(argument: str) -> str:
    """Return where Inception v3's default scope sets an argument of conv2d."""
    calls = traced(architecture="inception_v3").graph.calls
    return str(next(c for c in calls if c.op.name == "conv2d").bindings[argument].origin)


def test_normalizer_that_lacks_a_default_param_is_refused() -> None:
    with pytest.raises(BuildError) as caught:
        traced(
            architecture="inception_v3",
            scopes=[{"ops": ["conv2d"], "args": {"normalizer_fn": "layer_norm"}}],
        )
    assert caught.value.layer == "InceptionV3/Conv2d_1a_3x3 (conv2d)"
    assert caught.value.problems[0].message == (
        "layer_norm has no argument 'decay', which normalizer_params {decay: 0.9997, epsilon: "
        "0.001, fused: None, scale: False} passes to it: normalizer_fn is from "
        "/scopes/0/args/normalizer_fn, normalizer_params from "
        f'{default_scope_line("normalizer_params")}. Add "normalizer_params" to /scopes/0/args: '
        "null, or what fits layer_norm. It builds without /scopes/0/args/normalizer_fn."
    )


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (
            Budget(max_parameters=1000, setting_prefix="ZOO_"),
            "This build has 3274634 parameters; the limit is 1000 (ZOO_MAX_PARAMETERS).",
        ),
        (
            Budget(max_multiply_adds=10, setting_prefix="ZOO_"),
            "This build has 13883904 multiply-adds; the limit is 10 (ZOO_MAX_MULTIPLY_ADDS).",
        ),
        (
            Budget(max_activation_bytes=10),
            "This build has 200704 bytes of activations at their peak; the limit is 10 "
            "(max_activation_bytes).",
        ),
        (Budget(max_layers=9), "This build has 10 layers; the limit is 9 (max_layers)."),
        (
            Budget(max_scopes=0),
            "/scopes: This build has 1 level; the limit is 0 (max_scopes).",
        ),
    ],
)
def test_build_over_budget_is_refused_by_its_exact_figure(budget: Budget, message: str) -> None:
    wire = {
        "architecture": "lenet",
        "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "relu"}}],
    }
    with pytest.raises(BudgetError) as caught:
        trace(BuildSpec.read(wire), budget)
    assert str(caught.value) == message


def test_enormous_build_is_refused_without_allocating_it() -> None:
    wire = {"architecture": "lenet", "params": {"num_classes": 10**15}}
    with pytest.raises(BudgetError) as caught:
        trace(BuildSpec.read(wire), Budget(max_parameters=10**9))
    assert str(caught.value) == (
        "This build has 1025000000003264384 parameters; the limit is 1000000000 (max_parameters)."
    )


def test_threads_building_different_scopes_get_their_own_answers() -> None:
    names = ["relu", "relu6", "elu", "tanh", "sigmoid", "swish", "selu", "softplus"]

    def build(number: int) -> tuple[Any, Any]:
        name, scale = names[number % len(names)], (number + 1) / 1000
        result = traced(
            architecture="mobilenet_v1_025",
            scopes=[
                {
                    "ops": ["conv2d"],
                    "args": {
                        "activation_fn": name,
                        "weights_regularizer": {"name": "l2_regularizer", "scale": scale},
                    },
                }
            ],
        )
        calls = [call for call in result.graph.calls if call.op.name == "conv2d"]
        activations = {repr(call.bindings["activation_fn"].value) for call in calls}
        losses = {v.regularizer.l2 for v in result.graph.variables if v.regularizer}
        return (activations, losses), ({name}, {scale})

    with ThreadPoolExecutor(32) as pool:
        for got, expected in pool.map(build, range(32)):
            assert got == expected


NORMALIZED = [{"ops": ["conv2d", "fully_connected"], "args": {"normalizer_fn": "batch_norm"}}]


def test_batch_statistics_in_a_build_for_inference_are_a_warning_that_names_the_layers() -> None:
    """As TF-Slim's, LeNet passes no is_training to a normalizer, whose default is true."""
    result = traced(architecture="lenet", scopes=NORMALIZED, strict=True)
    assert result.warnings == (
        "LeNet/conv1/BatchNorm, LeNet/conv2/BatchNorm, LeNet/fc3/BatchNorm, LeNet/fc4/BatchNorm: "
        "is_training of batch_norm is true there, so it uses the statistics of the batch: the "
        "rows of a request change each other's outputs, and requests are computed one at a time. "
        "With is_training false, it uses its moving averages.",
    )


@pytest.mark.parametrize(("name", "count"), [("cifarnet", 5), ("vgg_19", 18), ("alexnet_v2", 7)])
def test_every_layer_with_batch_statistics_is_named(name: str, count: int) -> None:
    result = traced(architecture=name, scopes=NORMALIZED)
    (warning,) = (each for each in result.warnings if "batch_norm" in each)
    names = warning.split(": ")[0].split(", ")
    assert names == [node.scope for node in result.graph.nodes if node.op == "batch_norm"]
    assert len(names) == count


def test_what_a_forced_level_makes_train_is_a_warning() -> None:
    forced = {"args": {"is_training": True}, "force": True}
    result = traced(architecture="lenet", scopes=[{"ops": ["dropout"], **forced}])
    assert result.warnings == (
        "LeNet/dropout3: is_training of dropout is true there, so it drops at random, and "
        "predictions are refused. With is_training false, it does nothing.",
    )
    result = traced(architecture="mobilenet_v1_025", scopes=[{"ops": ["batch_norm"], **forced}])
    (warning,) = result.warnings
    assert warning.startswith("MobilenetV1/Conv2d_0/BatchNorm, ")
    assert " and 7 more: is_training of batch_norm is true there, " in warning
    assert len(result.graph.batch_statistics_nodes) == 27


def test_moving_averages_and_a_build_for_training_are_no_warning() -> None:
    level = {"ops": ["batch_norm"], "args": {"is_training": False}}
    assert traced(architecture="lenet", scopes=[*NORMALIZED, level]).warnings == ()
    result = traced(architecture="lenet", scopes=NORMALIZED, is_training=True)
    assert result.warnings == ()
    assert len(result.graph.batch_statistics_nodes) == 4
    assert [node.name for node in result.graph.random_nodes] == ["LeNet/dropout3"]


def test_active_dropout_in_a_build_for_inference_is_a_warning_that_names_the_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def network(inputs: Tensor, keep_prob: float = 0.5, is_training: bool = False) -> Tensor:
        return layers.dropout(inputs, keep_prob, scope="forgets_is_training")

    entry = Architecture("dropping", network, ArgScope, (4, 4, 3), "inception", "here", 10)
    monkeypatch.setitem(registry._architectures, "dropping", entry)
    assert traced(architecture="dropping").warnings == (
        "forgets_is_training: is_training of dropout is true there, so it drops at random, and "
        "predictions are refused. With is_training false, it does nothing.",
    )
    assert traced(architecture="dropping", params={"keep_prob": 1.0}).warnings == ()


def test_tracing_imports_neither_tensorflow_nor_keras_nor_numpy() -> None:
    code = """
import sys, model_zoo
trace = model_zoo.trace(model_zoo.BuildSpec.read({"architecture": "inception_v3"}))
trace.summary().to_text(), trace.explanation().to_text(), trace.warnings
model_zoo.describe_architecture("mobilenet_v1"), model_zoo.describe_op("conv2d")
print(sorted({"tensorflow", "keras", "numpy", "PIL", "app"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
