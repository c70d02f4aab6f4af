"""The summary: totals that add up, shared variables, peak memory by liveness."""

import csv
import io

import pytest

from model_zoo import BuildSpec, Tensor, list_architectures, trace
from model_zoo.graph import build_graph, variable_scope
from model_zoo.layers import conv2d, flatten
from model_zoo.primitives import concat
from model_zoo.reports.summary import peak_activation_bytes, summarize


@pytest.mark.parametrize("name", list_architectures())
def test_rows_add_up_to_the_totals(name: str) -> None:
    result = trace(BuildSpec.read({"architecture": name, "params": {"num_classes": 10}}))
    summary = result.summary()
    assert sum(row.parameters for row in summary.rows) == summary.totals["parameters"]
    assert summary.totals["parameters"] == sum(v.size for v in result.graph.variables)
    assert summary.totals["multiply_adds"] == sum(n.multiply_adds for n in result.graph.nodes)
    assert summary.totals["weight_bytes"] == 4 * summary.totals["parameters"]
    assert len({row.name for row in summary.rows}) == len(summary.rows)


def test_known_figures_of_mobilenet() -> None:
    """arXiv:1704.04861, Table 8: 569 million multiply-adds, 4.2 million parameters."""
    totals = trace(BuildSpec.read({"architecture": "mobilenet_v1"})).summary().totals
    assert totals["multiply_adds"] == 568_741_376
    # the paper's 4.2 million, with the class of background and moving averages
    assert totals["parameters"] == 4_254_889


def test_shared_variable_counts_once() -> None:
    def network(x: Tensor) -> Tensor:
        with variable_scope("net"):
            x = conv2d(x, 3, 3, scope="shared")
            return conv2d(x, 3, 3, scope="shared", reuse=True)

    summary = summarize(build_graph(network, (8, 8, 3)))
    assert summary.totals["parameters"] == 3 * 3 * 3 * 3 + 3
    assert [row.parameters for row in summary.rows] == [0, 84, 0]


def test_peak_counts_tensors_alive_at_once() -> None:
    def network(x: Tensor) -> Tensor:
        left = conv2d(x, 2, 1, activation_fn=None, biases_initializer=None)  # 200 elements
        right = conv2d(x, 3, 1, activation_fn=None, biases_initializer=None)  # 300; the input dies
        return flatten(concat([left, right]))

    # 10 x 10 x 1 input; at the join: 200 + 300 + 500; at the end: 500 + 500
    assert peak_activation_bytes(build_graph(network, (10, 10, 1))) == 4 * 1000


def test_formats_tell_the_same() -> None:
    summary = trace(BuildSpec.read({"architecture": "lenet"})).summary()
    rows = list(csv.DictReader(io.StringIO(summary.to_csv())))
    assert rows[1] == {
        "name": "LeNet/conv1",
        "op": "conv2d",
        "output_shape": "Nx28x28x32",
        "parameters": "832",
        "multiply_adds": "627200",
        "weight_bytes": "3328",
        "activation_bytes": "100352",
    }
    assert summary.to_dict()["layers"][1]["output_shape"] == [None, 28, 28, 32]
    text = summary.to_text()
    assert "LeNet/conv1     conv2d           Nx28x28x32         832        627,200\n" in text
    assert text.endswith("peak activation bytes: 200,704\n")
