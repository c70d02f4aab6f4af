"""The worker is supervised: deaths, deadlines, a full queue, a missing device, the end."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from zoo_server import Server, build, npy_bytes, poll, problem

from app.compute.child_process import describe_end
from app.compute.local_engine import LocalEngine
from app.engine import (
    DeadlineError,
    EngineError,
    QueueFullError,
    WorkerUnavailableError,
)
from app.settings import Settings
from app.tasks import InputPart, ReadInputs, SaveWeights, Specs

pytestmark = pytest.mark.heavy

ROW = npy_bytes(np.zeros((28, 28, 1), np.float32))
TASK = SaveWeights("a", Specs.of({}, {}), "npz", {}, "")


def in_flight(client: httpx.Client) -> bool:
    return bool(client.get("/healthz").json()["worker"]["in_flight"])


def queued(client: httpx.Client) -> int:
    count: int = client.get("/healthz").json()["worker"]["queued"]
    return count


def not_ready(client: httpx.Client) -> bool:
    try:
        return not client.get("/healthz").json()["ready"]
    except httpx.TransportError:  # it takes no connections any more
        return True


def in_thread(function: Callable[[], Any]) -> Callable[[], Any]:
    """Start a function in a thread and return a function that waits for its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()

    def wait() -> Any:
        thread.join(60)
        return results[0]

    return wait


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that nobody has waited for yet is still listed.
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def stop(pid: int) -> None:
    """Stop a process, and wait until every thread of it stands still.

    The signal reaches one thread, which then tells the others: those may still answer a task.
    """
    os.kill(pid, signal.SIGSTOP)
    poll(lambda: all(state == "T" for state in thread_states(pid)))


def thread_states(pid: int) -> list[str]:
    return [
        # The name of the program, in brackets, may hold spaces.
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]


def test_a_worker_killed_during_a_request_costs_that_request_only(tmp_path: Path) -> None:
    # TensorFlow has one lane: ONNX Runtime may take a second batch beside the first.
    server = Server(tmp_path, engine="tensorflow")
    with server.client() as client:
        path = f"/v1/builds/{build(client)}/predict"
        worker = server.worker_pid()
        client.post(path, content=ROW)
        poll(lambda: not in_flight(client))  # it has warmed up
        # A stopped worker holds the request in flight for as long as the test needs.
        stop(worker)
        answer = in_thread(lambda: client.post(path, content=ROW))
        with server.client() as other:
            poll(lambda: in_flight(other))
            waiting = in_thread(lambda: httpx.post(server.url + path, content=ROW, timeout=60))
            poll(lambda: queued(other) == 1)
            os.kill(worker, signal.SIGKILL)
            response = answer()
        assert response.headers["retry-after"] == "1"
        assert problem(response) == {
            "type": "/docs#problem-worker-died",
            "title": "The worker died while computing",
            "status": 503,
            "detail": "The worker was killed by SIGKILL (the system does so when memory runs out) "
            "while it did this request. It is started again; the request may be sent again.",
            "errors": [],
        }
        # The one that waited, and the next one, wait for the restart without being told to.
        assert waiting().status_code == 200
        assert client.post(path, content=ROW).status_code == 200
        worker_state = client.get("/healthz").json()["worker"]
        assert (worker_state["state"], worker_state["restarts"]) == ("ready", 1)
        assert server.worker_pid(2) != worker

        # The end: what is in flight is finished, the status is 0, and no process is left.
        worker = server.worker_pid(2)
        poll(lambda: not in_flight(client))
        stop(worker)
        last = in_thread(lambda: httpx.post(server.url + path, content=ROW, timeout=60))
        poll(lambda: in_flight(client))
        server.process.terminate()
        poll(lambda: not_ready(client))
        os.kill(worker, signal.SIGCONT)
        assert last().status_code == 200
    assert server.wait() == 0
    assert not is_running(worker)


def test_a_request_whose_client_has_gone_leaves_the_queue(tmp_path: Path) -> None:
    # TensorFlow again, for its one lane: how many ONNX Runtime gets is measured at each start.
    server = Server(tmp_path, engine="tensorflow")
    with server.client() as client:
        path = f"/v1/builds/{build(client)}/predict"
        worker = server.worker_pid()
        client.post(path, content=ROW)
        poll(lambda: not in_flight(client))  # it has warmed up
        stop(worker)
        try:
            answer = in_thread(lambda: httpx.post(server.url + path, content=ROW, timeout=60))
            poll(lambda: in_flight(client))
            host, port = server.url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port))) as impatient:
                head = f"POST {path} HTTP/1.1\r\nHost: zoo\r\nContent-Length: {len(ROW)}\r\n\r\n"
                impatient.sendall(head.encode() + ROW)
                poll(lambda: queued(client) == 1)
            poll(lambda: queued(client) == 0)
        finally:
            os.kill(worker, signal.SIGCONT)
        assert answer().status_code == 200
    server.end()


