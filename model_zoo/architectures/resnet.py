"""ResNet v1 and v2: bottleneck units with shortcuts, normalized after or before the convolutions.

Source: arXiv:1512.03385, Table 1 (v1: 50, 101, 152); arXiv:1603.05027, Figure 4e (v2) and
section 5 (200).

    end point         output           contents
    NAME/conv1        112 x 112 x 64   7x7, stride 2
                       56 x  56 x 64   3x3 max pool, stride 2
    NAME/block1        28 x  28 x 256
    NAME/block2        14 x  14 x 512
    NAME/block3         7 x   7 x 1024
    NAME/block4         7 x   7 x 2048

Differs from the papers, as in TF-Slim: a block's stride stands in its last unit, not in its first,
so that a smaller output stride leaves all weights as they are. Without classes the features are
returned, which is the default.
"""

from typing import NamedTuple

from model_zoo.activations import relu, relu6
from model_zoo.architectures.atrous import OutputStride
from model_zoo.architectures.registry import (
    DepthMultiplier,
    Network,
    NumClasses,
    VariableScope,
    architecture,
)
from model_zoo.architectures.stacks import (
    Block,
    conv2d_same,
    stack_blocks_dense,
    stride_after_root,
    subsample,
)
from model_zoo.arg_scope import arg_scope
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, end_point, layer_scope, scoped_end_point, variable_scope
from model_zoo.layers import batch_norm, conv2d, max_pool2d, register_op, softmax
from model_zoo.layers.arguments import ActivationFn, Count, Decay, Epsilon
from model_zoo.primitives import add, clip, reduce_mean, squeeze
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Later, NonNegative, l2_regularizer, variance_scaling_initializer


def resnet_arg_scope(
    weight_decay: NonNegative = 0.0001,
    batch_norm_decay: Decay = 0.997,
    batch_norm_epsilon: Epsilon = 1e-5,
    batch_norm_scale: bool = True,
    activation_fn: ActivationFn = relu,
    use_batch_norm: bool = True,
) -> ArgScope:
    """Return TF-Slim's default scope of the ResNets.

    It hands convolutions their batch norm's arguments as `normalizer_params`, which beat any
    `[batch_norm]` scope; the batch norms of v2's units are reached by it.
    """
    batch_norm_params = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
        "fused": None,
    }
    with (
        arg_scope(
            [conv2d],
            weights_regularizer=l2_regularizer(weight_decay),
            weights_initializer=variance_scaling_initializer(),
            activation_fn=activation_fn,
            normalizer_fn=batch_norm if use_batch_norm else None,
            normalizer_params=batch_norm_params,
        ),
        arg_scope([batch_norm], **batch_norm_params),
        arg_scope([max_pool2d], padding="SAME") as scope,
    ):
        return scope


class Row(NamedTuple):
    """A line of Table 1: units of 1x1, 3x3 and 1x1 convolutions; the last has the stride."""

    depth_bottleneck: int
    units: int
    stride: int


# depth_bottleneck, units, stride
RESNET_50 = (Row(64, 3, 2), Row(128, 4, 2), Row(256, 6, 2), Row(512, 3, 1))
RESNET_101 = (Row(64, 3, 2), Row(128, 4, 2), Row(256, 23, 2), Row(512, 3, 1))
RESNET_152 = (Row(64, 3, 2), Row(128, 8, 2), Row(256, 36, 2), Row(512, 3, 1))
RESNET_200 = (Row(64, 3, 2), Row(128, 24, 2), Row(256, 36, 2), Row(512, 3, 1))


