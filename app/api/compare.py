"""`POST /v1/compare`: the same input to several builds, and how far they agree."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.compare_run import ComparisonRun, Entry, about
from app.api.inputs import read_inputs
from app.api.negotiate import chosen_format
from app.api.outputs import Question, wanted_outputs
from app.api.services import Services, Shared
from app.envelope import timings
from app.problems import ServiceError, query_error
from app.serving.comparison_text import as_text
from app.serving.inference import check_rows
from app.serving.models import resolve

router = APIRouter(prefix="/v1", tags=["inference"])

FORMATS = {"json": "application/json", "text": "text/plain; charset=utf-8"}
MIN_BUILDS, MAX_BUILDS = 2, 16


@dataclass(frozen=True, slots=True)
class CompareQuestion(Question):
    """The query of a comparison: that of a prediction, in other forms."""

    format: Annotated[
        str | None,
        Query(description="Instead of Accept.", json_schema_extra={"enum": list(FORMATS)}),
    ] = None


@router.post(
    "/compare",
    summary="Run several builds on the same input",
    openapi_extra={"requestBody": schemas.PREDICT_BODY},
    responses={
        **schemas.answer_as("Answers and agreement.", "Comparison", FORMATS.values()),
        **schemas.problems(
            *schemas.BODY_PROBLEMS,
            "unknown-model",
            "malformed-json",
            "not-acceptable",
            "invalid-input",
            "unprocessable",
            "weights-refused",
            *schemas.WORKER_PROBLEMS,
        ),
    },
)
async def compare(
    request: Request,
    services: Shared,
    builds: Annotated[
        str,
        Query(description="Two to 16 ids of builds, or names of models, separated by commas."),
    ],
    question: Annotated[CompareQuestion, Depends()],
) -> Response:
    """An image is preprocessed for each build as its architecture expects; an array must fit all.

    The builds run one after the other, so that their times tell something. One that fails has its
    problem in the place of its answer; `agreement` is that of the raw outputs.
    """
    format_name = chosen_format(request, question.format, FORMATS)
    entries = [await _entry(services, name, question) for name in _names(builds)]
    inputs = await read_inputs(request, services.settings)
    run = ComparisonRun(request, services, inputs)
    await run.check(entries)
    for entry in entries:
        await run.compute(entry)
    with timings(request).measure("encode"):
        comparison = await asyncio.to_thread(run.comparison, entries)
        if format_name == "json":
            return await asyncio.to_thread(JSONResponse, comparison)
        return Response(as_text(comparison), media_type=FORMATS[format_name])


def _names(builds: str) -> list[str]:
    names = builds.split(",")
    if "" in names:
        message = "Query parameter builds: a name is empty; one comma stands between two names."
        raise query_error("builds", message, builds, None)
    if not MIN_BUILDS <= len(names) <= MAX_BUILDS:
        message = (
            f"Query parameter builds: {MIN_BUILDS} to {MAX_BUILDS} are compared, not {len(names)}."
        )
        raise query_error("builds", message, builds, None)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        message = f"Query parameter builds: {twice[:128]} is named twice."
        raise query_error("builds", message, builds, None)
    return names


async def _entry(services: Services, name: str, question: Question) -> Entry:
    served = await resolve(services, name)
    try:
        check_rows(served.servable, 1, services.settings)
        wanted = wanted_outputs(served.servable, question, "json")
    except ServiceError as error:
        raise about(name, error) from error
    return Entry(name, served, wanted)
