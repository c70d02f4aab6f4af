"""Assembles the application."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import Response
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.api import (
    architectures,
    builds,
    compare,
    diff,
    health,
    infer,
    limits,
    metrics,
    models,
    open_inference,
    openapi_document,
    ops,
    page,
    scopes,
    sweeps,
    tensorflow_serving,
    weights,
)
from app.callers.access import access_of
from app.compute.local_engine import LocalEngine
from app.engine import MakeEngine
from app.extras import extra
from app.http.access import Gate
from app.http.admission import Admission
from app.http.body_budget import BodyBudget
from app.http.cross_origin import CrossOriginHeaders, Preflights
from app.http.direct_route import DirectRoutes
from app.http.envelope import Envelope
from app.http.negotiation import refuse_unusable_parameters
from app.http.openapi import security
from app.http.openapi_tags import TAGS
from app.http.root_path import RootPath
from app.http.routing import Routes
from app.reach import as_peers
from app.services import wire
from app.settings import Settings
from app.telemetry.exporting import span_exporter_from_environment
from app.telemetry.statistics import Statistics
from model_zoo import end_imports, failed_packages

log = logging.getLogger(__name__)

# The first route that matches is taken, so the most frequent ones come first.
_FOREIGN_ROUTERS = (*open_inference.ROUTERS, *tensorflow_serving.ROUTERS)
_OWN_ROUTERS = (
    infer.router,
    compare.router,
    diff.router,
    *sweeps.ROUTERS,
    *builds.ROUTERS,
    architectures.router,
    ops.router,
    scopes.router,
    weights.router,
    models.router,
    health.router,
    limits.router,
    metrics.router,
    openapi_document.router,
)


def create_app(settings: Settings, make_engine: MakeEngine | None = None) -> FastAPI:
    """Return the service; its lifespan starts and ends the engine, by default that of the settings.

    Raises: StoreError if the database or ZOO_HOME cannot be used; SettingsError if OTEL_*, an
    engine or what names the tokens cannot, or if a package that a setting needs is missing.
    """
    access = access_of(settings)
    statistics = Statistics()
    engine = (make_engine or _engine_maker(settings))(settings, statistics.executed)
    spans = span_exporter_from_environment()
    services = wire(settings, engine, statistics)
    routers = (*_FOREIGN_ROUTERS, *_OWN_ROUTERS, page.router)
    routes = Routes(routers)
    gate = None
    if access is not None:
        gate = Gate(
            access,
            settings.open_areas,
            routes.match,
            answers_preflights=bool(settings.cors_origins),
        )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            if access is not None:
                access.prepare()
            # The API answers while the worker still starts. With ZOO_DEVICE=gpu it
            # first waits for the worker, so that the service does not start without a GPU.
            await engine.start(wait_until_ready=settings.device == "gpu")
            for failure in failed_packages():
                log.warning("%s", failure)
            await services.following.start()
            yield
        finally:
            if access is not None:
                await access.close()
            end_imports()  # their threads would keep the process alive until they finish
            await services.following.close()
            await services.loads.close()
            await services.sweep_measurements.close()
            await services.sweeps.close()
            await engine.close()
            if spans is not None:
                await spans.close()
            services.close()

    app = FastAPI(
        title="Model zoo",
        description="Builds known networks inside nested arg scopes, explains every argument, and "
        "answers with summaries, weights and predictions.",
        version="1",
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Routes answer for themselves; with the framework's own class, OpenAPI would show JSON.
        default_response_class=Response,
    )
    app.state.services = services
    app.state.security = {
        place: security(need, is_optional=gate is None or gate.is_open(need))
        for place, need in routes.needs().items()
    }
    # Triton and TensorFlow Serving ignore unknown query parameters, so their routes do here too.
    for router in _FOREIGN_ROUTERS:
        app.include_router(router)
    for router in _OWN_ROUTERS:
        app.include_router(router, dependencies=[Depends(refuse_unusable_parameters)])
    # People's links to a page get parameters on their way, such as utm_source, and must open it.
    app.include_router(page.router)
    # Errors pass on to the envelope, the only place that answers them.
    app.exception_handlers.clear()
    app.add_exception_handler(HTTPException, routes.refuse)
    app.add_middleware(
        DirectRoutes, routes=[route for router in routers for route in router.routes]
    )
    if settings.cors_origins:
        app.add_middleware(Preflights, origins=settings.cors_origins)
    app.add_middleware(
        Envelope,
        admission=Admission(
            settings.max_concurrency,
            settings.max_client_concurrency,
            engine.check_admission,
            routes.is_inference,
        ),
        bodies=BodyBudget(settings.bodies_limit),
        metrics=services.metrics,
        spans=spans,
        gate=gate,
        origins=settings.cors_origins,
    )
    if settings.cors_origins:
        app.add_middleware(CrossOriginHeaders, origins=settings.cors_origins)
    if settings.root_path:
        app.add_middleware(RootPath, prefix=settings.root_path)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=as_peers(settings.trusted_proxies))
    return app


def _engine_maker(settings: Settings) -> MakeEngine:
    """Return what makes the engine of the settings; Ray is imported only where it is used."""
    if not settings.ray_address:
        return LocalEngine
    with extra("ray", "ZOO_RAY_ADDRESS"):
        from app.cluster.ray_cluster import make_ray_engine
    return make_ray_engine
