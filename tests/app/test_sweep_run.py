"""A run of a sweep: what is traced, what is refused, what is stored, and where it goes on."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.compute.tracer.tracer_tasks import TracerTasks
from app.engine import DeadlineError, EngineError, Reply, WorkerDiedError, WorkerUnavailableError
from app.serving import sweep_run
from app.serving.known_outcomes import KnownOutcomes
from app.serving.sweep_run import SweepRun
from app.settings import Limit, Settings
from app.store.sqlite import SqliteDatabase
from app.store.sweeps import SweepStore
from app.tasks import IdentifyRows, TraceRows
from model_zoo import RowTracer, Sweep, SweepRowDocument, sweep

LENET = {"architecture": "lenet"}
CLASSES = "/params/num_classes"
TASKS = TracerTasks(Settings())
DIED = "The process that traces was killed by SIGKILL. It is started again."


class FakeEngine:
    """Traces in this process; `fault` may raise for the rows of a task, or make it wait."""

    tracers = 2
    rows_of_trace = 16

    def __init__(self, fault: Callable[[Any], Any] = lambda task: None) -> None:
        self.calls: list[Any] = []
        self._fault = fault

    async def trace(self, task: Any) -> Reply[Any]:
        self.calls.append(task)
        waiting = self._fault(task)
        if waiting is not None:
            await waiting
        return TASKS.run(task)

    @property
    def traced(self) -> list[int]:
        """The rows that were traced, in the order of the tasks."""
        return [row for call in self.calls if isinstance(call, TraceRows) for row in call.part.rows]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SweepStore]:
    database = SqliteDatabase(tmp_path, Settings().store_wait)
    yield SweepStore(database, Limit(10**9, "ZOO_MAX_SWEEPS_BYTES"))
    database.close()


def lenets(count: int, **more: Any) -> Sweep:
    axes = {CLASSES: {"start": 1, "stop": count + 1}}
    return sweep({"spec": LENET, "axes": axes, **more})


def start(
    read: Sweep,
    store: SweepStore,
    engine: Any,
    outcomes: KnownOutcomes | None = None,
    *,
    fail_fast: bool = False,
) -> tuple[SweepRun, list[SweepRowDocument]]:
    """Return a run, and the rows that are stored already."""
    texts = json.dumps(read.document), json.dumps(read.scopes.to_dict())
    stored = store.add(read.id, read.rows, *texts)
    store.take(read.id)

    async def keep(rows: Any, progress: Any) -> None:
        await asyncio.to_thread(store.append, read.id, rows, progress)

    known = rows_of(store, read)
    outcomes = outcomes or KnownOutcomes()
    return SweepRun(read, stored, engine, outcomes, keep, fail_fast=fail_fast), known


def run(read: Sweep, store: SweepStore, engine: Any, **options: Any) -> str | None:
    begun, known = start(read, store, engine, **options)
    return asyncio.run(begun.run(known))


def rows_of(store: SweepStore, read: Sweep) -> list[SweepRowDocument]:
    return [row for rows in store.rows(read.id) for row in rows]


def in_process(read: Sweep) -> list[SweepRowDocument]:
    return [row.to_dict() for row in read]


MIXED = sweep(
    {
        "spec": LENET,
        "axes": {CLASSES: [3, "x", *range(1, 30), 3], "/is_training": [True, False]},
        "where": ["parameters < 3300000"],
    }
)


def test_rows_are_those_of_the_library(store: SweepStore) -> None:
    assert run(MIXED, store, FakeEngine()) is None
    assert rows_of(store, MIXED) == in_process(MIXED)
    stored = store.get(MIXED.id)
    assert stored is not None
    assert stored.progress["statuses"] == {
        "traced": 58, "refused": 2, "duplicate": 4, "filtered": 0
    }  # fmt: skip


def test_rows_keep_their_order_where_later_ones_are_traced_first(store: SweepStore) -> None:
    order: list[int] = []

    def first_waits(task: Any) -> Any:
        if isinstance(task, TraceRows) and task.part.rows[0] == 0:
            return second_done.wait()
        return None

    async def both() -> None:
        begun, known = start(read, store, engine)
        running = asyncio.create_task(begun.run(known))
        while len(engine.traced) < 32 + 16:
            await asyncio.sleep(0)
        order.extend(engine.traced)
        assert rows_of(store, read) == []
        second_done.set()
        await running

    read, engine, second_done = lenets(50), FakeEngine(first_waits), asyncio.Event()
    asyncio.run(both())
    assert [row["index"] for row in rows_of(store, read)] == list(range(50))


@pytest.mark.parametrize("error", [WorkerDiedError(DIED), DeadlineError("It was too slow.")])
def test_a_row_that_ends_its_process_is_refused_alone(
    store: SweepStore, error: EngineError
) -> None:
    def fault(task: Any) -> None:
        if isinstance(task, TraceRows) and 21 in task.part.rows:
            raise error

    read = lenets(40)
    engine = FakeEngine(fault)
    assert run(read, store, engine) is None
    rows, expected = rows_of(store, read), in_process(read)
    assert rows[:21] + rows[22:] == expected[:21] + expected[22:]
    # It was read, so its build is known.
    problem = {
        "pointer": "",
        "message": str(error),
        "layer": None,
        "received": None,
        "suggestion": None,
        "more": 0,
    }
    refused = {"status": "refused", "totals": None, "problem": problem}
    assert rows[21] == {**expected[21], **refused}


def test_a_row_whose_spec_ends_the_process_has_no_build(store: SweepStore) -> None:
    def fault(task: Any) -> None:
        if 2 in task.part.rows:
            raise WorkerDiedError(DIED)

    assert run(lenets(4), store, FakeEngine(fault)) is None
    rows = rows_of(store, lenets(4))
    assert [(row["status"], row["build"] is None) for row in rows] == [
        ("traced", False),
        ("traced", False),
        ("refused", True),
        ("traced", False),
    ]


@pytest.mark.parametrize("count", [1, 30])
def test_a_process_that_dies_once_costs_no_row(store: SweepStore, count: int) -> None:
    deaths = iter([True])

    def fault(task: Any) -> None:
        if isinstance(task, TraceRows) and next(deaths, False):
            raise WorkerDiedError(DIED)

    assert run(lenets(count), store, FakeEngine(fault)) is None
    assert rows_of(store, lenets(count)) == in_process(lenets(count))


def test_an_engine_that_is_unavailable_stops_the_sweep_and_it_goes_on_later(
    store: SweepStore,
) -> None:
    def fault(task: Any) -> None:
        if 100 in task.part.rows:
            raise WorkerUnavailableError("The tracer has failed to start 3 times.")

    read, engine = lenets(150), FakeEngine(fault)
    with pytest.raises(WorkerUnavailableError, match=r"^The tracer has failed to start 3 times\.$"):
        run(read, store, engine)
    assert [row["index"] for row in rows_of(store, read)] == list(range(96))
    engine = FakeEngine()
    assert run(read, store, engine) is None
    assert rows_of(store, read) == in_process(read)
    assert engine.traced == list(range(96, 150))


@settings(deadline=None)
@given(kills=st.lists(st.integers(0, 12), max_size=4))
def test_a_sweep_that_is_killed_and_resumed_has_the_rows_of_one_run(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int]
) -> None:
    database = SqliteDatabase(tmp_path_factory.mktemp("home"), Settings().store_wait)
    store = SweepStore(database, Limit(10**9, "ZOO_MAX_SWEEPS_BYTES"))
    expected = in_process(MIXED)

    async def killed_after(tasks: int) -> None:
        def fault(_task: Any) -> None:
            if len(engine.calls) > tasks:
                running.cancel()

        engine = FakeEngine(fault)
        begun, known = start(MIXED, store, engine)
        running = asyncio.create_task(begun.run(known))
        await asyncio.wait({running})

    for tasks in kills:
        asyncio.run(killed_after(tasks))
        rows = rows_of(store, MIXED)
        assert rows == expected[: len(rows)]
    assert run(MIXED, store, FakeEngine()) is None
    assert rows_of(store, MIXED) == expected
    stored = store.get(MIXED.id)
    assert stored is not None
    assert sum(stored.progress["statuses"].values()) == MIXED.rows
    database.close()


def test_a_run_that_is_cancelled_stores_what_was_done(store: SweepStore) -> None:
    async def cancelled() -> None:
        def fault(task: Any) -> Any:
            return asyncio.Event().wait() if task.part.rows[0] >= 32 else None

        engine = FakeEngine(fault)
        begun, known = start(lenets(100), store, engine)
        running = asyncio.create_task(begun.run(known))
        while len(engine.calls) < 6:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()

    asyncio.run(cancelled())
    assert [row["index"] for row in rows_of(store, lenets(100))] == list(range(32))


def test_a_run_that_is_cancelled_while_it_stores_waits_for_that(
    store: SweepStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a thread would still write when the sweep is deleted."""
    monkeypatch.setattr(sweep_run, "_STORED_TOGETHER", 1)
    read, stored = lenets(100), []

    async def cancelled() -> None:
        begins, may_end = asyncio.Event(), asyncio.Event()

        async def keep(rows: Any, _progress: Any) -> None:
            begins.set()
            await may_end.wait()
            stored.extend(rows)

        begun, known = start(read, store, FakeEngine())
        begun._store = keep
        running = asyncio.create_task(begun.run(known))
        await begins.wait()
        running.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not running.done()
        may_end.set()
        await asyncio.wait({running})

    asyncio.run(cancelled())
    assert [row["index"] for row in stored] == list(range(16))


