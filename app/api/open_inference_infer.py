"""Inference by the Open Inference Protocol V2: JSON, binary tensors, or a body of one tensor."""

import asyncio
import math
from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api import schemas
from app.api.body import read_body
from app.api.inputs import Input
from app.api.open_inference import Named, output_shapes
from app.api.open_inference_schemas import INFER_BODY, VERSION, answers
from app.api.services import Services, Shared
from app.compute.engine import Array, Buffer, Rows
from app.envelope import timings
from app.protocols.names import INPUT
from app.protocols.open_inference.compression import ENCODINGS, chosen_encoding, compress
from app.protocols.open_inference.inputs import tail_buffers
from app.protocols.open_inference.reading import arguments_of, request_of
from app.protocols.open_inference.request import (
    InferRequest,
    Read,
    json_size,
    raw_request,
    read_request,
)
from app.protocols.open_inference.response import Encoded, encode_response
from app.protocols.open_inference.target import Target
from app.serving.inference import (
    check_rows,
    infer,
    read_inputs,
    while_connected,
)
from app.serving.served import Served

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_HEADER_LENGTH = "Inference-Header-Content-Length"
# Longer JSON is read by another process: this much takes the API's about a millisecond.
_INLINE_JSON_BYTES = 64 * 1024
# Larger answers are written in a thread.
_INLINE_ANSWER_BYTES = 16 * 1024

_ANSWER = answers(
    "The outputs; application/octet-stream where one of them is binary.",
    "unknown-model",
    "malformed-json",
    *schemas.BODY_PROBLEMS,
    "invalid-input",
    "unprocessable",
    "weights-refused",
    *schemas.WORKER_PROBLEMS,
)


@router.post(
    "/models/{name}/versions/{version}/infer",
    summary="Run a version of a model",
    openapi_extra={**VERSION, **INFER_BODY},
    responses=_ANSWER,
)
@router.post(
    "/models/{name}/infer",
    summary="Run a model",
    openapi_extra=INFER_BODY,
    responses=_ANSWER,
)
async def infer_model(request: Request, services: Shared, model: Named) -> Response:
    """JSON, with binary tensors after it, or a tensor or image file alone.

    The header Inference-Header-Content-Length tells which. The body may be gzip or deflate, and so
    may the answer be. A model that is not in memory is loaded first.
    """
    request.state.model = model.name
    body = await read_body(request, services.settings, ENCODINGS)
    asked, data = await _read(request, services, model, body)
    check_rows(model.servable, asked.tensor.rows, services.settings)
    rows, warnings = await _rows(request, services, model, asked, data)
    names = [output.name for output in asked.outputs]
    answer = await infer(request, services, model, rows, names, timeout_s=asked.timeout_s)
    clock = timings(request)
    clock.seconds.update(answer.seconds)
    encoding = chosen_encoding(", ".join(request.headers.getlist("accept-encoding")))
    with clock.measure("encode"):
        encoded = await _encoded(model, asked, answer.arrays, warnings, encoding)
    headers = {"Vary": "Accept-Encoding"}
    if encoded.json_bytes is not None:
        headers[_HEADER_LENGTH] = str(encoded.json_bytes)
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    is_json = encoded.json_bytes is None
    media_type = "application/json" if is_json else "application/octet-stream"
    return Response(encoded.body, headers=headers, media_type=media_type)


async def _read(request: Request, services: Services, model: Served, body: bytes) -> Read:
    """Return what a body asks for, and its data: the rows, or image files."""
    target = _target(services, model)
    header = request.headers.get(_HEADER_LENGTH)
    size = json_size(header, len(body))
    if header is not None and size == 0:
        return raw_request(body, target)
    text, tail = body[:size], memoryview(body)[size:]
    if size <= _INLINE_JSON_BYTES:
        asked, data = read_request(text, len(tail), target)
    else:
        arguments = arguments_of(target, len(tail))
        reading = services.engine.read("open_inference", arguments, [text])
        reply = await while_connected(request, reading)
        timings(request).seconds.update(reply.seconds)
        asked, data = request_of(reply.result), reply.buffers
    if asked.tensor.is_in_tail:
        data = tail_buffers(asked.tensor, tail)
    return asked, data


def _target(services: Services, model: Served) -> Target:
    shapes = output_shapes(model.servable)
    return Target(
        model.name,
        model.servable.input_shape,
        {name: math.prod(shape) for name, shape in shapes.items()},
        services.settings.max_batch,
        services.settings.max_instance_nodes,
    )


async def _rows(
    request: Request, services: Services, model: Served, asked: InferRequest, data: Sequence[Buffer]
) -> tuple[Rows, Sequence[str]]:
    """Return the rows, and warnings; image files are given the model's preprocessing."""
    if asked.tensor.name == INPUT:
        return Rows(data[0], asked.tensor.rows), ()
    images = [
        Input("image", f"/inputs/0/data/{index}", bytes(image)) for index, image in enumerate(data)
    ]
    read = await read_inputs(request, services, model.servable, images)
    timings(request).seconds["decode"] = read.seconds
    return read.rows, read.warnings


async def _encoded(
    model: Served,
    asked: InferRequest,
    arrays: Mapping[str, Array],
    warnings: Sequence[str],
    encoding: str | None,
) -> Encoded:
    def encode() -> Encoded:
        encoded = encode_response(model.name, str(model.version), asked, arrays, warnings)
        if encoding is None:
            return encoded
        return Encoded(compress(encoded.body, encoding), encoded.json_bytes)

    if sum(arrays[output.name].nbytes for output in asked.outputs) <= _INLINE_ANSWER_BYTES:
        return encode()
    return await asyncio.to_thread(encode)
