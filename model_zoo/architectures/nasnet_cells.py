"""The cells of NASNet and PNASNet: how a row of blocks becomes a part of a network.

Source: arXiv:1707.07012, section 3, Figures 2 and 4. A cell takes two states, the last cell's
output and the one before it, brings both to its own width, and adds two branches in each of five
blocks. A block reads the two inputs or earlier blocks; in a reduction, branches that read an input
have stride 2. The states named by the cell's row are joined.

Differs from the paper, as in TF-Slim: a reduced or widened input is subsampled twice, the second
time shifted by one pixel, and the halves are joined. Drop path (arXiv:1605.07648) keeps everything
at step 0, the step of a build unless it names another.
"""

from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge

from model_zoo import primitives
from model_zoo.activations import relu, relu6
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor, variable_scope
from model_zoo.layers import (
    avg_pool2d,
    batch_norm,
    conv2d,
    max_pool2d,
    register_op,
    separable_conv2d,
)
from model_zoo.layers.arguments import Count, KeepProbability
from model_zoo.primitives import add, clip, concat, crop, pad, reduce_mean, squeeze
from model_zoo.values import NonNegative


class Separable(NamedTuple):
    """Two separable convolutions."""

    kernel: int


class Pool(NamedTuple):
    """A pooling, and a 1x1 convolution if its input has another width."""

    kind: Literal["avg", "max"]
    kernel: int


class Identity(NamedTuple):
    """Nothing, or a 1x1 convolution if its input has another size."""


Operation = Separable | Pool | Identity


class Block(NamedTuple):
    """Two branches that are added; state 0 is the last output, 1 the one before, 2 block 0's."""

    left: int
    left_operation: Operation
    right: int
    right_operation: Operation


class Cell(NamedTuple):
    """A cell of a figure: its blocks, and the states that are joined to its output."""

    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]


Step = Annotated[int, Ge(0)]


class Options(NamedTuple):
    """What differs from place to place in the trunk, and from configuration to configuration."""

    filters: int
    stride: int
    layer_ratio: float
    drop_path_keep_prob: float
    current_step: int
    total_training_steps: int
    use_bounded_activation: bool


# The limit of ReLU6, for the outputs of branches: bounded networks are meant to be quantized.
BOUND = 6.0


@register_op
def drop_path(net: Tensor, keep_prob: KeepProbability, is_training: bool = True) -> Tensor:
    """Keep each example's tensor whole with `keep_prob`, scaled by its inverse, or drop it whole.

    Identity unless `is_training`.

    Shape: unchanged
    Raises: BuildError for a probability outside (0, 1].
    """
    if not is_training:
        return net
    if not 0 < keep_prob <= 1:
        raise BuildError(
            f"drop_path's keep_prob must be above 0 and at most 1; it comes to {keep_prob}. A "
            "larger drop_path_keep_prob would do.",
            received=keep_prob,
        )
    return primitives.dropout(
        net, keep_prob=keep_prob, is_training=True, noise_shape=(None, 1, 1, 1)
    )


@register_op
def apply_drop_path(
    net: Tensor,
    keep_prob: KeepProbability,
    layer_ratio: NonNegative,
    current_step: Step = 0,
    total_training_steps: Count = 250_000,
    drop_connect_version: Literal["v1", "v2", "v3"] = "v3",
) -> Tensor:
    """Drop paths more often the deeper they are (v2), the later in training (v1), or both (v3).

    `layer_ratio` is the cell's depth as a share of the network's. At step 0 v1 and v3 keep
    everything, and from `total_training_steps` on they drop as they are told. Identity with a
    `keep_prob` of 1.

    Shape: unchanged
    """
    if keep_prob == 1:
        return net
    if drop_connect_version != "v1":
        keep_prob = 1 - layer_ratio * (1 - keep_prob)
    if drop_connect_version != "v2":
        keep_prob = 1 - min(1.0, current_step / total_training_steps) * (1 - keep_prob)
    return drop_path(net, keep_prob)


@register_op
def global_avg_pool(net: Tensor) -> Tensor:
    """Take the mean over height and width. Shape: (N, H, W, C) -> (N, C)."""
    return squeeze(reduce_mean(net, [1, 2]), [1, 2])


@register_op
def factorized_reduction(net: Tensor, output_filters: Count, stride: Count) -> Tensor:
    """Set the width, and by a stride of 2 halve the grid, with every second pixel in each half.

    Shape: (N, H, W, C) -> (N, H / stride, W / stride, output_filters)
    """
    if stride == 1:
        net = conv2d(net, output_filters, 1, scope="path_conv")
        return batch_norm(net, scope="path_bn")
    strides = (stride, stride)
    half = output_filters // 2
    path_1 = primitives.avg_pool(net, (1, 1), strides=strides, padding="VALID")
    path_1 = conv2d(path_1, half, 1, scope="path1_conv")
    path_2 = crop(pad(net, (0, 0), (1, 1)), (1, 1), (0, 0))
    path_2 = primitives.avg_pool(path_2, (1, 1), strides=strides, padding="VALID")
    path_2 = conv2d(path_2, output_filters - half, 1, scope="path2_conv")
    return batch_norm(concat([path_1, path_2]), scope="final_path_bn")


