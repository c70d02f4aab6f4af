"""Image files as pixels, exactly as they are stored, and what a viewer would show otherwise."""

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.MpoImagePlugin import MpoImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from model_zoo.errors import InputError

Pixels = NDArray[np.uint8]
Warn = Callable[[str], None]


def decode_image(
    data: bytes,
    *,
    max_pixels: int = 50_000_000,
    channels: int = 3,
    warn: Warn = warnings.warn,
) -> Pixels:
    """Return the first frame of a JPEG, PNG or WebP image, its pixels as they are stored.

    The EXIF orientation is not applied, transparency is dropped, and 16-bit values keep their upper
    byte, all as in TensorFlow's decoders and so in TF-Slim's data. `warn` is called with a sentence
    for each thing that a viewer would show otherwise: an orientation, pixels that are not opaque,
    further frames.

    Shape: -> (H, W, channels)
    Raises: InputError if the data is no such image, is larger than `max_pixels` by its header
    (nothing is decoded then), is truncated or corrupt, or `channels` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise InputError(
            f"The network's input has {channels} channels, and images feed 1 or 3: send an array."
        )
    name = _format_of(data)
    if name is None:
        raise InputError(
            f"The {len(data)} bytes received are not an image in an accepted format: "
            f"{', '.join(_FORMATS)}.{_other_format(data)}"
        )
    broken = f"The {name} image of {len(data)} bytes is truncated or corrupt."
    # Pillow raises a dozen types of error on broken files (OSError, SyntaxError, ValueError, ...),
    # and each of them says the same to the one who sent the file.
    try:
        # WebP's decoder allocates the canvas before it reports the size.
        if name == "WebP":
            _refuse_larger(name, _webp_size(data), max_pixels)
        # Not Image.open: it warns or fails above a limit of its own, global to the process.
        with _FORMATS[name](io.BytesIO(data)) as image:
            _refuse_larger(name, image.size, max_pixels)
            # Else Pillow turns it into an alpha channel here and drops it there, with warnings.
            transparency = image.info.pop("transparency", None)
            image.load()
            differences = list(_differences(name, image, transparency, data))
            pixels = _pixels(image, channels)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(broken) from error
    for difference in differences:
        warn(difference)
    return pixels


_FORMATS: Mapping[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
}


def _format_of(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    return None


# The first bytes of other formats that cameras and programs write, and where they stand.
_OTHER_FORMATS: Mapping[tuple[int, bytes], str] = {
    (0, b"GIF8"): "GIF",
    (0, b"BM"): "BMP",
    (0, b"II*\0"): "TIFF",
    (0, b"MM\0*"): "TIFF",
    (4, b"ftypavi"): "AVIF",
    (4, b"ftyphei"): "HEIC",
    (4, b"ftypmif1"): "HEIC",
}


def _other_format(data: bytes) -> str:
    """Return a sentence that names the format of a refused file, if it is a known one."""
    for (start, magic), name in _OTHER_FORMATS.items():
        if data.startswith(magic, start):
            return f" They look like {name}: save the image as one of these."
    return ""


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the width and height that a WebP header gives (RFC 9649, section 2)."""
    chunk, header = data[12:16], data[20:30]
    if len(header) < 10:
        raise ValueError("The header is cut off.")
    if chunk == b"VP8X":
        return 1 + int.from_bytes(header[4:7], "little"), 1 + int.from_bytes(header[7:], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(header[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = (int.from_bytes(header[i : i + 2], "little") for i in (6, 8))
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("The first chunk is not one a WebP image starts with.")


def _refuse_larger(name: str, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"The {name} image is {width} x {height} = {width * height} pixels large; "
            f"at most {max_pixels} are accepted."
        )


def _pixels(image: Image.Image, channels: int) -> Pixels:
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow's convert would clip at 255
        gray = (np.asarray(image).astype(np.int32) >> 8).astype(np.uint8)[..., np.newaxis]
        return np.repeat(gray, channels, axis=2)
    mode = "L" if channels == 1 else "RGB"
    # Pillow copies an image that already has the mode.
    pixels: Pixels = np.array(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(image.height, image.width, channels)


# What a viewer shows otherwise ----------------------------------------------------------------

# What a viewer does for each orientation but the first, which is upright (EXIF 2.32, 4.6.4).
_ORIENTATIONS: Mapping[object, str] = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored left to right and turned by 90 degrees counterclockwise",
    6: "turned by 90 degrees clockwise",
    7: "mirrored left to right and turned by 90 degrees clockwise",
    8: "turned by 90 degrees counterclockwise",
}


def _differences(
    name: str, image: ImageFile.ImageFile, transparency: object, data: bytes
) -> Iterator[str]:
    orientation = _orientation(image)
    if orientation in _ORIENTATIONS:
        yield (
            f"The {name} image has the EXIF orientation {orientation}: viewers show it "
            f"{_ORIENTATIONS[orientation]}. Its pixels are used as they are stored, as by "
            "TensorFlow's decoders. Apply the orientation before you send the image, as Pillow's "
            "ImageOps.exif_transpose does."
        )
    if _is_transparent(image, transparency, data):
        yield (
            f"The {name} image has pixels that are not opaque. The colors stored under them are "
            "used, as by TensorFlow's decoders. Paste the image on a background before you send "
            "it."
        )
    frames = _frames(image, data)
    if frames > 1:
        yield f"The {name} image has {frames} frames; only the first is used."


def _orientation(image: ImageFile.ImageFile) -> object:
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # broken metadata, which viewers ignore, is no reason to refuse the pixels
        return None


def _is_transparent(image: Image.Image, transparency: Any, data: bytes) -> bool:
    """Return whether a pixel is not opaque; `transparency` is what Pillow makes of PNG's tRNS."""
    if "A" in image.getbands():
        return int(np.asarray(image.getchannel("A")).min()) < 255
    if transparency is None:
        return False
    if image.mode == "P":
        counts = image.histogram()
        if isinstance(transparency, int):  # the one color of the palette that is clear
            return counts[transparency] > 0
        return any(counts[index] for index, opacity in enumerate(transparency) if opacity < 255)
    # One color is clear, given at the depth that the file has.
    color, depth = np.array(transparency, ndmin=1), data[24]
    if image.mode == "RGB" and depth == 16:
        color >>= 8
    elif image.mode == "L" and depth < 8:
        color *= 255 // (2**depth - 1)
    elif image.mode == "1":
        color = color > 0
    pixels = np.asarray(image).reshape(-1, len(color))
    return bool((pixels == color).all(axis=1).any())


def _frames(image: ImageFile.ImageFile, data: bytes) -> int:
    if "mp" not in image.info:  # the index of a JPEG with several pictures
        return int(getattr(image, "n_frames", 1))
    try:
        return int(MpoImageFile(io.BytesIO(data)).n_frames)
    except Exception:  # a broken index, which viewers ignore
        return 1
