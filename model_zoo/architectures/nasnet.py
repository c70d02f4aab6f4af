"""NASNet-A: two cells found by search, a normal one and one that halves the grid.

Source: arXiv:1707.07012, Figure 2 (the trunk) and Figure 4 (the cells); the sizes are those of
nasnet_mobile.

    end point          output          contents
    Stem               28 x 28 x 88    3x3 convolution, two reduction cells
    Cell_0 .. 3        28 x 28 x 264   normal cells
    Reduction_Cell_0   14 x 14 x 352   reduction cell
    Cell_4 .. 7        14 x 14 x 528   normal cells
    Reduction_Cell_1    7 x  7 x 704   reduction cell
    Cell_8 .. 11        7 x  7 x 1056  normal cells

Differs from the paper, as in TF-Slim: drop path drops more with every step (see `nasnet_cells`).
The auxiliary head exists only in training.
"""

from collections.abc import Callable
from typing import Annotated, NamedTuple

from annotated_types import Ge, Le

from model_zoo.activations import relu, relu6
from model_zoo.architectures.nasnet_cells import (
    Block,
    Cell,
    Identity,
    Options,
    Pool,
    Separable,
    Step,
    conv_cell,
    drop_path,
    global_avg_pool,
)
from model_zoo.architectures.registry import Network, NumClasses, architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Tensor, end_point, variable_scope
from model_zoo.layers import (
    avg_pool2d,
    batch_norm,
    conv2d,
    dropout,
    flatten,
    fully_connected,
    separable_conv2d,
)
from model_zoo.layers.arguments import Count, Decay, Epsilon, KeepProbability
from model_zoo.primitives import softmax
from model_zoo.scope_chain import ArgScope
from model_zoo.values import Later, NonNegative, l2_regularizer, variance_scaling_initializer

# A trace has no limit of its own before a budget is checked, and widths are powers of the factors.
CellCount = Annotated[int, Ge(1), Le(100)]
ReductionCount = Annotated[int, Ge(0), Le(100)]
FilterCount = Annotated[int, Ge(1), Le(10_000)]
Factor = Annotated[float, Ge(0.1), Le(100)]


def nasnet_arg_scope(
    weight_decay: NonNegative, batch_norm_decay: Decay, batch_norm_epsilon: Epsilon
) -> ArgScope:
    """Return what the default scopes of all networks with such cells hold."""
    with (
        arg_scope(
            [fully_connected, conv2d, separable_conv2d],
            weights_regularizer=l2_regularizer(weight_decay),
            weights_initializer=variance_scaling_initializer(mode="FAN_OUT"),
        ),
        arg_scope([fully_connected], activation_fn=None, scope="FC"),
        arg_scope([conv2d, separable_conv2d], activation_fn=None, biases_initializer=None),
        arg_scope(
            [batch_norm],
            decay=batch_norm_decay,
            epsilon=batch_norm_epsilon,
            scale=True,
            fused=True,
        ) as scope,
    ):
        return scope


def nasnet_cifar_arg_scope(
    weight_decay: NonNegative = 5e-4,
    batch_norm_decay: Decay = 0.9,
    batch_norm_epsilon: Epsilon = 1e-5,
) -> ArgScope:
    """Return TF-Slim's default scope of nasnet_cifar."""
    return nasnet_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


def nasnet_mobile_arg_scope(
    weight_decay: NonNegative = 4e-5,
    batch_norm_decay: Decay = 0.9997,
    batch_norm_epsilon: Epsilon = 1e-3,
) -> ArgScope:
    """Return TF-Slim's default scope of nasnet_mobile."""
    return nasnet_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


def nasnet_large_arg_scope(
    weight_decay: NonNegative = 5e-5,
    batch_norm_decay: Decay = 0.9997,
    batch_norm_epsilon: Epsilon = 1e-3,
) -> ArgScope:
    """Return TF-Slim's default scope of nasnet_large."""
    return nasnet_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


# left state, its operation, right state, its operation
NORMAL_CELL = Cell(
    blocks=(
        Block(0, Separable(5), 1, Separable(3)),
        Block(1, Separable(5), 1, Separable(3)),
        Block(0, Pool("avg", 3), 1, Identity()),
        Block(1, Pool("avg", 3), 1, Pool("avg", 3)),
        Block(0, Separable(3), 0, Identity()),
    ),
    outputs=(1, 2, 3, 4, 5, 6),
)
REDUCTION_CELL = Cell(
    blocks=(
        Block(0, Separable(5), 1, Separable(7)),
        Block(0, Pool("max", 3), 1, Separable(7)),
        Block(0, Pool("avg", 3), 1, Separable(5)),
        Block(3, Identity(), 2, Pool("avg", 3)),
        Block(2, Separable(3), 0, Pool("max", 3)),
    ),
    outputs=(3, 4, 5, 6),
)


