"""`/v1/builds/{id}/predict`: from a request's inputs to an answer, by way of the engine."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import ExchangeDep, InferenceDep, ModelsDep, SettingsDep
from app.api.prediction_query import FORMATS, PredictionQuery, select_outputs
from app.http.direct_route import DirectRoute
from app.http.exchange import HttpExchange
from app.http.inputs import read_inputs
from app.http.negotiation import chosen_format
from app.http.openapi import INFERENCE_PROBLEMS, answer, problems
from app.http.request_bodies import INPUTS
from app.http.routing import needs, runs_inference
from app.http.warning_headers import add_warnings
from app.serving.class_names import check_names_bytes, names_bytes
from app.serving.inference import Inference, Input
from app.serving.models import ModelVersion
from app.serving.outputs import PredictionBody, PredictionFacts, Selection, encode, without_blocking

router = APIRouter(prefix="/v1/builds", tags=["predictions"], route_class=DirectRoute)

ANSWER = answer("The prediction.", PredictionBody, FORMATS.values())


@router.post(
    "/{build_id}/predict",
    operation_id="predict",
    summary="Run a build on images or arrays",
    openapi_extra=INPUTS,
    responses={200: ANSWER, **problems("unknown-build", "not-acceptable", *INFERENCE_PROBLEMS)},
)
@runs_inference
@needs("infer")
async def predict(
    request: Request,
    build_id: str,
    settings: SettingsDep,
    models: ModelsDep,
    inference: InferenceDep,
    exchange: ExchangeDep,
    query: Annotated[PredictionQuery, Depends()],
) -> Response:
    """An image is preprocessed as the architecture expects; an array is used as it is.

    Content-Type gives the type of the body; without one, its first bytes do.
    """
    model = await models.find_build(build_id)
    format_name = chosen_format(request, query.format, FORMATS)
    inputs = await read_inputs(request, settings)
    selection = select_outputs(model, query, format_name)
    return await respond(exchange, inference, model, inputs, selection, ())


async def respond(
    exchange: HttpExchange,
    inference: Inference,
    model: ModelVersion,
    inputs: Sequence[Input],
    selection: Selection,
    warnings: Sequence[str],
) -> Response:
    """Return the answer to a prediction; `warnings` come before those about the inputs."""
    network = model.network
    inference.check_rows(network, 1)
    read = await inference.read(exchange, network, inputs)
    size = names_bytes(selection.class_names, read.rows.count, selection.top_k or 0)
    check_names_bytes(size)
    result = await inference.infer(exchange, model, read.rows, selection.outputs)
    facts: PredictionFacts = {
        "build": network.build,
        "architecture": network.architecture,
        "rows": read.rows.count,
        "preprocessing": network.preprocessing if read.has_images else None,
    }
    warnings = [*warnings, *read.warnings, *(model.warnings if selection.top_k else ())]
    with exchange.timings.measure("encode"):
        encoded = partial(encode, selection, result.arrays, facts, warnings)
        body = await without_blocking(encoded, result.arrays, size)
    response = Response(body, media_type=FORMATS[selection.format])
    if selection.format != "json":
        add_warnings(response, warnings)
    return response
