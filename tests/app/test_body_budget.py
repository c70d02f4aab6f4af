"""All bodies together have one budget, and clients that withhold the end cannot keep it."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from zoo_server import Server, image_bytes, problem

from app.errors import ServiceError
from app.http import body_budget
from app.http.body_budget import BodyBudget, HeldBody
from app.settings import Limit, SettingsError, load_settings

MIB = 2**20
REFUSAL = (
    "The bodies of the requests in progress leave no room for this one; the limit is "
    "100 (ZOO_MAX_BODIES_BYTES) bytes."
)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def budget(clock: Clock) -> BodyBudget:
    return BodyBudget(Limit(100, "ZOO_MAX_BODIES_BYTES"), clock)


def refused(body: HeldBody, size: int) -> None:
    with pytest.raises(ServiceError) as refusal:
        body.add(size)
    assert (refusal.value.kind, refusal.value.detail) == ("overloaded", REFUSAL)
    assert refusal.value.members == {"reason": "bodies"}


async def withhold(body: HeldBody, size: int, holds: asyncio.Event) -> str:
    """Send bytes and nothing more; return what the client reads."""
    try:
        async with body.arriving(size + 1, 30):
            body.add(size)
            holds.set()
            await asyncio.Event().wait()
    except ServiceError as error:
        return error.detail
    raise AssertionError("it arrived")


def test_bodies_that_arrived_keep_their_room_until_their_requests_end(budget: BodyBudget) -> None:
    first, second = budget.body(), budget.body()
    first.add(60)
    refused(second, 41)
    second.add(40)
    first.close()
    second.add(60)
    second.close()
    assert budget.held_bytes == 0


def test_memory_goes_back_to_the_system_after_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and not while bodies are held."""
    given_back = threading.Semaphore(0)
    monkeypatch.setattr(body_budget, "give_back_freed_memory", given_back.release)
    monkeypatch.setattr(body_budget, "_REST_S", 0.0)
    monkeypatch.setattr(body_budget, "_BURST_BYTES", 50)
    budget = BodyBudget(Limit(100, "ZOO_MAX_BODIES_BYTES"))

    async def run() -> None:
        small, large = budget.body(), budget.body()
        for sizes in ((10, 20), (30, 40)):
            for body, size in zip((small, large), sizes, strict=True):
                body.add(size)
            large.close()
            await asyncio.sleep(0)
            assert not given_back.acquire(blocking=False)
            small.close()
        while not given_back.acquire(blocking=False):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert not given_back.acquire(blocking=False)


def test_the_largest_that_takes_longest_makes_room(budget: BodyBudget, clock: Clock) -> None:
    async def run() -> None:
        large, small, new = budget.body(), budget.body(), budget.body()
        events = asyncio.Event(), asyncio.Event()
        tasks = [
            asyncio.create_task(withhold(body, size, event))
            for body, size, event in zip((large, small), (60, 40), events, strict=True)
        ]
        for event in events:
            await event.wait()
        clock.now = 1.0
        new.add(10)
        assert await tasks[0] == REFUSAL
        assert (large.held_bytes, small.held_bytes, budget.held_bytes) == (0, 40, 50)
        refused(large, 1)
        tasks[1].cancel()

    asyncio.run(run())


def test_a_body_is_refused_itself_if_it_claims_most(budget: BodyBudget, clock: Clock) -> None:
    async def run() -> None:
        large, small = budget.body(), budget.body()
        event = asyncio.Event()
        task = asyncio.create_task(withhold(small, 40, event))
        await event.wait()
        async with large.arriving(61, 30):
            large.add(60)
            clock.now = 1.0
            refused(large, 1)
        assert budget.held_bytes == 40
        assert not task.done()
        task.cancel()

    asyncio.run(run())


def test_nothing_is_given_up_for_what_would_not_fit_then(budget: BodyBudget, clock: Clock) -> None:
    async def run() -> None:
        complete, other = budget.body(), budget.body()
        complete.add(70)
        event = asyncio.Event()
        task = asyncio.create_task(withhold(other, 30, event))
        await event.wait()
        clock.now = 1.0
        refused(budget.body(), 31)
        assert other.held_bytes == 30
        task.cancel()

    asyncio.run(run())


def test_a_body_that_was_given_up_as_it_ended_is_refused(budget: BodyBudget, clock: Clock) -> None:
    async def arrive(body: HeldBody) -> None:
        async with body.arriving(100, 30):
            body.add(100)
            clock.now = 1.0
            budget.body().add(1)

    with pytest.raises(ServiceError, match="no room"):
        asyncio.run(arrive(budget.body()))
    assert budget.held_bytes == 1


def test_a_form_is_held_twice_while_its_parts_are_taken_out(
    make_client: Callable[..., TestClient],
) -> None:
    picture = image_bytes(size=(400, 300))
    limit = len(picture) + 1000
    client = make_client(max_body_bytes=limit, max_document_bytes=1, max_bodies_bytes=2 * limit)
    for _ in range(3):
        response = client.post("/v1/infer", files={"image": picture})
        assert problem(response)["detail"] == "The form has no field called spec; it must have one."


def test_the_largest_form_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_MAX_BODIES_BYTES", "1000000")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "ZOO_MAX_BODIES_BYTES: input should be at least 67108864, twice the largest body "
        "(ZOO_MAX_BODY_BYTES, ZOO_MAX_DOCUMENT_BYTES), received 1000000."
    )


def peak_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def test_clients_that_withhold_the_end_lock_out_nobody(tmp_path: Path) -> None:
    size = 4 * MIB
    server = Server(tmp_path, max_body_bytes=size, max_bodies_bytes=2 * size, drain_s=0)
    host, port = server.url.removeprefix("http://").split(":")
    head = b"POST /v1/infer HTTP/1.1\r\nHost: zoo\r\nContent-Length: %d\r\n\r\n" % size
    is_over = threading.Event()
    withheld = threading.Semaphore(0)

    def withhold_ends() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError), socket.create_connection((host, int(port))) as line:
                line.sendall(head + bytes(size - 1))
                withheld.release()
                line.recv(1)  # it ends when others need the room
            withheld.release()

    def post(seed: int) -> int:
        spec = {"architecture": "lenet", "weights": {"source": "random", "seed": seed}}
        with server.client() as client:
            body = json.dumps(spec).ljust(900_000)
            return client.post("/v1/builds", content=body).status_code

    assert post(0) == 201
    before = peak_bytes(server)
    with ThreadPoolExecutor(65) as pool, contextlib.ExitStack() as stack:
        for _ in range(20):  # what is declared and not sent reserves nothing
            line = stack.enter_context(socket.create_connection((host, int(port))))
            line.sendall(head)
        for _ in range(60):
            pool.submit(withhold_ends)
        for _ in range(60):
            assert withheld.acquire(timeout=30)
        try:
            statuses = list(pool.map(post, range(1, 13)))
            grown = peak_bytes(server) - before
        finally:
            is_over.set()
            server.end()
    assert statuses == [201] * 12
    # The budget is 8 MiB of the 240 that were sent; 80 connections hold pieces that are not read
    # yet, and malloc keeps 64 MiB of what is freed.
    assert grown < 128 * MIB
