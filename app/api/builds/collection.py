"""`/v1/builds` and `/v1/builds/{id}`: trace a spec and keep it; list, read and forget builds."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.parts import BuildsDep, ModelsDep, SettingsDep, WeightExportsDep
from app.builds import Builds
from app.http import schemas
from app.http.bodies import read_document
from app.http.exchange import timings
from app.http.negotiation import one_of
from app.http.paging import Cursor, PageLimit, before_of, page_of
from app.store.builds import Build
from app.telemetry.timings import Timings
from model_zoo import list_architectures

router = APIRouter(prefix="/v1/builds", tags=["builds"])


@router.post(
    "",
    summary="Trace a spec and keep it as a build",
    status_code=201,
    responses={
        201: schemas.answer("The build is new.", "Build"),
        200: schemas.answer("The same build was posted before.", "Build"),
        **schemas.problems(*schemas.BODY_PROBLEMS, *schemas.SPEC_PROBLEMS, "weights-refused"),
    },
)
async def create_build(request: Request, builds: BuildsDep, settings: SettingsDep) -> Response:
    """Enter the scopes, run the network on shapes alone, and answer with totals and warnings.

    The build's id is the digest of its normalized spec: the same spec is the same build.
    """
    body = await read_document(request, settings)
    build, is_new = await asyncio.to_thread(_create, builds, body, timings(request))
    return JSONResponse(
        build_body(build), 201 if is_new else 200, {"Location": f"/v1/builds/{build.id}"}
    )


def _create(builds: Builds, body: bytes, timings: Timings) -> tuple[Build, bool]:
    return builds.keep(builds.trace_body(body, timings), timings)


@router.get(
    "",
    summary="List builds, the newest first",
    responses={200: schemas.answer("One page of builds.", "Builds"), **schemas.problems()},
)
async def list_builds(
    builds: BuildsDep,
    architecture: Annotated[
        str | None, Query(description="Only builds of this architecture.")
    ] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Response:
    """Each item has the build's totals and number of warnings; `next` leads to the next page."""
    if architecture is not None:
        one_of("architecture", architecture, list_architectures())
    items = await builds.page(
        architecture=architecture,
        before=before_of(cursor),
        limit=limit + 1,  # one more tells whether there is a next page
    )
    page, next_page = page_of(items, limit, "/v1/builds", architecture=architecture)
    return JSONResponse({"builds": [_item(build) for build in page], "next": next_page})


@router.get(
    "/{build_id}",
    summary="Read a build",
    responses={200: schemas.answer("The build.", "Build"), **schemas.problems("unknown-build")},
)
async def read_build(build_id: str, builds: BuildsDep) -> Response:
    """Answer as the request that made it did."""
    return JSONResponse(build_body(await builds.find(build_id)))


@router.delete(
    "/{build_id}",
    summary="Forget a build and its weight files",
    status_code=204,
    responses={
        204: {"description": "It is forgotten."},
        **schemas.problems("unknown-build", "in-use"),
    },
)
async def delete_build(
    build_id: str, builds: BuildsDep, models: ModelsDep, weight_exports: WeightExportsDep
) -> Response:
    """Posting the same spec again makes the same build, with the same id and weights.

    Refused while another build takes weights from it, or a model of a name is it.
    """
    await builds.find(build_id)
    await asyncio.to_thread(builds.remove, build_id)
    models.release_build(build_id)
    await weight_exports.remove(build_id)
    return Response(status_code=204)


def build_body(build: Build) -> dict[str, Any]:
    """Return a build as the routes show it."""
    path = f"/v1/builds/{build.id}"
    return {
        "id": build.id,
        "architecture": build.architecture,
        "created": build.created,
        "spec": build.spec,
        "restore": None,
        **build.facts,
        "links": {
            "self": path,
            "summary": f"{path}/summary",
            "explanation": f"{path}/explanation",
            "restore-plan": f"{path}/restore-plan",
            "weights": f"{path}/weights",
            "predict": f"{path}/predict",
        },
    }


def _item(build: Build) -> dict[str, Any]:
    return {
        "id": build.id,
        "architecture": build.architecture,
        "created": build.created,
        "totals": build.facts["totals"],
        "warnings": len(build.facts["warnings"]),
        "links": {"self": f"/v1/builds/{build.id}"},
    }
