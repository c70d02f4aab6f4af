"""Puts the application together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match

from app.api import (
    builds,
    catalogue,
    checkpoints,
    docs,
    health,
    inference,
    reports,
    restores,
    weights,
)
from app.api.negotiate import refuse_unknown_parameters
from app.api.services import Services
from app.compute.engine import Engine
from app.compute.local import LocalEngine
from app.envelope import Envelope
from app.problems import ServiceError
from app.settings import Settings
from app.store.builds import BuildStore
from app.store.errors import StoreError
from app.store.files import WeightFiles
from model_zoo import CheckpointStore, end_imports

_ROUTERS = (
    catalogue.router,
    builds.router,
    reports.router,
    restores.router,
    weights.router,
    checkpoints.router,
    inference.router,
    health.router,
    docs.router,
)


def create_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """Return the service; entering its lifespan starts the engine, leaving it ends the engine.

    Raises: StoreError if ZOO_HOME cannot be used.
    """
    services = Services(
        settings,
        BuildStore(settings.home),
        WeightFiles(settings.home, settings.max_files_bytes),
        _checkpoints(settings.home),
        engine or LocalEngine(settings),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            # The API answers while the worker still imports TensorFlow, but with ZOO_DEVICE=gpu
            # nothing is answered before the GPU is seen.
            await services.engine.start(wait_until_ready=settings.device == "gpu")
            yield
        finally:
            end_imports()  # whose threads would keep the process until they are done
            await services.engine.close()
            services.builds.close()

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
    for router in _ROUTERS:
        app.include_router(router, dependencies=[Depends(refuse_unknown_parameters)])
    # Errors travel on to the envelope, which is the one place that answers them.
    app.exception_handlers.clear()
    app.add_exception_handler(HTTPException, _refuse)
    app.add_middleware(Envelope, max_concurrency=settings.max_concurrency)
    return app


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
