"""`POST /v1/builds/{id}/probe`: where the signal dies, measured in the worker."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import (
    BuildsDep,
    ExchangeDep,
    InferenceDep,
    ModelsDep,
    ProberDep,
    SettingsDep,
)
from app.http.exchange import timings
from app.http.inputs import read_inputs_if_any
from app.http.negotiation import (
    REPORT_FORMATS,
    Writers,
    chosen_format,
    format_query,
    one_of,
    written,
)
from app.http.openapi import INFERENCE_PROBLEMS, answer, problems
from app.http.problems import query_error
from app.http.request_bodies import OPTIONAL_INPUTS
from app.http.routing import needs, runs_inference
from app.http.warning_headers import add_warnings
from app.serving.probe import ProbeBody, ProbeOptions
from model_zoo import PROBE_MODES, Probe

router = APIRouter(prefix="/v1/builds", tags=["measurements"])

# As a signed integer of 64 bits, which clients can hold.
_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ProbeQuery:
    """The query of a probe."""

    rows: Annotated[
        int | None,
        Query(ge=1, description="Rows of noise; by default 8, or as many as memory allows."),
    ] = None
    seed: Annotated[
        int, Query(ge=0, le=_MAX_SEED, description="Of the noise, and of the loss.")
    ] = 0
    gradients: Annotated[
        bool, Query(description="Also the gradient of a scalar loss at each layer.")
    ] = False
    mode: Annotated[
        str | None,
        Query(
            description="Only this mode; by default both.",
            json_schema_extra={"enum": list(PROBE_MODES)},
        ),
    ] = None
    format: Annotated[str | None, format_query(REPORT_FORMATS)] = None


@router.post(
    "/{build_id}/probe",
    operation_id="probeBuild",
    summary="Measure the signal at each layer",
    openapi_extra=OPTIONAL_INPUTS,
    responses={
        200: answer("Verdicts and curves.", ProbeBody, REPORT_FORMATS.values()),
        **problems("unknown-build", "not-acceptable", "build-refused", *INFERENCE_PROBLEMS),
    },
)
@runs_inference
@needs("infer")
async def probe_build(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    models: ModelsDep,
    inference: InferenceDep,
    prober: ProberDep,
    settings: SettingsDep,
    exchange: ExchangeDep,
    query: Annotated[ProbeQuery, Depends()],
) -> Response:
    """Without a body, normal noise goes through the network; else the body's images or arrays do.

    Each layer has its statistics in inference and in training mode (batch statistics). A verdict
    says where the signal vanishes or explodes, or units are dead, and who set what is to blame;
    the warnings of the build tell of it from then on.
    """
    format_name = chosen_format(request, query.format, REPORT_FORMATS)
    modes = PROBE_MODES if query.mode is None else (one_of("mode", query.mode, PROBE_MODES),)
    options = ProbeOptions(query.rows, query.seed, query.gradients, modes)
    model = await models.find_build(build_id)
    traced = await builds.find_trace(build_id, timings(request))
    inputs = await read_inputs_if_any(request, settings)
    if inputs and query.rows is not None:
        message = "Query parameter rows counts rows of noise; each input of the body is a row."
        raise query_error("rows", message, query.rows, None)
    read = await inference.read(exchange, model.network, inputs) if inputs else None
    body = await prober.probe(exchange, model, traced, options, read)
    probe = Probe(body)
    writers: Writers = {"json": lambda: body, "text": probe.to_text, "csv": probe.to_csv}
    with exchange.timings.measure("encode"):
        response = await asyncio.to_thread(written, format_name, writers)
    if format_name != "json":
        add_warnings(response, body["warnings"])
    return response
