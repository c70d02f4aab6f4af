"""`/healthz`: whether the service lives."""

from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api.parts import EngineDep
from app.http import schemas

router = APIRouter(tags=["service"])


@router.get(
    "/healthz",
    summary="Tell whether the service lives",
    responses={200: schemas.answer("It lives; `ready` tells whether it computes.", "Health")},
)
async def read_health(engine: EngineDep) -> Response:
    """Always 200 while the process answers.

    `ready` is false while the worker starts, starts again, or the service drains. Builds, summaries
    and explanations are answered all the same; predictions and weights wait for the worker.
    """
    status = asdict(engine.status())
    ready = status.pop("ready")
    return JSONResponse(
        {"status": "ok", "ready": ready, "worker": status}, headers={"Cache-Control": "no-store"}
    )
