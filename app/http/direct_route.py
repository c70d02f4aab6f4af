"""Routes that are called without FastAPI, because it takes longer than the rest of them.

FastAPI and Starlette pass an inference through ten layers and solve its dependencies: a fifth of
what the service adds to a small network's time (`make bench-serve`).
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, get_args

from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

Solver = Callable[[Request], Awaitable[Any]]


class DirectRoute(APIRoute):
    """A route whose parameters the path and the dependencies give."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._solve = _arguments(endpoint)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that matches."""
        request = Request(scope, receive, send)
        response: Response = await self.endpoint(**await self._solve(request))
        await response(scope, receive, send)


class DirectRoutes:
    """ASGI middleware that answers the requests of direct routes.

    A request with a query string is left to FastAPI, as are all checks of one.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        """The first route that matches is taken: no other than a direct one may come before it."""
        self._app = app
        self._routes = [route for route in routes if isinstance(route, DirectRoute)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["query_string"]:
            for route in self._routes:
                match, child_scope = route.matches(scope)
                if match is Match.FULL:
                    scope.update(child_scope)
                    await route.answer(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _arguments(function: Callable[..., Any]) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    """Return what solves the arguments of a function.

    Raises: TypeError for a parameter that neither the path nor a dependency gives.
    """
    solvers: Mapping[str, Solver] = {
        parameter.name: _solver(parameter)
        for parameter in inspect.signature(function, eval_str=True).parameters.values()
        # Only a query gives it a value.
        if parameter.default is parameter.empty
    }

    async def solve(request: Request) -> dict[str, Any]:
        return {name: await solver(request) for name, solver in solvers.items()}

    return solve


def _solver(parameter: inspect.Parameter) -> Solver:
    if parameter.annotation is Request:
        return _request
    if parameter.annotation is str:
        return _path_parameter(parameter.name)
    kind, *metadata = get_args(parameter.annotation) or (parameter.annotation,)
    for each in metadata:
        if isinstance(each, Depends):
            return _dependency(each.dependency or kind)
    raise TypeError(f"{parameter}: not a part of a path, nor a dependency.")


async def _request(request: Request) -> Request:
    return request


def _path_parameter(name: str) -> Solver:
    async def solve(request: Request) -> Any:
        return request.path_params[name]

    return solve


def _dependency(function: Callable[..., Any]) -> Solver:
    arguments = _arguments(function)
    is_coroutine = inspect.iscoroutinefunction(function)

    async def solve(request: Request) -> Any:
        value = function(**await arguments(request))
        return await value if is_coroutine else value

    return solve
