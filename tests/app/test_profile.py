"""Profiles: which layer a kernel is of, and what is told of the times."""

import asyncio
import csv
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, problem

from app.compute.worker.runtimes.kernels import Kernel, number_nodes, place
from app.compute.worker.runtimes.layer_times import Repeats
from app.engine import Reply
from app.serving.profile import describe
from app.serving.profile_text import as_csv, as_text
from app.tasks import KernelSeconds, LayerSeconds, MeasuredProfile, MeasureProfile
from model_zoo import (
    BuildSpec,
    Trace,
    ZooError,
    build_weights,
    materialize,
    onnx_model,
    trace,
)


def traced(architecture: str = "lenet", **spec: Any) -> Trace:
    return trace(BuildSpec.read({"architecture": architecture, **spec}))


# Kernels --------------------------------------------------------------------------------------


def placed(network: Trace, name: Callable[[str], str], *kernels: tuple[str, str, str]) -> Any:
    """Place kernels given by the name of a node, what is around its number, and the operator."""
    model = onnx_model(network.graph, build_weights(network))
    before = [proto.name for proto in model.graph.node]
    numbered = number_nodes(model, network.graph)
    numbers = {name: proto.name for name, proto in zip(before, model.graph.node, strict=True)}
    found = [
        Kernel(around.replace("*", numbers.get(name(node), "none")), op)
        for node, around, op in kernels
    ]
    return numbered, place(network.graph, numbered, found)


def test_a_fused_kernel_is_its_convolution_s_under_the_name_of_what_follows() -> None:
    network = traced("mobilenet_v2_035", input_shape=[32, 32, 3])

    def name(short: str) -> str:
        return f"MobilenetV2/{short}"

    _, placement = placed(
        network,
        name,
        ("Conv/relu6", "*_nchwc", "Conv"),
        ("expanded_conv/depthwise/relu6", "*_nchwc", "Conv"),
        ("expanded_conv/project/BatchNorm/FusedBatchNorm", "*_nchwc", "Conv"),
    )
    assert [node.output.name for node in placement.nodes] == [
        "MobilenetV2/Conv/Conv2D",
        "MobilenetV2/expanded_conv/depthwise/depthwise",
        "MobilenetV2/expanded_conv/project/Conv2D",
    ]
    kernels = {tensor.name: index for tensor, index in placement.kernels.items()}
    assert kernels["MobilenetV2/Conv/BatchNorm/FusedBatchNorm"] == 0
    assert kernels["MobilenetV2/expanded_conv/depthwise/relu6"] == 1


def test_a_sum_in_a_kernel_belongs_to_the_branch_that_no_other_kernel_computes() -> None:
    network = traced("resnet_v1_50", input_shape=[64, 64, 3])
    unit = "resnet_v1_50/block1/unit_1/bottleneck_v1"
    _, placement = placed(
        network,
        lambda name: f"{unit}/{name}",
        ("shortcut/BatchNorm/FusedBatchNorm", "*_nchwc", "Conv"),
        ("relu", "*_nchwc", "Conv"),
    )
    assert [node.output.name for node in placement.nodes] == [
        f"{unit}/shortcut/Conv2D",
        f"{unit}/conv3/Conv2D",
    ]


def test_a_norm_that_became_a_convolution_is_the_norm() -> None:
    network = traced("resnet_v2_50", input_shape=[64, 64, 3])
    norm = "resnet_v2_50/block1/unit_2/bottleneck_v2/preact/FusedBatchNorm"
    _, placement = placed(network, lambda name: name, (norm, "*_bn_nchwc", "Conv"))
    assert placement.nodes[0].output.name == norm


def test_what_stands_around_a_number_is_no_part_of_it() -> None:
    _, placement = placed(
        traced(),
        lambda name: f"LeNet/{name}",
        ("fc3/MatMul", "fused *", "FusedGemm"),
        ("pool1/MaxPool", "*_nchwc_token_12", "MaxPool"),
        ("", "ReorderOutput_token_3", "ReorderOutput"),
    )
    names = [node and node.output.name for node in placement.nodes]
    assert names == ["LeNet/fc3/MatMul", "LeNet/pool1/MaxPool", None]


def test_changes_of_layout_are_no_layer_s() -> None:
    numbered, _ = placed(traced(), str)
    assert numbered[0] is None
    assert [node.output.name for node in numbered[1:3] if node] == [
        "LeNet/conv1/Conv2D",
        "LeNet/conv1/relu",
    ]


