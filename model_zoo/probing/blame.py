"""Who is to blame for what became of a signal: the arguments of the layers on its way."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from model_zoo.graph import Graph, Node, Tensor, Variable
from model_zoo.probing.documents import CauseDocument
from model_zoo.probing.statistics import Statistics
from model_zoo.provenance import Call
from model_zoo.reports.explanation import argument_report
from model_zoo.setters import setters
from model_zoo.weights.plan import RestorePlan

# Causes are named until they make up this share of the whole, and no more than so many.
_TOLD_SHARE = 0.9
_MAX_CAUSES = 5

Scale = Literal["rms", "std"]


@dataclass(slots=True)
class _Cause:
    """Nodes of which one argument decides, and the logarithm of their gains together."""

    document: CauseDocument
    layers: dict[str, None] = field(default_factory=dict)
    ops: dict[str, None] = field(default_factory=dict)
    log_gain: float = 0.0


class Blame:
    """Finds causes in a network whose tensors are measured.

    `plan` says which weights come from a source, so that no initializer made them; `is_finite`
    whether all values of a variable are.
    """

    def __init__(
        self,
        graph: Graph,
        measured: Mapping[Tensor, Statistics],
        plan: RestorePlan,
        is_finite: Callable[[Variable], bool],
    ) -> None:
        self._measured = measured
        self._plan = plan
        self._is_finite = is_finite
        self._producers = {node.output: node for node in graph.nodes}

    def of_change(
        self, last: Node, scale: Scale, *, losses: bool
    ) -> tuple[list[CauseDocument], float | None]:
        """Return what lost, or gained, most of the signal on its way to a node; and the rest."""
        causes: dict[str, _Cause] = {}
        for node, log_gain in self._log_gains(last, scale):
            if log_gain < 0 if losses else log_gain > 0:
                self._add(causes, node, log_gain)
        ranked = sorted(causes.values(), key=lambda cause: -abs(cause.log_gain))
        whole = sum(abs(cause.log_gain) for cause in ranked)
        named: list[CauseDocument] = []
        rest = 1.0
        for cause in ranked[:_MAX_CAUSES]:
            if named and rest <= 1 - _TOLD_SHARE:
                break
            # A node after which nothing is left has lost everything.
            share = abs(cause.log_gain) / whole if math.isfinite(whole) else 1.0
            named.append(_finished(cause, math.exp(cause.log_gain), share))
            rest -= share
            if not math.isfinite(whole):
                break
        return named, (max(rest, 0.0) if named else None)

    def _log_gains(self, last: Node, scale: Scale) -> Iterator[tuple[Node, float]]:
        """Yield the nodes from the input to a node, each with the logarithm of its gain.

        Where branches meet, the way is that of the most energy.
        """
        way: list[tuple[Node, Tensor]] = []
        node = last
        while node.inputs:
            source = max(node.inputs, key=self._energy)
            way.append((node, source))
            node = self._producers[source]
        for node, source in reversed(way):
            before, after = (self._scale(each, scale) for each in (source, node.output))
            if not before or after is None:
                continue
            yield node, (math.log(after / before) if after else -math.inf)
            if not after:
                return

    def _scale(self, tensor: Tensor, scale: Scale) -> float | None:
        measured = self._measured[tensor]
        return measured.rms if scale == "rms" else measured.std

    def _energy(self, tensor: Tensor) -> float:
        rms = self._measured[tensor].rms
        return math.inf if rms is None else rms * rms * tensor.size

    def of_dead_units(self, nodes: Iterable[Node], limit: float) -> list[CauseDocument]:
        """Return what makes the units of a layer zero, given its nodes in order."""
        ordered = list(nodes)
        fatal = next(
            (n for n in ordered if self._measured[n.output].dead_units > limit), ordered[-1]
        )
        causes: dict[str, _Cause] = {}
        # An activation cuts off what the others have moved below zero.
        for node in (fatal, *reversed(ordered[: ordered.index(fatal)])):
            self._add(causes, node, 0.0)
        return [_finished(cause, None, None) for cause in causes.values()]

    def of_broken_weights(self, nodes: Iterable[Node]) -> list[CauseDocument]:
        """Return who set those weights of nodes that are not finite."""
        causes: dict[str, _Cause] = {}
        for node in nodes:
            if not all(map(self._is_finite, node.variables.values())):
                self._add(causes, node, 0.0)
        return [_finished(cause, None, None) for cause in causes.values()]

    def _add(self, causes: dict[str, _Cause], node: Node, log_gain: float) -> None:
        document = self._document(node)
        key = json.dumps([document[name] for name in ("argument", "value")])
        key += document.get("written_at", f" {node.op}")
        cause = causes.setdefault(key, _Cause(document))
        cause.layers[node.name] = None
        cause.ops[node.call.op.name if node.call else node.op] = None
        cause.log_gain += log_gain

    def _document(self, node: Node) -> CauseDocument:
        for variable in node.variables.values():
            if (origin := self._plan.origins.get(variable.name)) is not None:
                return _cause("weights", None, None, self._plan.sources[origin[0]].pointer)
        call, argument = deciding_argument(node)
        if call is None:
            return _cause(None, None, None)
        if argument is None:
            return _cause(None, None, None, str(call.location), call.location.level)
        report = argument_report(call, argument, setters(call, argument)).to_dict()
        return _cause(
            argument,
            report["value"],
            report["kind"],
            report.get("written_at"),
            report.get("level"),
        )


def _cause(
    argument: str | None,
    value: Any,
    kind: Any,
    written_at: str | None = None,
    level: Any = None,
) -> CauseDocument:
    document: CauseDocument = {
        "argument": argument,
        "value": value,
        "kind": kind,
        "ops": [],
        "layers": 0,
        "first_layer": "",
        "gain": None,
        "share": None,
    }
    if written_at is not None:
        document["written_at"] = written_at
    if level is not None:
        document["level"] = level
    return document


def _finished(cause: _Cause, gain: float | None, share: float | None) -> CauseDocument:
    return {
        **cause.document,
        "ops": list(cause.ops),
        "layers": len(cause.layers),
        "first_layer": next(iter(cause.layers)),
        "gain": gain,
        "share": share,
    }


def deciding_argument(node: Node) -> tuple[Call | None, str | None]:
    """Return the call and the argument that decide what a node computes; None where none does."""
    call = node.call
    if call is None:
        return None, None
    parent = call.parent
    if node.op in NORMALIZERS:
        if parent is not None and parent.arguments.get("normalizer_fn") is not None:
            return parent, "normalizer_fn"
        return call, None
    return call, next((name for name in _names(node, call) if name in call.op.parameters), None)


NORMALIZERS = ("batch_norm", "group_norm", "layer_norm")


def _names(node: Node, call: Call) -> Iterator[str]:
    """Yield the arguments that may decide what a node computes, the most likely first."""
    if not node.variables:  # an activation of the network's own may be of several nodes
        yield "activation_fn"
    for variable in node.variables.values():
        kind = variable.name.rpartition("/")[2]
        if kind == "pointwise_weights" and call.arguments.get("pointwise_initializer") is not None:
            yield "pointwise_initializer"
        if kind == "biases":
            yield from ("biases_initializer", "initializer")
        yield "weights_initializer"
