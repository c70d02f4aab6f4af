"""The summary of a graph: per layer and in total, what it holds and what it costs."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.graph import Graph, Node, Shape, Tensor
from model_zoo.tables import aligned_table, csv_table, spell_shape

BYTES = 4  # float32, the only type that networks compute in


class LayerDocument(TypedDict):
    """One layer of a summary, for one example; the batch in its shape is null."""

    name: str
    op: str
    output_shape: list[int | None]
    parameters: int
    multiply_adds: int
    weight_bytes: int
    activation_bytes: int


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
    """A network's layers in the order of the calls, and the totals."""

    layers: list[LayerDocument]
    totals: Totals


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: a call of a scoped op, or a computation outside of any.

    `activation_bytes` are those of the layer's output for one example.
    """

    name: str
    op: str
    output_shape: Shape
    parameters: int
    multiply_adds: int
    weight_bytes: int
    activation_bytes: int

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
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Rows in the order of the calls; every variable and node is in exactly one."""

    rows: tuple[Row, ...]
    totals: Totals

    def to_dict(self) -> SummaryDocument:
        """Return the summary, JSON-ready."""
        return {"layers": [row.to_dict() for row in self.rows], "totals": self.totals}

    def to_csv(self) -> str:
        """Return the rows as CSV with a header."""
        rows = (asdict(row) | {"output_shape": spell_shape(row.output_shape)} for row in self.rows)
        return csv_table(tuple(Row.__dataclass_fields__), (tuple(row.values()) for row in rows))

    def to_text(self) -> str:
        """Return the rows as an aligned table, with the totals below."""
        header = ("layer", "op", "output", "parameters", "multiply-adds")
        rows = [
            (
                row.name,
                row.op,
                spell_shape(row.output_shape),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
            )
            for row in self.rows
        ]
        lines = aligned_table(header, rows, right=(3, 4))
        totals = [f"{name.replace('_', ' ')}: {value:,}" for name, value in self.totals.items()]
        return "\n".join([*lines, "", *totals]) + "\n"


def summarize(graph: Graph) -> Summary:
    """Return the summary of a graph.

    Multiply-adds are those of convolutions and matrix products for one example.
    """
    counted: set[str] = set()
    rows = tuple(_row(nodes, counted) for nodes in layer_nodes(graph))
    return Summary(rows, _totals(graph, rows))


def layer_nodes(graph: Graph) -> tuple[tuple[Node, ...], ...]:
    """Return the nodes of each layer, in the order of the summary's rows."""
    groups: dict[int, list[Node]] = {}
    order = {id(call): index for index, call in enumerate(graph.calls)}
    for index, node in enumerate(graph.nodes):
        # A node outside of any call is a row of its own; negative keys cannot meet a call's index.
        key = -1 - index if node.call is None else order[id(node.call)]
        groups.setdefault(key, []).append(node)
    return tuple(map(tuple, groups.values()))


def _row(nodes: Sequence[Node], counted: set[str]) -> Row:
    last = nodes[-1]
    parameters = 0
    for node in nodes:
        for variable in node.variables.values():
            # A shared variable counts once, in the layer that made it.
            if variable.name not in counted:
                counted.add(variable.name)
                parameters += variable.size
    call = last.call
    return Row(
        last.output.name if call is None else call.layer or last.output.name,
        last.op if call is None else call.op.name,
        last.output.shape,
        parameters,
        sum(node.multiply_adds for node in nodes),
        parameters * BYTES,
        last.output.size * BYTES,
    )


def _totals(graph: Graph, rows: Iterable[Row]) -> Totals:
    parameters = sum(variable.size for variable in graph.variables)
    rows = tuple(rows)
    return {
        "layers": len(rows),
        "parameters": parameters,
        "trainable_parameters": sum(v.size for v in graph.variables if v.trainable),
        "multiply_adds": sum(row.multiply_adds for row in rows),
        "weight_bytes": parameters * BYTES,
        "activation_bytes": sum(row.activation_bytes for row in rows),
        "peak_activation_bytes": peak_activation_bytes(graph),
    }


def peak_activation_bytes(graph: Graph) -> int:
    """Return the most bytes alive at once for one example, running nodes in order.

    A tensor lives from the node that makes it to the last that reads it, the output to the end; an
    implementation that computes in place needs less.
    """
    last_use: dict[Tensor, int] = {graph.output: len(graph.nodes)}
    for index, node in enumerate(graph.nodes):
        for tensor in node.inputs:
            last_use[tensor] = max(index, last_use.get(tensor, 0))
    alive = peak = 0
    for index, node in enumerate(graph.nodes):
        alive += node.output.size
        peak = max(peak, alive)
        for tensor in {*node.inputs, node.output}:
            if last_use.get(tensor, index) <= index:
                alive -= tensor.size
    return peak * BYTES
