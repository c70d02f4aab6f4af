"""Real files whose names differ by a rule: imported, planned, and read, value by value."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf
from restoring import assert_same, golden, notes, suggested, values
from small import random_rows

from model_zoo import (
    BuildSpec,
    Checkpoint,
    CheckpointStore,
    NamedFile,
    WeightsError,
    import_checkpoint,
    materialize,
    trace,
)
from model_zoo.weights.files import write_weights
from model_zoo.weights.restore import BuildTensors

pytestmark = pytest.mark.heavy  # each file is read by a process of its own

OBJECTS = Path(__file__).parent / "objects"
SMALL: dict[str, Any] = {
    "architecture": "mobilenet_v1",
    "input_shape": [32, 32, 3],
    "params": {"depth_multiplier": 0.02, "min_depth": 4, "num_classes": 5},
}
LENET: dict[str, Any] = {"architecture": "lenet", "params": {"num_classes": 10}}
Arrays = Mapping[str, np.ndarray]


class Store:
    """A store of checkpoints as the library that a spec's ids are looked up in."""

    def __init__(self, home: Path) -> None:
        self.checkpoints = CheckpointStore(home)

    def checkpoint(self, checkpoint_id: str) -> Checkpoint:
        return self.checkpoints.get(checkpoint_id)

    def build(self, build_id: str) -> BuildSpec:
        raise WeightsError(f"There is no build {build_id}.")

    def take(self, *paths: Path) -> Checkpoint:
        files = [NamedFile(path.name, path) for path in paths]
        return import_checkpoint(self.checkpoints, files)[0]

    def restored(self, checkpoint: Checkpoint, spec: dict[str, Any], **fields: Any) -> BuildTensors:
        source = {"source": "checkpoint", "id": checkpoint.id, **fields}
        return BuildTensors(trace(BuildSpec.read({**spec, "weights": source})), self)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return golden(trace(BuildSpec.read(SMALL)))


def as_npz(path: Path, arrays: Arrays) -> list[Path]:
    np.savez(path / "m.npz", **arrays)
    return [path / "m.npz"]


def as_safetensors(path: Path, arrays: Arrays) -> list[Path]:
    contiguous = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    safetensors.numpy.save_file(contiguous, path / "m.safetensors")
    return [path / "m.safetensors"]


def as_hdf5(path: Path, arrays: Arrays) -> list[Path]:
    with h5py.File(path / "m.weights.h5", "w") as file:
        for name, value in arrays.items():
            file[name] = value
    return [path / "m.weights.h5"]


def as_v1(path: Path, arrays: Arrays) -> list[Path]:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {
            name: v1.get_variable(f"v{number}", initializer=value, use_resource=False)
            for number, (name, value) in enumerate(arrays.items())
        }
        session.run(v1.global_variables_initializer())
        v1.train.Saver(variables, write_version=v1.train.SaverDef.V1).save(
            session, str(path / "model.ckpt"), write_meta_graph=False, write_state=False
        )
    return [path / "model.ckpt"]


def as_v2(path: Path, arrays: Arrays) -> list[Path]:
    tf.raw_ops.SaveV2(
        prefix=str(path / "model.ckpt"),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(value) for value in arrays.values()],
    )
    return sorted(path.glob("model.ckpt.*"))


Write = Callable[[Path, Arrays], list[Path]]
FORMATS = [as_npz, as_safetensors, as_hdf5, as_v1, as_v2]


@pytest.mark.parametrize("write", FORMATS)
def test_endings_of_tensorflows_tensors_are_left_off_in_every_format(
    write: Write, store: Store, tmp_path: Path, arrays: Arrays
) -> None:
    held = {f"{name}:0": value for name, value in arrays.items()}
    taken = store.take(*write(tmp_path, {**held, "global_step:0": np.array(7, np.int64)}))
    assert taken.global_step == 7
    assert_same(values(store.restored(taken, SMALL)), arrays)


@pytest.mark.parametrize("write", FORMATS)
def test_a_prefix_is_removed_by_the_rename_that_is_suggested_in_every_format(
    write: Write, store: Store, tmp_path: Path, arrays: Arrays
) -> None:
    taken = store.take(*write(tmp_path, {f"model/{name}": arrays[name] for name in arrays}))
    plan = store.restored(taken, SMALL).plan
    assert suggested(plan) == ['"rename": {"model/*": "*"} would fill 137 more variables.']
    assert_same(values(store.restored(taken, SMALL, rename={"model/*": "*"})), arrays)


def test_an_object_based_checkpoint_restores_every_variable(store: Store) -> None:
    taken = store.take(*OBJECTS.iterdir())
    assert (taken.format, taken.global_step) == ("TensorFlow V2 checkpoint, object-based", None)
    tensors = store.restored(taken, SMALL)
    reader = tf.train.load_checkpoint(str(OBJECTS / "objects.ckpt"))
    restored = values(tensors)
    assert len(restored) == 137
    for name, value in restored.items():
        key = f"vars/{name.replace('/', '.S')}/.ATTRIBUTES/VARIABLE_VALUE"
        np.testing.assert_array_equal(value, reader.get_tensor(key), strict=True)
    assert tensors.plan.warnings == []


def test_a_checkpoint_of_a_keras_model_is_restored_by_one_rename(
    store: Store, tmp_path: Path
) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 5, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 5, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1024, activation="relu", name="fc3"),
            layers.Dense(10, name="fc4"),
        ],
        name="digits",
    )
    tf.train.Checkpoint(model=model).write(str(tmp_path / "model.ckpt"))
    taken = store.take(*tmp_path.glob("model.ckpt.*"))
    plan = store.restored(taken, LENET).plan
    assert suggested(plan) == ['"rename": {"digits/*": "LeNet/*"} would fill 8 more variables.']
    tensors = store.restored(taken, LENET, rename={"digits/*": "LeNet/*"})
    assert notes(tensors.plan) == [
        "4 names in the source end with 'kernel', which is 'weights' here.",
        "4 names in the source end with 'bias', which is 'biases' here.",
    ]
    source = {"source": "checkpoint", "id": taken.id, "rename": {"digits/*": "LeNet/*"}}
    network = materialize(trace(BuildSpec.read({**LENET, "weights": source})), store)
    rows = random_rows(2, (None, 28, 28, 1))
    np.testing.assert_allclose(
        network.predict(rows), model.predict_on_batch(rows), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    "spec", [SMALL, LENET, {"architecture": "inception_v1", "params": {"num_classes": 5}}]
)
def test_our_own_saved_model_is_restored_whole(
    spec: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    """What is large is a variable of the SavedModel, and what is small a constant."""
    model = materialize(trace(BuildSpec.read(spec)))
    model.assign(golden(trace(BuildSpec.read(spec))))
    model.global_step = 9
    write_weights(model, tmp_path / "m.savedmodel.tar.gz", "savedmodel")
    taken = store.take(tmp_path / "m.savedmodel.tar.gz")
    assert taken.global_step == 9
    tensors = store.restored(taken, spec)
    assert_same(values(tensors), model.weights())
    assert tensors.plan.warnings == []
