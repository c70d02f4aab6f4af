"""What became of a request's overrides: calls reached and won, who beat them, what would help."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.arg_scope import scoped_op
from model_zoo.errors import Problem, json_pointer, spell_names
from model_zoo.levels import Level
from model_zoo.patterns import Names, covering_patterns, fits, nearest_patterns
from model_zoo.provenance import Call, Pointer, ScopedOp
from model_zoo.provenance import Level as OriginLevel
from model_zoo.setters import Kind, Setter, Source, setters
from model_zoo.signatures import to_wire
from model_zoo.weight_sources import MAX_PATTERNS

# How many layers or winners a message names; the others are counted.
_NAMED = 3
# How many patterns get suggestions: each takes milliseconds.
_SUGGESTED = 8


class BeatenByDocument(TypedDict):
    """What beat an override, how that was set, and at how many calls."""

    written_at: str
    level: OriginLevel
    kind: Kind
    calls: int


class OverrideDocument(TypedDict):
    """An argument of a request's level for one op: its layers, calls reached, and calls won.

    `layers` counts the build's layers that the level's patterns fit, of any op.
    """

    pointer: str
    op: str
    argument: str
    value: JsonValue
    layers: int
    reached: int
    won: int
    beaten_by: list[BeatenByDocument]


class Winner(NamedTuple):
    """What beat an override at a call."""

    source: Source
    kind: Kind


@dataclass(slots=True)
class OverrideReport:
    """One argument of a request's level, for one op: how often it reached and won a call.

    `replaced_nulls` are the layers where a forced value replaced a null that the network gives.
    """

    pointer: str
    scoped_op: ScopedOp
    argument: str
    value: Any
    layers: int = 0
    reached_layers: list[str] = field(default_factory=list)
    won: int = 0
    beaten_by: Counter[Winner] = field(default_factory=Counter)
    replaced_nulls: list[str] = field(default_factory=list)

    @property
    def reached(self) -> int:
        """How many calls the override reached."""
        return len(self.reached_layers)

    @property
    def op(self) -> str:
        """The name of the op."""
        return self.scoped_op.name

    def to_dict(self) -> OverrideDocument:
        """Return the override, JSON-ready."""
        return {
            "pointer": self.pointer,
            "op": self.op,
            "argument": self.argument,
            "value": to_wire(self.value),
            "layers": self.layers,
            "reached": self.reached,
            "won": self.won,
            "beaten_by": [
                {
                    "written_at": winner.source.written_at,
                    "level": winner.source.level,
                    "kind": winner.kind,
                    "calls": calls,
                }
                for winner, calls in self.beaten_by.most_common()
            ],
        }


class Overrides:
    """The overrides of a request's levels, counted call by call."""

    def __init__(self, architecture: str, levels: Sequence[Level], calls: Sequence[Call]) -> None:
        self._architecture = architecture
        self._levels = levels
        self._calls = calls
        self.layers = list(dict.fromkeys(call.place for call in calls))
        self._by_level: list[list[OverrideReport]] = []
        self._by_key: dict[tuple[str, str], OverrideReport] = {}
        for level in levels:
            matched = sum(map(level.reaches, self.layers))
            reports = [
                OverrideReport(
                    level.pointer + json_pointer("args", name), scoped_op(op), name, value, matched
                )
                for op in level.ops
                for name, value in level.arguments.items()
            ]
            self._by_level.append(reports)
            self._by_key.update({(report.pointer, report.op): report for report in reports})
        self._count_calls()

    @property
    def reports(self) -> tuple[OverrideReport, ...]:
        return tuple(self._by_key.values())

    def _count_calls(self) -> None:
        names: dict[ScopedOp, set[str]] = {}
        for report in self.reports:
            names.setdefault(report.scoped_op, set()).add(report.argument)
        for call in self._calls:
            for name in names.get(call.op, ()):
                if name in call.bindings or name in call.forced:
                    self._count_setters(call, setters(call, name))

    def _count_setters(self, call: Call, ranked: Sequence[Setter]) -> None:
        """Count what was given for an argument of a call, the winner first."""
        for index, setter in enumerate(ranked):
            if not isinstance(setter.origin, Pointer):
                continue
            override = self._by_key[setter.source.written_at, call.op.name]
            override.reached_layers.append(call.place)
            if index:
                override.beaten_by[Winner(ranked[0].source, ranked[0].kind)] += 1
                continue
            override.won += 1
            if setter.kind == "forced" and setter.value is not None:
                own = next((other for other in ranked if other.kind != "forced"), None)
                if own is not None and own.value is None and own.source.level == "network":
                    override.replaced_nulls.append(call.place)

    def without_effect(self) -> Iterator[Problem]:
        """Yield a problem for each pattern without a layer, and each argument that won nowhere."""
        yield from self._idle_patterns()
        for level, reports in zip(self._levels, self._by_level, strict=True):
            if level.layers is not None and not any(map(level.reaches, self.layers)):
                if any(fits(name, p) for p in level.layers.patterns for name in self.layers):
                    yield Problem(
                        "this spares every layer that the level is limited to, so it reaches none.",
                        level.pointer + json_pointer("except"),
                        list(level.layers.excluded),
                    )
                continue
            for same in _by_pointer(reports):
                if not any(report.won for report in same):
                    yield self._lost(level, same)

    def replaced_nulls(self) -> Iterator[Problem]:
        """Yield a problem for each forced argument that replaced nulls of the network."""
        for level, reports in zip(self._levels, self._by_level, strict=True):
            reached = {layer for report in reports for layer in report.reached_layers}
            for same in _by_pointer(reports):
                layers = list(dict.fromkeys(x for report in same for x in report.replaced_nulls))
                if layers:
                    message = (
                        "this forced override replaced a null that the network gives in "
                        f"{_counted(layers)}. {self._how_to_spare(level, layers, reached)}"
                    )
                    yield Problem(message, same[0].pointer, to_wire(same[0].value))

    def _how_to_spare(self, level: Level, layers: Sequence[str], reached: set[str]) -> str:
        if reached <= {*layers}:
            return "The level reaches no other layer: without it, they keep their nulls."
        spared = () if level.layers is None else level.layers.excluded
        others = [layer for layer in self.layers if layer not in layers]
        patterns = sorted({*covering_patterns(layers, others), *spared})
        if len(patterns) > MAX_PATTERNS:
            return (
                f"To spare them would take more than {MAX_PATTERNS} patterns: limit the level by "
                '"layers" instead.'
            )
        return f'"except": {json.dumps(patterns)} would spare {_them(len(layers))}.'

    def unneeded_patterns(self) -> Iterator[Problem]:
        """Yield a problem for each pattern that fits layers, but none where an op is called."""
        for level in self._levels:
            if level.layers is None:
                continue
            ops = [scoped_op(op) for op in level.ops]
            where = self._layers_of(ops)
            if not any(map(level.reaches, where)):
                continue
            names = _joined([op.name for op in ops])
            limit = Names(level.layers.patterns)
            for pointer, pattern in level.patterns():
                layers = [layer for layer in self.layers if fits(layer, pattern)]
                is_limit = pattern in level.layers.patterns
                if not layers or any(
                    fits(layer, pattern) and (is_limit or layer in limit) for layer in where
                ):
                    continue
                rule = "reaches" if is_limit else "spares"
                message = f"{pattern!r} fits {_counted(layers)}, but {rule} no call of {names}."
                yield Problem(message, pointer, pattern)

    def _idle_patterns(self) -> Iterator[Problem]:
        """Yield a problem for each pattern that fits no layer."""
        suggested = 0
        for level in self._levels:
            for pointer, pattern in level.patterns():
                if any(fits(name, pattern) for name in self.layers):
                    continue
                rule = f"{pattern!r} fits no layer of {self._architecture} here."
                if suggested == _SUGGESTED:
                    yield Problem(rule, pointer, pattern)
                    continue
                suggested += 1
                close = nearest_patterns(pattern, self.layers)
                if close:
                    suggestion = f"Did you mean {' or '.join(map(repr, close))}?"
                else:
                    suggestion = f"Among its layers are {spell_names(self.layers, _NAMED)}."
                yield Problem(f"{rule} {suggestion}", pointer, pattern, close[0] if close else None)

    def _lost(self, level: Level, same: Sequence[OverrideReport]) -> Problem:
        """Return the problem of an argument that won at no call, for all of the level's ops."""
        names = _joined([report.op for report in same])
        reached = sum(report.reached for report in same)
        value = to_wire(same[0].value)
        if not reached:
            return Problem(
                f"this override reached no call: {self._why_not_reached(level, same, names)}",
                same[0].pointer,
                value,
            )
        beaten: Counter[Winner] = Counter()
        for report in same:
            beaten += report.beaten_by
        who = "; ".join(
            f"{source}{', which is forced' if kind == 'forced' else ''} ({calls})"
            for (source, kind), calls in beaten.most_common(_NAMED)
        )
        left = len(beaten) - _NAMED
        more = f" and {_count(left, 'more place')}" if left > 0 else ""
        message = (
            f"this override of {names} reached {_count(reached, 'call')} and won at none; "
            f"beaten by {who}{more}."
        )
        by_request = any(winner.source.level == "request" for winner in beaten)
        if not by_request and not any(
            r.argument in r.scoped_op.of_one_call(is_forced=True) for r in same
        ):
            message += f' "force": true in this level would beat {_them(reached)}.'
        return Problem(message, same[0].pointer, value)

    def _why_not_reached(self, level: Level, same: Sequence[OverrideReport], names: str) -> str:
        where = self._layers_of([report.scoped_op for report in same])
        if level.layers is None or not where:
            return f"{self._architecture} calls no {names} here."
        layers = [layer for layer in self.layers if level.reaches(layer)]
        # A normalizer's layer lies inside the layer that calls it.
        inside = [layer for layer in where if _is_inside(layer, layers)]
        return (
            f"the level's patterns fit {_counted(layers)}, where no {names} is called; "
            f"{names} is called in {spell_names(inside or where, _NAMED)}."
        )

    def _layers_of(self, ops: Sequence[ScopedOp]) -> list[str]:
        """Return the layers of the calls of these ops."""
        return list(dict.fromkeys(call.place for call in self._calls if call.op in ops))


def _by_pointer(reports: Iterable[OverrideReport]) -> list[list[OverrideReport]]:
    """Return the reports of a level by argument: one list for all of its ops."""
    grouped: dict[str, list[OverrideReport]] = {}
    for report in reports:
        grouped.setdefault(report.pointer, []).append(report)
    return list(grouped.values())


def _is_inside(layer: str, others: Sequence[str]) -> bool:
    return any(layer.startswith(other + "/") for other in others)


def _counted(layers: Sequence[str]) -> str:
    return f"{_count(len(layers), 'layer')} ({spell_names(layers, _NAMED)})"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _them(number: int) -> str:
    return "it" if number == 1 else "them"


def _joined(names: Sequence[str]) -> str:
    """Return names as a sentence lists them.

    >>> _joined(["a"]), _joined(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
