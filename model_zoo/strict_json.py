"""Reads untrusted JSON: one meaning, bounded size, no surprises.

The standard parser keeps the last of duplicate keys, accepts NaN, recurses without a bound and
reads integers of any length; two readers could then see two specs, or none could write the answer.
"""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from model_zoo.errors import Problem, SpecError, json_pointer

MAX_DEPTH = 64
MAX_NODES = 50_000
MAX_STRING = 10_000
MAX_INTEGER = 2**63 - 1


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
    if text.count("[") + text.count("{") > max_depth:
        _check_depth(text, max_depth)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        raise SpecError(
            f"The JSON is malformed at line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    _check_nodes(value, max_nodes)
    return value


def _check_depth(text: str, limit: int) -> None:
    depth = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > limit:
                raise SpecError(f"The JSON is nested deeper than {limit} levels.")
        elif character in "]}":
            depth -= 1


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


def _check_nodes(value: Any, limit: int) -> None:
    # A document may have as many values as `limit` says, so only containers are put aside.
    _check_string((), value)
    count = 1
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while pending:
        path, container = pending.pop()
        if isinstance(container, dict):
            if not all(map(_is_text, container)):
                raise SpecError("A key holds a lone surrogate, which is not Unicode text.")
            members: Iterable[tuple[str | int, Any]] = container.items()
        elif isinstance(container, list):
            members = enumerate(container)
        else:
            continue
        count += len(container)
        if count > limit:
            raise SpecError(f"The JSON has more than {limit} values.")
        for key, inner in members:
            if isinstance(inner, str):
                _check_string((*path, key), inner)
            elif isinstance(inner, (dict, list)):
                pending.append(((*path, key), inner))


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
