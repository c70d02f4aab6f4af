"""`/v1/builds/{id}/code`: a build as code."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.parts import BuildsDep
from app.http.exchange import timings
from app.http.negotiation import one_of
from app.http.openapi import TEXT, problems
from app.http.routing import needs
from model_zoo import CODE_STYLES, Trace

router = APIRouter(prefix="/v1/builds", tags=["builds"])

_STYLES = tuple(CODE_STYLES)


@router.get(
    "/{build_id}/code",
    operation_id="getBuildCode",
    summary="Write a build as code",
    responses={
        200: {"description": "Python.", "content": {"text/x-python": TEXT}},
        **problems("unknown-build", "unprocessable"),
    },
)
@needs("read")
async def read_code(
    request: Request,
    build_id: str,
    builds: BuildsDep,
    style: Annotated[
        str,
        Query(
            description="For this library, or for TF-Slim and its networks.",
            json_schema_extra={"enum": list(_STYLES)},
        ),
    ] = _STYLES[0],
) -> Response:
    """Nested `arg_scope`s around the network's call.

    What TF-Slim cannot express, such as `layers`, `except` and `force`, is refused in its style.
    """
    style = one_of("style", style, _STYLES)
    code = await builds.report(build_id, timings(request), Trace.code, style)
    return Response(code, media_type="text/x-python; charset=utf-8")
