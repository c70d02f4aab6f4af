"""The Open Inference Protocol's own facts: its name, its health."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api.open_inference.schemas import answers
from app.api.parts import EngineDep
from app.http.problems import not_ready
from app.protocols.open_inference.metadata import EXTENSIONS
from app.version import VERSION

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

SERVER_NAME = "model-zoo"


@router.get("/", include_in_schema=False)
@router.get(
    "", summary="Name the server and its extensions", responses=answers("Name and version.")
)
async def read_server() -> Response:
    """The same with and without a slash at the end."""
    return JSONResponse({"name": SERVER_NAME, "version": VERSION, "extensions": list(EXTENSIONS)})


@router.get("/health/live", summary="Tell whether the server lives", responses=answers("It lives."))
async def read_live() -> Response:
    """Always 200 while the process answers."""
    return JSONResponse({"live": True}, headers={"Cache-Control": "no-store"})


@router.get(
    "/health/ready",
    summary="Tell whether the server infers",
    responses=answers("It does.", "not-ready"),
)
async def read_ready(engine: EngineDep) -> Response:
    """503 while the worker starts, models that are to stay in memory load, or the service drains.

    Models that are in memory only while they are used do not count: a request waits for them.
    """
    status = engine.status()
    if status.ready:
        return JSONResponse({"ready": True, "live": True}, headers={"Cache-Control": "no-store"})
    if status.state == "ready":
        raise not_ready(
            "The service is stopping, or still loads the models that are to stay in memory.",
            live=True,
        )
    reason = f": it {status.reason}" if status.reason else ""
    raise not_ready(f"The worker is not ready ({status.state}){reason}.", live=True)
