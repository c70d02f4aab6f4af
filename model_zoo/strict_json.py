"""Reads untrusted JSON: one meaning, bounded size, no surprises.

The standard parser keeps the last of duplicate keys, accepts NaN, recurses without a bound and
reads integers of any length; two readers could then see two specs, or none could write the answer.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from model_zoo.errors import Problem, SpecError, json_pointer

MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_STRING = 10_000
MAX_INTEGER = 2**63 - 1
# What may be beyond 64 bits, as an integer or as a float.
_LARGE = re.compile(r"[0-9]{19}|[eE]\+?[0-9]{3}")
_BRACKETS = re.compile(r"[\[\]{}]")
_EMPTY = re.compile(r"\[\s*\]|\{\s*\}")


def read_json(data: bytes, *, max_depth: int = MAX_DEPTH, max_nodes: int = MAX_NODES) -> Any:
    """Return the value of a UTF-8 JSON document.

    Raises: SpecError if it is malformed, repeats a key, holds NaN or infinity, an integer beyond 64
    bits, a lone surrogate or a string of over 10,000 characters, is nested deeper than `max_depth`,
    or has more than `max_nodes` values.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"The JSON is not valid UTF-8 at byte {error.start}.") from error
    _check_size(text, max_depth, max_nodes)
    try:
        value = _parsed(text)
        if _check_values(value):
            return value
    except ValueError:  # Python converts no integer of thousands of digits
        pass
    # The hooks name the number that is too large; for every document they would take too long.
    return _parsed(text, integer=_integer, number=_number)


def _parsed(
    text: str,
    integer: Callable[[str], int] | None = None,
    number: Callable[[str], float] | None = None,
) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=integer,
            parse_float=number,
        )
    except json.JSONDecodeError as error:
        raise SpecError(
            f"The JSON is malformed at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error


def _check_size(text: str, max_depth: int, max_nodes: int) -> None:
    """Count levels and values before anything is made of them."""
    openings = text.count("[") + text.count("{")
    may_be_deep = openings > max_depth
    if not may_be_deep and openings + text.count(",") < max_nodes:
        return
    outside = _without_strings(text)
    if may_be_deep:
        depth = 0
        for bracket in _BRACKETS.findall(outside):
            depth += 1 if bracket in "[{" else -1
            if depth > max_depth:
                raise SpecError(f"The JSON is nested deeper than {max_depth} levels.")
    # Each value but the outermost is the first in its container, or follows a comma.
    filled = outside.count("[") + outside.count("{") - len(_EMPTY.findall(outside))
    if 1 + filled + outside.count(",") > max_nodes:
        raise SpecError(f"The JSON has more than {max_nodes} values.")


def _without_strings(text: str) -> str:
    """Return a document with one quote in place of each string."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return '"'.join(text.split('"')[::2])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        key = _repeated(key for key, _ in pairs)
        raise SpecError(f"The JSON repeats the key {key[:100]!r} in one object.")
    return members


def _repeated(keys: Iterable[str]) -> str:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is repeated")


def _constant(name: str) -> NoReturn:
    raise SpecError(f"The JSON holds {name}, which is not a JSON number.")


def _number(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise SpecError(f"The JSON holds the number {digits[:40]}, which is beyond 64-bit floats.")
    return number


def _integer(digits: str) -> int:
    # Compared by length first: Python refuses to convert, or to print, very long integers.
    if len(digits) > 18 and (len(digits) > 20 or abs(int(digits)) > MAX_INTEGER):
        raise SpecError(
            f"The JSON holds an integer of {len(digits.lstrip('-'))} digits; "
            "the largest allowed is 64 bits, 9223372036854775807."
        )
    return int(digits)


def _check_values(value: Any) -> bool:
    """Check all strings; return whether all numbers surely fit in 64 bits."""
    if not isinstance(value, (dict, list)):
        _check_string((), value)
        return False
    fit = True
    pending: list[tuple[tuple[str | int, ...], dict[str, Any] | list[Any]]] = [((), value)]
    while pending:
        path, container = pending.pop()
        members: Iterable[tuple[str | int, Any]] = enumerate(container)
        if isinstance(container, dict):
            if not all(map(_is_text, container)):
                raise SpecError("A key holds a lone surrogate, which is not Unicode text.")
            members = container.items()
        for key, inner in members:
            kind = type(inner)
            if kind is str:
                _check_string((*path, key), inner)
            elif kind is dict or kind is list:
                pending.append(((*path, key), inner))
            elif kind is int or kind is float:
                fit = fit and -MAX_INTEGER <= inner <= MAX_INTEGER
    return fit


def _check_string(path: tuple[str | int, ...], item: Any) -> None:
    if not isinstance(item, str):
        return
    if len(item) > MAX_STRING:
        raise SpecError(
            Problem(
                f"a string has at most {MAX_STRING} characters; this one has {len(item)}.",
                json_pointer(*path),
            )
        )
    if not _is_text(item):
        raise SpecError(
            Problem(
                "a string holds a lone surrogate, which is not Unicode text.", json_pointer(*path)
            )
        )


def _is_text(string: str) -> bool:
    if string.isascii():
        return True
    try:
        string.encode()
    except UnicodeEncodeError:
        return False
    return True
