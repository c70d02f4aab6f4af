"""PNASNet-5: one cell found by progressive search, with stride 2 where the grid halves.

Source: arXiv:1712.00559, Figure 1; the sizes are those of pnasnet_mobile.

    end point     output          contents
    Stem          28 x 28 x 135   3x3 convolution, two cells with stride 2
    Cell_0 .. 2   28 x 28 x 270
    Cell_3 .. 5   14 x 14 x 540   Cell_3 with stride 2
    Cell_6 .. 8    7 x  7 x 1080  Cell_6 with stride 2

Differs from the paper as NASNet does (see `nasnet`).
"""

from model_zoo.architectures.nasnet import (
    Config,
    EndCell,
    imagenet_stem,
    make_network,
    nasnet_arg_scope,
)
from model_zoo.architectures.nasnet_cells import Block, Cell, Identity, Pool, Separable, conv_cell
from model_zoo.architectures.registry import architecture
from model_zoo.errors import BuildError
from model_zoo.graph import Tensor
from model_zoo.layers.arguments import Decay, Epsilon
from model_zoo.scope_chain import ArgScope
from model_zoo.values import NonNegative


def pnasnet_arg_scope(
    weight_decay: NonNegative = 4e-5,
    batch_norm_decay: Decay = 0.9997,
    batch_norm_epsilon: Epsilon = 0.001,
) -> ArgScope:
    """Return TF-Slim's default scope of PNASNet: NASNet's, with its own defaults."""
    return nasnet_arg_scope(weight_decay, batch_norm_decay, batch_norm_epsilon)


# left state, its operation, right state, its operation
CELL = Cell(
    blocks=(
        Block(1, Separable(5), 1, Pool("max", 3)),
        Block(0, Separable(7), 0, Pool("max", 3)),
        Block(0, Separable(5), 0, Separable(3)),
        Block(4, Separable(3), 0, Pool("max", 3)),
        Block(1, Separable(3), 0, Identity()),
    ),
    outputs=(2, 3, 4, 5, 6),
)


def pnasnet_trunk(inputs: Tensor, config: Config, end_cell: EndCell) -> Tensor:
    """Stack the cell on a convolution and two cells with stride 2.

    Without `skip_reduction_layer_input`, a cell with stride 2 reads the older output that the cell
    before it read.

    Raises: BuildError if there is no cell before it.
    """
    total_cells = config.num_cells + 2
    previous, net = imagenet_stem(inputs, config, CELL, total_cells)
    scaling = 1.0
    older = None
    for number in range(config.num_cells):
        is_reduction = number in config.reductions
        if is_reduction:
            scaling *= config.filter_scaling_rate
        if config.skip_reduction_layer_input or not is_reduction:
            older = previous
        elif number == 0:
            raise BuildError(
                "without skip_reduction_layer_input the first cell cannot have stride 2, as it has "
                f"with num_cells {config.num_cells} and num_reduction_layers "
                f"{config.num_reduction_layers}; num_cells above num_reduction_layers would do.",
                received=config.num_cells,
            )
        options = config.options(scaling, 2 if is_reduction else 1, number + 2, total_cells)
        previous, net = net, conv_cell(net, older, CELL, options, f"cell_{number}")
        end_cell(net, number)
    return net


# num_cells, num_conv_filters, stem_multiplier, dense_dropout_keep_prob, drop_path_keep_prob,
# skip_reduction_layer_input
MOBILE = Config(9, 54, 1.0, 0.5, 1.0, True)
LARGE = Config(12, 216, 3.0, 0.5, 0.6, True)

SOURCE = "arXiv:1712.00559, Figure 1"

pnasnet_mobile = architecture(
    arg_scope=pnasnet_arg_scope,
    input_shape=(224, 224, 3),
    preprocessing="inception",
    source=SOURCE,
    classes=1001,
    background=True,
)(make_network("pnasnet_mobile", "Build PNASNet-5 (N = 3, F = 54).", MOBILE, pnasnet_trunk))

pnasnet_large = architecture(
    arg_scope=pnasnet_arg_scope,
    input_shape=(331, 331, 3),
    preprocessing="inception",
    source=SOURCE,
    classes=1001,
    background=True,
)(make_network("pnasnet_large", "Build PNASNet-5 (N = 4, F = 216).", LARGE, pnasnet_trunk))
