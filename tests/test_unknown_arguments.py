"""Arguments that TF-Slim's functions have and ours do not: each is explained, by one rule."""

import inspect
from typing import Any

import pytest

from model_zoo import (
    BuildError,
    BuildSpec,
    ScopeError,
    SpecError,
    Tensor,
    arg_scope,
    list_architectures,
)
from model_zoo.graph import build_graph
from model_zoo.layers import batch_norm, conv2d, find_op
from model_zoo.unknown_arguments import _TABLE, _fits
from model_zoo.zoo import find_architecture, network_parameters

COLLECTIONS = ("variables_collections", "outputs_collections")
BATCH_NORM = (
    *("updates_collections", "batch_weights", "data_format", "zero_debias_moving_mean"),
    *("renorm", "renorm_clipping", "renorm_decay", "adjustment"),
)
# What tf_slim 1.1.0 and research/slim/nets have and ours lack, from their signatures.
OPS: dict[str, tuple[str, ...]] = {
    "avg_pool2d": ("data_format", "outputs_collections"),
    "avg_pool3d": ("data_format", "outputs_collections"),
    "apply_drop_path": ("use_summaries",),
    "batch_norm": (*BATCH_NORM, *COLLECTIONS),
    "bias_add": ("data_format", *COLLECTIONS),
    "bottleneck": ("outputs_collections",),
    "conv2d": ("data_format", *COLLECTIONS),
    "conv2d_transpose": ("data_format", *COLLECTIONS),
    "conv3d": ("data_format", *COLLECTIONS),
    "conv3d_spatiotemporal": ("data_format",),
    "dropout": ("outputs_collections",),
    "expanded_conv": ("endpoints", "depthwise_fn", "expansion_fn", "projection_fn"),
    "factorized_reduction": ("data_format",),
    "flatten": ("outputs_collections",),
    "fully_connected": COLLECTIONS,
    "global_avg_pool": ("data_format",),
    "group_norm": ("channels_axis", "mean_close_to_zero", *COLLECTIONS),
    "inception_block_v1_3d": ("data_format", "self_gating_fn"),
    "instance_norm": ("data_format", *COLLECTIONS),
    "layer_norm": COLLECTIONS,
    "max_pool2d": ("data_format", "outputs_collections"),
    "max_pool3d": ("data_format", "outputs_collections"),
    "separable_conv2d": ("data_format", *COLLECTIONS),
    "separable_conv2d_same": ("data_format", "outputs_collections"),
    "split_separable_conv2d": ("endpoints",),
    "squeeze_excite": ("squeeze_input_tensor",),
    "stack_blocks_dense": ("outputs_collections",),
    "xception_module": ("outputs_collections",),
}
NETWORKS: dict[str, tuple[str, ...]] = {
    "cifarnet": ("prediction_fn",),
    "i3d": ("prediction_fn", "reuse"),
    "inception_resnet_v2": ("reuse",),
    "inception_v1": ("prediction_fn", "reuse"),
    "inception_v2": ("prediction_fn", "reuse", "data_format"),
    "inception_v3": ("prediction_fn", "reuse"),
    "inception_v4": ("reuse",),
    "lenet": ("prediction_fn",),
    "mobilenet_edgetpu_075": ("conv_defs", "prediction_fn", "reuse"),
    "mobilenet_v1_025": ("conv_defs", "prediction_fn", "reuse"),
    "mobilenet_v2_050": ("conv_defs", "prediction_fn", "reuse"),
    "mobilenet_v3_small": ("conv_defs", "prediction_fn", "reuse"),
    "nasnet_mobile": ("config", "data_format"),
    "pnasnet_large": ("config", "data_format"),
    "resnet_v1_50": ("reuse",),
    "resnet_v2_200": ("reuse",),
    "s3dg": ("prediction_fn", "reuse", "data_format"),
    "vgg_a": ("reuse",),
    "xception_65": ("reuse", "sync_batch_norm_method"),
}
DEFAULT_SCOPES: dict[str, tuple[str, ...]] = {
    "i3d": ("use_renorm",),
    "inception_resnet_v2": ("batch_norm_updates_collections",),
    "inception_v1": ("batch_norm_updates_collections", "use_fused_batchnorm"),
    "mobilenet_v1": ("batch_norm_updates_collections",),
    "resnet_v2_50": ("batch_norm_updates_collections",),
}


def messages(wire: dict[str, Any]) -> list[str]:
    with pytest.raises(SpecError) as caught:
        BuildSpec.read(wire)
    return [str(problem) for problem in caught.value.problems]


