"""The explanation of a trace: who set each argument of each call, and each override's fate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.graph import Tensor
from model_zoo.provenance import Call, Level, ScopedOp
from model_zoo.reports.overrides import OverrideDocument, OverrideReport, Overrides
from model_zoo.setters import Kind, Setter, Source, setters
from model_zoo.signatures import to_wire

# Of the values that one beat, so that an answer does not grow as calls times levels.
MAX_BEATEN = 16


class BeatenDocument(TypedDict):
    """A value that another one beat, where it was written, and whose it is."""

    value: JsonValue
    written_at: str
    level: Level


class ArgumentDocument(TypedDict):
    """An argument of a call: its value, who set it, where unless by default, and what that beat.

    `beat` lists outer forced levels, then the call, then scopes from the innermost out; of more
    than 16, `more_beaten` counts the others.
    """

    name: str
    value: JsonValue
    kind: Kind
    written_at: NotRequired[str]
    level: NotRequired[Level]
    beat: NotRequired[list[BeatenDocument]]
    more_beaten: NotRequired[int]


class CallDocument(TypedDict):
    """A call of a scoped op, with every argument."""

    layer: str
    op: str
    called_at: str
    arguments: list[ArgumentDocument]


class ExplanationDocument(TypedDict):
    """Every call with every argument, and every override of the request with its fate."""

    calls: list[CallDocument]
    overrides: list[OverrideDocument]


class ArgumentReport(NamedTuple):
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
                {"value": _wire(value), "written_at": source.written_at, "level": source.level}
                for value, source in self.beat[:MAX_BEATEN]
            ]
        if len(self.beat) > MAX_BEATEN:
            argument["more_beaten"] = len(self.beat) - MAX_BEATEN
        return argument

    def to_text(self) -> str:
        """Return the value, who set it, and what it beat."""
        where = "" if self.source is None else f" from {self.source}"
        beat = "".join(
            f"; beat {_wire(value)} from {source}" for value, source in self.beat[:MAX_BEATEN]
        )
        if len(self.beat) > MAX_BEATEN:
            beat += f"; and {len(self.beat) - MAX_BEATEN} more"
        return f"{_wire(self.value)}  [{self.kind}{where}{beat}]"


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


def _wire(value: Any) -> Any:
    return value.name if isinstance(value, Tensor) else to_wire(value)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every call with every argument, and every override with its fate."""

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
            lines += (f"    {each.name} = {each.to_text()}" for each in call.arguments)
        if self.overrides:
            lines += ["", "Overrides"]
        for override in self.overrides:
            beaten = "".join(
                f"; {calls} beaten by {winner.source}"
                for winner, calls in override.beaten_by.most_common()
            )
            lines.append(
                f"    {override.pointer} on {override.op}: matched {override.layers} layers, "
                f"reached {override.reached} calls, won {override.won}{beaten}"
            )
        return "\n".join(lines) + "\n"


def explain(calls: Sequence[Call], overrides: Overrides) -> Explanation:
    """Return the explanation of a trace's calls, and of what became of the request's overrides."""
    shared: _Shared = {}
    reports = tuple(
        CallReport(call.place, call.op.name, str(call.location), tuple(_arguments(call, shared)))
        for call in calls
    )
    return Explanation(reports, overrides.reports)


# Reports of what no call gives itself, by an op or the identity of a scope's binding, and the
# argument: a binding is the same at all calls that a scope reaches, as an op's default is.
_Shared = dict[tuple[ScopedOp | int, str], ArgumentReport | None]


def _arguments(call: Call, shared: _Shared) -> Iterator[ArgumentReport]:
    given = call.given
    names = dict.fromkeys([*call.op.parameters, *given, *call.bindings, *call.forced])
    for name in names:
        if name in given or name in call.forced:
            report = _reported(call, name, given)
        else:
            key = (id(call.bindings[name]) if name in call.bindings else call.op, name)
            if key not in shared:
                shared[key] = _reported(call, name, given)
            report = shared[key]
        if report is not None:
            yield report


def _reported(call: Call, name: str, given: dict[str, Any]) -> ArgumentReport | None:
    """Return the report of an argument; None if it names the call, or the op has no default."""
    ranked = setters(call, name, given)
    if ranked or (name not in ("scope", "reuse") and name in call.op.defaults):
        return argument_report(call, name, ranked)
    return None


def argument_report(call: Call, name: str, ranked: Sequence[Setter]) -> ArgumentReport:
    """Return the report of an argument of a call, for which these values were given."""
    if not ranked:
        return ArgumentReport(name, call.op.defaults.get(name), "default", None, ())
    winner, *beaten = ranked
    beat = tuple((setter.value, setter.source) for setter in beaten)
    return ArgumentReport(name, winner.value, winner.kind, winner.source, beat)
