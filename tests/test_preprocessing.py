"""Preprocessing against TensorFlow's functions, and what it refuses."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_zoo.errors import InputError
from model_zoo.preprocessing import PREPROCESSINGS, preprocess

RNG = np.random.default_rng(5)
PHOTO = RNG.integers(0, 256, (13, 17, 3), np.uint8)
SIZES = [(1, 1), (7, 5), (31, 33), (32, 32), (101, 67), (299, 300), (333, 512)]
TARGETS = [(1, 1), (28, 28), (32, 45), (299, 299), (224, 160)]


def image_of(size: tuple[int, int], channels: int) -> np.ndarray:
    return RNG.integers(0, 256, (*size, channels), np.uint8)


def slim(name: str, image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Compute what TF-Slim computes, with TensorFlow's functions."""
    import tensorflow as tf

    if name == "inception":
        x = tf.image.convert_image_dtype(image, tf.float32)
        x = tf.image.central_crop(x, 0.875)
        x = tf.compat.v1.image.resize_bilinear(x[tf.newaxis], [height, width])[0]
        x = (x - 0.5) * 2.0
    elif name == "vgg":
        sides = np.float32(image.shape[:2])
        sides = np.rint(sides * (np.float32(max(256, height, width)) / sides.min()))
        x = tf.cast(image[np.newaxis], tf.float32)
        x = tf.compat.v1.image.resize_bilinear(x, sides.astype(int))[0]
        top, left = (np.int32(sides) - (height, width)) // 2
        x = x[top : top + height, left : left + width] - [123.68, 116.78, 103.94]
    else:
        x = tf.cast(image, tf.float32)
        x = tf.image.resize_with_crop_or_pad(x, height, width)
        x = tf.image.per_image_standardization(x) if name == "cifarnet" else (x - 128.0) / 128.0
    result: np.ndarray = x.numpy()
    return result


