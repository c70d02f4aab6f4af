"""The Open Inference Protocol V2: the server's health, and what its models are."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.api.open_inference_schemas import VERSION, answers
from app.api.services import Services, Shared
from app.problems import ServiceError
from app.protocols.names import OUTPUT, PROBABILITIES
from app.protocols.open_inference.metadata import (
    EXTENSIONS,
    ModelFacts,
    model_config,
    model_metadata,
)
from app.serving.models import resolve
from app.serving.servable import Servable
from app.serving.served import Served
from app.version import VERSION as SERVICE_VERSION

router = APIRouter(prefix="/v2", tags=["open inference protocol"])

SERVER_NAME = "model-zoo"
# Seconds until it is worth asking again whether something is ready.
_RETRY_AFTER_S = 5


async def _named(request: Request, services: Shared, name: str) -> Served:
    """Return the version in the path, or the highest of the name."""
    return await resolve(services, name, version=request.path_params.get("version"))


Named = Annotated[Served, Depends(_named)]


def output_shapes(servable: Servable) -> dict[str, tuple[int, ...]]:
    """Return what can be asked of a model, and the shape of a row of it; the default is first."""
    shapes = {OUTPUT: servable.output_shape}
    if servable.classes is not None:
        shapes[PROBABILITIES] = (servable.classes,)
    for name, shape in servable.end_points.items():
        shapes.setdefault(name, shape)
    return shapes


# The server -----------------------------------------------------------------------------------


@router.get("/", include_in_schema=False)
@router.get(
    "", summary="Name the server and its extensions", responses=answers("Name and version.")
)
async def read_server() -> Response:
    """The same with and without a slash at the end."""
    return JSONResponse(
        {"name": SERVER_NAME, "version": SERVICE_VERSION, "extensions": list(EXTENSIONS)}
    )


@router.get("/health/live", summary="Tell whether the server lives", responses=answers("It lives."))
async def read_live() -> Response:
    """Always 200 while the process answers."""
    return JSONResponse({"live": True}, headers={"Cache-Control": "no-store"})


@router.get(
    "/health/ready",
    summary="Tell whether the server infers",
    responses=answers("It does.", "not-ready"),
)
async def read_ready(services: Shared) -> Response:
    """503 while the worker starts, models that are to stay in memory load, or the service drains.

    Models that are in memory only while they are used do not count: a request waits for them.
    """
    status = services.engine.status()
    if status.ready:
        return JSONResponse({"ready": True, "live": True}, headers={"Cache-Control": "no-store"})
    if status.state == "ready":
        raise _not_ready(
            "The service is stopping, or still loads the models that are to stay in memory.",
            live=True,
        )
    reason = f": it {status.reason}" if status.reason else ""
    raise _not_ready(f"The worker is not ready ({status.state}){reason}.", live=True)


# Models ---------------------------------------------------------------------------------------


@router.get(
    "/models",
    summary="List the names of models",
    responses=answers("The names."),
)
async def list_models(services: Shared) -> Response:
    """Of models that were given a name; every build is a model too, by its id."""
    return JSONResponse({"models": list(services.models.names())})


@router.get(
    "/models/{name}/versions/{version}/ready",
    summary="Tell whether a version is in memory",
    openapi_extra=VERSION,
    responses=answers("It is.", "unknown-model", "not-ready"),
)
@router.get(
    "/models/{name}/ready",
    summary="Tell whether a model is in memory",
    responses=answers("Its highest version is.", "unknown-model", "not-ready"),
)
async def read_model_ready(services: Shared, model: Named) -> Response:
    """503 says only that it is not in memory now: its first request brings it there, and waits."""
    state = services.loading.state(model.ref)
    if state.state == "ready":
        return JSONResponse(
            {"name": model.name, "ready": True}, headers={"Cache-Control": "no-store"}
        )
    reason = f": {state.reason}" if state.reason else ""
    raise _not_ready(
        f"Version {model.version} of model {model.name!r} is {state.state}{reason}. Its first "
        f"request loads it, or POST /v2/repository/models/{model.name}/load.",
        name=model.name,
    )


@router.get(
    "/models/{name}/versions/{version}/config",
    summary="Show a version's configuration",
    openapi_extra=VERSION,
    responses=answers("As Triton's ModelConfig.", "unknown-model"),
)
@router.get(
    "/models/{name}/config",
    summary="Show a model's configuration",
    responses=answers("As Triton's ModelConfig.", "unknown-model"),
)
async def read_model_config(services: Shared, model: Named) -> Response:
    """Both inputs, every output, and the build's spec and scopes under `parameters`."""
    return JSONResponse(model_config(_facts(services, model)))


@router.get(
    "/models/{name}/versions/{version}",
    summary="Show a version's metadata",
    openapi_extra=VERSION,
    responses=answers("Inputs, outputs and properties.", "unknown-model"),
)
@router.get(
    "/models/{name}",
    summary="Show a model's metadata",
    responses=answers("Inputs, outputs and properties.", "unknown-model"),
)
async def read_model(services: Shared, model: Named) -> Response:
    """The input and output to use; `properties` tells of images, and of other outputs."""
    named = services.models.versions(model.name)
    # A build that goes by its id has one version.
    versions = sorted(each.version for each in named) or [model.version]
    return JSONResponse(model_metadata(_facts(services, model), versions))


def _facts(services: Services, model: Served) -> ModelFacts:
    servable, settings = model.servable, services.settings
    return ModelFacts(
        name=model.name,
        build=servable.build,
        architecture=servable.architecture,
        spec=servable.spec,
        preprocessing=servable.preprocessing,
        input_shape=servable.input_shape,
        outputs=output_shapes(servable),
        max_batch=settings.max_batch,
        batch_delay_s=settings.batch_delay_s,
        state=services.loading.state(model.ref),
        takes_images=servable.takes_images,
    )


def _not_ready(detail: str, **members: Any) -> ServiceError:
    headers = {"Retry-After": str(_RETRY_AFTER_S)}
    return ServiceError("not-ready", detail, headers=headers, ready=False, **members)
