"""JSON Patch (RFC 6902): the operations that turn one document into another."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.errors import json_pointer
from model_zoo.reports.subsequence import common_subsequence


class Operation(TypedDict):
    """One operation of a JSON Patch."""

    op: Literal["add", "remove", "replace"]
    path: str
    value: NotRequired[JsonValue]


def json_patch(a: Any, b: Any) -> list[Operation]:
    """Return the operations that turn the JSON document `a` into `b`, to be applied in order.

    >>> json_patch({"a": 1, "b": [1, 2]}, {"b": [2], "c": None})
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'op': 'remove', 'path': '/a'}, {'op': 'remove', 'path': '/b/0'},
     {'op': 'add', 'path': '/c', 'value': None}]
    """
    return list(_operations(a, b, ""))


def exact_spelling(value: Any) -> str:
    """Return a value's JSON, the same for equal values alone: in Python 1, 1.0 and true are equal.

    >>> [exact_spelling(value) for value in (1, 1.0, True, {"b": 1, "a": 2})]
    ['1', '1.0', 'true', '{"a": 2, "b": 1}']
    """
    return json.dumps(value, sort_keys=True)


def json_text(value: Any) -> str:
    """Return a value's JSON for people, in the order of its keys."""
    return json.dumps(value, ensure_ascii=False)


def _operations(a: Any, b: Any, path: str) -> Iterator[Operation]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for key in a:
            if key in b:
                yield from _operations(a[key], b[key], path + json_pointer(key))
            else:
                yield {"op": "remove", "path": path + json_pointer(key)}
        for key in b:
            if key not in a:
                yield {"op": "add", "path": path + json_pointer(key), "value": b[key]}
    elif isinstance(a, list) and isinstance(b, list):
        yield from _of_lists(a, b, path)
    elif exact_spelling(a) != exact_spelling(b):
        yield {"op": "replace", "path": path, "value": b}


def _of_lists(a: Sequence[Any], b: Sequence[Any], path: str) -> Iterator[Operation]:
    """Items are changed from the end on, so that the places of those before them still hold."""
    common = common_subsequence([*map(exact_spelling, a)], [*map(exact_spelling, b)])
    a_end, b_end = len(a), len(b)
    for a_common, b_common in [*reversed(common), (-1, -1)]:
        a_start, b_start = a_common + 1, b_common + 1
        both = min(a_end - a_start, b_end - b_start)
        for place in reversed(range(a_start + both, a_end)):
            yield {"op": "remove", "path": path + json_pointer(place)}
        for item in reversed(b[b_start + both : b_end]):
            yield {"op": "add", "path": path + json_pointer(a_start + both), "value": item}
        for offset in reversed(range(both)):
            where = path + json_pointer(a_start + offset)
            yield from _operations(a[a_start + offset], b[b_start + offset], where)
        a_end, b_end = a_common, b_common
