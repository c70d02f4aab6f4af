"""The summary of a graph: per layer and in total, what it holds and what it costs."""

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.graph import Graph, Node, Shape, Tensor
from model_zoo.reports.activation_memory import BYTES, PeakDocument, alive_at, bytes_alive
from model_zoo.reports.receptive_field import receptive_fields
from model_zoo.tables import aligned_table, csv_table, spell_shape

Value = TypeVar("Value")


class LayerDocument(TypedDict):
    """One layer of a summary, for one example; the batch in its shape is null.

    `peak_activation_bytes` are the most that are alive at once while it runs. `receptive_field`
    and `effective_stride` are in positions of the input, and have a value for each axis of it, the
    largest over all paths; null is an axis of which all positions are seen, as after a global pool,
    and stands for all of them where each is such.
    """

    name: str
    op: str
    output_shape: list[int | None]
    parameters: int
    multiply_adds: int
    weight_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    receptive_field: list[int | None] | None
    effective_stride: list[float | None] | None


class Totals(TypedDict):
    """A network's totals; multiply-adds and activations are those of one example."""

    layers: int
    parameters: int
    trainable_parameters: int
    multiply_adds: int
    weight_bytes: int
    activation_bytes: int
    peak_activation_bytes: int


class SummaryDocument(TypedDict):
    """A network's layers in the order of the calls, the totals, and where activations peak."""

    layers: list[LayerDocument]
    totals: Totals
    peak: PeakDocument


class Row(NamedTuple):
    """One layer: a call of a scoped op, or a computation outside of any.

    `activation_bytes` are those of the layer's output for one example. The receptive field and the
    effective stride are None after a global reduction.
    """

    name: str
    op: str
    output_shape: Shape
    parameters: int
    multiply_adds: int
    weight_bytes: int
    activation_bytes: int
    peak_activation_bytes: int
    receptive_field: tuple[int | None, ...] | None
    effective_stride: tuple[float | None, ...] | None

    def to_dict(self) -> LayerDocument:
        """Return the layer, JSON-ready."""
        return {
            "name": self.name,
            "op": self.op,
            "output_shape": list(self.output_shape),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "weight_bytes": self.weight_bytes,
            "activation_bytes": self.activation_bytes,
            "peak_activation_bytes": self.peak_activation_bytes,
            "receptive_field": _listed(self.receptive_field),
            "effective_stride": _listed(self.effective_stride),
        }


@dataclass(frozen=True)
class Summary:
    """Rows in the order of the calls; every variable and node is in exactly one."""

    graph: Graph
    totals: Totals

    # Many a caller needs the totals alone, which are far cheaper.
    @functools.cached_property
    def rows(self) -> tuple[Row, ...]:
        """The layers."""
        fields = receptive_fields(self.graph)
        alive = dict(zip(self.graph.nodes, bytes_alive(self.graph), strict=True))
        counted: set[str] = set()
        rows = []
        for nodes in layer_nodes(self.graph):
            last = nodes[-1]
            size, stride = fields[last.output]
            is_global = not any(size)
            parameters = new_parameters(nodes, counted)
            rows.append(
                Row(
                    name=layer_name(last),
                    op=last.op if last.call is None else last.call.op.name,
                    output_shape=last.output.shape,
                    parameters=parameters,
                    multiply_adds=sum([node.multiply_adds for node in nodes]),
                    weight_bytes=parameters * BYTES,
                    activation_bytes=last.output.size * BYTES,
                    peak_activation_bytes=max([alive[node] for node in nodes]),
                    receptive_field=None if is_global else size,
                    effective_stride=None if is_global else stride,
                )
            )
        return tuple(rows)

    def peak(self) -> PeakDocument:
        """Return where the most bytes of activations are alive at once, and which these are."""
        peak = self.totals["peak_activation_bytes"]
        node = self.graph.nodes[list(bytes_alive(self.graph)).index(peak)]
        return {
            "layer": layer_name(node),
            "node": node.output.name,
            "bytes": peak,
            "alive": [
                {"node": tensor.name, "bytes": tensor.size * BYTES}
                for tensor in alive_at(self.graph, node)
            ],
        }

    def to_dict(self) -> SummaryDocument:
        """Return the summary, JSON-ready."""
        return {
            "layers": [row.to_dict() for row in self.rows],
            "totals": self.totals,
            "peak": self.peak(),
        }

    def to_csv(self) -> str:
        """Return the rows as CSV with a header; a cell is empty after a global reduction."""
        spelled = {
            "output_shape": spell_shape,
            "receptive_field": _spell_axes,
            "effective_stride": _spell_axes,
        }
        return csv_table(
            Row._fields,
            (
                [
                    spelled[name](value) if name in spelled else value
                    for name, value in row._asdict().items()
                ]
                for row in self.rows
            ),
        )

    def to_text(self) -> str:
        """Return the rows as an aligned table, with the totals below."""
        header = (
            *("layer", "op", "output", "parameters", "multiply-adds"),
            *("receptive field", "stride"),
        )
        rows = [
            (
                row.name,
                row.op,
                spell_shape(row.output_shape),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
                _spell_axes(row.receptive_field) or "-",
                _spell_axes(row.effective_stride) or "-",
            )
            for row in self.rows
        ]
        lines = aligned_table(header, rows, right=(3, 4, 5, 6))
        totals = [f"{name.replace('_', ' ')}: {value:,}" for name, value in self.totals.items()]
        return "\n".join([*lines, "", *totals, f"peak at: {self.peak()['layer']}"]) + "\n"


