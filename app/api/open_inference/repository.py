"""The Open Inference Protocol's model repository: what is in memory, and what is not offered."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.open_inference.resolving import ModelDep
from app.api.open_inference.schemas import OPTIONAL_BODY, answers
from app.api.parts import EngineDep, ExchangeDep, ModelsDep, ModelStoreDep, SettingsDep
from app.documents import parse_tensors
from app.engine import ModelState
from app.errors import ProblemKinds, ServiceError
from app.http import schemas
from app.http.bodies import read_document
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
# Triton's words for where a model stands.
_STATES = {
    "ready": "READY",
    "loading": "LOADING",
    "unloading": "UNLOADING",
    "unavailable": "UNAVAILABLE",
}


async def _document(request: Request, settings: Settings) -> dict[str, Any]:
    """Return the body of a request that may have none."""
    body = await read_document(request, settings, ENCODINGS)
    if not body:
        return {}
    return checked(parse_tensors(body, max_nodes=settings.max_json_nodes), dict, "")


# The repository -------------------------------------------------------------------------------


@router.post(
    "/repository/index",
    summary="List every version of every named model",
    openapi_extra=OPTIONAL_BODY,
    responses=answers("Names, versions and states.", *_BODY_PROBLEMS),
)
async def read_index(
    request: Request, settings: SettingsDep, store: ModelStoreDep, models: ModelsDep
) -> Response:
    """With `{"ready": true}`, those in memory only."""
    document = await _document(request, settings)
    only_ready = optional(document, "ready", bool, "") or False
    index = [
        _index_entry(record, models.state(record))
        for name in store.names()
        for record in store.versions(name)
    ]
    return JSONResponse([entry for entry in index if entry["state"] == "READY" or not only_ready])


def _index_entry(record: VersionRecord, state: ModelState) -> dict[str, str]:
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
    summary="Bring a model into memory",
    openapi_extra=OPTIONAL_BODY,
    responses=answers(
        "Its highest version is ready.",
        "unknown-model",
        *_BODY_PROBLEMS,
        "not-implemented",
        *schemas.WORKER_PROBLEMS,
        has_body=False,
    ),
)
async def load_model(
    request: Request,
    model: ModelDep,
    settings: SettingsDep,
    engine: EngineDep,
    exchange: ExchangeDep,
) -> Response:
    """Answers when it is ready, with no body. Another configuration, or files, cannot be given."""
    document = await _document(request, settings)
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
    summary="Give a model's memory back",
    openapi_extra=OPTIONAL_BODY,
    responses=answers(
        "All its versions are out of memory.", "unknown-model", *_BODY_PROBLEMS, has_body=False
    ),
)
async def unload_model(
    request: Request,
    model: ModelDep,
    settings: SettingsDep,
    models: ModelsDep,
    engine: EngineDep,
) -> Response:
    """Answers with no body, when what runs on it is done. Its next request loads it again."""
    parameters(await _document(request, settings), "")
    for version in await models.versions_of(model.name):
        await engine.unload(version.ref)
    return Response()


# What is not offered --------------------------------------------------------------------------


@router.api_route("/trace/setting", methods=["GET", "POST"], include_in_schema=False)
@router.api_route("/models/{name}/trace/setting", methods=["GET", "POST"], include_in_schema=False)
@router.api_route("/logging", methods=["GET", "POST"], include_in_schema=False)
async def refuse_settings() -> Response:
    """Tracing and the log are set where the service is started, not by its clients."""
    raise _not_offered(
        "Tracing and logging are set by the variables OTEL_* and ZOO_LOG_* of the service."
    )


@router.api_route(
    "/systemsharedmemory/{rest:path}", methods=["GET", "POST"], include_in_schema=False
)
@router.api_route("/cudasharedmemory/{rest:path}", methods=["GET", "POST"], include_in_schema=False)
async def refuse_shared_memory(rest: str) -> Response:
    """A client's memory is not read: tensors are in the body."""
    raise _not_offered(
        "Tensors are not exchanged in shared memory; send and ask for them as binary data."
    )


def _not_offered(detail: str) -> ServiceError:
    return ServiceError("not-implemented", detail)