class Config(NamedTuple):
    """A configuration of TF-Slim; each field is a parameter of the network."""

    num_cells: int
    num_conv_filters: int
    stem_multiplier: float
    dense_dropout_keep_prob: float
    drop_path_keep_prob: float
    skip_reduction_layer_input: bool
    filter_scaling_rate: float = 2.0
    num_reduction_layers: int = 2
    use_aux_head: bool = True
    use_bounded_activation: bool = False
    total_training_steps: int = 250_000
    current_step: int = 0

    @property
    def reductions(self) -> list[int]:
        """The numbers of the cells where the grid halves; they stand at even distances."""
        parts = self.num_reduction_layers + 1
        return [int(part / parts * self.num_cells) for part in range(1, parts)]

    def options(self, scaling: float, stride: int, number: int, total_cells: int) -> Options:
        """Return a cell's options by its number, which counts the stem and the reductions."""
        return Options(
            filters=int(self.num_conv_filters * scaling),
            stride=stride,
            layer_ratio=(number + 1) / total_cells,
            drop_path_keep_prob=self.drop_path_keep_prob,
            current_step=self.current_step,
            total_training_steps=self.total_training_steps,
            use_bounded_activation=self.use_bounded_activation,
        )


# The last two outputs, the older one first; there is none before a stem without cells.
States = tuple[Tensor | None, Tensor]


def cifar_stem(inputs: Tensor, config: Config) -> States:
    """Shape: (N, 32, 32, 3) -> (N, 32, 32, num_conv_filters * stem_multiplier)."""
    filters = int(config.num_conv_filters * config.stem_multiplier)
    net = conv2d(inputs, filters, 3, scope="l1_stem_3x3")
    net = batch_norm(net, scope="l1_stem_bn")
    return None, end_point("Stem", net)


def imagenet_stem(inputs: Tensor, config: Config, cell: Cell, total_cells: int) -> States:
    """Convolve, then halve the grid by two cells, a quarter and a half as wide as the first.

    Shape: (N, H, W, 3) -> (N, H / 8, W / 8, number of the cell's outputs * num_conv_filters / 2)
    """
    filters = int(32 * config.stem_multiplier)
    net = conv2d(inputs, filters, [3, 3], stride=2, scope="conv0", padding="VALID")
    net = batch_norm(net, scope="conv0_bn")
    previous = None
    scaling = 1 / config.filter_scaling_rate**2
    for number in range(2):
        options = config.options(scaling, 2, number, total_cells)
        previous, net = net, conv_cell(net, previous, cell, options, f"cell_stem_{number}")
        scaling *= config.filter_scaling_rate
    return previous, end_point("Stem", net)


def auxiliary_head(
    net: Tensor, num_classes: int, activate: Callable[[Tensor], Tensor], scope: str
) -> None:
    """Classify from the middle of the network, as Inception does.

    Shape: (N, H, W, C) -> (N, num_classes), published as AuxLogits
    """
    net = activate(net)
    with variable_scope(scope), variable_scope("aux_logits"):
        net = avg_pool2d(net, [5, 5], stride=3, padding="VALID")
        net = conv2d(net, 128, [1, 1], scope="proj")
        net = activate(batch_norm(net, scope="aux_bn0"))
        _, height, width, _ = net.shape
        net = conv2d(net, 768, [height or 1, width or 1], padding="VALID")
        net = activate(batch_norm(net, scope="aux_bn1"))
        end_point("AuxLogits", fully_connected(flatten(net), num_classes))


# Called with the output of each numbered cell, once it is built.
EndCell = Callable[[Tensor, int], None]
# Builds a network up to its last cell.
Trunk = Callable[[Tensor, Config, EndCell], Tensor]


def stack_cells(
    states: States, config: Config, first: int, total_cells: int, end_cell: EndCell
) -> Tensor:
    """Stack normal cells, with a reduction cell before some; `first` is the first one's number.

    Shape: (N, H, W, C) -> (N, H / 4, W / 4, 24 * num_conv_filters) with the default reductions
    """
    previous, net = states
    scaling, place = 1.0, first
    for number in range(config.num_cells):
        skipped = previous
        if number in config.reductions:
            scaling *= config.filter_scaling_rate
            options = config.options(scaling, 2, place, total_cells)
            index = config.reductions.index(number)
            scope = f"reduction_cell_{index}"
            previous, net = net, conv_cell(net, previous, REDUCTION_CELL, options, scope)
            end_point(f"Reduction_Cell_{index}", net)
            place += 1
        if not config.skip_reduction_layer_input:
            skipped = previous
        options = config.options(scaling, 1, place, total_cells)
        previous, net = net, conv_cell(net, skipped, NORMAL_CELL, options, f"cell_{number}")
        end_cell(net, number)
        place += 1
    return net


