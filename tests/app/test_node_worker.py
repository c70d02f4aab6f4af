"""The worker of a node, without Ray: what it answers, and what it makes of its process."""

import asyncio
import json
import logging
import os
import pickle
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_worker import LOADED, Calls, FakeProcess, obey

from app.cluster import node_worker, tracing
from app.cluster.messages import BatchRecord, Computed, Failure, Hello, Report
from app.cluster.node_worker import TOKEN_FILE, NodeWorker
from app.compute.child_process import ChildProcess
from app.compute.messages import Compute
from app.compute.tracer import tracer_tasks
from app.compute.tracer.tracer_tasks import TracerTasks
from app.engine import DeadlineError, ModelRef, QueueFullError, Reply
from app.settings import Settings
from app.tasks import SaveWeights, Specs, SweepPart, TraceRows
from app.telemetry.logs import request_fields
from app.version import VERSION
from model_zoo import ZooError

REF = ModelRef("m", {}, {})
ROWS = np.zeros((2, 4), np.float32).tobytes()


def run_worker(
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    test: Callable[[NodeWorker, Calls], Awaitable[None]],
    *,
    behaviour: Callable[[Any], Awaitable[Any]] = obey,
    threads: str | None = None,
    **settings: Any,
) -> None:
    """Run a test against a worker whose engine has a fake process."""
    calls: Calls = []

    async def spawn(*_args: Any, **_options: Any) -> FakeProcess:
        return FakeProcess(behaviour, calls)

    monkeypatch.setattr(ChildProcess, "spawn", spawn)
    monkeypatch.setattr(node_worker, "configure_logging", lambda *_, **__: None)
    monkeypatch.setattr(node_worker, "keep_freed_memory", lambda: None)
    own = Settings(home=home, device="cpu", **settings).model_dump(mode="json")

    async def run() -> None:
        worker = NodeWorker(own, "token", threads)
        try:
            await test(worker, calls)
        finally:
            await worker.close()

    asyncio.run(run())


async def infer(worker: NodeWorker, about: Any = None, *pieces: bytes) -> Any:
    data: Sequence[bytes] = pieces or [ROWS]
    return await worker.infer(about or {}, REF, ("output",), 2, ("m", "1"), 9.0, True, *data)


def test_an_answer_has_its_batches_and_the_state_of_its_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def test(worker: NodeWorker, calls: Calls) -> None:
        assert await worker.start() == Hello(VERSION, shares_home=False)
        computed = await infer(worker, {}, ROWS[:7], ROWS[7:])
        assert isinstance(computed, Computed)
        assert computed.answer.arrays["output"].shape == (2, 2)
        assert computed.batches == [BatchRecord(("m", "1"), 2, {})]
        assert computed.state is not None
        assert (computed.state.state, computed.state.size_bytes) == ("ready", LOADED.size_bytes)
        report = await worker.ping()
        assert isinstance(report, Report)
        assert (report.status.ready, report.figures.models, report.batches) == (True, 1, [])
        assert report.states[REF.key].state == "ready"
        assert "reader" not in report.figures.processes or not worker._engine.pids["reader"]
        await worker.unload({}, REF)
        assert (await worker.ping()).states == {}

    run_worker(monkeypatch, tmp_path, test)


def test_a_call_is_a_pickle_and_bytes_that_are_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def test(worker: NodeWorker, calls: Calls) -> None:
        await worker.start()
        arguments = ({}, REF, ("output",), 2, ("m", "1"), 9.0, False)
        answer = await worker.call(pickle.dumps(("infer", arguments)), ROWS[:7], ROWS[7:])
        computed = pickle.loads(answer)
        assert computed.answer.arrays["output"].tolist() == [[0, 0], [0, 0]]
        assert computed.state is None

    run_worker(monkeypatch, tmp_path, test)


