"""The Open Inference Protocol's server: its name, extensions and health."""

from fastapi import APIRouter
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import DatabaseDep, EngineDep
from app.http.json_answer import JsonAnswer
from app.http.openapi import answer, problems
from app.http.problems import not_ready
from app.http.routing import needs
from app.protocols.open_inference.metadata import EXTENSIONS
from app.version import VERSION

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

SERVER_NAME = "model-zoo"


class V2ServerBody(TypedDict):
    """The server and the extensions of the protocol that it has."""

    name: str
    version: str
    extensions: list[str]


class V2LiveBody(TypedDict):
    """The server is live."""

    live: bool


class V2ReadyBody(V2LiveBody):
    """The server is ready."""

    ready: bool


@router.get("/", include_in_schema=False)
@router.get(
    "",
    operation_id="v2GetServer",
    summary="Describe the server",
    responses={200: answer("Name, version and extensions.", V2ServerBody)},
)
@needs("read")
async def read_server() -> Response:
    """The path may end in a slash."""
    body: V2ServerBody = {
        "name": SERVER_NAME,
        "version": VERSION,
        "extensions": list(EXTENSIONS),
    }
    return JsonAnswer(body)


@router.get(
    "/health/live",
    operation_id="v2GetLive",
    summary="Check that the server is live",
    responses={200: answer("It is live.", V2LiveBody)},
)
@needs("read", area="health")
async def read_live() -> Response:
    """Always 200 while the process answers."""
    body: V2LiveBody = {"live": True}
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})


@router.get(
    "/health/ready",
    operation_id="v2GetReady",
    summary="Check that the server is ready for inference",
    responses={200: answer("It is ready.", V2ReadyBody), **problems("not-ready")},
)
@needs("read", area="health")
async def read_ready(engine: EngineDep, database: DatabaseDep) -> Response:
    """503 while the worker starts, while pinned models load, while the service drains, and while
    ZOO_HOME or the database is gone.

    Other models do not count: their requests wait until they are loaded.
    """
    status, lost = engine.status(), database.why_lost()
    if lost is not None:
        raise not_ready(lost, live=True)
    if status.ready:
        body: V2ReadyBody = {"ready": True, "live": True}
        return JsonAnswer(body, headers={"Cache-Control": "no-store"})
    if status.state == "ready":
        raise not_ready(
            "The service is stopping, or still loads the models that are to stay in memory.",
            live=True,
        )
    reason = f": it {status.reason}" if status.reason else ""
    raise not_ready(f"The worker is not ready ({status.state}){reason}.", live=True)
