"""What a client is told while the database is locked, or its home gone."""

import asyncio
import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import IdleEngine, build

from app.settings import Limit
from app.store.builds import BuildStore
from app.store.sqlite import FILE_NAME, SqliteDatabase

Make = Callable[..., TestClient]

pytestmark = pytest.mark.sqlite

LOCKED = {
    "type": "/docs#problem-store-unavailable",
    "title": "The store is not available",
    "status": 503,
    "detail": "The database is locked, by another program or by a long write; the wait ended after "
    "0.05 s (ZOO_STORE_TIMEOUT_S).",
    "errors": [],
}
GONE = (
    "ZOO_HOME has vanished, or is another folder than the service opened. Mount it again; or "
    "restart the service, which then uses what is there."
)
VANISHED = {**LOCKED, "detail": GONE}
# More than a service has threads.
MANY = 40


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the lock of a home's database, as another program would."""
    connection = sqlite3.connect(home / FILE_NAME, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.rollback()
    connection.close()


@contextmanager
def locked_even_to_read(home: Path) -> Iterator[None]:
    """Lock a home's database against reads too."""
    connection = sqlite3.connect(home / FILE_NAME, isolation_level=None)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("DELETE FROM builds WHERE id = ''")
    yield
    connection.rollback()
    connection.close()


def refusal(response: Any) -> dict[str, Any]:
    """Return a problem, without what other protocols or other requests have."""
    return {key: value for key, value in response.json().items() if key in LOCKED}


def lenet(classes: int) -> dict[str, Any]:
    """Return a spec; those of other numbers are other builds."""
    return {"architecture": "lenet", "params": {"num_classes": classes}}


WRITES = (
    ("POST", "/v1/builds", lenet(5)),
    ("PUT", "/v1/models/m", {"build": "BUILD"}),
    ("DELETE", "/v1/models/named", None),
    ("PUT", "/v1/scopes/s", {"levels": []}),
    ("DELETE", "/v1/scopes/saved", None),
    ("POST", "/v1/sweeps", {"spec": lenet(6)}),
    ("DELETE", "/v1/builds/UNUSED", None),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def send(make_client: Make) -> Callable[[str, str, object], object]:
    """A service with a little of everything, and a short wait; returns a way to send requests."""
    client = make_client(IdleEngine(), store_timeout_s=0.05)
    ids = {"BUILD": build(client), "UNUSED": build(client, **lenet(7))}
    client.put("/v1/models/named", json={"build": ids["BUILD"]}).raise_for_status()
    client.put("/v1/scopes/saved", json={"levels": []}).raise_for_status()

    def send_(method: str, path: str, body: object = None) -> object:
        text = json.dumps(body)
        for name, build_id in ids.items():
            path, text = path.replace(name, build_id), text.replace(name, build_id)
        content = None if body is None else text
        return client.request(method, path, content=content)

    return send_


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_what_cannot_be_written_for_a_lock_is_refused_in_time_and_comes_later(
    send: Callable[..., TestClient], home: Path, method: str, path: str, body: object
) -> None:
    with locked(home):
        response = send(method, path, body)
        assert response.headers["retry-after"] == "5"
        assert refusal(response) == LOCKED
    assert send(method, path, body).status_code in (200, 201, 204)


def test_reads_are_answered_while_more_writes_wait_than_there_are_threads(
    make_client: Make, home: Path
) -> None:
    """The writes wait until the reads are answered: no read waits for one of them."""
    client = make_client(store_timeout_s=60)
    build_id = build(client)
    with ThreadPoolExecutor(MANY) as clients:
        with locked(home):
            begun = threading.Semaphore(0)

            def write(seed: int) -> int:
                begun.release()
                return client.post("/v1/builds", json=lenet(seed + 100)).status_code

            writes = [clients.submit(write, seed) for seed in range(MANY)]
            for _ in writes:
                begun.acquire()
            for path in ("", f"/{build_id}", f"/{build_id}/summary"):
                assert client.get(f"/v1/builds{path}").status_code == 200
            assert not any(write.done() for write in writes)
        assert {write.result() for write in writes} == {201}


def test_a_write_that_waited_for_its_turn_does_not_wait_for_the_lock_as_well(
    tmp_path: Path,
) -> None:
    """So a queue of writes is refused when its first is, and not one after the other."""
    database = SqliteDatabase(tmp_path, Limit(0.05, "ZOO_STORE_TIMEOUT_S"))
    store = BuildStore(database)

    async def two_writes() -> list[object]:
        lasting = store.write(wait_for.wait)
        waiting = store.write(store.remove, "0" * 32)
        return await asyncio.gather(lasting, waiting, return_exceptions=True)

    wait_for = threading.Event()
    with locked(tmp_path):
        threading.Timer(0.1, wait_for.set).start()
        _, refusal = asyncio.run(two_writes())
    assert str(refusal) == LOCKED["detail"]
    database.close()


def test_a_database_that_is_locked_to_readers_refuses_them(make_client: Make, home: Path) -> None:
    build_id = build(make_client())
    client = make_client(store_timeout_s=0.05)
    # Whoever opens a database alone must be the first.
    client.app.state.services.database.close()
    with locked_even_to_read(home):
        for _ in range(3):
            assert refusal(client.get(f"/v1/builds/{build_id}")) == LOCKED
    assert client.get(f"/v1/builds/{build_id}").status_code == 200


def vanish(home: Path) -> None:
    shutil.rmtree(home)


def move(home: Path) -> None:
    home.rename(home.with_name("elsewhere"))


def replace(home: Path) -> None:
    copy = shutil.copytree(home, home.with_name("copy"))
    shutil.rmtree(home)
    copy.rename(home)


def lose_log(home: Path) -> None:
    (home / f"{FILE_NAME}-wal").unlink()


@pytest.mark.parametrize("lose", [vanish, move, replace, lose_log])
def test_a_home_that_is_gone_keeps_nothing_and_says_so(
    send: Callable[..., TestClient], home: Path, lose: Callable[[Path], None]
) -> None:
    lose(home)
    for method, path, body in WRITES:
        response = send(method, path, body)
        assert response.headers["retry-after"] == "5"
        assert refusal(response) == VANISHED, (method, path)
    upload = send("POST", "/v1/weights", "no weights, but that is not the question")
    assert refusal(upload) == VANISHED
    health = send("GET", "/healthz", None).json()
    assert health["ready"] is False
    assert health["store"] == {"ready": False, "reason": GONE}
    ready = send("GET", "/v2/health/ready", None)
    assert ready.status_code == 503
    assert ready.json()["detail"] == GONE


def test_a_home_that_comes_back_is_used_again(send: Callable[..., TestClient], home: Path) -> None:
    move(home)
    assert send(*WRITES[0]).status_code == 503
    home.with_name("elsewhere").rename(home)
    assert send(*WRITES[0]).status_code == 201
    assert send("GET", "/healthz", None).json()["ready"] is True
    assert send("GET", "/v2/health/ready", None).status_code == 200


def test_weights_that_are_gone_with_their_folder_are_not_unknown(
    send: Callable[..., TestClient], home: Path
) -> None:
    vanish(home)
    missing = {**LOCKED, "detail": "The disk reported an error: No such file or directory."}
    source = {"source": "checkpoint", "id": "0" * 64}
    for method, path, body in (
        ("GET", "/v1/weights", None),
        ("GET", f"/v1/weights/{'0' * 64}", None),
        ("DELETE", f"/v1/weights/{'0' * 64}", None),
        ("POST", "/v1/builds", {"architecture": "lenet", "weights": source}),
    ):
        assert refusal(send(method, path, body)) == missing, (method, path)
