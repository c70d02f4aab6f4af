"""Profiles of the real program. Times are compared only where they differ many times over."""

import csv
import io
from typing import Any

import httpx
import pytest
from zoo_server import build

ENGINES = ("onnxruntime", "tensorflow")


def profile(live: httpx.Client, architecture: str, query: str, **spec: Any) -> Any:
    response = live.get(f"/v1/builds/{build(live, architecture, **spec)}/profile?{query}")
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("engine", ENGINES)
def test_layers_are_the_summary_s_and_those_that_multiply_take_time(
    live: httpx.Client, engine: str
) -> None:
    spec = {"input_shape": [64, 64, 3]}
    found = profile(live, "mobilenet_v2_035", f"engine={engine}&runs=3", **spec)
    path = f"/v1/builds/{found['build']}/summary"
    summary = live.get(path).json()
    assert (found["engine"], found["precision"]) == (engine, "float32")
    assert (found["runs"], found["runs_asked"]) == (3, 3)
    for layer, row in zip(found["layers"], summary["layers"], strict=True):
        shared = layer.keys() & row.keys()
        assert {key: layer[key] for key in shared} == {key: row[key] for key in shared}
        if layer["multiply_adds"]:
            assert layer["seconds"] > 0
            assert layer["gigaops_per_second"] > 0
    share = sum(each["share"] or 0 for each in [*found["layers"], *found["other"]])
    assert share == pytest.approx(1)


def test_kernels_are_led_back_to_layers(live: httpx.Client) -> None:
    spec = {"input_shape": [64, 64, 3]}
    found = profile(live, "mobilenet_v2_035", "engine=onnxruntime&runs=3", **spec)
    layers = {layer["name"]: layer for layer in found["layers"]}
    first = layers["MobilenetV2/Conv"]
    assert first["kernels"] == ["Conv"]
    norm = layers["MobilenetV2/Conv/BatchNorm"]
    assert (norm["seconds"], norm["computed_with"]) == (0, "MobilenetV2/Conv")
    kinds = {each["kernel"] for each in found["other"]}
    assert kinds <= {"Transpose", "ReorderInput", "ReorderOutput"}
    assert found["totals"]["other_seconds"] < found["totals"]["seconds"] / 2


@pytest.mark.parametrize("engine", ENGINES)
def test_a_layer_that_multiplies_more_takes_longer(live: httpx.Client, engine: str) -> None:
    params = {"final_endpoint": "Conv2d_2c_3x3"}
    # Of one row, what TensorFlow needs for any call is a good part of the light layer's time.
    found = profile(live, "inception_v1", f"engine={engine}&runs=5&rows=4", params=params)
    layers = {layer["name"]: layer for layer in found["layers"]}
    heavy, light = layers["InceptionV1/Conv2d_2c_3x3"], layers["InceptionV1/Conv2d_2b_1x1"]
    assert heavy["multiply_adds"] == 27 * light["multiply_adds"]
    assert heavy["seconds"] > 4 * light["seconds"]
    assert heavy["share"] > 0.3


def test_the_layers_take_about_what_the_network_does(live: httpx.Client) -> None:
    params = {"final_endpoint": "Conv2d_2c_3x3"}
    totals = profile(live, "inception_v1", "engine=onnxruntime", params=params)["totals"]
    # The machine may do something else during either.
    assert 1 / 3 < totals["seconds"] / totals["network_seconds"] < 3
    assert totals["gigaops_per_second"] > 0


def test_layers_one_by_one_say_so_and_what_a_call_takes(live: httpx.Client) -> None:
    found = profile(live, "lenet", "engine=tensorflow&runs=2")
    assert found["measured"].startswith("layer by layer, without fusion")
    assert found["totals"]["call_seconds"] > 0
    assert found["other"] == []


def test_layers_that_do_not_lead_to_the_output_have_no_time(live: httpx.Client) -> None:
    found = profile(live, "lenet", "runs=1")
    last = found["layers"][-1]
    assert (last["name"], last["seconds"], last["share"]) == ("Predictions", None, None)


def test_more_rows_take_longer(live: httpx.Client) -> None:
    one, many = (profile(live, "cifarnet", f"rows={rows}&runs=3") for rows in (1, 32))
    assert (one["rows"], many["rows"]) == (1, 32)
    assert many["totals"]["network_seconds"] > 2 * one["totals"]["network_seconds"]


def test_by_default_the_engine_that_serves_the_build_is_measured(live: httpx.Client) -> None:
    builds = [build(live), build(live, weights={"source": "random", "seed": 3})]
    query, rows = ",".join(builds), {"instances": [[[[0.0]] * 28] * 28]}
    served = live.post(f"/v1/compare?builds={query}", json=rows).json()["results"]
    for build_id, result in zip(builds, served, strict=True):
        found = live.get(f"/v1/builds/{build_id}/profile?runs=1").json()
        assert found["engine"] == result["engine"]


def test_a_profile_comes_as_text_or_csv(live: httpx.Client) -> None:
    path = f"/v1/builds/{build(live)}/profile?runs=2"
    text = live.get(path, headers={"Accept": "text/plain"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    lines = text.text.splitlines()
    assert lines[0].split()[:4] == ["layer", "op", "output", "ms"]
    assert lines[3].split()[:3] == ["LeNet/conv1", "conv2d", "Nx28x28x32"]
    assert lines[-1].startswith("the whole network: ")
    table = live.get(f"{path}&format=csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["name"] for row in rows][:3] == ["input", "LeNet/conv1", "LeNet/pool1"]
    assert float(rows[1]["seconds"]) > 0
