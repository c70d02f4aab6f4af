"""Saving a build's weights: the same bytes as from its Keras model, without making one."""

import subprocess
import sys
from pathlib import Path

import pytest

import model_zoo
from model_zoo.weights.files import FORMATS, ArrayFormat

ARRAYS = [name for name, kind in FORMATS.items() if isinstance(kind, ArrayFormat)]
SPEC = {
    "architecture": "mobilenet_v1",
    "params": {"num_classes": 3, "depth_multiplier": 0.25},
    "input_shape": [32, 32, 3],
    "weights": {"seed": 5},
}


def test_formats_of_arrays_are_four() -> None:
    assert ARRAYS == ["npz", "safetensors", "checkpoint", "onnx"]


@pytest.mark.parametrize("name", ["npz", "safetensors", "onnx"])
def test_arrays_are_saved_without_keras_and_tensorflow(name: str, tmp_path: Path) -> None:
    assert loaded_modules(name, tmp_path) & {"keras", "tensorflow", "model_zoo.lowering"} == set()


def test_checkpoint_is_saved_without_a_keras_model(tmp_path: Path) -> None:
    """TensorFlow writes it, and imports Keras by itself; the lowering to Keras stays out."""
    loaded = loaded_modules("checkpoint", tmp_path)
    assert "tensorflow" in loaded
    assert "model_zoo.lowering" not in loaded


def loaded_modules(format_name: str, folder: Path) -> set[str]:
    """Return what a process of its own has imported once it has saved weights."""
    code = (
        "import sys, pathlib, model_zoo\n"
        "spec = model_zoo.BuildSpec.read({'architecture': 'lenet'})\n"
        "path = pathlib.Path(sys.argv[2])\n"
        "model_zoo.save_weights(model_zoo.trace(spec), None, path, sys.argv[1])\n"
        "assert path.stat().st_size > 10**6\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, format_name, str(folder / "weights")],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_bytes_are_those_of_the_keras_model(tmp_path: Path) -> None:
    traced = model_zoo.trace(model_zoo.BuildSpec.read(SPEC))
    model = model_zoo.materialize(traced)
    for name in FORMATS:
        model_zoo.save_weights(traced, None, tmp_path / "own", name)
        model.save(tmp_path / "of the model", name)
        assert (tmp_path / "own").read_bytes() == (tmp_path / "of the model").read_bytes(), name


def test_unknown_format_is_refused_before_weights_are_made() -> None:
    traced = model_zoo.trace(model_zoo.BuildSpec.read(SPEC))
    with pytest.raises(model_zoo.WeightsError) as caught:
        model_zoo.weight_writer(traced, None, "npzz")
    assert str(caught.value) == (
        "'npzz' is not a format that weights are written in. Did you mean 'npz'?"
    )
