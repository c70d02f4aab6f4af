"""`/healthz`: whether the service lives."""

from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import DatabaseDep, EngineDep, FilesDep
from app.engine import WorkerState
from app.http.json_answer import JsonAnswer
from app.http.openapi import answer
from app.http.routing import needs
from model_zoo import failed_packages

router = APIRouter(tags=["service"])


class WorkerBody(TypedDict):
    """The state of the worker, and `reason` if it is not ready."""

    state: WorkerState
    device: str | None
    restarts: int
    in_flight: int
    queued: int
    reason: str | None


class StoreBody(TypedDict):
    """Whether the database is where the service opened it, and `reason` if it is not."""

    ready: bool
    reason: str | None


class FilesBody(TypedDict):
    """Whether the bucket of ZOO_FILES_URL answers, and `reason` if it does not."""

    ready: bool
    reason: str | None


class FailedPackageBody(TypedDict):
    """An installed package whose architectures are left out: the module that failed, and why."""

    package: str
    module: str
    reason: str


class HealthBody(TypedDict):
    """Whether the service is live, and whether it computes at once."""

    status: Literal["ok"]
    ready: bool
    worker: WorkerBody
    store: StoreBody
    files: FilesBody
    failed_packages: list[FailedPackageBody]


@router.get(
    "/healthz",
    operation_id="getHealth",
    summary="Check that the service is live",
    responses={200: answer("It is live; `ready` says whether it computes now.", HealthBody)},
)
@needs("read", area="health")
async def read_health(engine: EngineDep, database: DatabaseDep, files: FilesDep) -> Response:
    """Always 200 while the process answers.

    `ready` is false while the worker starts or restarts, while the service drains, and while
    ZOO_HOME or the database is gone. Builds, summaries and explanations are answered while there is
    no worker; predictions and weights wait for it. `files` has no part in `ready`: what is in
    memory is computed without them. A failed package takes nothing else down.
    """
    status, lost, files_lost = engine.status(), database.why_lost(), files.why_lost()
    body: HealthBody = {
        "status": "ok",
        "ready": status.ready and lost is None,
        "worker": {
            "state": status.state,
            "device": status.device,
            "restarts": status.restarts,
            "in_flight": status.in_flight,
            "queued": status.queued,
            "reason": status.reason,
        },
        "store": {"ready": lost is None, "reason": lost},
        "files": {"ready": files_lost is None, "reason": files_lost},
        "failed_packages": [
            {"package": each.package, "module": each.module, "reason": each.reason}
            for each in failed_packages()
        ],
    }
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})
