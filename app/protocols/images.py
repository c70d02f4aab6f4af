"""Image files in requests: recognized by their first bytes, or in base64."""

import base64
import re
import string
from typing import Any, TypeGuard

from app.arrays import Buffer
from app.wording import counted


def starts_as_image(data: Buffer) -> bool:
    """Return whether data begins as a JPEG, PNG or WebP file does.

    >>> starts_as_image(b"GIF89a")
    False
    """
    head = bytes(data[:12])
    is_webp = head.startswith(b"RIFF") and head[8:] == b"WEBP"
    return is_webp or head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def is_base64(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a value stands for bytes: an object with the key b64 and no other."""
    return isinstance(value, dict) and value.keys() == {"b64"}


class Base64Error(Exception):
    """A value is not base64; the text says why, to end a sentence."""


def base64_bytes(value: object) -> bytes:
    """Return the bytes that a string holds in base64.

    Either alphabet is accepted (RFC 4648, sections 4 and 5), with line breaks, without padding, or
    as a data URL (RFC 2397).

    >>> base64_bytes("-_8"), base64_bytes("data:image/png;base64,+/8=")
    (b'\\xfb\\xff', b'\\xfb\\xff')

    Raises: Base64Error
    """
    if not isinstance(value, str):
        raise Base64Error("it is not a string")
    start = 0
    if value[:5].lower() == "data:":
        start = value.find(",", 0, _MAX_MEDIA_TYPE) + 1
        if not value[:start].lower().endswith(";base64,"):
            raise Base64Error('the data URL does not begin as "data:image/png;base64," does')
    elif value[:2] in ("b'", 'b"'):
        raise Base64Error("it is the text of Python's bytes; decode() gives the string itself")
    text = value[start:].encode("ascii", "replace")
    if text.translate(None, _ACCEPTED):
        raise Base64Error(_stray_character(value, start))
    digits = text.translate(_STANDARD, _LINE_BREAKS).rstrip(b"=")
    if b"=" in digits:
        raise Base64Error("something follows its padding")
    if len(digits) % 4 == 1:
        are = "is" if len(digits) == 1 else "are"
        raise Base64Error(f"{counted(len(digits), 'character')} {are} not a whole number of bytes")
    return base64.b64decode(digits + b"=" * (-len(digits) % 4))


# Of a data URL, up to its comma.
_MAX_MEDIA_TYPE = 200
_LINE_BREAKS = b"\r\n"
_ACCEPTED = (string.ascii_letters + string.digits + "+/-_=").encode() + _LINE_BREAKS
_STANDARD = bytes.maketrans(b"-_", b"+/")


def _stray_character(value: str, start: int) -> str:
    stray = re.compile(f"[^{re.escape(_ACCEPTED.decode())}]").search(value, start)
    assert stray is not None
    hint = "; a + may have been decoded to it" if stray.group() == " " else ""
    return f"character {stray.start()} is {stray.group()!r}, not of its alphabet{hint}"
