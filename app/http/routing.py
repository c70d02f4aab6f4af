"""Looks requests up in the routes: what they need, and which methods a path supports."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import Scope

from app.callers.roles import Need, Role
from app.http.problems import HttpError
from app.settings import Area

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_MARK = "runs_inference"
_NEED = "need"


def needs(
    role: Role, *, area: Area | None = None, changes: bool | None = None
) -> Callable[[Endpoint], Endpoint]:
    """Name the role that callers of a route's function need, where there is access control.

    `area` is what ZOO_OPEN_ROUTES calls the route. `changes` says whether the audit has its
    requests; without it, whether the role is more than infer.
    """
    is_change = role in ("build", "admin") if changes is None else changes

    def mark(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _NEED, Need(role, area, is_change))
        return endpoint

    return mark


def runs_inference(endpoint: Endpoint) -> Endpoint:
    """Mark a route's function as one that runs inference.

    While the engine's queue is full, its requests are rejected before their bodies are read.
    """
    setattr(endpoint, _MARK, True)
    return endpoint


def _literal(route: APIRoute) -> int:
    """Return how many characters of a path are its own, and not a parameter's."""
    return len(re.sub(r"{[^}]*}", "", route.path))


class RouteMatch(NamedTuple):
    """The route of a request: what it needs, its template, and what stands for its parameters."""

    need: Need
    route: str
    ids: Mapping[str, Any]


def _need(route: APIRoute) -> Need:
    need: Need = getattr(route.endpoint, _NEED)
    return need


class Routes:
    """The routes of some routers, for lookup."""

    def __init__(self, routers: Sequence[APIRouter]) -> None:
        """Raises: TypeError for a route that names no role."""
        self._routes = [
            route for router in routers for route in router.routes if isinstance(route, APIRoute)
        ]
        for route in self._routes:
            if not hasattr(route.endpoint, _NEED):
                raise TypeError(f"{route.path}: the function names no role; see `needs`.")
        self._inference_routes = [route for route in self._routes if hasattr(route.endpoint, _MARK)]

    def is_inference(self, scope: Scope) -> bool:
        """Return whether a request goes to a route that runs inference."""
        method, path = scope["method"], scope["path"]
        return any(
            method in (route.methods or ()) and route.path_regex.match(path)
            for route in self._inference_routes
        )

    def match(self, scope: Scope) -> RouteMatch | None:
        """Return the route that answers a request, or None if there is none."""
        for route in self._routes:
            if scope["method"] not in (route.methods or ()):
                continue
            # As the framework does, so that this is the route that it takes.
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                return RouteMatch(_need(route), route.path, child_scope["path_params"])
        return None

    def needs(self) -> Mapping[tuple[str, str], Need]:
        """Return what each route needs, by its method and the template of its path."""
        return {
            (method, route.path): _need(route)
            for route in self._routes
            for method in route.methods or ()
        }

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
