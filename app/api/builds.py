"""`/v1/builds`: trace a spec and keep it; list, read and forget builds."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.body import read_document
from app.api.negotiate import one_of
from app.api.paging import before_of
from app.api.services import Services, Shared, remove_unused
from app.documents import parse_spec
from app.envelope import Timings, timings
from app.problems import unknown_build
from app.serving.served import served
from app.store.builds import Build
from app.tracing import as_build, trace_spec
from model_zoo import Trace, list_architectures

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
async def create_build(request: Request, services: Shared) -> Response:
    """Enter the scopes, run the network on shapes alone, and answer with totals and warnings.

    The build's id is the digest of its normalized spec: the same spec is the same build.
    """
    body = await read_document(request, services.settings)
    build, is_new = await asyncio.to_thread(_create, services, body, timings(request))
    return JSONResponse(
        build_body(build), 201 if is_new else 200, {"Location": f"/v1/builds/{build.id}"}
    )


def _create(services: Services, body: bytes, clock: Timings) -> tuple[Build, bool]:
    return keep(services, trace_body(services, body, clock), clock)


def keep(services: Services, traced: Trace, clock: Timings) -> tuple[Build, bool]:
    """Keep a trace as a build; return it, and whether it is new.

    Raises: WeightsError if the sources of its weights do not fit.
    """
    architecture = traced.spec.architecture
    with services.metrics.refusals(architecture):
        with clock.measure("plan"):
            build = as_build(traced, services.sources)
        with clock.measure("store"), services.removals:
            # They were there when the plan was made, and may have been removed since.
            services.sources.check(build.spec)
            kept, is_new = services.builds.add(build)
    services.metrics.built(architecture, is_new=is_new, seconds=clock.seconds)
    return kept, is_new


def trace_body(services: Services, body: bytes, clock: Timings) -> Trace:
    """Return the trace of a spec that came as JSON."""
    settings = services.settings
    with clock.measure("trace"):
        document = parse_spec(
            body, max_depth=settings.max_json_depth, max_nodes=settings.max_json_nodes
        )
        named = document.get("architecture") if isinstance(document, dict) else None
        with services.metrics.refusals(named):
            return trace_spec(document, settings)


@router.get(
    "",
    summary="List builds, the newest first",
    responses={200: schemas.answer("One page of builds.", "Builds"), **schemas.problems()},
)
async def list_builds(
    services: Shared,
    architecture: Annotated[
        str | None, Query(description="Only builds of this architecture.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200, description="Builds in a page.")] = 50,
    cursor: Annotated[
        str | None, Query(description="Where to go on: `next` of the page before has it.")
    ] = None,
) -> Response:
    """Each item has the build's totals and number of warnings; `next` leads to the next page."""
    if architecture is not None:
        one_of("architecture", architecture, list_architectures())
    before = before_of(cursor)
    builds = await asyncio.to_thread(
        services.builds.list,
        architecture=architecture,
        before=before,
        limit=limit + 1,  # one more tells whether there is a next page
    )
    page = builds[:limit]
    following = None
    if len(builds) > limit:
        filters = f"&architecture={architecture}" if architecture else ""
        following = f"/v1/builds?limit={limit}{filters}&cursor={page[-1].sequence}"
    return JSONResponse({"builds": [_item(build) for build in page], "next": following})


@router.get(
    "/{build_id}",
    summary="Read a build",
    responses={200: schemas.answer("The build.", "Build"), **schemas.problems("unknown-build")},
)
async def read_build(build_id: str, services: Shared) -> Response:
    """Answer as the request that made it did."""
    return JSONResponse(build_body(await find_build(services, build_id)))


@router.delete(
    "/{build_id}",
    summary="Forget a build and its weight files",
    status_code=204,
    responses={
        204: {"description": "It is forgotten."},
        **schemas.problems("unknown-build", "in-use"),
    },
)
async def delete_build(build_id: str, services: Shared) -> Response:
    """Posting the same spec again makes the same build, with the same id and weights.

    Refused while another build takes weights from it, or a model of a name is it.
    """
    servable = services.servables.get(build_id)
    await find_build(services, build_id)
    await asyncio.to_thread(remove_unused, services, build_id, services.builds.remove)
    services.servables.forget(build_id)
    if servable is not None:
        services.loading.unload(served(servable, services.settings).ref)
    services.statistics.forget(build_id)
    await asyncio.to_thread(services.files.remove, build_id)
    return Response(status_code=204)


async def find_build(services: Services, build_id: str) -> Build:
    """Return a build.

    Raises: ServiceError (404) if there is none of this id.
    """
    build = await asyncio.to_thread(services.builds.get, build_id)
    if build is None:
        raise unknown_build(build_id)
    return build


async def find_trace(services: Services, build_id: str, clock: Timings) -> Trace:
    """Return the trace of a build; it takes milliseconds, so none is kept."""
    build = await find_build(services, build_id)
    with clock.measure("trace"):
        return await asyncio.to_thread(trace_spec, build.spec, services.settings)


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
