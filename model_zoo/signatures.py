"""What a request may send for each argument of a function, read from the function's signature.

The annotations of scoped ops, networks, default-scope functions and value makers are the schema:
the same types check a request, describe it in the catalogue and help in an editor.
"""

import copy
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Unpack

from model_zoo.arg_scope import has_arg_scope, scoped_op
from model_zoo.errors import Problem, SpecError, describe_each, json_pointer, unknown_name
from model_zoo.graph import Tensor
from model_zoo.layers import find_op, normalizer_names
from model_zoo.plain_values import ArgumentDescription, PlainKind, UnfitError, spell
from model_zoo.unknown_arguments import unknown_argument
from model_zoo.values import (
    AddedLater,
    ByName,
    EachByName,
    Initializer,
    Matching,
    Named,
    NormalizerArguments,
    NormalizerByName,
    OfOneCall,
    Regularizer,
    ValueKind,
    makers,
)

NOT_GIVEN = inspect.Parameter.empty


class Kind(Protocol):
    """What the values of an argument are, and how a request gives them."""

    @property
    def expected(self) -> str:
        """What is valid, in words: the end of the sentence "stride must be ..."."""

    def read(self, wire: Any, pointer: str) -> Any:
        """Return the value that a request's JSON stands for.

        Raises: UnfitError if it is not of this kind, SpecError with the places inside it that are
        not valid.
        """

    @property
    def in_python(self) -> str:
        """What is valid where Python passes the argument, in words."""

    def fits(self, value: Any) -> bool:
        """Return whether a value in Python is of this kind."""

    def describe(self, name: str) -> ArgumentDescription:
        """Return an argument of this kind for the catalogue, without its default."""


@dataclass(frozen=True, slots=True)
class NullableKind:
    """Null, or a value of another kind."""

    kind: Kind

    @property
    def expected(self) -> str:
        return f"{self.kind.expected} or null"

    def read(self, wire: Any, pointer: str) -> Any:
        return None if wire is None else self.kind.read(wire, pointer)

    @property
    def in_python(self) -> str:
        return f"{self.kind.in_python}, or None"

    def fits(self, value: Any) -> bool:
        return value is None or self.kind.fits(value)

    def describe(self, name: str) -> ArgumentDescription:
        return {**self.kind.describe(name), "type": self.expected}


@dataclass(frozen=True, slots=True)
class MatchingKind:
    """A string that a pattern fits."""

    pattern: str
    expected: str

    def read(self, wire: Any, pointer: str) -> Any:
        if not self.fits(wire):
            raise UnfitError
        return wire

    @property
    def in_python(self) -> str:
        return self.expected

    def fits(self, value: Any) -> bool:
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None

    def describe(self, name: str) -> ArgumentDescription:
        return {"name": name, "type": self.expected}


@dataclass(frozen=True, slots=True)
class NamedKind:
    """An activation, initializer or regularizer: a name, or an object of name and arguments."""

    kind: ValueKind

    @property
    def expected(self) -> str:
        return f"{_with_article(self.kind)} by name"

    def read(self, wire: Any, pointer: str) -> Any:
        name, arguments = _name_and_arguments(wire, pointer, self.kind, makers(self.kind))
        maker = makers(self.kind)[name]
        return maker(**signature_of(maker).read(arguments, pointer, name))

    @property
    def in_python(self) -> str:
        return _IN_PYTHON[self.kind]

    def fits(self, value: Any) -> bool:
        return (
            callable(value) if self.kind == "activation" else isinstance(value, _TYPES[self.kind])
        )

    def describe(self, name: str) -> ArgumentDescription:
        return {"name": name, "type": self.expected, "values": sorted(makers(self.kind))}


@dataclass(frozen=True, slots=True)
class NamedEachKind:
    """An object whose values are of a kind that is given by name."""

    kind: ValueKind

    @property
    def expected(self) -> str:
        return f"an object of {self.kind}s"

    def read(self, wire: Any, pointer: str) -> Any:
        each = NamedKind(self.kind)
        values = {}
        for key, inner in _object(wire).items():
            where = pointer + json_pointer(key)
            try:
                values[key] = each.read(inner, where)
            except UnfitError as error:
                raise SpecError(_no_name(self.kind, inner, where)) from error
        return values

    @property
    def in_python(self) -> str:
        return f"a dictionary, each value {_IN_PYTHON[self.kind]}"

    def fits(self, value: Any) -> bool:
        each = NamedKind(self.kind)
        return isinstance(value, Mapping) and all(each.fits(inner) for inner in value.values())

    def describe(self, name: str) -> ArgumentDescription:
        return {"name": name, "type": self.expected}


