"""Image files: what is decoded, what is told, and what is refused."""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from model_zoo.errors import InputError
from model_zoo.image_files import decode_image

IMAGES = Path(__file__).parent / "images"
RNG = np.random.default_rng(5)
PHOTO = RNG.integers(0, 256, (13, 17, 3), np.uint8)


def encoded(image: Image.Image, name: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, color: int, body: bytes, *more: tuple[bytes, bytes]
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    between = b"".join(chunk(*each) for each in more)
    pixels = chunk(b"IDAT", zlib.compress(body))
    return b"\x89PNG\r\n\x1a\n" + header + between + pixels + chunk(b"IEND", b"")


def webp(kind: bytes, body: bytes) -> bytes:
    data = b"WEBP" + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(data)) + data


def told(data: bytes, channels: int = 3) -> tuple[np.ndarray, list[str]]:
    """Return the pixels of an image and what is told about it; nothing else warns."""
    notes: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return decode_image(data, channels=channels, warn=notes.append), notes


def refusal(data: bytes, **options: Any) -> str:
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
    assert told(encoded(image, "PNG"), channels)[0].shape == (5, 7, channels)


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
    pixels, _ = told(encoded(Image.fromarray(rgba), "PNG"))
    np.testing.assert_array_equal(pixels, PHOTO)


@pytest.mark.parametrize("transparency", [1, b"\x00\x80"])
@pytest.mark.parametrize("channels", [1, 3])
def test_palette_with_transparency_keeps_its_colors(transparency: Any, channels: int) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 10, 10, 200, 200, 200])
    image.putpixel((1, 0), 1)
    decoded, _ = told(encoded(image, "PNG", transparency=transparency), channels)
    np.testing.assert_array_equal(decoded[0], [[10] * channels, [200] * channels])


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_gray_keeps_the_upper_byte(channels: int) -> None:
    data = png(3, 1, 16, 0, b"\x00" + bytes([0, 255, 18, 52, 255, 254]))
    np.testing.assert_array_equal(decode_image(data, channels=channels)[0, :, 0], [0, 18, 255])


def test_sixteen_bit_color_keeps_the_upper_byte() -> None:
    data = png(1, 1, 16, 2, b"\x00" + bytes([1, 255, 18, 52, 255, 254]))
    np.testing.assert_array_equal(decode_image(data), [[[1, 18, 255]]])


# What is told ----------------------------------------------------------------------------------

STORED = "Its pixels are used as they are stored, as by TensorFlow's decoders."
REMEDY = (
    "Apply the orientation before you send the image, as Pillow's ImageOps.exif_transpose does."
)
OPACITY = (
    "image has pixels that are not opaque. The colors stored under them are used, as by "
    "TensorFlow's decoders. Paste the image on a background before you send it."
)
TURNS: dict[int, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    2: ("mirrored left to right", np.fliplr),
    3: ("turned by 180 degrees", lambda image: np.rot90(image, 2)),
    4: ("mirrored top to bottom", np.flipud),
    5: (
        "mirrored left to right and turned by 90 degrees counterclockwise",
        lambda image: np.rot90(np.fliplr(image)),
    ),
    6: ("turned by 90 degrees clockwise", lambda image: np.rot90(image, -1)),
    7: (
        "mirrored left to right and turned by 90 degrees clockwise",
        lambda image: np.rot90(np.fliplr(image), -1),
    ),
    8: ("turned by 90 degrees counterclockwise", np.rot90),
}


