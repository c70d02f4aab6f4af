"""From an image's pixels to the array that a network reads, as TF-Slim's evaluation does it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import InputError, unknown_name
from model_zoo.image_files import Pixels

Array = NDArray[np.float32]
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes an input: `function` takes (H, W, C) bytes and the height and width."""

    name: str
    description: str
    function: Callable[[Pixels, int, int], Array]


def preprocess(name: str, image: Pixels, shape: Shape) -> Array:
    """Return an image as a network's input.

    Shape: (H, W, C) -> shape, which is (height, width, C)
    Raises: InputError if there is no such preprocessing, the image is not bytes in (H, W, C), or
    the network takes video.
    """
    preprocessing = PREPROCESSINGS.get(name)
    if preprocessing is None:
        what = f"There is no preprocessing {name!r}."
        raise InputError(unknown_name("", what, name, PREPROCESSINGS))
    if len(shape) != 3:
        raise InputError(
            f"The network takes video of shape {list(shape)}, not images: send an array."
        )
    height, width, channels = shape
    if image.dtype != np.uint8 or image.ndim != 3 or 0 in image.shape:
        raise InputError(
            f"An image to preprocess is a uint8 array of shape (height, width, {channels}); "
            f"this one is {image.dtype} of shape {image.shape}."
        )
    if image.shape[2] != channels:
        raise InputError(f"The image has {image.shape[2]} channels, and the network {channels}.")
    return preprocessing.function(image, height, width)


def _inception(image: Pixels, height: int, width: int) -> Array:
    cropped = _central_crop(image, 0.875)
    taps_y, taps_x = _taps(cropped.shape[0], height), _taps(cropped.shape[1], width)
    scaled = _resize_bilinear(cropped, taps_y, taps_x, 1 / 255)
    scaled -= np.float32(0.5)
    scaled *= np.float32(2)
    return scaled


# Red, green, blue over ImageNet's training set; VGG's authors published them with the weights.
_IMAGENET_MEANS = np.array([123.68, 116.78, 103.94], np.float32)


