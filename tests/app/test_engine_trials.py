"""TensorFlow is tried where it may be faster, while nothing else is to do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_worker import LOADED, Behaviour, Calls, run_with
from fake_worker import obey as obey_inference
from idle_time import until

from app.compute import engine_trials
from app.compute.local_engine import LocalEngine
from app.compute.messages import Compute, Load, Measure, Unload, WarmUp
from app.engine import Answer, ModelRef, Reply, Rows, RuntimeName

SIZE = LOADED.size_bytes
VIDEO = ModelRef("a", {}, {}, estimated_bytes=SIZE, may_gain_by_tensorflow=True)
Test = Callable[[LocalEngine, Calls], Awaitable[None]]


def behaviour(engine: RuntimeName, seconds: float, output: float = 1.0) -> Behaviour:
    """Compute rows in this time, and this output."""
    state = replace(LOADED, engine=engine)

    async def obey(task: Any) -> Any:
        match task:
            case Load() | WarmUp():
                return Reply(state)
            case Measure():
                return Reply(seconds, [np.full(4, output, np.float32).tobytes()])
        return await obey_inference(task)

    return obey


ONNX = behaviour("onnxruntime", 0.2)
FASTER, SLOWER = behaviour("tensorflow", 0.1), behaviour("tensorflow", 0.3)


async def ask(engine: LocalEngine, model: ModelRef = VIDEO) -> Answer:
    rows = Rows(np.zeros((1, 4), np.float32).tobytes(), 1)
    return await engine.infer(model, rows, ("output",), counted_as=(model.build, "1"))


def loads(calls: Calls) -> list[str]:
    return [call.engine for call in calls if isinstance(call, Load)]


def try_with(
    monkeypatch: pytest.MonkeyPatch,
    tensorflow: Behaviour,
    test: Test,
    onnx: Behaviour = ONNX,
    **settings: Any,
) -> None:
    monkeypatch.setattr(engine_trials, "_QUIET_SECONDS", 0.0)
    run_with(monkeypatch, onnx, test, tensorflow=tensorflow, **settings)


def test_onnx_runtime_answers_and_the_faster_engine_takes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine)
        assert loads(calls) == ["onnxruntime"]
        await until(lambda: engine.state(VIDEO).engine == "tensorflow")
        assert loads(calls) == ["onnxruntime", "tensorflow"]
        await until(lambda: isinstance(calls[-1], Unload))  # of ONNX Runtime's
        state = engine.state(VIDEO)
        assert state.state == "ready"
        assert state.measured == {"onnxruntime": 0.2, "tensorflow": 0.1}
        assert state.difference == 0
        await until(lambda: engine.figures().models == 1)
        await ask(engine)
        assert loads(calls) == ["onnxruntime", "tensorflow"]

    try_with(monkeypatch, FASTER, test)


def test_requests_are_answered_while_the_engine_is_switched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_trial, may_measure, may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_onnx(task: Any) -> Any:
        if isinstance(task, Compute) and in_trial.is_set():
            await may_answer.wait()
        return await ONNX(task)

    async def tensorflow(task: Any) -> Any:
        if isinstance(task, Measure):
            in_trial.set()
            await may_measure.wait()
        return await FASTER(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine)
        await in_trial.wait()
        in_onnx = asyncio.create_task(ask(engine))
        await until(lambda: isinstance(calls[-1], Compute))
        may_measure.set()
        await until(lambda: engine.state(VIDEO).engine == "tensorflow")
        in_tensorflow = asyncio.create_task(ask(engine))
        await asyncio.sleep(0.01)
        assert not any(isinstance(call, Unload) for call in calls)  # ONNX Runtime still computes
        may_answer.set()
        for answer in (await in_onnx, await in_tensorflow):
            assert answer.arrays["output"].shape == (1, 2)
        await until(lambda: isinstance(calls[-1], Unload))

    try_with(monkeypatch, tensorflow, test, slow_onnx)


def test_the_slower_engine_leaves_memory_and_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine)
        await until(lambda: isinstance(calls[-1], Unload))
        state = engine.state(VIDEO)
        assert (state.state, state.engine) == ("ready", "onnxruntime")
        assert state.measured == {"onnxruntime": 0.2, "tensorflow": 0.3}
        await until(lambda: engine.figures().models == 1)
        await engine.unload(VIDEO)
        await ask(engine)
        await asyncio.sleep(0.01)
        assert loads(calls) == ["onnxruntime", "tensorflow", "onnxruntime"]

    try_with(monkeypatch, SLOWER, test)


@pytest.mark.parametrize("output", [1.001, float("nan")])
def test_an_engine_that_disagrees_with_tensorflow_is_not_kept(
    monkeypatch: pytest.MonkeyPatch, output: float
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine)
        await until(lambda: engine.state(VIDEO).engine == "tensorflow")

    try_with(monkeypatch, SLOWER, test, behaviour("onnxruntime", 0.2, output))


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (replace(VIDEO, may_gain_by_tensorflow=False), {}),
        (replace(VIDEO, engine="onnxruntime"), {}),
        (VIDEO, {"max_models_bytes": 2 * SIZE - 1}),  # two do not fit
    ],
)
def test_no_other_network_is_tried(
    monkeypatch: pytest.MonkeyPatch, model: ModelRef, settings: dict[str, int]
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine, model)
        await asyncio.sleep(0.01)
        await ask(engine, model)
        assert loads(calls) == ["onnxruntime"]

    try_with(monkeypatch, FASTER, test, **settings)


def test_a_trial_that_fails_leaves_the_network_where_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def dies(task: Any) -> Any:
        return None if isinstance(task, WarmUp) else await FASTER(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine)
        await until(lambda: any(isinstance(call, Unload) for call in calls))
        assert engine.state(VIDEO).engine == "onnxruntime"
        await until(lambda: engine.figures().models == 1)
        await ask(engine)
        await asyncio.sleep(0.01)
        assert loads(calls) == ["onnxruntime", "tensorflow"]

    try_with(monkeypatch, dies, test)


def test_a_network_that_leaves_memory_meanwhile_leaves_both_engines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_trial, may_measure = asyncio.Event(), asyncio.Event()

    async def tensorflow(task: Any) -> Any:
        if isinstance(task, WarmUp):
            in_trial.set()
            await may_measure.wait()
        return await FASTER(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine)
        await in_trial.wait()
        unload = asyncio.create_task(engine.unload(VIDEO))
        may_measure.set()
        await unload
        await until(lambda: engine.figures().models == 0)
        assert sum(isinstance(call, Unload) for call in calls) == 2

    try_with(monkeypatch, tensorflow, test)
