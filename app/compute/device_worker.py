"""A worker as the API sees it: sends its processes batches, and divides the answers by request.

On a CPU, ONNX Runtime and TensorFlow have a process each, which share the memory for networks, and
the number of batches at once. On a GPU, both have one.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from app.compute.arena import Arena
from app.compute.batching import Batch, PendingRequest, RequestQueue
from app.compute.child_process import ChildProcess, ProcessGoneError, worker_environment
from app.compute.connection import Connection
from app.compute.engine_process import EngineProcess, Processes, Resting
from app.compute.engine_trials import EngineTrials
from app.compute.messages import ArenaRows, Compute
from app.compute.model_loads import Changes, ModelLoads
from app.compute.placement import Placement
from app.compute.residency import ResidentModel
from app.compute.supervisor import Supervisor
from app.engine import (
    Answer,
    OnBatch,
    OutOfMemoryError,
    ProcessRole,
    Reply,
    Result,
    WorkerDiedError,
    WorkerTask,
    WorkerUnavailableError,
)
from app.settings import Settings
from app.store.file_places import FilePlace
from app.tasks import MeasureProfile, MeasureSignal, SaveWeights
from model_zoo import ZooError

log = logging.getLogger(__name__)

_MODULE = "app.compute.worker"
Shapes = tuple[tuple[int, ...], ...]


class DeviceWorker:
    """A supervised worker that computes batches of the queue; `release` frees a request's rows."""

    def __init__(
        self,
        settings: Settings,
        arena: Arena,
        queue: RequestQueue,
        placement: Placement,
        on_batch: OnBatch,
        release: Callable[[PendingRequest], None],
        files: FilePlace,
        *,
        may_have_gpu: bool,
        gpu: str | None,
    ) -> None:
        self._settings = settings
        self._arena = arena
        self._gpu = gpu
        self._queue = queue
        self._on_batch = on_batch
        self._release = release
        self._files = files
        self.processes = Processes.on_device(
            placement, self._process, settings.engine, may_have_gpu=may_have_gpu
        )
        self._changes = Changes()
        self.loads = ModelLoads(
            settings,
            self.processes,
            queue,
            self._changes,
            files,
            release=release,
            send_batches=self._send_batches,
            wake=self.wake,
        )
        self.residency = self.loads.residency
        self._trials = EngineTrials(
            settings,
            self.processes,
            self.loads,
            self._changes,
            batches_if_idle=self._batches_if_idle,
            wake=self.wake,
        )
        self._batches_sent = 0
        self.computing: list[Batch] = []
        self.tasks_in_progress = 0
        self._background: set[asyncio.Task[None]] = set()

    # The process ------------------------------------------------------------------------------

    def _process(self, role: ProcessRole, resting: Resting) -> EngineProcess:
        supervisor = Supervisor(
            role,
            lambda: ChildProcess.spawn(
                _MODULE,
                shared=[self._arena.fd],
                arguments=[role],
                environment=worker_environment(self._settings.device, self._gpu),
            ),
            self._settings,
            on_up=lambda: self._on_up(process),
            on_down=lambda: self._on_down(process),
        )
        process = EngineProcess(supervisor, resting, self._has_work)
        return process

    def _has_work(self, process: EngineProcess) -> bool:
        """Return whether a process holds models, or requests wait for it."""
        return any(model.process is process for model in self.residency.models.values()) or any(
            self.processes.of_model(pending.model) is process for pending in self._queue
        )

    @property
    def supervisor(self) -> Supervisor:
        """What keeps the process that starts at once."""
        return self.processes.default.supervisor

    @property
    def restarts(self) -> int:
        """How often a process was replaced because it had ended."""
        return sum(process.supervisor.restarts for process in self.processes)

    @property
    def pids(self) -> Mapping[ProcessRole, int]:
        """The ids of the processes that run now."""
        supervisors = [process.supervisor for process in self.processes]
        return {each.name: each.process.pid for each in supervisors if each.process is not None}

    @property
    def failure(self) -> str | None:
        """Why a process that is needed does not start, if that is so."""
        supervisors = [process.supervisor for process in self.processes]
        failing = [each for each in supervisors if each.failed_starts and each.reason]
        return f"the {failing[0].name} {failing[0].reason}" if failing else None

    def start(self) -> "asyncio.Future[None]":
        """Start the process that starts at once; see Supervisor.start."""
        return self.supervisor.start()

    async def close(self) -> None:
        """End the processes, and all work for them."""
        background = list(self._background)
        for task in background:
            task.cancel()
        await self._trials.close()
        await asyncio.gather(self.loads.close(), *background, return_exceptions=True)
        await asyncio.gather(*(process.close() for process in self.processes))

    def wake(self) -> None:
        """Load what requests wait for, and send batches: something has changed."""
        for pending in self._queue:
            if self.residency.find(pending.model) is None:
                self.loads.begin(pending.model)
        self._send_batches()
        self._trials.begin()
        self.processes.rest_if_idle()
        self._changes.announce()

    def _on_up(self, process: EngineProcess) -> None:
        for ref in self.loads.pinned.values():
            if self.processes.of_model(ref) is process:
                self.loads.begin(ref)
        self.wake()

    def _on_down(self, process: EngineProcess) -> None:
        self.residency.clear(process)
        self._changes.announce()

    def _run_in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # Batches ----------------------------------------------------------------------------------

    def _send_batches(self) -> None:
        while batch := self._next_batch():
            model = self.residency.use(batch.model)
            connection = model.process.supervisor.connection
            assert connection is not None  # a process takes its models along when it ends
            is_alone = not self.computing and not self._queue
            self.computing.append(batch)
            self._batches_sent += 1
            posted = connection.post(_task(batch, is_alone), about=batch.about)
            self._run_in_background(self._compute(batch, model, connection, posted))

    def _next_batch(self) -> Batch | None:
        """Take the next batch from the queue, if there is one and a lane for it."""
        batch = self._queue.next(self.residency.batch_rows)
        if batch is None:
            return None
        in_progress = len(self.computing)
        lanes = self.residency.models[batch.model.key].state.lanes
        if in_progress > lanes or (in_progress == lanes and not batch.is_full):
            return None
        delay = self._settings.batch_delay_s
        if delay and not batch.is_full:
            too_early = batch.arrived + delay - time.perf_counter()
            if too_early > 0:
                asyncio.get_running_loop().call_later(too_early, self.wake)
                return None
        for pending in batch.requests:
            self._queue.remove(pending)
            pending.is_computed = True  # from now on, the worker may read its rows
        return batch

    def _batches_if_idle(self) -> int | None:
        """Return how many batches have been sent, or None while there is anything to do."""
        is_busy = self.computing or self._queue or self.tasks_in_progress or self.loads.in_progress
        return None if is_busy else self._batches_sent

    async def _compute(
        self,
        batch: Batch,
        model: ResidentModel,
        connection: Connection,
        posted: Awaitable[Reply[Shapes]],
    ) -> None:
        started = time.perf_counter()
        requests = batch.requests
        try:
            reply = await connection.within(self._settings.request_time, posted)
        except asyncio.CancelledError:
            for pending in requests:
                pending.fail(WorkerUnavailableError("The service is stopping."))
            raise
        except Exception as error:
            self._retry_or_fail(requests, error)
        else:
            self._answer(batch, reply, started, model.ready_at)
        finally:
            self.computing.remove(batch)
            model.in_use -= 1
            model.has_answered = True
            for pending in requests:
                pending.is_computed = False
                if pending.answer.done():
                    self._release(pending)
            self.wake()

    def _answer(self, batch: Batch, reply: Reply[Shapes], started: float, ready_at: float) -> None:
        """Answer each request of a batch with its own rows."""
        self._on_batch(batch.requests[0].counted_as, batch.rows, reply.seconds)
        arrays = [
            np.frombuffer(data, np.float32).reshape(shape)
            for data, shape in zip(reply.buffers, reply.result, strict=True)
        ]
        start = 0
        for pending in batch.requests:
            load_seconds = max(0.0, min(ready_at, started) - pending.arrived)
            seconds = {"queue": started - pending.arrived - load_seconds, **reply.seconds}
            if load_seconds:
                seconds = {"load": load_seconds, **seconds}
            stop = start + pending.count
            own = {
                name: array[start:stop] for name, array in zip(pending.outputs, arrays, strict=True)
            }
            if not pending.answer.done():
                pending.answer.set_result(Answer(own, seconds, batch.rows))
            start = stop

    def _retry_or_fail(self, batch: Sequence[PendingRequest], error: Exception) -> None:
        """Queue the requests of a batch again, each alone; fail one that was alone already."""
        if len(batch) > 1:
            log.warning("A batch of %d requests failed (%s); each is retried.", len(batch), error)
            for pending in batch:
                pending.is_retried = True
            self._queue.add_first([each for each in batch if not each.answer.done()])
            return
        if isinstance(error, OutOfMemoryError):
            self._run_in_background(self.loads.unload_idle())
        if isinstance(error, ProcessGoneError):
            error = _died(error)
        batch[0].fail(error)

    # Other tasks ------------------------------------------------------------------------------

    async def run(self, task: WorkerTask[Result]) -> Reply[Result]:
        """Do another task; once it is sent, it is completed even if its caller is gone.

        Raises: EngineError, or a ZooError for what does not fit.
        """
        self.tasks_in_progress += 1
        came = time.monotonic()
        try:
            return await self._run(task)
        except ZooError as error:
            if not self.processes.learns(task, error):
                raise
            return await self._run(task.after(time.monotonic() - came))
        finally:
            self.tasks_in_progress -= 1

    async def _run(self, task: WorkerTask[Result]) -> Reply[Result]:
        process, task = self.processes.of_task(task), self.processes.with_engine(task)
        sent = asyncio.Event()
        call = asyncio.create_task(self._call(process, task, sent))
        call.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            return await asyncio.shield(call)
        except ProcessGoneError as gone:
            raise _died(gone) from None
        finally:
            if not sent.is_set():
                call.cancel()

    async def _call(
        self, process: EngineProcess, task: WorkerTask[Result], sent: asyncio.Event
    ) -> Reply[Result]:
        came = time.monotonic()
        async with self._files.local(_specs(task)):
            with process.loading():
                connection = await process.supervisor.up()
                # A worker writes files in the thread that loads: to wait for a load is not to be
                # late.
                async with self.loads.turn if isinstance(task, SaveWeights) else nullcontext():
                    sent.set()
                    task = task.after(time.monotonic() - came)
                    return await connection.call_within(task, self._settings.request_time)


def _task(batch: Batch, is_alone: bool) -> Compute:
    rows = tuple(ArenaRows(pending.block.offset, pending.count) for pending in batch.requests)
    return Compute(batch.model.key, batch.requests[0].outputs, rows, is_alone)


def _specs(task: WorkerTask[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the specs of all builds whose weights a task needs."""
    match task:
        case SaveWeights() | MeasureProfile() | MeasureSignal():
            yield task.specs.spec
            yield from task.specs.sources.values()


def _died(gone: ProcessGoneError) -> WorkerDiedError:
    return WorkerDiedError(
        f"The worker {gone} while it did this request. It is started again; the request may be "
        "sent again."
    )
