"""What is let in while the service is full, and what every refusal says."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from zoo_server import NoEngine, problem

from app.engine import (
    DeadlineError,
    OutOfMemoryError,
    QueueFullError,
    WorkerUnavailableError,
)
from app.errors import ServiceError
from app.http.admission import Admission, is_always_admitted
from app.http.envelope import Envelope
from app.settings import Settings
from app.telemetry.metrics import Metrics


def request(method: str = "GET", path: str = "/v1/limits", client: str = "10.0.0.1") -> Scope:
    return {"type": "http", "method": method, "path": path, "client": (client, 1), "headers": []}


def rejections(metrics: Metrics) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.exposition.text())
    return {
        sample.labels["reason"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "zoo_rejected_total" and sample.value
    }


class Held:
    """An application whose requests end when they are told to."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.go_on = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/held":
            self.arrived.release()
            # The client runs each request in a loop of its own: blocking it blocks nobody else.
            self.go_on.wait(30)
        await PlainTextResponse("done")(scope, receive, send)


@contextmanager
def held(application: Held, client: TestClient, *methods: str) -> Iterator[None]:
    """Have requests of these methods in progress inside."""
    with ThreadPoolExecutor(len(methods)) as pool:
        futures = [pool.submit(client.request, method, "/held") for method in methods]
        for _ in methods:
            assert application.arrived.acquire(timeout=30)
        try:
            yield
        finally:
            application.go_on.set()
        assert [future.result().status_code for future in futures] == [200] * len(methods)


@pytest.mark.parametrize(
    ("busy", "refused", "admitted"),
    [("POST", ("POST", "PUT", "DELETE"), "GET"), ("GET", ("GET", "HEAD"), "POST")],
)
def test_reads_and_work_have_places_of_their_own(
    busy: str, refused: tuple[str, ...], admitted: str
) -> None:
    application = Held()
    client = TestClient(Envelope(application, Admission(2)))
    with held(application, client, busy, busy):
        for method in refused:
            response = client.request(method, "/other")
            assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert client.request(admitted, "/other").status_code == 200
    assert client.request(busy, "/other").status_code == 200


def test_probes_and_metrics_answer_while_everything_is_full() -> None:
    application = Held()
    client = TestClient(Envelope(application, Admission(0, 1)))
    for path in ("/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
        assert client.post(path).status_code == 503
    for path in ("/", "/v2/models", "/healthz/more", "/v2/health"):
        assert client.get(path).status_code == 503
    assert not is_always_admitted(request(path="/metricsx"))


def test_a_client_has_only_so_many_places() -> None:
    metrics = Metrics()
    application = Held()
    envelope = Envelope(application, Admission(10, 2), metrics=metrics)
    client = TestClient(envelope, client=("10.0.0.1", 50000))
    other = TestClient(envelope, client=("10.0.0.2", 50000))
    with held(application, client, "POST", "GET"):
        response = client.get("/other")
        assert response.headers["retry-after"] == "1"
        assert problem(response) == {
            "type": "/docs#problem-too-many-requests",
            "title": "The client sends too many requests",
            "status": 429,
            "detail": "2 requests from your address are already in progress "
            "(ZOO_MAX_CLIENT_CONCURRENCY).",
            "reason": "client-concurrency",
            "errors": [],
        }
        assert client.get("/healthz").status_code == 200
        assert other.get("/other").status_code == 200
    assert client.get("/other").status_code == 200
    assert rejections(metrics) == {"client-concurrency": 1}


def test_a_client_that_is_gone_is_forgotten() -> None:
    admission = Admission(10, max_client_concurrency=1)
    for number in range(3):
        scope = request(client=f"10.0.0.{number}")
        admission.enter(scope)
        admission.leave(scope)
    assert admission._clients == {}


def test_a_refused_request_takes_no_place() -> None:
    admission = Admission(10, max_client_concurrency=1)
    admission.enter(request())
    for _ in range(3):
        with pytest.raises(ServiceError):
            admission.enter(request())
    admission.leave(request())
    admission.enter(request())


def test_clients_of_a_unix_socket_are_one_client() -> None:
    admission = Admission(10, max_client_concurrency=1)
    admission.enter({**request(), "client": None})
    with pytest.raises(ServiceError, match="1 requests from your address"):
        admission.enter({**request(), "client": None})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (QueueFullError("9 wait."), "queue-full"),
        (OutOfMemoryError("no memory"), "out-of-memory"),
        (WorkerUnavailableError("no worker"), "worker-unavailable"),
        (DeadlineError("too late"), "deadline-passed"),
        (ServiceError("overloaded", "draining", reason="draining"), "draining"),
        (ServiceError("store-full", "full"), "store-full"),
        (ServiceError("not-found", "nothing"), None),
        (ServiceError("body-too-large", "large"), None),
        (RuntimeError("a fault"), None),
    ],
)
def test_every_rejection_is_counted_by_its_reason(error: Exception, reason: str | None) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    metrics = Metrics()
    TestClient(Envelope(refuse, Admission(1), metrics=metrics)).post("/v1/infer")
    assert rejections(metrics) == ({reason: 1} if reason else {})


def test_a_full_queue_says_when_to_come_back() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise QueueFullError("9 requests wait already.", retry_after_s=4)

    response = TestClient(Envelope(refuse, Admission(1))).post("/v1/infer")
    assert response.headers["retry-after"] == "4"
    assert problem(response)["reason"] == "queue-full"


def test_a_place_is_given_back_whatever_happens() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    client = TestClient(Envelope(fail, Admission(1, 1)))
    assert [client.get("/x").status_code for _ in range(3)] == [500, 500, 500]


def test_the_settings_reach_the_envelope(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_concurrency=1, max_client_concurrency=1)
    assert client.get("/v1/limits").status_code == 200
    by_name = {limit["name"]: limit for limit in client.get("/v1/limits").json()["limits"]}
    assert by_name["max_client_concurrency"]["value"] == 1
    assert Settings().max_client_concurrency == 0


def test_the_order_of_the_body_is_that_of_every_problem() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise ServiceError("overloaded", "full", reason="queue-full")

    body: dict[str, Any] = TestClient(Envelope(fail, Admission(1))).get("/x").json()
    assert list(body) == ["type", "title", "status", "detail", "request_id", "reason", "errors"]


class Full(NoEngine):
    """An engine that takes nothing more."""

    def check_admission(self) -> None:
        raise QueueFullError("64 requests wait for the worker already.", 7)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/builds/x/predict",
        "/v1/infer",
        "/v1/compare",
        "/v2/models/x/infer",
        "/v2/models/x/versions/1/infer",
        "/v1/models/x:predict",
        "/V1/Models/x/labels/stable:Classify",
        "/v1/models/x/versions/1:regress",
    ],
)
def test_inference_is_refused_before_its_body_is_read(
    make_client: Callable[..., TestClient], path: str
) -> None:
    client = make_client(Full(), max_body_bytes=10)
    response = client.post(path, content=b"x" * 100)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "7"
    assert response.json()["reason"] == "queue-full"


def test_what_is_no_inference_goes_on_while_the_queue_is_full(
    make_client: Callable[..., TestClient],
) -> None:
    client = make_client(Full())
    made = client.post("/v1/builds", json={"architecture": "lenet"})
    assert made.status_code == 201
    assert client.get(f"/v1/builds/{made.json()['id']}/summary").status_code == 200
    assert client.post("/v2/repository/index").status_code == 200
    assert client.get("/v1/models").status_code == 200