# Runs -----------------------------------------------------------------------------------------


def test_runs_end_when_another_would_be_too_late() -> None:
    found = Repeats(100, layers_until=0, network_until=0).layers(lambda: "done")
    assert found == ["done"]  # once in any case


def test_a_network_that_takes_too_long_to_make_ready_is_refused() -> None:
    with pytest.raises(ZooError) as caught:
        Repeats(1, layers_until=0, network_until=0).check()
    assert str(caught.value) == (
        "Nothing was measured: loading the network took all the time of a request "
        "(ZOO_REQUEST_TIMEOUT_S)."
    )


def test_runs_are_as_many_as_asked_for_and_admitted() -> None:
    repeats = Repeats(5, layers_until=float("inf"), network_until=float("inf"))
    assert len(repeats.layers(lambda: None)) == len(repeats.network(lambda: None)) == 5
    assert len(repeats.layers(lambda: None, at_most=2)) == 2


def test_the_steps_of_a_network_compute_what_it_does() -> None:
    """A profile of something else would be of no use."""
    network = traced("cifarnet")
    model = materialize(network)
    rows = np.linspace(-1, 1, 2 * 32 * 32 * 3, dtype=np.float32).reshape(2, 32, 32, 3)
    values = {network.graph.input: rows}
    for node in network.graph.nodes_before([network.graph.output]):
        if node.op != "input":
            inputs = [values[tensor] for tensor in node.inputs]
            step = model.step(node)
            values[node.output] = step(*inputs) if step else inputs[0]
    np.testing.assert_allclose(
        np.asarray(values[network.graph.output]), model.predict(rows), atol=1e-5
    )


# What is told ---------------------------------------------------------------------------------


def measured(network: Trace, **others: Any) -> MeasuredProfile:
    """Return what a worker measures: a millisecond of each layer, four in all besides."""
    layers = [LayerSeconds(0.001, ("Conv",)) for _ in network.summary().rows]
    layers[0] = LayerSeconds(0.0)
    layers[2] = LayerSeconds(0.0, (), "LeNet/conv1")
    layers[-1] = LayerSeconds(None)
    profile = MeasuredProfile(
        engine="onnxruntime",
        precision="float32",
        device="cpu",
        runs=7,
        layers=tuple(layers),
        other=(KernelSeconds("ReorderOutput", 2, 0.003),),
        network_seconds=0.012,
    )
    return replace(profile, **others)


def test_shares_are_of_the_sum_and_operations_of_all_rows() -> None:
    network = traced()
    profile = describe(network, measured(network), rows=4, runs_asked=10)
    conv1, pool1, last = (profile["layers"][index] for index in (1, 2, -1))
    assert (conv1["name"], conv1["share"]) == ("LeNet/conv1", pytest.approx(0.1))
    assert conv1["gigaops_per_second"] == pytest.approx(4 * 2 * 627_200 / 0.001 / 1e9)
    assert (pool1["share"], pool1["computed_with"]) == (0.0, "LeNet/conv1")
    assert (last["seconds"], last["share"], last["gigaops_per_second"]) == (None, None, None)
    assert profile["other"][0]["share"] == pytest.approx(0.3)
    totals = profile["totals"]
    assert totals["seconds"] == pytest.approx(0.010)
    assert totals["network_seconds"] == 0.012
    assert totals["gigaops_per_second"] == pytest.approx(
        4 * 2 * totals["multiply_adds"] / 0.012 / 1e9
    )
    assert (profile["runs"], profile["runs_asked"]) == (7, 10)


def test_a_profile_is_a_table_with_how_it_was_measured_below() -> None:
    network = traced()
    text = as_text(describe(network, measured(network), rows=1, runs_asked=10))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "layer op output ms share multiply-adds Gop/s parameters"
    assert lines[3] == "LeNet/conv1 conv2d Nx28x28x32 1.000 10.0% 627,200 1.3 832"
    assert lines[4] == "LeNet/pool1 max_pool2d Nx14x14x32 fused 0 0"
    assert lines[-7:] == [
        "Predictions softmax Nx10 unused 0 0",
        "other: 2 ReorderOutput 3.000 30.0%",
        "",
        "onnxruntime, float32, cpu; by ONNX Runtime's profiler: kernels as they run, fused, on all "
        "cores.",
        "rows: 1; runs: 7 of 10; seconds are medians of runs.",
        "sum of the above: 10.000 ms",
        "the whole network: 12.000 ms",
    ]


