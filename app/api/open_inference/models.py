"""The Open Inference Protocol's models: their names, readiness, metadata and configuration."""

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api.open_inference.resolving import ModelDep
from app.api.open_inference.schemas import VERSION, answers
from app.api.parts import LoadsDep, ModelStoreDep, SettingsDep
from app.engine import ModelState
from app.http.problems import not_ready
from app.protocols.open_inference.metadata import ModelFacts, model_config, model_metadata
from app.serving.models import ModelVersion
from app.settings import Settings

router = APIRouter(prefix="/v2", tags=["open inference protocol"])


@router.get(
    "/models",
    summary="List the names of models",
    responses=answers("The names."),
)
async def list_models(store: ModelStoreDep) -> Response:
    """Of models that were given a name; every build is a model too, by its id."""
    return JSONResponse({"models": list(store.names())})


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
async def read_model_ready(model: ModelDep, loads: LoadsDep) -> Response:
    """503 says only that it is not in memory now: its first request brings it there, and waits."""
    state = loads.state(model.ref)
    if state.state == "ready":
        return JSONResponse(
            {"name": model.name, "ready": True}, headers={"Cache-Control": "no-store"}
        )
    reason = f": {state.reason}" if state.reason else ""
    raise not_ready(
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
async def read_model_config(model: ModelDep, settings: SettingsDep, loads: LoadsDep) -> Response:
    """Both inputs, every output, and the build's spec and scopes under `parameters`."""
    return JSONResponse(model_config(_facts(model, settings, loads.state(model.ref))))


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
async def read_model(
    model: ModelDep, settings: SettingsDep, loads: LoadsDep, store: ModelStoreDep
) -> Response:
    """The input and output to use; `properties` tells of images, and of other outputs."""
    # A build that goes by its id has one version.
    versions = sorted(each.version for each in store.versions(model.name)) or [model.version]
    facts = _facts(model, settings, loads.state(model.ref))
    return JSONResponse(model_metadata(facts, versions))


def _facts(model: ModelVersion, settings: Settings, state: ModelState) -> ModelFacts:
    network = model.network
    return ModelFacts(
        name=model.name,
        build=network.build,
        architecture=network.architecture,
        spec=network.spec,
        preprocessing=network.preprocessing,
        input_shape=network.input_shape,
        outputs=network.output_shapes,
        max_batch=settings.max_batch,
        batch_delay_s=settings.batch_delay_s,
        state=state,
        takes_images=network.takes_images,
    )
