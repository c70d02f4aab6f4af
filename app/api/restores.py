"""`/v1/builds/{id}/restore-plan`: what each source of weights gives to each variable."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.body import read_document
from app.api.builds import find_build
from app.api.negotiate import chosen_format
from app.api.services import Services, Shared
from app.documents import parse_spec
from app.envelope import Timings, timings
from app.store.builds import Build
from app.tracing import trace_spec
from model_zoo import RestorePlan, plan_restore

router = APIRouter(prefix="/v1/builds/{build_id}/restore-plan", tags=["builds"])

_FORMATS = {"json": "application/json", "text": "text/plain; charset=utf-8"}
_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        **schemas.answer("The plan.", "RestorePlan"),
        "description": "The plan; as text where that is asked for.",
    }
}
_Format = Annotated[
    str | None, Query(description="Instead of Accept.", json_schema_extra={"enum": [*_FORMATS]})
]


@router.get(
    "",
    summary="Tell where a build's weights come from",
    responses={
        **_ANSWER,
        **schemas.problems("unknown-build", "weights-refused", "not-acceptable"),
    },
)
async def read_plan(
    request: Request, build_id: str, services: Shared, format: _Format = None
) -> Response:
    """For each variable its source and its name there; for each source what fits and what not."""
    chosen = chosen_format(request, format, _FORMATS)
    build = await find_build(services, build_id)
    plan = await asyncio.to_thread(_plan, services, build.spec, timings(request))
    return await asyncio.to_thread(_answer, plan, chosen)


@router.post(
    "",
    summary="Try other sources of weights on a build",
    openapi_extra={"requestBody": schemas.SOURCES_BODY},
    responses={
        **_ANSWER,
        **schemas.problems(
            "unknown-build",
            *schemas.BODY_PROBLEMS,
            "malformed-json",
            "invalid-spec",
            "weights-refused",
            "not-acceptable",
        ),
    },
)
async def try_plan(
    request: Request, build_id: str, services: Shared, format: _Format = None
) -> Response:
    """The body is what would be a spec's `weights`. Nothing is kept, and the build stays as it is.

    Whatever does not fit is told and not refused, also under the policy strict.
    """
    chosen = chosen_format(request, format, _FORMATS)
    build = await find_build(services, build_id)
    body = await read_document(request, services.settings)
    plan = await asyncio.to_thread(_try, services, build, body, timings(request))
    return await asyncio.to_thread(_answer, plan, chosen)


def _try(services: Services, build: Build, body: bytes, clock: Timings) -> RestorePlan:
    settings = services.settings
    document: Any = parse_spec(
        body, max_depth=settings.max_json_depth, max_nodes=settings.max_json_nodes
    )
    if isinstance(document, dict) and document.keys() == {"weights"}:
        document = document["weights"]
    return _plan(services, {**build.spec, "weights": document}, clock)


def _plan(services: Services, spec: dict[str, Any], clock: Timings) -> RestorePlan:
    with clock.measure("trace"):
        traced = trace_spec(spec, services.settings)
    with clock.measure("plan"):
        return plan_restore(traced, services.sources)


def _answer(plan: RestorePlan, chosen: str) -> Response:
    if chosen == "json":
        return JSONResponse(plan.to_dict())
    return Response(plan.to_text(), media_type=_FORMATS["text"])
