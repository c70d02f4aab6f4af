"""The query of a prediction: what it asks a network for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from app.arrays import OUTPUT, PROBABILITIES
from app.http.negotiation import format_query, one_of
from app.http.problems import query_error
from app.serving.models import ModelVersion
from app.serving.networks import Network
from app.serving.outputs import OutputFormat, Selection

FORMATS: Mapping[OutputFormat, str] = {
    "json": "application/json",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
}
OUTPUTS = ("logits", "probabilities")
DEFAULT_TOP_K = 5
# All classes of the published networks that have a background class.
MAX_TOP_K = 1001


@dataclass(frozen=True, slots=True)
class OutputQuery:
    """Which outputs to answer with."""

    top_k: Annotated[
        int | None,
        Query(
            ge=1, le=MAX_TOP_K, description="The most probable classes of each row; 5 by default."
        ),
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


@dataclass(frozen=True, slots=True)
class PredictionQuery(OutputQuery):
    """The query of a prediction."""

    format: Annotated[str | None, format_query(FORMATS)] = None


def select_outputs(model: ModelVersion, query: OutputQuery, format_name: OutputFormat) -> Selection:
    """Return what a query asks of a model; by default the best five classes.

    Raises: ServiceError for what this network does not have, or the format cannot carry.
    """
    network = model.network
    top_k, output, end_points = query.top_k, query.output, query.end_points
    arrays: dict[str, str] = {}
    if output is not None:
        arrays[one_of("output", output, OUTPUTS)] = OUTPUT
    if output == "probabilities":
        arrays[output] = _probabilities(network, "output", output)
    for name in end_points.split(",") if end_points is not None else ():
        arrays[name] = one_of("end_points", name, list(network.end_points))
    if format_name == "json":
        if top_k is None and not arrays:
            if network.classes is None:  # the raw output is the answer
                return Selection(None, {"logits": OUTPUT}, format_name)
            top_k = DEFAULT_TOP_K
        if top_k is not None:
            _probabilities(network, "top_k", str(top_k))
    else:
        if top_k is not None:
            message = f"Query parameter top_k is answered as JSON only, not as {format_name}."
            raise query_error("top_k", message, top_k, None)
        if not arrays:
            arrays["logits"] = OUTPUT
        if format_name == "npy" and len(arrays) > 1:
            message = f"An .npy file holds one array, not {len(arrays)}; ask for npz."
            raise query_error("format", message, "npy", "npz")
    return Selection(top_k, arrays, format_name, model.class_names if top_k else ())


def _probabilities(network: Network, parameter: str, received: str) -> str:
    if network.classes is None:
        message = (
            f"Query parameter {parameter}: this build has no class probabilities. "
            "Ask for output=logits or end_points."
        )
        raise query_error(parameter, message, received, "logits")
    return PROBABILITIES