def test_calls_are_told_where_layers_are_run_one_by_one() -> None:
    network = traced()
    found = measured(network, engine="tensorflow", call_seconds=0.0004, other=())
    text = as_text(describe(network, found, rows=1, runs_asked=7))
    assert "layer by layer, without fusion" in text
    assert (
        "of which to call a program: 0.400 ms each; a smaller layer takes less than shown"
    ) in text


def test_csv_has_a_line_for_each_layer_and_for_the_others() -> None:
    network = traced()
    profile = describe(network, measured(network), rows=1, runs_asked=7)
    lines = list(csv.DictReader(io.StringIO(as_csv(profile))))
    assert len(lines) == len(profile["layers"]) + 1
    assert lines[1]["output_shape"] == "Nx28x28x32"
    assert (lines[-1]["name"], lines[-1]["op"]) == ("other", "ReorderOutput")
    assert sum(float(line["share"] or 0) for line in lines) == pytest.approx(1)


# The route ------------------------------------------------------------------------------------


class ProfilingEngine(NoEngine):
    """Keeps the tasks that it is given."""

    def __init__(self) -> None:
        self.tasks: list[MeasureProfile] = []

    async def run(self, task: Any) -> Reply[Any]:
        self.tasks.append(task)
        return Reply(measured(traced()), (), {"profile": 0.1})


def test_what_computes_is_left_to_the_worker_unless_it_is_asked_for(
    make_client: Callable[..., TestClient],
) -> None:
    engine = ProfilingEngine()
    client = make_client(engine, precision="bfloat16", request_timeout_s=100)
    path = f"/v1/builds/{build(client)}/profile"
    assert client.get(path).json()["architecture"] == "lenet"
    assert client.get(f"{path}?engine=onnxruntime&rows=3&runs=2").status_code == 200
    assert [(task.engine, task.precision, task.rows, task.runs) for task in engine.tasks] == [
        ("auto", "bfloat16", 1, 10),
        ("onnxruntime", "float32", 3, 2),
    ]
    first = engine.tasks[0]
    assert (first.layers_left, first.network_left) == (50, 75)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("rows=0", "Query parameter rows: input should be greater than or equal to 1."),
        (
            "rows=33",
            "Query parameter rows: at most 32 of this build are computed at once (ZOO_MAX_BATCH).",
        ),
        ("runs=101", "Query parameter runs: input should be less than or equal to 100."),
        (
            "engine=onnx",
            "Query parameter engine does not accept 'onnx'. Valid: 'onnxruntime', 'tensorflow'.",
        ),
    ],
)
def test_a_profile_that_cannot_be_made_is_refused(
    client: TestClient, query: str, message: str
) -> None:
    body = problem(client.get(f"/v1/builds/{build(client)}/profile?{query}"))
    assert (body["type"], body["detail"]) == ("/docs#problem-invalid-query", message)


def test_a_batch_that_takes_too_much_memory_is_refused(
    make_client: Callable[..., TestClient],
) -> None:
    client = make_client(max_activation_bytes=300_000)
    body = problem(client.get(f"/v1/builds/{build(client)}/profile?rows=2"))
    assert body["detail"] == (
        "Query parameter rows: at most 1 of this build are computed at once "
        "(ZOO_MAX_ACTIVATION_BYTES)."
    )


class HeldEngine(ProfilingEngine):
    """Measures until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.measuring, self.released = threading.Event(), threading.Event()

    async def run(self, task: Any) -> Reply[Any]:
        self.measuring.set()
        await asyncio.to_thread(self.released.wait)
        return await super().run(task)


def test_one_profile_is_measured_at_a_time(make_client: Callable[..., TestClient]) -> None:
    engine = HeldEngine()
    client = make_client(engine)
    path = f"/v1/builds/{build(client)}/profile"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.get, path)
        assert engine.measuring.wait(10)
        response = client.get(path)
        engine.released.set()
        assert first.result().status_code == 200
    body = problem(response)
    assert (body["status"], body["detail"]) == (
        503,
        "Another profile or probe is being measured; only one runs at a time.",
    )
    assert response.headers["retry-after"] == "1"


def test_a_build_that_trains_has_no_profile(client: TestClient) -> None:
    body = problem(client.get(f"/v1/builds/{build(client, is_training=True)}/profile"))
    assert body["type"] == "/docs#problem-unprocessable"
