"""`/v1/builds/{id}/weights`: the weights as a file, made by the worker, sent as it is read."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import BuildsDep, ExchangeDep, WeightExportsDep
from app.http.negotiation import one_of
from app.http.openapi import WORKER_PROBLEMS, problems
from app.http.ranges import file_response
from app.http.routing import needs
from app.store.errors import StoreError
from model_zoo import WEIGHT_FORMATS, find_weight_format

router = APIRouter(prefix="/v1/builds", tags=["weights"])

_OPTIONS = WEIGHT_FORMATS["onnx"].options


@router.get(
    "/{build_id}/weights",
    operation_id="getBuildWeights",
    summary="Download the weights",
    responses={
        200: {
            "description": "The file, with a strong ETag.",
            "content": {each.media_type: {} for each in WEIGHT_FORMATS.values()},
        },
        206: {"description": "The requested range."},
        304: {"description": "If-None-Match names the file's ETag."},
        **problems("unknown-build", "unsatisfiable-range", "weights-refused", *WORKER_PROBLEMS),
    },
)
@needs("read")
async def read_weights(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    weight_exports: WeightExportsDep,
    exchange: ExchangeDep,
    format: Annotated[
        str,
        Query(description="File format.", json_schema_extra={"enum": sorted(WEIGHT_FORMATS)}),
    ] = "safetensors",
    opset: Annotated[
        str | None,
        Query(
            description="Of an ONNX file: the version of its operators; default 20.",
            json_schema_extra={"enum": sorted(_OPTIONS["opset"])},
        ),
    ] = None,
    layout: Annotated[
        str | None,
        Query(
            description="Of an ONNX file: whether channels are last (the default) or first in the "
            "input and the output.",
            json_schema_extra={"enum": list(_OPTIONS["layout"])},
        ),
    ] = None,
) -> Response:
    """The first request writes the file; later requests, and ranges, read it.

    Random weights follow from the spec alone: the same build has the same weights everywhere.
    """
    one_of("format", format, list(WEIGHT_FORMATS))
    given = {"opset": opset, "layout": layout}
    options = {name: value for name, value in given.items() if value is not None}
    file_format = find_weight_format(format, options)
    build = await builds.find(build_id)
    file = await weight_exports.find(exchange, build, format, options)
    try:
        return file_response(
            request,
            file.open,
            sha256=file.sha256,
            media_type=file_format.media_type,
            name=f"{build.architecture}-{build.id[:8]}{file_format.suffix}",
        )
    except FileNotFoundError:  # removed since: with its build, or to make room
        await builds.find(build_id)
        raise StoreError("The file was removed during the request; try again.") from None
