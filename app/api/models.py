"""`/v1/models`: put names on builds. The other routes under it are TensorFlow Serving's."""

from typing import Annotated, NotRequired, cast, get_args

from fastapi import APIRouter, Query
from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.parts import (
    BuildsDep,
    CalibrationsDep,
    ExchangeDep,
    FollowingDep,
    InferenceDep,
    ModelRegistryDep,
    ModelsDep,
    SettingsDep,
)
from app.body_fields import BuildId, Links, Time
from app.engine import LoadState, Precision, RuntimeName
from app.http.json_answer import JsonAnswer
from app.http.links import link
from app.http.naming import read_naming
from app.http.openapi import BODY_PROBLEMS, WORKER_PROBLEMS, answer, problems
from app.http.paging import Cursor, PageLimit, page_of, read_cursor
from app.http.request_bodies import NAMING
from app.http.routing import needs
from app.serving.model_registry import check_name
from app.serving.models import MAX_VERSION, Models
from app.store.models import VersionRecord

router = APIRouter(prefix="/v1/models", tags=["models"])


_ENGINES: list[JsonValue] = [*get_args(RuntimeName), None]
_PRECISIONS: list[JsonValue] = [*get_args(Precision), None]


class RunOptionsBody(TypedDict):
    """How a version runs; null leaves it to the service."""

    engine: Annotated[str | None, Field(json_schema_extra={"enum": _ENGINES})]
    precision: Annotated[str | None, Field(json_schema_extra={"enum": _PRECISIONS})]
    pinned: Annotated[bool, Field(description="Stays in memory, and loads at the start.")]


class CalibrationBody(TypedDict):
    """The rows that calibrate a version in int8, as the network takes them."""

    sha256: Annotated[str, Field(description="Of the rows as a file `.npy`.")]
    rows: Annotated[int, Field(description="Every fourth is held out, to measure the difference.")]


class ModelBody(TypedDict):
    """A version of a named model: the build that it is, how it runs, and where it stands."""

    name: str
    version: int
    build: BuildId
    labels: list[str]
    class_names: NotRequired[Annotated[int, Field(description="How many classes have names.")]]
    options: RunOptionsBody
    calibration: NotRequired[CalibrationBody]
    created: Time
    state: LoadState
    reason: Annotated[str, Field(description="Why it is unavailable.")]
    links: Links


class NamedModelBody(ModelBody):
    """The version that a request named, and what its client should know."""

    warnings: NotRequired[list[str]]


class ModelsBody(TypedDict):
    """One page of versions, and the path of the next page."""

    models: list[ModelBody]
    next: str | None


@router.put(
    "/{name}",
    operation_id="putModel",
    summary="Put a name on a build",
    status_code=201,
    openapi_extra=NAMING,
    responses={
        201: answer("The version is new.", NamedModelBody),
        200: answer("The version exists already.", NamedModelBody),
        **problems(
            *BODY_PROBLEMS,
            "malformed-json",
            "unknown-build",
            "conflict",
            "invalid-input",
            "over-budget",
            "unprocessable",
            "weights-refused",
            "store-full",
            *WORKER_PROBLEMS,
        ),
    },
)
@needs("build")
async def put_model(
    request: Request,
    name: str,
    settings: SettingsDep,
    exchange: ExchangeDep,
    inference: InferenceDep,
    calibrations: CalibrationsDep,
    registry: ModelRegistryDep,
    models: ModelsDep,
    builds: BuildsDep,
    following: FollowingDep,
) -> Response:
    """The version starts to load into memory; the answer does not wait for it.

    A form can have the JSON in its field `model`. With `precision` int8, its fields `calibration`
    are pictures or arrays on which the network is quantized; every fourth row is held out, to
    measure what that changes. The answer waits for it, and int8 is refused where it is not faster.

    Without `version`: the latest if that is the same build, run the same way; else the next. A
    version never changes. `labels` replaces its labels; each label moves here from the version that
    had it. `class_names` replaces the names of its classes; a form can have them as a file.
    """
    check_name(name)
    naming = await read_naming(request, settings, builds.posting)
    model_request = naming.request
    network = (await models.find_build(model_request.build)).network
    inference.check_rows(network, 1)
    calibrated = calibrations.of_request(
        exchange, name, model_request, network, naming.calibration, naming.drop
    )
    async with calibrated as (calibration, warned):
        record, is_new = await registry.put(name, model_request, network.classes, calibration)
    await following.follow()
    models.load(record, network)
    named = cast(NamedModelBody, model_body(models, record))
    nameless = _nameless(models, record) if is_new else []
    if warnings := [*network.warnings, *warned, *nameless]:
        named["warnings"] = warnings
    return JsonAnswer(
        named,
        201 if is_new else 200,
        {"Location": link(f"/v1/models/{name}/versions/{record.version}")},
    )


