"""Arguments given as plain JSON: what their type allows, in words and checked by pydantic."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NotRequired

from pydantic import ConfigDict, JsonValue, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12


class ArgumentDescription(TypedDict):
    """An argument in the catalogue: its type in words, and its default or that it is required.

    It is neither where a call may go without it. `values` are the names to choose from, where a
    request gives it by name.
    """

    name: str
    type: str
    values: NotRequired[list[str]]
    required: NotRequired[Literal[True]]
    default: NotRequired[JsonValue]


class UnfitError(Exception):
    """What a request gives is not of the kind that its argument takes."""


@dataclass(frozen=True, slots=True)
class PlainKind:
    """JSON that the argument's type allows."""

    annotation: Any

    @property
    def expected(self) -> str:
        """What is valid, in words."""
        return _words(_adapter(self.annotation).json_schema())

    def read(self, wire: Any, _pointer: str) -> Any:
        """Return the value that JSON stands for.

        Raises: UnfitError if the type does not allow it.
        """
        try:
            text = json.dumps(wire, allow_nan=False)
            return _adapter(self.annotation).validate_json(text, strict=True)
        except (ValidationError, TypeError, ValueError) as error:
            raise UnfitError from error

    @property
    def in_python(self) -> str:
        """What is valid where Python passes the argument, in words."""
        try:
            return self.expected.replace(" or null", " or None")
        except PydanticInvalidForJsonSchema:  # a type that JSON has no word for
            return f"of type {self.annotation}"

    def fits(self, value: Any) -> bool:
        """Return whether the type allows a value in Python."""
        try:
            _adapter(self.annotation).validate_python(value, strict=True)
        except ValidationError:
            return False
        return True

    def describe(self, name: str) -> ArgumentDescription:
        """Return an argument of this kind for the catalogue, without its default."""
        return {"name": name, "type": self.expected}


@functools.cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))


def spell(value: Any) -> str:
    """Return a received value as JSON, cut to a readable length."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _words(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_words(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(map(repr, schema.get("enum", [schema.get("const")])))
    kind = schema.get("type")
    if kind == "array":
        least, most = schema.get("minItems"), schema.get("maxItems")
        bound = "" if least == most else "at most "
        count = "" if most is None else f" of {bound}{most}"
        return f"a list{count}, each {_words(schema['items'])}"
    words = {
        "integer": "an integer",
        "number": "a number",
        "boolean": "true or false",
        "string": "a string",
        "null": "null",
        "object": "an object",
    }[kind or "object"]
    bounds = [
        f"{text} {schema[key]:g}"
        for key, text in (
            ("minimum", "of at least"),
            ("exclusiveMinimum", "above"),
            ("maximum", "of at most"),
            ("exclusiveMaximum", "below"),
        )
        if key in schema
    ]
    return f"{words} {' and '.join(bounds)}" if bounds else words
