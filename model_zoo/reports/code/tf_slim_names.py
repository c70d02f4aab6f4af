"""Where TF-Slim has our networks and ops, and which of their arguments it lacks.

Source: tf_slim 1.1.0, and research/slim and research/deeplab of tensorflow/models at commit
0d9ef8d392c747194972fed483dc2fcd54ed1f99. A test compares these names with the signatures there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# The ops that TF-Slim itself has, under the same names.
SLIM_OPS = frozenset(
    {
        "avg_pool2d",
        "avg_pool3d",
        "batch_norm",
        "bias_add",
        "conv2d",
        "conv2d_transpose",
        "conv3d",
        "dropout",
        "flatten",
        "fully_connected",
        "group_norm",
        "instance_norm",
        "layer_norm",
        "max_pool2d",
        "max_pool3d",
        "separable_conv2d",
        "softmax",
    }
)
_KEEP_PROB = {"dropout": frozenset({"keep_prob"})}
_POOL_STRIDE = {"max_pool2d": frozenset({"stride"})}
_CONV_STRIDE = {"conv2d": frozenset({"stride"})}
_CONV_BLOCKS = "nets.mobilenet.conv_blocks"
_NASNET_OPS = dict.fromkeys(
    ("drop_path", "factorized_reduction", "global_avg_pool"), "nets.nasnet.nasnet_utils"
)
_MOBILENET_OPS = {
    **dict.fromkeys(("expanded_conv", "split_separable_conv2d", "squeeze_excite"), _CONV_BLOCKS),
    "depth_multiplier": "nets.mobilenet.mobilenet",
}
_I3D_OPS = dict.fromkeys(("conv3d_spatiotemporal", "inception_block_v1_3d"), "nets.i3d_utils")
_INCEPTION_BLOCK_LACKS = {"inception_block_v1_3d": frozenset({"gating"})}
_MOBILENET_LACKS = {
    "depth_multiplier": frozenset({"num_outputs"}),
    "expanded_conv": frozenset({"expansion_kernel_size", "expansion_stride"}),
}
# Arguments of the networks that are fields of TF-Slim's `config`, and those that it has as 0 or 1.
NASNET_CONFIG = frozenset(
    {
        "dense_dropout_keep_prob",
        "drop_path_keep_prob",
        "filter_scaling_rate",
        "num_cells",
        "num_conv_filters",
        "num_reduction_layers",
        "skip_reduction_layer_input",
        "stem_multiplier",
        "total_training_steps",
        "use_aux_head",
        "use_bounded_activation",
    }
)
NUMBERS_OF_CONFIG = frozenset({"skip_reduction_layer_input", "use_aux_head"})


@dataclass(frozen=True, slots=True)
class SlimNetwork:
    """A network of TF-Slim: the module with its function and with that of its default scope.

    `lacks` are parameters that only ours has, `op_lacks` such arguments of ops. `ops` are modules
    of ops that are not TF-Slim's own. `positional` are arguments that the network passes to ops by
    position, beside those without a default: Python refuses a scope that gives them again.
    `config` is the function that makes what `NASNET_CONFIG` sets. `ends` fits the end points at
    which the network can end; it is None for a network without `final_endpoint`.
    """

    module: str
    function: str
    arg_scope: str
    lacks: frozenset[str] = frozenset()
    ops: Mapping[str, str] = field(default_factory=dict)
    op_lacks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    positional: Mapping[str, frozenset[str]] = field(default_factory=dict)
    config: str | None = None
    ends: str | None = None
    # Xception is of the time when TF-Slim was a part of TensorFlow 1.
    needs_contrib: bool = False


def _mobilenet_v1(name: str) -> SlimNetwork:
    return SlimNetwork(
        "nets.mobilenet_v1",
        name,
        "mobilenet_v1_arg_scope",
        lacks=frozenset({"output_stride", "use_explicit_padding"}),
    )


def _mobilenet(module: str, function: str) -> SlimNetwork:
    return SlimNetwork(
        f"nets.mobilenet.{module}",
        function,
        "training_scope",
        ops=_MOBILENET_OPS,
        op_lacks=_MOBILENET_LACKS,
        ends=".*",
    )


def _nasnet(function: str, config: str, ends: str | None) -> SlimNetwork:
    return SlimNetwork(
        "nets.nasnet.nasnet",
        f"build_{function}",
        f"{function}_arg_scope",
        lacks=frozenset({"current_step"}),
        ops=_NASNET_OPS,
        positional=_KEEP_PROB,
        config=config,
        ends=ends,
    )


def _pnasnet(size: str) -> SlimNetwork:
    return SlimNetwork(
        "nets.nasnet.pnasnet",
        f"build_pnasnet_{size}",
        f"pnasnet_{size}_arg_scope",
        lacks=frozenset({"current_step"}),
        ops=_NASNET_OPS,
        positional=_KEEP_PROB,
        config=f"{size}_imagenet_config",
        ends=r"Stem|Cell_\d+|global_pool",
    )


def _resnet(version: str, layers: int) -> SlimNetwork:
    is_v1 = version == "v1"
    passed = {"output_stride", "store_non_strided_activations"} if is_v1 else {"output_stride"}
    bottleneck = {"preactivation"} if is_v1 else {"preactivation", "use_bounded_activations"}
    return SlimNetwork(
        f"nets.resnet_{version}",
        f"resnet_{version}_{layers}",
        "resnet_arg_scope",
        lacks=frozenset({"include_root_block"}),
        ops={
            "bottleneck": f"nets.resnet_{version}",
            "stack_blocks_dense": "nets.resnet_utils",
        },
        op_lacks={"bottleneck": frozenset(bottleneck)},
        positional={"stack_blocks_dense": frozenset(passed)},
    )


def _xception(layers: int) -> SlimNetwork:
    return SlimNetwork(
        "deeplab.core.xception",
        f"xception_{layers}",
        "xception_arg_scope",
        lacks=frozenset({"use_squeeze_excite", "se_pool_size"}),
        ops=dict.fromkeys(
            ("separable_conv2d_same", "stack_blocks_dense", "xception_module"),
            "deeplab.core.xception",
        ),
        op_lacks={"stack_blocks_dense": frozenset({"store_non_strided_activations"})},
        positional={"stack_blocks_dense": frozenset({"output_stride"})},
        needs_contrib=True,
    )


def _vgg(name: str) -> SlimNetwork:
    return SlimNetwork("nets.vgg", name, "vgg_arg_scope", positional=_KEEP_PROB)


_NASNET_ENDS = r"Stem|(Reduction_)?Cell_\d+|global_pool"
SLIM_NETWORKS: Mapping[str, SlimNetwork] = {
    "alexnet_v2": SlimNetwork(
        "nets.alexnet",
        "alexnet_v2",
        "alexnet_v2_arg_scope",
        positional={**_CONV_STRIDE, **_POOL_STRIDE, **_KEEP_PROB},
    ),
    "cifarnet": SlimNetwork(
        "nets.cifarnet",
        "cifarnet",
        "cifarnet_arg_scope",
        positional={**_POOL_STRIDE, **_KEEP_PROB},
    ),
    "i3d": SlimNetwork(
        "nets.i3d",
        "i3d",
        "i3d_arg_scope",
        ops=_I3D_OPS,
        op_lacks=_INCEPTION_BLOCK_LACKS,
        positional=_KEEP_PROB,
    ),
    "inception_resnet_v2": SlimNetwork(
        "nets.inception_resnet_v2",
        "inception_resnet_v2",
        "inception_resnet_v2_arg_scope",
        lacks=frozenset({"align_feature_maps", "output_stride"}),
        positional=_KEEP_PROB,
    ),
    "inception_v1": SlimNetwork(
        "nets.inception_v1",
        "inception_v1",
        "inception_v1_arg_scope",
        lacks=frozenset({"include_root_block"}),
        positional=_KEEP_PROB,
    ),
    "inception_v2": SlimNetwork(
        "nets.inception_v2",
        "inception_v2",
        "inception_v2_arg_scope",
        lacks=frozenset({"include_root_block", "use_separable_conv"}),
    ),
    "inception_v3": SlimNetwork("nets.inception_v3", "inception_v3", "inception_v3_arg_scope"),
    "inception_v4": SlimNetwork(
        "nets.inception_v4", "inception_v4", "inception_v4_arg_scope", positional=_KEEP_PROB
    ),
    "lenet": SlimNetwork(
        "nets.lenet", "lenet", "lenet_arg_scope", positional={**_POOL_STRIDE, **_KEEP_PROB}
    ),
    "mobilenet_edgetpu": _mobilenet("mobilenet_v3", "edge_tpu"),
    "mobilenet_edgetpu_075": _mobilenet("mobilenet_v3", "edge_tpu_075"),
    "mobilenet_v1": _mobilenet_v1("mobilenet_v1"),
    "mobilenet_v1_025": _mobilenet_v1("mobilenet_v1_025"),
    "mobilenet_v1_050": _mobilenet_v1("mobilenet_v1_050"),
    "mobilenet_v1_075": _mobilenet_v1("mobilenet_v1_075"),
    "mobilenet_v2": _mobilenet("mobilenet_v2", "mobilenet"),
    "mobilenet_v2_035": _mobilenet("mobilenet_v2", "mobilenet_v2_035"),
    "mobilenet_v2_050": _mobilenet("mobilenet_v2", "mobilenet_v2_050"),
    "mobilenet_v2_140": _mobilenet("mobilenet_v2", "mobilenet_v2_140"),
    "mobilenet_v3_large": _mobilenet("mobilenet_v3", "large"),
    "mobilenet_v3_large_minimalistic": _mobilenet("mobilenet_v3", "large_minimalistic"),
    "mobilenet_v3_small": _mobilenet("mobilenet_v3", "small"),
    "mobilenet_v3_small_minimalistic": _mobilenet("mobilenet_v3", "small_minimalistic"),
    "nasnet_cifar": _nasnet("nasnet_cifar", "cifar_config", None),
    "nasnet_large": _nasnet("nasnet_large", "large_imagenet_config", _NASNET_ENDS),
    "nasnet_mobile": _nasnet("nasnet_mobile", "mobile_imagenet_config", _NASNET_ENDS),
    "overfeat": SlimNetwork(
        "nets.overfeat", "overfeat", "overfeat_arg_scope", positional={**_CONV_STRIDE, **_KEEP_PROB}
    ),
    "pnasnet_large": _pnasnet("large"),
    "pnasnet_mobile": _pnasnet("mobile"),
    **{
        f"resnet_{version}_{layers}": _resnet(version, layers)
        for version in ("v1", "v2")
        for layers in (50, 101, 152, 200)
    },
    "s3dg": SlimNetwork(
        "nets.s3dg",
        "s3dg",
        "s3dg_arg_scope",
        ops=_I3D_OPS,
        op_lacks=_INCEPTION_BLOCK_LACKS,
        positional=_KEEP_PROB,
        ends=".*",
    ),
    "vgg_16": _vgg("vgg_16"),
    "vgg_19": _vgg("vgg_19"),
    "vgg_a": _vgg("vgg_a"),
    "xception_41": _xception(41),
    "xception_65": _xception(65),
    "xception_71": _xception(71),
}
