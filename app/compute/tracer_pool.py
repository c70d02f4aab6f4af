"""Processes that trace the rows of sweeps: started when there is work, ended when there is none."""

import asyncio
from collections.abc import Sequence

from app.compute.child_process import ChildProcess, ProcessGoneError
from app.compute.cores import cores
from app.compute.supervisor import Supervisor
from app.engine import (
    DeadlineError,
    Reply,
    Result,
    TracingTask,
    WorkerDiedError,
    WorkerUnavailableError,
)
from app.settings import Settings

_MODULE = "app.compute.tracer"
_IDLE_SECONDS = 60.0


class TracerPool:
    """A few processes, each doing one task at a time, in the order in which tasks come."""

    def __init__(self, settings: Settings) -> None:
        self.count = settings.tracers or cores()
        self._settings = settings
        self._slots: list[Supervisor | None] = [None] * self.count
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for slot in range(self.count):
            self._free.put_nowait(slot)
        self._waiting = 0
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        processes = [each.process for each in self._slots if each is not None]
        return [process.pid for process in processes if process is not None]

    async def trace(self, task: TracingTask[Result]) -> Reply[Result]:
        """Do a task in the next process that is free, starting it if there is none.

        Raises: EngineError.
        """
        self._waiting += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            slot = await self._free.get()
            try:
                return await self._trace(self._supervisor(slot), task)
            finally:
                self._free.put_nowait(slot)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._is_closed:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(_IDLE_SECONDS, self._end_idle)

    async def _trace(self, supervisor: Supervisor, task: TracingTask[Result]) -> Reply[Result]:
        longest = self._settings.request_time
        try:
            async with asyncio.timeout(longest.value):
                connection = await supervisor.up()
        except TimeoutError:  # which says nothing of the task
            raise WorkerUnavailableError(
                f"The process that traces did not come up within {longest.in_seconds}."
            ) from None
        try:
            async with asyncio.timeout(longest.value):
                return await connection.call_or_end(task, (), "a task")
        except TimeoutError:
            raise DeadlineError(f"It was not traced within {longest.in_seconds}.") from None
        except ProcessGoneError as gone:
            raise WorkerDiedError(f"The process that traces {gone}. It is started again.") from None

    def _supervisor(self, slot: int) -> Supervisor:
        if self._is_closed:
            raise WorkerUnavailableError("The service is stopping.")
        supervisor = self._slots[slot]
        if supervisor is None:
            supervisor = self._slots[slot] = Supervisor("tracer", _spawn, self._settings)
            supervisor.start()
        return supervisor

    def _end_idle(self) -> None:
        self._ending = asyncio.create_task(_closed(self._taken()))

    def _taken(self) -> list[Supervisor]:
        """Return the processes, of which no later task gets one."""
        supervisors = [each for each in self._slots if each is not None]
        self._slots = [None] * self.count
        return supervisors

    async def close(self) -> None:
        """End the processes."""
        self._is_closed = True
        if self._idle is not None:
            self._idle.cancel()
        await _closed(self._taken())
        if self._ending is not None:
            await self._ending


async def _closed(supervisors: Sequence[Supervisor]) -> None:
    await asyncio.gather(*(supervisor.close() for supervisor in supervisors))


async def _spawn() -> ChildProcess:
    return await ChildProcess.spawn(_MODULE, environment={})
