"""Inference by the Open Inference Protocol V2: JSON, binary tensors, or a body of one tensor."""

from collections.abc import Mapping, Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.open_inference.requests import INFER
from app.api.open_inference.resolving import VERSION, ModelDep
from app.api.parts import ExchangeDep, InferenceDep, SettingsDep
from app.arrays import INPUT, Array, Buffer
from app.engine import Rows
from app.http.bodies import read_body
from app.http.direct_route import DirectRoute
from app.http.exchange import HttpExchange
from app.http.negotiation import chosen_encoding
from app.http.openapi import INFERENCE_PROBLEMS, Responses, answer, problems
from app.http.routing import needs, runs_inference
from app.protocols.open_inference.compression import ENCODINGS, compress
from app.protocols.open_inference.inputs import tail_buffers
from app.protocols.open_inference.request import (
    InferRequest,
    ReadRequest,
    json_size,
    raw_request,
    read_request,
)
from app.protocols.open_inference.response import Encoded, V2InferResponseBody, encode_response
from app.protocols.open_inference.signature import ModelSignature
from app.serving.class_names import check_names_bytes, names_bytes
from app.serving.exchange import while_connected
from app.serving.inference import Inference, Input
from app.serving.models import ModelVersion
from app.serving.outputs import without_blocking
from app.settings import Settings
from app.tasks import ReadOpenInference

router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=DirectRoute)

_HEADER_LENGTH = "Inference-Header-Content-Length"
# Longer JSON is read by another process: this much takes the API's about a millisecond.
_INLINE_JSON_BYTES = 64 * 1024

_RESPONSES: Responses = {
    200: answer(
        "The outputs; application/octet-stream if one of them is binary.",
        V2InferResponseBody,
        ("application/octet-stream",),
    ),
    **problems("unknown-model", *INFERENCE_PROBLEMS),
}


@router.post(
    "/models/{name}/versions/{version}/infer",
    operation_id="v2InferVersion",
    summary="Run a version of a model",
    openapi_extra={**VERSION, **INFER},
    responses=_RESPONSES,
)
@router.post(
    "/models/{name}/infer",
    operation_id="v2Infer",
    summary="Run a model",
    openapi_extra=INFER,
    responses=_RESPONSES,
)
@runs_inference
@needs("infer")
async def infer_model(
    request: Request,
    model: ModelDep,
    settings: SettingsDep,
    inference: InferenceDep,
    exchange: ExchangeDep,
) -> Response:
    """The body is JSON, alone or followed by binary tensors, or one tensor or image file.

    The header Inference-Header-Content-Length is the size of the JSON. Body and answer may be gzip
    or deflate. A model that is not in memory is loaded first.
    """
    exchange.name_model(model.name)
    body = await read_body(request, settings, ENCODINGS)
    header = request.headers.get(_HEADER_LENGTH)
    infer_request, data = await _read(exchange, inference, model, body, header)
    inference.check_rows(model.network, infer_request.tensor.rows)
    names_size = _names_bytes(model, infer_request)
    check_names_bytes(names_size)
    rows, warnings = await _rows(exchange, inference, model, infer_request, data)
    names = [output.name for output in infer_request.outputs]
    timeout_s = infer_request.timeout_s
    result = await inference.infer(exchange, model, rows, names, timeout_s=timeout_s)
    accept = ", ".join(request.headers.getlist("accept-encoding"))
    encoding = chosen_encoding(accept, ENCODINGS)
    with exchange.timings.measure("encode"):
        encoded = await _encoded(
            model, infer_request, result.arrays, warnings, encoding, names_size
        )
    headers = {"Vary": "Accept-Encoding"}
    if encoded.json_bytes is not None:
        headers[_HEADER_LENGTH] = str(encoded.json_bytes)
    if encoding is not None:
        headers["Content-Encoding"] = encoding
    is_json = encoded.json_bytes is None
    media_type = "application/json" if is_json else "application/octet-stream"
    return Response(encoded.body, headers=headers, media_type=media_type)


async def _read(
    exchange: HttpExchange,
    inference: Inference,
    model: ModelVersion,
    body: bytes,
    header: str | None,
) -> ReadRequest:
    """Return the request of a body, and its data: the rows, or image files."""
    signature = _signature(model, inference.settings)
    size = json_size(header, len(body))
    if header is not None and size == 0:
        return raw_request(body, signature)
    text, tail = body[:size], memoryview(body)[size:]
    if size <= _INLINE_JSON_BYTES:
        infer_request, data = read_request(text, len(tail), signature)
    else:
        task = ReadOpenInference(signature, len(tail))
        reply = await while_connected(exchange, inference.engine.read(task, [text]))
        exchange.timings.add(reply.seconds)
        infer_request, data = reply.result, reply.buffers
    if infer_request.tensor.is_in_tail:
        data = tail_buffers(infer_request.tensor, tail)
    return infer_request, data


def _names_bytes(model: ModelVersion, infer_request: InferRequest) -> int:
    """Return the size of the names of the requested classes."""
    rows, names = infer_request.tensor.rows, model.class_names
    return sum(
        names_bytes(names, rows, each.classes) for each in infer_request.outputs if each.classes
    )


def _signature(model: ModelVersion, settings: Settings) -> ModelSignature:
    return ModelSignature(
        model.name,
        model.network.input_shape,
        model.network.output_values,
        settings.max_batch,
        settings.max_instance_nodes,
    )


async def _rows(
    exchange: HttpExchange,
    inference: Inference,
    model: ModelVersion,
    infer_request: InferRequest,
    data: Sequence[Buffer],
) -> tuple[Rows, Sequence[str]]:
    """Return the rows, and warnings; image files are given the model's preprocessing."""
    if infer_request.tensor.name == INPUT:
        return Rows(data[0], infer_request.tensor.rows), _warnings(model, infer_request)
    images = [
        Input("image", f"/inputs/0/data/{index}", bytes(image)) for index, image in enumerate(data)
    ]
    read = await inference.read(exchange, model.network, images)
    return read.rows, [*read.warnings, *_warnings(model, infer_request)]


def _warnings(model: ModelVersion, infer_request: InferRequest) -> Sequence[str]:
    """Return the warnings about class names, if the request asks for classes."""
    return model.warnings if any(each.classes for each in infer_request.outputs) else ()


async def _encoded(
    model: ModelVersion,
    infer_request: InferRequest,
    arrays: Mapping[str, Array],
    warnings: Sequence[str],
    encoding: str | None,
    names_size: int,
) -> Encoded:
    names = model.class_names if any(each.classes for each in infer_request.outputs) else ()

    def encode() -> Encoded:
        encoded = encode_response(
            model.name, str(model.version), infer_request, arrays, warnings, names
        )
        if encoding is None:
            return encoded
        return Encoded(compress(encoded.body, encoding), encoded.json_bytes)

    return await without_blocking(encode, arrays, names_size)