@router.get(
    "",
    operation_id="listModels",
    summary="List named models, the newest versions first",
    responses={200: answer("One page of versions.", ModelsBody)},
)
@needs("read")
async def list_models(
    models: ModelsDep,
    limit: PageLimit = 50,
    cursor: Cursor = None,
) -> Response:
    """Every build is also a model, named by its id; this list leaves those out.

    `state` is ready, loading, unloading or unavailable. The next request loads an unavailable one.
    """
    before = read_cursor(cursor)
    records = [
        record for record in models.records.all() if before is None or record.sequence < before
    ]
    page, next_page = page_of(records, limit, "/v1/models")
    body: ModelsBody = {
        "models": [model_body(models, record) for record in page],
        "next": next_page,
    }
    return JsonAnswer(body, headers={"Cache-Control": "no-store"})


@router.delete(
    "/{name}",
    operation_id="deleteModel",
    summary="Delete a name, or one version of it",
    status_code=204,
    responses={204: {"description": "It is deleted."}, **problems("unknown-model")},
)
@needs("admin")
async def delete_model(
    name: str,
    registry: ModelRegistryDep,
    calibrations: CalibrationsDep,
    following: FollowingDep,
    version: Annotated[
        int | None, Query(ge=1, le=MAX_VERSION, description="Delete only this version.")
    ] = None,
) -> Response:
    """The build stays. Its memory is freed unless another version runs it in the same way."""
    removed = await registry.forget(name, version)
    await following.settle()
    await calibrations.forget(removed)
    return Response(status_code=204)


def _nameless(models: Models, record: VersionRecord) -> list[str]:
    """Return a warning if a new version has no class names, and the one before it has."""
    older = (each for each in models.records.versions(record.name) if each.version < record.version)
    before = next(older, None)
    if before is None or not before.class_names or record.class_names:
        return []
    return [
        f"Version {before.version} of model {record.name!r} has class names, and version "
        f"{record.version} has none: its build may have its classes in another order. Send "
        "class_names for it."
    ]


def model_body(models: Models, record: VersionRecord) -> ModelBody:
    """Return a version as the routes show it."""
    state = models.state(models.ref(record))
    path = f"models/{record.name}/versions/{record.version}"
    body: ModelBody = {
        "name": record.name,
        "version": record.version,
        "build": record.build,
        "labels": list(record.labels),
        "options": {
            "engine": record.engine,
            "precision": record.precision,
            "pinned": record.pinned,
        },
        "created": record.created,
        "state": state.state,
        "reason": state.reason,
        "links": {
            "build": link(f"/v1/builds/{record.build}"),
            "status": link(f"/v1/{path}"),
            "metadata": link(f"/v1/{path}/metadata"),
            "predict": link(f"/v1/{path}:predict"),
            "open-inference": link(f"/v2/{path}"),
            "infer": link(f"/v2/{path}/infer"),
        },
    }
    if record.calibration:
        body["calibration"] = {
            "sha256": record.calibration.digest,
            "rows": record.calibration.rows,
        }
    if record.class_names:
        body["class_names"] = record.class_names.count("\n") + 1
    return body
