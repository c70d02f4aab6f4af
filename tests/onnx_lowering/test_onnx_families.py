"""Networks of every architecture file in ONNX Runtime against Keras, and what holds of all."""

import os
import subprocess
import sys
from typing import Any

import onnx
import pytest
from onnx_models import compare
from small import small_spec

from model_zoo import BuildSpec, Graph, find_architecture, list_architectures, trace
from model_zoo.onnx_lowering import onnx_model
from model_zoo.verify import golden_input, golden_value

NAMES = (
    "lenet",
    "cifarnet",
    "alexnet_v2",
    "overfeat",
    "vgg_a",
    "inception_v1",
    "inception_v2",
    "inception_v3",
    "inception_v4",
    "inception_resnet_v2",
    "resnet_v1_50",
    "resnet_v2_50",
    "xception_41",
    "mobilenet_v1_025",
    "mobilenet_v2_035",
    "mobilenet_v3_small",
    "nasnet_mobile",
    "pnasnet_mobile",
    "s3dg",
)
# What comes after these is hundreds of megabytes of weights, in layers like those before.
_LAST = {
    "alexnet_v2": "alexnet_v2/pool5",
    "overfeat": "overfeat/pool5",
    "vgg_a": "vgg_a/pool5",
    "inception_v4": "Mixed_6b",
    "inception_resnet_v2": "Mixed_6a",
}


def small_graph(name: str, **wire: Any) -> Graph:
    spec = small_spec(name) | wire
    if name in _LAST:
        spec["params"] = {**spec["params"], "final_endpoint": _LAST[name]}
    return trace(BuildSpec.read(spec)).graph


def check(graph: Graph) -> onnx.ModelProto:
    weights = {variable.name: golden_value(variable) for variable in graph.variables}
    shape = (2, *(size or 0 for size in graph.input.shape[1:]))
    return compare(graph, weights, [golden_input(shape)])


def source(name: str) -> str:
    return find_architecture(name).network.__module__


def test_every_architecture_file_is_covered() -> None:
    every = {source(name) for name in list_architectures()}
    assert {source(name) for name in NAMES} == {
        module for module in every if module.startswith("model_zoo.")
    }


@pytest.mark.parametrize("name", NAMES)
def test_network_computes_as_in_keras(name: str) -> None:
    graph = small_graph(name)
    model = check(graph)
    transposes = [node for node in model.graph.node if node.op_type == "Transpose"]
    flattened = sum(node.op == "flatten" for node in graph.nodes)
    # Into ONNX's order, out of it if the output has positions, and nowhere between.
    assert len(transposes) == 1 + flattened + (graph.output.rank > 2)
    assert transposes[0].input[0] == "input"


def test_network_that_normalises_by_its_batch_computes_as_in_keras() -> None:
    # VGG says nothing of is_training to a normalizer, whose default is true.
    scopes = [{"ops": ["conv2d"], "args": {"normalizer_fn": "batch_norm"}}]
    graph = small_graph("vgg_a", scopes=scopes)
    assert any(node.op == "batch_norm" and node.attributes["is_training"] for node in graph.nodes)
    check(graph)


def test_auxiliary_heads_are_left_out() -> None:
    graph = small_graph("inception_v3")
    assert any("AuxLogits" in variable.name for variable in graph.variables)
    weights = {
        variable.name: golden_value(variable)
        for variable in graph.variables
        if "AuxLogits" not in variable.name
    }
    model = onnx_model(graph, weights)
    assert {initializer.name for initializer in model.graph.initializer} >= set(weights)
    assert not any("AuxLogits" in node.name for node in model.graph.node)


_DIGEST = """
import hashlib, sys
from model_zoo import BuildSpec, trace
from model_zoo.onnx_lowering import onnx_model
from model_zoo.weights.random import random_value
spec = {"architecture": "mobilenet_v3_small", "input_shape": [64, 64, 3]}
graph = trace(BuildSpec.read(spec)).graph
weights = {variable.name: random_value(7, variable) for variable in graph.variables}
content = onnx_model(graph, weights).SerializeToString(deterministic=True)
print(hashlib.sha256(content).hexdigest())
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""


def test_every_process_exports_the_same_bytes_without_keras() -> None:
    found = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert found.pop().splitlines()[1:] == ["[]"]
