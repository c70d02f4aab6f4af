"""Wires the parts of the service behind the routes."""

from dataclasses import dataclass
from pathlib import Path

from app.builds import Builds
from app.engine import Engine
from app.serving.background_loads import BackgroundLoads
from app.serving.calibrations import Calibrations
from app.serving.following import Following
from app.serving.inference import Inference
from app.serving.measuring_turn import MeasuringTurn
from app.serving.model_registry import ModelRegistry
from app.serving.models import Models
from app.serving.networks import NetworkCache
from app.serving.probe import Prober
from app.serving.profile import Profiler
from app.serving.saved_scopes import SavedScopes
from app.serving.sweep_measurements import SweepMeasurements
from app.serving.sweeps import Sweeps
from app.serving.upload_room import UploadRoom
from app.serving.weight_exports import WeightExports
from app.serving.weight_imports import WeightImports
from app.settings import Settings
from app.store.builds import BuildStore
from app.store.database import Database
from app.store.errors import StoreError
from app.store.file_places import FilePlace, open_place
from app.store.model_records import ModelRecords
from app.store.models import ModelStore
from app.store.opening import open_database
from app.store.scopes import ScopeStore
from app.store.sweeps import SweepStore
from app.store.uploads import UploadStore
from app.telemetry.metrics import Metrics
from app.telemetry.statistics import Statistics
from model_zoo import CheckpointStore, HomeInUseError, HomeLock


@dataclass(frozen=True, slots=True)
class Services:
    """One instance of each part."""

    settings: Settings
    home_lock: HomeLock
    database: Database
    files: FilePlace
    engine: Engine
    checkpoints: CheckpointStore
    builds: Builds
    saved_scopes: SavedScopes
    sweeps: Sweeps
    sweep_measurements: SweepMeasurements
    loads: BackgroundLoads
    models: Models
    following: Following
    registry: ModelRegistry
    calibrations: Calibrations
    inference: Inference
    profiler: Profiler
    prober: Prober
    weight_exports: WeightExports
    weight_imports: WeightImports
    statistics: Statistics
    metrics: Metrics

    def stop_accepting(self) -> None:
        """Report not ready from now on, and end what a later request resumes."""
        self.engine.stop_accepting()
        self.sweeps.stop()

    def close(self) -> None:
        """Give ZOO_HOME back."""
        self.files.close()
        self.database.close()
        self.home_lock.close()


def wire(settings: Settings, engine: Engine, statistics: Statistics) -> Services:
    """Return the parts, connected to the engine and to each other.

    Raises: StoreError if the database or ZOO_HOME cannot be used, or another service uses ZOO_HOME;
    SettingsError if a package that a setting needs is missing.
    """
    home_lock = _lock(settings.home)
    database = open_database(settings)
    metrics = Metrics(statistics, engine.figures)
    files = open_place(settings)
    checkpoints = files.checkpoints()
    model_store = ModelStore(database)
    scope_store = ScopeStore(database)
    build_store = BuildStore(database)
    builds = Builds(settings, build_store, model_store, scope_store, checkpoints, metrics)
    networks = NetworkCache(builds)
    loads = BackgroundLoads(engine)
    turn = MeasuringTurn(engine)
    inference = Inference(engine, settings, statistics)
    sweep_store = SweepStore(database, settings.sweeps_limit)
    sweeps = Sweeps(settings, sweep_store, scope_store, builds, engine)
    calibration_files = files.calibrations(model_store.has_calibration, database.alone)
    is_shared = database.is_shared and settings.files_url is not None
    room = UploadRoom(settings, checkpoints, UploadStore(database) if is_shared else None)
    prober = Prober(settings, builds, turn)
    models = Models(settings, ModelRecords(), networks, loads, statistics)
    return Services(
        settings=settings,
        home_lock=home_lock,
        database=database,
        files=files,
        engine=engine,
        checkpoints=checkpoints,
        builds=builds,
        saved_scopes=SavedScopes(settings, scope_store, builds),
        sweeps=sweeps,
        sweep_measurements=SweepMeasurements(sweeps, sweep_store, builds, inference, prober),
        loads=loads,
        models=models,
        following=Following(build_store, model_store, networks, models, statistics),
        registry=ModelRegistry(settings, model_store, builds),
        calibrations=Calibrations(settings, calibration_files, model_store, inference, loads),
        inference=inference,
        profiler=Profiler(engine, settings, turn),
        prober=prober,
        weight_exports=WeightExports(engine, files.weights(), builds.sources),
        weight_imports=WeightImports(settings, checkpoints, room, database.check),
        statistics=statistics,
        metrics=metrics,
    )


def _lock(home: Path) -> HomeLock:
    """Hold the home until the process ends: its files have no more than one service's room."""
    try:
        return HomeLock(home)
    except HomeInUseError as error:
        raise StoreError(f"{error} A service needs a home of its own; ZOO_HOME sets it.") from error
    except OSError as error:
        raise StoreError(f"{home} cannot be written: {error.strerror}.") from error
