"""Processes that read what clients send: images, and JSON of any length.

They hold no network and no one else's data: what a hostile file breaks is one of these.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from app.arrays import Buffer
from app.compute.cores import cores
from app.compute.process import WorkerGoneError, WorkerProcess
from app.compute.supervisor import Supervisor
from app.engine import DeadlineError, Reply, WorkerDiedError
from app.settings import Settings, variable

_MODULE = "app.compute.reader"


class Readers:
    """A few processes, each reading one request at a time."""

    def __init__(self, settings: Settings) -> None:
        self._limit_s = settings.request_timeout_s
        count = settings.readers or max(1, cores() // 2)
        self._supervisors = [
            Supervisor("reader", _spawn, settings.model_dump(mode="json")) for _ in range(count)
        ]
        self._free: asyncio.Queue[Supervisor] = asyncio.Queue()
        self.in_progress = 0

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        processes = [supervisor.process for supervisor in self._supervisors]
        return [process.pid for process in processes if process is not None]

    def start(self) -> None:
        """Begin."""
        for supervisor in self._supervisors:
            supervisor.start()
            self._free.put_nowait(supervisor)

    async def close(self) -> None:
        """End the processes."""
        await asyncio.gather(*(supervisor.close() for supervisor in self._supervisors))

    async def read(
        self, task: str, arguments: Mapping[str, Any], buffers: Sequence[Buffer]
    ) -> Reply:
        """Return what was read.

        Raises: ZooError for what cannot be read, EngineError.
        """
        self.in_progress += 1
        try:
            async with asyncio.timeout(self._limit_s):
                supervisor = await self._free.get()
                try:
                    return await self._read(supervisor, task, arguments, buffers)
                finally:
                    self._free.put_nowait(supervisor)
        except TimeoutError:
            raise DeadlineError(
                f"The input was not read within {self._limit_s:g} s "
                f"({variable('request_timeout_s')})."
            ) from None
        finally:
            self.in_progress -= 1

    async def _read(
        self,
        supervisor: Supervisor,
        task: str,
        arguments: Mapping[str, Any],
        buffers: Sequence[Buffer],
    ) -> Reply:
        connection = await supervisor.up()
        call = asyncio.create_task(connection.call(task, arguments, buffers))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            # The process reads on, and cannot be told to stop: the next one waits for it, or not.
            if not call.done():
                await _end_soon(call, connection.process)
            raise
        except WorkerGoneError as gone:
            raise WorkerDiedError(
                f"The process that reads inputs {gone} while it read this one. It is started again."
            ) from None


async def _end_soon(call: "asyncio.Task[Reply]", process: WorkerProcess) -> None:
    """Let a call that nobody waits for end, or end its process."""
    await asyncio.wait({call}, timeout=1)
    if not call.done():
        process.kill("was ended: an input took too long")
    await asyncio.gather(call, return_exceptions=True)


async def _spawn() -> WorkerProcess:
    # One thread each: several of them are the parallelism.
    return await WorkerProcess.spawn(_MODULE, environment={"OMP_NUM_THREADS": "1"})
