"""What holds of ONNX models of whole networks; tests/test_families.py compares their numbers."""

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from onnx_models import check_layout, compare
from small import FAMILIES, family_spec

from model_zoo import BuildSpec, Graph, trace
from model_zoo.onnx_lowering import onnx_model
from model_zoo.verify import golden_input, golden_value


def graph_of(name: str, **wire: Any) -> Graph:
    return trace(BuildSpec.read(family_spec(name, **wire))).graph


def golden_weights(graph: Graph) -> dict[str, np.ndarray]:
    return {variable.name: golden_value(variable) for variable in graph.variables}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_is_transposed_into_onnx_s_order_and_out_of_it_alone(name: str) -> None:
    graph = graph_of(name)
    model = onnx_model(graph, golden_weights(graph))
    transposes = [node for node in model.graph.node if node.op_type == "Transpose"]
    flattened = sum(node.op == "flatten" for node in graph.nodes)
    # Out of it where the output has positions, and where their order counts.
    assert len(transposes) == 1 + flattened + (graph.output.rank > 2)
    assert transposes[0].input[0] == "input"


@pytest.mark.heavy
@pytest.mark.parametrize("name", FAMILIES)
def test_channels_first_changes_no_bit_of_a_network(name: str) -> None:
    graph = graph_of(name)
    batch = golden_input((2, *(size or 0 for size in graph.input.shape[1:])))
    check_layout(graph, golden_weights(graph), [batch], is_optimized=True)


def test_network_that_normalises_by_its_batch_computes_as_in_keras() -> None:
    # VGG says nothing of is_training to a normalizer, whose default is true.
    scopes = [{"ops": ["conv2d"], "args": {"normalizer_fn": "batch_norm"}}]
    graph = graph_of("vgg_a", scopes=scopes)
    assert graph.batch_statistics_nodes
    shape = (2, *(size or 0 for size in graph.input.shape[1:]))
    compare(graph, golden_weights(graph), [golden_input(shape)])


def test_auxiliary_heads_are_left_out() -> None:
    graph = graph_of("inception_v3")
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
