"""The curve of one mode: each layer of the summary, with the statistics of its output."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model_zoo.graph import Node, Tensor
from model_zoo.probing.documents import LayerProbeDocument
from model_zoo.probing.statistics import Statistics
from model_zoo.reports.summary import Row
from model_zoo.tracing import Trace


@dataclass(frozen=True, slots=True)
class Point:
    """A layer, its nodes, and what was measured at its output."""

    row: Row
    nodes: tuple[Node, ...]
    statistics: Statistics
    gain: float | None
    gain_from_input: float | None
    gradient_rms: float | None

    @property
    def last(self) -> Node:
        """The node whose output is the layer's."""
        return self.nodes[-1]

    def to_dict(self) -> LayerProbeDocument:
        """Return the point, JSON-ready."""
        measured = self.statistics
        return {
            "name": self.row.name,
            "op": self.row.op,
            "output_shape": list(self.row.output_shape),
            "mean": measured.mean,
            "std": measured.std,
            "rms": measured.rms,
            "min": measured.low,
            "max": measured.high,
            "zero_fraction": measured.zero_fraction,
            "dead_units": measured.dead_units,
            "saturated": measured.saturated,
            "non_finite": measured.non_finite,
            "gain": self.gain,
            "gain_from_input": self.gain_from_input,
            "channel_squared_mean": measured.channel_squared_mean,
            "channel_variance": measured.channel_variance,
            "gradient_rms": self.gradient_rms,
        }


def curve(
    traced: Trace,
    measured: Mapping[Tensor, Statistics],
    gradients: Mapping[Tensor, float | None],
) -> tuple[Point, ...]:
    """Return a point for each layer, in the order of the summary."""
    start = measured[traced.graph.input].rms
    points = []
    for row, nodes in zip(traced.summary().rows, traced.layer_nodes(), strict=True):
        output = nodes[-1].output
        rms = measured[output].rms
        points.append(
            Point(
                row,
                nodes,
                measured[output],
                _ratio(rms, _rms_of(inputs_of(nodes), measured)),
                _ratio(rms, start),
                gradients.get(output),
            )
        )
    return tuple(points)


def inputs_of(nodes: Sequence[Node]) -> list[Tensor]:
    """Return the tensors that a layer reads: those that its call was given, or its node reads."""
    call = nodes[-1].call
    given = list(_tensors(call.arguments.values())) if call is not None else []
    return given or list(nodes[0].inputs)


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _rms_of(tensors: Sequence[Tensor], measured: Mapping[Tensor, Statistics]) -> float | None:
    """Return the rms of all values of tensors together."""
    total = 0.0
    for tensor in tensors:
        rms = measured[tensor].rms
        if rms is None:
            return None
        total += rms * rms * tensor.size
    size = sum(tensor.size for tensor in tensors)
    return math.sqrt(total / size) if size else None


def _ratio(after: float | None, before: float | None) -> float | None:
    return after / before if before and after is not None else None
