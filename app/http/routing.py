"""Looks requests up in the routes: which run inference, and which methods a path supports."""

import re
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
    """Mark a route's function as one that runs inference.

    While the engine's queue is full, its requests are rejected before their bodies are read.
    """
    setattr(endpoint, _MARK, True)
    return endpoint


def _literal(route: APIRoute) -> int:
    """Return how many characters of a path are its own, and not a parameter's."""
    return len(re.sub(r"{[^}]*}", "", route.path))


class Routes:
    """The routes of some routers, for lookup."""

    def __init__(self, routers: Sequence[APIRouter]) -> None:
        self._routes = [
            route for router in routers for route in router.routes if isinstance(route, APIRoute)
        ]
        self._inference_routes = [route for route in self._routes if hasattr(route.endpoint, _MARK)]

    def is_inference(self, scope: Scope) -> bool:
        """Return whether a request goes to a route that runs inference."""
        method, path = scope["method"], scope["path"]
        return any(
            method in (route.methods or ()) and route.path_regex.match(path)
            for route in self._inference_routes
        )

    async def refuse(self, request: Request, error: Exception) -> NoReturn:
        """Raise a 405 with the methods of the path; raise any other error unchanged."""
        if not isinstance(error, HTTPException) or error.status_code != 405:
            raise error
        matching = [
            route for route in self._routes if route.matches(request.scope)[0] is not Match.NONE
        ]
        # Of a path that is described, as described: some routes only refuse in a protocol's words,
        # and a name with a colon or a reserved one is another route's.
        described = [route for route in matching if route.include_in_schema]
        most = max(map(_literal, described), default=0)
        methods = {
            method
            for route in ([each for each in described if _literal(each) == most] or matching)
            for method in route.methods or ()
        }
        if "GET" in methods:
            methods.add("HEAD")
        allowed = ", ".join(sorted(methods))
        raise HttpError(
            "method-not-allowed",
            f"This path does not support {request.method}; it supports {allowed}.",
            headers={"Allow": allowed},
        )
