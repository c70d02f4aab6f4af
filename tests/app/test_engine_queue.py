"""What the engine does with requests: batches, retries, loads, memory, deadlines."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_worker import LOADED, Calls, obey, run_with
from idle_time import until

from app.compute.local_engine import LocalEngine
from app.compute.messages import ArenaRows, Compute, Load, Unload
from app.engine import (
    Answer,
    DeadlineError,
    ModelRef,
    OutOfMemoryError,
    QueueFullError,
    Reply,
    Rows,
    WorkerDiedError,
    WorkerFaultError,
)
from app.store.errors import StoreError
from app.tasks import MeasureProfile, Specs
from model_zoo import WeightsError

PROFILE = MeasureProfile("a", Specs.of({}, {}), "auto", "float32", 1, 1, 0.0, 0.0)


def ref(name: str = "a", *, size: int = 0, pinned: bool = False) -> ModelRef:
    return ModelRef(name, {}, {}, estimated_bytes=size, pinned=pinned)


def ask(
    engine: LocalEngine, model: ModelRef | None = None, rows: int = 1, **options: Any
) -> "asyncio.Task[Answer]":
    model = model or ref()
    data = Rows(np.zeros((rows, 4), np.float32).tobytes(), rows)
    options = {"counted_as": (model.build, "1"), **options}
    return asyncio.create_task(engine.infer(model, data, ("output",), **options))


def batches(calls: Calls) -> list[list[int]]:
    """Return the rows of each request in each batch."""
    return [[part.count for part in call.rows] for call in calls if isinstance(call, Compute)]


def kinds(calls: Calls) -> list[type]:
    return [type(call) for call in calls]


class Gate:
    """Behaves, but computes only when it is let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, task: Any) -> Any:
        if isinstance(task, Compute):
            await self.open.wait()
        return await obey(task)


def test_requests_that_arrive_while_it_computes_go_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        first = ask(engine)
        await until(lambda: batches(calls))
        others = [ask(engine, rows=rows) for rows in (1, 2, 2, 1)]
        await until(lambda: engine.status().queued == 2)  # the full batch is sent ahead
        gate.open.set()
        answers = await asyncio.gather(first, *others)
        assert batches(calls) == [[1], [1, 2], [2, 1]]  # 4 rows are the most
        assert [answer.batch_rows for answer in answers] == [1, 3, 3, 3, 3]
        assert [len(answer.arrays["output"]) for answer in answers] == [1, 1, 2, 2, 1]

    run_with(monkeypatch, gate, test)


def test_a_full_batch_is_sent_while_another_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        requests = [ask(engine, rows=4) for _ in range(3)]
        await until(lambda: len(batches(calls)) == 2)
        await asyncio.sleep(0.01)
        assert len(batches(calls)) == 2  # and no more than that
        gate.open.set()
        await asyncio.gather(*requests)

    run_with(monkeypatch, gate, test)