def separable_twice(net: Tensor, kernel: int, options: Options, stride: int) -> Tensor:
    """Activate, convolve and normalize, twice; the first time with the stride.

    Shape: (N, H, W, C) -> (N, H / stride, W / stride, filters)
    """
    activate = relu6 if options.use_bounded_activation else relu
    for number, step in ((1, stride), (2, 1)):
        name = f"{kernel}x{kernel}_{number}"
        net = separable_conv2d(
            activate(net),
            options.filters,
            kernel,
            depth_multiplier=1,
            scope=f"separable_{name}",
            stride=step,
        )
        net = batch_norm(net, scope=f"bn_sep_{name}")
    return net


def project(net: Tensor, filters: int, stride: int) -> Tensor:
    """Set the width by a 1x1 convolution. Shape: (N, H, W, C) -> (N, H', W', filters)."""
    net = conv2d(net, filters, 1, stride=stride, scope="1x1")
    return batch_norm(net, scope="bn_1")


def branch(net: Tensor, operation: Operation, options: Options, stride: int) -> Tensor:
    """Apply one operation of a block, and drop path unless it is the identity.

    Shape: (N, H, W, C) -> (N, H / stride, W / stride, filters)
    """
    filters, bounded = options.filters, options.use_bounded_activation
    match operation:
        case Separable(kernel):
            net = separable_twice(net, kernel, options, stride)
        case Pool(kind, kernel):
            pool = avg_pool2d if kind == "avg" else max_pool2d
            widens = net.channels != filters
            net = relu6(net) if bounded else net
            net = pool(net, kernel, stride=stride, padding="SAME")
            net = project(net, filters, 1) if widens else net
        case Identity():
            net = relu6(net) if bounded else net
            if stride == 1 and net.channels == filters:
                return net
            net = project(net if bounded else relu(net), filters, stride)
            return clip(net, -BOUND, BOUND) if bounded else net
    if bounded:
        net = clip(net, -BOUND, BOUND)
    return apply_drop_path(
        net,
        options.drop_path_keep_prob,
        options.layer_ratio,
        options.current_step,
        options.total_training_steps,
    )


def cell_inputs(net: Tensor, previous: Tensor | None, options: Options) -> list[Tensor]:
    """Bring the last two outputs to the grid of the last one and to the cell's width.

    Without a `previous` output, the last one stands in for it as it is.

    Raises: BuildError if their grids differ by more than a factor of 2.
    """
    activate = relu6 if options.use_bounded_activation else relu
    filters = options.filters
    if previous is None:
        previous = net
    elif previous.shape[2] != net.shape[2]:
        previous = factorized_reduction(activate(previous), filters, stride=2)
    elif previous.channels != filters:
        previous = conv2d(activate(previous), filters, 1, scope="prev_1x1")
        previous = batch_norm(previous, scope="prev_bn")
    if previous.shape[1:3] != net.shape[1:3]:
        raise BuildError(
            "a cell reads two outputs whose grids are equal or differ by a factor of 2; received "
            f"one of {net.shape[1:3]}, and one that is {previous.shape[1:3]} after its reduction. "
            "A num_cells above num_reduction_layers would do, or another "
            "skip_reduction_layer_input."
        )
    net = conv2d(activate(net), filters, 1, scope="1x1")
    return [batch_norm(net, scope="beginning_bn"), previous]


def join_outputs(states: list[Tensor], outputs: tuple[int, ...]) -> Tensor:
    """Join states on channels, each brought to the size of the last one.

    Shape: states (N, H, W, C) -> (N, H, W, number of outputs * C)
    """
    _, _, width, channels = states[-1].shape
    joined = []
    for index in outputs:
        state = states[index]
        if state.shape[2:] != (width, channels):
            with variable_scope(f"reduction_{index}"):
                stride = 1 if state.shape[2] == width else 2
                state = factorized_reduction(state, states[-1].channels, stride)
        joined.append(state)
    return concat(joined)


def conv_cell(
    net: Tensor, previous: Tensor | None, cell: Cell, options: Options, scope: str
) -> Tensor:
    """Build a cell on the last output and the one before it.

    Shape: (N, H, W, C) -> (N, H / stride, W / stride, number of outputs * filters)
    """
    with variable_scope(scope):
        states = cell_inputs(net, previous, options)
        for number, block in enumerate(cell.blocks):
            with variable_scope(f"comb_iter_{number}"):
                # Only the cell's inputs are of the grid before the stride.
                with variable_scope("left"):
                    stride = options.stride if block.left < 2 else 1
                    left = branch(states[block.left], block.left_operation, options, stride)
                with variable_scope("right"):
                    stride = options.stride if block.right < 2 else 1
                    right = branch(states[block.right], block.right_operation, options, stride)
                with variable_scope("combine"):
                    state = add(left, right)
                    states.append(relu6(state) if options.use_bounded_activation else state)
        with variable_scope("cell_output"):
            return join_outputs(states, cell.outputs)