def test_rows_of_a_sweep_that_was_deleted_are_not_stored(store: SweepStore) -> None:
    def fault(task: Any) -> None:
        if 64 in task.part.rows:
            store.remove(lenets(100).id)

    with pytest.raises(Exception, match=r"^The sweep was deleted\.$"):
        run(lenets(100), store, FakeEngine(fault))
    assert store.get(lenets(100).id) is None
    assert rows_of(store, lenets(100)) == []


def test_known_outcomes_are_not_traced_again(store: SweepStore) -> None:
    outcomes, engine = KnownOutcomes(), FakeEngine()
    assert run(lenets(20), store, engine, outcomes=outcomes) is None
    assert engine.traced == list(range(20))
    both = {"spec": LENET, "axes": {CLASSES: [5, 500, 6], "/is_training": [False]}}
    engine = FakeEngine()
    assert run(sweep(both), store, engine, outcomes=outcomes) is None
    assert engine.traced == [1]
    assert rows_of(store, sweep(both)) == in_process(sweep(both))
    assert len([call for call in engine.calls if isinstance(call, IdentifyRows)]) == 1


def test_refusals_are_traced_again_since_they_quote_the_spec(store: SweepStore) -> None:
    level = {"ops": ["conv2d"], "args": {"stride": 9, "padding": "VALID"}, "force": True}
    document = {"spec": LENET, "axes": {"/scopes": [[level]]}}
    outcomes, engine = KnownOutcomes(), FakeEngine()
    run(sweep(document), store, engine, outcomes=outcomes)
    run(sweep({**document, "where": ["layers > 1"]}), store, engine, outcomes=outcomes)
    assert engine.traced == [0, 0]


