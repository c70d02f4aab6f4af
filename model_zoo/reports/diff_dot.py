"""The diff of two builds as a graph for Graphviz."""

from collections.abc import Sequence

from model_zoo.reports.diff_documents import EdgeStatus, LayerStatus
from model_zoo.reports.diff_layers import EdgeDiff, LayerDiff
from model_zoo.reports.dot import quoted
from model_zoo.tables import spell_shape

_FILLS: dict[LayerStatus, str] = {
    "same": "white",
    "changed": "orange",
    "renamed": "lightblue",
    "added": "palegreen",
    "removed": "salmon",
}
_LINES: dict[EdgeStatus, str] = {
    "same": "",
    "added": " [color=green]",
    "removed": " [color=red, style=dashed]",
}


def diff_dot(layers: Sequence[LayerDiff], edges: Sequence[EdgeDiff], *, same: bool) -> str:
    """Return in the dot language what differs and the layers next to it, or with `same` all.

    Nodes have the numbers of the layers; the names are in the labels.
    """
    drawn = [edge for edge in edges if same or _differs(edge)]
    ends = {layer for edge in drawn for layer in (edge.source, edge.target)}
    nodes = {
        layer: f"n{number}"
        for number, layer in enumerate(layers)
        if same or layer.status != "same" or layer in ends
    }
    lines = [
        "digraph diff {",
        '  node [shape=box, style=filled, fontname="sans-serif"];',
        *(
            f"  {node} [label={_label(layer)}, fillcolor={_FILLS[layer.status]}];"
            for layer, node in nodes.items()
        ),
        *(
            f"  {nodes[each.source]} -> {nodes[each.target]}{_LINES[each.status]};"
            for each in drawn
        ),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _differs(edge: EdgeDiff) -> bool:
    """Return whether an edge differs, or an end of it does."""
    return any(each.status != "same" for each in (edge, edge.source, edge.target))


def _label(layer: LayerDiff) -> str:
    row = layer.row
    name = row.name
    if layer.a is not None and layer.a.name != name:
        name = f"{layer.a.name} -> {name}"
    lines = [name, f"{row.op} {spell_shape(row.output_shape)}"]
    if layer.status == "changed":
        lines.append(f"changed: {', '.join(layer.changes).replace('_', ' ')}")
    return quoted(lines)