def cifar_trunk(inputs: Tensor, config: Config, end_cell: EndCell) -> Tensor:
    """Stack the cells on a convolution: Figure 2, left."""
    total_cells = config.num_cells + 2  # TF-Slim counts two reductions, however many there are
    return stack_cells(cifar_stem(inputs, config), config, 0, total_cells, end_cell)


def imagenet_trunk(inputs: Tensor, config: Config, end_cell: EndCell) -> Tensor:
    """Stack the cells on a convolution and two reduction cells: Figure 2, right."""
    total_cells = config.num_cells + 4
    states = imagenet_stem(inputs, config, REDUCTION_CELL, total_cells)
    return stack_cells(states, config, 2, total_cells, end_cell)


def make_network(name: str, description: str, defaults: Config, trunk: Trunk) -> Network:
    """Return the network function of a configuration: trunk, auxiliary head and classifier."""

    def network(
        inputs: Tensor,
        num_classes: NumClasses,
        is_training: bool = True,
        num_cells: CellCount = defaults.num_cells,
        num_conv_filters: FilterCount = defaults.num_conv_filters,
        stem_multiplier: Factor = defaults.stem_multiplier,
        dense_dropout_keep_prob: KeepProbability = defaults.dense_dropout_keep_prob,
        drop_path_keep_prob: KeepProbability = defaults.drop_path_keep_prob,
        skip_reduction_layer_input: bool = defaults.skip_reduction_layer_input,
        filter_scaling_rate: Factor = defaults.filter_scaling_rate,
        num_reduction_layers: ReductionCount = defaults.num_reduction_layers,
        use_aux_head: bool = defaults.use_aux_head,
        use_bounded_activation: bool = defaults.use_bounded_activation,
        total_training_steps: Later[Count] = defaults.total_training_steps,
        current_step: Later[Step] = 0,
    ) -> Tensor:
        config = Config(
            num_cells,
            num_conv_filters,
            stem_multiplier,
            dense_dropout_keep_prob,
            drop_path_keep_prob if is_training else 1.0,
            skip_reduction_layer_input,
            filter_scaling_rate,
            num_reduction_layers,
            use_aux_head,
            use_bounded_activation,
            total_training_steps,
            current_step,
        )
        activate = relu6 if use_bounded_activation else relu
        has_aux_head = is_training and use_aux_head and num_reduction_layers >= 2

        def end_cell(net: Tensor, number: int) -> None:
            end_point(f"Cell_{number}", net)
            if has_aux_head and num_classes and number == config.reductions[1] - 1:
                auxiliary_head(net, num_classes, activate, f"aux_{number}")

        with arg_scope([dropout, drop_path, batch_norm], is_training=is_training):
            net = trunk(inputs, config, end_cell)
            with variable_scope("final_layer"):
                net = end_point("global_pool", global_avg_pool(activate(net)))
                if not num_classes:
                    return net
                net = dropout(net, dense_dropout_keep_prob, scope="dropout")
                logits = end_point("Logits", fully_connected(net, num_classes))
                end_point("Predictions", softmax(logits))
        return logits

    network.__name__ = name
    network.__doc__ = description
    return network


# num_cells, num_conv_filters, stem_multiplier, dense_dropout_keep_prob, drop_path_keep_prob,
# skip_reduction_layer_input
CIFAR = Config(18, 32, 3.0, 1.0, 0.6, False, total_training_steps=937_500)
MOBILE = Config(12, 44, 1.0, 0.5, 1.0, False)
LARGE = Config(18, 168, 3.0, 0.5, 0.7, True)

SOURCE = "arXiv:1707.07012, Figures 2 and 4"

nasnet_cifar = architecture(
    arg_scope=nasnet_cifar_arg_scope,
    input_shape=(32, 32, 3),
    preprocessing="cifarnet",
    source=SOURCE,
    classes=10,
)(make_network("nasnet_cifar", "Build NASNet-A (6 @ 768) for CIFAR.", CIFAR, cifar_trunk))

nasnet_mobile = architecture(
    arg_scope=nasnet_mobile_arg_scope,
    input_shape=(224, 224, 3),
    preprocessing="inception",
    source=SOURCE,
    classes=1001,
    background=True,
)(make_network("nasnet_mobile", "Build NASNet-A (4 @ 1056).", MOBILE, imagenet_trunk))

nasnet_large = architecture(
    arg_scope=nasnet_large_arg_scope,
    input_shape=(331, 331, 3),
    preprocessing="inception",
    source=SOURCE,
    classes=1001,
    background=True,
)(make_network("nasnet_large", "Build NASNet-A (6 @ 4032).", LARGE, imagenet_trunk))
