"""Preprocessing in a TensorFlow graph: the values are those of `model_zoo.preprocessing`."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_zoo.image_files import decode_image
from model_zoo.preprocessing import PREPROCESSINGS, preprocess

RNG = np.random.default_rng(11)
SIZES = [(1, 1), (7, 5), (31, 33), (101, 67), (299, 300), (150, 411)]
# What a JPEG comes to is exactly what Pillow makes of it.
FILES: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}),
    ("JPEG", {"quality": 75}),
    ("JPEG", {"quality": 95, "progressive": True}),
    ("JPEG", {"quality": 90, "subsampling": 0}),
]


def encoded(image: Image.Image, format_name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format_name, **options)
    return file.getvalue()


def image_of(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)).convert(mode)


def in_graph(name: str, images: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
    """Preprocess as a graph, which TensorFlow optimizes."""
    import tensorflow as tf

    from model_zoo.weights.tensorflow_preprocessing import inputs_of

    signature = [tf.TensorSpec((None,), tf.string)]
    function = tf.function(lambda data: inputs_of(name, data, shape), input_signature=signature)
    result: np.ndarray = function(tf.constant(list(images), tf.string)).numpy()
    return result


def in_numpy(name: str, images: Sequence[bytes], shape: tuple[int, ...]) -> np.ndarray:
    pixels = [decode_image(image, channels=shape[2], warn=lambda _: None) for image in images]
    return np.stack([preprocess(name, image, shape) for image in pixels])


@pytest.mark.parametrize("name", PREPROCESSINGS)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 45, 3), (299, 299, 3)])
def test_images_of_every_size_become_the_same_inputs(name: str, shape: tuple[int, ...]) -> None:
    from model_zoo.weights.tensorflow_preprocessing import takes_images

    if not takes_images(name, shape):
        assert (name, shape[2]) == ("vgg", 1)
        return
    images = [
        encoded(image_of(size), format_name, **options)
        for size in SIZES
        for format_name, options in FILES
    ]
    found = in_graph(name, images, shape)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, in_numpy(name, images, shape), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_every_mode_decode_the_same(channels: int) -> None:
    wide = Image.fromarray(RNG.integers(0, 65536, (5, 7), np.uint16))
    modes = ("1", "L", "LA", "P", "RGB", "RGBA")
    images = [encoded(image, "PNG") for image in (wide, *(image_of((5, 7), m) for m in modes))]
    images += [encoded(image_of((5, 7), mode), "JPEG") for mode in ("L", "RGB")]
    shape = (5, 7, channels)
    np.testing.assert_array_equal(
        in_graph("lenet", images, shape), in_numpy("lenet", images, shape)
    )


def test_cmyk_jpegs_differ_by_one_level_at_most() -> None:
    image = Image.frombytes("CMYK", (17, 13), RNG.bytes(4 * 17 * 13))
    data, shape = [encoded(image, "JPEG")], (13, 17, 3)
    difference = in_graph("lenet", data, shape) - in_numpy("lenet", data, shape)
    assert 0 < np.abs(difference).max() <= 1 / 128


@pytest.mark.heavy
@pytest.mark.parametrize("channels", [1, 3])
def test_what_a_viewer_would_show_otherwise_decodes_as_tensorflow_decodes_it(channels: int) -> None:
    import tensorflow as tf

    images = [
        encoded(image_of((5, 7)), format_name, exif=with_orientation(orientation))
        for orientation in range(1, 9)
        for format_name in ("JPEG", "PNG")
    ]
    rgba = np.dstack([np.asarray(image_of((5, 7))), RNG.integers(0, 256, (5, 7), np.uint8)])
    gray = image_of((5, 7), "L")
    images += [
        encoded(Image.fromarray(rgba), "PNG"),
        encoded(Image.fromarray(rgba).convert("LA"), "PNG"),
        encoded(image_of((5, 7), "P"), "PNG", transparency=0),
        encoded(image_of((5, 7), "P"), "PNG", transparency=bytes(range(0, 256, 8))),
        encoded(gray, "PNG", transparency=gray.getpixel((0, 0))),
        encoded(image_of((5, 7)), "PNG", save_all=True, append_images=[image_of((5, 7))]),
        encoded(image_of((5, 7)), "MPO", save_all=True, append_images=[image_of((5, 7))]),
    ]
    shape = (5, 7, channels)
    np.testing.assert_array_equal(
        in_graph("lenet", images, shape), in_numpy("lenet", images, shape)
    )
    if channels == 3:
        for image in images[1:]:
            if image.startswith(b"\x89PNG"):  # of a JPEG, TensorFlow's default is another method
                decoded = tf.io.decode_image(image, channels=3, expand_animations=False).numpy()
                np.testing.assert_array_equal(decode_image(image, warn=lambda _: None), decoded)


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_a_narrow_image_is_made_as_large_as_its_crop_only() -> None:
    """Resized whole it would have 256 x 15,360,000 pixels."""
    data = [encoded(Image.new("RGB", (60_000, 1), (9, 99, 199)), "PNG")]
    shape = (8, 8, 3)
    found = in_graph("vgg", data, shape)
    np.testing.assert_allclose(found, in_numpy("vgg", data, shape), rtol=1e-6)


def test_no_images_make_no_inputs() -> None:
    assert in_graph("inception", [], (4, 4, 3)).shape == (0, 4, 4, 3)


@pytest.mark.parametrize("name", PREPROCESSINGS)
@pytest.mark.parametrize(
    "data",
    [b"", b"hello", encoded(image_of((9, 9)), "JPEG")[:200], encoded(image_of((9, 9)), "WEBP")],
    ids=["empty", "text", "truncated", "webp"],
)
def test_what_is_no_whole_jpeg_or_png_is_refused(name: str, data: bytes) -> None:
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError):
        in_graph(name, [data], (4, 4, 3))


@pytest.mark.heavy
def test_networks_that_images_do_not_feed() -> None:
    from model_zoo.weights.tensorflow_preprocessing import takes_images

    assert takes_images("inception", (8, 8, 3))
    assert takes_images("lenet", (8, 8, 1))
    assert not takes_images(None, (8, 8, 3))
    assert not takes_images("inception", (4, 8, 8, 3))
    assert not takes_images("inception", (8, 8, 4))
    assert not takes_images("vgg", (8, 8, 1))
