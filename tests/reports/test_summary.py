"""The summary: totals that add up, shared variables, peak memory by liveness."""

import csv
import io

import pytest
from small import default_trace

from model_zoo import BuildSpec, Tensor, list_architectures, trace
from model_zoo.graph import build_graph, variable_scope
from model_zoo.layers import conv2d, flatten
from model_zoo.primitives import concat
from model_zoo.reports.summary import summarize


@pytest.mark.parametrize("name", list_architectures())
def test_rows_add_up_to_the_totals(name: str) -> None:
    result = trace(BuildSpec.read({"architecture": name, "params": {"num_classes": 10}}))
    summary = result.summary()
    assert sum(row.parameters for row in summary.rows) == summary.totals["parameters"]
    assert summary.totals["parameters"] == sum(v.size for v in result.graph.variables)
    assert summary.totals["multiply_adds"] == sum(n.multiply_adds for n in result.graph.nodes)
    assert summary.totals["weight_bytes"] == 4 * summary.totals["parameters"]
    assert len({row.name for row in summary.rows}) == len(summary.rows) == summary.totals["layers"]
    activations = sum(row.activation_bytes for row in summary.rows)
    assert summary.totals["activation_bytes"] == activations


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

    summary = summarize(build_graph(network, (10, 10, 1)))
    # 10 x 10 x 1 input; at the join: 200 + 300 + 500; at the end: 500 + 500
    assert summary.totals["peak_activation_bytes"] == 4 * 1000
    peaks = [row.peak_activation_bytes // 4 for row in summary.rows]
    assert peaks == [100, 100 + 200, 100 + 200 + 300, 200 + 300 + 500, 500 + 500]
    assert summary.peak() == {
        "layer": "concat",
        "node": "concat",
        "bytes": 4000,
        "alive": [
            {"node": "Conv/Conv2D", "bytes": 800},
            {"node": "Conv_1/Conv2D", "bytes": 1200},
            {"node": "concat", "bytes": 2000},
        ],
    }
    assert summary.to_text().endswith("peak activation bytes: 4,000\npeak at: concat\n")


def test_the_output_lives_to_the_end_and_what_nobody_reads_dies_at_once() -> None:
    def network(x: Tensor) -> Tensor:
        output = flatten(x, scope="output")  # 100 elements, as the input
        flatten(x, scope="unread")
        flatten(x, scope="last")
        return output

    summary = summarize(build_graph(network, (10, 10, 1)))
    assert [row.peak_activation_bytes // 400 for row in summary.rows] == [1, 2, 3, 3]
    assert [each["node"] for each in summary.peak()["alive"]] == [
        *("input", "output/Reshape", "unread/Reshape"),
    ]


@pytest.mark.parametrize("name", list_architectures())
def test_the_peak_is_that_of_a_layer_and_its_tensors_add_up(name: str) -> None:
    summary = default_trace(name).summary()
    peak, total = summary.peak(), summary.totals["peak_activation_bytes"]
    assert peak["bytes"] == total == max(row.peak_activation_bytes for row in summary.rows)
    assert sum(each["bytes"] for each in peak["alive"]) == total
    assert peak["alive"][-1]["node"] == peak["node"]
    (row,) = [row for row in summary.rows if row.name == peak["layer"]]
    assert row.peak_activation_bytes == total


def test_a_receptive_field_has_a_value_for_each_axis_or_is_null() -> None:
    layers = {
        row["name"]: (row["receptive_field"], row["effective_stride"])
        for row in trace(BuildSpec.read({"architecture": "i3d"})).summary().to_dict()["layers"]
    }
    assert layers["InceptionV1/Conv2d_1a_7x7"] == ([7, 7, 7], [2, 2, 2])
    assert layers["InceptionV1/Logits/AvgPool_0a_7x7"] == ([107, None, None], [8, None, None])
    assert layers["InceptionV1/Logits/Mean"] == (None, None)


def test_tables_spell_the_axes_of_a_receptive_field() -> None:
    summary = trace(BuildSpec.read({"architecture": "i3d"})).summary()
    cells = {row["name"]: row for row in csv.DictReader(io.StringIO(summary.to_csv()))}
    pool, mean = (cells[f"InceptionV1/Logits/{name}"] for name in ("AvgPool_0a_7x7", "Mean"))
    assert (pool["receptive_field"], pool["effective_stride"]) == ("107x-x-", "8x-x-")
    assert (mean["receptive_field"], mean["effective_stride"]) == ("", "")
    lines = {line.split()[0]: line.split()[-2:] for line in summary.to_text().splitlines() if line}
    assert lines["InceptionV1/Logits/AvgPool_0a_7x7"] == ["107x-x-", "8x-x-"]
    assert lines["InceptionV1/Logits/Mean"] == ["-", "-"]


def test_totals_need_no_rows() -> None:
    """Sweeps read the totals of thousands of networks, and rows cost ten times as much."""
    summary = trace(BuildSpec.read({"architecture": "lenet"})).summary()
    assert summary.totals["layers"] == 10
    assert "rows" not in vars(summary)
    assert summary.totals["layers"] == len(summary.rows)


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
        "peak_activation_bytes": "200704",
        "receptive_field": "5x5",
        "effective_stride": "1x1",
    }
    assert summary.to_dict()["layers"][1]["output_shape"] == [None, 28, 28, 32]
    text = summary.to_text()
    assert (
        "LeNet/conv1     conv2d           Nx28x28x32         832        627,200"
        "              5x5     1x1\n"
    ) in text
    assert text.endswith("peak activation bytes: 200,704\npeak at: LeNet/conv1\n")
