"""Applies a JSON Patch as RFC 6902 says, written without a look at the code under test."""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any


def applied(operations: Iterable[Mapping[str, Any]], document: Any) -> Any:
    """Return a document with the operations applied in order.

    Raises: ValueError where RFC 6902 (section 4) or RFC 6901 makes an operation an error.
    """
    document = copy.deepcopy(document)
    for operation in operations:
        if operation["op"] not in ("add", "remove", "replace"):
            raise ValueError(f"no operation of a diff: {operation}")
        if (operation["op"] == "remove") == ("value" in operation):
            raise ValueError(f"a value is missing, or too many: {operation}")
        document = _apply(document, _tokens(operation["path"]), operation)
    return document


def _tokens(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError(f"no JSON pointer: {pointer}")
    if re.search("~(?![01])", pointer):
        raise ValueError(f"no escape: {pointer}")
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _apply(document: Any, tokens: list[str], operation: Mapping[str, Any]) -> Any:
    if not tokens:
        if operation["op"] == "remove":
            raise ValueError("the whole document is removed")
        return copy.deepcopy(operation["value"])
    token, *rest = tokens
    if isinstance(document, list):
        key: Any = _index(token, len(document), appends=not rest and operation["op"] == "add")
        exists = key < len(document)
    elif isinstance(document, dict):
        key, exists = token, token in document
    else:
        raise ValueError(f"{operation['path']} leads into {document!r}")
    if rest:
        if not exists:
            raise ValueError(f"{operation['path']} leads nowhere")
        document[key] = _apply(document[key], rest, operation)
    elif operation["op"] == "add" and isinstance(document, list):
        document.insert(key, copy.deepcopy(operation["value"]))
    elif operation["op"] == "add":
        document[key] = copy.deepcopy(operation["value"])
    elif not exists:
        raise ValueError(f"there is nothing at {operation['path']}")
    elif operation["op"] == "remove":
        del document[key]
    else:
        document[key] = copy.deepcopy(operation["value"])
    return document


def _index(token: str, length: int, *, appends: bool) -> int:
    if token == "-" and appends:
        return length
    if not re.fullmatch("0|[1-9][0-9]*", token) or int(token) >= length + appends:
        raise ValueError(f"no index into {length} items: {token}")
    return int(token)
