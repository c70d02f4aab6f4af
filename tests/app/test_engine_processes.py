"""The processes of a worker on a CPU: one for each engine, the other one started on demand."""

import asyncio
import itertools
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from fake_worker import LOADED, Calls, FakeProcess, run_with
from fake_worker import obey as obey_inference
from idle_time import until

from app.compute import device_worker, engine_process, supervisor
from app.compute.child_process import ChildProcess
from app.compute.local_engine import LocalEngine
from app.compute.messages import Compute, Load
from app.engine import (
    Answer,
    DeviceName,
    ModelRef,
    Reply,
    Rows,
    RuntimeName,
    WorkerDiedError,
    WorkerUnavailableError,
)
from app.tasks import (
    MeasuredProfile,
    MeasuredSignal,
    MeasureProfile,
    MeasureSignal,
    SavedWeights,
    SaveWeights,
    Specs,
)
from model_zoo import Problem, WeightsError, ZooError

SPECS = Specs.of({}, {})
PROFILE = MeasureProfile("a-auto-float32", SPECS, "auto", "float32", 1, 1, 0.0, 0.0)


def ref(name: str = "a", engine: RuntimeName = "auto", size: int = 0) -> ModelRef:
    return ModelRef(name, {}, {}, engine, estimated_bytes=size)


async def obey(task: Any) -> Any:
    if isinstance(task, SaveWeights):
        return Reply(SavedWeights("weights", "digest"))
    if isinstance(task, MeasureProfile):
        return Reply(MeasuredProfile(task.engine, task.precision, "cpu", 1, (), 0.1))
    if isinstance(task, MeasureSignal):
        return Reply(MeasuredSignal(b"{}"))
    return await obey_inference(task)


async def ask(engine: LocalEngine, model: ModelRef) -> Answer:
    rows = Rows(np.zeros((1, 4), np.float32).tobytes(), 1)
    return await engine.infer(model, rows, ("output",), counted_as=(model.build, "1"))


def engines(calls: Calls) -> list[str]:
    return [call.engine for call in calls if isinstance(call, Load | MeasureProfile)]


def test_tensorflow_s_process_starts_when_something_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine, ref())
        await engine.run(SaveWeights("a", SPECS, "npz", {}, ""))
        assert len(engine.worker_pids) == 1
        await ask(engine, ref(engine="tensorflow"))
        one, other = engine.worker_pids
        assert engines(calls) == ["onnxruntime", "tensorflow"]
        assert engine.pids["worker"] == (one,)
        assert engine.pids["tensorflow-worker"] == (other,)

    run_with(monkeypatch, obey, test)


