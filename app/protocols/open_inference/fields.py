"""Members of JSON objects, each of one type."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from app.wording import clip
from model_zoo import InputError, Problem, unknown_name

Value = TypeVar("Value", str, int, bool, list[Any], dict[str, Any])

_WORDS: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}


def refused(
    pointer: str, message: str, received: object, suggestion: str | None = None
) -> InputError:
    """Return the error of one mistake."""
    return InputError(Problem(message, pointer, received, suggestion))


def unknown(pointer: str, owner: str, kind: str, name: str, valid: Iterable[str]) -> InputError:
    """Return the error of a name that is not among the valid ones."""
    shown = str(clip(name))  # a client may send one of megabytes
    rule = f"Model {owner!r} has no {kind} {shown!r}."
    return InputError(unknown_name(pointer, rule, shown, valid))


def required(owner: object, key: str, kind: type[Value], pointer: str) -> Value:
    """Return a member that must be there.

    Raises: InputError if it is not, is of another type, or `owner` is not an object.
    """
    document = checked(owner, dict, pointer)
    if key not in document:
        raise refused(f"{pointer}/{key}", f"{key} is missing; it is {_WORDS[kind]}.", None)
    return checked(document[key], kind, f"{pointer}/{key}")


def optional(owner: Mapping[str, Any], key: str, kind: type[Value], pointer: str) -> Value | None:
    """Return a member, or None if it is left out or null, as some clients write it.

    Raises: InputError if it is of another type.
    """
    value = owner.get(key)
    return None if value is None else checked(value, kind, f"{pointer}/{key}")


def checked(value: object, kind: type[Value], pointer: str) -> Value:
    """Return a value, checked to be of a type; true is no integer.

    Raises: InputError if it is not.
    """
    if type(value) is not kind:
        name = pointer.rpartition("/")[2]
        subject = name if name and not name.isdecimal() else "this"
        raise refused(pointer, f"{subject} must be {_WORDS[kind]}.", value)
    return value
