"""Builds of every architecture that are small enough to compute in a test."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo import BuildSpec, Trace, trace

_BY_FAMILY: dict[str, dict[str, Any]] = {
    "lenet": {},
    "cifarnet": {},
    "alexnet": {"input_shape": [195, 195, 3]},
    "overfeat": {"input_shape": [231, 231, 3]},
    "vgg": {"input_shape": [32, 32, 3], "params": {"fc_conv_padding": "SAME"}},
    "inception_v1": {"input_shape": [32, 32, 3], "params": {"global_pool": True}},
    "inception_v2": {"input_shape": [32, 32, 3], "params": {"depth_multiplier": 0.25}},
    "inception_v3": {"input_shape": [107, 107, 3], "params": {"depth_multiplier": 0.1}},
    "inception": {"input_shape": [107, 107, 3]},
    "resnet": {"input_shape": [33, 33, 3]},
    "xception": {"input_shape": [33, 33, 3]},
    "mobilenet": {"input_shape": [64, 64, 3]},
    "nasnet": {"input_shape": [64, 64, 3]},
    "pnasnet": {"input_shape": [64, 64, 3]},
    "i3d": {"input_shape": [8, 32, 32, 3]},
    "s3dg": {"input_shape": [8, 32, 32, 3]},
}


# One network of each module of `model_zoo.architectures`, and both of those that have two families.
FAMILIES = (
    "alexnet_v2",
    "cifarnet",
    "i3d",
    "inception_resnet_v2",
    "inception_v1",
    "inception_v2",
    "inception_v3",
    "inception_v4",
    "lenet",
    "mobilenet_v1_025",
    "mobilenet_v2_035",
    "mobilenet_v3_small",
    "nasnet_mobile",
    "overfeat",
    "pnasnet_mobile",
    "resnet_v1_50",
    "resnet_v2_50",
    "s3dg",
    "vgg_a",
    "xception_41",
)
# What comes after these are layers like those before, or like the heads of other networks: of
# hundreds of megabytes, or many times. All together have every kind of layer, as
# `test_every_architecture_is_made_of_layers_that_were_exported` checks.
_ENDS = {
    "alexnet_v2": "alexnet_v2/pool5",
    "inception_resnet_v2": "Mixed_6a",
    "inception_v1": "Mixed_4b",
    "inception_v4": "Mixed_6b",
    "mobilenet_v2_035": "layer_9",
    "nasnet_mobile": "Cell_1",
    "overfeat": "overfeat/conv3",
    "pnasnet_mobile": "Cell_1",
    "resnet_v1_50": "resnet_v1_50/block2",
    "resnet_v2_50": "resnet_v2_50/block2",
    "s3dg": "Mixed_3c",
    "vgg_a": "vgg_a/pool3",
    "xception_41": "xception_41/entry_flow/block3",
}


@cache
def default_trace(name: str) -> Trace:
    """Return the trace of an architecture as it is: one for all tests of a process, to be read."""
    return trace(BuildSpec.read({"architecture": name}))


def family_spec(name: str, **wire: Any) -> dict[str, Any]:
    """Return the wire form of a small build of a family, which may end early."""
    spec = {**small_spec(name), **wire}
    if name in _ENDS:
        spec["params"] = {**spec["params"], "final_endpoint": _ENDS[name]}
    return spec


def small_spec(name: str, num_classes: int | None = 5) -> dict[str, Any]:
    """Return the wire form of a small build."""
    family = max((known for known in _BY_FAMILY if name.startswith(known)), key=len)
    wire = _BY_FAMILY[family]
    return {
        "architecture": name,
        **wire,
        "params": {"num_classes": num_classes, **wire.get("params", {})},
    }


def random_rows(count: int, shape: tuple[int | None, ...], seed: int = 0) -> NDArray[np.float32]:
    """Return inputs for a network's input shape, (None, ...)."""
    sizes = (count, *(size or 1 for size in shape[1:]))
    return np.random.RandomState(seed).normal(size=sizes).astype(np.float32)
