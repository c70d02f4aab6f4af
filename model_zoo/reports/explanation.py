"""The explanation of a trace: who set each argument of each call, and each override's fate."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.arg_scope import scoped_op
from model_zoo.errors import Problem, json_pointer
from model_zoo.graph import Tensor
from model_zoo.provenance import Binding, Call, Level, Location, Pointer, written_at
from model_zoo.signatures import to_wire

Kind = Literal["call", "scope", "default"]


class SourceDocument(TypedDict):
    """Where a value was written: a JSON pointer or a line of Python, and whose it is."""

    written_at: str
    level: Level


class BeatenDocument(SourceDocument):
    """A scope's value that another one beat, and where it was written."""

    value: JsonValue


class ArgumentDocument(TypedDict):
    """An argument of a call: its value, who set it, where unless by default, and what that beat."""

    name: str
    value: JsonValue
    kind: Kind
    written_at: NotRequired[str]
    level: NotRequired[Level]
    beat: NotRequired[list[BeatenDocument]]


class CallDocument(TypedDict):
    """A call of a scoped op, with every argument."""

    layer: str
    op: str
    called_at: str
    arguments: list[ArgumentDocument]


class BeatenByDocument(SourceDocument):
    """What beat an override, and at how many calls."""

    calls: int


class OverrideDocument(TypedDict):
    """An argument of a request's level for one op: how many calls it reached, and where it won."""

    pointer: str
    op: str
    argument: str
    value: JsonValue
    reached: int
    won: int
    beaten_by: list[BeatenByDocument]


class ExplanationDocument(TypedDict):
    """Every call with every argument, and every override of the request with its fate."""

    calls: list[CallDocument]
    overrides: list[OverrideDocument]


