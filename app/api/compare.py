"""`POST /v1/compare`: the same input to several builds, and how far they agree."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import ExchangeDep, InferenceDep, ModelsDep, SettingsDep
from app.api.prediction_query import OutputQuery, select_outputs
from app.errors import ServiceError
from app.http.inputs import read_inputs
from app.http.negotiation import TEXT_FORMATS, Writers, chosen_format, format_query, written
from app.http.openapi import INFERENCE_PROBLEMS, answer, problems
from app.http.problems import as_service_error, problem_summary, query_error, with_subject
from app.http.request_bodies import INPUTS
from app.http.routing import needs, runs_inference
from app.serving.comparison_run import ComparedModel, ComparisonBody, ComparisonRun
from app.serving.comparison_text import as_text
from app.serving.inference import Inference
from app.serving.models import Models

router = APIRouter(prefix="/v1", tags=["predictions"])

MIN_BUILDS, MAX_BUILDS = 2, 16


@dataclass(frozen=True, slots=True)
class ComparisonQuery(OutputQuery):
    """The query of a comparison: that of a prediction, in other forms."""

    format: Annotated[str | None, format_query(TEXT_FORMATS)] = None


@router.post(
    "/compare",
    operation_id="compareModels",
    summary="Run several models on the same input",
    openapi_extra=INPUTS,
    responses={
        200: answer("Results and agreement.", ComparisonBody, TEXT_FORMATS.values()),
        **problems("unknown-model", "not-acceptable", *INFERENCE_PROBLEMS),
    },
)
@runs_inference
@needs("infer")
async def compare(
    request: Request,
    settings: SettingsDep,
    models: ModelsDep,
    inference: InferenceDep,
    exchange: ExchangeDep,
    builds: Annotated[
        str,
        Query(description="Two to 16 ids of builds, or names of models, separated by commas."),
    ],
    query: Annotated[ComparisonQuery, Depends()],
) -> Response:
    """An image is preprocessed for each model as its architecture expects; an array must fit all.

    The models run one after the other, so that their times can be compared. The result of one that
    fails is its problem. Agreement is that of the raw outputs.
    """
    format_name = chosen_format(request, query.format, TEXT_FORMATS)
    entries = [await _entry(models, inference, name, query) for name in _names(builds)]
    run = ComparisonRun(exchange, inference, await read_inputs(request, settings))
    await run.check(entries)
    for entry in entries:
        await run.compute(entry)
    errors = {name: as_service_error(error) for name, error in run.failures.items()}
    if len(errors) == len(entries):
        name, error = next(iter(errors.items()))
        raise with_subject(name, error)
    summaries = {name: problem_summary(error) for name, error in errors.items()}
    with exchange.timings.measure("encode"):
        comparison = await asyncio.to_thread(run.comparison, entries, summaries)
        writers: Writers = {"json": lambda: comparison, "text": partial(as_text, comparison)}
        return await asyncio.to_thread(written, format_name, writers)


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


async def _entry(
    models: Models, inference: Inference, name: str, query: OutputQuery
) -> ComparedModel:
    model = await models.resolve(name)
    try:
        inference.check_rows(model.network, 1)
        selection = select_outputs(model, query, "json")
    except ServiceError as error:
        raise with_subject(name, error) from error
    return ComparedModel(name, model, selection)
