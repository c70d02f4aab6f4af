"""Builds of every architecture that are small enough to compute in a test."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
