"""What is said of an argument that a function here does not have: a typing error, or TF-Slim's.

TF-Slim's functions have arguments that mean nothing here. A request that comes from its code is
told why, and to leave them out, in place of the nearest name.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from model_zoo.errors import Problem, unknown_name


class Meaningless(NamedTuple):
    """Arguments of TF-Slim's functions, by patterns of both names, and why they mean nothing."""

    functions: tuple[str, ...]
    arguments: tuple[str, ...]
    reason: str


_LAYERS = ("conv*d", "conv2d_transpose", "separable_conv2d", "fully_connected", "bias_add")
_NORMALIZERS = ("batch_norm", "group_norm", "instance_norm", "layer_norm")
_POOLS = ("avg_pool*", "max_pool*")
_BLOCKS = ("bottleneck", "stack_blocks_dense", "xception_module")
_MOBILENETS = ("mobilenet_v[123]*", "mobilenet_edgetpu*")
_NASNETS = ("nasnet_*", "pnasnet_*")
_NETWORKS = (
    *("alexnet_v2", "cifarnet", "i3d", "inception_v[1234]", "inception_resnet_v2", "lenet"),
    *("overfeat", "resnet_v[12]_*", "s3dg", "vgg_*", "xception_[0-9]*", *_MOBILENETS, *_NASNETS),
)
_NO_STEPS = "it corrects statistics from step to step of a training run, and a build has no steps"
_NO_CODE = "it is a Python function, and a request holds no code"
_CHANNELS_LAST = "the channels of every tensor come last"

# The first row that fits counts. From the signatures of tf_slim 1.1 and of research/slim/nets.
_TABLE = (
    Meaningless(
        ("batch_norm",),
        ("updates_collections",),
        "there are no collections, and training alone updates moving averages",
    ),
    Meaningless(
        (*_LAYERS, *_NORMALIZERS),
        ("variables_collections",),
        "there are no collections, and a build keeps all its variables",
    ),
    Meaningless(
        (*_LAYERS, *_NORMALIZERS, *_POOLS, *_BLOCKS, "dropout", "flatten", "separable_conv2d_same"),
        ("outputs_collections",),
        "there are no collections, and networks publish their end points",
    ),
    Meaningless(
        ("*_arg_scope",),
        ("batch_norm_updates_collections", "batch_norm_var_collection", "updates_collections"),
        "there are no collections",
    ),
    Meaningless(
        ("inception_v3_arg_scope",),
        ("use_fused_batchnorm",),
        "batch norm is fused wherever it can be; a scope of batch_norm can set fused to false",
    ),
    Meaningless(
        (
            *("conv*d", "conv2d_transpose", "separable_conv2d", "bias_add", *_POOLS),
            *("batch_norm", "instance_norm", "conv3d_spatiotemporal", "inception_block_v1_3d"),
            *("factorized_reduction", "global_avg_pool", "inception_v2", "s3dg", *_NASNETS),
            "separable_conv2d_same",
        ),
        ("data_format",),
        _CHANNELS_LAST,
    ),
    Meaningless(("group_norm",), ("channels_axis",), _CHANNELS_LAST),
    Meaningless(
        ("group_norm",), ("mean_close_to_zero",), "it changes how moments are rounded, not what"
    ),
    Meaningless(
        ("batch_norm",),
        ("zero_debias_moving_mean", "renorm", "renorm_clipping", "renorm_decay"),
        _NO_STEPS,
    ),
    Meaningless(("i3d_arg_scope",), ("use_renorm",), _NO_STEPS),
    Meaningless(("batch_norm",), ("batch_weights",), "the rows of a batch count alike"),
    Meaningless(("batch_norm",), ("adjustment",), _NO_CODE),
    Meaningless(("expanded_conv",), ("depthwise_fn", "expansion_fn", "projection_fn"), _NO_CODE),
    Meaningless(
        ("expanded_conv", "split_separable_conv2d"),
        ("endpoints",),
        "networks publish their end points",
    ),
    Meaningless(
        ("inception_block_v1_3d",),
        ("self_gating_fn",),
        "it is a Python function; gating says whether there is S3D-G's",
    ),
    Meaningless(
        ("squeeze_excite",), ("squeeze_input_tensor",), "it is a tensor, which only a network has"
    ),
    Meaningless(("apply_drop_path",), ("use_summaries",), "no summaries are written in training"),
    Meaningless(
        ("cifarnet", "i3d", "inception_v[123]", "lenet", "s3dg", *_MOBILENETS),
        ("prediction_fn",),
        "predictions are always the softmax of the logits",
    ),
    Meaningless(_MOBILENETS, ("conv_defs",), "each name in the catalogue has a table of its own"),
    Meaningless(_NASNETS, ("config",), "each of its fields is a parameter by itself"),
    Meaningless(
        ("xception_[0-9]*",), ("sync_batch_norm_method",), "a batch is never spread over devices"
    ),
    Meaningless(_NETWORKS, ("reuse",), "every build has variables of its own"),
)


def unknown_argument(
    functions: Sequence[str],
    argument: str,
    valid: Iterable[str],
    pointer: str = "",
    *,
    rule: str | None = None,
) -> Problem:
    """Return the problem of an argument that functions of these names lack.

    `rule` says what is wrong, unless TF-Slim explains the argument; `valid` are the names there
    are.
    """
    meaningless = meaningless_argument(functions, argument)
    if meaningless is not None:
        return Problem(meaningless, pointer, argument)
    have = "has" if len(functions) == 1 else "have"
    rule = rule or f"{' and '.join(functions)} {have} no argument {argument!r}."
    return unknown_name(pointer, rule, argument, valid)


def meaningless_argument(functions: Sequence[str], argument: str) -> str | None:
    """Return what is said of an argument that only TF-Slim's functions of these names have."""
    slim = [name for name in functions if _reason(name, argument)]
    if not slim:
        return None
    return (
        f"TF-Slim's {' and '.join(slim)} {'has' if len(slim) == 1 else 'have'} {argument!r}, which "
        f"means nothing here: {_reason(slim[0], argument)}. Leave it out."
    )


def _reason(function: str, argument: str) -> str | None:
    """Return why an argument of TF-Slim's function means nothing; None if it has none such."""
    for row in _TABLE:
        if argument in row.arguments and any(_fits(function, name) for name in row.functions):
            return row.reason
    return None


def _fits(function: str, pattern: str) -> bool:
    # A pattern of networks does not mean their default scopes.
    is_scope = function.endswith("_arg_scope")
    return is_scope == pattern.endswith("_arg_scope") and fnmatchcase(function, pattern)
