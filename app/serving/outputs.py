"""The answer to a prediction: the outputs that it has, and the encoding of their arrays."""

import asyncio
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypeVar

import numpy as np
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.arrays import PROBABILITIES, Array
from app.body_fields import BuildId
from model_zoo import top_classes

# To encode as much takes less time than to hand it to a thread.
_INLINE_BYTES = 16 * 1024

OutputFormat = Literal["json", "npy", "npz"]
Encoded = TypeVar("Encoded")

# `class` is a word of Python.
ClassBody = TypedDict(
    "ClassBody", {"class": int, "name": NotRequired[str], "probability": float | None}
)
ClassBody.__doc__ = (
    "A class, its name if it has one, and its probability, null if that is not finite."
)


class ArrayBody(TypedDict):
    """An array, row by row; values that are not finite are null."""

    shape: list[int]
    data: list[Any]


class SelectedOutputs(TypedDict, total=False):
    """The outputs that the query selects: the best classes of each row, and arrays by name."""

    predictions: list[list[ClassBody]]
    outputs: dict[str, ArrayBody]


class OutputsBody(SelectedOutputs):
    """Outputs, and warnings about them and the inputs."""

    warnings: list[str]


class PredictionFacts(TypedDict):
    """What was run: the build, the rows, and the preprocessing that images got."""

    build: BuildId
    architecture: str
    rows: int
    preprocessing: str | None


class PredictionBody(PredictionFacts, OutputsBody):
    """The answer to a prediction."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What an answer has: the best classes, and arrays under their names in the answer."""

    top_k: int | None
    arrays: Mapping[str, str]  # name in the answer -> output
    format: OutputFormat
    class_names: Sequence[str] = ()

    @property
    def outputs(self) -> list[str]:
        """The outputs to compute, each once."""
        names = [*self.arrays.values(), *([PROBABILITIES] if self.top_k else [])]
        return list(dict.fromkeys(names))


async def without_blocking(
    encode: Callable[[], Encoded], arrays: Mapping[str, Array], names_bytes: int = 0
) -> Encoded:
    """Return what a function encodes: arrays, and names of classes; if they are large, in a thread.

    `names_bytes` is the size of the names.
    """
    if sum(array.nbytes for array in arrays.values()) + names_bytes <= _INLINE_BYTES:
        return encode()
    return await asyncio.to_thread(encode)


def encode(
    selection: Selection,
    arrays: Mapping[str, Array],
    facts: PredictionFacts,
    warnings: Sequence[str],
) -> bytes:
    """Return the answer in the format of the selection; `arrays` is keyed by output."""
    named = {name: arrays[output] for name, output in selection.arrays.items()}
    stream = io.BytesIO()
    match selection.format:
        case "npy":
            (array,) = named.values()
            np.save(stream, array)
        case "npz":
            np.savez(stream, allow_pickle=False, **named)
        case "json":
            body: PredictionBody = {**facts, **describe(selection, arrays, warnings)}
            return json.dumps(body, allow_nan=False).encode()
    return stream.getvalue()


def describe(
    selection: Selection, arrays: Mapping[str, Array], warnings: Sequence[str]
) -> OutputsBody:
    """Return the selected outputs as a JSON-ready document; `arrays` is keyed by output."""
    notes = list(warnings)
    body: SelectedOutputs = {}
    if selection.top_k:
        probabilities = arrays[PROBABILITIES]
        _note_non_finite("probabilities", probabilities, notes)
        body["predictions"] = [
            _best(row, selection.top_k, selection.class_names) for row in probabilities
        ]
    if selection.arrays:
        body["outputs"] = {}
        for name, output in selection.arrays.items():
            array = arrays[output]
            _note_non_finite(name, array, notes)
            body["outputs"][name] = {"shape": list(array.shape), "data": _nested(array)}
    return {**body, "warnings": notes}


def _best(row: Array, count: int, names: Sequence[str]) -> list[ClassBody]:
    """Return the most probable classes of a row."""
    best: list[ClassBody] = []
    for index in top_classes(row, count):
        # The fewest digits that read back as the same float32: 0.1, not 0.10000000149011612.
        probability = float(str(row[index])) if np.isfinite(row[index]) else None
        if names:
            best.append({"class": index, "name": names[index], "probability": probability})
        else:
            best.append({"class": index, "probability": probability})
    return best


def _nested(array: Array) -> Any:
    """Return nested lists, with None for values that are not finite; JSON cannot carry them."""
    finite = np.isfinite(array)
    if finite.all():
        return array.tolist()
    values = array.astype(object)
    values[~finite] = None
    return values.tolist()


def _note_non_finite(name: str, array: Array, notes: list[str]) -> None:
    count = int(array.size - np.isfinite(array).sum())
    if count:
        notes.append(
            f"{count} of {array.size} values of {name} are not finite; JSON shows them as null."
        )