def test_a_strict_spec_is_told_from_one_that_is_not(store: SweepStore) -> None:
    """Both have one build, and only the strict one is refused for a level that sets nothing."""
    level = {"ops": ["separable_conv2d"], "args": {"stride": 2}}
    document = {"spec": {**LENET, "scopes": [level]}, "axes": {"/strict": [False, True, False]}}
    read = sweep(document)
    assert run(read, store, FakeEngine()) is None
    rows = rows_of(store, read)
    assert rows == in_process(read)
    assert [row["status"] for row in rows] == ["traced", "refused", "duplicate"]
    assert rows[0]["build"] == rows[1]["build"] == rows[2]["build"]
    assert rows[2]["duplicate_of"] == 0


def test_a_fault_of_ours_costs_one_row(store: SweepStore, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = RowTracer.outcome

    def failing(self: RowTracer, spec: Any, **options: Any) -> Any:
        if spec.params["num_classes"] == 2:
            raise RuntimeError("a fault")
        return outcome(self, spec, **options)

    monkeypatch.setattr(RowTracer, "outcome", failing)
    assert run(lenets(3), store, FakeEngine()) is None
    rows = rows_of(store, lenets(3))
    assert [row["status"] for row in rows] == ["traced", "refused", "traced"]
    assert rows[1]["problem"]["message"] == "internal error"


def test_fail_fast_stores_the_refused_row_and_no_later_one(store: SweepStore) -> None:
    assert run(MIXED, store, FakeEngine(), fail_fast=True) == (
        "Row 2 was refused, and fail_fast was set."
    )
    assert rows_of(store, MIXED) == in_process(MIXED)[:3]
    engine = FakeEngine()
    assert run(MIXED, store, engine, fail_fast=True) == "Row 2 was refused, and fail_fast was set."
    assert engine.calls == []
    assert run(MIXED, store, FakeEngine()) is None
    assert rows_of(store, MIXED) == in_process(MIXED)


def test_long_names_are_shortened_in_rows_and_warnings(store: SweepStore) -> None:
    """Each row would repeat them otherwise."""
    read = sweep({"spec": {**LENET, "params": {"n" * 100_000: 1}}, "axes": {CLASSES: [1, 2]}})
    assert run(read, store, FakeEngine()) is None
    assert all(len(json.dumps(row)) < 4_000 for row in rows_of(store, read))
    assert rows_of(store, read)[0]["problem"]["pointer"].endswith("nnn...")
