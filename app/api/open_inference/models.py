"""The Open Inference Protocol's models: their names, readiness, metadata and configuration."""

from fastapi import APIRouter
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.open_inference.resolving import VERSION, ModelDep
from app.api.parts import ModelsDep, SettingsDep
from app.engine import ModelState
from app.http.json_answer import JsonAnswer
from app.http.openapi import answer, problems
from app.http.problems import not_ready
from app.http.routing import needs
from app.protocols.open_inference.metadata import (
    ModelFacts,
    V2ModelConfigBody,
    V2ModelMetadataBody,
    model_config,
    model_metadata,
)
from app.serving.models import ModelVersion
from app.settings import Settings

router = APIRouter(prefix="/v2", tags=["open inference protocol"])


class V2ModelNamesBody(TypedDict):
    """The names of the named models."""

    models: list[str]


class V2ModelReadyBody(TypedDict):
    """A model is in memory."""

    name: str
    ready: bool


_CONFIG = {200: answer("Triton's ModelConfig.", V2ModelConfigBody), **problems("unknown-model")}
_METADATA = {200: answer("The metadata.", V2ModelMetadataBody), **problems("unknown-model")}


@router.get(
    "/models",
    operation_id="v2ListModels",
    summary="List the names of models",
    responses={200: answer("The names.", V2ModelNamesBody)},
)
@needs("read")
async def list_models(models: ModelsDep) -> Response:
    """Only named models. Every build is also a model, named by its id."""
    body: V2ModelNamesBody = {"models": list(models.records.names())}
    return JsonAnswer(body)


@router.get(
    "/models/{name}/versions/{version}/ready",
    operation_id="v2GetVersionReady",
    summary="Check that a version is in memory",
    openapi_extra=VERSION,
    responses={
        200: answer("It is.", V2ModelReadyBody),
        **problems("unknown-model", "not-ready"),
    },
)
@router.get(
    "/models/{name}/ready",
    operation_id="v2GetModelReady",
    summary="Check that a model is in memory",
    responses={
        200: answer("Its highest version is.", V2ModelReadyBody),
        **problems("unknown-model", "not-ready"),
    },
)
@needs("read")
async def read_model_ready(model: ModelDep, models: ModelsDep) -> Response:
    """503 says only that it is not in memory now: its next request loads it, and waits for that."""
    state = models.state(model.ref)
    if state.state == "ready":
        body: V2ModelReadyBody = {"name": model.name, "ready": True}
        return JsonAnswer(body, headers={"Cache-Control": "no-store"})
    reason = f": {state.reason}" if state.reason else ""
    raise not_ready(
        f"Version {model.version} of model {model.name!r} is {state.state}{reason}. Its first "
        f"request loads it, or POST /v2/repository/models/{model.name}/load.",
        name=model.name,
    )


@router.get(
    "/models/{name}/versions/{version}/config",
    operation_id="v2GetVersionConfig",
    summary="Get a version's configuration",
    openapi_extra=VERSION,
    responses=_CONFIG,
)
@router.get(
    "/models/{name}/config",
    operation_id="v2GetModelConfig",
    summary="Get a model's configuration",
    responses=_CONFIG,
)
@needs("read")
async def read_model_config(model: ModelDep, settings: SettingsDep, models: ModelsDep) -> Response:
    """The input and the output to use; `parameters` hold the others, the spec and its scopes."""
    return JsonAnswer(model_config(_facts(model, settings, models.state(model.ref))))


@router.get(
    "/models/{name}/versions/{version}",
    operation_id="v2GetVersionMetadata",
    summary="Get a version's metadata",
    openapi_extra=VERSION,
    responses=_METADATA,
)
@router.get(
    "/models/{name}",
    operation_id="v2GetModelMetadata",
    summary="Get a model's metadata",
    responses=_METADATA,
)
@needs("read")
async def read_model(model: ModelDep, settings: SettingsDep, models: ModelsDep) -> Response:
    """The input and output to use; `properties` names the other outputs, and whether images fit."""
    # A build that goes by its id has one version.
    records = models.records.versions(model.name)
    versions = sorted(each.version for each in records) or [model.version]
    facts = _facts(model, settings, models.state(model.ref))
    return JsonAnswer(model_metadata(facts, versions))


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
        max_batch=network.most_rows(settings).value,
        batch_delay_s=settings.batch_delay_s,
        state=state,
        takes_images=network.takes_images,
        batch_statistics=network.batch_statistics,
    )
