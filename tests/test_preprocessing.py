"""Preprocessing against TensorFlow's functions, and what it refuses."""

from typing import Any

import numpy as np
import pytest

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