def with_orientation(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(("name", "format_name"), [("JPEG",) * 2, ("PNG",) * 2, ("WebP", "WEBP")])
def test_an_orientation_is_told_as_a_viewer_applies_it(
    name: str, format_name: str, orientation: int
) -> None:
    how, turn = TURNS[orientation]
    data = encoded(Image.fromarray(PHOTO), format_name, exif=with_orientation(orientation))
    pixels, notes = told(data)
    assert pixels.shape == PHOTO.shape
    assert notes == [
        f"The {name} image has the EXIF orientation {orientation}: viewers show it {how}. "
        f"{STORED} {REMEDY}"
    ]
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(np.asarray(upright), turn(pixels))


@pytest.mark.parametrize("orientation", [0, 1, 9])
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_an_upright_image_is_not_told_about(name: str, orientation: int) -> None:
    data = encoded(Image.fromarray(PHOTO), name, exif=with_orientation(orientation))
    assert told(data)[1] == []


def test_the_orientation_of_a_phone_is_told() -> None:
    pixels, notes = told((IMAGES / "phone.jpg").read_bytes())
    upright, nothing = told((IMAGES / "phone_upright.png").read_bytes())
    how = "turned by 90 degrees clockwise"
    assert notes == [
        f"The JPEG image has the EXIF orientation 6: viewers show it {how}. {STORED} {REMEDY}"
    ]
    assert nothing == []
    # JPEG is lossy.
    assert np.abs(np.rot90(pixels, -1).astype(int) - upright).mean() < 8


def test_an_orientation_after_the_pixels_of_a_png_is_told() -> None:
    whole = encoded(Image.fromarray(PHOTO), "PNG")
    exif = chunk(b"eXIf", with_orientation(3).tobytes().removeprefix(b"Exif\0\0"))
    data = whole[:-12] + exif + whole[-12:]  # before IEND
    assert told(data)[1] == [
        "The PNG image has the EXIF orientation 3: viewers show it turned by 180 degrees. "
        f"{STORED} {REMEDY}"
    ]


@pytest.mark.parametrize("exif", [b"Exif\0\0 ", b"Exif\0\0MM\0*\0\0\0\x08\0\x05", b"x" * 40])
@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_broken_metadata_does_not_refuse_the_pixels(name: str, exif: bytes) -> None:
    data = encoded(Image.fromarray(PHOTO), name, exif=exif, lossless=True)
    pixels, notes = told(data)
    np.testing.assert_array_equal(pixels, PHOTO)
    assert notes == []


def test_colors_under_transparent_pixels_are_told() -> None:
    pixels, notes = told((IMAGES / "cutout_a.png").read_bytes())
    rgba = np.asarray(Image.open(IMAGES / "cutout_a.png"))
    np.testing.assert_array_equal(pixels, rgba[..., :3])
    assert notes == [f"The PNG {OPACITY}"]


def palette(indexes: np.ndarray) -> Image.Image:
    image = Image.fromarray(indexes).convert("L")
    image.putpalette(bytes(range(256)) * 3)
    return image


GRAY = PHOTO[..., 0].copy()
GRAY[0] = 7
# Modes with an alpha channel, and what PNG's tRNS makes clear in the others.
TRANSPARENT: dict[str, bytes] = {
    "RGBA": encoded(Image.fromarray(np.dstack([PHOTO, GRAY])), "PNG"),
    "LA": encoded(Image.merge("LA", [Image.fromarray(GRAY)] * 2), "PNG"),
    "palette, one color": encoded(palette(GRAY), "PNG", transparency=7),
    "palette, each color": encoded(palette(GRAY), "PNG", transparency=b"\xff" * 7 + b"\x80"),
    "gray": encoded(Image.fromarray(GRAY), "PNG", transparency=7),
    "color": encoded(Image.fromarray(PHOTO), "PNG", transparency=tuple(PHOTO[3, 5].tolist())),
    "two colors": png(8, 1, 1, 0, b"\x00\x0f", (b"tRNS", b"\0\1")),
    "four grays": png(4, 1, 2, 0, b"\x00\x1b", (b"tRNS", b"\0\2")),
    "sixteen grays": png(2, 1, 4, 0, b"\x00\x5a", (b"tRNS", b"\0\x0a")),
    "16-bit gray": png(2, 1, 16, 0, b"\x00\x01\x02\x03\x04", (b"tRNS", b"\3\4")),
    "16-bit color": png(1, 1, 16, 2, b"\x00\1\2\3\4\5\6", (b"tRNS", b"\1\2\3\4\5\6")),
    "16-bit alpha": png(1, 1, 16, 4, b"\x00\x01\x02\x80\x00"),
    "WebP": encoded(Image.fromarray(np.dstack([PHOTO, GRAY])), "WEBP", lossless=True),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", TRANSPARENT)
def test_every_kind_of_transparency_is_told(kind: str, channels: int) -> None:
    _, notes = told(TRANSPARENT[kind], channels)
    assert notes == [f"The {'WebP' if kind == 'WebP' else 'PNG'} {OPACITY}"]


OPAQUE: dict[str, bytes] = {
    "RGBA": encoded(Image.fromarray(PHOTO).convert("RGBA"), "PNG"),
    "LA": encoded(Image.fromarray(GRAY).convert("LA"), "PNG"),
    "palette, unused color": encoded(palette(np.full((3, 3), 9, np.uint8)), "PNG", transparency=7),
    "palette, unused colors": encoded(
        palette(np.full((3, 3), 9, np.uint8)), "PNG", transparency=b"\0" * 9
    ),
    "gray": encoded(Image.fromarray(np.full((3, 3), 9, np.uint8)), "PNG", transparency=7),
    "four grays": png(4, 1, 2, 0, b"\x00\x1a", (b"tRNS", b"\0\3")),
    "WebP": encoded(Image.fromarray(PHOTO).convert("RGBA"), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_opaque_pixels_are_not_told_about(kind: str) -> None:
    assert told(OPAQUE[kind])[1] == []


@pytest.mark.parametrize(
    ("name", "format_name", "options"),
    [
        ("PNG", "PNG", {}),
        ("PNG", "PNG", {"default_image": True}),
        ("WebP", "WEBP", {"lossless": True}),
        ("JPEG", "MPO", {"quality": 95, "subsampling": 0}),
    ],
)
def test_further_frames_are_told_and_the_first_is_read(
    name: str, format_name: str, options: dict[str, Any]
) -> None:
    colors = [(254, 0, 0), (0, 0, 255), (0, 255, 0)]
    frames = [Image.new("RGB", (8, 8), color) for color in colors]
    data = encoded(frames[0], format_name, save_all=True, append_images=frames[1:], **options)
    pixels, notes = told(data)
    assert set(map(tuple, pixels.reshape(-1, 3).tolist())) == {colors[0]}
    assert notes == [f"The {name} image has 3 frames; only the first is used."]


def test_everything_about_one_image_is_told() -> None:
    first, second = (Image.new("RGBA", (4, 4), (9, 9, 9, opacity)) for opacity in (0, 255))
    data = encoded(first, "PNG", save_all=True, append_images=[second], exif=with_orientation(3))
    assert [note.split(":")[0].split(".")[0] for note in told(data)[1]] == [
        "The PNG image has the EXIF orientation 3",
        "The PNG image has pixels that are not opaque",
        "The PNG image has 2 frames; only the first is used",
    ]


def test_without_a_listener_python_warns() -> None:
    data = (IMAGES / "cutout_a.png").read_bytes()
    with pytest.warns(UserWarning, match="The PNG image has pixels that are not opaque"):
        decode_image(data)


# Refusals


@pytest.mark.parametrize("data", [b"", b"hello", b"RIFF\x04\x00\x00\x00WAVE"])
def test_data_that_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data) == (
        f"The {len(data)} bytes received are not an image in an accepted format: JPEG, PNG, WebP."
    )


@pytest.mark.parametrize("name", ["GIF", "BMP", "TIFF", "AVIF", "PPM", "ICO"])
def test_other_formats_are_refused(name: str) -> None:
    data = encoded(Image.fromarray(PHOTO), name)
    look = f" They look like {name}: save the image as one of these."
    assert refusal(data) == (
        f"The {len(data)} bytes received are not an image in an accepted format: JPEG, PNG, WebP."
        f"{'' if name in ('PPM', 'ICO') else look}"
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
            pixels = decode_image(bytes(data), max_pixels=10_000, warn=lambda _note: None)
            assert pixels.ndim == 3


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels_are_refused(channels: int) -> None:
    assert refusal(b"", channels=channels) == (
        f"The network's input has {channels} channels, and images feed 1 or 3: send an array."
    )