@dataclass(frozen=True, slots=True)
class NormalizerKind:
    """A normalizer, by name alone: its arguments have an argument of their own."""

    expected: ClassVar[str] = "a normalizer by name"

    def read(self, wire: Any, pointer: str) -> Any:
        known = normalizer_names()
        name, arguments = _name_and_arguments(wire, pointer, "normalizer", known)
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

    @property
    def in_python(self) -> str:
        return "a function, such as model_zoo.layers.batch_norm"

    def fits(self, value: Any) -> bool:
        return callable(value)

    def describe(self, name: str) -> ArgumentDescription:
        return {"name": name, "type": self.expected, "values": list(normalizer_names())}


@dataclass(frozen=True, slots=True)
class NormalizerArgumentsKind:
    """An object of arguments, each as the first normalizer that has it takes it.

    Which normalizer gets them is known only at a call.
    """

    expected: ClassVar[str] = "an object of a normalizer's arguments"

    def read(self, wire: Any, pointer: str) -> Any:
        known: dict[str, tuple[str, Argument]] = {}
        for normalizer in normalizer_names():
            for name, argument in signature_of(find_op(normalizer)).arguments.items():
                known.setdefault(name, (normalizer, argument))
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, value in _object(wire).items():
            if name in known:
                normalizer, argument = known[name]
                try:
                    values[name] = argument.read(value, pointer + json_pointer(name), normalizer)
                except SpecError as error:
                    problems += error.problems

        def describe(name: str) -> Problem:
            rule = f"No normalizer has an argument {name!r}."
            where = pointer + json_pointer(name)
            return unknown_argument(normalizer_names(), name, known, where, rule=rule)

        problems += describe_each((name for name in wire if name not in known), describe)
        if problems:
            raise SpecError(*problems)
        return values

    @property
    def in_python(self) -> str:
        return "a dictionary of a normalizer's arguments"

    def fits(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def describe(self, name: str) -> ArgumentDescription:
        return {"name": name, "type": self.expected}


_IN_PYTHON: Mapping[ValueKind, str] = {
    "activation": "a function of a tensor, such as model_zoo.activations.relu",
    "initializer": "an initializer, such as model_zoo.values.xavier_initializer()",
    "regularizer": "a regularizer, such as model_zoo.values.l2_regularizer(0.0001)",
}
_TYPES: Mapping[ValueKind, type[Named]] = {"initializer": Initializer, "regularizer": Regularizer}


def _object(wire: Any) -> Mapping[str, Any]:
    if not isinstance(wire, dict):
        raise UnfitError
    return wire


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'ai' else 'a'} {noun}"


def _no_name(noun: str, wire: Any, pointer: str) -> Problem:
    return Problem(
        f"{_with_article(noun)} is a name, or an object with a name and arguments; "
        f"received {spell(wire)}.",
        pointer,
        wire,
    )


