"""What a prediction is asked for, and how its arrays are told."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from fastapi import Query

from app.api.negotiate import one_of
from app.problems import query_error
from app.protocols.names import OUTPUT, PROBABILITIES
from app.serving.servable import Servable
from model_zoo import top_classes

FORMATS = {
    "json": "application/json",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
}
OUTPUTS = ("logits", "probabilities")
DEFAULT_TOP_K = 5

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Question:
    """The query of a prediction."""

    top_k: Annotated[
        int | None,
        Query(ge=1, le=1000, description="The most probable classes of each row; 5 by default."),
    ] = None
    output: Annotated[
        str | None,
        Query(
            description="The whole output: raw logits, or probabilities.",
            json_schema_extra={"enum": list(OUTPUTS)},
        ),
    ] = None
    end_points: Annotated[
        str | None,
        Query(description="Named end points, separated by commas: `Mixed_5b,Mixed_7c`."),
    ] = None
    format: Annotated[
        str | None,
        Query(description="Instead of Accept.", json_schema_extra={"enum": list(FORMATS)}),
    ] = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to answer with: the best classes, and arrays under their names in the answer."""

    top_k: int | None
    arrays: Mapping[str, str]  # name in the answer -> output
    format: str

    @property
    def outputs(self) -> list[str]:
        """What to compute, each once."""
        names = [*self.arrays.values(), *([PROBABILITIES] if self.top_k else [])]
        return list(dict.fromkeys(names))


def wanted_outputs(servable: Servable, question: Question, format_name: str) -> Wanted:
    """Return what a query asks of a network; by default the best five classes.

    Raises: ServiceError for what this network does not have, or the format cannot carry.
    """
    top_k, output, end_points = question.top_k, question.output, question.end_points
    known = servable.end_points
    arrays: dict[str, str] = {}
    if output is not None:
        arrays[one_of("output", output, OUTPUTS)] = OUTPUT
    if output == "probabilities":
        arrays[output] = _probabilities(servable, "output", output)
    for name in end_points.split(",") if end_points is not None else ():
        arrays[name] = one_of("end_points", name, list(known))
    if format_name == "json":
        if top_k is None and not arrays:
            if servable.classes is None:  # the raw output is the answer
                return Wanted(None, {"logits": OUTPUT}, format_name)
            top_k = DEFAULT_TOP_K
        if top_k is not None:
            _probabilities(servable, "top_k", str(top_k))
    else:
        if top_k is not None:
            message = f"Query parameter top_k is answered as JSON only, not as {format_name}."
            raise query_error("top_k", message, top_k, None)
        if not arrays:
            arrays["logits"] = OUTPUT
        if format_name == "npy" and len(arrays) > 1:
            message = f"An .npy file holds one array, not {len(arrays)}; ask for npz."
            raise query_error("format", message, "npy", "npz")
    return Wanted(top_k, arrays, format_name)


def _probabilities(servable: Servable, parameter: str, received: str) -> str:
    if servable.classes is None:
        message = (
            f"Query parameter {parameter}: this build has no class probabilities. "
            "Ask for output=logits or end_points."
        )
        raise query_error(parameter, message, received, "logits")
    return PROBABILITIES


def encode(
    wanted: Wanted, arrays: Mapping[str, Array], facts: Mapping[str, Any], warnings: Sequence[str]
) -> bytes:
    """Return the body of the answer; `arrays` are by output."""
    named = {name: arrays[output] for name, output in wanted.arrays.items()}
    stream = io.BytesIO()
    if wanted.format == "npy":
        (array,) = named.values()
        np.save(stream, array)
        return stream.getvalue()
    if wanted.format == "npz":
        np.savez(stream, allow_pickle=False, **named)
        return stream.getvalue()
    document = describe(wanted, arrays, facts, warnings)
    return json.dumps(document, allow_nan=False).encode()


def describe(
    wanted: Wanted, arrays: Mapping[str, Array], facts: Mapping[str, Any], warnings: Sequence[str]
) -> dict[str, Any]:
    """Return the answer, JSON-ready; `arrays` are by output."""
    named = {name: arrays[output] for name, output in wanted.arrays.items()}
    notes = list(warnings)
    body = dict(facts)
    if wanted.top_k:
        probabilities = arrays[PROBABILITIES]
        _note_non_finite("probabilities", probabilities, notes)
        body["predictions"] = [_best(row, wanted.top_k) for row in probabilities]
    if named:
        body["outputs"] = {}
        for name, array in named.items():
            _note_non_finite(name, array, notes)
            body["outputs"][name] = {"shape": list(array.shape), "data": _nested(array)}
    return {**body, "warnings": notes}


def _best(row: Array, count: int) -> list[dict[str, Any]]:
    """Return the most probable classes of a row."""
    return [
        {
            "class": index,
            # The fewest digits that read back as the same float32: 0.1, not 0.10000000149011612.
            "probability": float(str(row[index])) if np.isfinite(row[index]) else None,
        }
        for index in top_classes(row, count)
    ]


def _nested(array: Array) -> Any:
    """Return nested lists, with None for what JSON has no number for."""
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
