"""`/v1/builds` and `/v1/builds/{id}`: trace a spec and keep it; list, read and forget builds."""

import asyncio
import functools
from collections.abc import Sequence
from typing import Annotated, get_args

from fastapi import APIRouter, Query
from pydantic import Field, WithJsonSchema
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.builds.bodies import (
    BuildBody,
    PostedBuildBody,
    PostedReportsBody,
    Report,
    TracedBuildBody,
    build_body,
    posted_reports_body,
    traced_build_body,
)
from app.api.parts import BuildsDep, FollowingDep, SettingsDep, WeightExportsDep
from app.body_fields import BuildId, Links, Time
from app.builds import Builds
from app.http.access import changes_nothing
from app.http.bodies import read_document
from app.http.exchange import timings
from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.negotiation import one_of, some_of
from app.http.openapi import BODY_PROBLEMS, SPEC_PROBLEMS, answer, problems
from app.http.paging import Cursor, PageLimit, page_of, read_cursor
from app.http.routing import needs
from app.store.builds import Build
from app.telemetry.timings import Timings
from model_zoo import Totals, Trace, list_architectures

router = APIRouter(prefix="/v1/builds", tags=["builds"])

_REPORTS: tuple[Report, ...] = get_args(Report)
_Include = Annotated[str, WithJsonSchema({"type": "string", "enum": list(_REPORTS)})]


class BuildItemBody(TypedDict):
    """A build in a list."""

    id: BuildId
    architecture: str
    created: Time
    totals: Totals
    warnings: Annotated[int, Field(description="How many there are.")]
    links: Links


class BuildsBody(TypedDict):
    """One page of builds, and the path of the next page."""

    builds: list[BuildItemBody]
    next: str | None


@router.post(
    "",
    operation_id="createBuild",
    summary="Create a build from a spec",
    status_code=201,
    responses={
        201: answer("The build is new.", PostedBuildBody),
        200: answer(
            "The same build exists already, or `keep` is false.", PostedBuildBody | TracedBuildBody
        ),
        **problems(*BODY_PROBLEMS, *SPEC_PROBLEMS, "weights-refused"),
    },
)
@needs("build")
async def create_build(
    request: Request,
    builds: BuildsDep,
    settings: SettingsDep,
    keep: Annotated[
        bool, Query(description="If false, nothing is stored, and the layers are in the answer.")
    ] = True,
    include: Annotated[
        Sequence[_Include],
        Query(
            description="Reports to add to the answer, one a parameter.",
            json_schema_extra={"uniqueItems": True},
        ),
    ] = (),
) -> Response:
    """The network runs on shapes alone, inside the scopes; the answer has totals and warnings.

    A build's id is the digest of its normalized spec: the same spec is the same build.
    """
    reports = some_of("include", include, _REPORTS)
    body = await read_document(request, settings)
    clock = timings(request)
    if not keep:
        changes_nothing(request)
        return await builds.posting.run(_trace, builds, body, reports, clock)
    with_reports = functools.partial(_reported, reports=reports, timings=clock)
    build, is_new, reported = await builds.keep(body, clock, with_reports)
    return await asyncio.to_thread(_posted, build, is_new, reported, clock)


def _trace(builds: Builds, body: bytes, reports: Sequence[Report], timings: Timings) -> Response:
    traced = builds.trace_body(body, timings)
    build = builds.plan(traced, timings)
    with timings.measure("reports"):
        content = traced_build_body(build, traced, reports)
    with timings.measure("encode"):
        return JsonAnswer(content)


def _reported(traced: Trace, reports: Sequence[Report], timings: Timings) -> PostedReportsBody:
    with timings.measure("reports"):
        return posted_reports_body(traced, reports)


def _posted(build: Build, is_new: bool, reports: PostedReportsBody, timings: Timings) -> Response:
    content: PostedBuildBody = {**build_body(build), **reports}
    with timings.measure("encode"):
        location = link(f"/v1/builds/{build.id}")
        return JsonAnswer(content, 201 if is_new else 200, {"Location": location})


@router.get(
    "",
    operation_id="listBuilds",
    summary="List builds, the newest first",
    responses={200: answer("One page of builds.", BuildsBody)},
)
@needs("read")
async def list_builds(
    builds: BuildsDep,
    architecture: Annotated[
        str | None, Query(description="Only builds of this architecture.")
    ] = None,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Response:
    """Each item has the build's totals and its number of warnings."""
    if architecture is not None:
        one_of("architecture", architecture, list_architectures())
    items = await builds.page(
        architecture=architecture,
        before=read_cursor(cursor),
        limit=limit + 1,  # one more tells whether there is a next page
    )
    page, next_page = page_of(items, limit, "/v1/builds", architecture=architecture)
    body: BuildsBody = {"builds": [_item(build) for build in page], "next": next_page}
    return JsonAnswer(body)


@router.get(
    "/{build_id}",
    operation_id="getBuild",
    summary="Get a build",
    responses={200: answer("The build.", BuildBody), **problems("unknown-build")},
)
@needs("read")
async def read_build(build_id: str, builds: BuildsDep) -> Response:
    """The same answer as to the request that created it."""
    return JsonAnswer(build_body(await builds.find(build_id)))


@router.delete(
    "/{build_id}",
    operation_id="deleteBuild",
    summary="Delete a build and its weight files",
    status_code=204,
    responses={
        204: {"description": "The build is deleted."},
        **problems("unknown-build", "in-use"),
    },
)
@needs("admin")
async def delete_build(
    build_id: str, builds: BuildsDep, following: FollowingDep, weight_exports: WeightExportsDep
) -> Response:
    """Refused while another build takes weights from it, or while a named model uses it.

    Posting the same spec again creates the same build, with the same id and weights.
    """
    await builds.find(build_id)
    await builds.remove(build_id)
    await following.settle()
    await weight_exports.remove(build_id)
    return Response(status_code=204)


def _item(build: Build) -> BuildItemBody:
    return {
        "id": build.id,
        "architecture": build.architecture,
        "created": build.created,
        "totals": build.facts["totals"],
        "warnings": len(build.facts["warnings"]),
        "links": {"self": link(f"/v1/builds/{build.id}")},
    }
