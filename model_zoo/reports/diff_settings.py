"""What differs in the arguments of the calls that two traces share, and who set them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from model_zoo.graph import Graph, Tensor
from model_zoo.patterns import fits
from model_zoo.provenance import Call
from model_zoo.reports.alignment import Alignment
from model_zoo.reports.diff_documents import SettingDocument, SettingStatus
from model_zoo.reports.explanation import ArgumentReport, argument_report
from model_zoo.reports.explanation_filter import check_filter
from model_zoo.reports.json_patch import exact_spelling
from model_zoo.setters import setters
from model_zoo.signatures import to_wire

# Two values of one of these types are the same where Python holds them for equal.
_EXACT = frozenset({bool, int, str})


@dataclass(frozen=True, slots=True)
class Setting:
    """An argument of a call that both networks make; the layers are those of the call.

    A side is None where the call has no such argument: an op may take any.
    """

    status: SettingStatus
    layer_a: str
    layer_b: str
    op: str
    argument: str
    a: ArgumentReport | None
    b: ArgumentReport | None

    def to_dict(self) -> SettingDocument:
        """Return the setting, JSON-ready."""
        document: SettingDocument = {
            "status": self.status,
            "layer": self.layer_b,
            "op": self.op,
            "argument": self.argument,
            "a": None if self.a is None else self.a.to_dict(),
            "b": None if self.b is None else self.b.to_dict(),
        }
        if self.layer_a != self.layer_b:
            document["renamed_from"] = self.layer_a
        return document


class SharedCall(NamedTuple):
    """A call that both networks make: of one op, in one layer, of one number there.

    `arguments` says of each argument whether its final values are the same. Tensors are no
    arguments here but edges, and a scope's name is the layer's.
    """

    a: Call
    b: Call
    arguments: Mapping[str, SettingStatus]

    @property
    def is_changed(self) -> bool:
        """Whether some argument differs."""
        return "changed" in self.arguments.values()


def shared_calls(a: Graph, b: Graph, alignment: Alignment) -> Iterator[SharedCall]:
    """Yield the calls that both networks make."""
    others = {(call.op.name, call.place, number): call for call, number in _numbered(b)}
    compare = _Comparison()
    for call, number in _numbered(a):
        other = others.get((call.op.name, alignment.path_in_b(call.place), number))
        if other is not None:
            yield SharedCall(call, other, compare(_final(call), _final(other)))


def _numbered(graph: Graph) -> Iterator[tuple[Call, int]]:
    """Yield the calls, numbered among those of one op in one place."""
    counts: dict[tuple[str, str], int] = {}
    for call in graph.calls:
        key = (call.op.name, call.place)
        counts[key] = counts.get(key, 0) + 1
        yield call, counts[key]


def _final(call: Call) -> dict[str, Any]:
    return {**call.op.defaults, **call.arguments}


class _Comparison:
    """Compares final values exactly, those of a scope once for all the calls that it reaches."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], bool] = {}

    def __call__(self, a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, SettingStatus]:
        """Return whether each argument is the same."""
        statuses: dict[str, SettingStatus] = {}
        for name in {**a, **b}:
            x, y = a.get(name), b.get(name)
            if type(x) in _EXACT and type(x) is type(y):
                same = x == y
            elif _has_tensor(x) or _has_tensor(y):
                continue
            else:
                same = name in a and name in b and self._is_same(x, y)
            if name != "scope":
                statuses[name] = "same" if same else "changed"
        return statuses

    def _is_same(self, x: Any, y: Any) -> bool:
        key = (id(x), id(y))  # the traces keep both alive
        if key not in self._known:
            self._known[key] = x is y or exact_spelling(to_wire(x)) == exact_spelling(to_wire(y))
        return self._known[key]


def _has_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, Tensor) for item in value)
    return isinstance(value, Tensor)


def settings(
    calls: Iterable[SharedCall], argument: str | None = None, *, same: bool = False
) -> Iterator[Setting]:
    """Yield the arguments that differ, or with `same` all; `argument` is a name or a pattern.

    Raises: OptionError for an argument that no shared call has.
    """
    calls = tuple(calls)
    if argument is not None:
        check_filter("argument", argument, {name for each in calls for name in each.arguments})
    for a, b, statuses in calls:
        for name, status in statuses.items():
            if (same or status == "changed") and (argument is None or fits(name, argument)):
                reports = [_report(call, name) for call in (a, b)]
                yield Setting(status, a.place, b.place, a.op.name, name, *reports)


def _report(call: Call, name: str) -> ArgumentReport | None:
    ranked = setters(call, name)
    return argument_report(call, name, ranked) if ranked or name in call.op.defaults else None
