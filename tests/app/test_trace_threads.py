"""Traces wait in threads of their own, and not for long."""

import asyncio
import json
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import problem

from app.builds import Builds
from app.engine import QueueFullError
from app.settings import Limit
from app.trace_threads import TraceThreads
from model_zoo import Trace, trace

LENET = {"architecture": "lenet"}


def threads(wait_s: float) -> TraceThreads:
    return TraceThreads(Limit(wait_s, "ZOO_TRACE_WAIT_S"))


def test_what_waited_too_long_is_refused() -> None:
    go_on = threading.Event()

    async def run() -> None:
        traces = threads(0.01)
        running = [asyncio.create_task(traces.run(go_on.wait, 30)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError) as refusal:
            await traces.run(int)
        assert str(refusal.value) == (
            "The networks of other requests are being traced, for which a request may wait "
            "0.01 (ZOO_TRACE_WAIT_S) s."
        )
        go_on.set()
        assert await asyncio.gather(*running) == [True, True]
        assert await traces.run(int, "7") == 7

    asyncio.run(run())


def test_what_would_wait_too_long_is_refused_at_once() -> None:
    go_on = threading.Event()

    async def run() -> None:
        traces = threads(10)
        traces._mean_s = 5.0
        tasks = [asyncio.create_task(traces.run(go_on.wait, 30)) for _ in range(7)]
        await asyncio.sleep(0)  # two run, and five wait
        with pytest.raises(QueueFullError, match="other requests are being traced") as refusal:
            await traces.run(int)
        assert refusal.value.retry_after_s == 10
        go_on.set()
        assert await asyncio.gather(*tasks) == [True] * 7

    asyncio.run(run())


def test_an_error_passes_through_and_gives_the_thread_back() -> None:
    async def run() -> None:
        traces = threads(10)
        for _ in range(3):
            with pytest.raises(ValueError, match="invalid literal"):
                await traces.run(int, "x")

    asyncio.run(run())


def test_reads_answer_while_posted_specs_are_traced(
    make_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(trace_wait_s=0.05)
    made = client.post("/v1/builds", json=LENET).json()["id"]
    running, go_on = threading.Semaphore(0), threading.Event()
    trace_body = Builds.trace_body

    def held(self: Builds, *args: object) -> object:
        running.release()
        assert go_on.wait(30)
        return trace_body(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Builds, "trace_body", held)
    with ThreadPoolExecutor(40) as pool:
        posts = [pool.submit(client.post, "/v1/builds", json=LENET) for _ in range(40)]
        try:
            for _ in range(2):
                assert running.acquire(timeout=30)
            for path in ("", "/summary", "/explanation", "/graph", "/code"):
                assert client.get(f"/v1/builds/{made}{path}").status_code == 200
            assert client.get("/v1/builds").status_code == 200
            assert client.get("/healthz").status_code == 200
            finished = [post.result() for post in islice(as_completed(posts, timeout=30), 38)]
        finally:
            go_on.set()
    assert {response.status_code for response in finished} == {503}
    assert {problem(response)["reason"] for response in finished} == {"traces"}
    assert all(int(response.headers["retry-after"]) >= 1 for response in finished)
    assert sum(post.result().status_code == 200 for post in posts) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", ""),
        ("POST", "?include=explanation"),
        ("GET", "/{id}/summary"),
        ("GET", "/{id}/explanation"),
        ("GET", "/{id}/restore-plan"),
        ("GET", "/{id}/diff/{id}"),
    ],
)
def test_no_more_traces_are_in_memory_than_there_are_threads(
    make_client: Callable[..., TestClient],
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
) -> None:
    client = make_client(trace_wait_s=60)
    spec = {"architecture": "nasnet_cifar"}
    build_id = client.post("/v1/builds", json=spec).json()["id"]
    traces = weakref.WeakSet[Trace]()
    counts = []

    def noted(*args: Any) -> Trace:
        traced = trace(*args)
        traces.add(traced)
        counts.append(len(traces))
        return traced

    monkeypatch.setattr("app.builds.trace", noted)
    clients = 12
    with ThreadPoolExecutor(clients) as pool:
        path = f"/v1/builds{path}".format(id=build_id)
        body = json.dumps(spec) if method == "POST" else None
        sent = [pool.submit(client.request, method, path, content=body) for _ in range(clients)]
        assert {each.result().status_code for each in sent} == {200}
    a_request = 2 if "diff" in path else 1
    assert len(counts) == clients * a_request
    # Two threads, and one whose result is about to be dropped.
    assert max(counts) <= 3 * a_request


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "/v1/builds", LENET),
        ("POST", "/v1/diff", {"a": LENET, "b": LENET}),
        ("PUT", "/v1/scopes/x", {"levels": []}),
        ("PUT", "/v1/models/x", {"build": "0" * 32}),
        ("POST", "/v1/sweeps", {"spec": LENET, "axes": []}),
        ("POST", "/v2/repository/index", {"ready": True}),
    ],
)
def test_a_document_is_read_in_few_threads(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, method: str, path: str, document: object
) -> None:
    names = []
    loads, content = json.loads, json.dumps(document)

    def noted(text: str, **options: Any) -> object:
        if text == content:  # the store reads JSON too
            names.append(threading.current_thread().name)
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", noted)
    response = client.request(method, path, content=content)
    monkeypatch.undo()
    assert response.status_code < 500, response.text
    assert names
    assert all(name.startswith("trace") for name in names), names
