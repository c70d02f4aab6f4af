"""Tells image files by their first bytes."""

from app.arrays import Buffer


def starts_as_image(data: Buffer) -> bool:
    """Return whether data begins as a JPEG, PNG or WebP file does.

    >>> starts_as_image(b"GIF89a")
    False
    """
    head = bytes(data[:12])
    is_webp = head.startswith(b"RIFF") and head[8:] == b"WEBP"
    return is_webp or head.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))
