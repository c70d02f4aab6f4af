"""An engine on this machine: one supervised worker process, one job at a time.

A worker that dies fails the job in flight, says how it died, and is started again; the jobs that
wait are done by the next one. TensorFlow uses all cores for one job, so two would only compete.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from app.compute.engine import (
    DeadlineError,
    DeviceError,
    EngineStatus,
    Job,
    OutOfMemoryError,
    QueueFullError,
    Reply,
    WorkerDiedError,
    WorkerFaultError,
    WorkerUnavailableError,
)
from app.compute.frames import Frame
from app.compute.process import WorkerGoneError, WorkerProcess
from app.documents import MalformedJsonError
from app.settings import Settings, variable
from app.store.errors import StoreError
from model_zoo import InputError, Problem, WeightsError, ZooError

log = logging.getLogger(__name__)

_START_SECONDS = 180.0
# Fewer may be an accident; after these, a request is told at once instead of waiting in vain.
_HOPELESS_STARTS = 3
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 30.0


@dataclass(eq=False, slots=True)
class _Pending:
    job: Job
    answer: asyncio.Future[Reply]
    arrived: float


class LocalEngine:
    """See `app.compute.engine.Engine`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: deque[_Pending] = deque()
        self._arrival = asyncio.Event()
        self._current: _Pending | None = None
        self._worker: WorkerProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._state: Literal["starting", "ready", "restarting", "stopped"] = "starting"
        self._accepting = True
        self._device: str | None = None
        self._restarts = 0
        self._failed_starts = 0
        self._reason: str | None = None

    @property
    def worker_pid(self) -> int | None:
        """The process id of the worker, while there is one."""
        return self._worker.pid if self._worker else None

    def status(self) -> EngineStatus:
        """Return the state, at once."""
        return EngineStatus(
            ready=self._state == "ready" and self._accepting,
            state=self._state,
            device=self._device,
            restarts=self._restarts,
            in_flight=int(self._current is not None),
            queued=len(self._waiting),
            reason=self._reason,
        )

    async def start(self, *, wait_until_ready: bool) -> None:
        """Start the worker.

        Raises: DeviceError if it waits and the device is not there.
        """
        first = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(first))
        if wait_until_ready:
            await first
        else:  # nobody waits: an exception that is not looked at would be logged as lost
            first.add_done_callback(lambda done: done.cancelled() or done.exception())

    def stop_accepting(self) -> None:
        """Be not ready from now on; what was accepted is still done."""
        self._accepting = False

    async def close(self) -> None:
        """End the worker; jobs that still wait fail."""
        self._accepting = False
        self._state = "stopped"
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        for pending in [*self._waiting, *([self._current] if self._current else [])]:
            _fail(pending, WorkerUnavailableError("The service is stopping."))

    async def run(self, job: Job) -> Reply:
        """Do one job, after those that wait already.

        Raises: EngineError, or a ZooError for input that does not fit.
        """
        settings = self._settings
        if self._failed_starts >= _HOPELESS_STARTS:
            raise WorkerUnavailableError(
                f"The worker does not start, though it was tried {self._failed_starts} times: "
                f"it {self._reason}."
            )
        if len(self._waiting) >= settings.queue_length:
            raise QueueFullError(
                f"{len(self._waiting)} requests wait for the worker already; the limit is "
                f"{settings.queue_length} ({variable('queue_length')})."
            )
        pending = _Pending(job, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._waiting.append(pending)
        self._arrival.set()
        try:
            async with asyncio.timeout(settings.request_timeout_s):
                return await pending.answer
        except TimeoutError:
            raise self._too_late(pending) from None
        finally:
            if pending in self._waiting:  # a job that nobody waits for is not done
                self._waiting.remove(pending)

    def _too_late(self, pending: _Pending) -> Exception:
        limit = f"{self._settings.request_timeout_s:g} s ({variable('request_timeout_s')})"
        if self._state != "ready" and pending in self._waiting:
            why = f": it {self._reason}" if self._reason else ""
            return WorkerUnavailableError(f"The worker did not come up within {limit}{why}.")
        doing = "waited for the worker" if pending in self._waiting else "computed"
        return DeadlineError(f"The request {doing} for longer than {limit}.")

    async def _supervise(self, first: asyncio.Future[None]) -> None:
        while True:
            self._failed_starts += 1  # until it has started
            try:
                worker = self._worker = await WorkerProcess.spawn(self._settings.device)
                try:
                    log.info("Worker %d starts.", worker.pid)
                    await worker.send(Frame(self._settings.model_dump(mode="json")))
                    self._device = await _device_of(worker)
                    self._state, self._reason, self._failed_starts = "ready", None, 0
                    log.info("Worker %d is ready on %s.", worker.pid, self._device)
                    if not first.done():
                        first.set_result(None)
                    await self._serve(worker)
                finally:
                    self._worker = None
                    await worker.end()
            except DeviceError as error:
                self._reason = f"refused to start: {error}"
                if first.done():
                    log.error("The worker %s", self._reason)
                else:
                    first.set_exception(error)
            except (WorkerGoneError, OSError) as error:
                self._reason = str(error)
                log.error("The worker %s.", error)
            self._state = "restarting"
            self._restarts += 1
            await asyncio.sleep(_back_off(self._failed_starts))

    async def _serve(self, worker: WorkerProcess) -> None:
        """Do jobs until the worker is gone, which raises WorkerGoneError."""
        death = asyncio.create_task(worker.wait())
        try:
            while True:
                while not self._waiting:
                    self._arrival.clear()
                    arrival = asyncio.create_task(self._arrival.wait())
                    await asyncio.wait({arrival, death}, return_when=asyncio.FIRST_COMPLETED)
                    arrival.cancel()
                    if death.done():
                        raise WorkerGoneError(death.result())
                self._current = self._waiting.popleft()
                await self._do(worker, self._current)
                self._current = None
        finally:
            death.cancel()

    async def _do(self, worker: WorkerProcess, pending: _Pending) -> None:
        started = time.perf_counter()
        job = pending.job
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await worker.send(
                    Frame({"task": job.task, "arguments": job.arguments}, job.buffers)
                )
                frame = await worker.receive()
        except TimeoutError:
            worker.kill()
            self._current = None
            raise WorkerGoneError(
                f"was ended: a job took longer than {self._settings.request_timeout_s:g} s "
                f"({variable('request_timeout_s')})"
            ) from None
        except WorkerGoneError as gone:
            self._current = None
            _fail(
                pending,
                WorkerDiedError(
                    f"The worker {gone} while it did this request. It is started again; the "
                    "request may be sent again."
                ),
            )
            raise
        if pending.answer.done():
            return
        error = frame.header.get("error")
        if error is not None:
            pending.answer.set_exception(_as_exception(error))
        else:
            seconds = {"queue": started - pending.arrived, **frame.header["seconds"]}
            pending.answer.set_result(Reply(frame.header["result"], frame.buffers, seconds))


async def _device_of(worker: WorkerProcess) -> str:
    """Return the device that the worker reports when it has started."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            header = (await worker.receive()).header
    except TimeoutError:
        worker.kill()
        raise WorkerGoneError(f"did not start within {_START_SECONDS:g} s") from None
    if "refused" in header:
        raise DeviceError(header["refused"])
    return str(header["device"])


def _back_off(failed_starts: int) -> float:
    """Return how long to wait before the next start; a worker that had started is replaced at once.

    >>> [_back_off(count) for count in (0, 1, 2, 3, 100)]
    [0.0, 0.5, 1.0, 2.0, 30.0]
    """
    if not failed_starts:
        return 0.0
    return float(min(_FIRST_BACK_OFF_SECONDS * 2 ** (failed_starts - 1), _LONGEST_BACK_OFF_SECONDS))


def _fail(pending: _Pending, error: Exception) -> None:
    if not pending.answer.done():
        pending.answer.set_exception(error)


def _as_exception(error: dict[str, Any]) -> Exception:
    """Return the exception that the worker's answer describes."""
    problems = [Problem(**problem) for problem in error["problems"]]
    match error["kind"]:
        case "json":
            return MalformedJsonError(*problems)
        case "input":
            return InputError(*problems)
        case "weights":
            return WeightsError(*problems)
        case "store":
            return StoreError(problems[0].message)
        case "library":
            return ZooError(*problems)
        case "memory":
            return OutOfMemoryError(problems[0].message)
        case _:
            return WorkerFaultError("internal error")