def test_time_that_a_task_waits_is_not_left_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is five seconds after the one before."""
    looks = itertools.count(0, 5)
    clock = SimpleNamespace(monotonic=lambda: next(looks), perf_counter=time.perf_counter)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        monkeypatch.setattr(device_worker, "time", clock)
        task = MeasureProfile("a", SPECS, "onnxruntime", "float32", 1, 1, 50.0, 75.0)
        await engine.run(task)
        assert calls == [task.after(5)]
        assert (calls[0].layers_left, calls[0].network_left) == (45, 70)
        signal = MeasureSignal(SPECS, None, False, 1, 0, False, ("inference",), 20.0)
        await engine.run(signal)
        assert calls[1].seconds_left == 15

    run_with(monkeypatch, obey, test)


@pytest.mark.parametrize("format_name", ["savedmodel", "checkpoint"])
def test_a_file_that_needs_tensorflow_starts_its_process(
    monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await engine.run(SaveWeights("a", SPECS, format_name, {}, ""))
        assert len(engine.worker_pids) == 2

    run_with(monkeypatch, obey, test)


def test_the_process_of_the_engine_in_the_settings_starts_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine, ref(engine="tensorflow"))
        await engine.run(SaveWeights("a", SPECS, "npz", {}, ""))
        assert len(engine.worker_pids) == 1

    run_with(monkeypatch, obey, test, engine="tensorflow")


async def without_onnx(task: Any) -> Any:
    if isinstance(task, Load | MeasureProfile) and task.engine == "onnxruntime":
        raise ZooError("'tan' has no form in ONNX.")
    if isinstance(task, Load):
        return Reply(replace(LOADED, engine=task.engine))
    return await obey(task)


def test_what_has_no_form_in_onnx_is_loaded_by_tensorflow_without_a_lost_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        load = asyncio.create_task(engine.load(ref()))
        answers = await asyncio.gather(*(ask(engine, ref()) for _ in range(3)))
        assert all(isinstance(answer, Answer) for answer in answers)
        assert (await load).engine == "tensorflow"
        assert engine.state(ref()).state == "ready"
        await engine.unload(ref())
        await ask(engine, ref())
        assert engines(calls) == ["onnxruntime", "tensorflow", "tensorflow"]

    run_with(monkeypatch, without_onnx, test)


def test_a_profile_of_what_has_no_form_in_onnx_is_tensorflow_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        with pytest.raises(ZooError, match="no form in ONNX"):
            await ask(engine, ref("other", "onnxruntime"))
        await engine._workers[0].run(PROFILE)
        assert engines(calls) == ["onnxruntime", "onnxruntime", "tensorflow"]

    run_with(monkeypatch, without_onnx, test)


def test_weights_that_do_not_fit_are_not_tried_again_by_tensorflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(task: Any) -> Any:
        if isinstance(task, Load):
            raise WeightsError(Problem("The checkpoint is gone."))
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        with pytest.raises(WeightsError, match="The checkpoint is gone"):
            await ask(engine, ref())
        assert engines(calls) == ["onnxruntime"]

    run_with(monkeypatch, behave, test)


def test_a_process_on_demand_rests_when_it_holds_nothing_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_process, "_IDLE_SECONDS", 0.001)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        (first,) = engine.worker_pids
        for _ in range(2):
            await ask(engine, ref(engine="tensorflow"))
            await asyncio.sleep(0.01)
            assert len(engine.worker_pids) == 2  # it holds a network
            await engine.unload(ref(engine="tensorflow"))
            await until(lambda: engine.worker_pids == [first])
        status = engine.status()
        assert (status.ready, status.state, status.restarts) == (True, "ready", 0)

    run_with(monkeypatch, obey, test)


def test_tensorflow_s_process_is_replaced_after_a_number_of_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_process, "_MOST_NETWORKS", 3)
    pids = []

    async def test(engine: LocalEngine, calls: Calls) -> None:
        for _ in range(7):
            await ask(engine, ref(engine="tensorflow"))
            pids.extend(engine.worker_pids)
            await engine.unload(ref(engine="tensorflow"))
        status = engine.status()
        assert (status.ready, status.restarts) == (True, 0)

    run_with(monkeypatch, obey, test, engine="tensorflow")
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_the_processes_share_the_memory_for_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine, ref("a"))
        await ask(engine, ref("b", "tensorflow", size=100))
        assert engine.state(ref("a")).state == "unavailable"
        await ask(engine, ref("a"))
        assert engine.state(ref("b", "tensorflow")).state == "unavailable"
        assert engine.figures().evictions == {"room": 2}

    run_with(monkeypatch, obey, test, max_models_bytes=150)


def test_a_process_that_dies_leaves_the_networks_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(task: Any) -> Any:
        deadly = isinstance(task, Compute) and task.model.startswith("deadly")
        return None if deadly else await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine, ref("good"))
        with pytest.raises(WorkerDiedError):
            await ask(engine, ref("deadly", "tensorflow"))
        assert engine.status().ready
        await ask(engine, ref("good"))
        assert [call.model for call in calls if isinstance(call, Load)] == [
            "good-auto-float32",
            "deadly-tensorflow-float32",
        ]
        await until(lambda: engine.status().restarts == 1)

    run_with(monkeypatch, behave, test)


def test_tensorflow_s_process_that_cannot_start_fails_what_needs_it_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_BACK_OFF_SECONDS", 0.001)

    async def spawn(*_args: Any, **_options: Any) -> Any:
        raise OSError("Cannot allocate memory")

    async def test(engine: LocalEngine, calls: Calls) -> None:
        monkeypatch.setattr(ChildProcess, "spawn", spawn)
        failed = (
            "The tensorflow-worker has failed to start 3 times: it could not be started: "
            "Cannot allocate memory."
        )
        with pytest.raises(WorkerUnavailableError, match=failed):
            await ask(engine, ref(engine="tensorflow"))
        for task in (SaveWeights("a", SPECS, "keras", {}, ""), replace_engine(PROFILE)):
            with pytest.raises(WorkerUnavailableError, match=failed):
                await engine.run(task)
        await ask(engine, ref())
        await engine.run(SaveWeights("a", SPECS, "npz", {}, ""))
        status = engine.status()
        assert (status.ready, status.state, status.queued) == (True, "ready", 0)
        assert status.reason == (
            "the tensorflow-worker could not be started: Cannot allocate memory"
        )

    run_with(monkeypatch, obey, test)


def replace_engine(task: MeasureProfile) -> MeasureProfile:
    return msgspec.structs.replace(task, engine="tensorflow")


def test_the_service_ends_after_a_process_that_goes_to_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_process, "_IDLE_SECONDS", 0.001)
    ending, ended = asyncio.Event(), asyncio.Event()

    async def end(self: FakeProcess) -> None:
        ending.set()
        await ended.wait()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await ask(engine, ref(engine="tensorflow"))
        monkeypatch.setattr(FakeProcess, "end", end)
        await engine.unload(ref(engine="tensorflow"))
        await ending.wait()
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        ended.set()
        await closing
        assert engine.worker_pids == []

    run_with(monkeypatch, obey, test)


@pytest.mark.parametrize(("device", "engine"), [("gpu", "tensorflow"), ("cpu", "onnxruntime")])
def test_where_there_may_be_a_gpu_one_process_has_both_engines(
    monkeypatch: pytest.MonkeyPatch, device: DeviceName, engine: str
) -> None:
    """A driver is there: whether TensorFlow can use the GPU is known when the process is up."""

    async def test(local: LocalEngine, calls: Calls) -> None:
        for model in (ref(), ref(engine="tensorflow"), ref(engine="onnxruntime")):
            await ask(local, model)
        await local.run(SaveWeights("a", SPECS, "keras", {}, ""))
        await local.run(PROFILE)
        assert engines(calls) == [engine, "tensorflow", "onnxruntime", engine]
        assert local.status().device == device
        (pid,) = local.worker_pids
        assert local.pids["worker"] == (pid,)

    run_with(monkeypatch, obey, test, device=device)
