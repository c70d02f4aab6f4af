"""The graph of a build: what is in it, what becomes of collapsed scopes, and that it adds up."""

import json
from itertools import pairwise
from typing import Any

import pytest
from diffed import Made
from small import default_trace

from model_zoo import BuildSpec, GraphDocument, OptionError, Tensor, list_architectures, trace
from model_zoo.graph import variable_scope
from model_zoo.layers import conv2d
from model_zoo.primitives import add, concat, reduce_mean
from model_zoo.reports.graph_report import GraphReport
from model_zoo.reports.network_graph import NetworkGraph

RELU6 = {"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}


def document(name: str = "lenet", depth: int | None = None, **spec: Any) -> GraphDocument:
    read = BuildSpec.read({"architecture": name, **spec})
    return trace(read).graph_report(depth).to_dict()


def pairs(graph: GraphDocument) -> list[tuple[str, str]]:
    return [(edge["source"], edge["target"]) for edge in graph["edges"]]


def test_nodes_are_the_primitives_in_order_and_edges_are_what_they_read() -> None:
    graph = document(scopes=[RELU6])
    assert [node["id"] for node in graph["nodes"][:7]] == [
        "input",
        *(f"LeNet/conv1/{name}" for name in ("Conv2D", "BiasAdd", "relu6")),
        "LeNet/pool1/MaxPool",
        *(f"LeNet/conv2/{name}" for name in ("Conv2D", "BiasAdd")),
    ]
    assert pairs(graph) == list(pairwise(node["id"] for node in graph["nodes"]))
    assert (graph["input"], graph["output"]) == ("input", "LeNet/fc4/BiasAdd")
    assert graph["end_points"]["Predictions"] == "Predictions/Softmax"
    assert graph["nodes"][1] == {
        "id": "LeNet/conv1/Conv2D",
        "op": "conv2d",
        "layer": "LeNet/conv1",
        "scope": "LeNet/conv1",
        "collapsed": False,
        "primitives": 1,
        "output_shape": [None, 28, 28, 32],
        "dtype": "float32",
        "parameters": 800,
        "multiply_adds": 627200,
        "activation_bytes": 4 * 28 * 28 * 32,
        "attributes": {"strides": [1, 1], "padding": "SAME", "rate": [1, 1]},
        "variables": [
            {
                "role": "weights",
                "name": "LeNet/conv1/weights",
                "shape": [5, 5, 1, 32],
                "dtype": "float32",
                "trainable": True,
            }
        ],
        "end_points": [],
    }
    assert graph["nodes"][3]["attributes"] == {"function": "relu6"}
    assert graph["nodes"][3]["end_points"] == ["conv1"]


def test_a_layer_says_who_set_each_argument_as_the_explanation_does() -> None:
    traced = trace(BuildSpec.read({"architecture": "lenet", "scopes": [RELU6]}))
    graph = traced.graph_report().to_dict()
    layer = graph["layers"][1]
    rows: Any = traced.summary().to_dict()["layers"]
    assert {name: layer[name] for name in rows[1]} == rows[1]
    assert layer["scope"] == "LeNet/conv1"
    assert layer["nodes"] == [f"LeNet/conv1/{name}" for name in ("Conv2D", "BiasAdd", "relu6")]
    calls: Any = traced.explanation().to_dict()["calls"]
    (call,) = [each for each in calls if each["layer"] == "LeNet/conv1"]
    assert (layer["called_at"], layer["arguments"]) == (call["called_at"], call["arguments"])
    (activation,) = [each for each in layer["arguments"] if each["name"] == "activation_fn"]
    assert (activation["value"], activation["kind"]) == ("relu6", "scope")
    assert activation["written_at"] == "/scopes/0/args/activation_fn"
    assert activation["beat"][0]["level"] == "default_scope"
    assert (graph["layers"][0]["called_at"], graph["layers"][0]["arguments"]) == (None, [])


def test_scopes_are_a_tree_with_the_totals_of_what_is_inside() -> None:
    graph = document()
    scopes = {scope["path"]: scope for scope in graph["scopes"]}
    assert scopes[""]["children"] == ["LeNet", "Predictions"]
    assert scopes[""]["layers"] == ["input"]
    assert scopes["LeNet"]["parent"] == ""
    assert scopes["LeNet"]["children"][:2] == ["LeNet/conv1", "LeNet/pool1"]
    assert scopes["LeNet"]["totals"] == {
        "layers": 8,
        "parameters": 3274634,
        "multiply_adds": 13883904,
        "weight_bytes": 13098536,
        "activation_bytes": 212112 - 4 * (28 * 28 + 10),
    }
    assert scopes["LeNet/conv1"]["layers"] == ["LeNet/conv1"]
    assert scopes["LeNet/conv1"]["totals"]["parameters"] == 832


def test_depth_draws_deeper_scopes_as_one_node() -> None:
    graph = document(depth=2)
    assert [node["id"] for node in graph["nodes"]] == [
        "input",
        *(f"LeNet/{name}" for name in ("conv1", "pool1", "conv2", "pool2", "Flatten", "fc3")),
        *("LeNet/dropout3", "LeNet/fc4", "Predictions/Softmax"),
    ]
    assert graph["nodes"][1] == {
        "id": "LeNet/conv1",
        "op": "conv2d",
        "layer": "LeNet/conv1",
        "scope": "LeNet",
        "collapsed": True,
        "primitives": 3,
        "output_shape": [None, 28, 28, 32],
        "dtype": "float32",
        "parameters": 832,
        "multiply_adds": 627200,
        "activation_bytes": 4 * 28 * 28 * 32,
        "attributes": {},
        "variables": [],
        "end_points": ["conv1"],
    }
    assert pairs(graph) == list(pairwise(node["id"] for node in graph["nodes"]))
    assert graph["layers"][1]["nodes"] == ["LeNet/conv1"]
    assert graph["end_points"]["fc3"] == "LeNet/fc3"
    top = document(depth=1)
    assert [node["id"] for node in top["nodes"]] == ["input", "LeNet", "Predictions"]
    assert (top["nodes"][1]["op"], top["nodes"][1]["layer"]) == (None, None)
    assert top["nodes"][1]["output_shape"] == [None, 10]
    assert (top["depth"], document()["depth"]) == (1, None)


def test_depth_leaves_a_newcomer_a_network_to_look_at() -> None:
    graph = document("inception_v3", depth=2)
    assert len(graph["nodes"]) == 22
    mixed = next(node for node in graph["nodes"] if node["id"] == "InceptionV3/Mixed_5b")
    assert (mixed["op"], mixed["output_shape"]) == (None, [None, 35, 35, 256])
    assert mixed["end_points"] == ["Mixed_5b"]
    assert ("InceptionV3/Mixed_5b", "InceptionV3/Mixed_5c") in pairs(graph)
    units = document("resnet_v1_50", depth=4)["nodes"]
    unit = next(node for node in units if node["id"].endswith("block1/unit_1/bottleneck_v1"))
    assert (unit["op"], unit["layer"]) == ("bottleneck", unit["id"])


def test_depth_below_every_scope_changes_nothing() -> None:
    graph, deep = document("inception_v3"), document("inception_v3", depth=99)
    assert {**deep, "depth": None} == graph


@pytest.mark.parametrize("depth", [0, -1])
def test_depth_begins_at_one(depth: int) -> None:
    with pytest.raises(OptionError) as error:
        document(depth=depth)
    assert (str(error.value), error.value.option) == (
        f"depth is at least 1; received {depth}.",
        "depth",
    )


@pytest.mark.parametrize("name", list_architectures())
@pytest.mark.parametrize("depth", [None, 1, 2, 3])
def test_whatever_is_collapsed_the_graph_adds_up(name: str, depth: int | None) -> None:
    traced = default_trace(name)
    graph, totals = traced.graph_report(depth).to_dict(), traced.summary().totals
    nodes = {node["id"]: node for node in graph["nodes"]}
    assert len(nodes) == len(graph["nodes"])
    assert sum(node["primitives"] for node in nodes.values()) == len(traced.graph.nodes)
    for figure in ("parameters", "multiply_adds"):
        assert sum(node[figure] for node in nodes.values()) == totals[figure]
    assert all(edge["source"] in nodes and edge["target"] in nodes for edge in graph["edges"])
    inputs: dict[str, list[int]] = {}
    for edge in graph["edges"]:
        inputs.setdefault(edge["target"], []).append(edge["input"])
    assert all(each == list(range(len(each))) for each in inputs.values())
    # What is drawn by itself has all its inputs, and everything but the input has some.
    for node in traced.graph.nodes:
        if node.output.name in nodes:
            assert len(inputs.get(node.output.name, ())) == len(node.inputs)
    assert nodes.keys() - inputs.keys() == {graph["input"]}
    assert all(set(layer["nodes"]) <= nodes.keys() for layer in graph["layers"])
    assert {*graph["end_points"].values(), graph["output"]} <= nodes.keys()
    scopes = {scope["path"]: scope for scope in graph["scopes"]}
    root: Any = scopes[""]["totals"]
    assert root == {name: totals[name] for name in root}  # type: ignore[literal-required]
    assert {node["scope"] for node in nodes.values()} <= scopes.keys()
    for path, scope in scopes.items():
        assert all(scopes[child]["parent"] == path for child in scope["children"])
    assert sum(len(scope["layers"]) for scope in scopes.values()) == totals["layers"]


def test_the_same_spec_gives_the_same_bytes() -> None:
    first, second = (json.dumps(document("nasnet_cifar", 3)) for _ in range(2))
    assert first == second


def report(network: Any, depth: int | None = None) -> GraphDocument:
    return GraphReport(NetworkGraph(Made(network), depth)).to_dict()


def test_inputs_keep_their_order_and_a_scope_reads_each_node_once() -> None:
    def network(x: Tensor) -> Tensor:
        with variable_scope("a"):
            left, right = conv2d(x, 3, 1, scope="left"), conv2d(x, 3, 1, scope="right")
        with variable_scope("b"):
            return concat([add(right, right), left, x])

    plain = report(network)["edges"]
    assert plain[-5:] == [
        {"source": "a/right/relu", "target": "b/add", "input": 0},
        {"source": "a/right/relu", "target": "b/add", "input": 1},
        {"source": "b/add", "target": "b/concat", "input": 0},
        {"source": "a/left/relu", "target": "b/concat", "input": 1},
        {"source": "input", "target": "b/concat", "input": 2},
    ]
    collapsed = report(network, 1)
    assert collapsed["edges"] == [
        {"source": "input", "target": "a", "input": 0},
        {"source": "a", "target": "b", "input": 0},
        {"source": "input", "target": "b", "input": 1},
    ]
    assert [node["output_shape"][-1] for node in collapsed["nodes"]] == [3, 3, 9]


def test_a_primitive_that_reads_a_scope_twice_has_both_inputs() -> None:
    def network(x: Tensor) -> Tensor:
        with variable_scope("a"):
            left, right = conv2d(x, 3, 1), conv2d(x, 3, 1)
        return add(left, right)

    assert report(network, 1)["edges"][1:] == [
        {"source": "a", "target": "add", "input": 0},
        {"source": "a", "target": "add", "input": 1},
    ]


def test_a_scope_beside_a_primitive_of_its_name_has_a_slash() -> None:
    def network(x: Tensor) -> Tensor:
        with variable_scope("net"):
            return conv2d(reduce_mean(x, [1, 2], "pool"), 3, 1, scope="pool")

    graph = report(network, 2)
    assert [node["id"] for node in graph["nodes"]] == ["input", "net/pool", "net/pool/"]
    assert graph["layers"][-1]["nodes"] == ["net/pool/"]


def test_a_shared_variable_counts_in_the_first_node_that_has_it() -> None:
    def network(x: Tensor) -> Tensor:
        with variable_scope("net"):
            x = conv2d(x, 3, 3, scope="shared", biases_initializer=None)
            return conv2d(x, 3, 3, scope="shared", biases_initializer=None, reuse=True)

    nodes = report(network)["nodes"]
    convolutions = [node for node in nodes if node["op"] == "conv2d"]
    assert [node["parameters"] for node in convolutions] == [81, 0]
    assert [node["id"] for node in convolutions] == ["net/shared/Conv2D", "net/shared/Conv2D_1"]