@pytest.mark.parametrize("name", PREPROCESSINGS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_values_are_those_of_tensorflow(
    name: str, size: tuple[int, int], target: tuple[int, int]
) -> None:
    for channels in (3,) if name == "vgg" else (1, 3):
        image = image_of(size, channels)
        values = preprocess(name, image, (*target, channels))
        assert (values.shape, values.dtype) == ((*target, channels), np.dtype("float32"))
        np.testing.assert_allclose(values, slim(name, image, *target), rtol=1e-5, atol=1e-5)


def four_taps(
    image: np.ndarray, size: tuple[int, int], new: tuple[int, int], start: tuple[int, int]
) -> np.ndarray:
    """Compute each output pixel by itself, from four pixels in float32: the rule in plain words.

    Of an image of float32 values that is scaled to `new`, the `size` pixels from `start` on.
    """
    taps = []
    for axis in (0, 1):
        ratio = np.float32(image.shape[axis]) / np.float32(new[axis])
        at = np.arange(start[axis], start[axis] + size[axis], dtype=np.float32) * ratio
        low = np.minimum(np.floor(at).astype(int), image.shape[axis] - 1)
        taps.append((low, np.minimum(low + 1, image.shape[axis] - 1), at - np.floor(at)))
    (low_y, high_y, weight_y), (low_x, high_x, weight_x) = taps
    rows = []
    for y in (low_y, high_y):
        left, right = image[np.ix_(y, low_x)], image[np.ix_(y, high_x)]
        rows.append(left + (right - left) * weight_x[:, np.newaxis])
    top, bottom = rows
    mixed: np.ndarray = top + (bottom - top) * weight_y[:, np.newaxis, np.newaxis]
    return mixed


def plain(name: str, image: np.ndarray, height: int, width: int) -> np.ndarray:
    size = (height, width)
    if name == "inception":
        top, left = (int((side - side * 0.875) / 2) for side in image.shape[:2])
        values = image.astype(np.float32) * np.float32(1 / 255)
        values = values[top : len(values) - top, left : values.shape[1] - left]
        return (four_taps(values, size, size, (0, 0)) - np.float32(0.5)) * np.float32(2)
    scale = np.float32(max(256, height, width)) / np.float32(min(image.shape[:2]))
    tall, wide = (int(np.rint(np.float32(side) * scale)) for side in image.shape[:2])
    start = ((tall - height) // 2, (wide - width) // 2)
    values = four_taps(image.astype(np.float32), size, (tall, wide), start)
    return values - np.array([123.68, 116.78, 103.94], np.float32)


side = st.one_of(st.integers(1, 12), st.integers(1, 700))


@settings(deadline=None, max_examples=150)
@given(st.data(), side, side, side, side, st.integers(0, 2**32 - 1))
def test_resized_images_have_every_bit_of_the_plain_rule(
    data: st.DataObject, tall: int, wide: int, height: int, width: int, seed: int
) -> None:
    name = data.draw(st.sampled_from(["inception", "vgg"]))
    channels = 3 if name == "vgg" else data.draw(st.sampled_from([1, 3, 4]))
    image = np.random.default_rng(seed).integers(0, 256, (tall, wide, channels), np.uint8)
    if data.draw(st.booleans()):
        image = image[::-1, ::-1, ::-1]  # not one row behind another
    values = preprocess(name, image, (height, width, channels))
    np.testing.assert_array_equal(
        values.view(np.uint32), plain(name, image, height, width).view(np.uint32)
    )


@pytest.mark.parametrize("name", ["inception", "vgg"])
@pytest.mark.parametrize("size", [(7000, 7000), (1, 49_000_000), (49_000_000, 1), (2, 24_000_000)])
def test_a_huge_image_takes_memory_by_its_output(name: str, size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    tracemalloc.start()
    try:
        values = preprocess(name, image, (224, 224, 3))
        assert tracemalloc.get_traced_memory()[1] < 8 * values.nbytes
    finally:
        tracemalloc.stop()


def test_flat_image_is_standardized_to_zero() -> None:
    flat = np.full((32, 32, 3), 9, np.uint8)
    assert not preprocess("cifarnet", flat, (32, 32, 3)).any()


def test_the_image_is_not_changed() -> None:
    image = image_of((32, 32), 3)
    before = image.copy()
    for name in PREPROCESSINGS:
        preprocess(name, image, (32, 32, 3))
    np.testing.assert_array_equal(image, before)


def test_a_narrow_image_is_made_as_large_as_its_crop_only() -> None:
    values = preprocess("vgg", image_of((1, 60_000), 3), (224, 224, 3))
    assert values.shape == (224, 224, 3)


def test_vgg_refuses_gray_networks() -> None:
    with pytest.raises(InputError) as refused:
        preprocess("vgg", image_of((9, 9), 1), (4, 4, 1))
    assert str(refused.value) == (
        "The vgg preprocessing subtracts the means of three channels; this network takes 1: "
        "send an array."
    )


def test_video_networks_refuse_images() -> None:
    with pytest.raises(InputError) as refused:
        preprocess("inception", PHOTO, (8, 4, 4, 3))
    assert str(refused.value) == (
        "The network takes video of shape [8, 4, 4, 3], not images: send an array."
    )


def test_unknown_preprocessing_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        preprocess("inceptionv3", PHOTO, (4, 4, 3))
    assert str(refused.value) == (
        "There is no preprocessing 'inceptionv3'. Did you mean 'inception'?"
    )


@pytest.mark.parametrize(
    ("image", "received"),
    [
        (np.zeros((4, 4), np.uint8), "uint8 of shape (4, 4)"),
        (np.zeros((4, 4, 3), np.float32), "float32 of shape (4, 4, 3)"),
        (np.zeros((0, 4, 3), np.uint8), "uint8 of shape (0, 4, 3)"),
    ],
)
def test_arrays_that_are_no_images_are_refused(image: Any, received: str) -> None:
    with pytest.raises(InputError) as refused:
        preprocess("lenet", image, (4, 4, 3))
    assert str(refused.value) == (
        "An image to preprocess is a uint8 array of shape (height, width, 3); "
        f"this one is {received}."
    )


def test_another_number_of_channels_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        preprocess("lenet", PHOTO, (4, 4, 1))
    assert str(refused.value) == "The image has 3 channels, and the network 1."
