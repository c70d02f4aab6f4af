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
from model_zoo.architectures.atrous import OutputStride, strides_and_rates
from model_zoo.architectures.registry import DepthMultiplier, Network, NumClasses, architecture
from model_zoo.arg_scope import ArgScope, arg_scope
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, end_point, layer_scope, scoped_end_point, variable_scope
from model_zoo.layers import batch_norm, conv2d, max_pool2d, register_op, softmax
from model_zoo.layers.arguments import ActivationFn, Count, Decay, Epsilon
from model_zoo.primitives import add, clip, fixed_padding, reduce_mean, squeeze
from model_zoo.values import NonNegative, l2_regularizer, variance_scaling_initializer


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


class Block(NamedTuple):
    """A line of Table 1: units of 1x1, 3x3 and 1x1 convolutions; the last has the stride."""

    depth_bottleneck: int
    units: int
    stride: int

    @property
    def strides(self) -> list[int]:
        """The stride of each unit."""
        return [1] * (self.units - 1) + [self.stride]


# depth_bottleneck, units, stride
RESNET_50 = (Block(64, 3, 2), Block(128, 4, 2), Block(256, 6, 2), Block(512, 3, 1))
RESNET_101 = (Block(64, 3, 2), Block(128, 4, 2), Block(256, 23, 2), Block(512, 3, 1))
RESNET_152 = (Block(64, 3, 2), Block(128, 8, 2), Block(256, 36, 2), Block(512, 3, 1))
RESNET_200 = (Block(64, 3, 2), Block(128, 24, 2), Block(256, 36, 2), Block(512, 3, 1))


def subsample(net: Tensor, stride: int, scope: str) -> Tensor:
    """Keep every `stride`-th row and column."""
    return net if stride == 1 else max_pool2d(net, [1, 1], stride=stride, scope=scope)


def conv2d_same(
    net: Tensor, num_outputs: int, kernel_size: int, stride: int, rate: int = 1, *, scope: str
) -> Tensor:
    """Convolve with padding that, under a stride, does not depend on the size of the input.

    Shape: (N, H, W, C) -> (N, ceil(H / stride), ceil(W / stride), num_outputs)
    """
    if stride == 1:
        return conv2d(
            net, num_outputs, kernel_size, stride=1, rate=rate, padding="SAME", scope=scope
        )
    net = fixed_padding(net, kernel_size, rate)
    return conv2d(
        net, num_outputs, kernel_size, stride=stride, rate=rate, padding="VALID", scope=scope
    )


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
    with layer_scope(scope):
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
            return relu6(add(shortcut, clip(residual, -6.0, 6.0)))
        return relu(add(shortcut, residual))


def _bottleneck_v2(
    inputs: Tensor,
    depth: int,
    depth_bottleneck: int,
    stride: int,
    rate: int,
    scope: str | None,
) -> Tensor:
    with layer_scope(scope):
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
        return add(shortcut, residual)


def stack_blocks_dense(
    net: Tensor,
    blocks: tuple[Block, ...],
    output_stride: int | None,
    *,
    preactivation: bool,
    store_non_strided_activations: bool = False,
) -> Tensor:
    """Stack the units of all blocks.

    With `store_non_strided_activations` a block's stride comes after its end point.

    Raises: BuildError if the strides do not reach `output_stride`.
    """
    version = "v2" if preactivation else "v1"
    strides = [stride for block in blocks for stride in block.strides]
    dense = iter(strides_and_rates(strides, output_stride, root_stride=4))
    for number, block in enumerate(blocks, 1):
        with variable_scope(f"block{number}"):
            for unit in range(1, block.units + 1):
                stride, rate = next(dense)
                after = 1
                if store_non_strided_activations and unit == block.units:
                    stride, after = 1, stride
                with variable_scope(f"unit_{unit}"):
                    net = bottleneck(
                        net,
                        4 * block.depth_bottleneck,
                        block.depth_bottleneck,
                        stride,
                        rate=rate,
                        preactivation=preactivation,
                    )
                    scoped_end_point(f"bottleneck_{version}", net)
        scoped_end_point(f"block{number}", net)
        net = subsample(net, after, "MaxPool2D")
    return net


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


def _resnet_v1(name: str, blocks: tuple[Block, ...]) -> Network:
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
    ) -> Tensor:
        scaled = tuple(
            block._replace(
                depth_bottleneck=max(int(block.depth_bottleneck * depth_multiplier), min_base_depth)
            )
            for block in blocks
        )
        with variable_scope(name), arg_scope([batch_norm], is_training=is_training):
            net = conv2d_same(inputs, 64, 7, stride=2, scope="conv1")
            scoped_end_point("conv1", net)
            net = max_pool2d(net, [3, 3], stride=2, scope="pool1")
            net = stack_blocks_dense(
                net,
                scaled,
                output_stride,
                preactivation=False,
                store_non_strided_activations=store_non_strided_activations,
            )
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


def _resnet_v2(name: str, blocks: tuple[Block, ...]) -> Network:
    def network(
        inputs: Tensor,
        num_classes: NumClasses = None,
        is_training: bool = True,
        global_pool: bool = True,
        output_stride: OutputStride = None,
        spatial_squeeze: bool = True,
    ) -> Tensor:
        with variable_scope(name), arg_scope([batch_norm], is_training=is_training):
            # The first unit normalizes and activates.
            with arg_scope([conv2d], activation_fn=None, normalizer_fn=None):
                net = conv2d_same(inputs, 64, 7, stride=2, scope="conv1")
            scoped_end_point("conv1", net)
            net = max_pool2d(net, [3, 3], stride=2, scope="pool1")
            net = stack_blocks_dense(net, blocks, output_stride, preactivation=True)
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