def test_a_model_of_several_lanes_computes_batches_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    async def behave(task: Any) -> Any:
        if isinstance(task, Load):
            return Reply(replace(LOADED, lanes=2, batch_rows=1))
        return await gate(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        first = ask(engine)
        await until(lambda: batches(calls))
        requests = [ask(engine) for _ in range(4)]
        await until(lambda: len(batches(calls)) == 3)
        await asyncio.sleep(0.01)
        assert batches(calls) == [[1], [1], [1]]  # one in each lane, and one that follows at once
        assert engine.status().queued == 2
        gate.open.set()
        await asyncio.gather(first, *requests)
        # Only the first was by itself, and could use what the lanes share.
        alone = [call.is_alone for call in calls if isinstance(call, Compute)]
        assert alone == [True, False, False, False, False]

    run_with(monkeypatch, behave, test)


def test_a_delay_lets_requests_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        await engine.load(ref())
        await asyncio.gather(*(ask(engine) for _ in range(2)))
        await asyncio.gather(*(ask(engine) for _ in range(4)))  # full: waits no longer
        assert batches(calls) == [[1, 1], [1, 1, 1, 1]]

    run_with(monkeypatch, obey, test, batch_delay_s=0.05)


def test_the_requests_of_a_failed_batch_are_retried_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def behave(task: Any) -> Any:
        if isinstance(task, Compute) and ArenaRows(0, 3) not in task.rows:
            await gate.open.wait()
            if any(part.count == 2 for part in task.rows):
                raise WorkerFaultError("internal error")
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        requests = [ask(engine, rows=rows) for rows in (4, 1, 2, 1)]
        await until(lambda: engine.status().queued == 3 or len(batches(calls)) == 2)
        gate.open.set()
        good, one, bad, other = await asyncio.gather(*requests, return_exceptions=True)
        assert isinstance(bad, WorkerFaultError)
        assert [type(each) for each in (good, one, other)] == [Answer] * 3
        assert batches(calls) == [[4], [1, 2, 1], [1], [2], [1]]

    run_with(monkeypatch, behave, test)


def test_a_worker_that_dies_of_a_batch_is_asked_again_by_each_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    async def behave(task: Any) -> Any:
        if isinstance(task, Compute):
            await gate.open.wait()
            if any(part.count == 2 for part in task.rows):
                return None
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        first = ask(engine, rows=4)
        await until(lambda: batches(calls))
        requests = [ask(engine, rows=rows) for rows in (1, 2)]
        await until(lambda: engine.status().queued == 2)
        gate.open.set()
        await first
        one, two = await asyncio.gather(*requests, return_exceptions=True)
        assert isinstance(one, Answer)
        assert isinstance(two, WorkerDiedError)
        assert str(two) == (
            "The worker was killed by SIGKILL while it did this request. It is started again; the "
            "request may be sent again."
        )
        assert batches(calls) == [[4], [1, 2], [1], [2]]
        await until(lambda: engine.status().ready)
        assert engine.status().restarts == 2
        assert isinstance(await ask(engine), Answer)

    run_with(monkeypatch, behave, test)


def test_a_model_is_loaded_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        loads = [engine.load(ref()) for _ in range(3)]
        await asyncio.gather(*loads, *(ask(engine) for _ in range(3)))
        assert kinds(calls).count(Load) == 1
        assert engine.state(ref()).state == "ready"
        assert engine.state(ref()).warmed[-1] == 4

    run_with(monkeypatch, obey, test)


def test_a_model_that_does_not_load_fails_those_who_wait_for_it_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(task: Any) -> Any:
        if isinstance(task, Load) and task.model.startswith("bad"):
            raise WeightsError("There is no checkpoint 'x'.")
        if isinstance(task, Load) and task.model.startswith("torn"):
            raise StoreError("The disk reported an error: I/O error.")
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        requests = [ask(engine, ref(name)) for name in ("bad", "torn", "good")]
        bad, torn, good = await asyncio.gather(*requests, return_exceptions=True)
        assert isinstance(bad, WeightsError)
        assert isinstance(torn, StoreError)
        assert isinstance(good, Answer)
        state = engine.state(ref("bad"))
        assert (state.state, state.failed) == ("unavailable", True)
        assert state.reason == "There is no checkpoint 'x'."
        assert kinds(calls).count(Load) == 3  # none of them in a circle

    run_with(monkeypatch, behave, test)


def test_a_worker_that_dies_of_a_load_is_not_asked_again_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(task: Any) -> Any:
        return None if isinstance(task, Load) else await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        with pytest.raises(WorkerDiedError, match="while it loaded this network"):
            await ask(engine)
        assert len(calls) == 1

    run_with(monkeypatch, behave, test)


def test_models_leave_for_others_but_not_while_they_compute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        busy = ask(engine, ref("a"))
        await until(lambda: batches(calls))
        waiting = ask(engine, ref("b", size=60))
        for _ in range(20):
            await asyncio.sleep(0)
        assert kinds(calls) == [Load, Compute]
        gate.open.set()
        await asyncio.gather(busy, waiting)
        assert kinds(calls) == [Load, Compute, Unload, Load, Compute]
        assert engine.state(ref("a")).state == "unavailable"
        assert engine.figures().evictions == {"room": 1}
        assert engine.figures().model_bytes == 100

    run_with(monkeypatch, gate, test, max_models_bytes=150)


def test_models_that_do_not_fit_together_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        async def client(name: str) -> int:
            return sum([(await ask(engine, ref(name, size=60))).batch_rows for _ in range(5)])

        assert await asyncio.gather(*map(client, "abc")) == [5, 5, 5]

    run_with(monkeypatch, obey, test, max_models_bytes=1)


def test_a_busy_model_makes_room_for_one_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(engine: LocalEngine, calls: Calls) -> None:
        is_over = asyncio.Event()

        async def client() -> None:
            while not is_over.is_set():
                await ask(engine, ref("busy", size=60))

        clients = [asyncio.create_task(client()) for _ in range(4)]
        await until(lambda: len(batches(calls)) > 3)
        await ask(engine, ref("other", size=60))
        is_over.set()
        await asyncio.gather(*clients)

    run_with(monkeypatch, obey, test, max_models_bytes=1)


def test_a_pinned_model_that_is_unloaded_while_it_loads_is_pinned_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads = asyncio.Event()

    async def behave(task: Any) -> Any:
        if isinstance(task, Load):
            await loads.wait()
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        load = asyncio.create_task(engine.load(ref(pinned=True)))
        await until(lambda: calls)
        unload = asyncio.create_task(engine.unload(ref(pinned=True)))
        await asyncio.sleep(0)
        loads.set()
        await asyncio.gather(load, unload)
        assert kinds(calls) == [Load, Unload]
        assert engine.status().ready
        (worker,) = engine._workers
        assert not worker.loads.pinned

    run_with(monkeypatch, behave, test)


def test_an_unload_behind_a_long_load_is_not_late(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = asyncio.Event()

    async def behave(task: Any) -> Any:
        # One thread of the worker loads and unloads, so an unload that is sent early waits there.
        if isinstance(task, Unload) or (isinstance(task, Load) and task.model.startswith("long")):
            await loads.wait()
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await engine.load(ref("small"))
        load = asyncio.create_task(engine.load(ref("long")))
        await until(lambda: len(calls) == 2)
        unload = asyncio.create_task(engine.unload(ref("small")))
        with pytest.raises(DeadlineError):  # so the time that an unload may take has passed
            await ask(engine, ref("long"))
        loads.set()
        await asyncio.gather(load, unload)
        assert engine.status().restarts == 0

    run_with(monkeypatch, behave, test, request_timeout_s=0.05)


def test_what_waits_for_another_model_survives_a_death_in_a_load(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def behave(task: Any) -> Any:
        if isinstance(task, Load) and task.model.startswith("deadly"):
            return None
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        requests = [ask(engine, ref(name)) for name in ("deadly", "good")]
        deadly, good = await asyncio.gather(*requests, return_exceptions=True)
        assert isinstance(deadly, WorkerDiedError)
        assert isinstance(good, Answer)

    run_with(monkeypatch, behave, test)


def test_pinned_models_stay_and_come_back_after_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behave(task: Any) -> Any:
        return None if isinstance(task, MeasureProfile) else await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await engine.load(ref("pinned", pinned=True))
        with pytest.raises(OutOfMemoryError) as refusal:
            await ask(engine, ref("other", size=60))
        assert str(refusal.value) == (
            "The networks in memory are pinned, and another does not fit beside them; the limit is "
            "150 bytes (ZOO_MAX_MODELS_BYTES)."
        )
        calls.clear()
        (worker,) = engine._workers
        with pytest.raises(WorkerDiedError):
            await worker.run(PROFILE)
        await until(lambda: engine.state(ref("pinned")).state == "ready")
        assert kinds(calls) == [MeasureProfile, Load]
        await engine.unload(ref("pinned"))
        assert engine.state(ref("pinned")).state == "unavailable"

    run_with(monkeypatch, behave, test, max_models_bytes=150)


def test_running_out_of_memory_frees_what_is_not_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    async def behave(task: Any) -> Any:
        if isinstance(task, Compute) and task.model.startswith("large"):
            raise OutOfMemoryError("There was not enough memory to compute this.")
        return await obey(task)

    async def test(engine: LocalEngine, calls: Calls) -> None:
        await engine.load(ref("idle"))
        with pytest.raises(OutOfMemoryError):
            await ask(engine, ref("large"))
        await until(lambda: engine.state(ref("idle")).state == "unavailable")
        assert engine.figures().evictions["memory"] >= 1

    run_with(monkeypatch, behave, test)


def test_a_request_past_its_deadline_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        first = ask(engine)
        await until(lambda: batches(calls))
        late = ask(engine, timeout_s=0.01)
        with pytest.raises(DeadlineError) as refusal:
            await late
        assert str(refusal.value) == "The request waited for the worker for longer than 0.01 s."
        gone = ask(engine)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        gate.open.set()
        await first
        assert batches(calls) == [[1]]
        assert engine._arena.used == 0

    run_with(monkeypatch, gate, test)


def test_rows_that_do_not_fit_the_queue_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        size = 2**20 // 16
        first = ask(engine, rows=size)
        await until(lambda: batches(calls))
        with pytest.raises(QueueFullError) as refusal:
            await ask(engine)
        assert str(refusal.value) == (
            "16 bytes do not fit beside the 1048576 that wait; the limit is 1048576 "
            "(ZOO_MAX_QUEUE_BYTES)."
        )
        gate.open.set()
        await first
        assert isinstance(await ask(engine), Answer)

    run_with(monkeypatch, gate, test, max_queue_bytes=2**20)


def test_the_queue_says_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        first = ask(engine)
        await until(lambda: batches(calls))
        second = ask(engine)
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError) as refusal:
            engine.check_admission()
        assert refusal.value.retry_after_s == 1
        engine._pace.seconds_per_request = 7.4
        with pytest.raises(QueueFullError) as refusal:
            await ask(engine)
        assert refusal.value.retry_after_s == 7
        gate.open.set()
        await asyncio.gather(first, second)

    run_with(monkeypatch, gate, test, queue_length=1)


def test_unloading_waits_for_what_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()

    async def test(engine: LocalEngine, calls: Calls) -> None:
        busy = ask(engine)
        await until(lambda: batches(calls))
        unload = asyncio.create_task(engine.unload(ref()))
        await until(lambda: engine.state(ref()).state == "unloading")
        again = ask(engine)  # loads it once more, when it is gone
        for _ in range(20):
            await asyncio.sleep(0)
        assert Unload not in kinds(calls)
        gate.open.set()
        await asyncio.gather(busy, unload, again)
        assert kinds(calls) == [Load, Compute, Unload, Load, Compute]

    run_with(monkeypatch, gate, test)
