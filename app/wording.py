"""Spells numbers of things, and received values, in messages."""

import json
from collections.abc import Sequence

# Longer values are cut, so that an answer does not repeat a body of megabytes.
MAX_RECEIVED_CHARACTERS = 200
# A sentence may quote several such values, and list what is valid.
MAX_TEXT_CHARACTERS = 1000
MAX_WARNINGS = 100


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


def clip_text(text: str) -> str:
    """Return a sentence or a pointer, cut in the middle if it is long.

    Its begin says what is wrong, and its end often what would be right.

    >>> clip_text("short"), len(clip_text("x" * 5000))
    ('short', 1000)
    """
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    half = (MAX_TEXT_CHARACTERS - len(" ... ")) // 2
    return f"{text[:half]} ... {text[-half - 1 :]}"


def clip_warnings(warnings: Sequence[str]) -> list[str]:
    """Return the first warnings as answers have them, and one that counts the others.

    >>> clip_warnings(["a", "b"]), clip_warnings(["a"] * 103)[-1]
    (['a', 'b'], '3 more warnings.')
    """
    shown = list(map(clip_text, warnings[:MAX_WARNINGS]))
    more = len(warnings) - len(shown)
    return [*shown, f"{more:,} more {'warning' if more == 1 else 'warnings'}."] if more else shown


def escaped(text: str, most: int = 100) -> str:
    """Return a stranger's text for a line of the log: printable ASCII, cut if it is long.

    >>> escaped("a\\nb"), escaped("é"), len(escaped("x" * 5000))
    ('a\\\\nb', '\\\\xe9', 103)
    """
    written = text[:most].encode("unicode_escape").decode("ascii")
    return written if len(text) <= most else written + "..."


def _cut(text: str) -> str:
    return text if len(text) <= MAX_RECEIVED_CHARACTERS else text[:MAX_RECEIVED_CHARACTERS] + "..."
