"""The encodings of an answer."""

import gzip
import zlib

ENCODINGS = ("gzip", "deflate")

# Of the numbers that answers are made of, higher levels save little and take several times as long.
_LEVEL = 1


def compress(body: bytes, encoding: str) -> bytes:
    """Return a body in an encoding; deflate is what HTTP calls so, zlib's format.

    >>> zlib.decompress(compress(b"a", "deflate"))
    b'a'
    """
    if encoding == "gzip":
        return gzip.compress(body, _LEVEL, mtime=0)
    return zlib.compress(body, _LEVEL)
