"""`POST /v1/infer`: build and run in one request."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.api.builds.predict import ANSWER, respond
from app.api.parts import (
    BuildsDep,
    ExchangeDep,
    InferenceDep,
    ModelsDep,
    SettingsDep,
)
from app.api.prediction_query import FORMATS, PredictionQuery, select_outputs
from app.http.direct_route import DirectRoute
from app.http.inputs import read_form
from app.http.negotiation import chosen_format
from app.http.openapi import INFERENCE_PROBLEMS, SPEC_PROBLEMS, problems
from app.http.request_bodies import SPEC_AND_INPUTS
from app.http.routing import needs, runs_inference

router = APIRouter(prefix="/v1", tags=["predictions"], route_class=DirectRoute)


@router.post(
    "/infer",
    operation_id="buildAndInfer",
    summary="Build and run in one request",
    openapi_extra=SPEC_AND_INPUTS,
    responses={
        200: ANSWER,
        # Both lists have malformed JSON.
        **problems(*SPEC_PROBLEMS[1:], "not-acceptable", *INFERENCE_PROBLEMS),
    },
)
@runs_inference
@needs("build")
async def build_and_infer(
    request: Request,
    settings: SettingsDep,
    builds: BuildsDep,
    models: ModelsDep,
    inference: InferenceDep,
    exchange: ExchangeDep,
    query: Annotated[PredictionQuery, Depends()],
) -> Response:
    """The body is a form with the spec, and an image or array for each row. The build is kept."""
    format_name = chosen_format(request, query.format, FORMATS)
    form = await read_form(request, settings)
    build, _, _ = await builds.keep(form.spec, exchange.timings, lambda _traced: None)
    model = await models.find_build(build.id)
    selection = select_outputs(model, query, format_name)
    return await respond(
        exchange,
        inference,
        model,
        form.inputs,
        selection,
        build.facts["warnings"],
    )