def level(op: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"architecture": "lenet", "scopes": [{"ops": [op], "args": arguments}]}


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (
            level("conv2d", {"data_format": "NHWC"}),
            "/scopes/0/args/data_format: TF-Slim's conv2d has 'data_format', which means nothing "
            "here: the channels of every tensor come last. Leave it out.",
        ),
        (
            {**level("x", {}), "scopes": [{"ops": ["conv2d", "dropout"], "args": {"scal": 1}}]},
            "/scopes/0/args/scal: conv2d and dropout have no argument 'scal'. Valid: 'inputs', "
            "'scope'.",
        ),
        (
            {
                **level("x", {}),
                "scopes": [
                    {
                        "ops": ["conv2d", "fully_connected"],
                        "args": {"variables_collections": None},
                    }
                ],
            },
            "/scopes/0/args/variables_collections: TF-Slim's conv2d and fully_connected have "
            "'variables_collections', which means nothing here: there are no collections, and a "
            "build keeps all its variables. Leave it out.",
        ),
        (
            level("conv2d", {"normalizer_params": {"updates_collections": None}}),
            "/scopes/0/args/normalizer_params/updates_collections: TF-Slim's batch_norm has "
            "'updates_collections', which means nothing here: there are no collections, and "
            "training alone updates moving averages. Leave it out.",
        ),
        (
            level("conv2d", {"normalizer_params": {"deca": 0.9}}),
            "/scopes/0/args/normalizer_params/deca: No normalizer has an argument 'deca'. Did you "
            "mean 'decay'?",
        ),
        (
            {"architecture": "mobilenet_v1_025", "params": {"prediction_fn": "softmax"}},
            "/params/prediction_fn: TF-Slim's mobilenet_v1_025 has 'prediction_fn', which means "
            "nothing here: predictions are always the softmax of the logits. Leave it out.",
        ),
        (
            {"architecture": "vgg_16", "params": {"prediction_fn": "softmax"}},
            "/params/prediction_fn: vgg_16 has no argument 'prediction_fn'. Valid: "
            "'dropout_keep_prob', 'fc_conv_padding', 'final_endpoint', 'global_pool', "
            "'num_classes', 'scope', 'spatial_squeeze'.",
        ),
        (
            {
                "architecture": "resnet_v1_50",
                "default_scope": {"batch_norm_updates_collections": "update_ops"},
            },
            "/default_scope/batch_norm_updates_collections: TF-Slim's resnet_arg_scope has "
            "'batch_norm_updates_collections', which means nothing here: there are no collections. "
            "Leave it out.",
        ),
        (
            {"architecture": "inception_v3", "default_scope": {"reuse": True}},
            "/default_scope/reuse: inception_v3_arg_scope has no argument 'reuse'. Valid: "
            "'activation_fn', 'batch_norm_decay', 'batch_norm_epsilon', 'batch_norm_scale', "
            "'use_batch_norm', 'weight_decay'.",
        ),
    ],
)
def test_message_says_that_tf_slim_has_it_and_why_it_means_nothing(
    wire: dict[str, Any], message: str
) -> None:
    assert messages(wire) == [message]


@pytest.mark.parametrize(("op", "arguments"), OPS.items())
def test_every_argument_that_an_op_lacks_is_explained(op: str, arguments: tuple[str, ...]) -> None:
    assert not {*arguments} & {*inspect.signature(find_op(op)).parameters}
    found = messages(level(op, dict.fromkeys(arguments)))
    assert [message.split(", which means nothing here: ")[0] for message in found] == [
        f"/scopes/0/args/{name}: TF-Slim's {op} has {name!r}" for name in arguments
    ]


@pytest.mark.parametrize(("name", "arguments"), NETWORKS.items())
def test_every_parameter_that_a_network_lacks_is_explained(
    name: str, arguments: tuple[str, ...]
) -> None:
    found = messages({"architecture": name, "params": dict.fromkeys(arguments)})
    assert [message.split(", which means nothing here: ")[0] for message in found] == [
        f"/params/{argument}: TF-Slim's {name} has {argument!r}" for argument in arguments
    ]


@pytest.mark.parametrize(("name", "arguments"), DEFAULT_SCOPES.items())
def test_every_argument_that_a_default_scope_lacks_is_explained(
    name: str, arguments: tuple[str, ...]
) -> None:
    scope = find_architecture(name).arg_scope.__name__
    found = messages({"architecture": name, "default_scope": dict.fromkeys(arguments)})
    assert [message.split(", which means nothing here: ")[0] for message in found] == [
        f"/default_scope/{argument}: TF-Slim's {scope} has {argument!r}" for argument in arguments
    ]


def test_python_gets_the_same_message() -> None:
    message = (
        "TF-Slim's batch_norm has 'renorm', which means nothing here: it corrects statistics from "
        "step to step of a training run, and a build has no steps. Leave it out."
    )
    with pytest.raises(ScopeError) as refused, arg_scope([batch_norm], renorm=True):
        pass
    assert str(refused.value) == message

    def network(x: Tensor) -> Tensor:
        return conv2d(x, 1, 1, normalizer_fn=batch_norm, normalizer_params={"renorm": True})

    with pytest.raises(BuildError) as caught:
        build_graph(network, (4, 4, 1))
    assert str(caught.value).splitlines()[0] == f"Conv (conv2d): {message}"


def test_no_row_explains_what_there_is() -> None:
    for name in list_architectures():
        parameters = {*network_parameters(find_architecture(name)).arguments}
        explained = {
            argument
            for row in _TABLE
            for argument in row.arguments
            if any(_fits(name, pattern) for pattern in row.functions)
        }
        assert not parameters & explained, name
