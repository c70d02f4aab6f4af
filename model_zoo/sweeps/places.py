"""Places in a spec, by JSON pointer: what axes set there."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from model_zoo.errors import Problem, SpecError
from model_zoo.plain_values import spell
from model_zoo.strict_json import MAX_DEPTH

# RFC 6901's index of a list; "-" is the item after the last.
_INDEX = re.compile("0|[1-9][0-9]*")
# As deep as JSON that is read.
_MAX_KEYS = MAX_DEPTH


def split_pointer(pointer: str) -> tuple[str, ...]:
    """Return the keys of an RFC 6901 pointer.

    >>> split_pointer("/scopes/0/args/a~1b")
    ('scopes', '0', 'args', 'a/b')

    Raises: SpecError for a ~ that escapes nothing, for the whole document, and for too many keys.
    """
    if re.search("~(?![01])", pointer):
        raise SpecError(
            Problem("In a JSON pointer, ~0 stands for ~ and ~1 for a slash.", "", pointer)
        )
    keys = pointer.removeprefix("/").split("/")
    if keys == [""]:
        rule = "An axis names a place in the spec, not the whole of it."
        raise SpecError(Problem(rule, "", pointer))
    if len(keys) > _MAX_KEYS:
        rule = f"A place has at most {_MAX_KEYS} keys; this one has {len(keys)}."
        raise SpecError(Problem(rule, "", pointer))
    return tuple(key.replace("~1", "/").replace("~0", "~") for key in keys)


def with_value(document: Any, place: tuple[str, ...], value: JsonValue) -> Any:
    """Return a document with a value at a place; missing objects are made, items of lists are not.

    What the place does not touch is shared with the document.
    Raises: SpecError if the place cannot be in the document.
    """
    if not place:
        return value
    key, *rest = place
    if isinstance(document, Mapping):
        if rest and key not in document and (rest[0] == "-" or _INDEX.fullmatch(rest[0])):
            rule = f"There is no list {key!r} in which {rest[0]!r} could be set."
            raise SpecError(Problem(f"{rule} Write the list into the spec.", "", rest[0]))
        inner = document.get(key, {})
        return {**document, key: with_value(inner, tuple(rest), value)}
    if isinstance(document, list):
        if not _INDEX.fullmatch(key) or int(key) >= len(document):
            items = f"item{'' if len(document) == 1 else 's'}"
            rule = f"The list there has {len(document)} {items}, numbered from 0; received {key!r}."
            raise SpecError(Problem(f"{rule} Write the item into the spec.", "", key))
        copy = list(document)
        copy[int(key)] = with_value(document[int(key)], tuple(rest), value)
        return copy
    rule = f"{key!r} cannot be set in {spell(document)}, which is neither an object nor a list."
    raise SpecError(Problem(rule, "", document))