@register_op(layer=lambda given: f"bottleneck_v{2 if given.get('preactivation') else 1}")
def bottleneck(
    inputs: Tensor,
    depth: Count,
    depth_bottleneck: Count,
    stride: Count,
    rate: Count = 1,
    preactivation: bool = False,
    use_bounded_activations: bool = False,
    scope: str | None = None,
) -> Tensor:
    """Add to the input what 1x1, 3x3 and 1x1 convolutions make of it.

    With `preactivation` (v2) normalization and ReLU come first; else (v1) ReLU comes last, and
    `use_bounded_activations` limits the sum to 6 and its part to [-6, 6].

    Shape: (N, H, W, C) -> (N, ceil(H / stride), ceil(W / stride), depth)
    Source: arXiv:1603.05027, Figure 4a and 4e.
    """
    if preactivation:
        if use_bounded_activations:
            raise BuildError("use_bounded_activations is an argument of v1's units only.")
        return _bottleneck_v2(inputs, depth, depth_bottleneck, stride, rate, scope)
    bounded = use_bounded_activations
    with layer_scope(scope) as path:
        if depth == inputs.channels:
            shortcut = subsample(inputs, stride, "shortcut")
        else:
            shortcut = conv2d(
                inputs,
                depth,
                [1, 1],
                stride=stride,
                activation_fn=relu6 if bounded else None,
                scope="shortcut",
            )
            scoped_end_point("shortcut", shortcut)
        residual = conv2d(inputs, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        scoped_end_point("conv1", residual)
        residual = conv2d_same(residual, depth_bottleneck, 3, stride, rate, scope="conv2")
        scoped_end_point("conv2", residual)
        residual = conv2d(residual, depth, [1, 1], stride=1, activation_fn=None, scope="conv3")
        scoped_end_point("conv3", residual)
        if bounded:
            output = relu6(add(shortcut, clip(residual, -6.0, 6.0)))
        else:
            output = relu(add(shortcut, residual))
    return end_point(path, output)


def _bottleneck_v2(
    inputs: Tensor,
    depth: int,
    depth_bottleneck: int,
    stride: int,
    rate: int,
    scope: str | None,
) -> Tensor:
    with layer_scope(scope) as path:
        preact = batch_norm(inputs, activation_fn=relu, scope="preact")
        if depth == inputs.channels:
            shortcut = subsample(inputs, stride, "shortcut")
        else:
            shortcut = conv2d(
                preact,
                depth,
                [1, 1],
                stride=stride,
                normalizer_fn=None,
                activation_fn=None,
                scope="shortcut",
            )
            scoped_end_point("shortcut", shortcut)
        residual = conv2d(preact, depth_bottleneck, [1, 1], stride=1, scope="conv1")
        scoped_end_point("conv1", residual)
        residual = conv2d_same(residual, depth_bottleneck, 3, stride, rate, scope="conv2")
        scoped_end_point("conv2", residual)
        residual = conv2d(
            residual,
            depth,
            [1, 1],
            stride=1,
            normalizer_fn=None,
            activation_fn=None,
            scope="conv3",
        )
        scoped_end_point("conv3", residual)
        output = add(shortcut, residual)
    return end_point(path, output)


def make_blocks(
    rows: tuple[Row, ...],
    *,
    preactivation: bool,
    depth_multiplier: float = 1.0,
    min_base_depth: int = 1,
) -> tuple[Block, ...]:
    """Return the blocks of Table 1, scaled."""
    blocks = []
    for number, row in enumerate(rows, 1):
        depth = max(int(row.depth_bottleneck * depth_multiplier), min_base_depth)
        arguments = {
            "depth": 4 * depth,
            "depth_bottleneck": depth,
            "preactivation": preactivation,
        }
        strides = (1,) * (row.units - 1) + (row.stride,)
        blocks.append(Block(f"block{number}", bottleneck, strides, arguments))
    return tuple(blocks)


def root_block(inputs: Tensor) -> Tensor:
    """Shape: (N, 224, 224, 3) -> (N, 56, 56, 64)."""
    net = conv2d_same(inputs, 64, 7, stride=2, scope="conv1")
    scoped_end_point("conv1", net)
    return max_pool2d(net, [3, 3], stride=2, scope="pool1")


def classify(
    net: Tensor, num_classes: int | None, global_pool: bool, spatial_squeeze: bool
) -> Tensor:
    """Classify each position, or with `global_pool` their mean; without classes, return that.

    Shape: (N, H, W, C) -> (N, num_classes), or (N, H', W', num_classes) without `spatial_squeeze`
    """
    if global_pool:
        net = end_point("global_pool", reduce_mean(net, [1, 2], "pool5"))
    if not num_classes:
        return net
    net = conv2d(net, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope="logits")
    scoped_end_point("logits", net)
    if spatial_squeeze:
        net = squeeze(net, [1, 2], "SpatialSqueeze")
        scoped_end_point("spatial_squeeze", net)
    end_point("predictions", softmax(net, scope="predictions"))
    return net


def _resnet_v1(name: str, rows: tuple[Row, ...]) -> Network:
    def network(
        inputs: Tensor,
        num_classes: NumClasses = None,
        is_training: bool = True,
        global_pool: bool = True,
        output_stride: OutputStride = None,
        spatial_squeeze: bool = True,
        store_non_strided_activations: bool = False,
        min_base_depth: Count = 8,
        depth_multiplier: DepthMultiplier = 1.0,
        include_root_block: Later[bool] = True,
        scope: Later[VariableScope] = name,
    ) -> Tensor:
        blocks = make_blocks(
            rows,
            preactivation=False,
            depth_multiplier=depth_multiplier,
            min_base_depth=min_base_depth,
        )
        left = stride_after_root(blocks, output_stride, 4 if include_root_block else 1)
        with variable_scope(scope), arg_scope([batch_norm], is_training=is_training):
            net = root_block(inputs) if include_root_block else inputs
            net = stack_blocks_dense(net, blocks, left, store_non_strided_activations)
            return classify(net, num_classes, global_pool, spatial_squeeze)

    network.__name__ = name
    network.__doc__ = f"Build ResNet v1 of {name.rsplit('_', 1)[-1]} layers."
    register = architecture(
        arg_scope=resnet_arg_scope,
        input_shape=(224, 224, 3),
        preprocessing="vgg",
        source="arXiv:1512.03385, Table 1",
        classes=1000,
    )
    return register(network)


def _resnet_v2(name: str, rows: tuple[Row, ...]) -> Network:
    blocks = make_blocks(rows, preactivation=True)

    def network(
        inputs: Tensor,
        num_classes: NumClasses = None,
        is_training: bool = True,
        global_pool: bool = True,
        output_stride: OutputStride = None,
        spatial_squeeze: bool = True,
        include_root_block: Later[bool] = True,
        scope: Later[VariableScope] = name,
    ) -> Tensor:
        left = stride_after_root(blocks, output_stride, 4 if include_root_block else 1)
        with variable_scope(scope), arg_scope([batch_norm], is_training=is_training):
            net = inputs
            if include_root_block:
                # The first unit normalizes and activates.
                with arg_scope([conv2d], activation_fn=None, normalizer_fn=None):
                    net = root_block(net)
            net = stack_blocks_dense(net, blocks, left)
            net = batch_norm(net, activation_fn=relu, scope="postnorm")
            return classify(net, num_classes, global_pool, spatial_squeeze)

    network.__name__ = name
    network.__doc__ = f"Build ResNet v2 of {name.rsplit('_', 1)[-1]} layers."
    register = architecture(
        arg_scope=resnet_arg_scope,
        input_shape=(224, 224, 3),
        preprocessing="inception",
        source="arXiv:1603.05027, Figure 4e",
        classes=1001,
        background=True,
    )
    return register(network)


resnet_v1_50 = _resnet_v1("resnet_v1_50", RESNET_50)
resnet_v1_101 = _resnet_v1("resnet_v1_101", RESNET_101)
resnet_v1_152 = _resnet_v1("resnet_v1_152", RESNET_152)
resnet_v1_200 = _resnet_v1("resnet_v1_200", RESNET_200)
resnet_v2_50 = _resnet_v2("resnet_v2_50", RESNET_50)
resnet_v2_101 = _resnet_v2("resnet_v2_101", RESNET_101)
resnet_v2_152 = _resnet_v2("resnet_v2_152", RESNET_152)
resnet_v2_200 = _resnet_v2("resnet_v2_200", RESNET_200)
