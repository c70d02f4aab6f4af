"""The engine on the nodes of a Ray cluster; the API reads inputs itself, and routes the rest."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from app.arrays import Buffer
from app.cluster.inferences import GRACE_S, Inferences
from app.cluster.loads import Loads
from app.cluster.members import Members
from app.cluster.messages import Cluster, WorkerLostError
from app.cluster.node_worker import TOKEN_FILE
from app.cluster.routing import Routing, died
from app.compute.model_loads import Changes
from app.compute.reader_pool import ReaderPool
from app.compute.usage import usage
from app.engine import (
    Answer,
    DeadlineError,
    DeviceError,
    EngineFigures,
    EngineStatus,
    ModelRef,
    ModelState,
    OnBatch,
    ProcessRole,
    ProcessUsage,
    QueueFullError,
    ReadingTask,
    Reply,
    Result,
    Rows,
    TracingTask,
    WorkerState,
    WorkerTask,
    WorkerUnavailableError,
)
from app.settings import Settings, variable
from app.telemetry.logs import request_fields
from app.wording import counted


class RayEngine:
    """See `app.engine.Engine`."""

    def __init__(self, settings: Settings, on_batch: OnBatch, cluster: Cluster, token: str) -> None:
        """`token` is what the workers find in the home of the API, if they see it."""
        self._settings = settings
        self._cluster = cluster
        self._token = token
        self._token_file = settings.home / TOKEN_FILE
        self._changes = Changes()
        self._members = Members(
            cluster,
            self._changes,
            needs_gpu=settings.device == "gpu",
            on_up=lambda member: self._loads.bring_up_to_date(member),
            on_batches=lambda batches: self._inferences.count_batches(batches),
        )
        self._routing = Routing(self._members, self._changes, settings)
        self._loads = Loads(settings, self._routing)
        self._inferences = Inferences(settings, on_batch, self._routing, self._loads)
        self._readers = ReaderPool(settings)
        self._tracing = 0
        self._accepting = True
        self._is_closed = False

    async def start(self, *, wait_until_ready: bool) -> None:
        """Join the cluster, and start a worker on each node.

        Raises: SettingsError if the cluster cannot be joined; DeviceError if it waits and no node
        has the device.
        """
        self._token_file.write_text(self._token, encoding="ascii")
        await self._cluster.connect()
        self._readers.start()
        self._members.start()
        if wait_until_ready:
            members = self._members
            await self._changes.until(lambda: bool(members.up or members.device_failure))
            if not members.up:
                raise DeviceError(f"ZOO_DEVICE=gpu, but {members.device_failure}")

    def stop_accepting(self) -> None:
        """Report not ready from now on; accepted requests are still completed."""
        self._accepting = False

    async def close(self) -> None:
        """End the workers, and leave the cluster."""
        if self._is_closed:
            return
        self._is_closed, self._accepting = True, False
        self._routing.close()
        await self._loads.close()
        await asyncio.gather(self._members.close(), self._readers.close())
        await self._cluster.close()
        self._token_file.unlink(missing_ok=True)

    # The state, as the last pings told it -----------------------------------------------------

    def status(self) -> EngineStatus:
        """Return the state: ready as soon as one worker is."""
        members, awaited = self._members, self._loads.awaited
        reports = [member.report.status for member in members.up]
        # A worker that has only just begun to compute says so itself.
        best = next((each for each in reports if each.ready), reports[0] if reports else None)
        state: WorkerState = "restarting" if members.lost else "starting"
        calls = sum(len(member.calls) for member in members.all)
        queued = min(calls, sum(each.queued for each in reports))
        reason = self._routing.reason()
        if awaited:
            reason = f"waits for the pinned builds {', '.join(awaited.values())}"
        return EngineStatus(
            ready=best is not None and best.ready and self._accepting and not awaited,
            state=best.state if best else state,
            device=best.device if best else None,
            restarts=members.lost + sum(each.restarts for each in reports),
            in_flight=calls - queued,
            queued=queued + self._readers.in_progress,
            reason=reason,
        )

    def figures(self) -> EngineFigures:
        """Return the sums of the workers' gauges and counters."""
        waiting: Counter[tuple[str, str]] = Counter()
        processes: dict[ProcessRole, ProcessUsage] = {"reader": usage(self._readers.pids)}
        all_figures = [member.report.figures for member in self._members.up]
        for figures in all_figures:
            waiting.update(figures.waiting)
            for role, used in figures.processes.items():
                processes[role] = processes.get(role, ProcessUsage()) + used
        status = self.status()
        return EngineFigures(
            models=sum(figures.models for figures in all_figures),
            model_bytes=sum(figures.model_bytes for figures in all_figures),
            evictions=self._members.evictions,
            waiting=waiting,
            worker_up=status.state == "ready",
            workers=sum(member.report.status.ready for member in self._members.up),
            worker_restarts=status.restarts,
            processes=processes,
        )

    # Inference and models ---------------------------------------------------------------------

    def check_admission(self) -> None:
        """Raises: EngineError if an inference that came now would be refused."""
        self._routing.refuse_hopeless()
        up = max(1, len(self._members.up))
        waiting = sum(len(member.calls) for member in self._members.all)
        waiting += self._readers.in_progress
        if waiting >= up * self._settings.queue_length:
            raise QueueFullError(
                f"{waiting} requests wait for {counted(up, 'worker')} already; the limit of each "
                f"is {self._settings.queue_length} ({variable('queue_length')}).",
                self._inferences.pace.retry_after_s(waiting / up),
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
        """Compute outputs of a model; see `Engine.infer`."""
        self.check_admission()
        return await self._inferences.infer(model, rows, outputs, counted_as, timeout_s)

    async def load(self, model: ModelRef) -> ModelState:
        """Load a model: a pinned one into the memory of every worker, another one into one."""
        return await self._loads.load(model, is_starting=not self.status().ready)

    async def unload(self, model: ModelRef) -> None:
        """Free a model's memory in every worker."""
        await self._loads.unload(model)

    def state(self, model: ModelRef) -> ModelState:
        """Return the state of a model: ready as soon as one worker has it."""
        return self._loads.state(model)

    # Other work -------------------------------------------------------------------------------

    async def read(self, task: ReadingTask[Result], buffers: Sequence[Buffer]) -> Reply[Result]:
        """Read what a client sent, beside the API; see `Engine.read`."""
        return await self._readers.read(task, buffers)

    async def trace(self, task: TracingTask[Result]) -> Reply[Result]:
        """Trace networks on any node; see `Engine.trace`."""
        await self._changes.until(lambda: self._tracing < self.tracers or self._is_closed)
        if self._is_closed:
            raise WorkerUnavailableError("The service is stopping.")
        self._tracing += 1
        try:
            return await self._cluster.trace(task)
        finally:
            self._tracing -= 1
            self._changes.announce()

    @property
    def tracers(self) -> int:
        """How many tracing tasks are done at once: one a processor of the cluster, if not set."""
        return self._settings.tracers or max(1, sum(node.cpus for node in self._members.nodes))

    # A task of Ray takes milliseconds by itself.
    rows_of_trace = 50

    async def run(self, task: WorkerTask[Result]) -> Reply[Result]:
        """Do a task in one of the workers; see `Engine.run`."""
        self.check_admission()
        limit = self._settings.request_time
        key = getattr(task, "model", "")  # a profile is measured where its model is
        loop = asyncio.get_running_loop()
        came = loop.time()
        member = None
        try:
            async with asyncio.timeout(limit.value + GRACE_S):
                member = await self._routing.member(key, self._routing.needs_files(task))
                task = task.after(loop.time() - came)
                reply: Reply[Result] = await member.call(key, "run", request_fields(), task)
                return reply
        except WorkerLostError as error:
            assert member is not None
            raise died(member, error) from None
        except TimeoutError:
            if member is None:
                raise self._routing.too_late(limit.in_seconds) from None
            raise DeadlineError(
                f"The request computed for longer than {limit.in_seconds}."
            ) from None
