"""The graph of a build for Graphviz and for Model Explorer: each is what that program reads."""

import re
from itertools import pairwise
from typing import Annotated, Any

import msgspec
import pytest
from diffed import Made
from small import default_trace

from model_zoo import BuildSpec, OptionError, Tensor, list_architectures, trace
from model_zoo.graph import variable_scope
from model_zoo.layers import conv2d
from model_zoo.reports.graph_report import GraphReport
from model_zoo.reports.network_graph import NetworkGraph


def report(name: str = "lenet", depth: int | None = None, **spec: Any) -> GraphReport:
    traced = trace(BuildSpec.read({"architecture": name, **spec})) if spec else default_trace(name)
    return traced.graph_report(depth)


STRING = r'"((?:[^"\\]|\\.)*)"'
NODE = re.compile(rf" *(n\d+) \[label={STRING}, fillcolor=(\w+)\];")
EDGE = re.compile(r"  (n\d+) -> (n\d+);")
FRAME = re.compile(r" *subgraph (cluster_\d+) \{")
LABEL = re.compile(rf" *label={STRING};")


class Dot:
    """A text in dot: nodes with their labels, colours and frames, and the edges between labels."""

    def __init__(self, text: str) -> None:
        first, graph, style, *lines, last = text.splitlines()
        assert (first, last) == ("digraph network {", "}")
        assert graph == '  graph [fontname="sans-serif", style=rounded, color=gray];'
        assert style == '  node [shape=box, style=filled, fontname="sans-serif"];'
        self.nodes: dict[str, tuple[str, str, tuple[str, ...]]] = {}
        self.edges: list[tuple[str, str]] = []
        frames: list[str] = []
        seen: list[str] = []
        for line in lines:
            if match := NODE.fullmatch(line):
                self.nodes[match[1]] = (match[2], match[3], tuple(frames))
            elif match := EDGE.fullmatch(line):
                assert not frames
                self.edges.append((self.nodes[match[1]][0], self.nodes[match[2]][0]))
            elif match := FRAME.fullmatch(line):
                assert match[1] not in seen
                seen.append(match[1])
                frames.append("")
            elif match := LABEL.fullmatch(line):
                frames[-1] = match[1]
            else:
                assert line.strip() == "}", line
                # Each frame has something in it.
                assert any(
                    inside[: len(frames)] == tuple(frames) for _, _, inside in self.nodes.values()
                )
                frames.pop()
        assert not frames


def test_dot_puts_the_nodes_of_a_scope_into_a_frame() -> None:
    dot = Dot(report().to_dot())
    assert list(dot.nodes.values())[:5] == [
        ("input\\ninput Nx28x28x1", "white", ()),
        (
            "Conv2D\\nconv2d Nx28x28x32\\n800 parameters\\n627,200 multiply-adds",
            "lightblue",
            ("LeNet", "conv1"),
        ),
        ("BiasAdd\\nbias_add Nx28x28x32\\n32 parameters", "white", ("LeNet", "conv1")),
        ("relu\\nactivation Nx28x28x32", "white", ("LeNet", "conv1")),
        ("MaxPool\\nmax_pool2d Nx14x14x32", "palegreen", ("LeNet", "pool1")),
    ]
    labels = [label for label, _, _ in dot.nodes.values()]
    assert dot.edges == list(pairwise(labels))


def test_dot_has_no_frame_for_a_collapsed_scope() -> None:
    dot = Dot(report("inception_v3", 2).to_dot())
    labels = [(label.partition("\\n")[0], frames) for label, _, frames in dot.nodes.values()]
    assert labels[:3] == [
        ("input", ()),
        ("Conv2d_1a_3x3", ("InceptionV3",)),
        ("Conv2d_2a_3x3", ("InceptionV3",)),
    ]
    mixed = next(node for node in dot.nodes.values() if node[0].startswith("Mixed_5b"))
    assert mixed[0] == (
        "Mixed_5b\\nscope Nx35x35x256\\n256,368 parameters\\n312,345,600 multiply-adds"
    )


@pytest.mark.parametrize("name", list_architectures())
@pytest.mark.parametrize("depth", [None, 1, 2])
def test_dot_has_every_node_and_edge_of_the_graph(name: str, depth: int | None) -> None:
    graph = report(name, depth)
    dot, document = Dot(graph.to_dot()), graph.to_dict()
    assert len(dot.nodes) == len(document["nodes"])
    assert len(dot.edges) == len(document["edges"])


def test_dot_shows_foreign_names_as_they_are() -> None:
    name = 'a"];b\\N\n&lt;'

    def network(x: Tensor) -> Tensor:
        with variable_scope(name):
            return conv2d(x, 3, 1, scope="x{}")

    dot = Dot(GraphReport(NetworkGraph(Made(network))).to_dot())
    assert list(dot.nodes.values())[1][2] == ('a\\"];b\\\\N\\n&amp;lt;', "x{}")


class Closed(msgspec.Struct, forbid_unknown_fields=True):
    """An object that has no other members; a default is a member that may be missing."""


Text = Annotated[str, msgspec.Meta(min_length=1)]


class KeyValue(Closed):
    key: str
    value: str


class Metadata(Closed):
    id: str
    attrs: list[KeyValue] = []


