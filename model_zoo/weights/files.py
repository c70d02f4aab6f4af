"""Files of weights: the formats, and the writers that need only NumPy.

The same weights give the same bytes in every format, so a file's hash says what is in it. The other
writers need Keras, TensorFlow or ONNX, and are imported when they are used.
"""

import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from model_zoo.errors import OptionError, Problem, WeightsError, not_accepted, unknown_name
from model_zoo.onnx_options import DEFAULT_OPSET, ONNX_LAYOUTS, OPSETS, OnnxLayout
from model_zoo.weights.packing import zip_entry
from model_zoo.weights.savable import SavableModel, SavableWeights

# The file is one protobuf message, and these end at 2 GiB; the rest is for the nodes.
MAX_ONNX_BYTES = 1_900_000_000


@dataclass(frozen=True, slots=True)
class Format:
    """A file format; `write` makes a new file at a path that ends with `suffix`.

    `options` are what can be chosen of a file: the valid values by name, the default first. A
    format that does not need TensorFlow is written without importing it.
    """

    name: str
    media_type: str
    suffix: str
    description: str
    write: Callable[[SavableModel, Path], None]
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    needs_tensorflow: bool = True


@dataclass(frozen=True, slots=True)
class ArrayFormat(Format):
    """A file format that holds no Keras model, so that weights are written without one."""

    write: Callable[[SavableWeights, Path], None]


def find_format(name: str, options: Mapping[str, object] = {}) -> Format:
    """Return a format by name, with options: its suffix names those that are not the defaults.

    Raises: WeightsError if there is no such format, OptionError if the format does not have an
    option, or the option not the value.
    """
    if name not in FORMATS:
        rule = f"{name!r} is not a format that weights are written in."
        raise WeightsError(unknown_name("", rule, name, FORMATS))
    file_format = FORMATS[name]
    for option, value in options.items():
        if option not in file_format.options:
            raise _no_such_option(option, value, file_format)
        if str(value) not in file_format.options[option]:
            raise not_accepted(option, str(value), file_format.options[option])
    chosen = {
        option: str(options[option])
        for option, (default, *_) in file_format.options.items()
        if str(options.get(option, default)) != default
    }
    if not chosen:
        return file_format
    parts = "".join(f".{option}-{value}" for option, value in chosen.items())
    return replace(
        file_format, suffix=parts + file_format.suffix, write=partial(file_format.write, **chosen)
    )


def _no_such_option(option: str, value: object, file_format: Format) -> OptionError:
    having = [repr(each.name) for each in FORMATS.values() if option in each.options]
    if not having:
        known = [name for each in FORMATS.values() for name in each.options]
        rule = f"{option} is not an option of any format."
        return OptionError(option, unknown_name("", rule, option, known))
    message = (
        f"{option} is an option of format {' and '.join(having)}; format {file_format.name!r} does "
        "not have it. Leave it out, or choose another format."
    )
    return OptionError(option, Problem(message, received=value))


def write_arrays(weights: SavableWeights, path: Path, file_format: ArrayFormat) -> None:
    """Write weights to a file of arrays, which is replaced whole or not at all."""
    _write_whole(path, file_format, lambda unfinished: file_format.write(weights, unfinished))


def write_weights(
    model: SavableModel, path: Path, format_name: str, options: Mapping[str, object] = {}
) -> None:
    """Write a model's weights to a file, which is replaced whole or not at all.

    Raises: WeightsError and OptionError as `find_format` does.
    """
    file_format = find_format(format_name, options)
    _write_whole(path, file_format, lambda unfinished: file_format.write(model, unfinished))


def _write_whole(path: Path, file_format: Format, write: Callable[[Path], None]) -> None:
    # A directory of its own, on the file system of `path`: what fails half-way leaves nothing.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as directory:
        unfinished = Path(directory, f"weights{file_format.suffix}")
        write(unfinished)
        unfinished.replace(path)


