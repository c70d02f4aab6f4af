"""The Open Inference Protocol's statistics of models."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from app.api.open_inference.resolving import ModelDep
from app.api.open_inference.schemas import VERSION, answers
from app.api.parts import EngineDep, ModelsDep, ModelStoreDep, NetworksDep, StatisticsDep
from app.engine import Engine, ModelRef
from app.telemetry.statistics import Statistics

router = APIRouter(prefix="/v2", tags=["open inference protocol"])


@router.get(
    "/models/stats",
    summary="Show what became of the requests",
    responses=answers("Of every model that was used, and of every named one."),
)
async def read_all_statistics(
    statistics: StatisticsDep,
    engine: EngineDep,
    store: ModelStoreDep,
    models: ModelsDep,
    networks: NetworksDep,
) -> Response:
    """Counts and nanoseconds since the service started."""
    entries = [
        _entry(statistics, engine, record.name, record.version, models.ref(record))
        for name in store.names()
        for record in store.versions(name)
    ]
    listed = {(entry["name"], entry["version"]) for entry in entries}
    for entry in statistics.model_stats():
        if (entry["name"], entry["version"]) not in listed:  # a build that goes by its id
            network = networks.cached(entry["name"])
            if network is not None:
                model = models.of_build(network)
                entry = _entry(statistics, engine, model.name, model.version, model.ref)
            entries.append(entry)
    return JSONResponse({"model_stats": entries})


@router.get(
    "/models/{name}/versions/{version}/stats",
    summary="Show what became of a version's requests",
    openapi_extra=VERSION,
    responses=answers("Of this version.", "unknown-model"),
)
async def read_version_statistics(
    model: ModelDep, statistics: StatisticsDep, engine: EngineDep
) -> Response:
    """Counts and nanoseconds since the service started."""
    entry = _entry(statistics, engine, model.name, model.version, model.ref)
    return JSONResponse({"model_stats": [entry]})


@router.get(
    "/models/{name}/stats",
    summary="Show what became of a model's requests",
    responses=answers("Of each of its versions.", "unknown-model"),
)
async def read_statistics(
    model: ModelDep, statistics: StatisticsDep, engine: EngineDep, models: ModelsDep
) -> Response:
    """Counts and nanoseconds since the service started."""
    versions = await models.versions_of(model.name)
    entries = [_entry(statistics, engine, each.name, each.version, each.ref) for each in versions]
    return JSONResponse({"model_stats": entries})


def _entry(
    statistics: Statistics, engine: Engine, name: str, version: int, ref: ModelRef
) -> dict[str, Any]:
    """Return the statistics of a version, with the memory that it takes."""
    (entry,) = statistics.model_stats(name, str(version))
    size = engine.state(ref).size_bytes
    kind = "GPU" if engine.status().device == "gpu" else "CPU"
    usage = [{"type": kind, "id": 0, "byte_size": size}] if size else []
    return {**entry, "memory_usage": usage}
