"""Sweeps by the real program: killed and resumed, ended, left alone, at once, and large."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from test_engine import is_running
from zoo_server import Server, build, npy_bytes, poll

from app.compute import tracer_pool
from app.compute.local_engine import LocalEngine
from app.settings import Settings
from app.tasks import SweepPart, TraceRows

pytestmark = pytest.mark.heavy

CLASSES = "/params/num_classes"
NDJSON = {"Accept": "application/x-ndjson"}
ROW = npy_bytes(np.zeros((28, 28, 1), np.float32))


def lenets(count: int, first: int = 1) -> bytes:
    axes = {CLASSES: {"start": first, "stop": first + count}}
    return json.dumps({"spec": {"architecture": "lenet"}, "axes": axes}).encode()


# It would take half a minute, and is never let go on so long.
LONG = json.dumps(
    {"spec": {"architecture": "mobilenet_v1"}, "axes": {CLASSES: {"start": 2, "stop": 9_002}}}
).encode()


def rows_of(client: httpx.Client, document: bytes) -> list[dict[str, Any]]:
    """Post a sweep, and return its rows when all are traced."""
    response = client.post("/v1/sweeps", content=document, headers=NDJSON)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


def first_rows(server: Server, document: bytes, count: int = 1) -> str:
    """Post a sweep, leave when some rows have come, and return its path."""
    with (
        server.client() as client,
        client.stream("POST", "/v1/sweeps", content=document, headers=NDJSON) as response,
    ):
        lines = response.iter_lines()
        for _ in range(count):
            assert json.loads(next(lines))["status"] == "traced"
        return str(response.headers["location"])


def children(pid: int, module: str) -> list[int]:
    """Return the ids of the child processes of a process that run a module."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = {int(each): Path(f"/proc/{each}/cmdline") for each in listed}
    return [each for each, path in commands.items() if module in path.read_text().split("\0")]


def tracers(server: Server) -> list[int]:
    return children(server.process.pid, "app.compute.tracer")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, new_state: Callable[[], dict[str, Any]]
) -> Iterator[Server]:
    """One program for the tests that leave it alive."""
    server = Server(tmp_path_factory.mktemp("home"), **new_state())
    yield server
    assert server.end() == 0


def test_a_killed_service_goes_on_with_the_same_rows(
    tmp_path: Path, shared: Server, new_state: Callable[[], dict[str, Any]]
) -> None:
    state = new_state()
    server = Server(tmp_path, **state)
    path = first_rows(server, lenets(600), 65)
    pids = [server.process.pid, *tracers(server)]
    os.kill(server.process.pid, signal.SIGKILL)
    server.wait()
    # Tracers end with the service, even in the middle of a trace.
    poll(lambda: not any(map(is_running, pids)))

    server = Server(tmp_path, **state)
    with server.client() as client:
        # In a database that others use too, a service that is dead is not known to be so at once.
        poll(lambda: client.get(path).json()["state"] != "running")
        body = client.get(path).json()
        assert (body["state"], body["reason"]) == ("stopped", "It was interrupted.")
        done = body["done"]
        assert 64 <= done < 600
        assert done == sum(body["statuses"].values())
        assert len(client.get(f"{path}/rows?limit=1000").json()["rows"]) == done
        rows = rows_of(client, lenets(600))
    with shared.client() as client:
        assert rows == rows_of(client, lenets(600))

    # SIGTERM in the middle of another one: the stream ends with the reason, and no process is left.
    pids = [server.process.pid, *tracers(server)]
    with (
        server.client() as client,
        client.stream("POST", "/v1/sweeps", content=LONG, headers=NDJSON) as response,
    ):
        lines = response.iter_lines()
        next(lines)
        pids += tracers(server)
        server.process.terminate()
        *_, last = lines
    assert json.loads(last) == {
        "state": "stopped",
        "reason": "The service was stopping.",
        "done": json.loads(last)["done"],
    }
    assert server.wait() == 0
    assert not any(map(is_running, pids))


