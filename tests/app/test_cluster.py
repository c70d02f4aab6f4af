"""The engine on a cluster, with workers that a test plays: routing, pings, losses, retries."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_cluster import LOADED, READY, Counted, FakeCluster, ask, ref, run_on
from idle_time import until

from app.cluster import inferences, members, ray_engine
from app.cluster.member import Member
from app.cluster.messages import BatchRecord, Computed, Node, Report, WorkerLostError
from app.cluster.node_worker import TOKEN_FILE
from app.cluster.ray_engine import RayEngine
from app.engine import (
    DeadlineError,
    DeviceError,
    EngineFigures,
    ModelState,
    ProcessUsage,
    QueueFullError,
    Reply,
    Rows,
    WorkerDiedError,
    WorkerUnavailableError,
)
from app.tasks import MeasureSignal, SaveWeights, Specs
from app.telemetry.logs import about_request
from model_zoo import InputError, Problem

SAVE = SaveWeights("m", Specs.of({}, {}), "npz", {}, "")
SIGNAL = MeasureSignal(Specs.of({}, {}), None, False, 1, 0, False, ("inference",), 10.0)
Patch = pytest.MonkeyPatch


class Gate:
    """Calls that wait until a test lets them go on."""

    def __init__(self) -> None:
        self.waiting = 0
        self.event = asyncio.Event()

    async def __call__(self, *_arguments: Any) -> Computed:
        self.waiting += 1
        await self.event.wait()
        raise InputError(Problem("let go"))


async def gone(*_arguments: Any) -> None:
    raise WorkerLostError("cannot be reached (ActorUnavailableError)")


# Routing ------------------------------------------------------------------------------------------


def test_requests_go_to_the_worker_that_has_the_model(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        for _ in range(3):
            await ask(engine, ref())
        assert sorted(len(each.done("infer")) for each in cluster.workers) == [0, 3]
        (holder,) = (each for each in cluster.workers if each.done("infer"))
        gate = holder.does["infer"] = Gate()
        waiting = asyncio.create_task(ask(engine, ref()))
        await until(lambda: gate.waiting)
        await ask(engine, ref("other"))  # which the other one, with nothing to do, loads
        assert {len(each.done("infer")) for each in cluster.workers} == {1, 4}
        gate.event.set()
        with pytest.raises(InputError):
            await waiting

    run_on(monkeypatch, test)


def test_another_worker_loads_a_model_whose_worker_is_busy(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        await ask(engine, ref())
        holder, other = sorted(cluster.workers, key=lambda each: -len(each.done("infer")))
        gate = holder.does["infer"] = Gate()
        waiting = [asyncio.create_task(ask(engine, ref())) for _ in range(3)]
        await until(lambda: gate.waiting == 3)
        assert other.loaded == []
        waiting.append(asyncio.create_task(ask(engine, ref())))
        await until(lambda: other.loaded == ["m-auto-float32"])
        await ask(engine, ref())  # which goes where fewer wait
        assert len(other.done("infer")) == 1
        gate.event.set()
        await asyncio.gather(*waiting, return_exceptions=True)

    run_on(monkeypatch, test, batch_rows=3)


def test_a_worker_whose_queue_is_full_is_not_the_last(monkeypatch: Patch) -> None:
    async def full(*_arguments: Any) -> None:
        raise QueueFullError("64 requests wait.", 7)

    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        first = cluster.of("a")
        first.does["infer"] = full
        await engine.load(ref())  # into the first: none is busy
        await ask(engine, ref())
        assert [len(cluster.of(node).done("infer")) for node in "ab"] == [1, 1]
        cluster.of("b").does["infer"] = full
        with pytest.raises(QueueFullError, match="64 requests wait") as refusal:
            await ask(engine, ref())
        assert refusal.value.retry_after_s == 7

    run_on(monkeypatch, test)


def test_files_of_the_home_are_read_where_it_is_seen(monkeypatch: Patch, tmp_path: Path) -> None:
    def source(kind: str) -> Any:
        return {"weights": [{"source": kind, "id": "0" * 64}]}

    from_file = replace(ref("file"), spec=source("checkpoint"))
    from_build = replace(ref("built"), spec=source("build"), source_specs={"c": from_file.spec})
    calibrated = replace(ref("int8"), calibration="0" * 64)
    refs = (from_file, from_build, calibrated)

    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        gate = cluster.of("a").does["infer"] = Gate()
        waiting = [asyncio.create_task(ask(engine, each)) for each in refs]
        await until(lambda: gate.waiting == 3)
        await ask(engine, ref())
        assert len(cluster.of("b").done("infer")) == 1
        assert (await engine.run(SAVE)).result == "a"
        assert (await engine.run(SIGNAL)).result == "b"
        gate.event.set()
        await asyncio.gather(*waiting, return_exceptions=True)

    run_on(monkeypatch, test)

    async def test_without(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        needs = {"a checkpoint": from_file, "the rows that calibrate it": calibrated}
        for files, needy in needs.items():
            with pytest.raises(WorkerUnavailableError) as refusal:
                await ask(engine, needy)
            assert str(refusal.value) == (
                f"This needs {files}, which lies in {tmp_path} (ZOO_HOME), and no worker of the "
                "cluster sees that folder. Start a node of Ray on the machine of the API, mount "
                "the folder at the same path on other nodes, or keep the files in a bucket "
                "(ZOO_FILES_URL)."
            )
        await ask(engine, ref())

    async def test_bucket(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        for needy in refs:
            await ask(engine, needy)
        await engine.run(SAVE)

    def elsewhere() -> FakeCluster:
        cluster = FakeCluster(2)
        cluster.sharing.clear()
        return cluster

    run_on(monkeypatch, test_without, cluster=elsewhere(), home=tmp_path)
    bucket = f"file://{tmp_path}"
    run_on(monkeypatch, test_bucket, cluster=elsewhere(), home=tmp_path, files_url=bucket)


# Losses -------------------------------------------------------------------------------------------


def test_an_inference_of_a_frozen_worker_is_answered_by_another(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        await ask(engine, ref())
        frozen, other = sorted(cluster.workers, key=lambda each: -len(each.done("infer")))
        frozen.is_frozen = True
        answers = await asyncio.gather(*(ask(engine, ref()) for _ in range(3)))
        assert len(answers) == 3
        assert len(other.done("infer")) == 3
        status = engine.status()
        assert (status.ready, status.restarts) == (True, 1)
        name = f"{frozen.node.host} ({frozen.node.id})"
        assert status.reason == f"1 of 2 workers are up: {name} has not answered for 0.05 s"
        frozen.is_frozen = False
        await until(lambda: len(engine._members.up) == 2)
        assert not frozen.is_killed  # it is the same one, with its models

    run_on(monkeypatch, test)


def test_other_calls_of_a_lost_worker_fail_at_once(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        worker = cluster.of("a")
        worker.is_frozen = True
        with pytest.raises(WorkerDiedError) as failure:
            await engine.run(SAVE)
        assert str(failure.value) == (
            "The worker on host-a (a) has not answered for 0.05 s while it did this request. The "
            "request may be sent again."
        )
        assert len(worker.done("run")) == 1

    run_on(monkeypatch, test)


def test_a_worker_that_ray_says_is_gone_is_not_asked_again(monkeypatch: Patch) -> None:
    """Before the next ping: it has nothing to do, and would be chosen until the retries end."""

    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        monkeypatch.setattr(members, "PING_EVERY_S", 60)
        await asyncio.sleep(0.01)
        first = cluster.of("a")
        await engine.load(ref())
        first.does["infer"] = gone
        await ask(engine, ref())
        assert (len(first.done("infer")), len(cluster.of("b").done("infer"))) == (1, 1)

    run_on(monkeypatch, test)


def test_a_request_that_loses_three_workers_is_not_sent_to_a_fourth(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        with pytest.raises(WorkerDiedError, match=r"cannot be reached .* while it did"):
            await ask(engine, ref())
        assert sum(len(each.done("infer")) for each in cluster.workers) == 3

    cluster = FakeCluster(4)
    cluster.does["infer"] = gone
    run_on(monkeypatch, test, cluster=cluster)


def test_a_dead_worker_is_replaced_and_gets_the_pinned_models(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        await engine.load(ref(pinned=True))
        assert [each.loaded for each in cluster.workers] == [["m-auto-float32"]] * 2
        dead = cluster.of("a")
        dead.report = replace(dead.report, figures=EngineFigures(evictions={"room": 2}))
        await until(lambda: engine.figures().evictions == {"room": 2})
        dead.die()
        await until(lambda: cluster.of("a") is not dead)
        await until(lambda: cluster.of("a").loaded == ["m-auto-float32"])
        assert dead.is_killed
        await until(lambda: len(engine._members.up) == 2)
        assert engine.figures().evictions == {"room": 2}  # a counter never goes back
        assert engine.figures().worker_restarts == 1

    run_on(monkeypatch, test)


def test_a_new_node_takes_work_and_one_that_leaves_is_forgotten(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        await engine.load(ref(pinned=True))
        gate = cluster.of("a").does["infer"] = Gate()
        waiting = asyncio.create_task(ask(engine, ref(pinned=True)))
        await until(lambda: gate.waiting)
        cluster.there = FakeCluster(2).there
        await until(lambda: len(engine._members.up) == 2)
        await until(lambda: cluster.of("b").loaded == ["m-auto-float32"])
        await ask(engine, ref(pinned=True))
        assert len(cluster.of("b").done("infer")) == 1
        assert engine.tracers == 4
        cluster.of("a").is_frozen = True
        cluster.there = cluster.there[1:]
        await until(lambda: cluster.of("a").is_killed)
        assert [each.node.id for each in engine._members.all] == ["b"]
        await waiting  # answered by the new one

    run_on(monkeypatch, test, cluster=FakeCluster(1))


def test_without_a_worker_a_request_waits_for_one(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        waiting = asyncio.create_task(ask(engine, ref()))
        await asyncio.sleep(0.01)
        assert engine.status().reason == "the cluster has no node that may have a worker"
        assert (engine.status().state, engine.status().ready) == ("starting", False)
        cluster.there = FakeCluster(1).there
        await waiting
        assert engine.status().reason is None

    run_on(monkeypatch, test, cluster=FakeCluster(0))


def test_without_a_worker_in_time_the_refusal_says_so(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        for call in (ask(engine, ref()), engine.run(SAVE)):
            with pytest.raises(WorkerUnavailableError) as refusal:
                await call
            assert str(refusal.value) == (
                "No worker of the cluster came up within 0.01 s (ZOO_REQUEST_TIMEOUT_S): the "
                "cluster has no node that may have a worker."
            )

    for module in (inferences, ray_engine):
        monkeypatch.setattr(module, "GRACE_S", 0.0)
    run_on(monkeypatch, test, cluster=FakeCluster(0), request_timeout_s=0.01)


def test_a_worker_of_another_version_is_not_used(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        await until(lambda: engine._members.is_hopeless)
        with pytest.raises(WorkerUnavailableError) as refusal:
            engine.check_admission()
        assert str(refusal.value).startswith(
            "The worker of host-a does not start: it has version 0.0.1 of this service, and the "
            "API has "
        )
        assert all(worker.is_killed for worker in cluster.workers)

    cluster = FakeCluster(1)
    cluster.version = "0.0.1"
    monkeypatch.setattr(members, "_LONGEST_BACK_OFF_S", 0.001)
    run_on(monkeypatch, test, cluster=cluster, up=0)


def test_a_gpu_that_no_node_has_ends_the_start(monkeypatch: Patch, tmp_path: Path) -> None:
    from app.settings import Settings

    async def run() -> None:
        settings = Settings(home=tmp_path, device="gpu")
        engine = RayEngine(settings, lambda *_: None, FakeCluster(2), "token")
        monkeypatch.setattr(engine._readers, "start", lambda: None)
        try:
            with pytest.raises(DeviceError) as refusal:
                await engine.start(wait_until_ready=True)
            assert str(refusal.value) == (
                "ZOO_DEVICE=gpu, but no node of the cluster has a GPU that Ray knows"
            )
        finally:
            await engine.close()

    asyncio.run(run())


# Calls --------------------------------------------------------------------------------------------


def test_an_error_of_a_worker_is_what_it_was_there(monkeypatch: Patch) -> None:
    error = InputError(Problem("Too many rows.", "/instances", 9, "8"))

    async def refuse(*_arguments: Any) -> None:
        raise error

    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        with pytest.raises(InputError) as refusal:
            await ask(engine, ref())
        assert refusal.value.problems == error.problems
        assert sum(len(each.done("infer")) for each in cluster.workers) == 1

    cluster = FakeCluster(2)
    cluster.does["infer"] = refuse
    run_on(monkeypatch, test, cluster=cluster)


def test_a_request_carries_its_rows_its_deadline_and_its_id(monkeypatch: Patch) -> None:
    data = bytes(range(256)) * 1000

    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        with about_request({"request_id": "abc"}):
            rows, named = Rows(data, 3), ("m", "1")
            await engine.infer(ref(), rows, ("output",), counted_as=named, timeout_s=9)
        ((about, model, outputs, count, counted_as, left_s, wants_state, *pieces),) = cluster.of(
            "a"
        ).done("infer") or cluster.of("b").done("infer")
        assert (about, model, outputs, count) == ({"request_id": "abc"}, ref(), ("output",), 3)
        assert (counted_as, wants_state) == (("m", "1"), True)
        assert 0 < left_s <= 9
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) < 100_000  # which Ray sends with the call

    run_on(monkeypatch, test)


def test_a_client_that_is_gone_cancels_its_call(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        worker = cluster.of("a")
        gate = worker.does["infer"] = Gate()
        request = asyncio.create_task(ask(engine, ref()))
        await until(lambda: gate.waiting)
        assert engine.status().in_flight == 1
        request.cancel()
        await until(lambda: worker.cancelled)
        assert engine.status().in_flight == 0

    run_on(monkeypatch, test, cluster=FakeCluster(1))


def test_a_worker_that_computes_for_too_long_is_past_its_deadline(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        cluster.of("a").does["infer"] = cluster.of("a").does["run"] = Gate()
        for call in (ask(engine, ref()), engine.run(SAVE)):
            with pytest.raises(DeadlineError) as late:
                await call
            assert str(late.value) == (
                "The request computed for longer than 0.01 s (ZOO_REQUEST_TIMEOUT_S)."
            )

    for module in (inferences, ray_engine):
        monkeypatch.setattr(module, "GRACE_S", 0.0)
    run_on(monkeypatch, test, cluster=FakeCluster(1), request_timeout_s=0.01)


def test_more_requests_than_all_queues_take_are_refused(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        for worker in cluster.workers:
            worker.does["infer"] = Gate()
        waiting = [asyncio.create_task(ask(engine, ref())) for _ in range(4)]
        await until(lambda: engine.status().in_flight == 4)
        with pytest.raises(QueueFullError) as refusal:
            engine.check_admission()
        assert str(refusal.value) == (
            "4 requests wait for 2 workers already; the limit of each is 2 (ZOO_QUEUE_LENGTH)."
        )
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        engine.check_admission()

    run_on(monkeypatch, test, queue_length=2)


def test_rows_that_wait_have_a_limit(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        cluster.of("a").does["infer"] = Gate()
        rows = Rows(bytes(700_000), 1)
        first = asyncio.create_task(engine.infer(ref(), rows, (), counted_as=("m", "1")))
        await until(lambda: engine.status().in_flight == 1)
        with pytest.raises(QueueFullError) as refusal:
            await engine.infer(ref(), rows, (), counted_as=("m", "1"))
        assert str(refusal.value) == (
            "700000 bytes do not fit beside the 700000 that wait; the limit is 1048576 "
            "(ZOO_MAX_QUEUE_BYTES)."
        )
        first.cancel()

    run_on(monkeypatch, test, cluster=FakeCluster(1), max_queue_bytes=2**20)


def test_batches_are_counted_wherever_they_come_from(monkeypatch: Patch) -> None:
    def batch(name: str) -> BatchRecord:
        return BatchRecord((name, "1"), 2, {"compute": 0.1})

    async def computed(*arguments: Any) -> Computed:
        answer = await FakeCluster(1).start_worker(cluster.there[0])._infer(*arguments)
        return replace(answer, batches=[batch("answer")])

    async def test(engine: RayEngine, _cluster: FakeCluster, counted: Counted) -> None:
        await ask(engine, ref())
        assert counted == [(("answer", "1"), 2, {"compute": 0.1})]
        cluster.of("a").report = Report(READY, batches=[batch("ping")])
        await until(lambda: len(counted) > 1)
        assert counted[1] == (("ping", "1"), 2, {"compute": 0.1})

    cluster = FakeCluster(1)
    cluster.does["infer"] = computed
    run_on(monkeypatch, test, cluster=cluster)


# Models and figures -------------------------------------------------------------------------------


def test_a_state_is_known_before_the_next_ping(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        worker = cluster.of("a")
        event = asyncio.Event()
        told = worker.report

        async def old_ping() -> Report:
            await event.wait()
            return told

        worker.does["ping"] = old_ping
        await until(lambda: len(worker.done("ping")) and worker.calls[-1][0] == "ping")
        assert engine.state(ref()).state == "unavailable"
        assert await engine.load(ref()) == LOADED
        assert engine.state(ref()) == LOADED
        before = len(worker.done("ping"))
        event.set()
        del worker.does["ping"]
        await until(lambda: len(worker.done("ping")) > before)
        assert engine.state(ref()) == LOADED  # of which that ping did not know
        await ask(engine, ref("other"))
        assert engine.state(ref("other")) == LOADED
        await engine.unload(ref())
        assert engine.state(ref()).state == "unavailable"

    run_on(monkeypatch, test, cluster=FakeCluster(1))


def test_a_ping_that_was_sent_before_a_load_ended_does_not_know_it() -> None:
    async def run() -> None:
        worker = FakeCluster(1).start_worker(Node("a", "host", 1))
        member = Member(worker.node, worker, lambda *_: None)
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.sleep(0.001)
        member.note("m", LOADED)
        member.update(Report(READY), before)
        assert member.states == {"m": LOADED}
        await asyncio.sleep(0.001)
        member.update(Report(READY), loop.time())
        assert member.states == {}

    asyncio.run(run())


def test_the_best_state_of_all_workers_counts(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        failed = ModelState("unavailable", "no memory", failed=True)
        cluster.of("a").knows(ref().key, failed)
        await until(lambda: engine.state(ref()) == failed)
        cluster.of("b").knows(ref().key, LOADED)
        await until(lambda: engine.state(ref()) == LOADED)

    run_on(monkeypatch, test)


def test_all_that_have_a_model_learn_that_it_is_not_pinned_any_more(
    monkeypatch: Patch,
) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        await engine.load(ref(pinned=True))
        await engine.load(ref())
        for worker in cluster.workers:
            assert [model.pinned for _, model in worker.done("load")] == [True, False]
        await engine.load(ref("other"))
        assert sum(len(worker.loaded) for worker in cluster.workers) == 5

    run_on(monkeypatch, test)


def test_a_worker_that_comes_back_learns_what_it_missed(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        for name in ("unpinned", "unloaded", "pinned"):
            await engine.load(ref(name, pinned=True))
        lost = cluster.of("a")
        lost.is_frozen = True
        await until(lambda: len(engine._members.up) == 1)
        await engine.load(ref("unpinned"))
        await engine.unload(ref("unloaded"))
        await engine.unload(ref("pinned"))
        await engine.load(ref("pinned", pinned=True))
        lost.is_frozen = False
        await until(lambda: len(lost.done("unload")) == 2)
        assert [model.build for _, model in lost.done("unload")] == ["unpinned", "unloaded"]
        await until(lambda: lost.report.states.keys() == {ref("pinned").key})

    run_on(monkeypatch, test)


def test_the_start_waits_for_pinned_models(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        loading = asyncio.create_task(engine.load(ref(pinned=True)))
        await asyncio.sleep(0.005)
        assert engine.status().reason == "waits for the pinned builds m"
        assert not engine.status().ready
        cluster.there = FakeCluster(2).there
        assert await loading == LOADED
        await until(lambda: engine.status().ready)
        await until(lambda: [bool(each.loaded) for each in cluster.workers] == [True, True])

    run_on(monkeypatch, test, cluster=FakeCluster(0))


def test_figures_are_those_of_all_workers(monkeypatch: Patch) -> None:
    figures = EngineFigures(
        models=1,
        model_bytes=100,
        waiting={("m", "1"): 2},
        processes={"worker": ProcessUsage(1, 1000, 2.0)},
    )

    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        for worker in cluster.workers:
            worker.report = replace(worker.report, figures=figures)
        await until(lambda: engine.figures().models == 2)
        total = engine.figures()
        assert (total.model_bytes, total.waiting) == (200, {("m", "1"): 4})
        assert (total.worker_up, total.workers) == (True, 2)
        assert total.processes["worker"] == ProcessUsage(2, 2000, 4.0)

    run_on(monkeypatch, test)


def test_a_cluster_traces_as_many_tasks_at_once_as_it_has_processors(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        assert (engine.tracers, engine.rows_of_trace) == (4, 50)
        events = [asyncio.Event() for _ in range(5)]
        calls = [asyncio.create_task(engine.trace(event.wait())) for event in events]  # type: ignore[arg-type]
        await until(lambda: len(cluster.traced) == 4)
        events[0].set()
        await until(lambda: len(cluster.traced) == 5)
        for event in events:
            event.set()
        assert await asyncio.gather(*calls) == [Reply(b"[]")] * 5

    run_on(monkeypatch, test)


def test_a_setting_may_say_how_many_tasks_are_traced_at_once(monkeypatch: Patch) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        assert engine.tracers == 7

    run_on(monkeypatch, test, tracers=7)


def test_closing_ends_every_worker(monkeypatch: Patch, tmp_path: Path) -> None:
    async def test(engine: RayEngine, cluster: FakeCluster, counted: Counted) -> None:
        assert (tmp_path / TOKEN_FILE).read_text() == "token"
        gate = cluster.of("a").does["infer"] = Gate()
        waiting = asyncio.create_task(ask(engine, ref()))
        await until(lambda: gate.waiting)
        engine.stop_accepting()
        assert not engine.status().ready
        await engine.close()
        with pytest.raises((WorkerUnavailableError, WorkerDiedError)):
            await waiting
        assert [(len(each.done("close")), each.is_killed) for each in cluster.workers] == [
            (1, True),
            (1, True),
        ]
        assert not cluster.is_connected
        assert not (tmp_path / TOKEN_FILE).exists()

    run_on(monkeypatch, test, home=tmp_path)
