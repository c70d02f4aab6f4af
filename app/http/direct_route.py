"""A route whose parameters are solved here, because FastAPI takes longer than the rest of it.

FastAPI solves the dependencies of an inference in 0.2 ms, a tenth of what the service adds to a
small network's time (`make bench-serve`).
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, get_args

from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

Solver = Callable[[Request], Awaitable[Any]]


class DirectRoute(APIRoute):
    """Calls its function with what the path and the dependencies give.

    A request with a query string is left to FastAPI, as are all checks of one.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that answers a request."""
        solved_by_framework = super().get_route_handler()
        solve = _arguments(self.endpoint)

        async def answer(request: Request) -> Response:
            if request.scope["query_string"]:
                return await solved_by_framework(request)
            response: Response = await self.endpoint(**await solve(request))
            return response

        return answer


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
