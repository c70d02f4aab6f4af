"""`GET /v1/builds/{id}/profile`: the time of each layer, measured where the build is served."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import (
    BuildsDep,
    ExchangeDep,
    InferenceDep,
    ModelsDep,
    ProfilerDep,
    SettingsDep,
)
from app.engine import RuntimeName
from app.http.exchange import timings
from app.http.negotiation import (
    REPORT_FORMATS,
    Writers,
    chosen_format,
    format_query,
    one_of,
    written,
)
from app.http.openapi import WORKER_PROBLEMS, answer, problems
from app.http.problems import query_error
from app.http.routing import needs
from app.serving.profile import ProfileBody
from app.serving.profile_text import as_csv, as_text

router = APIRouter(prefix="/v1/builds", tags=["measurements"])

ENGINES: tuple[RuntimeName, ...] = ("onnxruntime", "tensorflow")


@router.get(
    "/{build_id}/profile",
    operation_id="getBuildProfile",
    summary="Measure the time of each layer",
    responses={
        200: answer("Layers and totals.", ProfileBody, REPORT_FORMATS.values()),
        **problems(
            "unknown-build",
            "not-acceptable",
            "unprocessable",
            "weights-refused",
            *WORKER_PROBLEMS,
        ),
    },
)
@needs("infer")
async def read_profile(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    models: ModelsDep,
    inference: InferenceDep,
    profiler: ProfilerDep,
    settings: SettingsDep,
    exchange: ExchangeDep,
    rows: Annotated[int, Query(ge=1, description="Rows of the batch.")] = 1,
    runs: Annotated[
        int, Query(ge=1, le=100, description="Runs to make; fewer are made if the time runs out.")
    ] = 10,
    engine: Annotated[
        str | None,
        Query(
            description="The engine; by default the one that serves the build.",
            json_schema_extra={"enum": list(ENGINES)},
        ),
    ] = None,
    format: Annotated[str | None, format_query(REPORT_FORMATS)] = None,
) -> Response:
    """The seconds (the median of the runs), share and operations per second of each layer.

    One profile is measured at a time. Predictions that run meanwhile disturb it.
    """
    format_name = chosen_format(request, format, REPORT_FORMATS)
    runtime = None if engine is None else one_of("engine", engine, ENGINES)
    model = await models.find_build(build_id)
    inference.check_rows(model.network, 1)
    limit = model.network.rows_at_once(settings)
    if rows > limit.value:
        message = (
            f"Query parameter rows: at most {limit.value} of this build are computed at once "
            f"({limit.setting})."
        )
        raise query_error("rows", message, rows, str(limit.value))
    traced = await builds.find_trace(build_id, timings(request))
    profile = await profiler.profile(exchange, model, traced, engine=runtime, rows=rows, runs=runs)
    writers: Writers = {
        "json": lambda: profile,
        "text": partial(as_text, profile),
        "csv": partial(as_csv, profile),
    }
    return written(format_name, writers)
