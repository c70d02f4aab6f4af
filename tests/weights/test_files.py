"""Files of weights: what each format holds, same bytes for same weights, refusals."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from model_zoo.errors import WeightsError
from model_zoo.weights.files import FORMATS, write_weights

WEIGHTS = {
    "Net/Conv/weights": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "Net/Conv/biases": np.ones(4, np.float32),
    "Net/step": np.array(7, np.int64),
}


class Model:
    """A stand-in: arrays by name, and a small Keras model that is made on request."""

    def __init__(self, weights: dict[str, np.ndarray] | None = None) -> None:
        self._weights = WEIGHTS if weights is None else weights

    def weights(self) -> dict[str, np.ndarray]:
        return dict(self._weights)

    @property
    def keras_model(self) -> Any:
        return keras_model()


def keras_model() -> Any:
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3), name="input"),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, name="dense"),
        ],
        name="net",
    )
    model.set_weights([np.full(weight.shape, 0.5) for weight in model.get_weights()])
    return model


@pytest.mark.parametrize("name", FORMATS)
def test_suffix_and_name_agree(name: str) -> None:
    assert FORMATS[name].name == name
    assert FORMATS[name].suffix == f".{name}"
    assert FORMATS[name].description.endswith(".")


def test_npz_holds_the_arrays_by_name_without_pickle(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    write_weights(Model(), path, "npz")
    with np.load(path, allow_pickle=False) as read:
        assert set(read) == set(WEIGHTS)
        for name, value in WEIGHTS.items():
            assert read[name].dtype == value.dtype
            np.testing.assert_array_equal(read[name], value, strict=True)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == sorted(f"{name}.npy" for name in WEIGHTS)
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_safetensors_holds_the_arrays_by_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_weights(Model(), path, "safetensors")
    read = safetensors.numpy.load_file(path)
    assert set(read) == set(WEIGHTS)
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(read[name], value, strict=True)


def test_keras_file_loads_and_computes_the_same(tmp_path: Path) -> None:
    import keras

    path = tmp_path / "weights.keras"
    write_weights(Model(), path, "keras")
    image = np.random.default_rng(0).random((1, 8, 8, 3), dtype=np.float32)
    read = keras.saving.load_model(path)
    np.testing.assert_array_equal(read(image), keras_model()(image))


def test_keras_file_keeps_no_times_and_no_addresses(tmp_path: Path) -> None:
    path = tmp_path / "weights.keras"
    write_weights(Model(), path, "keras")
    with zipfile.ZipFile(path) as archive:
        assert set(json.loads(archive.read("metadata.json"))) == {"keras_version"}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        config = archive.read("config.json").decode()
    # All layers share one dtype policy.
    assert set(re.findall(r'"shared_object_id": (\d+)', config)) == {"1"}


@pytest.mark.parametrize("name", ["npz", "safetensors"])
def test_order_and_memory_layout_do_not_change_the_bytes(name: str, tmp_path: Path) -> None:
    backwards = {key: np.asfortranarray(WEIGHTS[key]) for key in reversed(WEIGHTS)}
    backwards["Net/step"] = WEIGHTS["Net/step"]
    write_weights(Model(), tmp_path / "a", name)
    write_weights(Model(backwards), tmp_path / "b", name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys, test_files\n"
        "from pathlib import Path\n"
        "for name in test_files.FORMATS:\n"
        "    test_files.write_weights(test_files.Model(), Path(sys.argv[1], name), name)\n"
    )
    here = Path(__file__)
    path = [str(here.parent), str(here.parents[2])]
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}", str(tmp_path)],
        check=True,
        capture_output=True,
    )
    for name in FORMATS:
        write_weights(Model(), tmp_path / f"here.{name}", name)
        assert (tmp_path / f"here.{name}").read_bytes() == (tmp_path / name).read_bytes(), name


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_text("old")
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_weights(Model({"a": np.ones(3), "b": np.array([None])}), path, "npz")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", FORMATS)
def test_a_write_replaces_the_old_file_and_leaves_nothing_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / "any name"
    path.write_text("old")
    write_weights(Model(), path, name)
    assert path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as refused:
        write_weights(Model(), tmp_path / "weights", "npy")
    assert str(refused.value) == (
        "'npy' is not a format that weights are written in. Did you mean 'npz'?"
    )
    assert refused.value.problems[0].suggestion == "npz"
    assert list(tmp_path.iterdir()) == []
