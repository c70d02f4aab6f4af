"""SpanExporter reach an OpenTelemetry collector, and cost nothing where there is none."""

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.testclient import TestClient
from zoo_server import ROOT, build

from app.settings import SettingsError
from app.telemetry.exporting import span_exporter_from_environment
from app.telemetry.timings import Timings

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
Make = Callable[..., TestClient]


class Collector:
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def spans(self) -> dict[str, Span]:
        return {
            span.name: span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    @property
    def resource(self) -> dict[str, Any]:
        return values(self.requests[0].resource_spans[0].resource)


def values(message: Any) -> dict[str, Any]:
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value")) for item in message.attributes
    }


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    logger = logging.getLogger("opentelemetry")
    handlers, propagate = logger.handlers[:], logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


def test_a_request_is_a_span_of_the_caller_s_trace_with_its_phases(
    collector: Collector, make_client: Make
) -> None:
    client = make_client()
    headers = {"traceparent": PARENT, "tracestate": "vendor=1", "X-Request-ID": "mine"}
    before = time.time_ns()
    response = client.post("/v1/builds", content='{"architecture": "lenet"}', headers=headers)
    after = time.time_ns()
    client.__exit__(None, None, None)  # what is left is delivered at the end
    spans = collector.spans
    phases = ("trace", "plan", "reports", "store", "encode")
    assert set(spans) == {"POST /v1/builds", *phases}
    server = spans.pop("POST /v1/builds")
    assert server.kind == Span.SPAN_KIND_SERVER
    assert server.trace_id.hex() == TRACE
    assert server.parent_span_id.hex() == "b7ad6b7169203331"
    assert server.trace_state == "vendor=1"
    assert values(server) == {
        "http.request.method": "POST",
        "http.route": "/v1/builds",
        "http.response.status_code": 201,
        "url.path": "/v1/builds",
        "url.scheme": "http",
        "zoo.request_id": "mine",
    }
    assert response.headers["traceresponse"] == f"00-{TRACE}-{server.span_id.hex()}-01"
    moments = [before, server.start_time_unix_nano]
    for name in phases:
        phase = spans[name]
        assert phase.trace_id.hex() == TRACE
        assert phase.parent_span_id == server.span_id
        moments += [phase.start_time_unix_nano, phase.end_time_unix_nano]
    moments += [server.end_time_unix_nano, after]
    assert moments == sorted(moments)
    assert collector.resource["service.name"] == "model-zoo"
    assert collector.resource["service.version"]


def test_a_request_without_a_parent_begins_a_trace(collector: Collector, make_client: Make) -> None:
    client = make_client()
    response = client.get("/v1/nope?secret=1")
    client.__exit__(None, None, None)
    (span,) = collector.spans.values()
    assert span.name == "GET"
    assert span.parent_span_id == b""
    assert "http.route" not in values(span)
    assert "secret" not in str(span)
    assert response.json()["trace_id"] == span.trace_id.hex()


def test_a_parent_that_is_not_sampled_is_not_exported(
    collector: Collector, make_client: Make
) -> None:
    client = make_client()
    response = client.get("/v1/limits", headers={"traceparent": PARENT[:-2] + "00"})
    client.__exit__(None, None, None)
    assert response.headers["traceresponse"].startswith(f"00-{TRACE}-")
    assert response.headers["traceresponse"].endswith("-00")
    assert collector.requests == []


def test_probes_are_not_exported(collector: Collector, make_client: Make) -> None:
    client = make_client()
    for path in ("/healthz", "/metrics"):
        client.get(path)
    client.__exit__(None, None, None)
    assert collector.requests == []


def test_a_fault_is_an_error_of_its_span(collector: Collector, make_client: Make) -> None:
    client = make_client()
    build(client)

    @client.app.get("/fault")  # type: ignore[attr-defined]
    async def fault() -> None:
        raise RuntimeError("secret")

    assert client.get("/fault").status_code == 500
    client.__exit__(None, None, None)
    spans = collector.spans
    assert spans["GET /fault"].status.code == Status.STATUS_CODE_ERROR
    assert spans["POST /v1/builds"].status.code == Status.STATUS_CODE_UNSET
    assert "secret" not in str(spans["GET /fault"])


def test_the_standard_variables_name_the_service_and_choose_what_is_sampled(
    collector: Collector, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "zoo-of-mine")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    client = make_client()
    client.get("/v1/limits")
    client.get("/v1/ops", headers={"traceparent": PARENT})
    client.__exit__(None, None, None)
    assert set(collector.spans) == {"GET /v1/ops"}
    assert collector.resource["service.name"] == "zoo-of-mine"


@pytest.mark.heavy  # it waits for the SDK to give up
def test_a_collector_that_is_away_costs_requests_nothing_and_the_log_one_line(
    make_client: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    with socket.socket() as silent:  # takes connections, and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}"
        )
        client = make_client()
        slowest = 0.0
        for _ in range(100):
            began = time.perf_counter()
            assert client.get("/v1/limits").status_code == 200
            slowest = max(slowest, time.perf_counter() - began)
        assert slowest < 2  # an export waits for 10
        began = time.perf_counter()
        client.__exit__(None, None, None)
        assert time.perf_counter() - began < 8
    told = [record for record in caplog.records if record.name == "app.telemetry"]
    assert [record.levelname for record in told] == ["WARNING"] * len(told)
    messages = [record.getMessage() for record in told]
    assert len([text for text in messages if text.startswith("OpenTelemetry: ")]) == 1
    assert len(messages) <= 2
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_without_a_collector_there_are_no_spans(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert span_exporter_from_environment() is None


def test_without_a_collector_the_sdk_is_not_imported() -> None:
    code = (
        "import app.main, app.__main__, sys;"
        "parts = ('opentelemetry.sdk', 'opentelemetry.exporter', 'app.telemetry.otlp');"
        "print([name for name in sys.modules if name.startswith(parts)])"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "[]\n"


def test_a_variable_that_opentelemetry_refuses_refuses_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(SettingsError, match="OpenTelemetry") as refusal:
        span_exporter_from_environment()
    assert str(refusal.value) == (
        "OpenTelemetry rejects its settings (OTEL_*): max_queue_size must be a positive integer."
    )


def test_phases_of_another_process_follow_what_is_before_them() -> None:
    clock = Timings()
    with clock.measure("decode"):
        pass
    clock.seconds |= {"queue": 0.25, "compute": 0.5}
    with clock.measure("encode"):
        pass
    phases = list(clock.phases(0.0))
    assert [name for name, _, _ in phases] == ["decode", "queue", "compute", "encode"]
    decode, queue, compute, encode = phases
    assert queue[1:] == (decode[1] + decode[2], 0.25)
    assert compute[1:] == (queue[1] + 0.25, 0.5)
    assert encode[1] < compute[1]  # it was measured here, where the other two took no time


def test_the_first_phase_of_another_process_begins_with_the_request() -> None:
    clock = Timings()
    clock.seconds["queue"] = 0.25
    assert list(clock.phases(7.0)) == [("queue", 7.0, 0.25)]
