"""How messages spell unknown names and received values."""

import difflib
import json
from collections.abc import Iterable

# Longer values are cut: an answer should not repeat a body of megabytes.
MAX_RECEIVED_CHARACTERS = 200


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """Return the valid name that is closest to `name`, or None where none is close."""
    close = difflib.get_close_matches(name, sorted(valid), n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return the nearest valid name as a question, or else all of them.

    >>> did_you_mean("fromat", ["format"])
    "Did you mean 'format'?"
    >>> did_you_mean("x", ["csv", "json"])
    "Valid: 'csv', 'json'."
    """
    names = sorted(valid)
    close = nearest(name, names)
    if close is not None:
        return f"Did you mean {close!r}?"
    return f"Valid: {', '.join(map(repr, names))}." if names else "There are none."


def clip(value: object) -> object:
    """Return a received value as JSON can carry it, cut where it is long.

    >>> clip([1, 2]), clip("x" * 300)[-5:], clip(float("nan"))
    ([1, 2], 'xx...', 'nan')
    """
    if isinstance(value, str):
        return value if len(value) <= MAX_RECEIVED_CHARACTERS else _cut(value)
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return _cut(str(value))
    return value if len(text) <= MAX_RECEIVED_CHARACTERS else _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_RECEIVED_CHARACTERS else text[:MAX_RECEIVED_CHARACTERS] + "..."
