"""`model_zoo.preprocessing` in TensorFlow's operations: from encoded images to inputs, in a graph.

Each function repeats its namesake there step by step, so that both round alike.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

Tensor = Any
Shape = tuple[int, ...]

# Pillow's weights of red, green and blue in gray, of which it keeps the upper 16 bits.
_LUMA = (19595, 38470, 7471)
# Red, green, blue over ImageNet's training set, as in `model_zoo.preprocessing`.
_IMAGENET_MEANS = (123.68, 116.78, 103.94)


def takes_images(name: str | None, shape: Shape) -> bool:
    """Return whether a network of this preprocessing and input shape can be fed with images."""
    if name is None or len(shape) != 3:
        return False
    return shape[2] in ((3,) if name == "vgg" else (1, 3))


def inputs_of(name: str, images: Tensor, shape: Shape) -> Tensor:
    """Return the inputs that encoded images make, decoded and preprocessed one by one.

    Shape: (N,), JPEG and PNG files as strings -> (N, *shape)
    """
    height, width, channels = shape
    function = _FUNCTIONS[name]

    def input_of(data: Tensor) -> Tensor:
        return tf.ensure_shape(function(_decoded(data, channels), height, width), shape)

    return tf.map_fn(input_of, images, fn_output_signature=tf.TensorSpec(shape, tf.float32))


def _decoded(data: Tensor, channels: int) -> Tensor:
    # This operation reads PNG too, and it alone lets the method be chosen that Pillow uses.
    pixels = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
    if channels == 3:
        return pixels
    # TensorFlow's own gray is a JPEG's first component, or rounded in another way.
    luma = tf.reduce_sum(tf.cast(pixels, tf.int32) * tf.constant(_LUMA), axis=2, keepdims=True)
    return tf.cast(tf.bitwise.right_shift(luma + 0x8000, 16), tf.uint8)


def _inception(image: Tensor, height: int, width: int) -> Tensor:
    cropped = _central_crop(image, 0.875)
    size = _size(cropped)
    scaled = _resize_bilinear(cropped, _taps(size[0], height), _taps(size[1], width), 1 / 255)
    return (scaled - 0.5) * 2.0


def _vgg(image: Tensor, height: int, width: int) -> Tensor:
    # Only the pixels that the crop keeps are made: a narrow image would become a huge one.
    size = _size(image)
    sides = tf.cast(size, tf.float32)
    scale = tf.constant(max(256, height, width), tf.float32) / tf.reduce_min(sides)
    new_size = tf.cast(tf.math.rint(sides * scale), tf.int64)
    taps = [
        _taps(size[axis], new_size[axis], (new_size[axis] - crop) // 2, crop)
        for axis, crop in enumerate((height, width))
    ]
    return _resize_bilinear(image, taps[0], taps[1], 1.0) - tf.constant(_IMAGENET_MEANS)


def _size(image: Tensor) -> Tensor:
    # 64 bits: a narrow image's longer side, scaled, may not fit in 32.
    return tf.shape(image, out_type=tf.int64)[:2]


def _central_crop(image: Tensor, fraction: float) -> Tensor:
    size = _size(image)
    sides = tf.cast(size, tf.float64)
    start = tf.cast((sides - sides * fraction) / 2, tf.int64)
    end = size - start
    return image[start[0] : end[0], start[1] : end[1]]


_Taps = tuple[Tensor, Tensor, Tensor]


def _taps(size: Tensor, new_size: Tensor, start: Tensor = 0, count: int | None = None) -> _Taps:
    stop = start + (new_size if count is None else count)
    # Divided in 64 bits, which rounds to the same 32: there, TensorFlow's optimizer would multiply
    # by a constant's reciprocal instead, and a pixel boundary would round to its other side.
    ratio = tf.cast(tf.cast(size, tf.float64) / tf.cast(new_size, tf.float64), tf.float32)
    at = tf.cast(tf.range(start, stop, dtype=tf.int64), tf.float32) * ratio
    whole = tf.floor(at)
    low = tf.minimum(tf.cast(whole, tf.int64), size - 1)
    return low, tf.minimum(low + 1, size - 1), at - whole


def _resize_bilinear(image: Tensor, taps_y: _Taps, taps_x: _Taps, factor: float) -> Tensor:
    low_y, high_y, weight_y = taps_y
    low_x, high_x, weight_x = taps_x
    weight_x = weight_x[:, tf.newaxis]
    weight_y = weight_y[:, tf.newaxis, tf.newaxis]

    def values(ys: Tensor, xs: Tensor) -> Tensor:
        return tf.cast(tf.gather(tf.gather(image, ys), xs, axis=1), tf.float32) * factor

    def row(ys: Tensor) -> Tensor:
        left, right = values(ys, low_x), values(ys, high_x)
        return left + (right - left) * weight_x

    top, bottom = row(low_y), row(high_y)
    return top + (bottom - top) * weight_y


def _cifarnet(image: Tensor, height: int, width: int) -> Tensor:
    centered = tf.cast(_crop_or_pad(image, height, width), tf.float64)
    mean = tf.reduce_mean(centered)
    smallest = (height * width * image.shape[2]) ** -0.5
    deviation = tf.maximum(tf.math.reduce_std(centered), smallest)
    return tf.cast((centered - mean) / deviation, tf.float32)


def _lenet(image: Tensor, height: int, width: int) -> Tensor:
    return (tf.cast(_crop_or_pad(image, height, width), tf.float32) - 128.0) / 128.0


def _crop_or_pad(image: Tensor, height: int, width: int) -> Tensor:
    size = _size(image)
    new_size = tf.constant((height, width), tf.int64)
    common = tf.minimum(size, new_size)
    start, before = (size - common) // 2, (new_size - common) // 2
    end = start + common
    cropped = image[start[0] : end[0], start[1] : end[1]]
    paddings = tf.stack([before, new_size - common - before], axis=1)
    return tf.pad(cropped, tf.concat([paddings, [[0, 0]]], axis=0))


_FUNCTIONS: Mapping[str, Callable[[Tensor, int, int], Tensor]] = {
    "inception": _inception,
    "vgg": _vgg,
    "cifarnet": _cifarnet,
    "lenet": _lenet,
}
