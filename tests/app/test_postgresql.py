"""The store on a PostgreSQL server: who waits for whom, and what a lost server comes to."""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from postgresql import PASSWORD, Postgresql
from starlette.testclient import TestClient
from zoo_server import IdleEngine, Server, build, poll

from app.main import create_app
from app.settings import Limit, Settings, SettingsError, load_settings
from app.store.builds import Build, BuildStore
from app.store.errors import StoreError
from app.store.models import ModelStore, VersionRecord
from app.store.postgresql import PostgresqlDatabase

GONE = "The database does not answer: it is down, restarting, or cannot be reached."
BUSY = (
    "The database is busy: others write, or it is slow to answer; the wait ended after {} s "
    "(ZOO_STORE_TIMEOUT_S)."
)
Open = Callable[..., PostgresqlDatabase]


@pytest.fixture
def open_(postgresql_url: str) -> Iterator[Open]:
    """Return a function that connects to the test's database, as each replica does."""
    databases: list[PostgresqlDatabase] = []

    def connect(wait_s: float = 30) -> PostgresqlDatabase:
        """It waits so long for others, and for the server as long as that may take."""
        database = PostgresqlDatabase(postgresql_url, Settings().store_wait)
        database.wait = Limit(wait_s, "ZOO_STORE_TIMEOUT_S")
        databases.append(database)
        return database

    yield connect
    for database in databases:
        database.close()


@pytest.fixture
def own_server() -> Iterator[Postgresql]:
    """A server that a test may stop."""
    server = Postgresql()
    yield server
    server.close()


def lenet(name: str = "a") -> Build:
    return Build(name, "lenet", {"weights": {}}, {"warnings": []})


def attempt(block: Callable[[], AbstractContextManager[None]]) -> str | None:
    """Enter a block, and return what refused it."""
    try:
        with block():
            return None
    except StoreError as error:
        return str(error)


# Who waits for whom ---------------------------------------------------------------------------


def test_a_block_that_is_alone_excludes_the_writers_of_other_replicas(open_: Open) -> None:
    one, other = open_(), open_(wait_s=0.05)
    with one.alone():
        assert attempt(other.alone) == BUSY.format("0.05")
        assert attempt(other.adding) == BUSY.format("0.05")
        assert BuildStore(other).get("a") is None  # who reads does not wait
    assert attempt(other.alone) is None


def test_those_who_add_exclude_who_removes_and_not_each_other(open_: Open) -> None:
    one, other = open_(), open_(wait_s=0.05)
    with one.adding():
        BuildStore(one).add([lenet("a")])
        assert attempt(other.adding) is None
        BuildStore(other).add([lenet("b")])
        with pytest.raises(StoreError, match=r"^The database is busy: "):
            BuildStore(other).remove("b")
    assert BuildStore(other).remove("b")


def test_two_replicas_that_add_the_same_in_different_orders_both_have_it(open_: Open) -> None:
    stores = [BuildStore(open_()), BuildStore(open_())]
    names = [f"{number:02}" for number in range(40)]
    with ThreadPoolExecutor(2) as threads:
        orders = (names, names[::-1])
        results = [
            threads.submit(store.add, [lenet(name) for name in order])
            for store, order in zip(stores, orders, strict=True)
        ]
        new = [name.id for result in results for name, is_new in result.result() if is_new]
    assert sorted(new) == names


