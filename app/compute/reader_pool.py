"""Processes that read what clients send: images, and JSON of any length.

They hold no network and no other client's data: a hostile file can break only one of these.
"""

import asyncio
from collections.abc import Sequence

from app.arrays import Buffer
from app.compute.child_process import ChildProcess, ProcessGoneError
from app.compute.connection import Connection
from app.compute.cores import cores
from app.compute.supervisor import Supervisor
from app.engine import (
    DeadlineError,
    ReadingTask,
    Reply,
    Result,
    WorkerDiedError,
    WorkerUnavailableError,
)
from app.settings import Settings

_MODULE = "app.compute.reader"
# Thirteen images of 224 x 224 x 3.
_OUTBOX_BYTES = 8 * 2**20


class ReaderPool:
    """A few processes, each reading one request at a time; by default as many as settings say."""

    def __init__(self, settings: Settings, count: int | None = None) -> None:
        self._limit = settings.request_time
        if count is None:
            count = settings.readers or max(1, cores() // 2)
        self._supervisors = [Supervisor("reader", _spawn, settings) for _ in range(count)]
        self._free: asyncio.Queue[Supervisor] = asyncio.Queue()
        self.in_progress = 0

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        processes = [supervisor.process for supervisor in self._supervisors]
        return [process.pid for process in processes if process is not None]

    def start(self) -> None:
        """Start the processes."""
        for supervisor in self._supervisors:
            supervisor.start()
            self._free.put_nowait(supervisor)

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(*(supervisor.close() for supervisor in self._supervisors))

    async def read(self, task: ReadingTask[Result], buffers: Sequence[Buffer]) -> Reply[Result]:
        """Do a task in the next process that is free.

        Raises: ZooError for what cannot be read, EngineError.
        """
        if not self._supervisors:
            raise WorkerUnavailableError("This engine has no processes that read inputs.")
        self.in_progress += 1
        try:
            async with asyncio.timeout(self._limit.value):
                supervisor = await self._free.get()
                try:
                    return await _read(await supervisor.up(), task, buffers)
                finally:
                    self._free.put_nowait(supervisor)
        except TimeoutError:
            raise DeadlineError(
                f"The input was not read within {self._limit.in_seconds}."
            ) from None
        finally:
            self.in_progress -= 1


async def _read(
    connection: Connection, task: ReadingTask[Result], buffers: Sequence[Buffer]
) -> Reply[Result]:
    try:
        return await connection.call_or_end(task, buffers, "an input")
    except ProcessGoneError as gone:
        raise WorkerDiedError(
            f"The process that reads inputs {gone} while it read this one. It is started again."
        ) from None


async def _spawn() -> ChildProcess:
    # One thread each: several of them are the parallelism.
    return await ChildProcess.spawn(
        _MODULE, outbox_bytes=_OUTBOX_BYTES, environment={"OMP_NUM_THREADS": "1"}
    )
