"""Files for Keras: each is opened by Keras alone and predicts the same; no times, no addresses."""

import json
import re
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from small import random_rows, small_spec

from model_zoo import BuildSpec, Model, materialize, trace
from model_zoo.verify import golden_value
from model_zoo.weights.files import write_weights

# Operations that are no layers, and so have no names of their own.
BARE = {
    **small_spec("cifarnet"),
    "scopes": [
        {
            "ops": ["conv2d"],
            "args": {
                "normalizer_fn": "group_norm",
                "normalizer_params": {"groups": 8, "reduction_axes": [-3]},
                "activation_fn": {"name": "gelu", "approximate": True},
            },
        }
    ],
}
SPECS = [small_spec("lenet"), small_spec("mobilenet_v1_025"), BARE]


def built(wire: dict[str, Any]) -> Model:
    model = materialize(trace(BuildSpec.read(wire)))
    model.assign({variable.name: golden_value(variable) for variable in model.graph.variables})
    return model


def assert_predicts(keras_model: Any, model: Model) -> None:
    x = random_rows(2, model.graph.input.shape)
    expected = model.predict(x)
    found = keras_model.predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("wire", SPECS, ids=lambda wire: wire["architecture"])
def test_keras_loads_each_format_and_predicts_the_same(
    wire: dict[str, Any], tmp_path: Path
) -> None:
    import keras

    model = built(wire)
    write_weights(model, tmp_path / "model.keras", "keras")
    assert_predicts(keras.saving.load_model(tmp_path / "model.keras"), model)
    write_weights(model, tmp_path / "model.weights.h5", "weights.h5")
    other = materialize(trace(BuildSpec.read(wire)))
    other.keras_model.load_weights(tmp_path / "model.weights.h5")
    assert_predicts(other.keras_model, model)


def test_keras_file_keeps_no_times_and_no_addresses(tmp_path: Path) -> None:
    path = tmp_path / "weights.keras"
    write_weights(built(small_spec("lenet")), path, "keras")
    with zipfile.ZipFile(path) as archive:
        assert set(json.loads(archive.read("metadata.json"))) == {"keras_version"}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        config = archive.read("config.json").decode()
    # All layers share one dtype policy.
    assert set(re.findall(r'"shared_object_id": (\d+)', config)) == {"1"}


def test_operations_without_names_are_numbered_within_the_model(tmp_path: Path) -> None:
    write_weights(built(BARE), tmp_path / "weights.keras", "keras")
    with zipfile.ZipFile(tmp_path / "weights.keras") as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    named = {"input", *(layer["name"] for layer in layers if layer["name"].startswith("CifarNet."))}
    bare = [layer["name"] for layer in layers if layer["name"] not in named]
    assert bare == [f"operation.{number}" for number in range(1, 17)]
    assert [layer["config"]["name"] for layer in layers] == [layer["name"] for layer in layers]


def test_hdf5_holds_the_keras_model_s_variables_and_no_times(tmp_path: Path) -> None:
    model = built(small_spec("lenet"))
    start = int(time.time())
    write_weights(model, tmp_path / "weights.h5", "weights.h5")
    data = (tmp_path / "weights.h5").read_bytes()
    # HDF5 keeps the seconds since 1970 in 32 bits.
    for second in range(start, int(time.time()) + 1):
        assert struct.pack("<I", second) not in data
    shapes = []
    with h5py.File(tmp_path / "weights.h5") as file:
        file.visititems(lambda _, item: shapes.append(getattr(item, "shape", None)))
    found = sorted(shape for shape in shapes if shape is not None)
    assert found == sorted(tuple(variable.shape) for variable in model.keras_model.weights)