def _vgg(image: Pixels, height: int, width: int) -> Array:
    if image.shape[2] != 3:
        raise InputError(
            "The vgg preprocessing subtracts the means of three channels; this network takes "
            f"{image.shape[2]}: send an array."
        )
    # Only the pixels that the crop keeps are made: a narrow image would become a huge one.
    scale = np.float32(max(256, height, width)) / np.float32(min(image.shape[:2]))
    taps = []
    for size, crop in zip(image.shape[:2], (height, width), strict=True):
        new_size = int(np.rint(np.float32(size) * scale))
        taps.append(_taps(size, new_size, (new_size - crop) // 2, crop))
    resized = _resize_bilinear(image, taps[0], taps[1], 1.0)
    resized -= _IMAGENET_MEANS
    return resized


def _central_crop(image: Pixels, fraction: float) -> Pixels:
    """Crop as `tf.image.central_crop`, rounding where it rounds."""
    height, width = image.shape[:2]
    top = int((height - height * fraction) / 2)
    left = int((width - width * fraction) / 2)
    return image[top : height - top, left : width - left]


def _resize_bilinear(image: Pixels, taps_y: "_Taps", taps_x: "_Taps", factor: float) -> Array:
    """Scale values by a factor, then resize as TensorFlow 1's `resize_bilinear`.

    Output pixel i reads at i * in / out: corners are not aligned, there is no half-pixel shift, and
    no antialiasing. Four pixels make each output pixel, left to right and then top to bottom; two
    neighbouring rows of the output share most of their rows of the image, so each of those is mixed
    once. Beside the image, memory is a few times that of the output.
    """
    low_y, high_y, weight_y = taps_y
    rows = np.union1d(low_y, high_y)
    tops, bottoms = np.searchsorted(rows, low_y), np.searchsorted(rows, high_y)
    mixed = _mix_columns(image, rows, taps_x, factor)
    result = np.empty((len(low_y), mixed.shape[1]), np.float32)
    for start in range(0, len(result), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        # In "raise" mode NumPy would take into a buffer first, which costs as much as the rest.
        top = mixed.take(tops[block], axis=0, mode="wrap")
        bottom = mixed.take(bottoms[block], axis=0, out=result[block], mode="wrap")
        bottom -= top
        bottom *= weight_y[block, np.newaxis]
        bottom += top
    return result.reshape(len(result), -1, image.shape[2])


def _mix_columns(image: Pixels, rows: NDArray[np.intp], taps_x: "_Taps", factor: float) -> Array:
    """Resize the given rows of an image in width alone.

    Shape: (H, W, C) -> (rows, columns * C)
    """
    low, high, weight = taps_x
    channels = image.shape[2]
    places = np.concatenate([low, high])[:, np.newaxis] * channels + np.arange(channels)
    places, weight = places.ravel(), np.repeat(weight, channels)
    mixed = np.empty((len(rows), len(weight)), np.float32)
    # `take` copies rows that do not lie one behind another, whole: of a wide image few at once.
    count = min(_BLOCK_ROWS, max(1, _BLOCK_BYTES // (image.shape[1] * channels)))
    for start in range(0, len(rows), count):
        block = rows[start : start + count]
        first, stop = int(block[0]), int(block[-1]) + 1
        lines = image[first:stop] if stop - first == len(block) else image[block]
        flat = lines.reshape(len(lines), -1)
        values = flat.take(places, axis=1, mode="wrap").astype(np.float32)
        if factor != 1:
            values *= np.float32(factor)
        left, right = values[:, : len(weight)], values[:, len(weight) :]
        result = np.subtract(right, left, out=mixed[start : start + count])
        result *= weight
        result += left
    return mixed


# Blocks whose arrays stay in a core's cache; the sizes are measured, and not critical.
_BLOCK_ROWS = 64
_BLOCK_BYTES = 1 << 20

_Taps = tuple[NDArray[np.intp], NDArray[np.intp], Array]


def _taps(size: int, new_size: int, start: int = 0, count: int | None = None) -> _Taps:
    """Return the two pixels that each output pixel mixes, and the weight of the second.

    For `count` output pixels from `start` on. In float32, as TensorFlow's kernel: elsewhere a pixel
    boundary may round to its other side.
    """
    stop = start + (new_size if count is None else count)
    at = np.arange(start, stop, dtype=np.float32) * (np.float32(size) / np.float32(new_size))
    whole = np.floor(at)
    low = np.minimum(whole.astype(np.intp), size - 1)
    weight: Array = at - whole
    return low, np.minimum(low + 1, size - 1), weight


def _cifarnet(image: Pixels, height: int, width: int) -> Array:
    """Centre, then standardize: mean 0, deviation 1 (a flat image gives 0)."""
    centered = _crop_or_pad(image, height, width)
    # A uniform image has deviation 0; TensorFlow's bound is that of one unit in one value.
    deviation = max(float(centered.std(dtype=np.float64)), centered.size**-0.5)
    standardized: NDArray[np.float64] = (
        centered - float(centered.mean(dtype=np.float64))
    ) / deviation
    return standardized.astype(np.float32)


def _lenet(image: Pixels, height: int, width: int) -> Array:
    centered = _crop_or_pad(image, height, width).astype(np.float32)
    return (centered - np.float32(128)) / np.float32(128)


def _crop_or_pad(image: Pixels, height: int, width: int) -> Pixels:
    """Crop or zero-pad each side around the centre, as `tf.image.resize_with_crop_or_pad`.

    Differs from TF-Slim, which swaps width and height.
    """
    result = np.zeros((height, width, image.shape[2]), np.uint8)
    (to_y, from_y), (to_x, from_x) = (
        _overlap(size, new_size)
        for size, new_size in zip(image.shape[:2], (height, width), strict=True)
    )
    result[to_y, to_x] = image[from_y, from_x]
    return result


def _overlap(size: int, new_size: int) -> tuple[slice, slice]:
    """Return where in the output the kept pixels go, and where in the input they stand."""
    common = min(size, new_size)
    to, start = (new_size - common) // 2, (size - common) // 2
    return slice(to, to + common), slice(start, start + common)


PREPROCESSINGS: Mapping[str, Preprocessing] = {
    preprocessing.name: preprocessing
    for preprocessing in (
        Preprocessing(
            "inception",
            "The central 87.5 % of height and width, resized bilinearly, in [-1, 1].",
            _inception,
        ),
        Preprocessing(
            "vgg",
            "The shorter side resized bilinearly to 256, the centre cropped, less ImageNet's mean.",
            _vgg,
        ),
        Preprocessing(
            "cifarnet",
            "Cropped or zero-padded around the centre, then of mean 0 and standard deviation 1.",
            _cifarnet,
        ),
        Preprocessing(
            "lenet",
            "Cropped or zero-padded around the centre, then (x - 128) / 128.",
            _lenet,
        ),
    )
}