def summarize(graph: Graph) -> Summary:
    """Return the summary of a graph.

    Multiply-adds are those of convolutions and matrix products for one example.
    """
    # The last output of each layer; see `layer_nodes`.
    outputs = {_layer_key(index, node): node.output for index, node in enumerate(graph.nodes)}
    parameters = sum(variable.size for variable in graph.variables)
    totals: Totals = {
        "layers": len(outputs),
        "parameters": parameters,
        "trainable_parameters": sum(v.size for v in graph.variables if v.trainable),
        "multiply_adds": sum(node.multiply_adds for node in graph.nodes),
        "weight_bytes": parameters * BYTES,
        "activation_bytes": sum(output.size for output in outputs.values()) * BYTES,
        "peak_activation_bytes": max(bytes_alive(graph)),
    }
    return Summary(graph, totals)


def layer_nodes(graph: Graph) -> tuple[tuple[Node, ...], ...]:
    """Return the nodes of each layer, in the order of the summary's rows."""
    groups: dict[int, list[Node]] = {}
    for index, node in enumerate(graph.nodes):
        groups.setdefault(_layer_key(index, node), []).append(node)
    return tuple(map(tuple, groups.values()))


def layer_inputs(nodes: Sequence[Node]) -> tuple[Tensor, ...]:
    """Return the tensors that a layer reads: those that its call was given, or its node reads."""
    call = nodes[-1].call
    given = () if call is None else tuple(_tensors(call.arguments.values()))
    return given or nodes[0].inputs


def _tensors(values: Iterable[object]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _layer_key(index: int, node: Node) -> int:
    """Return what the nodes of one layer share: their call; one outside of any is by itself."""
    return -1 - index if node.call is None else id(node.call)


def layer_name(node: Node) -> str:
    """Return the name of the layer that a node is of, as the summary has it."""
    return node.output.name if node.call is None else node.call.layer or node.output.name


def new_parameters(nodes: Sequence[Node], counted: set[str]) -> int:
    """Return the parameters of nodes that are not counted yet, and count them.

    A shared variable counts once, in what has it first.
    """
    parameters = 0
    for node in nodes:
        for variable in node.variables.values():
            if variable.name not in counted:
                counted.add(variable.name)
                parameters += variable.size
    return parameters


def _listed(values: tuple[Value, ...] | None) -> list[Value] | None:
    return None if values is None else list(values)


def _spell_axes(values: Sequence[float | None] | None) -> str:
    """Return a value for each axis as one word, nothing if there is none.

    >>> _spell_axes((107, None, None)), _spell_axes((0.5, 2)), _spell_axes(None)
    ('107x-x-', '0.5x2', '')
    """
    return "x".join("-" if value is None else f"{value:.10g}" for value in values or ())
