"""Files that Keras itself reads: the whole model, or its weights alone."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

from model_zoo.weights.packing import zip_entry
from model_zoo.weights.savable import SavableModel


def write_keras(model: SavableModel, path: Path) -> None:
    """Save the model, then rewrite the archive without what differs between two saves.

    That is: the time in the metadata and on the weights' entry, and in the configuration the ids of
    shared objects, which are memory addresses, and the names of bare operations. Keras's HDF5 file
    keeps no times.
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
                archive.writestr(zip_entry(info.filename), json.dumps(metadata))
            elif info.filename == "config.json":
                config = _renumbered(_renamed(json.loads(saved.read(info))), {})
                archive.writestr(zip_entry(info.filename), json.dumps(config))
            else:
                entry = zip_entry(info.filename)
                entry.file_size = info.file_size
                with saved.open(info) as source, archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target, 1 << 20)


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration whose bare operations are numbered from 1, in the order they stand.

    Keras numbers operations without a name over the whole process: `add_7`.
    """
    numbered = [
        layer["name"]
        for layer in config["config"]["layers"]
        if layer["module"].startswith("keras.src.ops.")
        and layer["name"].rstrip("_0123456789").replace("_", "")
        == layer["class_name"].rstrip("0123456789").lower()
    ]
    names = {name: f"operation.{number}" for number, name in enumerate(numbered, 1)}

    def renamed(value: Any, is_name: bool) -> Any:
        if isinstance(value, list):
            return [renamed(item, is_name) for item in value]
        if isinstance(value, dict):
            return {key: renamed(item, key in _NAME_KEYS) for key, item in value.items()}
        return names.get(value, value) if is_name and isinstance(value, str) else value

    result: dict[str, Any] = renamed(config, False)
    return result


# Where a configuration gives an operation's name or refers to it.
_NAME_KEYS = ("name", "keras_history", "input_layers", "output_layers")


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


def write_keras_weights(model: SavableModel, path: Path) -> None:
    """Save the variables of the Keras model, by layer.

    Keras writes no times, and names groups after the kinds of layers, counted within the model.
    """
    model.keras_model.save_weights(path)
