"""`/healthz` and `/v1/limits`: whether the service lives, and what it admits."""

from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.services import Shared
from app.settings import limit_fields, variable

router = APIRouter(tags=["service"])


@router.get(
    "/healthz",
    summary="Tell whether the service lives",
    responses={200: schemas.answer("It lives; `ready` tells whether it computes.", "Health")},
)
async def read_health(services: Shared) -> Response:
    """Always 200 while the process answers.

    `ready` is false while the worker starts, starts again, or the service drains. Builds, summaries
    and explanations are answered all the same; predictions and weights wait for the worker.
    """
    status = asdict(services.engine.status())
    ready = status.pop("ready")
    return JSONResponse(
        {"status": "ok", "ready": ready, "worker": status}, headers={"Cache-Control": "no-store"}
    )


@router.get(
    "/v1/limits",
    summary="List every limit",
    responses={200: schemas.answer("The limits.", "Limits")},
)
async def read_limits(services: Shared) -> Response:
    """Each limit with its value, what it counts, and the environment variable that sets it."""
    limits = [
        {
            "name": name,
            "value": getattr(services.settings, name),
            "counts": field.description,
            "setting": variable(name),
        }
        for name, field in limit_fields().items()
    ]
    return JSONResponse({"limits": limits})
