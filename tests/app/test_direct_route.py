"""A direct route answers as FastAPI would, and refuses parameters that nothing gives."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.http.direct_route import DirectRoute, DirectRoutes


@dataclass
class Options:
    size: Annotated[int, Query(ge=1)] = 5


async def _greeting(request: Request) -> str:
    return f"{request.method} by a coroutine"


def _word(name: str) -> str:
    return name.upper()


Greeting = Annotated[str, Depends(_greeting)]
Word = Annotated[str, Depends(_word)]


async def _sentence(greeting: Greeting, word: Word) -> str:
    return f"{greeting}: {word}"


async def answer(
    request: Request,
    name: str,
    sentence: Annotated[str, Depends(_sentence)],
    options: Annotated[Options, Depends()],
) -> Response:
    return Response(f"{request.url.path} {name} {sentence} {options.size}")


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = FastAPI()
    for prefix, kind in (("/direct", DirectRoute), ("/framework", APIRouter().route_class)):
        router = APIRouter(prefix=prefix, route_class=kind)
        router.post("/{name}")(answer)
        app.include_router(router)
        app.add_middleware(DirectRoutes, routes=router.routes)
    return TestClient(app)


@pytest.mark.parametrize("query", ["", "?size=7", "?size=0", "?size=x"])
def test_a_direct_route_answers_as_the_framework_does(client: TestClient, query: str) -> None:
    direct, framework = (
        client.post(f"/{prefix}/lenet{query}") for prefix in ("direct", "framework")
    )
    assert direct.status_code == framework.status_code
    assert direct.text == framework.text.replace("/framework", "/direct")


def test_only_what_direct_routes_do_not_answer_reaches_the_framework() -> None:
    router = APIRouter(route_class=DirectRoute)
    router.post("/direct/{name}")(answer)
    reached: list[str] = []

    async def framework(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(f"{scope['method']} {scope['path']}?{scope['query_string'].decode()}")
        await Response()(scope, receive, send)

    client = TestClient(DirectRoutes(framework, router.routes))
    for path in ("/direct/lenet", "/direct/lenet?size=7", "/other"):
        client.post(path)
    client.get("/direct/lenet")
    assert reached == ["POST /direct/lenet?size=7", "POST /other?", "GET /direct/lenet?"]


def test_what_the_path_and_the_dependencies_give_reaches_the_function(client: TestClient) -> None:
    assert client.post("/direct/lenet").text == "/direct/lenet lenet POST by a coroutine: LENET 5"


def test_a_parameter_that_nothing_gives_is_refused_when_the_route_is_made() -> None:
    async def lost(request: Request, document: dict[str, int]) -> Response:
        return Response()

    with pytest.raises(
        TypeError, match=r"^document: .*: not a part of a path, nor a dependency\.$"
    ):
        APIRouter(route_class=DirectRoute).post("/")(lost)
