"""`/v1/models`: give builds names. What else is under it is TensorFlow Serving's."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.parts import (
    InferenceDep,
    LoadsDep,
    ModelsDep,
    ModelStoreDep,
    NamingDep,
    NetworksDep,
    SettingsDep,
)
from app.documents import parse_document
from app.http import schemas
from app.http.bodies import read_document
from app.http.paging import Cursor, PageLimit, before_of, page_of
from app.serving.models import MAX_VERSION, Models
from app.serving.naming import check_name, read_model_request
from app.store.models import VersionRecord

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
async def put_model(
    request: Request,
    name: str,
    settings: SettingsDep,
    networks: NetworksDep,
    inference: InferenceDep,
    naming: NamingDep,
    models: ModelsDep,
    loads: LoadsDep,
) -> Response:
    """The version is brought into memory at once, and the answer does not wait for that.

    Without `version`: the latest, where that is the same build run in the same way; else the next.
    A version never changes. `labels` are all that it has afterwards; each moves here from the
    version that had it.
    """
    check_name(name)
    body = await read_document(request, settings)
    document = await asyncio.to_thread(parse_document, body, settings)
    model_request = read_model_request(document)
    network = await networks.find(model_request.build)
    inference.check_rows(network, 1)
    record, is_new = await asyncio.to_thread(naming.put, name, model_request)
    loads.load(models.of_record(record, network).ref)
    return JSONResponse(
        model_body(models, record),
        201 if is_new else 200,
        {"Location": f"/v1/models/{name}/versions/{record.version}"},
    )


@router.get(
    "",
    summary="List named models, the newest versions first",
    responses={200: schemas.answer("One page of versions.", "Models"), **schemas.problems()},
)
async def list_models(
    models: ModelsDep,
    model_store: ModelStoreDep,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Response:
    """Every build is a model too, by its id: these are the others.

    `state` is ready, loading, unloading or unavailable; in the last, the next request loads it.
    """
    before = before_of(cursor)
    records = [record for record in model_store.all() if before is None or record.sequence < before]
    page, next_page = page_of(records, limit, "/v1/models")
    return JSONResponse(
        {"models": [model_body(models, record) for record in page], "next": next_page},
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
    naming: NamingDep,
    models: ModelsDep,
    version: Annotated[
        int | None, Query(ge=1, le=MAX_VERSION, description="This version only.")
    ] = None,
) -> Response:
    """The build stays. Its memory is given back, unless another version runs it in the same way."""
    for record in await asyncio.to_thread(naming.forget, name, version):
        await models.release(record)
    return Response(status_code=204)


def model_body(models: Models, record: VersionRecord) -> dict[str, Any]:
    """Return a version as the routes show it."""
    state = models.state(record)
    path = f"models/{record.name}/versions/{record.version}"
    return {
        "name": record.name,
        "version": record.version,
        "build": record.build,
        "labels": list(record.labels),
        "options": {
            "engine": record.engine,
            "precision": record.precision,
            "pinned": record.pinned,
        },
        "created": record.created,
        "state": state.state,
        "reason": state.reason,
        "links": {
            "build": f"/v1/builds/{record.build}",
            "status": f"/v1/{path}",
            "metadata": f"/v1/{path}/metadata",
            "predict": f"/v1/{path}:predict",
            "open-inference": f"/v2/{path}",
            "infer": f"/v2/{path}/infer",
        },
    }
