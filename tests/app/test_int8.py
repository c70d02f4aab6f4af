"""Networks in int8, as the worker makes them: close to float32 on rows that calibrated nothing."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from small import family_spec
from zoo_server import image_bytes

from app.arrays import OUTPUT, Array, relative_difference
from app.compute.messages import Load
from app.compute.worker.runtimes import loading as loading_module
from app.compute.worker.runtimes.int8 import calibrating, check_int8, compare, held_out
from app.compute.worker.runtimes.loading import load
from app.compute.worker.runtimes.onnx_int8 import quantized
from app.compute.worker.runtimes.onnx_runtime import OnnxRuntime
from app.compute.worker.worker_tasks import WorkerTasks
from app.engine import RuntimeName
from app.settings import Settings
from app.store.sources import WeightSources
from app.tasks import Specs
from model_zoo import BuildSpec, CheckpointStore, Trace, ZooError, decode_image, preprocess, trace

OPTIONS: Any = {"device": "cpu", "engine": "onnxruntime", "precision": "int8", "known": None}


@pytest.fixture
def sources(tmp_path: Path) -> WeightSources:
    return WeightSources(CheckpointStore(tmp_path), {}.get)


def traced_build(name: str, **wire: Any) -> Trace:
    return trace(BuildSpec.read(family_spec(name, **wire)))


def pictures(traced: Trace, count: int = 16) -> list[Array]:
    """Return parts of a picture as the network takes them."""
    shape = traced.spec.input_shape
    picture = decode_image(image_bytes("PNG", (120, 120)), max_pixels=10**6, channels=shape[-1])
    parts = (picture[start : start + 60, -60 - start :][:, :60] for start in range(count))
    return [
        preprocess(traced.architecture.preprocessing, np.ascontiguousarray(part), shape)
        for part in parts
    ]


# With a residual sum, branches that are joined, squeeze and excitation, and only dense layers.
@pytest.mark.parametrize(
    "name", ["lenet", "mobilenet_v1_025", "mobilenet_v3_small", "inception_v1", "resnet_v1_50"]
)
def test_the_output_and_the_end_points_are_close_to_float32(
    name: str, sources: WeightSources
) -> None:
    traced = traced_build(name)
    rows = pictures(traced)
    ends = tuple(traced.graph.end_points)
    names = (OUTPUT, *dict.fromkeys((ends[0], ends[len(ends) // 2])))
    int8, float32 = OnnxRuntime(traced, sources, rows), OnnxRuntime(traced, sources)
    held = np.stack([*held_out(rows)])
    for output, one, other in zip(
        names, int8.run(held, names), float32.run(held, names), strict=True
    ):
        assert (one.shape, one.dtype) == (other.shape, np.float32), output
        assert 0 < relative_difference(one, other) < 0.1, output


def test_every_fourth_row_is_held_out() -> None:
    rows = [np.full((1,), index, np.float32) for index in range(18)]
    assert [int(row[0]) for row in held_out(rows)] == [3, 7, 11, 15]
    assert [int(row[0]) for row in calibrating(rows)] == [
        *(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 16, 17)
    ]


def test_rows_that_are_held_out_do_not_calibrate(sources: WeightSources) -> None:
    traced = traced_build("lenet")
    rows = pictures(traced)
    others = [row if (index + 1) % 4 else 100 * row for index, row in enumerate(rows)]
    answers = [
        OnnxRuntime(traced, sources, each).run(np.stack(rows), (OUTPUT,))
        for each in (rows, others, [100 * row for row in rows])
    ]
    np.testing.assert_array_equal(answers[0][0], answers[1][0])
    assert relative_difference(answers[2][0], answers[0][0]) > 0.01, "the test cannot see a fault"


def test_a_load_tells_what_int8_changes_and_gains(
    monkeypatch: pytest.MonkeyPatch, sources: WeightSources
) -> None:
    traced = traced_build("mobilenet_v1_025")
    rows = pictures(traced, 18)
    # The times of a row, in turns: the least of each counts.
    times = iter([0.004, 0.011, 0.003, 0.010, 0.002, 0.012])
    monkeypatch.setattr(loading_module, "_seconds_per_row", lambda *_: next(times))
    state = load(traced, sources, Settings(batch_rows=2), **OPTIONS, calibration=rows).state
    found = state.quantization
    assert found is not None
    assert (state.engine, state.precision) == ("onnxruntime", "int8")
    assert (found.calibration_rows, found.held_out_rows) == (14, 4)
    assert (found.seconds, found.float32_seconds, found.gain) == (0.002, 0.010, 5)
    held = np.stack([*held_out(rows)])
    one, other = (
        np.concatenate([runtime.run(row[np.newaxis], (OUTPUT,))[0] for row in held])
        for runtime in (OnnxRuntime(traced, sources, rows), OnnxRuntime(traced, sources))
    )
    assert found.largest_difference == pytest.approx(np.abs(one - other).max(), rel=1e-3)
    assert state.difference == pytest.approx(relative_difference(one, other), rel=1e-3)
    assert found.agreement == np.mean(one.argmax(-1) == other.argmax(-1))


class Fixed:
    """A runtime that answers rows as it is told."""

    name: RuntimeName = "onnxruntime"
    lanes = 1
    lane_seconds = 0.0

    def __init__(self, answers: Sequence[Sequence[float]]) -> None:
        self._answers = iter(answers)

    def run(self, rows: Any, outputs: Any, *, is_alone: bool = True) -> list[Any]:
        return [np.array([next(self._answers)], np.float32)]


def compared(one: Sequence[Sequence[float]], has_classes: bool = True) -> Any:
    return compare(
        Fixed(one),
        Fixed([[0, 1], [2, -4]]),
        [np.zeros(1, np.float32)] * 8,
        most_rows=8,
        has_classes=has_classes,
        seconds_per_row=lambda *_: 1.0,
    )


def test_the_largest_difference_of_any_row_counts_and_the_share_that_agrees() -> None:
    found, difference = compared([[0.5, 1], [-1, 1]])
    assert (found.largest_difference, difference, found.agreement) == (5, 1.25, 0.5)


def test_what_is_not_a_number_is_no_small_difference() -> None:
    found, difference = compared([[np.nan, 1], [2, -4]])
    assert np.isnan([found.largest_difference, difference]).all()


def test_a_network_without_classes_has_no_agreement() -> None:
    assert compared([[0, 1], [2, -4]], has_classes=False)[0].agreement is None


def test_what_was_found_before_is_not_measured_again(
    monkeypatch: pytest.MonkeyPatch, sources: WeightSources
) -> None:
    traced = traced_build("lenet")
    rows = pictures(traced)
    first = load(traced, sources, Settings(batch_rows=1), **OPTIONS, calibration=rows).state
    monkeypatch.setattr(loading_module, "compare", None)
    known = {**OPTIONS, "known": first}
    again = load(traced, sources, Settings(batch_rows=1), **known, calibration=rows).state
    assert (again.quantization, again.difference) == (first.quantization, first.difference)


def test_nothing_is_printed_and_no_file_is_left(
    sources: WeightSources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))  # so that a temporary file fails
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    traced = traced_build("mobilenet_v1_025")
    OnnxRuntime(traced, sources, pictures(traced))
    assert sorted(tmp_path.iterdir()) == before
    assert capfd.readouterr() == ("", "")


def one_node(op: str, **attributes: Any) -> onnx.ModelProto:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, ["input"], ["output"], **attributes)],
        "model",
        [value("input", onnx.TensorProto.FLOAT, ["N", 4, 4, 1])],
        [value("output", onnx.TensorProto.FLOAT, ["N", 4, 4, 1])],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def test_what_multiplies_nothing_is_refused() -> None:
    with pytest.raises(ZooError) as refused:
        quantized(one_node("Relu"), {}, [np.zeros((4, 4, 1), np.float32)])
    assert str(refused.value) == (
        "precision int8 is for convolutions and fully connected layers; what this computes has "
        "none. Use float32."
    )


def test_activations_that_overflow_are_refused(sources: WeightSources) -> None:
    traced = traced_build("lenet")
    rows = [np.full((28, 28, 1), 3e38, np.float32)] * 16
    with pytest.raises(ZooError) as refused:
        OnnxRuntime(traced, sources, rows)
    assert str(refused.value) == (
        "precision int8 needs finite activations; those of this network overflow on the "
        "calibration rows. Use float32."
    )


def test_a_gpu_computes_no_int8() -> None:
    check_int8("cpu")
    with pytest.raises(ZooError) as refused:
        check_int8("gpu")
    assert str(refused.value) == (
        "precision int8 is computed on CPUs; this service computes on a GPU. Use float32 or "
        "bfloat16."
    )


def test_rows_that_are_gone_are_told(tmp_path: Path) -> None:
    CheckpointStore(tmp_path)
    arena = os.memfd_create("arena")
    os.ftruncate(arena, 4096)
    tasks = WorkerTasks(Settings(home=tmp_path), arena=arena, device="cpu")
    os.close(arena)
    spec = BuildSpec.read({"architecture": "lenet"}).normalized()
    task = Load("model", Specs.of(spec, {}), "onnxruntime", "int8", None, "0" * 64)
    with pytest.raises(ZooError) as refused:
        tasks.run(task)
    assert str(refused.value) == (
        "The rows that calibrate this version in int8 are gone: "
        f"calibrations/{'0' * 64}.npy of ZOO_HOME. Delete the version, and PUT it with its "
        "calibration again."
    )
