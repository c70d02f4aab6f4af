"""`predict` and `infer`: from a request's inputs to an answer, by way of the engine."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.api import schemas
from app.api.builds import keep, trace_body
from app.api.inputs import Input, read_form
from app.api.inputs import read_inputs as read_body_inputs
from app.api.negotiate import chosen_format
from app.api.outputs import FORMATS, Question, Wanted, encode, wanted_outputs
from app.api.services import Services, Shared
from app.envelope import timings
from app.serving.inference import check_rows, infer, read_inputs
from app.serving.servable import Servable, find_servable
from app.serving.served import served

router = APIRouter(prefix="/v1", tags=["inference"])

Asked = Annotated[Question, Depends()]
_ANSWER = {
    **schemas.answer("The predictions.", "Prediction"),
    "description": "The predictions; as .npy or .npz where that is asked for.",
}
_PROBLEMS = (
    *schemas.BODY_PROBLEMS,
    "malformed-json",
    "not-acceptable",
    "invalid-input",
    "unprocessable",
    "weights-refused",
    *schemas.WORKER_PROBLEMS,
)


@router.post(
    "/builds/{build_id}/predict",
    summary="Run a build on images or arrays",
    openapi_extra={"requestBody": schemas.PREDICT_BODY},
    responses={200: _ANSWER, **schemas.problems("unknown-build", *_PROBLEMS)},
)
async def predict(
    request: Request,
    build_id: str,
    services: Shared,
    question: Asked,
) -> Response:
    """An image is preprocessed as the architecture expects; an array is taken as it is.

    The type is read from Content-Type, or from the first bytes where that says nothing.
    """
    servable = await find_servable(services, build_id)
    format_name = chosen_format(request, question.format, FORMATS)
    inputs = await read_body_inputs(request, services.settings)
    wanted = wanted_outputs(servable, question, format_name)
    return await _answer(request, services, servable, inputs, wanted, [])


@router.post(
    "/infer",
    summary="Build and run in one request",
    openapi_extra={"requestBody": schemas.INFER_BODY},
    responses={
        200: _ANSWER,
        # What a spec can end in, but for the JSON, which an input can be as well.
        **schemas.problems(*schemas.SPEC_PROBLEMS[1:], *_PROBLEMS),
    },
)
async def build_and_infer(
    request: Request,
    services: Shared,
    question: Asked,
) -> Response:
    """A form with the spec, and one image or array for each row. The build is kept."""
    format_name = chosen_format(request, question.format, FORMATS)
    form = await read_form(request, services.settings)
    traced = await asyncio.to_thread(trace_body, services, form.spec, timings(request))
    build, _ = await asyncio.to_thread(keep, services, traced, timings(request))
    servable = await find_servable(services, build.id)
    wanted = wanted_outputs(servable, question, format_name)
    return await _answer(request, services, servable, form.inputs, wanted, build.facts["warnings"])


async def _answer(
    request: Request,
    services: Services,
    servable: Servable,
    inputs: Sequence[Input],
    wanted: Wanted,
    warnings: Sequence[str],
) -> Response:
    check_rows(servable, 1, services.settings)
    clock = timings(request)
    read = await read_inputs(request, services, servable, inputs)
    clock.seconds["decode"] = read.seconds
    model = served(servable, services.settings)
    answer = await infer(request, services, model, read.rows, wanted.outputs)
    clock.seconds.update(answer.seconds)
    facts = {
        "build": servable.build,
        "architecture": servable.architecture,
        "rows": read.rows.count,
        "preprocessing": servable.preprocessing if read.has_images else None,
    }
    with clock.measure("encode"):
        body = await asyncio.to_thread(
            encode, wanted, answer.arrays, facts, [*warnings, *read.warnings]
        )
    return Response(body, media_type=FORMATS[wanted.format])
