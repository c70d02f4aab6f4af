"""`/v1/models`: give builds names and versions. What else is under it is TensorFlow Serving's."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.body import read_document
from app.api.paging import before_of
from app.api.services import Services, Shared
from app.documents import parse_spec
from app.serving.inference import check_rows
from app.serving.models import (
    MAX_VERSION,
    running_alike,
    served_version,
    version_ref,
    version_state,
)
from app.serving.naming import check_name, forget, place, read_naming
from app.serving.servable import find_servable
from app.store.models import ModelVersion

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.put(
    "/{name}",
    summary="Give a build a name",
    status_code=201,
    openapi_extra={"requestBody": schemas.MODEL_BODY},
    responses={
        201: schemas.answer("The version is new.", "Model"),
        200: schemas.answer("There was this version already.", "Model"),
        **schemas.problems(
            *schemas.BODY_PROBLEMS,
            "malformed-json",
            "unknown-build",
            "conflict",
            "unprocessable",
            "store-full",
        ),
    },
)
async def put_model(request: Request, name: str, services: Shared) -> Response:
    """The version is brought into memory at once, and the answer does not wait for that.

    Without `version`: the latest, where that is the same build run in the same way; else the next.
    A version never changes. `labels` are all that it has afterwards; each moves here from the
    version that had it.
    """
    check_name(name)
    settings = services.settings
    document = await asyncio.to_thread(
        parse_spec,
        await read_document(request, settings),
        max_depth=settings.max_json_depth,
        max_nodes=settings.max_json_nodes,
    )
    naming = read_naming(document)
    servable = await find_servable(services, naming.build)
    check_rows(servable, 1, settings)
    version, is_new = await asyncio.to_thread(place, services, name, naming)
    services.loading.load(served_version(services, version, servable).ref)
    return JSONResponse(
        model_body(services, version),
        201 if is_new else 200,
        {"Location": f"/v1/models/{name}/versions/{version.version}"},
    )


@router.get(
    "",
    summary="List named models, the newest versions first",
    responses={200: schemas.answer("One page of versions.", "Models"), **schemas.problems()},
)
async def list_models(
    services: Shared,
    limit: Annotated[int, Query(ge=1, le=200, description="Versions in a page.")] = 50,
    cursor: Annotated[
        str | None, Query(description="Where to go on: `next` of the page before has it.")
    ] = None,
) -> Response:
    """Every build is a model too, by its id: these are the others.

    `state` is ready, loading, unloading or unavailable; in the last, the next request loads it.
    """
    before = before_of(cursor)
    found = [
        version for version in services.models.all() if before is None or version.sequence < before
    ]
    page = found[:limit]
    following = None
    if len(found) > limit:
        following = f"/v1/models?limit={limit}&cursor={page[-1].sequence}"
    return JSONResponse(
        {"models": [model_body(services, version) for version in page], "next": following},
        headers={"Cache-Control": "no-store"},
    )


@router.delete(
    "/{name}",
    summary="Forget a name, or a version of it",
    status_code=204,
    responses={
        204: {"description": "It is forgotten."},
        **schemas.problems("unknown-model"),
    },
)
async def delete_model(
    name: str,
    services: Shared,
    version: Annotated[
        int | None, Query(ge=1, le=MAX_VERSION, description="This version only.")
    ] = None,
) -> Response:
    """The build stays. Its memory is given back, unless another version runs it in the same way."""
    for forgotten in await asyncio.to_thread(forget, services, name, version):
        services.statistics.forget(name, str(forgotten.version))
        others = running_alike(services, forgotten)
        if not others:
            services.loading.unload(version_ref(services, forgotten))
        elif forgotten.pinned and not any(other.pinned for other in others):
            servable = await find_servable(services, forgotten.build)
            services.loading.load(served_version(services, others[0], servable).ref)
    return Response(status_code=204)


def model_body(services: Services, version: ModelVersion) -> dict[str, Any]:
    """Return a version as the routes show it."""
    state = version_state(services, version)
    path = f"models/{version.name}/versions/{version.version}"
    return {
        "name": version.name,
        "version": version.version,
        "build": version.build,
        "labels": list(version.labels),
        "options": {
            "engine": version.engine,
            "precision": version.precision,
            "pinned": version.pinned,
        },
        "created": version.created,
        "state": state.state,
        "reason": state.reason,
        "links": {
            "build": f"/v1/builds/{version.build}",
            "status": f"/v1/{path}",
            "metadata": f"/v1/{path}/metadata",
            "predict": f"/v1/{path}:predict",
            "open-inference": f"/v2/{path}",
            "infer": f"/v2/{path}/infer",
        },
    }
