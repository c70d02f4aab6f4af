"""`/v1/builds/{id}/restore-plan`: what each source of weights gives to each variable."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import BuildsDep, SettingsDep
from app.builds import Builds
from app.documents import parse_document
from app.http.bodies import read_document
from app.http.exchange import timings
from app.http.negotiation import TEXT_FORMATS, chosen_format, format_query, written
from app.http.openapi import BODY_PROBLEMS, answer, problems
from app.http.request_bodies import SOURCES
from app.http.routing import needs
from app.settings import Settings
from app.store.builds import Build
from app.telemetry.timings import Timings
from model_zoo import RestoreDocument, plan_restore

router = APIRouter(prefix="/v1/builds", tags=["weights"])

_Format = Annotated[str | None, format_query(TEXT_FORMATS)]


class RestorePlanBody(RestoreDocument):
    """What each source gives to a build, and where each variable's value comes from."""


_PLAN = answer("The plan.", RestorePlanBody, TEXT_FORMATS.values())


@router.get(
    "/{build_id}/restore-plan",
    operation_id="getRestorePlan",
    summary="Show where a build's weights come from",
    responses={
        200: _PLAN,
        **problems("unknown-build", "weights-refused", "not-acceptable"),
    },
)
@needs("read")
async def read_plan(
    request: Request, build_id: str, builds: BuildsDep, format: _Format = None
) -> Response:
    """The source and name of each variable, and what of each source fits."""
    format_name = chosen_format(request, format, TEXT_FORMATS)
    build = await builds.find(build_id)
    return await builds.reading.run(_plan, builds, build.spec, timings(request), format_name)


@router.post(
    "/{build_id}/restore-plan",
    operation_id="tryRestorePlan",
    summary="Try other sources of weights on a build",
    openapi_extra=SOURCES,
    responses={
        200: _PLAN,
        **problems(
            "unknown-build",
            *BODY_PROBLEMS,
            "malformed-json",
            "invalid-spec",
            "weights-refused",
            "not-acceptable",
        ),
    },
)
@needs("build", changes=False)
async def try_plan(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    settings: SettingsDep,
    format: _Format = None,
) -> Response:
    """The body is a spec's `weights`. Nothing is kept, and the build does not change.

    What does not fit is reported and not refused, even with the policy strict.
    """
    format_name = chosen_format(request, format, TEXT_FORMATS)
    build = await builds.find(build_id)
    body = await read_document(request, settings)
    return await builds.posting.run(
        _try, builds, settings, build, body, timings(request), format_name
    )


def _try(
    builds: Builds,
    settings: Settings,
    build: Build,
    body: bytes,
    timings: Timings,
    format_name: str,
) -> Response:
    document: Any = parse_document(body, settings)
    if isinstance(document, dict) and document.keys() == {"weights"}:
        document = document["weights"]
    return _plan(builds, {**build.spec, "weights": document}, timings, format_name)


def _plan(builds: Builds, spec: Mapping[str, Any], timings: Timings, format_name: str) -> Response:
    with timings.measure("trace"):
        traced = builds.trace_stored(spec)
    with timings.measure("plan"):
        plan = plan_restore(traced, builds.sources)
    return written(format_name, {"json": plan.to_dict, "text": plan.to_text})
