"""The graph of a network for Graphviz."""

from collections.abc import Iterator

from model_zoo.reports.dot import quoted
from model_zoo.reports.network_graph import Box, NetworkGraph
from model_zoo.tables import spell_shape

_JOINS = ("add", "concat", "multiply")


def graph_dot(network: NetworkGraph) -> str:
    """Return in the dot language the nodes and edges of a network, in a frame for each scope.

    Nodes and frames have numbers; the names are in the labels.
    """
    names = {box.id: f"n{number}" for number, box in enumerate(network.boxes)}
    boxes: dict[str, list[Box]] = {}
    for box in network.boxes:
        boxes.setdefault(box.scope, []).append(box)
    numbers = {path: number for number, path in enumerate(network.scopes)}

    def inside(path: str, indent: str) -> Iterator[str]:
        for box in boxes.get(path, ()):
            yield f"{indent}{names[box.id]} [label={_label(box, path)}, fillcolor={_fill(box)}];"
        for child in network.scopes[path]["children"]:
            lines = list(inside(child, f"{indent}  "))
            if lines:  # a collapsed scope has no frame
                yield f"{indent}subgraph cluster_{numbers[child]} {{"
                yield f"{indent}  label={quoted([_below(child, path)])};"
                yield from lines
                yield f"{indent}}}"

    lines = [
        "digraph network {",
        '  graph [fontname="sans-serif", style=rounded, color=gray];',
        '  node [shape=box, style=filled, fontname="sans-serif"];',
        *inside("", "  "),
        *(f"  {names[edge['source']]} -> {names[edge['target']]};" for edge in network.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _label(box: Box, scope: str) -> str:
    lines = [_below(box.id, scope), f"{box.op or 'scope'} {spell_shape(box.output_shape)}"]
    if box.parameters:
        lines.append(f"{box.parameters:,} parameters")
    if box.multiply_adds:
        lines.append(f"{box.multiply_adds:,} multiply-adds")
    return quoted(lines)


def _below(path: str, scope: str) -> str:
    return path.removeprefix(f"{scope}/") if scope else path


def _fill(box: Box) -> str:
    if box.multiply_adds:
        return "lightblue"
    op = box.op or ""
    if "pool" in op or op == "reduce_mean":
        return "palegreen"
    return "khaki" if op in _JOINS else "white"
