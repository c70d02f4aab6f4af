"""Every family's weights in every format: each consumer predicts what the model predicts.

Small builds of one network a family, some of which end early, with weights as golden records have.
"""

import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import FAMILIES, family_spec, random_rows

import model_zoo
from model_zoo import (
    BuildSpec,
    CheckpointStore,
    ImportLimits,
    Model,
    NamedFile,
    Trace,
    import_checkpoint,
    materialize,
    trace,
)
from model_zoo.verify import golden_value
from model_zoo.weights.files import FORMATS
from model_zoo.weights.restore import BuildTensors

pytestmark = pytest.mark.long

# The weights alone, which come in again.
IMPORTED = ("npz", "safetensors", "weights.h5", "checkpoint")


def unpacked(path: Path) -> Path:
    """Return the folder of a tar.gz of ours, unpacked beside it."""
    with tarfile.open(path) as archive:
        archive.extractall(path.parent, filter="data")
    return path.parent


def by_name(model: Model, weights: Mapping[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """Predict with weights that were read back by TF-Slim's names."""
    # All are there and of their shapes: `assign` of those that came says nothing of the others.
    assert weights.keys() == model.weights().keys()
    model.assign(weights)
    return model.predict(x)


def with_numpy(path: Path, model: Model, x: np.ndarray) -> np.ndarray:
    with np.load(path, allow_pickle=False) as read:
        return by_name(model, dict(read), x)


def with_safetensors(path: Path, model: Model, x: np.ndarray) -> np.ndarray:
    import safetensors.numpy

    return by_name(model, safetensors.numpy.load_file(path), x)


def with_keras(path: Path, _model: Model, x: np.ndarray) -> np.ndarray:
    import keras

    return np.asarray(keras.saving.load_model(path)(x, training=False))


def with_load_weights(path: Path, model: Model, x: np.ndarray) -> np.ndarray:
    model.keras_model.load_weights(path)
    return model.predict(x)


def with_saved_model(path: Path, _model: Model, x: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    serving = tf.saved_model.load(str(unpacked(path) / "saved_model")).signatures["serving_default"]
    return np.asarray(serving(input=tf.constant(x))["output"])


def with_load_checkpoint(path: Path, model: Model, x: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(unpacked(path))))
    names = set(reader.get_variable_to_shape_map()) - {"global_step"}
    return by_name(model, {name: reader.get_tensor(name) for name in names}, x)


def with_onnx_runtime(path: Path, _model: Model, x: np.ndarray) -> np.ndarray:
    import onnx
    import onnxruntime

    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["output"], {"input": x})[0])


CONSUMERS: Mapping[str, Callable[[Path, Model, np.ndarray], np.ndarray]] = {
    "npz": with_numpy,
    "safetensors": with_safetensors,
    "keras": with_keras,
    "weights.h5": with_load_weights,
    "savedmodel": with_saved_model,
    "checkpoint": with_load_checkpoint,
    "onnx": with_onnx_runtime,
}


def test_every_family_and_every_format_is_there() -> None:
    modules = {
        name: model_zoo.find_architecture(name).network.__module__
        for name in model_zoo.list_architectures()
    }
    assert {modules[name] for name in FAMILIES} == {
        module for module in modules.values() if module.startswith("model_zoo.")
    }
    assert CONSUMERS.keys() == FORMATS.keys()


def restored(build: Trace, path: Path, store: CheckpointStore) -> dict[str, np.ndarray]:
    """Return the build's weights as they come in again from a file."""
    files = [NamedFile(path.name, path)]
    checkpoint, _ = import_checkpoint(store, files, limits=ImportLimits())
    # Keras's files lack what does not lead to the output, and that stays random.
    source = {"source": "checkpoint", "id": checkpoint.id, "policy": "skip_mismatch"}
    spec = BuildSpec.read({**build.spec.normalized(), "weights": source})
    tensors = BuildTensors(trace(spec), _Library(store))
    return {name: tensors.read(name) for name in tensors.tensors}


class _Library:
    def __init__(self, store: CheckpointStore) -> None:
        self.checkpoint = store.get

    def build(self, build_id: str) -> BuildSpec:
        raise AssertionError(build_id)


@pytest.mark.parametrize("name", FAMILIES)
def test_each_consumer_predicts_the_same_and_weights_come_in_again(
    name: str, tmp_path: Path
) -> None:
    build = trace(BuildSpec.read(family_spec(name)))
    model = materialize(build)
    zeros = {
        variable.name: np.zeros(variable.shape, np.float32) for variable in build.graph.variables
    }
    weights = {variable.name: golden_value(variable) for variable in build.graph.variables}
    model.assign(weights)
    x = random_rows(2, build.graph.input.shape)
    expected = model.predict(x)
    scale = np.abs(expected).max()
    store = CheckpointStore(tmp_path)
    differences: dict[str, Any] = {}
    for number, (format_name, consume) in enumerate(CONSUMERS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / f"model{FORMATS[format_name].suffix}"
        model.assign(weights)
        model.save(path, format_name)
        model.assign(zeros)  # so that nothing is found but what was read
        differences[format_name] = np.abs(consume(path, model, x) - expected).max() / scale
        if format_name in IMPORTED:
            model.assign(restored(build, path, store))
            again = folder / "again"
            model.save(again, format_name)
            assert again.read_bytes() == path.read_bytes(), format_name
        for file in folder.rglob("*"):
            if file.is_file():
                file.unlink()
    assert all(
        difference <= (1e-4 if format_name == "onnx" else 1e-5)
        for format_name, difference in differences.items()
    ), differences