def test_builds_survive_a_restart_of_the_program(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        server = Server(tmp_path)
        with server.client() as client:
            listed = client.get("/v1/builds").json()["builds"]
            path = f"/v1/builds/{listed[0]['id'] if listed else build(client)}"
            answers.append([client.get(path).json(), client.get(f"{path}/summary").json()])
        assert server.end() == 0
    assert answers[0] == answers[1]


def test_a_worker_does_not_outlive_a_killed_api(tmp_path: Path) -> None:
    server = Server(tmp_path)
    worker = int(server.wait_for(r"Worker (\d+) starts")[1])
    assert is_running(worker)
    server.process.kill()
    server.wait()
    poll(lambda: not is_running(worker))


def test_a_gpu_that_is_not_there_refuses_to_start_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # the same on a machine that has one
    server = Server(tmp_path, device="gpu")
    assert server.wait() == 1
    (line,) = [line for line in server.log if line.startswith("The service cannot start")]
    assert line.startswith("The service cannot start: ZOO_DEVICE=gpu, but ")
    assert not [line for line in server.log if "Serving" in line or "Traceback" in line]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prot": 1}, "The service cannot start: ZOO_PROT is not a setting. "
         "Did you mean 'ZOO_PORT' or 'ZOO_HOST' or 'ZOO_OPEN_ROUTES'?\n"),
        ({"host": "256.0.0.1"}, "The service cannot start: listening on 256.0.0.1:0 failed: "
         "Name or service not known. ZOO_HOST and ZOO_PORT set both.\n"),
    ],
)  # fmt: skip
def test_a_setting_that_does_not_fit_is_one_line(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    server = Server(tmp_path, **settings)
    assert server.wait() == 1
    assert server.log == [message, "<end>"]


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = Server(tmp_path, port=port)
        assert server.wait() == 1
    assert server.log == [
        f"The service cannot start: listening on 127.0.0.1:{port} failed: Address already in "
        "use. ZOO_HOST and ZOO_PORT set both.\n",
        "<end>",
    ]


def run_engine(test: Callable[[LocalEngine], Any], **settings: Any) -> None:
    """Run a test against an engine whose worker has only begun to import TensorFlow."""

    async def run() -> None:
        engine = LocalEngine(Settings(device="cpu", **settings))
        await engine.start(wait_until_ready=False)
        try:
            await test(engine)
        finally:
            await engine.close()

    asyncio.run(run())


def test_an_engine_without_readers_starts_none_and_says_so() -> None:
    async def run() -> None:
        engine = LocalEngine(Settings(device="cpu"), has_readers=False)
        await engine.start(wait_until_ready=False)
        try:
            assert engine.pids["reader"] == ()
            with pytest.raises(WorkerUnavailableError) as refusal:
                await engine.read(ReadInputs((InputPart("npy", ""),), (1,), "lenet"), [ROW])
            assert str(refusal.value) == "This engine has no processes that read inputs."
        finally:
            await engine.close()

    asyncio.run(run())


def test_a_full_queue_refuses_at_once() -> None:
    async def test(engine: LocalEngine) -> None:
        waiting = asyncio.create_task(engine.run(TASK))
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError) as refusal:
            await engine.run(TASK)
        assert str(refusal.value) == (
            "1 requests wait for the worker already; the limit is 1 (ZOO_QUEUE_LENGTH)."
        )
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert engine.status().in_flight == 0  # a task that nobody waits for leaves the queue

    run_engine(test, queue_length=1)


def test_a_worker_that_does_not_come_up_in_time_is_said_so() -> None:
    async def test(engine: LocalEngine) -> None:
        with pytest.raises(WorkerUnavailableError) as refusal:
            await engine.run(TASK)
        assert str(refusal.value) == (
            "The worker did not come up within 0.05 s (ZOO_REQUEST_TIMEOUT_S)."
        )
        status = engine.status()
        assert (status.ready, status.state, status.queued) == (False, "starting", 0)

    run_engine(test, request_timeout_s=0.05)


def test_a_task_that_takes_too_long_ends_the_worker() -> None:
    async def test(engine: LocalEngine) -> None:
        async with asyncio.timeout(60):
            while not engine.status().ready:
                await asyncio.sleep(0.01)
        (worker,) = engine.worker_pids
        stop(worker)
        with pytest.raises(DeadlineError) as refusal:
            await engine.run(TASK)
        assert str(refusal.value) == (
            "The request computed for longer than 0.05 s (ZOO_REQUEST_TIMEOUT_S)."
        )
        async with asyncio.timeout(60):
            while engine.worker_pids in ([worker], []):
                await asyncio.sleep(0.01)
        assert engine.status().restarts == 1
        assert engine.status().reason == (
            "was ended: a task took longer than 0.05 s (ZOO_REQUEST_TIMEOUT_S)"
        )
        assert not is_running(worker)

    run_engine(test, request_timeout_s=0.05)


def test_a_worker_that_cannot_start_is_said_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def test(engine: LocalEngine) -> None:
        async with asyncio.timeout(60):
            while engine.status().restarts < 3:
                await asyncio.sleep(0.01)
        with pytest.raises(WorkerUnavailableError) as refusal:
            await engine.run(TASK)
        assert str(refusal.value) == (
            "The worker has failed to start 3 times: it exited with status 1."
        )

    run_engine(test)


def test_sigterm_ends_the_program_while_it_waits_for_its_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    server = Server(tmp_path, device="gpu")
    worker = int(server.wait_for(r"Worker (\d+) starts")[1])
    assert server.end() == 0
    assert not is_running(worker)
    assert not [line for line in server.log if "Traceback" in line]


def test_what_waits_when_the_service_ends_is_told_so() -> None:
    async def test(engine: LocalEngine) -> None:
        waiting = asyncio.create_task(engine.run(TASK))
        await asyncio.sleep(0)
        await engine.close()
        with pytest.raises(EngineError) as refusal:
            await waiting
        assert str(refusal.value) == "The service is stopping."

    run_engine(test)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "exited with status 0"),
        (3, "exited with status 3"),
        (-signal.SIGSEGV, "was killed by SIGSEGV"),
        (-signal.SIGKILL, "was killed by SIGKILL (the system does so when memory runs out)"),
    ],
)
def test_the_end_of_a_process_is_said_in_words(status: int, text: str) -> None:
    assert describe_end(status) == text
