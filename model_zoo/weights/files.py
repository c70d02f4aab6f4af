"""Files of weights: NumPy's .npz, safetensors, and Keras's own .keras.

The same weights give the same bytes in every format, so a file's hash says what is in it.
"""

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from model_zoo.errors import WeightsError, unknown_name

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say; NumPy and Keras use it too


class SavableModel(Protocol):
    """What is written: weights by TF-Slim's names, and the Keras model that holds them."""

    def weights(self) -> dict[str, NDArray[Any]]: ...

    @property
    def keras_model(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Format:
    """A file format; `write` makes a new file at a path that ends with `suffix`."""

    name: str
    media_type: str
    suffix: str
    description: str
    write: Callable[[SavableModel, Path], None]


def write_weights(model: SavableModel, path: Path, format_name: str) -> None:
    """Write a model's weights to a file, which is replaced whole or not at all.

    Raises: WeightsError if there is no such format.
    """
    file_format = FORMATS.get(format_name)
    if file_format is None:
        what = f"{format_name!r} is not a format that weights are written in."
        raise WeightsError(unknown_name("", what, format_name, FORMATS))
    # A directory of its own, on the file system of `path`: what fails half-way leaves nothing.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as directory:
        unfinished = Path(directory, f"weights{file_format.suffix}")
        file_format.write(model, unfinished)
        unfinished.replace(path)


def _sorted_weights(model: SavableModel) -> dict[str, NDArray[Any]]:
    """Return the weights in one order and one memory layout, which the bytes follow."""
    return {name: np.asarray(value, order="C") for name, value in sorted(model.weights().items())}


def _write_npz(model: SavableModel, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, value in _sorted_weights(model).items():
            # As numpy.savez does: the size of an entry is not known when its header is written.
            with archive.open(_entry(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)


def _write_safetensors(model: SavableModel, path: Path) -> None:
    safetensors.numpy.save_file(_sorted_weights(model), path)


def _write_keras(model: SavableModel, path: Path) -> None:
    """Save the model, then write the archive anew without what differs from save to save.

    That is: the time in the metadata and on the weights' entry, and the ids of shared objects in
    the configuration, which are memory addresses. Keras's HDF5 file keeps no times.
    """
    saved_path = path.with_name(f"saved{path.suffix}")
    model.keras_model.save(saved_path)
    with (
        zipfile.ZipFile(saved_path) as saved,
        zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive,
    ):
        for info in saved.infolist():
            if info.filename == "metadata.json":
                metadata = json.loads(saved.read(info))
                metadata.pop("date_saved", None)
                archive.writestr(_entry(info.filename), json.dumps(metadata))
            elif info.filename == "config.json":
                config = _renumbered(json.loads(saved.read(info)), {})
                archive.writestr(_entry(info.filename), json.dumps(config))
            else:
                entry = _entry(info.filename)
                entry.file_size = info.file_size
                with saved.open(info) as source, archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)


def _renumbered(config: Any, numbers: dict[int, int]) -> Any:
    """Return a configuration with its shared objects numbered from 1, in the order they stand."""
    if isinstance(config, list):
        return [_renumbered(item, numbers) for item in config]
    if not isinstance(config, dict):
        return config
    return {
        key: numbers.setdefault(value, len(numbers) + 1)
        if key == "shared_object_id" and isinstance(value, int)
        else _renumbered(value, numbers)
        for key, value in config.items()
    }


def _entry(name: str) -> zipfile.ZipInfo:
    """Return a zip entry that says nothing of when and where it was made."""
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


FORMATS: Mapping[str, Format] = {
    file_format.name: file_format
    for file_format in (
        Format(
            "npz",
            "application/zip",
            ".npz",
            "NumPy arrays by TF-Slim's variable names, in an uncompressed zip: numpy.load reads it "
            "without pickle.",
            _write_npz,
        ),
        Format(
            "safetensors",
            "application/octet-stream",
            ".safetensors",
            "Tensors by TF-Slim's variable names, for any library that reads safetensors.",
            _write_safetensors,
        ),
        Format(
            "keras",
            "application/zip",
            ".keras",
            "The network and its weights, for keras.saving.load_model.",
            _write_keras,
        ),
    )
}
