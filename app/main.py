"""Puts the application together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match

from app.admission import Admission
from app.api import (
    builds,
    catalogue,
    checkpoints,
    compare,
    docs,
    health,
    inference,
    metrics,
    models,
    open_inference,
    open_inference_infer,
    open_inference_repository,
    profiles,
    reports,
    restores,
    tensorflow_serving,
    weights,
)
from app.api.negotiate import refuse_unknown_parameters
from app.api.services import Services
from app.compute.device_worker import OnBatch
from app.compute.engine import Engine
from app.compute.local import LocalEngine
from app.envelope import Envelope
from app.problems import ServiceError
from app.serving.loading import Loading
from app.serving.models import startup_models
from app.serving.statistics import Statistics
from app.settings import Settings
from app.store.builds import BuildStore
from app.store.database import Database
from app.store.errors import StoreError
from app.store.files import WeightFiles
from app.store.models import ModelStore
from app.telemetry.metrics import Metrics
from app.telemetry.spans import spans_of_environment
from model_zoo import CheckpointStore, end_imports

# The first that fits is taken: what is asked for most stands first.
_FOREIGN_ROUTERS = (
    open_inference_infer.router,
    tensorflow_serving.router,
    # Its statistics of all models stand where otherwise a model of the name `stats` would.
    open_inference_repository.router,
    open_inference.router,
)
_OWN_ROUTERS = (
    inference.router,
    compare.router,
    builds.router,
    reports.router,
    profiles.router,
    catalogue.router,
    restores.router,
    weights.router,
    checkpoints.router,
    models.router,
    health.router,
    metrics.router,
    docs.router,
)
_ROUTERS = (*_FOREIGN_ROUTERS, *_OWN_ROUTERS)


def create_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """Return the service; entering its lifespan starts the engine, leaving it ends the engine.

    Raises: StoreError if ZOO_HOME cannot be used, SettingsError if OTEL_* cannot.
    """
    statistics = Statistics()
    engine = engine or LocalEngine(settings, _counting(statistics))
    spans = spans_of_environment()
    database = Database(settings.home)
    services = Services(
        settings,
        BuildStore(database),
        WeightFiles(settings.home, settings.max_files_bytes),
        _checkpoints(settings.home),
        engine,
        ModelStore(database),
        Loading(engine),
        statistics=statistics,
        metrics=Metrics(statistics, lambda: services.engine.figures()),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            # The API answers while the worker still imports TensorFlow, but with ZOO_DEVICE=gpu
            # nothing is answered before the GPU is seen.
            await services.engine.start(wait_until_ready=settings.device == "gpu")
            for pinned in await startup_models(services):
                services.loading.load(pinned)
            yield
        finally:
            end_imports()  # whose threads would keep the process until they are done
            await services.loading.close()
            await services.engine.close()
            if spans is not None:
                await spans.close()
            database.close()

    app = FastAPI(
        title="Model zoo",
        description="Builds known networks inside nested arg scopes, explains every argument, and "
        "answers with summaries, weights and predictions.",
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services
    # The servers whose protocols these are ignore query parameters that they do not know.
    for router in _FOREIGN_ROUTERS:
        app.include_router(router)
    for router in _OWN_ROUTERS:
        app.include_router(router, dependencies=[Depends(refuse_unknown_parameters)])
    # Errors travel on to the envelope, which is the one place that answers them.
    app.exception_handlers.clear()
    app.add_exception_handler(HTTPException, _refuse)
    app.add_middleware(
        Envelope,
        admission=Admission(
            settings.max_concurrency,
            settings.max_client_concurrency,
            lambda: services.engine.check_admission(),
        ),
        metrics=services.metrics,
        spans=spans,
    )
    return app


def _counting(statistics: Statistics) -> OnBatch:
    """Return what the engine calls for each batch."""

    def count(label: tuple[str, str], rows: int, seconds: Mapping[str, float]) -> None:
        phases = {"input": "input", "infer": "compute", "output": "output"}
        statistics.executed(
            *label, rows=rows, seconds={ours: seconds[theirs] for ours, theirs in phases.items()}
        )

    return count


def _checkpoints(home: Path) -> CheckpointStore:
    try:
        return CheckpointStore(home)
    except OSError as error:
        raise StoreError(f"{home} cannot be written: {error.strerror}.") from error


async def _refuse(request: Request, error: Exception) -> NoReturn:
    """Say which methods a path takes; pass on everything else that the router refuses."""
    if not isinstance(error, HTTPException) or error.status_code != 405:
        raise error
    routes = [
        route for router in _ROUTERS for route in router.routes if isinstance(route, APIRoute)
    ]
    methods = {
        method
        for route in routes
        if route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    if "GET" in methods:
        methods.add("HEAD")
    allowed = ", ".join(sorted(methods))
    raise ServiceError(
        "method-not-allowed",
        f"{request.method} does not fit this path; it takes {allowed}.",
        headers={"Allow": allowed},
    )
