"""The parts that a route can ask for, as the types of its parameters."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request

from app.builds import Builds
from app.engine import Engine
from app.http.exchange import HttpExchange
from app.services import Services
from app.serving.calibrations import Calibrations
from app.serving.following import Following
from app.serving.inference import Inference
from app.serving.model_registry import ModelRegistry
from app.serving.models import Models
from app.serving.probe import Prober
from app.serving.profile import Profiler
from app.serving.saved_scopes import SavedScopes
from app.serving.sweep_measurements import SweepMeasurements
from app.serving.sweeps import Sweeps
from app.serving.weight_exports import WeightExports
from app.serving.weight_imports import WeightImports
from app.settings import Settings
from app.store.database import Database
from app.store.file_places import FilePlace
from app.telemetry.metrics import Metrics
from app.telemetry.statistics import Statistics
from model_zoo import CheckpointStore


def _part(select: Callable[[Services], Any]) -> Any:
    async def dependency(request: Request) -> Any:  # a coroutine: others run in a thread
        return select(request.app.state.services)

    return Depends(dependency)


async def _exchange(request: Request) -> HttpExchange:
    return HttpExchange(request)


async def _models(request: Request) -> Models:
    """Each request that names a model, or a build, sees what was committed before it came."""
    services: Services = request.app.state.services
    await services.following.follow()
    return services.models


ExchangeDep = Annotated[HttpExchange, Depends(_exchange)]
SettingsDep = Annotated[Settings, _part(lambda services: services.settings)]
EngineDep = Annotated[Engine, _part(lambda services: services.engine)]
DatabaseDep = Annotated[Database, _part(lambda services: services.database)]
FilesDep = Annotated[FilePlace, _part(lambda services: services.files)]
BuildsDep = Annotated[Builds, _part(lambda services: services.builds)]
SavedScopesDep = Annotated[SavedScopes, _part(lambda services: services.saved_scopes)]
SweepMeasurementsDep = Annotated[
    SweepMeasurements, _part(lambda services: services.sweep_measurements)
]
SweepsDep = Annotated[Sweeps, _part(lambda services: services.sweeps)]
CheckpointsDep = Annotated[CheckpointStore, _part(lambda services: services.checkpoints)]
ModelsDep = Annotated[Models, Depends(_models)]
FollowingDep = Annotated[Following, _part(lambda services: services.following)]
ModelRegistryDep = Annotated[ModelRegistry, _part(lambda services: services.registry)]
CalibrationsDep = Annotated[Calibrations, _part(lambda services: services.calibrations)]
InferenceDep = Annotated[Inference, _part(lambda services: services.inference)]
ProberDep = Annotated[Prober, _part(lambda services: services.prober)]
ProfilerDep = Annotated[Profiler, _part(lambda services: services.profiler)]
WeightExportsDep = Annotated[WeightExports, _part(lambda services: services.weight_exports)]
WeightImportsDep = Annotated[WeightImports, _part(lambda services: services.weight_imports)]
StatisticsDep = Annotated[Statistics, _part(lambda services: services.statistics)]
MetricsDep = Annotated[Metrics, _part(lambda services: services.metrics)]
