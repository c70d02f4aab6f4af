"""The encodings of an answer."""

import gzip
import zlib

ENCODINGS = ("gzip", "deflate")

# Higher levels save little on numbers, and take several times as long.
_LEVEL = 1


def compress(body: bytes, encoding: str) -> bytes:
    """Return a body in an encoding; HTTP's deflate is zlib's format.

    >>> zlib.decompress(compress(b"a", "deflate"))
    b'a'
    """
    if encoding == "gzip":
        return gzip.compress(body, _LEVEL, mtime=0)
    return zlib.compress(body, _LEVEL)
