"""The service in two forms: in this process without a worker, and as the real program."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from zoo_server import NoEngine, Server

from app.main import create_app
from app.settings import Settings


@pytest.fixture
def make_client(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Return a function that starts the service in this process, with settings and an engine.

    Called again, it ends the service before, whose home the next one has.
    """
    clients: list[TestClient] = []

    def end() -> None:
        while clients:
            clients.pop().__exit__(None, None, None)

    def make(engine: Any = None, **settings: Any) -> TestClient:
        end()
        app = create_app(Settings(home=tmp_path / "home", **settings), engine or NoEngine())
        client = TestClient(app, follow_redirects=False)
        clients.append(client)
        return client.__enter__()

    yield make
    end()


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """The service in this process, with default settings and no worker."""
    return make_client()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real program with its worker, one for all tests: TensorFlow takes seconds to import."""
    server = Server(tmp_path_factory.mktemp("home"))
    yield server
    server.end()


@pytest.fixture
def live(server: Server) -> Iterator[httpx.Client]:
    """A client of the real program."""
    with server.client() as client:
        yield client