def test_an_error_in_a_block_undoes_all_of_it(open_: Open) -> None:
    database = open_()
    builds, models = BuildStore(database), ModelStore(database)

    def add_and_fail() -> None:
        with database.alone():
            builds.add([lenet()])
            models.add(VersionRecord("m", 1, "a"))
            assert [each.build for each in models.versions("m")] == ["a"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert builds.get("a") is None
    assert models.all() == []
    assert database.changes == 0


def test_more_readers_than_connections_wait_for_each_other(open_: Open) -> None:
    database = open_(wait_s=0.2)
    vars(database._engine.pool)["_timeout"] = 0.2  # else that of the server
    barrier = threading.Barrier(11)

    def read() -> None:
        with database.reading():
            barrier.wait(30)
            barrier.wait(30)

    with ThreadPoolExecutor(10) as threads:
        reads = [threads.submit(read) for _ in range(10)]
        barrier.wait(30)
        with pytest.raises(StoreError) as refusal, database.reading():
            pass
        assert str(refusal.value) == BUSY.format("0.2")
        barrier.wait(30)
        assert [each.result() for each in reads] == [None] * 10


def test_a_connection_that_is_in_use_is_closed_after_the_database(open_: Open) -> None:
    database = open_()
    with database._read() as connection:
        driver = connection.connection.driver_connection
        database.close()
        assert not driver.closed
    assert driver.closed


# A server that is gone ------------------------------------------------------------------------


def test_a_server_that_stands_still_is_not_waited_for_without_end(
    own_server: Postgresql, tmp_path: Path
) -> None:
    url = own_server.url(own_server.create())
    database = PostgresqlDatabase(url, Limit(1, "ZOO_STORE_TIMEOUT_S"))
    store = BuildStore(database)

    def answers() -> bool:
        try:
            return store.get("a") is None
        except StoreError:  # it takes its time to go on
            return False

    assert store.get("a") is None
    own_server.suspend()
    try:
        with pytest.raises(StoreError) as refusal:
            store.get("a")
    finally:
        own_server.resume()
    assert str(refusal.value) == GONE
    assert database.why_lost() == GONE
    poll(answers)
    assert database.why_lost() is None
    database.close()


def refusal(response: Any) -> tuple[int, str, str]:
    return response.status_code, response.headers["retry-after"], response.json()["detail"]


def test_a_server_that_is_gone_is_said_and_one_that_is_back_is_used(
    own_server: Postgresql, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=own_server.url(own_server.create()))
    with TestClient(create_app(settings, lambda *_: IdleEngine())) as client:
        made = build(client)
        client.put("/v1/models/m", json={"build": made}).raise_for_status()
        assert client.get("/v2/health/ready").status_code == 200
        own_server.stop(signal.SIGQUIT)
        for method, path, body in (
            ("GET", f"/v1/builds/{made}", None),
            ("GET", "/v2/models/m", None),
            ("POST", "/v1/builds", {"architecture": "cifarnet"}),
            ("PUT", "/v1/models/m", {"build": made}),
            ("DELETE", f"/v1/builds/{made}", None),
        ):
            response = client.request(method, path, json=body)
            assert refusal(response) == (503, "5", GONE), (method, path)
        assert client.get("/healthz").json()["store"] == {"ready": False, "reason": GONE}
        assert refusal(client.get("/v2/health/ready")) == (503, "5", GONE)
        own_server.start()
        # Without a request: the service looks by itself.
        poll(lambda: client.get("/v2/health/ready").status_code == 200)
        assert client.get("/v2/models/m").status_code == 200
        assert client.get(f"/v1/builds/{made}").status_code == 200


def test_what_was_acknowledged_outlives_restarts_under_load(
    own_server: Postgresql, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, database_url=own_server.url(own_server.create()))
    stop = threading.Event()

    def post(client: TestClient, first: int) -> dict[int, set[str]]:
        answers: dict[int, set[str]] = {}
        for number in range(first, first + 10_000):
            if stop.is_set():
                break
            spec = {"architecture": "lenet", "params": {"num_classes": number}}
            response = client.post("/v1/builds", json=spec)
            if response.status_code == 503:
                assert response.headers["retry-after"]
            answers.setdefault(response.status_code, set()).add(response.json().get("id", ""))
        return answers

    with TestClient(create_app(settings, lambda *_: IdleEngine())) as client:
        with ThreadPoolExecutor(4) as threads:
            posts = [threads.submit(post, client, 2 + 10_000 * each) for each in range(4)]
            poll(lambda: client.get("/v1/builds").json()["builds"] != [])
            for by in (signal.SIGINT, signal.SIGQUIT):
                own_server.stop(by)
                poll(lambda: client.get("/v1/builds").status_code == 503)
                own_server.start()
                poll(lambda: client.get("/v1/builds").status_code == 200)
            stop.set()
        answers = [post.result() for post in posts]
        assert set().union(*answers) == {201, 503}
        for made in set().union(*(each[201] for each in answers)):
            assert client.get(f"/v1/builds/{made}").status_code == 200


# The URL --------------------------------------------------------------------------------------


def test_a_password_is_in_no_message(
    postgresql: Postgresql, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = postgresql.url(password="%21other%21")
    with pytest.raises(StoreError) as refusal:
        PostgresqlDatabase(wrong, Settings().store_wait)
    assert str(refusal.value).endswith('FATAL: password authentication failed for user "zoo"')
    broken = f"postgresql://zoo:{PASSWORD}%zz@db/zoo"
    with pytest.raises(StoreError) as refusal:
        PostgresqlDatabase(broken, Settings().store_wait)
    assert str(refusal.value) == (
        "ZOO_DATABASE_URL cannot be read as postgresql://user:password@host:5432/database. In a "
        "password, %40 stands for @, %2F for / and %25 for %."
    )
    settings = Settings(database_url=broken)
    for text in (repr(settings), str(settings.model_dump()), caplog.text):
        assert PASSWORD not in text
        assert "other" not in text


@pytest.mark.parametrize("url", ["postgres://zoo:pass@db/zoo", "sqlite:///file", "zoo:pass@db"])
def test_another_url_is_refused_and_not_repeated(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATABASE_URL", url)
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_DATABASE_URL: input should begin with postgresql://; without it, the database is "
        "SQLite in ZOO_HOME."
    )


def test_an_empty_url_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATABASE_URL", "")
    assert load_settings().database_url is None


def test_a_missing_driver_is_one_line(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None; sys.argv = ['app']; "
        "from app.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "ZOO_DATABASE_URL": "postgresql://zoo:pass@db/zoo",
            "ZOO_HOME": str(tmp_path / "home"),
            "ZOO_PORT": "0",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "The service cannot start: ZOO_DATABASE_URL needs the extra shared: pip install "
        "'model-zoo-service[shared]'."
    )


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_text_that_postgresql_cannot_have_names_nothing(
    database: str, postgresql_url: str, tmp_path: Path
) -> None:
    url = postgresql_url if database == "postgresql" else None
    settings = Settings(home=tmp_path, database_url=url)
    with TestClient(create_app(settings, lambda *_: IdleEngine())) as client:
        check_names_with_nul(client)


def check_names_with_nul(client: TestClient) -> None:
    for method, path, status in (
        ("GET", "/v1/builds/%00", 404),
        ("DELETE", "/v1/builds/%00", 404),
        ("GET", "/v1/builds?architecture=%00", 422),
        ("GET", "/v2/models/%00", 404),
        ("DELETE", "/v1/models/%00", 404),
        ("GET", "/v1/scopes?name=%00", 200),
        ("GET", "/v1/scopes/%00", 404),
        ("DELETE", "/v1/scopes/%00", 404),
        ("GET", "/v1/sweeps/%00", 404),
    ):
        assert client.request(method, path).status_code == status, (method, path)


def test_the_real_program_serves_from_postgresql(postgresql_url: str, tmp_path: Path) -> None:
    server = Server(tmp_path / "home", database_url=postgresql_url)
    try:
        with server.client() as client:
            made = build(client)
            client.put("/v1/models/m", json={"build": made}).raise_for_status()
    finally:
        assert server.end() == 0
    server = Server(tmp_path / "other-home", database_url=postgresql_url)
    try:
        with server.client() as client:
            assert client.get("/v2/models").json() == {"models": ["m"]}
            assert PASSWORD not in client.get("/v1/limits").text
            assert client.post("/v2/models/m/infer", json={"inputs": []}).status_code == 400
    finally:
        assert server.end() == 0
    assert not any(PASSWORD in line for line in server.log)
