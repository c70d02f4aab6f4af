"""The workload: the networks, a picture and a tensor, the same in every run."""

import functools
import io
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

Array = npt.NDArray[np.float32]
Form = Literal["jpeg", "tensor"]
FORMS: Mapping[Form, str] = {"jpeg": "JPEG file", "tensor": "binary tensor"}

# Random weights of seed 0. These scope arguments keep the logits near 1; with TF-Slim's own,
# random weights give every class of MobileNet the same probability, and one of ResNet's all.
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "mobilenet_v1": {
        "architecture": "mobilenet_v1",
        "params": {"num_classes": 1000},
        "input_shape": [224, 224, 3],
        "default_scope": {"stddev": 0.23},
    },
    "resnet_v1_50": {
        "architecture": "resnet_v1_50",
        "params": {"num_classes": 1000},
        "input_shape": [224, 224, 3],
        "default_scope": {"batch_norm_epsilon": 5},
    },
}
TITLES = {"mobilenet_v1": "MobileNet v1", "resnet_v1_50": "ResNet-50"}
BEST = 5


@functools.cache
def picture(*, mirrored: bool = False) -> bytes:
    """Return a JPEG file of 500 x 375 pixels: surfaces, edges and grain, as a photograph has."""
    height, width = 375, 500
    noise = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    pixels = np.stack([0.55 + 0.3 * y, 0.65 - 0.1 * y, 0.85 - 0.5 * y], axis=-1)
    for _ in range(40):  # discs with soft shading, from far to near
        center_y, center_x = noise.uniform(0, 1, 2)
        radius, shade = noise.uniform(0.03, 0.16), noise.uniform(0.5, 2.0)
        color = noise.uniform(0.05, 0.95, 3).astype(np.float32)
        distance = np.hypot((y - center_y) * height / width, x - center_x) / radius
        inside = (distance < 1)[..., np.newaxis]
        pixels = np.where(inside, color * (1 - 0.5 * distance**shade)[..., np.newaxis], pixels)
    for octave in range(2, 8):  # texture: as much of every scale as photographs have
        rough = noise.normal(0, 1, (2**octave, 2**octave, 3)).astype(np.float32)
        rows = (y * (2**octave - 1)).astype(np.intp)
        columns = (x * (2**octave - 1)).astype(np.intp)
        pixels = pixels + rough[rows, columns] * 0.12 / octave
    pixels = pixels + noise.normal(0, 0.015, pixels.shape)
    data = (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(data[::-1, ::-1] if mirrored else data).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def tensor(shape: tuple[int, ...]) -> Array:
    """Return one row of numbers.

    Shape: -> (1, *shape)
    """
    numbers = np.random.default_rng(11).uniform(-1, 1, (1, *shape))
    return numbers.astype(np.float32)
