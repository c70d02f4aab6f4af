"""`/metrics`: what it counts, how it says so, and that docs/observability.md lists all of it.

`python tests/app/test_metrics.py` writes the page's table anew.
"""

import asyncio
import math
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from zoo_server import ROOT, NoEngine, build

from app.compute.usage import usage
from app.engine import EngineFigures, ProcessUsage
from app.errors import ServiceError
from app.http.problem_types import PROBLEM_TYPES
from app.http.problems import rejection_reason
from app.settings import Settings, variable
from app.telemetry.exposition import FORMATS
from app.telemetry.metrics import Metrics
from app.telemetry.statistics import Statistics
from model_zoo import InputError

PAGE = ROOT / "docs" / "observability.md"
Make = Callable[..., TestClient]
Labels = dict[str, str]
# No process has this id, which is above the largest.
ENDED = 2**22 + 1

FIGURES = EngineFigures(
    models=2,
    model_bytes=1000,
    evictions={"memory": 3},
    waiting={("cat", "1"): 4, ("cat", "2"): 1, ("dog", "1"): 2},
    worker_up=True,
    worker_restarts=5,
    workers=2,
    processes={
        "worker": ProcessUsage(1, 3_000_000, 1.5),
        "reader": ProcessUsage(2, 8_000_000, 0.25),
    },
)


def everything() -> Metrics:
    """Return metrics of which each has a sample."""
    statistics = Statistics()
    seconds = {"total": 0.010, "queue": 0.001, "input": 0.002, "compute": 0.003, "output": 0.004}
    statistics.executed(("cat", "1"), 3, seconds)
    statistics.executed(("cat", "1"), 300, seconds)
    statistics.succeeded("cat", "1", rows=3, seconds=seconds)
    statistics.failed("cat", "1", reason="BACKEND", seconds=1)
    metrics = Metrics(statistics, lambda: FIGURES)
    metrics.request_began("GET")
    metrics.request_began("GET")
    metrics.request_ended("GET", "/v1/builds/{build_id}", 200, 0.3)
    metrics.rejected("concurrency")
    metrics.built("lenet", "created", {"trace": 0.002, "plan": 0.001, "store": 0.001})
    return metrics