def _sorted_weights(model: SavableWeights) -> dict[str, NDArray[Any]]:
    """Return the weights in one order and one memory layout, which the bytes follow."""
    return {name: np.asarray(value, order="C") for name, value in sorted(model.weights().items())}


def _write_npz(model: SavableWeights, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, value in _sorted_weights(model).items():
            # As numpy.savez does: the size of an entry is not known when its header is written.
            with archive.open(zip_entry(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)


def _write_safetensors(model: SavableWeights, path: Path) -> None:
    safetensors.numpy.save_file(_sorted_weights(model), path)


def _write_keras(model: SavableModel, path: Path) -> None:
    from model_zoo.weights.keras_files import write_keras

    write_keras(model, path)


def _write_keras_weights(model: SavableModel, path: Path) -> None:
    from model_zoo.weights.keras_files import write_keras_weights

    write_keras_weights(model, path)


def _write_saved_model(model: SavableModel, path: Path) -> None:
    from model_zoo.weights.tensorflow_files import write_saved_model

    write_saved_model(model, path)


def _write_checkpoint(model: SavableWeights, path: Path) -> None:
    from model_zoo.weights.checkpoint_files import write_checkpoint

    write_checkpoint(model, path)


def _write_onnx(
    model: SavableWeights,
    path: Path,
    *,
    opset: str = str(DEFAULT_OPSET),
    layout: OnnxLayout = "nhwc",
) -> None:
    from model_zoo.onnx_lowering import onnx_model

    weights = model.weights()
    size = sum(value.nbytes for value in weights.values())
    if size > MAX_ONNX_BYTES:
        raise WeightsError(
            f"The network's weights have {size} bytes; an ONNX file can hold {MAX_ONNX_BYTES}. Use "
            "another format."
        )
    metadata = {"preprocessing": model.preprocessing} if model.preprocessing else {}
    written = onnx_model(model.graph, weights, opset=int(opset), layout=layout, metadata=metadata)
    path.write_bytes(written.SerializeToString(deterministic=True))


FORMATS: Mapping[str, Format] = {
    file_format.name: file_format
    for file_format in (
        ArrayFormat(
            "npz",
            "application/zip",
            ".npz",
            "NumPy arrays by TF-Slim's variable names, in an uncompressed zip: numpy.load reads it "
            "without pickle.",
            _write_npz,
            needs_tensorflow=False,
        ),
        ArrayFormat(
            "safetensors",
            "application/octet-stream",
            ".safetensors",
            "Tensors by TF-Slim's variable names, for any library that reads safetensors.",
            _write_safetensors,
            needs_tensorflow=False,
        ),
        Format(
            "keras",
            "application/zip",
            ".keras",
            "The network and its weights, for keras.saving.load_model.",
            _write_keras,
        ),
        Format(
            "weights.h5",
            "application/x-hdf5",
            ".weights.h5",
            "The weights of the .keras file alone, for load_weights of the same Keras model.",
            _write_keras_weights,
        ),
        Format(
            "savedmodel",
            "application/gzip",
            ".savedmodel.tar.gz",
            "The network and its weights for TensorFlow Serving and tf.saved_model.load, which "
            "takes arrays and, where images feed the network, JPEG and PNG files.",
            _write_saved_model,
        ),
        ArrayFormat(
            "checkpoint",
            "application/gzip",
            ".ckpt.tar.gz",
            "TensorFlow's checkpoint by TF-Slim's variable names, for tf.train.load_checkpoint and "
            "TF-Slim's own scripts.",
            _write_checkpoint,
        ),
        ArrayFormat(
            "onnx",
            "application/octet-stream",
            ".onnx",
            "The network and its weights for ONNX Runtime and other tools, from `input` to "
            "`output`, with a free batch; in the network's own layout, or channels first.",
            _write_onnx,
            {
                "opset": sorted(map(str, OPSETS), key=str(DEFAULT_OPSET).__ne__),
                "layout": ONNX_LAYOUTS,
            },
            needs_tensorflow=False,
        ),
    )
}
