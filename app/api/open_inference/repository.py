"""The Open Inference Protocol's model repository: what is in memory, and what is not offered."""

from typing import Any, Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.open_inference.requests import INDEX, LOAD
from app.api.open_inference.resolving import ModelDep
from app.api.parts import BuildsDep, EngineDep, ExchangeDep, ModelsDep, SettingsDep
from app.builds import Builds
from app.documents import parse_tensors
from app.engine import LoadState, ModelState
from app.errors import ProblemKinds, ServiceError
from app.http.bodies import read_document
from app.http.json_answer import JsonAnswer
from app.http.openapi import WORKER_PROBLEMS, answer, problems
from app.http.routing import needs
from app.protocols.open_inference.compression import ENCODINGS
from app.protocols.open_inference.fields import checked, optional
from app.protocols.open_inference.parameters import parameters
from app.serving.exchange import while_connected
from app.settings import Settings
from app.store.models import VersionRecord

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_BODY_PROBLEMS: ProblemKinds = (
    "malformed-json",
    "malformed-body",
    "body-too-large",
    "invalid-input",
)
RepositoryState = Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]
# Triton's words.
_STATES: dict[LoadState, RepositoryState] = {
    "ready": "READY",
    "loading": "LOADING",
    "unloading": "UNLOADING",
    "unavailable": "UNAVAILABLE",
}


class V2RepositoryModelBody(TypedDict):
    """A version in the repository, and why it is not in memory if it is not."""

    name: str
    version: str
    state: RepositoryState
    reason: str


async def _document(request: Request, settings: Settings, builds: Builds) -> dict[str, Any]:
    """Return the body of a request that may have none."""
    body = await read_document(request, settings, ENCODINGS)
    if not body:
        return {}
    document = await builds.posting.run(parse_tensors, body, max_nodes=settings.max_json_nodes)
    return checked(document, dict, "")


# The repository -------------------------------------------------------------------------------


@router.post(
    "/repository/index",
    operation_id="v2ListRepository",
    summary="List every version of every named model",
    openapi_extra=INDEX,
    responses={
        200: answer("Names, versions and states.", list[V2RepositoryModelBody]),
        **problems(*_BODY_PROBLEMS),
    },
)
@needs("read")
async def read_index(
    request: Request, settings: SettingsDep, builds: BuildsDep, models: ModelsDep
) -> Response:
    """With `{"ready": true}`, only those in memory."""
    document = await _document(request, settings, builds)
    only_ready = optional(document, "ready", bool, "") or False
    records = models.records.by_name()
    index = [_index_entry(record, models.state(models.ref(record))) for record in records]
    return JsonAnswer([entry for entry in index if entry["state"] == "READY" or not only_ready])


def _index_entry(record: VersionRecord, state: ModelState) -> V2RepositoryModelBody:
    reason = ""
    if state.state == "unavailable":
        reason = state.reason or "not in memory: its first request loads it"
    return {
        "name": record.name,
        "version": str(record.version),
        "state": _STATES[state.state],
        "reason": reason,
    }


@router.post(
    "/repository/models/{name}/load",
    operation_id="v2LoadModel",
    summary="Load a model into memory",
    openapi_extra=LOAD,
    responses={
        200: {"description": "Its highest version is ready."},
        **problems("unknown-model", *_BODY_PROBLEMS, "not-implemented", *WORKER_PROBLEMS),
    },
)
@needs("admin")
async def load_model(
    request: Request,
    model: ModelDep,
    settings: SettingsDep,
    builds: BuildsDep,
    engine: EngineDep,
    exchange: ExchangeDep,
) -> Response:
    """Answers when it is ready. The request cannot bring another configuration, or files."""
    document = await _document(request, settings, builds)
    for parameter in parameters(document, ""):
        if parameter == "config" or parameter.startswith("file:"):
            raise _not_offered(
                f"A model is loaded as it was built; parameter {parameter!r} would change it. Post "
                "a spec to /v1/builds instead, and name the build by PUT /v1/models."
            )
    await while_connected(exchange, engine.load(model.ref))
    return Response()


@router.post(
    "/repository/models/{name}/unload",
    operation_id="v2UnloadModel",
    summary="Remove a model from memory",
    openapi_extra=LOAD,
    responses={
        200: {"description": "None of its versions is in memory."},
        **problems("unknown-model", *_BODY_PROBLEMS),
    },
)
@needs("admin")
async def unload_model(
    request: Request,
    model: ModelDep,
    settings: SettingsDep,
    builds: BuildsDep,
    models: ModelsDep,
    engine: EngineDep,
) -> Response:
    """Answers when the requests that it runs are done. Its next request loads it again."""
    parameters(await _document(request, settings, builds), "")
    for version in await models.versions_of(model.name):
        await engine.unload(version.ref)
    return Response()


# What is not offered --------------------------------------------------------------------------


@router.api_route("/trace/setting", methods=["GET", "POST"], include_in_schema=False)
@router.api_route("/models/{name}/trace/setting", methods=["GET", "POST"], include_in_schema=False)
@router.api_route("/logging", methods=["GET", "POST"], include_in_schema=False)
@needs("read")
async def refuse_settings() -> Response:
    """Tracing and the log are set where the service is started, not by its clients."""
    raise _not_offered(
        "Tracing and logging are set by the variables OTEL_* and ZOO_LOG_* of the service."
    )


@router.api_route(
    "/systemsharedmemory/{rest:path}", methods=["GET", "POST"], include_in_schema=False
)
@router.api_route("/cudasharedmemory/{rest:path}", methods=["GET", "POST"], include_in_schema=False)
@needs("read")
async def refuse_shared_memory(rest: str) -> Response:
    """A client's memory is not read: tensors are in the body."""
    raise _not_offered(
        "Tensors are not exchanged in shared memory; send and ask for them as binary data."
    )


def _not_offered(detail: str) -> ServiceError:
    return ServiceError("not-implemented", detail)