def test_a_killed_tracer_costs_no_row(shared: Server) -> None:
    path = first_rows(shared, lenets(800, 5_000))
    killed = tracers(shared)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    # The client has left; the sweep goes on.
    with shared.client() as client:
        poll(lambda: client.get(path).json()["state"] != "running")
        assert client.get(path).json()["statuses"]["traced"] == 800
    assert set(tracers(shared)).isdisjoint(killed)


def test_sweeps_take_turns_and_leave_others_their_time(shared: Server) -> None:
    """A short sweep, predictions and health checks are answered while a long sweep runs."""
    path = first_rows(shared, LONG)
    with shared.client() as client:
        assert len(rows_of(client, lenets(40, 90_000))) == 40
        model = build(client)
        assert client.post(f"/v1/builds/{model}/predict", content=ROW).status_code == 200
        assert client.get("/healthz").status_code == 200
        body = client.get(path).json()
        assert (body["state"], body["done"] < 9_000) == ("running", True)
        assert client.delete(path).status_code == 204
        # What it was doing is dropped, so the next one need not wait.
        assert len(rows_of(client, lenets(10, 80_000))) == 10
        assert client.get(path).status_code == 404


def test_ten_thousand_rows_take_bounded_memory(shared: Server) -> None:
    with shared.client() as client:
        rows_of(client, lenets(10, 70_000))
        before = resident_bytes(shared.process.pid)
        with client.stream(
            "POST", "/v1/sweeps", content=lenets(10_000, 20_000), headers=NDJSON
        ) as response:
            indices = [json.loads(line)["index"] for line in response.iter_lines()]
            path = response.headers["location"]
        assert indices == list(range(10_000))
        table = client.get(f"{path}/rows?format=csv&sort=-parameters")
        assert len(table.text.splitlines()) == 10_001
        # What the rows came to stays known, and a table has all rows at once.
        assert resident_bytes(shared.process.pid) - before < 120 * 2**20
        refused = client.post("/v1/sweeps", content=lenets(10_001))
        assert refused.json()["detail"] == (
            "This sweep has 10001 rows; the limit is 10000 (ZOO_MAX_SWEEP_ROWS)."
        )


def test_a_document_of_a_megabyte_is_kept_and_comes_back_in_pieces(shared: Server) -> None:
    padding = {f"k{number}": "x" * 9_000 for number in range(110)}
    axes = {CLASSES: {"start": 1, "stop": 101}}
    spec = {"architecture": "lenet", "weights": padding}
    document = json.dumps({"spec": spec, "axes": axes}).encode()
    assert len(document) > 950_000
    with shared.client() as client:
        before = resident_bytes(shared.process.pid)
        path = client.post("/v1/sweeps", content=document).headers["location"]
        assert client.get(path).json()["sweep"]["spec"] == spec
        page = client.get(f"{path}/rows?spec=true").json()
        assert [row["spec"]["weights"] for row in page["rows"]] == [padding]
        assert page["next"] == f"{path}/rows?spec=true&limit=100&cursor=1"
        # All rows with their specs have a hundred megabytes, which are never there at once.
        with client.stream("GET", f"{path}/rows?spec=true&format=ndjson") as response:
            indices = [json.loads(line)["index"] for line in response.iter_lines()]
        assert indices == list(range(100))
        assert resident_bytes(shared.process.pid) - before < 80 * 2**20


def test_processes_end_where_there_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracer_pool, "_IDLE_SECONDS", 0.05)
    part = SweepPart("a", lenets(3), b"{}", (0, 2))

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)

    async def run() -> None:
        engine = LocalEngine(Settings(device="cpu", tracers=2))

        def pids() -> tuple[int, ...]:
            return engine.pids["tracer"]

        try:
            assert pids() == ()
            for _ in range(2):
                replies = await asyncio.gather(*(engine.trace(TraceRows(part)) for _ in range(3)))
                assert [len(json.loads(reply.result)) for reply in replies] == [2, 2, 2]
                started = pids()
                assert len(started) == 2
                await until(lambda: pids() == ())
                await until(lambda started=started: not any(map(is_running, started)))
        finally:
            await engine.close()

    asyncio.run(run())
