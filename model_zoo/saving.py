"""Saves a build's weights to a file; a Keras model is made only for the formats that hold one."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from model_zoo.tracing import Trace
from model_zoo.weights.files import ArrayFormat, find_format, write_arrays, write_weights
from model_zoo.weights.restore import BuildTensors, NoLibrary, WeightLibrary
from model_zoo.weights.savable import WeightArrays


def weight_writer(
    traced: Trace,
    library: WeightLibrary | None,
    format_name: str,
    options: Mapping[str, object] = {},
) -> Callable[[Path], None]:
    """Return what writes a build's weights to a path, which is replaced whole or not at all.

    It holds the weights, looked up in the library, in memory.
    Raises: WeightsError for an unknown format, or weights that do not exist or do not fit;
    OptionError for options that the format does not have.
    """
    file_format = find_format(format_name, options)
    if isinstance(file_format, ArrayFormat):
        tensors = BuildTensors(traced, library or NoLibrary())
        tensors.plan.check()
        weights = WeightArrays(
            traced.graph,
            {name: tensors.read(name) for name in tensors.tensors},
            traced.architecture.preprocessing,
            tensors.plan.global_step,
        )
        return partial(write_arrays, weights, file_format=file_format)
    # Imported here: it imports Keras.
    from model_zoo.lowering import materialize

    return partial(write_weights, materialize(traced, library), format_name=format_name)


def save_weights(
    traced: Trace,
    library: WeightLibrary | None,
    path: Path,
    format_name: str,
    **options: object,
) -> None:
    """Write a build's weights to a file in one of `WEIGHT_FORMATS`, with options of that format.

    Raises: WeightsError and OptionError as `weight_writer` does.
    """
    weight_writer(traced, library, format_name, options)(path)
