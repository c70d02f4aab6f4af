"""What computes in the worker: both engines agree, on the output and on every end point."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import family_spec, random_rows

from app.arrays import AGREEMENT, OUTPUT, relative_difference
from app.compute.worker.runtimes import loading as loading_module
from app.compute.worker.runtimes.keras_runtime import KerasRuntime
from app.compute.worker.runtimes.loading import check_bfloat16, load, measure, warm_up
from app.compute.worker.runtimes.onnx_runtime import OnnxRuntime
from app.engine import ModelState
from app.settings import Settings
from app.store.sources import WeightSources
from model_zoo import BuildSpec, CheckpointStore, Trace, ZooError, materialize, trace


@pytest.fixture
def sources(tmp_path: Path) -> WeightSources:
    return WeightSources(CheckpointStore(tmp_path), {}.get)


def traced_build(name: str, **wire: Any) -> Trace:
    return trace(BuildSpec.read(family_spec(name, **wire)))


# Each primitive's ONNX is compared elsewhere; here it is what the engine makes of the whole.
@pytest.mark.parametrize("name", ["lenet", "mobilenet_v3_small", "inception_v1", "i3d"])
def test_onnx_runtime_computes_what_keras_does(name: str, sources: WeightSources) -> None:
    traced = traced_build(name)
    ends = tuple(traced.graph.end_points)
    names = (OUTPUT, *dict.fromkeys((ends[0], ends[len(ends) // 2])))
    rows = random_rows(3, traced.graph.input.shape)
    model = materialize(traced, sources)
    expected = [model.predict(rows), *model.predict_end_points(rows, names[1:]).values()]
    for output, one, other in zip(
        names, expected, OnnxRuntime(traced, sources).run(rows, names), strict=True
    ):
        assert other.shape == one.shape, output
        assert other.dtype == np.float32
        assert relative_difference(other, one) < AGREEMENT, output


def test_the_frozen_network_computes_what_keras_does(sources: WeightSources) -> None:
    traced = traced_build("mobilenet_v3_small")
    rows = random_rows(2, traced.graph.input.shape)
    names = (OUTPUT, "layer_2")
    model = materialize(traced, sources)
    expected = [model.predict(rows), *model.predict_end_points(rows, ["layer_2"]).values()]
    arrays = KerasRuntime(traced, sources).run(rows, names)
    for one, other in zip(expected, arrays, strict=True):
        assert relative_difference(other, one) < 1e-6


def test_xla_fills_a_batch_up_and_answers_for_its_own_rows(sources: WeightSources) -> None:
    traced = traced_build("lenet")
    rows = random_rows(3, traced.graph.input.shape)
    plain, compiled = KerasRuntime(traced, sources), KerasRuntime(traced, sources, xla=True)
    (one,), (other,) = plain.run(rows, (OUTPUT,)), compiled.run(rows, (OUTPUT,))
    assert other.shape == one.shape
    assert relative_difference(other, one) < AGREEMENT


def test_a_row_is_the_same_in_every_batch(sources: WeightSources) -> None:
    traced = traced_build("mobilenet_v1_025")
    runtime = OnnxRuntime(traced, sources)
    rows = random_rows(7, traced.graph.input.shape)
    runtime.lanes = 2  # whatever is faster here
    (together,) = runtime.run(rows, (OUTPUT,))
    (in_a_lane,) = runtime.run(rows, (OUTPUT,), is_alone=False)
    assert relative_difference(in_a_lane, together) < 1e-5
    for index in range(len(rows)):
        (alone,) = runtime.run(rows[index : index + 1], (OUTPUT,))
        assert relative_difference(together[index : index + 1], alone) < 1e-5


NORMALIZED = [{"ops": ["conv2d", "fully_connected"], "args": {"normalizer_fn": "batch_norm"}}]


@pytest.mark.parametrize("xla", [False, True])
def test_rows_that_change_each_other_are_computed_together(
    sources: WeightSources, xla: bool
) -> None:
    """Not in lanes, not padded, not in parts: of 7 rows, each would change the others."""
    traced = traced_build("lenet", scopes=NORMALIZED)
    rows = random_rows(7, traced.graph.input.shape)
    expected = materialize(traced, sources).predict(rows)
    for runtime in (OnnxRuntime(traced, sources), KerasRuntime(traced, sources, xla=xla)):
        runtime.choose_lanes()
        (together,) = runtime.run(rows, (OUTPUT,))
        assert relative_difference(together, expected) < 1e-3, runtime.name
        (apart,) = runtime.run(rows[:6], (OUTPUT,))
        assert relative_difference(apart, expected[:6]) > 1e-2, "the test cannot see a fault"


def test_a_request_larger_than_a_batch_is_divided_only_if_its_rows_are_independent(
    sources: WeightSources,
) -> None:
    options: Any = {"device": "cpu", "engine": "onnxruntime", "precision": "float32", "known": None}
    rows = random_rows(10, (None, 28, 28, 1))
    for scopes, sizes in (([], [4, 4, 2]), (NORMALIZED, [10])):
        traced = traced_build("lenet", scopes=scopes)
        settings = Settings(batch_rows=4)
        cold = load(traced, sources, settings, **options)
        loaded = warm_up(cold, settings)
        assert (cold.state.warmed, loaded.state.warmed) == ((), (1, 2, 4))
        assert [len(part) for part in cold.parts(rows)] == (sizes if scopes else [1] * 10)
        assert [len(part) for part in loaded.parts(rows)] == sizes


def test_engines_are_compared_on_several_rows_if_they_change_each_other(
    sources: WeightSources,
) -> None:
    options: Any = {"device": "cpu", "engine": "onnxruntime", "precision": "float32", "known": None}
    training = [{"ops": ["batch_norm"], "args": {"is_training": True}, "force": True}]
    settings = Settings(batch_rows=2)
    for scopes, rows in (([], 1), (training, 2)):
        loaded = load(traced_build("s3dg", scopes=scopes), sources, settings, **options)
        seconds, output = measure(loaded, settings)
        assert len(output) == rows
        assert seconds > 0


class Fixed:
    """A runtime that computes nothing, in lanes."""

    name = "onnxruntime"
    lanes = 1
    lane_seconds = 0.004

    def choose_lanes(self) -> None:
        self.lanes = 2

    def run(self, rows: Any, outputs: Any, *, is_alone: bool = True) -> list[Any]:
        return [np.zeros((len(rows), 2), np.float32)]


def test_a_network_computes_single_rows_until_it_is_warmed_up(
    monkeypatch: pytest.MonkeyPatch, sources: WeightSources
) -> None:
    monkeypatch.setattr(loading_module, "make_runtime", lambda *_: Fixed())
    options: Any = {"device": "cpu", "engine": "onnxruntime", "precision": "float32", "known": None}
    cold = load(traced_build("s3dg"), sources, Settings(), **options)
    assert (cold.state.lanes, cold.state.batch_rows) == (1, 1)
    state = warm_up(cold, Settings()).state
    assert state.warmed == (1, 2, 4, 8)
    assert (state.lanes, state.batch_rows) == (2, 2)  # as many as take a few milliseconds


def test_what_an_earlier_load_measured_is_kept(
    monkeypatch: pytest.MonkeyPatch, sources: WeightSources
) -> None:
    monkeypatch.setattr(loading_module, "make_runtime", lambda *_: Fixed())
    known = ModelState(
        "ready", engine="onnxruntime", measured={"onnxruntime": 3.0}, difference=1e-7
    )
    options: Any = {"device": "cpu", "engine": "onnxruntime", "precision": "float32"}
    state = load(traced_build("s3dg"), sources, Settings(), known=known, **options).state
    names = ("engine", "measured", "difference")
    assert [getattr(state, name) for name in names] == [getattr(known, name) for name in names]


def test_bfloat16_tells_how_far_it_is_from_float32(
    monkeypatch: pytest.MonkeyPatch, sources: WeightSources
) -> None:
    # Where the processor lacks it, it is only slow.
    monkeypatch.setattr(loading_module, "check_bfloat16", lambda *_: None)
    state = load(
        traced_build("mobilenet_v1_025"),
        sources,
        Settings(),
        device="cpu",
        engine="auto",
        precision="bfloat16",
        known=None,
    ).state
    assert (state.engine, state.precision) == ("tensorflow", "bfloat16")
    assert 1e-4 < state.difference < 0.1


def test_bfloat16_is_refused_where_it_would_only_be_slower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_kwargs: "flags: sse avx2 fma")
    with pytest.raises(ZooError) as refusal:
        check_bfloat16("cpu", "auto")
    assert str(refusal.value) == (
        "precision bfloat16 needs a CPU with avx512_bf16 or amx_bf16; this one has neither, so "
        "it would be slower than float32. Use float32 (ZOO_PRECISION)."
    )
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_kwargs: "flags: avx512_bf16")
    check_bfloat16("cpu", "auto")
    with pytest.raises(ZooError, match="ONNX Runtime computes float32"):
        check_bfloat16("cpu", "onnxruntime")
