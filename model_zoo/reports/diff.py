"""The diff of two traces: specs, totals, layers, edges, weights, and who set what differently."""

from collections import Counter
from dataclasses import dataclass
from typing import Protocol, cast

from model_zoo.graph import Graph
from model_zoo.reports.alignment import align
from model_zoo.reports.diff_csv import diff_csv
from model_zoo.reports.diff_documents import (
    DiffDocument,
    DiffSideDocument,
    DiffTotals,
    LayerCounts,
    LayerStatus,
    SharedWeightsDocument,
    TotalDocument,
)
from model_zoo.reports.diff_dot import diff_dot
from model_zoo.reports.diff_layers import EdgeDiff, LayerDiff, Network, diff_edges, diff_layers
from model_zoo.reports.diff_settings import Setting, settings, shared_calls
from model_zoo.reports.diff_text import diff_text
from model_zoo.reports.json_patch import Operation, json_patch
from model_zoo.reports.summary import Summary
from model_zoo.spec import BuildSpec


class Traced(Protocol):
    """What a diff needs of a trace."""

    @property
    def spec(self) -> BuildSpec: ...
    @property
    def graph(self) -> Graph: ...
    def summary(self) -> Summary: ...


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two traces.

    `layers` and `edges` are all of both networks, with their statuses. The documents tell what is
    the same only if `same` is set; `settings` has it only then.
    """

    a: DiffSideDocument
    b: DiffSideDocument
    spec: tuple[Operation, ...]
    totals: DiffTotals
    layers: tuple[LayerDiff, ...]
    edges: tuple[EdgeDiff, ...]
    settings: tuple[Setting, ...]
    shared_weights: SharedWeightsDocument
    same: bool

    @property
    def is_empty(self) -> bool:
        """Whether both are one build."""
        return not self.spec

    def layer_counts(self) -> LayerCounts:
        """Return how many layers are the same, and how many differ in each way."""
        counts = Counter(layer.status for layer in self.layers)
        return {
            "same": counts["same"],
            "changed": counts["changed"],
            "renamed": counts["renamed"],
            "added": counts["added"],
            "removed": counts["removed"],
        }

    def to_dict(self) -> DiffDocument:
        """Return the diff, JSON-ready."""
        return {
            "equal": self.is_empty,
            "a": self.a,
            "b": self.b,
            "spec": list(self.spec),
            "totals": self.totals,
            "layer_counts": self.layer_counts(),
            "layers": [each.to_dict() for each in self.layers if self._tells(each.status)],
            "edges": [each.to_dict() for each in self.edges if self._tells(each.status)],
            "settings": [setting.to_dict() for setting in self.settings],
            "shared_weights": self.shared_weights,
        }

    def _tells(self, status: LayerStatus) -> bool:
        return self.same or status != "same"

    def to_text(self) -> str:
        """Return the diff for a terminal."""
        return diff_text(self.to_dict())

    def to_csv(self) -> str:
        """Return a row for each difference, with a header."""
        return diff_csv(self.to_dict())

    def to_dot(self) -> str:
        """Return the layers that differ, and those next to them, as a graph for Graphviz.

        With `same` it has all layers.
        """
        return diff_dot(self.layers, self.edges, same=self.same)


def diff(a: Traced, b: Traced, *, argument: str | None = None, same: bool = False) -> Diff:
    """Return what differs between two traces, from `a` to `b`.

    Layers are aligned by name, then by what they compute inside a scope, so that renamed ones are
    told from new ones. `argument` limits the settings to arguments of a name or a pattern; `same`
    adds what is the same.

    Raises: OptionError for an argument that no call has on both sides.
    """
    summaries = (a.summary(), b.summary())
    rows_a, rows_b = (summary.rows for summary in summaries)
    network_a, network_b = Network.of(a.graph, rows_a), Network.of(b.graph, rows_b)
    alignment = align(rows_a, rows_b)
    calls = tuple(shared_calls(a.graph, b.graph, alignment))
    changed = {id(call.a) for call in calls if call.is_changed}
    layers = diff_layers(network_a, alignment.pairs, changed)
    return Diff(
        a=_side(a.spec),
        b=_side(b.spec),
        spec=tuple(json_patch(a.spec.normalized(), b.spec.normalized())),
        totals=_totals(*summaries),
        layers=layers,
        edges=tuple(diff_edges(network_a, network_b, layers)),
        settings=tuple(settings(calls, argument, same=same)),
        shared_weights=_shared_weights(a.graph, b.graph),
        same=same,
    )


def _side(spec: BuildSpec) -> DiffSideDocument:
    return {"build": spec.digest, "architecture": spec.architecture}


def _totals(a: Summary, b: Summary) -> DiffTotals:
    before, after = (cast(dict[str, int], each.totals) for each in (a, b))
    totals: dict[str, TotalDocument] = {
        name: {"a": x, "b": y, "difference": y - x, "ratio": y / x if x else None}
        for name, x in before.items()
        for y in [after[name]]
    }
    return cast(DiffTotals, totals)


def _shared_weights(a: Graph, b: Graph) -> SharedWeightsDocument:
    shapes = {variable.name: variable.shape for variable in b.variables}
    shared = [variable for variable in a.variables if shapes.get(variable.name) == variable.shape]
    parameters = sum(variable.size for variable in shared)
    sums = [sum(variable.size for variable in graph.variables) for graph in (a, b)]
    shares = [round(parameters / total, 6) if total else None for total in sums]
    return {
        "variables": len(shared),
        "parameters": parameters,
        "share_of_a": shares[0],
        "share_of_b": shares[1],
    }