def families(text: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples(metrics: Metrics, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in families(metrics.exposition.text()).values()
        for sample in family.samples
        if sample.name == name
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics, name)[tuple(sorted(labels.items()))]


def test_the_text_is_prometheus_s_and_openmetrics_is_given_where_it_is_accepted(
    client: TestClient,
) -> None:
    plain = client.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert plain.headers["cache-control"] == "no-store"
    assert "zoo_worker_up" in families(plain.text)
    # What Prometheus 3 sends.
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "application/openmetrics-text;version=0.0.1;q=0.5,"
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    openmetrics = client.get("/metrics", headers={"Accept": accept})
    assert openmetrics.headers["content-type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )
    assert openmetrics.text.endswith("# EOF\n")
    assert "zoo_worker_up" in {family.name for family in openmetrics_families(openmetrics.text)}
    assert client.get("/metrics", headers={"Accept": "text/html,*/*;q=0.8"}).status_code == 200
    assert client.get("/metrics", headers={"Accept": "image/png"}).status_code == 406
    strange = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=x"})
    assert strange.status_code == 200


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_metric_survives_either_format(format_name: str) -> None:
    text = everything().exposition.text(format_name)
    parse = openmetrics_families if format_name == "openmetrics" else text_string_to_metric_families
    found = {family.name for family in parse(text)}
    assert {name for name, *_ in rows()} <= found | {f"{name}_total" for name in found}


def test_requests_are_counted_by_their_route_s_template(make_client: Make) -> None:
    client = make_client()
    metrics: Metrics = client.app.state.services.metrics  # type: ignore[attr-defined]
    build_id = build(client)
    for path in (f"/v1/builds/{build_id}", "/v1/builds/nope", "/v1/nope/1", "/v1/nope/2"):
        client.get(path)
    client.put("/v1/builds/x")
    client.request("BREW", "/v1/nope")
    client.head("/healthz")
    counts = samples(metrics, "http_server_request_duration_seconds_count")
    names = ("http_request_method", "http_route", "http_response_status_code")
    found = {tuple(dict(key)[name] for name in names): count for key, count in counts.items()}
    assert found == {
        ("POST", "/v1/builds", "201"): 1,
        ("GET", "/v1/builds/{build_id}", "200"): 1,
        ("GET", "/v1/builds/{build_id}", "404"): 1,
        ("GET", "", "404"): 2,
        ("PUT", "/v1/builds/{build_id}", "405"): 1,
        ("_OTHER", "", "404"): 1,
        ("HEAD", "/healthz", "200"): 1,
    }
    active = samples(metrics, "http_server_active_requests")
    assert set(active.values()) == {0}


def test_a_duration_falls_in_opentelemetry_s_buckets() -> None:
    metrics = everything()
    labels = {
        "http_request_method": "GET",
        "http_route": "/v1/builds/{build_id}",
        "http_response_status_code": "200",
    }
    name = "http_server_request_duration_seconds"
    buckets = {
        float(dict(key)["le"]): count for key, count in samples(metrics, f"{name}_bucket").items()
    }
    assert list(buckets) == [
        *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, math.inf)
    ]
    assert [buckets[bound] for bound in (0.25, 0.5, math.inf)] == [0, 1, 1]
    assert value(metrics, f"{name}_sum", **labels) == 0.3
    assert value(metrics, "http_server_active_requests", http_request_method="GET") == 1


def test_an_answer_that_never_began_has_no_status() -> None:
    metrics = Metrics()
    metrics.request_began("GET")
    metrics.request_ended("GET", "", 0, 1)
    ((labels, _),) = samples(metrics, "http_server_request_duration_seconds_count").items()
    assert dict(labels)["http_response_status_code"] == ""


def test_builds_are_counted_by_architecture_and_outcome(make_client: Make) -> None:
    client = make_client()
    metrics: Metrics = client.app.state.services.metrics  # type: ignore[attr-defined]
    build(client)
    build(client)
    assert client.post("/v1/builds?keep=false", json={"architecture": "lenet"}).is_success
    refused: list[Any] = [
        '{"architecture": "lenet", "params": {"num_classes": -1}}',
        '{"architecture": "what a client made up"}',
        '{"architecture": ["lenet"]}',
        '{"architecture": "lenet", "weights": {"source": "build", "id": "' + "0" * 32 + '"}}',
        "[]",
        "no json",
    ]
    for body in refused:
        assert client.post("/v1/builds", content=body).status_code in (400, 422)
    assert samples(metrics, "zoo_builds_total") == {
        (("arch", "lenet"), ("outcome", "created")): 1,
        (("arch", "lenet"), ("outcome", "existing")): 1,
        (("arch", "lenet"), ("outcome", "traced")): 1,
        (("arch", "lenet"), ("outcome", "refused")): 2,
        (("arch", ""), ("outcome", "refused")): 3,
    }
    assert value(metrics, "zoo_build_duration_seconds_count", arch="lenet") == 3
    assert value(metrics, "zoo_build_duration_seconds_sum", arch="lenet") > 0


def test_a_fault_while_building_is_no_refusal() -> None:
    metrics = Metrics()
    with pytest.raises(RuntimeError), metrics.refusals("lenet"):
        raise RuntimeError
    with pytest.raises(InputError), metrics.refusals("lenet"):
        raise InputError("no")
    assert list(samples(metrics, "zoo_builds_total").values()) == [1]


def test_inference_is_told_as_triton_tells_it() -> None:
    metrics = everything()
    cat = {"model": "cat", "version": "1"}
    assert {
        name: value(metrics, f"nv_inference_{name}", **cat)
        for name in (
            "request_success",
            "count",
            "exec_count",
            "pending_request_count",
            "request_duration_us",
            "queue_duration_us",
            "compute_input_duration_us",
            "compute_infer_duration_us",
            "compute_output_duration_us",
        )
    } == {
        "request_success": 1,
        "count": 3,
        "exec_count": 2,
        "pending_request_count": 4,
        "request_duration_us": 10_000,
        "queue_duration_us": 1000,
        "compute_input_duration_us": 2000,
        "compute_infer_duration_us": 3000,
        "compute_output_duration_us": 4000,
    }
    failures = {
        dict(labels)["reason"]: count
        for labels, count in samples(metrics, "nv_inference_request_failure").items()
    }
    assert failures == {"REJECTED": 0, "CANCELED": 0, "BACKEND": 1, "OTHER": 0}
    # The bare name, which a counter of the library would not have.
    assert "# TYPE nv_inference_request_success untyped\n" in metrics.exposition.text()


def test_what_waits_is_told_by_version_and_by_model() -> None:
    metrics = everything()
    assert value(metrics, "zoo_queue_depth", model="cat") == 5
    assert value(metrics, "zoo_queue_depth", model="dog") == 2
    pending = "nv_inference_pending_request_count"
    assert value(metrics, pending, model="cat", version="2") == 1
    statistics = Statistics()
    statistics.succeeded("cow", "1", rows=1, seconds={})
    assert value(Metrics(statistics), "zoo_queue_depth", model="cow") == 0


def test_batches_are_told_by_their_rows() -> None:
    metrics = everything()
    buckets = {
        dict(key)["le"]: count for key, count in samples(metrics, "zoo_batch_size_bucket").items()
    }
    assert (buckets["2.0"], buckets["4.0"], buckets["256.0"], buckets["+Inf"]) == (0, 1, 1, 2)
    assert value(metrics, "zoo_batch_size_sum") == 303
    assert value(metrics, "zoo_batch_size_count") == 2


def test_the_engine_is_told_as_it_is_now() -> None:
    metrics = everything()
    assert value(metrics, "zoo_cache_models") == 2
    assert value(metrics, "zoo_cache_bytes") == 1000
    assert value(metrics, "zoo_cache_evictions_total", reason="memory") == 3
    assert value(metrics, "zoo_worker_up") == 1
    assert value(metrics, "zoo_worker_restarts_total") == 5
    assert value(metrics, "zoo_workers") == 2
    memory = "zoo_process_resident_memory_bytes"
    assert value(metrics, memory, process="worker") == 3_000_000
    assert value(metrics, memory, process="reader") == 8_000_000
    seconds = "zoo_process_cpu_seconds_total"
    assert value(metrics, seconds, process="worker") == 1.5
    assert value(metrics, seconds, process="reader") == 0.25
    assert value(metrics, "process_resident_memory_bytes") > 0


def test_processes_use_together_what_each_uses() -> None:
    own = usage([os.getpid()])
    twice = usage([os.getpid(), os.getpid(), ENDED])
    assert own.count == 1
    assert twice.count == 2
    assert 1.5 * own.resident_bytes < twice.resident_bytes < 2.5 * own.resident_bytes
    metrics = Metrics(figures=lambda: EngineFigures(processes={"worker": own}))
    memory = value(metrics, "zoo_process_resident_memory_bytes", process="worker")
    assert value(metrics, "process_resident_memory_bytes") == pytest.approx(memory, rel=0.5)
    assert own + own == ProcessUsage(2, 2 * own.resident_bytes, 2 * own.cpu_seconds)


def test_a_process_that_has_just_ended_is_no_error() -> None:
    assert usage([ENDED]) == ProcessUsage()
    assert value(Metrics(), "zoo_worker_up") == 0


def test_rejections_are_at_zero_before_the_first() -> None:
    assert value(Metrics(), "zoo_rejected_total", reason="queue-full") == 0


def test_two_services_in_one_process_count_apart(make_client: Make) -> None:
    first = make_client()
    build(first)
    assert 'zoo_builds_total{arch="lenet"' in first.get("/metrics").text
    second = make_client()
    assert 'zoo_builds_total{arch="lenet"' not in second.get("/metrics").text


def test_metrics_are_written_once_for_all_who_ask_at_once_and_beside_the_loop() -> None:
    looks = 0
    threads = set()

    def figures() -> EngineFigures:
        nonlocal looks
        looks += 1
        return EngineFigures()

    metrics = Metrics(figures=figures)
    write = metrics.exposition._registry.collect

    def collect() -> Any:
        threads.add(threading.current_thread())
        return write()

    metrics.exposition._registry.collect = collect  # type: ignore[method-assign]

    async def ask() -> None:
        given_up = asyncio.ensure_future(metrics.exposition.write("text"))
        others = [asyncio.ensure_future(metrics.exposition.write("text")) for _ in range(20)]
        await asyncio.sleep(0)
        given_up.cancel()
        assert len(set(await asyncio.gather(*others))) == 1
        await metrics.exposition.write("openmetrics")

    asyncio.run(ask())
    assert looks == 2
    assert threading.main_thread() not in threads


def test_an_engine_that_fails_to_tell_is_a_fault_and_not_a_hang(make_client: Make) -> None:
    class Broken(NoEngine):
        def figures(self) -> EngineFigures:
            raise RuntimeError("secret")

    client = make_client(Broken())
    assert [client.get("/metrics").status_code for _ in range(2)] == [500, 500]


def rows() -> list[tuple[str, str, str, str]]:
    """Return what the page says of each metric: name, type, labels, meaning."""
    found = []
    for family in families(everything().exposition.text()).values():
        if family.name.endswith("_created"):
            continue
        names = {name for sample in family.samples for name in sample.labels} - {"le"}
        order = ["model", "version", "arch", "http_request_method", "http_route"]
        labels = sorted(names, key=lambda name: (name not in order, name))
        kind = {"unknown": "counter, untyped"}.get(family.type, family.type)
        name = family.name + ("_total" if family.type == "counter" else "")
        listed = ", ".join(f"`{label}`" for label in labels)
        found.append((name, kind, listed, family.documentation))
    return found


def table() -> str:
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {labels} | {text} |" for name, kind, labels, text in rows()]
    return "\n".join(lines) + "\n"


def test_the_page_lists_every_metric() -> None:
    assert table() in PAGE.read_text()


def test_the_page_lists_every_reason_of_a_rejection() -> None:
    page = PAGE.read_text()
    own = {"overloaded", "too-many-requests"}  # always with reasons of their own
    kinds = {name for name in PROBLEM_TYPES if rejection_reason(ServiceError(name, "")) is not None}
    clients = ("client-concurrency", "token-rate", "token-concurrency")
    places = ("concurrency", *clients, "queue-full", "bodies", "traces")
    for reason in (*(kinds - own), *places):
        assert re.search(rf"^\| `{reason}` \| \d\d\d \|", page, re.MULTILINE), reason


def test_the_page_names_real_settings() -> None:
    known = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"ZOO_[A-Z_]+", PAGE.read_text())) <= known


if __name__ == "__main__":
    page = PAGE.read_text()
    before, rest = page.split("| metric | type |", 1)
    after = rest.split("\n\n", 1)[1]
    PAGE.write_text(f"{before}{table()}\n{after}")
    sys.exit(0)
