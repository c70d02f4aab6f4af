"""An engine on this machine: a worker for each device, and the queue of requests.

A process that dies fails the request that it computed alone, says how it died, and is started
again; the next one computes the requests that wait. TensorFlow and ONNX Runtime use all cores for
one batch, so a second worker on a CPU would only compete.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from app.arrays import Buffer
from app.compute.arena import Arena, Block
from app.compute.batching import PendingRequest, RequestQueue
from app.compute.device_worker import DeviceWorker
from app.compute.gpus import may_have_gpu, nvidia_devices
from app.compute.pace import Pace
from app.compute.placement import Placement
from app.compute.reader_pool import ReaderPool
from app.compute.supervisor import Supervisor
from app.compute.tracer_pool import TracerPool
from app.compute.usage import usage
from app.engine import (
    Answer,
    DeadlineError,
    EngineFigures,
    EngineStatus,
    ModelRef,
    ModelState,
    OnBatch,
    ProcessRole,
    QueueFullError,
    ReadingTask,
    Reply,
    Result,
    Rows,
    TracingTask,
    UnloadReason,
    WorkerTask,
    WorkerUnavailableError,
)
from app.settings import Settings, variable
from app.store.file_places import open_place
from app.store.threads import on_files
from app.tasks import SavedWeights, SaveWeights
from app.telemetry.logs import request_fields
from model_zoo import find_weight_format


class LocalEngine:
    """See `app.engine.Engine`. Without readers, it is for what another process reads."""

    def __init__(
        self,
        settings: Settings,
        on_batch: OnBatch = lambda counted_as, rows, seconds: None,
        *,
        has_readers: bool = True,
    ) -> None:
        self._settings = settings
        self._arena = Arena(settings.max_queue_bytes)
        self._queue = RequestQueue()
        self._blocks: dict[PendingRequest, Block] = {}
        # The builds of pinned models that the start waits for, by key.
        self._awaited: dict[str, str] = {}
        self._accepting = True
        self._is_closed = False
        self._readers = ReaderPool(settings, None if has_readers else 0)
        self._tracers = TracerPool(settings)
        placement = Placement()
        # Its own: an engine may be on another machine than the API.
        self._files = open_place(settings)
        self._weights = self._files.weights() if settings.files_url else None
        self._workers = [
            DeviceWorker(
                settings,
                self._arena,
                self._queue,
                placement,
                on_batch,
                self._release,
                self._files,
                may_have_gpu=may_have_gpu(settings.device),
                gpu=gpu,
            )
            for gpu in _gpus(settings.device)
        ]
        self._pace = Pace(len(self._workers))

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the running workers."""
        return [pid for worker in self._workers for pid in worker.pids.values()]

    async def start(self, *, wait_until_ready: bool) -> None:
        """Start the processes.

        Raises: DeviceError if it waits and the device is missing.
        """
        self._readers.start()
        firsts = [worker.start() for worker in self._workers]
        if wait_until_ready:
            await asyncio.gather(*firsts)

    def status(self) -> EngineStatus:
        """Return the state: ready as soon as one worker is."""
        supervisors = [worker.supervisor for worker in self._workers]
        best = next((each for each in supervisors if each.state == "ready"), supervisors[0])
        computing = sum(
            len(batch.requests) for worker in self._workers for batch in worker.computing
        )
        return EngineStatus(
            ready=best.state == "ready" and self._accepting and not self._awaited,
            state=best.state,
            device=best.device,
            restarts=sum(worker.restarts for worker in self._workers),
            in_flight=computing
            + sum(worker.tasks_in_progress + worker.loads.in_progress for worker in self._workers),
            queued=len(self._queue) + self._readers.in_progress,
            reason=best.reason or self._reason() or self._workers[0].failure,
        )

    def _reason(self) -> str | None:
        if not self._awaited:
            return None
        return f"waits for the pinned builds {', '.join(self._awaited.values())}"

    def stop_accepting(self) -> None:
        """Report not ready from now on; accepted requests are still completed."""
        self._accepting = False

    async def close(self) -> None:
        """End the processes; requests that still wait fail."""
        if self._is_closed:
            return
        self._is_closed, self._accepting = True, False
        await asyncio.gather(
            *(worker.close() for worker in self._workers),
            self._readers.close(),
            self._tracers.close(),
        )
        for pending in list(self._blocks):
            self._queue.remove(pending)
            pending.fail(WorkerUnavailableError("The service is stopping."))
            self._release(pending)
        self._arena.close()
        self._files.close()

    # Inference --------------------------------------------------------------------------------

    def check_admission(self) -> None:
        """Raises: EngineError if an inference that came now would be refused."""
        settings = self._settings
        if all(worker.supervisor.connection is None for worker in self._workers):
            self._workers[0].supervisor.refuse_hopeless()
        tasks = sum(worker.tasks_in_progress for worker in self._workers)
        waiting = len(self._queue) + self._readers.in_progress + tasks
        if waiting >= settings.queue_length:
            raise QueueFullError(
                f"{waiting} requests wait for the worker already; the limit is "
                f"{settings.queue_length} ({variable('queue_length')}).",
                self._pace.retry_after_s(waiting),
            )

    async def infer(
        self,
        model: ModelRef,
        rows: Rows,
        outputs: Sequence[str],
        *,
        counted_as: tuple[str, str],
        timeout_s: float | None = None,
    ) -> Answer:
        """Compute outputs of a model, after the requests that wait already; see `Engine.infer`."""
        self.check_admission()
        supervisors = [worker.processes.of_model(model).supervisor for worker in self._workers]
        if all(supervisor.connection is None for supervisor in supervisors):
            supervisors[0].refuse_hopeless()
        limit = self._settings.request_time.at_most(timeout_s)
        block = self._arena.put(rows.data)
        if block is None:
            raise QueueFullError(
                f"{len(rows.data)} bytes do not fit beside the {self._arena.used} that wait; the "
                f"limit is {self._arena.capacity} ({variable('max_queue_bytes')}).",
                self._pace.retry_after_s(len(self._queue)),
            )
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        pending = PendingRequest(
            model,
            tuple(outputs),
            block,
            rows.count,
            counted_as,
            time.perf_counter(),
            future,
            about=request_fields(),
        )
        self._blocks[pending] = block
        self._queue.add(pending)
        for worker in self._workers:
            worker.wake()
        try:
            async with asyncio.timeout(limit.value):
                answer = await future
        except TimeoutError:
            raise self._too_late(pending, limit.in_seconds) from None
        finally:
            if self._queue.remove(pending) or not pending.is_computed:
                self._release(pending)  # otherwise the worker still reads from it
        self._pace.count(answer)
        return answer

    def _release(self, pending: PendingRequest) -> None:
        block = self._blocks.pop(pending, None)
        if block is not None:
            self._arena.free(block)

    def _too_late(self, pending: PendingRequest, limit: str) -> Exception:
        supervisor = self._workers[0].processes.of_model(pending.model).supervisor
        if supervisor.connection is None and not pending.is_computed:
            return _unavailable(supervisor, limit)
        doing = "computed" if pending.is_computed else "waited for the worker"
        return DeadlineError(f"The request {doing} for longer than {limit}.")

    # Models -----------------------------------------------------------------------------------

    async def load(self, model: ModelRef) -> ModelState:
        """Load a model into the memory of every worker."""
        # The start waits for models that are pinned meanwhile; a service that is ready stays so.
        if model.pinned and not self.status().ready:
            self._awaited[model.key] = model.build
        for worker in self._workers:
            worker.loads.pin(model)
        loads = [asyncio.shield(worker.loads.begin(model)) for worker in self._workers]
        states: list[ModelState] = await asyncio.gather(*loads)
        self._awaited.pop(model.key, None)
        return states[0]

    async def unload(self, model: ModelRef) -> None:
        """Free a model's memory, once the batches that use it are done."""
        self._awaited.pop(model.key, None)
        await asyncio.gather(*(worker.loads.unload(model) for worker in self._workers))

    def state(self, model: ModelRef) -> ModelState:
        """Return the state of a model: ready as soon as one worker has it."""
        return best_state(worker.residency.state(model) for worker in self._workers)

    def states(self) -> dict[str, ModelState]:
        """Return the state, by key, of each model in memory and of each that failed to load."""
        states: dict[str, ModelState] = {}
        for worker in self._workers:
            for key, state in worker.residency.states().items():
                states[key] = best_state([state, states.get(key, state)])
        return states

    # Other work -------------------------------------------------------------------------------

    async def read(self, task: ReadingTask[Result], buffers: Sequence[Buffer]) -> Reply[Result]:
        """Read what a client sent; see `Engine.read`."""
        return await self._readers.read(task, buffers)

    async def trace(self, task: TracingTask[Result]) -> Reply[Result]:
        """Trace networks; see `Engine.trace`."""
        return await self._tracers.trace(task)

    @property
    def tracers(self) -> int:
        """How many tracing tasks are done at once."""
        return self._tracers.count

    # Some tens of milliseconds.
    rows_of_trace = 16

    async def run(self, task: WorkerTask[Result]) -> Reply[Result]:
        """Do a task in the first worker that is up; see `Engine.run`."""
        workers = self._workers
        worker = next((w for w in workers if w.supervisor.connection is not None), workers[0])
        self.check_admission()
        longest = self._settings.request_time
        try:
            async with asyncio.timeout(longest.value):
                reply = await worker.run(self._to_own_folder(task))
                await self._store(task, reply)
                return reply
        except TimeoutError:
            limit = longest.in_seconds
            supervisor = worker.processes.of_task(task).supervisor
            if supervisor.connection is None:
                raise _unavailable(supervisor, limit) from None
            raise DeadlineError(f"The request computed for longer than {limit}.") from None

    def _to_own_folder(self, task: WorkerTask[Result]) -> WorkerTask[Result]:
        """Return a task that writes a file where this engine can store it."""
        if isinstance(task, SaveWeights) and self._weights is not None:
            own: Any = task
            folder = str(self._weights.folder.absolute())
            return cast("WorkerTask[Result]", msgspec.structs.replace(own, folder=folder))
        return task

    async def _store(self, task: WorkerTask[Any], reply: Reply[Any]) -> None:
        """Store a file that a task has written, so that all have it who share the bucket."""
        if isinstance(task, SaveWeights) and self._weights is not None:
            suffix = find_weight_format(task.format, task.options).suffix
            saved: SavedWeights = reply.result
            path = Path(saved.path)
            await on_files(self._weights.keep, task.build, suffix, path, saved.sha256)

    def figures(self) -> EngineFigures:
        """Return the gauges and counters."""
        residencies = [worker.residency for worker in self._workers]
        evictions: Counter[UnloadReason] = Counter()
        for residency in residencies:
            evictions.update(residency.evictions)
        status = self.status()
        return EngineFigures(
            models=sum(len(residency.models) for residency in residencies),
            model_bytes=sum(residency.bytes for residency in residencies),
            evictions=evictions,
            waiting=self._queue.depths(),
            worker_up=status.state == "ready",
            workers=sum(worker.supervisor.state == "ready" for worker in self._workers),
            worker_restarts=status.restarts,
            processes={role: usage(pids) for role, pids in self.pids.items()},
        )

    @property
    def pids(self) -> Mapping[ProcessRole, tuple[int, ...]]:
        """The ids of the running processes, by role."""
        pids = [worker.pids for worker in self._workers]
        return {
            "worker": tuple(each["worker"] for each in pids if "worker" in each),
            "tensorflow-worker": tuple(
                each["tensorflow-worker"] for each in pids if "tensorflow-worker" in each
            ),
            "reader": tuple(self._readers.pids),
            "tracer": tuple(self._tracers.pids),
        }


def best_state(states: Iterable[ModelState]) -> ModelState:
    """Return the state of a model that several workers may have: ready as soon as one has it."""
    order = ("ready", "loading", "unloading", "unavailable")
    return min(states, key=lambda state: (order.index(state.state), not state.failed))


def _unavailable(supervisor: Supervisor, limit: str) -> WorkerUnavailableError:
    reason = f": it {supervisor.reason}" if supervisor.reason else ""
    return WorkerUnavailableError(f"The worker did not come up within {limit}{reason}.")


def _gpus(device: str) -> list[str | None]:
    """Return the GPU that each worker may see; None is all that there are, if at most one."""
    if device == "cpu":
        return [None]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    else:
        names = [str(index) for index in range(len(nvidia_devices()))]
    return list(names) if len(names) > 1 else [None]
