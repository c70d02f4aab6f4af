"""Spells numbers of things, and received values, in messages."""

import json

# Longer values are cut, so that an answer does not repeat a body of megabytes.
MAX_RECEIVED_CHARACTERS = 200


def counted(count: int, what: str) -> str:
    """Return a number of things in words.

    >>> counted(1, "class"), counted(2, "class"), counted(2, "name")
    ('1 class', '2 classes', '2 names')
    """
    ending = "" if count == 1 else "es" if what.endswith("s") else "s"
    return f"{count} {what}{ending}"


def clip(value: object) -> object:
    """Return a received value in a form that JSON can carry, cut if it is long.

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
