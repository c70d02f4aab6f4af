"""`/v1/sweeps/{id}/builds`: keep rows of a sweep as builds."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.builds.bodies import BuildBody, build_body
from app.api.parts import SettingsDep, SweepsDep
from app.http.bodies import read_document
from app.http.exchange import timings
from app.http.json_answer import JsonAnswer
from app.http.openapi import BODY_PROBLEMS, SPEC_PROBLEMS, answer, problems
from app.http.request_bodies import SWEEP_ROWS
from app.http.routing import needs

router = APIRouter(prefix="/v1/sweeps", tags=["sweeps"])


class SweepBuildBody(TypedDict):
    """The build of a row."""

    row: int
    is_new: bool
    build: BuildBody


class SweepBuildsBody(TypedDict):
    """The builds of the rows that were asked for."""

    builds: list[SweepBuildBody]


@router.post(
    "/{sweep_id}/builds",
    operation_id="createSweepBuilds",
    summary="Keep rows of a sweep as builds",
    openapi_extra=SWEEP_ROWS,
    responses={
        200: answer("The builds.", SweepBuildsBody),
        **problems(*BODY_PROBLEMS, *SPEC_PROBLEMS, "weights-refused", "unknown-sweep"),
    },
)
@needs("build")
async def create_builds(
    request: Request, sweep_id: str, sweeps: SweepsDep, settings: SettingsDep
) -> Response:
    """The same as to post each row's spec; if one is refused, none is kept."""
    body = await read_document(request, settings)
    rows = await sweeps.keep_builds(sweep_id, body, timings(request))
    builds: list[SweepBuildBody] = [
        {"row": row, "is_new": is_new, "build": build_body(build)} for row, build, is_new in rows
    ]
    content: SweepBuildsBody = {"builds": builds}
    return JsonAnswer(content)
