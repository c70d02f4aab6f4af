"""The Open Inference Protocol's statistics of models."""

from fastapi import APIRouter
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.api.open_inference.resolving import VERSION, ModelDep
from app.api.parts import EngineDep, ModelsDep, StatisticsDep
from app.engine import Engine, ModelRef
from app.http.json_answer import JsonAnswer
from app.http.openapi import answer, problems
from app.http.routing import needs
from app.telemetry.statistics import Statistics, V2MemoryUsageBody, V2ModelStatisticsBody

router = APIRouter(prefix="/v2", tags=["open inference protocol"])


class V2StatisticsBody(TypedDict):
    """Statistics by model and version."""

    model_stats: list[V2ModelStatisticsBody]


@router.get(
    "/models/stats",
    operation_id="v2ListStatistics",
    summary="Get the statistics of all models",
    responses={200: answer("Of every used model and every named one.", V2StatisticsBody)},
)
@needs("read")
async def read_all_statistics(
    statistics: StatisticsDep,
    engine: EngineDep,
    models: ModelsDep,
) -> Response:
    """Counts and nanoseconds since the service started."""
    entries = [
        _entry(statistics, engine, record.name, record.version, models.ref(record))
        for record in models.records.by_name()
    ]
    listed = {(entry["name"], entry["version"]) for entry in entries}
    for entry in statistics.model_stats():
        if (entry["name"], entry["version"]) not in listed:  # a build that goes by its id
            model = models.cached_build(entry["name"])
            if model is not None:
                entry = _entry(statistics, engine, model.name, model.version, model.ref)
            entries.append(entry)
    return _response(entries)


@router.get(
    "/models/{name}/versions/{version}/stats",
    operation_id="v2GetVersionStatistics",
    summary="Get a version's statistics",
    openapi_extra=VERSION,
    responses={200: answer("Of this version.", V2StatisticsBody), **problems("unknown-model")},
)
@needs("read")
async def read_version_statistics(
    model: ModelDep, statistics: StatisticsDep, engine: EngineDep
) -> Response:
    """Counts and nanoseconds since the service started."""
    return _response([_entry(statistics, engine, model.name, model.version, model.ref)])


@router.get(
    "/models/{name}/stats",
    operation_id="v2GetModelStatistics",
    summary="Get a model's statistics",
    responses={
        200: answer("Of each of its versions.", V2StatisticsBody),
        **problems("unknown-model"),
    },
)
@needs("read")
async def read_statistics(
    model: ModelDep, statistics: StatisticsDep, engine: EngineDep, models: ModelsDep
) -> Response:
    """Counts and nanoseconds since the service started."""
    versions = await models.versions_of(model.name)
    return _response(
        [_entry(statistics, engine, each.name, each.version, each.ref) for each in versions]
    )


def _response(entries: list[V2ModelStatisticsBody]) -> Response:
    body: V2StatisticsBody = {"model_stats": entries}
    return JsonAnswer(body)


def _entry(
    statistics: Statistics, engine: Engine, name: str, version: int, ref: ModelRef
) -> V2ModelStatisticsBody:
    """Return the statistics of a version, with the memory that it takes."""
    (entry,) = statistics.model_stats(name, str(version))
    size = engine.state(ref).size_bytes
    usage: V2MemoryUsageBody = {
        "type": "GPU" if engine.status().device == "gpu" else "CPU",
        "id": 0,
        "byte_size": size,
    }
    return {**entry, "memory_usage": [usage] if size else []}
