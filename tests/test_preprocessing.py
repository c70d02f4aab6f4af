"""Images: what is decoded and what is refused; preprocessing against TensorFlow's functions."""

import contextlib
import io
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from model_zoo.errors import InputError
from model_zoo.preprocessing import PREPROCESSINGS, decode_image, preprocess

RNG = np.random.default_rng(5)
PHOTO = RNG.integers(0, 256, (13, 17, 3), np.uint8)


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, color: int, body: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def webp(kind: bytes, body: bytes) -> bytes:
    data = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(data)) + data


def refusal(data: bytes, **options: int) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError) as refused:
            decode_image(data, **options)
    return str(refused.value)


# Decoding


def test_png_and_lossless_webp_decode_exactly() -> None:
    photo = Image.fromarray(PHOTO)
    for data in (encoded(photo, "PNG"), encoded(photo, "WEBP", lossless=True)):
        decoded = decode_image(data)
        assert decoded.dtype == np.uint8
        np.testing.assert_array_equal(decoded, PHOTO)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpeg_decodes_as_pillow_decodes_it(options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(PHOTO), "JPEG", quality=95, **options)
    np.testing.assert_array_equal(decode_image(data), np.asarray(Image.open(io.BytesIO(data))))


def test_lossy_webp_decodes() -> None:
    flat = Image.new("RGB", (20, 10), (200, 30, 40))
    decoded = decode_image(encoded(flat, "WEBP", quality=90))
    assert decoded.shape == (10, 20, 3)
    assert np.abs(decoded.astype(int) - (200, 30, 40)).max() < 8


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_png_mode_gives_bytes_of_the_channels(mode: str, channels: int) -> None:
    image = Image.new(mode, (7, 5))
    assert decode_image(encoded(image, "PNG"), channels=channels).shape == (5, 7, channels)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_gray_and_cmyk_jpegs_decode(mode: str, channels: int) -> None:
    data = encoded(Image.new(mode, (7, 5)), "JPEG")
    assert decode_image(data, channels=channels).shape == (5, 7, channels)


def test_gray_is_repeated_and_color_becomes_luma() -> None:
    gray = Image.fromarray(PHOTO[..., 0])
    np.testing.assert_array_equal(
        decode_image(encoded(gray, "PNG")), np.repeat(PHOTO[..., :1], 3, axis=2)
    )
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert set(decode_image(encoded(red, "PNG"), channels=1).ravel().tolist()) == {76}


def test_transparency_is_dropped_not_blended() -> None:
    rgba = np.dstack([PHOTO, np.zeros(PHOTO.shape[:2], np.uint8)])
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(rgba), "PNG")), PHOTO)


@pytest.mark.parametrize("transparency", [1, b"\x00\x80"])
@pytest.mark.parametrize("channels", [1, 3])
def test_palette_with_transparency_keeps_its_colors(transparency: Any, channels: int) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 10, 10, 200, 200, 200])
    image.putpixel((1, 0), 1)
    data = encoded(image, "PNG", transparency=transparency)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decoded = decode_image(data, channels=channels)
    np.testing.assert_array_equal(decoded[0], [[10] * channels, [200] * channels])


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_gray_keeps_the_upper_byte(channels: int) -> None:
    data = png(3, 1, 16, 0, b"\x00" + bytes([0, 255, 18, 52, 255, 254]))
    np.testing.assert_array_equal(decode_image(data, channels=channels)[0, :, 0], [0, 18, 255])


def test_sixteen_bit_color_keeps_the_upper_byte() -> None:
    data = png(1, 1, 16, 2, b"\x00" + bytes([1, 255, 18, 52, 255, 254]))
    np.testing.assert_array_equal(decode_image(data), [[[1, 18, 255]]])


@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_only_the_first_frame_is_read(name: str) -> None:
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue")]
    data = encoded(frames[0], name, save_all=True, append_images=frames[1:], lossless=True)
    assert set(map(tuple, decode_image(data).reshape(-1, 3).tolist())) == {(255, 0, 0)}


def test_exif_orientation_is_ignored() -> None:
    image = Image.fromarray(PHOTO)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert decode_image(encoded(image, "JPEG", exif=exif)).shape == PHOTO.shape


