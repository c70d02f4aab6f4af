"""`/v1/builds/{id}/weights`: the weights as a file, made by the worker, sent from the disk."""

import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api import schemas
from app.api.builds import find_build
from app.api.files import file_response
from app.api.negotiate import one_of
from app.api.services import Services, Shared
from app.envelope import timings
from app.serving.inference import while_connected
from app.store.builds import Build
from app.store.errors import StoreError
from app.store.files import WeightFile
from model_zoo import WEIGHT_FORMATS

router = APIRouter(prefix="/v1/builds", tags=["builds"])


@router.get(
    "/{build_id}/weights",
    summary="Download the weights",
    responses={
        200: {
            "description": "The file, with a strong ETag.",
            "content": {kind.media_type: {} for kind in WEIGHT_FORMATS.values()},
        },
        206: {"description": "The range that was asked for."},
        304: {"description": "If-None-Match names the file's ETag."},
        **schemas.problems(
            "unknown-build", "unsatisfiable-range", "weights-refused", *schemas.WORKER_PROBLEMS
        ),
    },
)
async def read_weights(
    request: Request,
    build_id: str,
    services: Shared,
    format: Annotated[
        str,
        Query(description="File format.", json_schema_extra={"enum": sorted(WEIGHT_FORMATS)}),
    ] = "safetensors",
) -> Response:
    """The first request makes the file; later ones, and ranges of it, come from the disk.

    Random weights follow from the spec alone: the same build has the same weights everywhere.
    """
    one_of("format", format, list(WEIGHT_FORMATS))
    build = await find_build(services, build_id)
    kind = WEIGHT_FORMATS[format]
    file = await asyncio.to_thread(services.files.find, build.id, kind.suffix)
    if file is None:
        file = await _make(request, services, build, format)
    try:
        return file_response(
            request,
            file.path,
            sha256=file.sha256,
            media_type=kind.media_type,
            name=f"{build.architecture}-{build.id[:8]}{kind.suffix}",
        )
    except FileNotFoundError:  # removed since: with its build, or to make room
        await find_build(services, build_id)
        raise StoreError("The file was removed while it was asked for; ask again.") from None


async def _make(request: Request, services: Services, build: Build, format_name: str) -> WeightFile:
    arguments = {
        "build": build.id,
        "format": format_name,
        "folder": str(services.files.folder.absolute()),
    }
    job = await asyncio.to_thread(services.job, "save_weights", build.spec, arguments)
    reply = await while_connected(request, services.engine.run(job))
    timings(request).seconds.update(reply.seconds)
    file = WeightFile(Path(reply.result["path"]), reply.result["sha256"])
    await asyncio.to_thread(services.files.prune, file.path)
    return file