class Edge(Closed):
    sourceNodeId: str  # noqa: N815 - its name in the file, as those below
    sourceNodeOutputId: str  # noqa: N815
    targetNodeInputId: str  # noqa: N815


class ExplorerNode(Closed):
    id: Text
    label: Text
    namespace: Annotated[str, msgspec.Meta(pattern="^([^/]+(/[^/]+)*)?$")]
    attrs: list[KeyValue] = []
    inputsMetadata: list[Metadata] = []  # noqa: N815
    outputsMetadata: list[Metadata] = []  # noqa: N815
    incomingEdges: list[Edge] = []  # noqa: N815


class ExplorerGraph(Closed):
    """`Graph` of Model Explorer's input_graph.ts."""

    id: str
    nodes: list[ExplorerNode]
    groupNodeAttributes: dict[str, dict[str, str]] = {}  # noqa: N815


class Collection(Closed):
    """What `loadGraphsJson` of Model Explorer's utils.ts reads."""

    label: str
    graphs: list[ExplorerGraph]


class Stop(Closed):
    stop: Annotated[float, msgspec.Meta(ge=0, le=1)]
    bgColor: Annotated[str, msgspec.Meta(pattern="^#[0-9a-f]{6}$")]  # noqa: N815


class NodeValue(Closed):
    value: float


class NodeData(Closed):
    """`GraphNodeData` of Model Explorer's node_data_builder.py."""

    results: dict[str, NodeValue]
    name: str = ""
    gradient: Annotated[list[Stop], msgspec.Meta(min_length=2)] = []


@pytest.mark.parametrize("name", list_architectures())
def test_model_explorer_can_read_every_network(name: str) -> None:
    for depth in (None, 2):
        graph = report(name, depth)
        collection = graph.to_model_explorer()
        msgspec.convert(collection, Collection)
        (drawn,) = collection["graphs"]
        document, nodes = graph.to_dict(), {node["id"]: node for node in drawn["nodes"]}
        assert list(nodes) == [node["id"] for node in document["nodes"]]
        edges = [
            (edge["sourceNodeId"], node["id"], int(edge["targetNodeInputId"]))
            for node in drawn["nodes"]
            for edge in node["incomingEdges"]
        ]
        assert edges == [(e["source"], e["target"], e["input"]) for e in document["edges"]]
        # Attributes of a group that is not drawn would not be shown.
        groups = {""}
        for node in drawn["nodes"]:
            parts = node["namespace"].split("/")
            groups |= {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
        assert drawn["groupNodeAttributes"].keys() == groups
        for metric in ("multiply_adds", "parameters", "activation_bytes"):
            data = graph.to_node_data(metric)
            msgspec.convert(data, NodeData)
            assert data["results"] == {n["id"]: {"value": n[metric]} for n in document["nodes"]}
            assert (data["name"], [each["stop"] for each in data["gradient"]]) == (metric, [0, 1])


SCOPES = [{"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}]


def test_model_explorer_shows_who_set_the_arguments_of_a_layer() -> None:
    (graph,) = report(scopes=SCOPES).to_model_explorer()["graphs"]
    shown = re.sub(
        r"\.py:\d+", ".py:N", graph["groupNodeAttributes"]["LeNet/conv1"]["activation_fn"]
    )
    assert shown == (
        "relu6  [scope from /scopes/0/args/activation_fn; beat relu from "
        "model_zoo/architectures/lenet.py:N (lenet_arg_scope)]"
    )
    assert graph["groupNodeAttributes"]["LeNet/conv1"]["parameters"] == "832"
    assert graph["groupNodeAttributes"][""]["parameters"] == "3,274,634"
    node = graph["nodes"][1]
    assert {each["key"]: each["value"] for each in node["attrs"]} == {
        "multiply adds": "627,200",
        "parameters": "800",
        "activation bytes": "100,352",
        "strides": "[1, 1]",
        "padding": '"SAME"',
        "rate": "[1, 1]",
        "weights": "LeNet/conv1/weights 5x5x1x32",
    }
    assert node["outputsMetadata"] == [
        {
            "id": "0",
            "attrs": [
                {"key": "tensor_name", "value": "LeNet/conv1/Conv2D"},
                {"key": "tensor_shape", "value": "?x28x28x32"},
                {"key": "dtype", "value": "float32"},
            ],
        }
    ]


@pytest.mark.parametrize(("depth", "node"), [(2, "LeNet/conv1"), (None, "cell_stem_1/concat")])
def test_model_explorer_shows_them_at_a_node_if_the_layer_is_no_group(
    depth: int | None, node: str
) -> None:
    graph = report("lenet" if depth else "nasnet_large", depth, scopes=SCOPES)
    nodes = {each["id"]: each for each in graph.to_model_explorer()["graphs"][0]["nodes"]}
    attributes = {each["key"]: each["value"] for each in nodes[node]["attrs"]}
    if depth:
        assert attributes["activation_fn"].startswith("relu6  [scope from /scopes/0/args")
        assert attributes["end points"] == "conv1"
    else:
        assert attributes["op"].startswith("factorized_reduction, called at ")


def test_an_unknown_metric_is_refused() -> None:
    metric: Any = "parameter"
    with pytest.raises(OptionError) as error:
        report().to_node_data(metric)
    assert str(error.value) == "metric does not accept 'parameter'. Did you mean 'parameters'?"