# Refusals


@pytest.mark.parametrize("data", [b"", b"hello", b"RIFF\x04\x00\x00\x00WAVE"])
def test_data_that_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data) == (
        f"The {len(data)} bytes received are not an image in an accepted format: JPEG, PNG, WebP."
    )


@pytest.mark.parametrize("name", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused(name: str) -> None:
    data = encoded(Image.fromarray(PHOTO), name)
    assert refusal(data) == (
        f"The {len(data)} bytes received are not an image in an accepted format: JPEG, PNG, WebP."
    )


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("PNG", png(50_000, 50_000, 8, 2, b"")),
        ("JPEG", b"\xff\xd8\xff\xc0\x00\x0b\x08\xc3\x50\xc3\x50\x01\x01\x11\x00\xff\xda\x00\x02"),
        ("WebP", webp(b"VP8X", bytes(4) + (49_999).to_bytes(3, "little") * 2)),
    ],
    ids=["png", "jpeg", "webp"],
)
def test_too_many_pixels_are_refused_by_the_header(name: str, data: bytes) -> None:
    """The data holds no pixels: had it been decoded, it would have been found corrupt."""
    assert refusal(data) == (
        f"The {name} image is 50000 x 50000 = 2500000000 pixels large; "
        "at most 50000000 are accepted."
    )


@pytest.mark.parametrize("options", [{"lossless": True}, {}, {"exif": b"Exif\0\0 "}])
def test_every_kind_of_webp_header_is_read(options: dict[str, Any]) -> None:
    data = encoded(Image.fromarray(PHOTO), "WEBP", **options)
    assert decode_image(data, max_pixels=221).shape == (13, 17, 3)
    assert refusal(data, max_pixels=220) == (
        "The WebP image is 17 x 13 = 221 pixels large; at most 220 are accepted."
    )


def test_limits_above_pillows_own_are_kept_without_its_warning() -> None:
    data = png(15_000, 15_000, 1, 0, (b"\x00" + bytes(1875)) * 15_000)
    assert refusal(data, max_pixels=200_000_000) == (
        "The PNG image is 15000 x 15000 = 225000000 pixels large; at most 200000000 are accepted."
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode_image(data, max_pixels=225_000_000, channels=1).shape == (15_000, 15_000, 1)


@pytest.mark.parametrize(("name", "format_name"), [("JPEG",) * 2, ("PNG",) * 2, ("WebP", "WEBP")])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.6, 0.9])
def test_truncated_images_are_refused(name: str, format_name: str, part: float) -> None:
    whole = encoded(Image.fromarray(np.tile(PHOTO, (5, 5, 1))), format_name)
    data = whole[: int(len(whole) * part)]
    assert refusal(data) == f"The {name} image of {len(data)} bytes is truncated or corrupt."


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("PNG", b"\x89PNG\r\n\x1a\n"),
        ("PNG", png(4, 4, 8, 2, b"\x00" * 5)),
        ("PNG", png(0, 0, 8, 2, b"")),
        ("PNG", png(1, 1, 7, 9, b"\x00\x00")),
        ("JPEG", b"\xff\xd8\xff"),
        ("JPEG", b"\xff\xd8\xff\xe0" + b"\xab" * 50),
        ("WebP", webp(b"VP8L", b"")),
        ("WebP", webp(b"VP8 ", b"\x01" * 50)),
        ("WebP", webp(b"ABCD", b"\xab" * 50)),
    ],
)
def test_corrupt_images_are_refused(name: str, data: bytes) -> None:
    assert refusal(data) == f"The {name} image of {len(data)} bytes is truncated or corrupt."


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_flipped_bytes_give_an_image_or_a_refusal(name: str) -> None:
    whole = encoded(Image.fromarray(PHOTO), name)
    for position in RNG.integers(0, len(whole), 300):
        data = bytearray(whole)
        data[position] ^= int(RNG.integers(1, 256))
        with contextlib.suppress(InputError):
            assert decode_image(bytes(data), max_pixels=10_000).ndim == 3


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    assert refusal(b"", channels=channels) == (
        f"The network's input has {channels} channels, and images feed 1 or 3: send an array."
    )


# Preprocessing

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
