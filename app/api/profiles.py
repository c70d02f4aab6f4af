"""`GET /v1/builds/{id}/profile`: the time of each layer, measured where the build is served."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.builds import find_trace
from app.api.negotiate import chosen_format, one_of
from app.api.services import Services, Shared
from app.compute.engine import Job, QueueFullError, Reply
from app.envelope import timings
from app.problems import query_error
from app.serving.inference import check_rows, while_connected
from app.serving.layer_times import as_csv, as_text, describe
from app.serving.servable import Servable, find_servable
from app.serving.served import served
from app.settings import Settings, variable

router = APIRouter(prefix="/v1/builds/{build_id}", tags=["builds"])

FORMATS = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
}
ENGINES = ("onnxruntime", "tensorflow")
# Of the time that a request may take: what is left after that is for the answer.
_LAYERS_SHARE, _NETWORK_SHARE = 0.5, 0.75


@router.get(
    "/profile",
    summary="Measure the time of each layer",
    responses={
        **schemas.answer_as("Layers and totals.", "Profile", FORMATS.values()),
        **schemas.problems(
            "unknown-build",
            "not-acceptable",
            "unprocessable",
            "weights-refused",
            *schemas.WORKER_PROBLEMS,
        ),
    },
)
async def read_profile(
    request: Request,
    build_id: str,
    services: Shared,
    rows: Annotated[int, Query(ge=1, description="Rows of the batch that is computed.")] = 1,
    runs: Annotated[
        int, Query(ge=1, le=100, description="How often; fewer where the time does not suffice.")
    ] = 10,
    engine: Annotated[
        str | None,
        Query(
            description="What computes; by default what serves the build.",
            json_schema_extra={"enum": list(ENGINES)},
        ),
    ] = None,
    format: Annotated[
        str | None,
        Query(description="Instead of Accept.", json_schema_extra={"enum": list(FORMATS)}),
    ] = None,
) -> Response:
    """Seconds (the median of the runs), share and operations a second of each layer of the summary.

    One profile is measured at a time. Predictions are computed meanwhile, and disturb it.
    """
    chosen = chosen_format(request, format, FORMATS)
    asked = None if engine is None else one_of("engine", engine, ENGINES)
    servable = await find_servable(services, build_id)
    check_rows(servable, 1, services.settings)
    _check_rows(servable, rows, services.settings)
    clock = timings(request)
    traced = await find_trace(services, build_id, clock)
    job = await asyncio.to_thread(_job, services, servable, asked, rows, runs)
    if services.profiling.locked():
        raise QueueFullError("Another profile is being measured; one is at a time.")
    # Shielded: the worker goes on with it though the client be gone.
    reply = await while_connected(request, asyncio.shield(_measured(services, job)))
    clock.seconds.update(reply.seconds)
    facts = {"build": servable.build, "architecture": servable.architecture}
    profile = {**facts, **describe(traced, reply.result, rows=rows, runs_asked=runs)}
    if chosen == "json":
        return JSONResponse(profile)
    text = as_text(profile) if chosen == "text" else as_csv(profile)
    return Response(text, media_type=FORMATS[chosen])


async def _measured(services: Services, job: Job) -> Reply:
    async with services.profiling:
        return await services.engine.run(job)


def _check_rows(servable: Servable, rows: int, settings: Settings) -> None:
    """Refuse a batch that no prediction would be computed in."""
    fitting = settings.max_activation_bytes // max(1, servable.peak_activation_bytes)
    for limit, name in ((settings.max_batch, "max_batch"), (fitting, "max_activation_bytes")):
        if rows > max(1, limit):
            message = (
                f"Query parameter rows: at most {max(1, limit)} of this build are computed at once "
                f"({variable(name)})."
            )
            raise query_error("rows", message, rows, str(max(1, limit)))


def _job(services: Services, servable: Servable, asked: str | None, rows: int, runs: int) -> Job:
    ref = served(servable, services.settings).ref
    limit_s, now = services.settings.request_timeout_s, time.monotonic()
    return services.job(
        "profile",
        servable.spec,
        {
            "model": ref.key,
            "engine": asked or services.engine.state(ref).engine or ref.engine,
            # ONNX Runtime has no other.
            "precision": "float32" if asked == "onnxruntime" else ref.precision,
            "rows": rows,
            "runs": runs,
            # One clock for all processes, so that time spent waiting counts.
            "until": {
                "layers": now + _LAYERS_SHARE * limit_s,
                "network": now + _NETWORK_SHARE * limit_s,
            },
        },
    )