RequestLevel = tuple[str, Sequence[Callable[..., Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was written: a JSON pointer, or a line of Python, and whose level it is."""

    written_at: str
    level: Level

    def to_dict(self) -> SourceDocument:
        return {"written_at": self.written_at, "level": self.level}


@dataclass(frozen=True, slots=True)
class ArgumentReport:
    """One argument of one call: its value, its kind, where it was written, and what it beat."""

    name: str
    value: Any
    kind: Kind
    source: Source | None
    beat: tuple[tuple[Any, Source], ...]

    def to_dict(self) -> ArgumentDocument:
        """Return the argument, JSON-ready."""
        argument: ArgumentDocument = {
            "name": self.name,
            "value": _wire(self.value),
            "kind": self.kind,
        }
        if self.source is not None:
            argument["written_at"] = self.source.written_at
            argument["level"] = self.source.level
        if self.beat:
            argument["beat"] = [
                {"value": _wire(value), **source.to_dict()} for value, source in self.beat
            ]
        return argument


@dataclass(frozen=True, slots=True)
class CallReport:
    """One call of a scoped op."""

    layer: str
    op: str
    called_at: str
    arguments: tuple[ArgumentReport, ...]

    def to_dict(self) -> CallDocument:
        """Return the call, JSON-ready."""
        return {
            "layer": self.layer,
            "op": self.op,
            "called_at": self.called_at,
            "arguments": [argument.to_dict() for argument in self.arguments],
        }


@dataclass(slots=True)
class OverrideReport:
    """One argument of a request's level, for one op: how often it reached and won a call."""

    pointer: str
    op: str
    argument: str
    value: Any
    reached: int = 0
    won: int = 0
    beaten_by: Counter[Source] = field(default_factory=Counter)

    def to_dict(self) -> OverrideDocument:
        """Return the override, JSON-ready."""
        return {
            "pointer": self.pointer,
            "op": self.op,
            "argument": self.argument,
            "value": _wire(self.value),
            "reached": self.reached,
            "won": self.won,
            "beaten_by": [
                {**source.to_dict(), "calls": calls}
                for source, calls in self.beaten_by.most_common()
            ],
        }


def _wire(value: Any) -> Any:
    return value.name if isinstance(value, Tensor) else to_wire(value)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every call with every argument, and every override with its fate."""

    architecture: str
    calls: tuple[CallReport, ...]
    overrides: tuple[OverrideReport, ...]

    def to_dict(self) -> ExplanationDocument:
        """Return the explanation, JSON-ready."""
        return {
            "calls": [call.to_dict() for call in self.calls],
            "overrides": [override.to_dict() for override in self.overrides],
        }

    def to_text(self) -> str:
        """Return the explanation for a terminal: one block for each call, then the overrides."""
        lines: list[str] = []
        for call in self.calls:
            lines.append(f"{call.layer} ({call.op}), called at {call.called_at}")
            for argument in call.arguments:
                where = "" if argument.source is None else f" from {argument.source.written_at}"
                beat = "".join(
                    f"; beat {_wire(value)} from {source.written_at}"
                    for value, source in argument.beat
                )
                lines.append(
                    f"    {argument.name} = {_wire(argument.value)}  [{argument.kind}{where}{beat}]"
                )
        if self.overrides:
            lines += ["", "Overrides"]
        for override in self.overrides:
            beaten = "".join(
                f"; {calls} beaten by {source.written_at}"
                for source, calls in override.beaten_by.most_common()
            )
            lines.append(
                f"    {override.pointer} on {override.op}: reached {override.reached} calls, "
                f"won {override.won}{beaten}"
            )
        return "\n".join(lines) + "\n"

    def without_effect(self) -> Iterator[Problem]:
        """Yield a problem for each argument of a request's level that won at no call."""
        by_pointer: dict[str, list[OverrideReport]] = {}
        for override in self.overrides:
            by_pointer.setdefault(override.pointer, []).append(override)
        for pointer, overrides in by_pointer.items():
            if any(override.won for override in overrides):
                continue
            names = " and ".join(override.op for override in overrides)
            value = _wire(overrides[0].value)
            reached = sum(override.reached for override in overrides)
            if not reached:
                yield Problem(
                    f"this override reached no call: {self.architecture} calls no {names} here.",
                    pointer,
                    value,
                )
                continue
            beaten: Counter[Source] = Counter()
            for override in overrides:
                beaten += override.beaten_by
            who = "; ".join(
                f"{source.written_at} ({calls})" for source, calls in beaten.most_common(3)
            )
            yield Problem(
                f"this override of {names} reached {reached} calls and won at none; "
                f"beaten by {who}.",
                pointer,
                value,
            )


def explain(
    calls: Sequence[Call], architecture: str, levels: Sequence[RequestLevel]
) -> Explanation:
    """Return the explanation of a trace's calls, for a request of these levels."""
    overrides = {
        (pointer + json_pointer(name), scoped_op(function).name): OverrideReport(
            pointer + json_pointer(name), scoped_op(function).name, name, value
        )
        for pointer, functions, arguments in levels
        for function in functions
        for name, value in arguments.items()
    }
    reports = []
    for call in calls:
        arguments = tuple(_arguments(call))
        reports.append(CallReport(call.place, call.op.name, str(call.location), arguments))
        for argument in arguments:
            _count(call, argument, overrides)
    return Explanation(architecture, tuple(reports), tuple(overrides.values()))


def _arguments(call: Call) -> Iterator[ArgumentReport]:
    given = call.given
    names = dict.fromkeys([*call.op.parameters, *given, *call.bindings])
    for name in names:
        if name in ("scope", "reuse") and name not in given:
            continue
        chain = list(call.bindings[name].chain()) if name in call.bindings else []
        if name in given:
            source = _source_of_given(call, name)
            yield ArgumentReport(name, given[name], "call", source, _beat(name, chain))
        elif chain:
            winner, *beaten = chain
            yield ArgumentReport(
                name, winner.value, "scope", _source(winner.origin, name), _beat(name, beaten)
            )
        else:
            yield ArgumentReport(name, call.op.defaults.get(name), "default", None, ())


def _beat(name: str, chain: Sequence[Binding]) -> tuple[tuple[Any, Source], ...]:
    return tuple((binding.value, _source(binding.origin, name)) for binding in chain)


def _source(origin: Location | Pointer, name: str) -> Source:
    return Source(written_at(origin, name), origin.level)


def _source_of_given(call: Call, name: str) -> Source:
    """Return where a call's own argument was written.

    A normalizer's arguments are passed on by the layer that calls it: they were written where that
    layer's `normalizer_params` were.
    """
    parent = call.parent
    if parent is not None and "normalizer_params" in parent.op.parameters:
        given = parent.given
        params = given.get("normalizer_params")
        binding = parent.bindings.get("normalizer_params")
        if "normalizer_params" not in given and binding is not None:
            params = binding.value
        if params and name in params:
            carrier = f"normalizer_params of {parent.op.name}"
            if "normalizer_params" in given or binding is None:
                return Source(f"{parent.location}, {carrier}", parent.location.level)
            if isinstance(binding.origin, Pointer):
                where = binding.origin.args + json_pointer("normalizer_params", name)
                return Source(where, binding.origin.level)
            return Source(f"{binding.origin}, {carrier}", binding.origin.level)
    return Source(str(call.location), call.location.level)


def _count(
    call: Call, argument: ArgumentReport, overrides: Mapping[tuple[str, str], OverrideReport]
) -> None:
    binding = call.bindings.get(argument.name)
    if binding is None or argument.source is None:
        return
    for index, scoped in enumerate(binding.chain()):
        if not isinstance(scoped.origin, Pointer):
            continue
        override = overrides[written_at(scoped.origin, argument.name), call.op.name]
        override.reached += 1
        if index == 0 and argument.kind == "scope":
            override.won += 1
        else:
            override.beaten_by[argument.source] += 1
