"""What the routes say of a request before one of them takes it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Scope

from app.http.problems import HttpError

Endpoint = TypeVar("Endpoint", bound=Callable[..., Awaitable[Any]])

_MARK = "runs_inference"


def runs_inference(endpoint: Endpoint) -> Endpoint:
    """Mark a route's function as one that computes.

    While the engine's queue is full, its requests are refused before anything is done for them.
    """
    setattr(endpoint, _MARK, True)
    return endpoint


class Routes:
    """The routes of some routers, to look at."""

    def __init__(self, routers: Sequence[APIRouter]) -> None:
        self._routes = [
            route for router in routers for route in router.routes if isinstance(route, APIRoute)
        ]
        self._inferences = [route for route in self._routes if hasattr(route.endpoint, _MARK)]

    def is_inference(self, scope: Scope) -> bool:
        """Whether a request goes to a route that computes."""
        method, path = scope["method"], scope["path"]
        return any(
            method in (route.methods or ()) and route.path_regex.match(path)
            for route in self._inferences
        )

    async def refuse(self, request: Request, error: Exception) -> NoReturn:
        """Say which methods a path takes; pass on everything else that the router refuses."""
        if not isinstance(error, HTTPException) or error.status_code != 405:
            raise error
        methods = {
            method
            for route in self._routes
            if route.matches(request.scope)[0] is not Match.NONE
            for method in route.methods or ()
        }
        if "GET" in methods:
            methods.add("HEAD")
        allowed = ", ".join(sorted(methods))
        raise HttpError(
            "method-not-allowed",
            f"{request.method} does not fit this path; it takes {allowed}.",
            headers={"Allow": allowed},
        )
