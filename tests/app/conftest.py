"""The service in two forms: in this process without a worker, and as the real program.

With `--database postgresql` both keep their builds in a database of a real server, with
`--files s3` their files in a bucket of one: `new_state` says so, and a test that does not use it
is left out then.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from buckets import S3Server, s3_or_skip
from postgresql import Postgresql
from starlette.testclient import TestClient
from zoo_server import NoEngine, Server

from app.main import create_app
from app.settings import Settings
from app.store.files import WeightFiles


@pytest.fixture(scope="session")
def new_state(request: pytest.FixtureRequest) -> Iterator[Callable[[], dict[str, Any]]]:
    """Return a function that gives the settings of an empty database and place for files."""
    databases: Postgresql | None = None
    s3: S3Server | None = None
    if request.config.getoption("--database") == "postgresql":
        databases = request.getfixturevalue("postgresql")
    with pytest.MonkeyPatch.context() as environment:
        if request.config.getoption("--files") == "s3":
            s3 = request.getfixturevalue("s3_server")
            for name, value in s3.environment().items():
                environment.setenv(name, value)

        def make() -> dict[str, Any]:
            settings = {}
            if databases is not None:
                settings["database_url"] = databases.url(databases.create())
            if s3 is not None:
                settings["files_url"] = s3.new_url()
            return settings

        yield make


@pytest.fixture
def state(
    request: pytest.FixtureRequest, new_state: Callable[[], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The settings of the database and the files of a test."""
    settings = new_state()
    if "file_place" in request.fixturenames:  # which has set where the files are
        settings.pop("files_url", None)
    if "database_url" not in settings:
        yield settings
        return
    databases: Postgresql = request.getfixturevalue("postgresql")
    yield settings
    databases.drop(settings["database_url"])


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A PostgreSQL server, one for all tests of a process."""
    server = Postgresql()
    yield server
    server.close()


@pytest.fixture
def postgresql_url(postgresql: Postgresql) -> Iterator[str]:
    """An empty database with today's tables."""
    url = postgresql.url(postgresql.create())
    yield url
    postgresql.drop(url)


@pytest.fixture
def make_client(tmp_path: Path, state: dict[str, Any]) -> Iterator[Callable[..., TestClient]]:
    """Return a function that starts the service in this process, with settings and an engine.

    Called again, it ends the service before, whose home the next one has.
    """
    clients: list[TestClient] = []

    def end() -> None:
        while clients:
            clients.pop().__exit__(None, None, None)

    def make(engine: Any = None, **settings: Any) -> TestClient:
        end()
        made = engine or NoEngine()
        home = tmp_path / "home"
        app = create_app(Settings(home=home, **state, **settings), lambda *_: made)
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
def s3_server() -> Iterator[S3Server]:
    """An S3 server, one for all tests."""
    server = s3_or_skip()
    yield server
    server.end()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, which this process and those that it starts can reach."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.heavy)])
def file_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the services of a test have their files; `afar` without copies of weight files."""
    place: str = request.param
    if place != "folder":
        server: S3Server = request.getfixturevalue("s3")
        monkeypatch.setenv("ZOO_FILES_URL", server.new_url())
    if place == "s3-afar":
        monkeypatch.setattr(WeightFiles, "find", lambda *_: None)
    return place


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, new_state: Callable[[], dict[str, Any]]
) -> Iterator[Server]:
    """The real program with its worker, one for all tests: TensorFlow takes seconds to import."""
    server = Server(tmp_path_factory.mktemp("home"), **new_state())
    yield server
    server.end()


@pytest.fixture
def live(server: Server) -> Iterator[httpx.Client]:
    """A client of the real program."""
    with server.client() as client:
        yield client
