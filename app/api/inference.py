"""`predict` and `infer`: from a request's inputs to an answer, by way of the engine."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.api import schemas
from app.api.builds import find_trace, keep, trace_body
from app.api.connection import run_while_connected
from app.api.inputs import Input, read_form, read_inputs
from app.api.negotiate import chosen_format
from app.api.outputs import FORMATS, Question, Wanted, encode, wanted_outputs
from app.api.services import Services, Shared
from app.envelope import timings
from app.problems import ServiceError
from model_zoo import Trace

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
    traced = await find_trace(services, build_id, timings(request))
    format_name = chosen_format(request, question.format, FORMATS)
    inputs = await read_inputs(request, services.settings)
    wanted = wanted_outputs(traced, question, format_name)
    return await _answer(request, services, traced, inputs, wanted, [])


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
async def infer(
    request: Request,
    services: Shared,
    question: Asked,
) -> Response:
    """A form with the spec, and one image or array for each row. The build is kept."""
    format_name = chosen_format(request, question.format, FORMATS)
    form = await read_form(request, services.settings)
    traced = await asyncio.to_thread(trace_body, services, form.spec, timings(request))
    build, _ = await asyncio.to_thread(keep, services, traced, timings(request))
    wanted = wanted_outputs(traced, question, format_name)
    return await _answer(request, services, traced, form.inputs, wanted, build.facts["warnings"])


async def _answer(
    request: Request,
    services: Services,
    traced: Trace,
    inputs: Sequence[Input],
    wanted: Wanted,
    warnings: Sequence[str],
) -> Response:
    spec = traced.spec
    if spec.is_training:
        raise ServiceError(
            "unprocessable",
            "The build has is_training true, and predictions are made in inference mode. Post the "
            "spec with is_training false; its weights are the same.",
        )
    arguments = {
        "inputs": [{"kind": item.kind, "pointer": item.pointer} for item in inputs],
        "outputs": wanted.end_points,
    }
    buffers = [item.data for item in inputs]
    job = await asyncio.to_thread(services.job, "predict", spec.normalized(), arguments, buffers)
    reply = await run_while_connected(request, services.engine, job)
    clock = timings(request)
    clock.seconds.update(reply.seconds)
    facts = {
        "build": spec.digest,
        "architecture": spec.architecture,
        "rows": reply.result["rows"],
        "preprocessing": reply.result["preprocessing"],
    }
    arrays = {
        name: np.frombuffer(data, np.float32).reshape(shape)
        for name, data, shape in zip(
            wanted.end_points, reply.buffers, reply.result["shapes"], strict=True
        )
    }
    with clock.measure("encode"):
        body = await asyncio.to_thread(
            encode, wanted, arrays, facts, [*warnings, *reply.result["warnings"]]
        )
    return Response(body, media_type=FORMATS[wanted.format])
