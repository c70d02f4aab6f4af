"""A network answers as soon as it can compute; its larger batches are measured after that."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_worker import LOADED, Calls, obey, run_with

from app.compute.local_engine import LocalEngine
from app.compute.messages import Compute, Load, Unload, WarmUp
from app.compute.worker.runtimes import onnx_runtime
from app.engine import Answer, ModelRef, Reply, Rows, WorkerDiedError, WorkerFaultError

COLD = replace(LOADED, warmed=(), batch_rows=1)


def ref(name: str = "a", size: int = 0) -> ModelRef:
    return ModelRef(name, {}, {}, estimated_bytes=size)


def ask(engine: LocalEngine, model: ModelRef | None = None) -> "asyncio.Task[Answer]":
    model = model or ref()
    rows = Rows(np.zeros((1, 4), np.float32).tobytes(), 1)
    return asyncio.create_task(
        engine.infer(model, rows, ("output",), counted_as=(model.build, "1"))
    )


def kinds(calls: Calls) -> list[type]:
    return [type(call) for call in calls]


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0)


class Gate:
    """A worker whose networks are cold; they warm up when they are let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, task: Any) -> Any:
        if isinstance(task, Load):
            return Reply(COLD)
        if isinstance(task, WarmUp):
            await self.open.wait()
            return Reply(LOADED)
        return await obey(task)


def test_requests_are_answered_before_larger_batches_are_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine)
        await until(lambda: WarmUp in kinds(calls))
        await ask(engine)  # while it warms up
        assert kinds(calls) == [Load, Compute, WarmUp, Compute]
        assert engine.state(ref()).batch_rows == 1
        gate.open.set()
        await until(lambda: engine.state(ref()).batch_rows == 4)
        assert engine.state(ref()).warmed == (1, 2, 4)

    run_with(monkeypatch, gate, test)


def test_the_first_answer_does_not_share_the_cores_with_the_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, computes = Gate(), asyncio.Event()

    async def behave(task: Any) -> Any:
        if isinstance(task, Compute):
            await computes.wait()
        return await gate(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        first = ask(engine)
        await until(lambda: Compute in kinds(calls))
        await asyncio.sleep(0.01)
        assert WarmUp not in kinds(calls)
        computes.set()
        await first
        await until(lambda: WarmUp in kinds(calls))

    run_with(monkeypatch, behave, test)


def test_a_load_is_done_when_the_network_is_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        load = asyncio.create_task(engine.load(ref()))
        await until(lambda: WarmUp in kinds(calls))
        assert not load.done()
        gate.open.set()
        assert await load == LOADED
        assert await engine.load(ref()) == LOADED
        assert kinds(calls) == [Load, WarmUp]

    run_with(monkeypatch, gate, test)


def test_another_network_is_loaded_before_one_warms_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await asyncio.gather(ask(engine, ref("a")), ask(engine, ref("b")))
        assert kinds(calls).count(Compute) == 2  # though the first never gets warm

    run_with(monkeypatch, gate, test)


def test_a_network_that_cannot_warm_up_computes_one_row_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(task: Any) -> Any:
        if isinstance(task, WarmUp):
            raise WorkerFaultError("internal error")
        return Reply(COLD) if isinstance(task, Load) else await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        assert await engine.load(ref()) == COLD
        await ask(engine)
        assert kinds(calls) == [Load, WarmUp, Compute]

    run_with(monkeypatch, behave, test)


def test_a_worker_that_dies_of_the_measurement_fails_no_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(task: Any) -> Any:
        if isinstance(task, WarmUp):
            return None
        return Reply(COLD) if isinstance(task, Load) else await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        with pytest.raises(WorkerDiedError, match="while it warmed this network up"):
            await engine.load(ref())
        await ask(engine)

    run_with(monkeypatch, behave, test)


def test_a_network_that_has_left_is_not_warmed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def behave(task: Any) -> Any:
        return (
            Reply(LOADED) if isinstance(task, Load) and task.model[0] == "b" else await gate(task)
        )

    async def test(engine: LocalEngine, calls: Calls) -> None:
        loads = [asyncio.create_task(engine.load(ref(name, size=100))) for name in "ab"]
        await loads[1]
        await loads[0]
        assert kinds(calls) == [Load, Unload, Load]

    run_with(monkeypatch, behave, test, max_models_bytes=150)


def test_a_busy_moment_does_not_decide_on_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def way(seconds: float) -> Any:
        def run() -> None:
            nonlocal now
            now += seconds * (5 if now < 0.05 else 1)  # busy at first

        return run

    monkeypatch.setattr(onnx_runtime.time, "perf_counter", lambda: now)
    shortest = onnx_runtime._shortest(way(0.004), way(0.005))
    assert shortest == [pytest.approx(0.004), pytest.approx(0.005)]
