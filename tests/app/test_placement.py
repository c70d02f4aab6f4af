"""Which engine, and so which process, computes what."""

import subprocess
import sys
from typing import Any

import pytest
from zoo_server import ROOT

from app.compute.placement import Placement
from app.engine import DeviceName, ModelRef, RuntimeName
from app.tasks import MeasureProfile, MeasureSignal, SaveWeights, Specs
from model_zoo import WEIGHT_FORMATS, Problem, WeightsError, ZooError

SPECS = Specs.of({}, {})
NO_FORM = ZooError("no form in ONNX")


def ref(**options: Any) -> ModelRef:
    return ModelRef("a", {}, {}, **options)


def profile(**options: Any) -> MeasureProfile:
    options = {"engine": "auto", "precision": "float32", **options}
    return MeasureProfile(
        "a-auto-float32", SPECS, rows=1, runs=1, layers_left=0, network_left=0, **options
    )


@pytest.mark.parametrize(
    ("model", "device", "engine", "may_try"),
    [
        (ref(), "cpu", "onnxruntime", False),
        (ref(), "gpu", "tensorflow", False),
        (ref(engine="onnxruntime"), "gpu", "onnxruntime", False),
        (ref(engine="tensorflow"), "cpu", "tensorflow", False),
        (ref(precision="bfloat16"), "cpu", "tensorflow", False),
        (ref(may_gain_by_tensorflow=True), "cpu", "onnxruntime", True),
        (ref(may_gain_by_tensorflow=True), "gpu", "tensorflow", False),
        (ref(may_gain_by_tensorflow=True, precision="bfloat16"), "cpu", "tensorflow", False),
        (ref(engine="onnxruntime", may_gain_by_tensorflow=True), "cpu", "onnxruntime", False),
    ],
)
def test_a_model_is_placed_by_its_options_and_the_device(
    model: ModelRef, device: DeviceName, engine: str, may_try: bool
) -> None:
    placement = Placement()
    assert placement.engine(model, device) == engine
    assert placement.may_try_tensorflow(model, device) is may_try


@pytest.mark.parametrize("engine", ["onnxruntime", "tensorflow"])
def test_a_model_that_was_tried_is_not_tried_again(engine: RuntimeName) -> None:
    placement, model = Placement(), ref(may_gain_by_tensorflow=True)
    placement.decide(model, engine)
    assert placement.engine(model, "cpu") == engine
    assert not placement.may_try_tensorflow(model, "cpu")


def test_a_network_without_a_form_in_onnx_is_tensorflow_s_from_then_on() -> None:
    placement = Placement()
    assert placement.learns(ref(), "cpu", NO_FORM)
    assert placement.engine(ref(), "cpu") == "tensorflow"
    assert placement.with_engine(profile(), "cpu").engine == "tensorflow"
    assert not placement.learns(ref(), "cpu", NO_FORM)  # TensorFlow has failed, too
    assert placement.learns(profile(engine="auto"), "cpu", NO_FORM) is False


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (ref(engine="onnxruntime"), NO_FORM),
        (ref(), WeightsError(Problem("the checkpoint is gone"))),
        (SaveWeights("a", SPECS, "onnx", {}, ""), NO_FORM),
    ],
)
def test_other_failures_are_no_reason_to_try_tensorflow(asked: object, error: ZooError) -> None:
    placement = Placement()
    assert not placement.learns(asked, "cpu", error)
    assert placement.engine(ref(), "cpu") == "onnxruntime"


def test_tasks_are_placed_by_what_they_import() -> None:
    placement = Placement()
    probe = MeasureSignal(SPECS, None, False, 1, 0, False, (), 0)
    assert placement.of_task(probe, "cpu") == "tensorflow"
    assert placement.of_task(profile(), "cpu") == "onnxruntime"
    assert placement.of_task(profile(precision="bfloat16"), "cpu") == "tensorflow"
    assert placement.of_task(profile(engine="tensorflow"), "cpu") == "tensorflow"
    needing = {
        name
        for name in WEIGHT_FORMATS
        if placement.of_task(SaveWeights("a", SPECS, name, {}, ""), "cpu") == "tensorflow"
    }
    assert needing == {"keras", "weights.h5", "savedmodel", "checkpoint"}


@pytest.mark.heavy
@pytest.mark.parametrize("name", WEIGHT_FORMATS)
def test_only_formats_that_need_tensorflow_import_it(name: str) -> None:
    code = f"""
import sys, tempfile
from pathlib import Path
from app.store.sources import WeightSources
from model_zoo import BuildSpec, CheckpointStore, trace, weight_writer

home = Path(tempfile.mkdtemp())
library = WeightSources(CheckpointStore(home), {{}}.get)
traced = trace(BuildSpec.stored({{"architecture": "lenet"}}))
weight_writer(traced, library, {name!r}, {{}})(home / "weights")
print("tensorflow" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{WEIGHT_FORMATS[name].needs_tensorflow}\n", done.stderr
