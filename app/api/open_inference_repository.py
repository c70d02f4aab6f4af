"""The Open Inference Protocol's extensions beside inference: models in memory, and statistics."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api import schemas
from app.api.body import read_document
from app.api.open_inference import Named
from app.api.open_inference_schemas import OPTIONAL_BODY, VERSION, answers
from app.api.services import Services, Shared
from app.compute.engine import ModelRef, ModelState
from app.documents import parse_tensors
from app.problems import ServiceError
from app.protocols.open_inference.compression import ENCODINGS
from app.protocols.open_inference.fields import checked, optional
from app.protocols.open_inference.parameters import parameters
from app.serving.inference import while_connected
from app.serving.models import served_version, version_ref, version_state, versions_of
from app.store.models import ModelVersion

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

_BODY_PROBLEMS = ("malformed-json", "malformed-body", "body-too-large", "invalid-input")
# Triton's words for where a model stands.
_STATES = {
    "ready": "READY",
    "loading": "LOADING",
    "unloading": "UNLOADING",
    "unavailable": "UNAVAILABLE",
}


async def _document(request: Request, services: Services) -> dict[str, Any]:
    """Return the body of a request that may have none."""
    body = await read_document(request, services.settings, ENCODINGS)
    if not body:
        return {}
    return checked(parse_tensors(body, max_nodes=services.settings.max_json_nodes), dict, "")


# The repository -------------------------------------------------------------------------------


@router.post(
    "/repository/index",
    summary="List every version of every named model",
    openapi_extra=OPTIONAL_BODY,
    responses=answers("Names, versions and states.", *_BODY_PROBLEMS),
)
async def read_index(request: Request, services: Shared) -> Response:
    """With `{"ready": true}`, those in memory only."""
    document = await _document(request, services)
    only_ready = optional(document, "ready", bool, "") or False
    index = [
        _index_entry(version, version_state(services, version))
        for name in services.models.names()
        for version in services.models.versions(name)
    ]
    return JSONResponse([entry for entry in index if entry["state"] == "READY" or not only_ready])


def _index_entry(version: ModelVersion, state: ModelState) -> dict[str, str]:
    told, reason = _STATES[state.state], ""
    if told == "UNAVAILABLE":
        reason = state.reason or "not in memory: its first request loads it"
    return {
        "name": version.name,
        "version": str(version.version),
        "state": told,
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
async def load_model(request: Request, services: Shared, model: Named) -> Response:
    """Answers when it is ready, with no body. Another configuration, or files, cannot be given."""
    document = await _document(request, services)
    for parameter in parameters(document, ""):
        if parameter == "config" or parameter.startswith("file:"):
            raise _not_offered(
                f"A model is loaded as it was built; parameter {parameter!r} would change it. Post "
                "a spec to /v1/builds instead, and name the build by PUT /v1/models."
            )
    await while_connected(request, services.engine.load(model.ref))
    return Response()


@router.post(
    "/repository/models/{name}/unload",
    summary="Give a model's memory back",
    openapi_extra=OPTIONAL_BODY,
    responses=answers(
        "All its versions are out of memory.", "unknown-model", *_BODY_PROBLEMS, has_body=False
    ),
)
async def unload_model(request: Request, services: Shared, model: Named) -> Response:
    """Answers with no body, when what runs on it is done. Its next request loads it again."""
    parameters(await _document(request, services), "")
    for version in await versions_of(services, model.name):
        await services.engine.unload(version.ref)
    return Response()


# Statistics -----------------------------------------------------------------------------------


@router.get(
    "/models/stats",
    summary="Show what became of the requests",
    responses=answers("Of every model that was used, and of every named one."),
)
async def read_all_statistics(services: Shared) -> Response:
    """Counts and nanoseconds since the service started."""
    named = [
        version for name in services.models.names() for version in services.models.versions(name)
    ]
    found = [
        _entry(services, each.name, each.version, version_ref(services, each)) for each in named
    ]
    known = {(entry["name"], entry["version"]) for entry in found}
    for entry in services.statistics.model_stats():
        if (entry["name"], entry["version"]) not in known:  # a build that goes by its id
            servable = services.servables.get(entry["name"])
            model = served_version(services, None, servable) if servable else None
            found.append(_entry(services, model.name, model.version, model.ref) if model else entry)
    return JSONResponse({"model_stats": found})


@router.get(
    "/models/{name}/versions/{version}/stats",
    summary="Show what became of a version's requests",
    openapi_extra=VERSION,
    responses=answers("Of this version.", "unknown-model"),
)
async def read_version_statistics(services: Shared, model: Named) -> Response:
    """Counts and nanoseconds since the service started."""
    entry = _entry(services, model.name, model.version, model.ref)
    return JSONResponse({"model_stats": [entry]})


@router.get(
    "/models/{name}/stats",
    summary="Show what became of a model's requests",
    responses=answers("Of each of its versions.", "unknown-model"),
)
async def read_statistics(services: Shared, model: Named) -> Response:
    """Counts and nanoseconds since the service started."""
    versions = await versions_of(services, model.name)
    found = [_entry(services, each.name, each.version, each.ref) for each in versions]
    return JSONResponse({"model_stats": found})


def _entry(services: Services, name: str, version: int, ref: ModelRef) -> dict[str, Any]:
    """Return the statistics of a version, with the memory that it takes."""
    (entry,) = services.statistics.model_stats(name, str(version))
    size = services.engine.state(ref).size_bytes
    kind = "GPU" if services.engine.status().device == "gpu" else "CPU"
    usage = [{"type": kind, "id": 0, "byte_size": size}] if size else []
    return {**entry, "memory_usage": usage}


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