def _name_and_arguments(
    wire: Any, pointer: str, noun: str, known: Collection[str]
) -> tuple[str, dict[str, Any]]:
    """Return a known name, and the arguments beside it.

    Raises: UnfitError for what is no name and has none, SpecError for an unknown name.
    """
    if not isinstance(wire, str) and not (isinstance(wire, dict) and "name" in wire):
        raise UnfitError
    arguments = dict(wire) if isinstance(wire, dict) else {"name": wire}
    name = arguments.pop("name")
    if not isinstance(name, str):
        raise SpecError(_no_name(noun, wire, pointer))
    if name not in known:
        where = pointer + json_pointer("name") if isinstance(wire, dict) else pointer
        raise SpecError(unknown_name(where, f"There is no {noun} {name!r}.", name, known))
    return name, arguments


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a function that a request may set."""

    name: str
    kind: Kind
    default: Any
    added_later: bool = False
    optional: bool = False

    @property
    def required(self) -> bool:
        return self.default is NOT_GIVEN and not self.optional

    @property
    def expected(self) -> str:
        """What is valid, in words."""
        return self.kind.expected

    def read(self, wire: Any, pointer: str, owner: str) -> Any:
        """Return the value that a request's JSON stands for.

        Raises: SpecError.
        """
        try:
            return self.kind.read(wire, pointer)
        except UnfitError as error:
            raise SpecError(
                Problem(
                    f"{self.name} of {owner} must be {self.expected}; received {spell(wire)}.",
                    pointer,
                    wire,
                )
            ) from error

    def describe(self) -> ArgumentDescription:
        """Return the argument for the catalogue."""
        description = self.kind.describe(self.name)
        if self.required:
            description["required"] = True
        elif not self.optional:
            description["default"] = to_wire(self.default)
        return description


class Signature:
    """The arguments of a function that a request may set."""

    def __init__(self, function: Callable[..., Any], skip: Iterable[str] = ()) -> None:
        hints = typing.get_type_hints(function, include_extras=True)
        self.arguments: dict[str, Argument] = {}
        for parameter in inspect.signature(function).parameters.values():
            hint = hints.get(parameter.name, Any)
            if hint is Tensor or parameter.name in skip or OfOneCall() in typing.get_args(hint):
                continue
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                self._add_keywords(hint)
                continue
            hint, added_later = _without_age(hint)
            self.arguments[parameter.name] = Argument(
                parameter.name, _kind(hint), parameter.default, added_later
            )

    def _add_keywords(self, hint: Any) -> None:
        """Add what `**keywords: Unpack[...]` lists: arguments that a call may go without."""
        for keywords in typing.get_args(hint) if typing.get_origin(hint) is Unpack else ():
            for name, inner in typing.get_type_hints(keywords, include_extras=True).items():
                self.arguments[name] = Argument(name, _kind(inner), NOT_GIVEN, optional=True)

    def with_defaults(self, defaults: Mapping[str, Any]) -> "Signature":
        """Return the signature with other defaults for those of its arguments that are named."""
        signature = copy.copy(self)
        signature.arguments = {
            name: replace(argument, default=defaults.get(name, argument.default))
            for name, argument in self.arguments.items()
        }
        return signature

    def read(
        self, wire: Mapping[str, Any], pointer: str, owner: str, *, complete: bool = True
    ) -> dict[str, Any]:
        """Return the values that a request's arguments stand for.

        With `complete`, arguments without a default must be there.
        Raises: SpecError with a problem for each mistake.
        """
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        problems += describe_each(
            (name for name in wire if name not in self.arguments),
            lambda name: unknown_argument(
                [owner], name, self.arguments, pointer + json_pointer(name)
            ),
        )
        for name, value in wire.items():
            argument = self.arguments.get(name)
            if argument is None:
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
            if argument.default is not NOT_GIVEN
        }

    def normalized(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values as a request writes them, with the defaults of arguments that lack one.

        Arguments that were added later are left out at their default.
        """
        complete = {name: to_wire(value) for name, value in {**self.defaults(), **values}.items()}
        return {
            name: value
            for name, value in complete.items()
            if not (
                self.arguments[name].added_later and value == to_wire(self.arguments[name].default)
            )
        }

    def describe(self) -> list[ArgumentDescription]:
        """Return the arguments for the catalogue."""
        return [argument.describe() for argument in self.arguments.values()]


@functools.cache
def signature_of(function: Callable[..., Any], skip: tuple[str, ...] = ()) -> Signature:
    """Return the signature of a function; of a scoped op without `scope`, which names one call."""
    if has_arg_scope(function):
        skip = (*skip, "scope")
    return Signature(function, skip)


def _without_age(hint: Any) -> tuple[Any, bool]:
    """Return a hint without the mark of an argument that was added later, and whether it had it."""
    if typing.get_origin(hint) is not typing.Annotated:
        return hint, False
    inner, *metadata = typing.get_args(hint)
    marks = [mark for mark in metadata if not isinstance(mark, AddedLater)]
    if len(marks) == len(metadata):
        return hint, False
    return (typing.Annotated[inner, *marks] if marks else inner), True


def _kind(hint: Any) -> Kind:
    """Return the kind of the values that a hint allows: by its mark, or else plain JSON."""
    for option in (hint, *_options(hint)):
        if typing.get_origin(option) is not typing.Annotated:
            continue
        inner, *metadata = typing.get_args(option)
        for mark in metadata:
            kind = _marked(mark)
            if kind is not None:
                nullable = type(None) in (*typing.get_args(inner), *_options(hint))
                return NullableKind(kind) if nullable else kind
    return PlainKind(hint)


def _options(hint: Any) -> tuple[Any, ...]:
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if is_union else ()


def _marked(mark: object) -> Kind | None:
    match mark:
        case ByName(kind):
            return NamedKind(kind)
        case EachByName(kind):
            return NamedEachKind(kind)
        case NormalizerByName():
            return NormalizerKind()
        case Matching(pattern, expected):
            return MatchingKind(pattern, expected)
        case NormalizerArguments():
            return NormalizerArgumentsKind()
    return None


def to_wire(value: Any) -> Any:
    """Return a value as a request writes it: the inverse of reading."""
    # First, because reports ask of thousands of values, and most are plain.
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Named):
        return value.to_wire()
    if callable(value) and has_arg_scope(value):
        return scoped_op(value).name
    if isinstance(value, Mapping):
        return {key: to_wire(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_wire(inner) for inner in value]
    return getattr(value, "__name__", None) or repr(value)
