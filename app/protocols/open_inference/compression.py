"""The encodings of an answer: which one Accept-Encoding asks for, and how it is made."""

import gzip
import zlib

ENCODINGS = ("gzip", "deflate")

# Of the numbers that answers are made of, higher levels save little and take several times as long.
_LEVEL = 1


def chosen_encoding(accept: str) -> str | None:
    """Return gzip, deflate, or None for no encoding: the one of the highest weight.

    The first listed wins among equals; what is not listed is not chosen.

    >>> chosen_encoding("br, deflate;q=0.5, gzip"), chosen_encoding("br"), chosen_encoding("")
    ('gzip', None, None)
    """
    best, highest = "identity", 0.0
    for item in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in item.split(";"))
        if name in (*ENCODINGS, "identity") and (weight := _weight(parameters)) > highest:
            best, highest = name, weight
    return None if best == "identity" else best


def compress(body: bytes, encoding: str) -> bytes:
    """Return a body in an encoding; deflate is what HTTP calls so, zlib's format.

    >>> zlib.decompress(compress(b"a", "deflate"))
    b'a'
    """
    if encoding == "gzip":
        return gzip.compress(body, _LEVEL, mtime=0)
    return zlib.compress(body, _LEVEL)


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
