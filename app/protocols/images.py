"""Image files in requests: recognized by their first bytes, or in base64."""

import base64
import binascii
from typing import Any, TypeGuard

from app.arrays import Buffer


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


def base64_bytes(text: object) -> bytes | None:
    """Return the bytes that a string holds in base64; None for anything else.

    >>> base64_bytes("aGk="), base64_bytes("hi"), base64_bytes(7)
    (b'hi', None, None)
    """
    if not isinstance(text, str):
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
