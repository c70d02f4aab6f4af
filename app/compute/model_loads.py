"""Loads models into the memory of a worker, and unloads those that `residency` selects."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from app.compute.batching import PendingRequest, RequestQueue
from app.compute.child_process import ProcessGoneError
from app.compute.connection import Connection
from app.compute.engine_process import EngineProcess, Processes
from app.compute.messages import Load, Unload, WarmUp
from app.compute.residency import Residency, ResidentModel
from app.engine import (
    EngineError,
    ModelRef,
    ModelState,
    OutOfMemoryError,
    UnloadReason,
    WorkerDiedError,
)
from app.settings import Settings, variable
from app.store.file_places import FilePlace
from app.tasks import Specs
from model_zoo import ZooError

log = logging.getLogger(__name__)


class Changes:
    """Signals that models or requests of a worker have changed."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def announce(self) -> None:
        """Let everyone who waits look again."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)

    async def next(self) -> None:
        """Wait until something changes."""
        self._waiting.append(asyncio.get_running_loop().create_future())
        await self._waiting[-1]

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Wait until a predicate holds."""
        while not predicate():
            await self.next()


class ModelLoads:
    """The loads and unloads of a worker, whose processes do one of them at a time.

    `send_batches` is called when a model is ready, `wake` when there may be other work to send.
    """

    def __init__(
        self,
        settings: Settings,
        processes: Processes,
        queue: RequestQueue,
        changes: Changes,
        files: FilePlace,
        *,
        release: Callable[[PendingRequest], None],
        send_batches: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        self.residency = Residency(settings.max_models_bytes)
        self.pinned: dict[str, ModelRef] = {}
        # Held by whatever the worker does in the one thread that loads.
        self.turn = asyncio.Lock()
        self._settings = settings
        self._processes = processes
        self._queue = queue
        self._changes = changes
        self._files = files
        self._release = release
        self._send_batches = send_batches
        self._wake = wake
        self._loads: dict[str, asyncio.Task[ModelState]] = {}

    @property
    def in_progress(self) -> int:
        """The number of models that are loading or will be."""
        return len(self._loads)

    async def close(self) -> None:
        """Cancel all loads."""
        loads = list(self._loads.values())
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    def pin(self, ref: ModelRef) -> None:
        """Pin a model from now on, or no longer, as the reference says."""
        if ref.pinned:
            self.pinned[ref.key] = ref
        else:
            self.pinned.pop(ref.key, None)
        self.residency.pin(ref)

    def begin(self, ref: ModelRef) -> "asyncio.Task[ModelState]":
        """Load a model, once however many ask for it; return the task that does."""
        task = self._loads.get(ref.key)
        if task is None:
            task = self._loads[ref.key] = asyncio.create_task(self._load(ref))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _load(self, ref: ModelRef) -> ModelState:
        try:
            while True:
                process = self._processes.of_model(ref)
                with process.loading():
                    model = await self._load_into(process, ref)
                    if model is not None:
                        return await self._warm_up(model)
        finally:
            self._loads.pop(ref.key, None)
            self._wake()

    async def _load_into(self, process: EngineProcess, ref: ModelRef) -> ResidentModel | None:
        """Load a model in a process; return None if it turns out to need another one."""
        try:
            # Before its turn: others can load while this process starts, and files are copied.
            await process.supervisor.up()
            async with self.local(ref), self.turn:
                connection = await process.supervisor.up()
                await self._changes.until(lambda: not self._is_unloading(process, connection, ref))
                model = self.residency.find(ref)
                if model is not None and model.state.state == "ready":
                    return model
                return await self._send_load(process, connection, ref)
        except Exception as error:
            self._fail_requests(ref, error)
            raise

    def local(self, ref: ModelRef) -> AbstractAsyncContextManager[None]:
        """Keep the files that a model is loaded from where the worker reads them."""
        return self._files.local([ref.spec, *ref.source_specs.values()], ref.calibration)

    def _is_unloading(self, process: EngineProcess, connection: Connection, ref: ModelRef) -> bool:
        """Return whether a model is still on its way out of the memory of the same process."""
        model = self.residency.find(ref)
        is_unloading = model is not None and model.state.state == "unloading"
        return is_unloading and process.supervisor.connection is connection

    async def _send_load(
        self, process: EngineProcess, connection: Connection, ref: ModelRef
    ) -> ResidentModel | None:
        self.residency.begin_load(ref, process)
        known = self.residency.known.get(ref.key)
        engine = self._processes.engine_for(ref)
        specs = Specs.of(ref.spec, ref.source_specs)
        load = Load(ref.key, specs, engine, ref.precision, known, ref.calibration)
        try:
            await self._make_room()
            reply = await connection.call_within(load, self._settings.load_time)
        except ProcessGoneError as gone:
            self.residency.fail_load(ref, f"the worker {gone}")
            raise WorkerDiedError(
                f"The worker {gone} while it loaded this network. It is started again."
            ) from None
        except BaseException as error:
            if isinstance(error, ZooError) and self._processes.learns(ref, error):
                self.residency.cancel_load(ref)
                return None
            self.residency.fail_load(ref, str(error) or "the load was cancelled")
            raise
        state = replace(reply.result, pinned=ref.pinned)
        self.residency.finish_load(ref, state, time.perf_counter())
        model = self.residency.models[ref.key]
        self._send_batches()  # the requests for it, before it could leave again
        await self._make_room(besides=ref)
        return model

    async def _warm_up(self, model: ResidentModel) -> ModelState:
        """Run a model at each of its batch sizes, as soon as a request has got the first answer.

        If that fails, rows are computed one at a time.
        """
        if model.state.warmed:
            return model.state
        await self._changes.until(lambda: model.has_answered or not self._is_awaited(model))
        async with self.turn:
            connection = model.process.supervisor.connection
            is_there = self.residency.models.get(model.ref.key) is model
            if connection is None or not is_there or model.state.state != "ready":
                return model.state  # it has left, and its next request loads it again
            warm_up = WarmUp(model.ref.key)
            try:
                reply = await connection.call_within(warm_up, self._settings.load_time)
            except ProcessGoneError as gone:
                raise WorkerDiedError(
                    f"The worker {gone} while it warmed this network up. It is started again."
                ) from None
            except (EngineError, ZooError) as error:
                log.error("Build %s was not warmed up: %s", model.ref.build, error)
                return model.state
            state = replace(reply.result, pinned=model.ref.pinned)
            self.residency.finish_load(model.ref, state, time.perf_counter())
            self._send_batches()
            await self._make_room(besides=model.ref)
            return state

    def _is_awaited(self, model: ResidentModel) -> bool:
        """Return whether a model in memory computes for requests, or is about to."""
        is_there = self.residency.models.get(model.ref.key) is model
        return is_there and (
            model.in_use > 0 or any(pending.model.key == model.ref.key for pending in self._queue)
        )

    async def _make_room(self, besides: ModelRef | None = None) -> None:
        """Unload the least recently used models, until they are within the limit.

        `besides` is in memory already, and stays even if it alone is over the limit.
        """
        while self.residency.is_over():
            victim = self.residency.victim({pending.model.key for pending in self._queue})
            if victim is not None and (besides is None or victim.ref.key != besides.key):
                await self._unload(victim, "room")
            elif besides is not None:
                return
            elif self.residency.may_shrink:
                await self._changes.next()
            else:
                raise OutOfMemoryError(
                    "The networks in memory are pinned, and another does not fit beside them; the "
                    f"limit is {self._settings.max_models_bytes} bytes "
                    f"({variable('max_models_bytes')})."
                )

    async def unload(self, ref: ModelRef) -> None:
        """Free a model's memory, once the batches that use it are done."""
        self.pinned.pop(ref.key, None)
        load = self._loads.get(ref.key)
        if load is not None:
            await asyncio.gather(load, return_exceptions=True)
        async with self.turn:
            model = self.residency.find(ref)
            if model is not None and model.state.state == "ready":
                await self._unload(model, "request")

    async def unload_idle(self) -> None:
        """Unload every model that is not in use: the worker has run out of memory."""
        async with self.turn:
            for model in list(self.residency.models.values()):
                if model.is_idle:
                    await self._unload(model, "memory")

    async def _unload(self, model: ResidentModel, reason: UnloadReason) -> None:
        """Send a model no more batches, and unload it when the last one is done."""
        supervisor = model.process.supervisor
        connection = supervisor.connection
        self.residency.begin_unload(model)
        await self._changes.until(lambda: not model.in_use)
        if connection is None or supervisor.connection is not connection:
            return  # the process is gone, and all its models with it
        try:
            await connection.call_within(Unload(model.ref.key), self._settings.request_time)
        except ProcessGoneError:
            return  # and all its models with it
        except Exception as error:
            log.error("Build %s was not unloaded: %s", model.ref.build, error)
        self.residency.finish_unload(model.ref, reason)
        self._wake()

    def _fail_requests(self, ref: ModelRef, error: Exception) -> None:
        """Fail the requests that wait for a model that could not be loaded."""
        for pending in self._queue:
            if pending.model.key == ref.key and self._queue.remove(pending):
                pending.fail(error)
                self._release(pending)