def test_errors_are_values_that_say_what_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def refuse(task: Any) -> Any:
        if isinstance(task, SaveWeights):
            raise ZooError("There is no such format.")
        return await obey(task)

    async def test(worker: NodeWorker, calls: Calls) -> None:
        await worker.start()
        failure = await worker.run({}, SaveWeights("m", Specs.of({}, {}), "npz", {}, ""))
        assert isinstance(failure, Failure)
        assert str(failure.error) == "There is no such format."
        worker._engine._settings = worker._engine._settings.model_copy(update={"queue_length": 0})
        full = await infer(worker)
        assert isinstance(full.error, QueueFullError)
        assert full.error.retry_after_s == 1

    run_worker(monkeypatch, tmp_path, test, behaviour=refuse)


def test_a_worker_logs_with_the_id_of_the_request(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []

    async def test(worker: NodeWorker, calls: Calls) -> None:
        await worker.start()
        original = worker._engine.infer

        async def watched(*arguments: Any, **options: Any) -> Any:
            seen.append(request_fields())
            return await original(*arguments, **options)

        monkeypatch.setattr(worker._engine, "infer", watched)
        await infer(worker, {"request_id": "abc"})
        assert seen == [{"request_id": "abc"}]

    run_worker(monkeypatch, tmp_path, test)


@pytest.mark.parametrize("threads", [None, "3"])
def test_all_processors_of_a_node_compute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, threads: str | None
) -> None:
    """Ray has set this to 1 when an actor begins."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    async def test(worker: NodeWorker, calls: Calls) -> None:
        assert os.environ.get("OMP_NUM_THREADS") == threads

    run_worker(monkeypatch, tmp_path, test, threads=threads)


def test_a_worker_that_sees_the_home_reads_its_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / TOKEN_FILE).write_text("token")

    async def test(worker: NodeWorker, calls: Calls) -> None:
        assert (await worker.start()).shares_home  # type: ignore[union-attr]
        assert worker._engine._settings.home == tmp_path

    run_worker(monkeypatch, tmp_path, test)
    assert tmp_path.exists()


def test_another_one_has_a_home_of_its_own_while_it_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / TOKEN_FILE).write_text("that of another API")
    homes: list[Path] = []

    async def test(worker: NodeWorker, calls: Calls) -> None:
        assert not (await worker.start()).shares_home  # type: ignore[union-attr]
        homes.append(worker._engine._settings.home)
        assert homes[0].is_dir()
        await infer(worker)
        assert any(isinstance(call, Compute) for call in calls)

    run_worker(monkeypatch, tmp_path, test)
    assert not homes[0].exists()


# Tracing ------------------------------------------------------------------------------------------


@pytest.fixture
def tracer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that traces rows, in this process as it is."""
    monkeypatch.setattr(tracing, "begin_to_trace", TracerTasks)
    tracing._tracer.cache_clear()
    axes = {"/params/num_classes": {"values": [2, 3]}}
    document = json.dumps({"spec": {"architecture": "lenet"}, "axes": axes})

    def trace(**settings: Any) -> Reply[Any] | Failure:
        own = Settings(**settings).model_dump_json()
        part = SweepPart("s", document.encode(), b"{}", (0, 1))
        outcome: Reply[Any] | Failure = pickle.loads(tracing.trace_rows(own, TraceRows(part)))
        return outcome

    return trace


def test_rows_are_traced_as_in_a_process_beside_the_api(tracer: Callable[..., Any]) -> None:
    rows = json.loads(tracer().result)
    assert [row["totals"]["parameters"] > 0 for row in rows] == [True, True]


def test_rows_that_take_too_long_are_ended_and_not_blamed_on_us(
    monkeypatch: pytest.MonkeyPatch, tracer: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    def forever(*_arguments: Any) -> Any:
        while True:
            pass

    monkeypatch.setattr(tracer_tasks, "identify_row", forever)
    failure = tracer(request_timeout_s=0.01)
    assert isinstance(failure.error, DeadlineError)
    assert str(failure.error) == "It was not traced within 0.01 s (ZOO_REQUEST_TIMEOUT_S)."
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
