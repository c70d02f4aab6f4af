"""What a request may send for each argument of a function, read from the function's signature.

The annotations of scoped ops, networks, default-scope functions and value makers are the schema:
the same types check a request, describe it in the catalogue and help in an editor.
"""

import functools
import inspect
import json
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from model_zoo.arg_scope import has_arg_scope, scoped_op
from model_zoo.errors import Problem, SpecError, json_pointer, unknown_name
from model_zoo.graph import Tensor
from model_zoo.layers import find_op, normalizer_names
from model_zoo.values import ByName, Named, makers

NOT_GIVEN = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: `kind` is None for plain JSON values, else what a name in a request means."""

    name: str
    annotation: Any
    default: Any
    kind: str | None
    nullable: bool

    @property
    def required(self) -> bool:
        return self.default is NOT_GIVEN

    @property
    def expected(self) -> str:
        """What is valid, in words: the end of the sentence "stride must be ..."."""
        if self.kind is None:
            return _words(_adapter(self.annotation).json_schema())
        words = {
            "activation": "an activation by name",
            "initializer": "an initializer by name",
            "regularizer": "a regularizer by name",
            "normalizer": "a normalizer by name",
            "normalizer arguments": "an object of a normalizer's arguments",
            "initializers": "an object of initializers",
            "regularizers": "an object of regularizers",
        }[self.kind]
        return words + (" or null" if self.nullable else "")

    def read(self, wire: Any, pointer: str, owner: str) -> Any:
        """Return the value that a request's JSON stands for.

        Raises: SpecError.
        """
        if self.kind is None:
            return self._read_plain(wire, pointer, owner)
        if wire is None and self.nullable:
            return None
        if self.kind in ("initializers", "regularizers"):
            kind = self.kind.removesuffix("s")
            return {
                key: read_named(kind, inner, pointer + json_pointer(key))
                for key, inner in self._object(wire, pointer, owner).items()
            }
        if self.kind == "normalizer arguments":
            return _read_normalizer_params(self._object(wire, pointer, owner), pointer)
        if not isinstance(wire, str) and not (isinstance(wire, dict) and "name" in wire):
            raise SpecError(self._refuse(wire, pointer, owner))
        return read_named(self.kind, wire, pointer)

    def _read_plain(self, wire: Any, pointer: str, owner: str) -> Any:
        try:
            text = json.dumps(wire, allow_nan=False)
            return _adapter(self.annotation).validate_json(text, strict=True)
        except (ValidationError, TypeError, ValueError) as error:
            raise SpecError(self._refuse(wire, pointer, owner)) from error

    def _object(self, wire: Any, pointer: str, owner: str) -> Mapping[str, Any]:
        if not isinstance(wire, dict):
            raise SpecError(self._refuse(wire, pointer, owner))
        return wire

    def _refuse(self, wire: Any, pointer: str, owner: str) -> Problem:
        return Problem(
            f"{self.name} of {owner} must be {self.expected}; received {spell(wire)}.",
            pointer,
            wire,
        )

    def describe(self) -> dict[str, Any]:
        """Return the argument for the catalogue."""
        found: dict[str, Any] = {"name": self.name, "type": self.expected}
        if self.kind in ("activation", "initializer", "regularizer"):
            found["values"] = sorted(makers(self.kind))
        elif self.kind == "normalizer":
            found["values"] = list(normalizer_names())
        if self.required:
            found["required"] = True
        else:
            found["default"] = to_wire(self.default)
        return found


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
        size = schema.get("minItems")
        count = f" of {size}" if size and size == schema.get("maxItems") else ""
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


class Signature:
    """The arguments of a function that a request may set."""

    def __init__(self, function: Callable[..., Any], skip: Iterable[str] = ()) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        self.arguments: dict[str, Argument] = {}
        for parameter in inspect.signature(function).parameters.values():
            hint = hints.get(parameter.name, Any)
            if hint is Tensor or parameter.name in skip:
                continue
            kind, nullable = _kind(hint)
            self.arguments[parameter.name] = Argument(
                parameter.name, hint, parameter.default, kind, nullable
            )

    def read(
        self, wire: Mapping[str, Any], pointer: str, owner: str, *, complete: bool = True
    ) -> dict[str, Any]:
        """Return the values that a request's arguments stand for.

        With `complete`, arguments without a default must be there.
        Raises: SpecError with a problem for each mistake.
        """
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, value in wire.items():
            argument = self.arguments.get(name)
            if argument is None:
                problems.append(
                    unknown_name(
                        pointer + json_pointer(name),
                        f"{owner} has no argument {name!r}.",
                        name,
                        self.arguments,
                    )
                )
                continue
            try:
                values[name] = argument.read(value, pointer + json_pointer(name), owner)
            except SpecError as error:
                problems += error.problems
        if complete:
            problems += [
                Problem(
                    f"{owner} needs {argument.name}: {argument.expected}.",
                    pointer + json_pointer(argument.name),
                )
                for argument in self.arguments.values()
                if argument.required and argument.name not in wire
            ]
        if problems:
            raise SpecError(*problems)
        return values

    def defaults(self) -> dict[str, Any]:
        """Return the values of the arguments that have a default."""
        return {
            argument.name: argument.default
            for argument in self.arguments.values()
            if not argument.required
        }

    def describe(self) -> list[dict[str, Any]]:
        """Return the arguments for the catalogue."""
        return [argument.describe() for argument in self.arguments.values()]


@functools.cache
def signature_of(function: Callable[..., Any], skip: tuple[str, ...] = ()) -> Signature:
    """Return the signature of a function; of a scoped op without `scope`, which names one call."""
    if has_arg_scope(function):
        skip = (*skip, "scope")
    return Signature(function, skip)


def _kind(hint: Any) -> tuple[str | None, bool]:
    """Return the `ByName` kind of a hint, and whether it allows None."""
    if typing.get_origin(hint) is typing.Annotated:
        inner, *metadata = typing.get_args(hint)
        for mark in metadata:
            if isinstance(mark, ByName):
                return mark.kind, type(None) in typing.get_args(inner)
        return None, False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [_kind(option)[0] for option in typing.get_args(hint)]
        found = next((kind for kind in kinds if kind is not None), None)
        return found, type(None) in typing.get_args(hint)
    return None, False


def read_named(kind: str, wire: Any, pointer: str) -> Any:
    """Return the value that a name, or an object of name and arguments, stands for.

    Raises: SpecError for an unknown name or arguments that do not fit it.
    """
    arguments = dict(wire) if isinstance(wire, dict) else {"name": wire}
    name = arguments.pop("name", None)
    known = normalizer_names() if kind == "normalizer" else makers(kind)
    article = "an" if kind[0] in "ai" else "a"
    if not isinstance(name, str):
        raise SpecError(
            Problem(
                f"{article} {kind} is a name, or an object with a name and arguments; "
                f"received {spell(wire)}.",
                pointer,
                wire,
            )
        )
    where = pointer + json_pointer("name") if isinstance(wire, dict) else pointer
    if name not in known:
        raise SpecError(unknown_name(where, f"There is no {kind} {name!r}.", name, known))
    if kind == "normalizer":
        if arguments:
            raise SpecError(
                Problem(
                    f"a normalizer's arguments are given by normalizer_params or by a scope of "
                    f"{name}; received {', '.join(arguments)}.",
                    pointer,
                    wire,
                )
            )
        return find_op(name)
    maker = makers(kind)[name]
    return maker(**signature_of(maker).read(arguments, pointer, name))


def _read_normalizer_params(wire: Mapping[str, Any], pointer: str) -> dict[str, Any]:
    """Read each argument as the first normalizer that has it would; a call decides which it is."""
    known: dict[str, tuple[str, Argument]] = {}
    for normalizer in normalizer_names():
        for name, argument in signature_of(find_op(normalizer)).arguments.items():
            known.setdefault(name, (normalizer, argument))
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in wire.items():
        where = pointer + json_pointer(name)
        if name not in known:
            problems.append(
                unknown_name(where, f"No normalizer has an argument {name!r}.", name, known)
            )
            continue
        normalizer, argument = known[name]
        try:
            values[name] = argument.read(value, where, normalizer)
        except SpecError as error:
            problems += error.problems
    if problems:
        raise SpecError(*problems)
    return values


def to_wire(value: Any) -> Any:
    """Return a value as a request writes it: the inverse of reading."""
    if isinstance(value, Named):
        return value.to_wire()
    if callable(value) and has_arg_scope(value):
        return scoped_op(value).name
    if isinstance(value, Mapping):
        return {key: to_wire(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_wire(inner) for inner in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return getattr(value, "__name__", None) or repr(value)
