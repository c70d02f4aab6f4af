"""Keeps one process running: starts it, sees it end and why, and starts it again.

A process that has rested, or has not been started yet, is started by whatever waits for it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.compute.child_process import ChildProcess, ProcessGoneError
from app.compute.connection import Connection
from app.compute.frames import Frame
from app.compute.messages import Refused, encode, first_message
from app.engine import (
    DeviceError,
    DeviceName,
    ProcessRole,
    WorkerState,
    WorkerUnavailableError,
)
from app.settings import Settings

log = logging.getLogger(__name__)

_START_SECONDS = 180.0
# Fewer may be an accident; after these, requests are refused at once.
_HOPELESS_STARTS = 3
_FIRST_BACK_OFF_SECONDS = 0.5
_LONGEST_BACK_OFF_SECONDS = 30.0


class Supervisor:
    """One process and its successors; `name` is its name in messages."""

    def __init__(
        self,
        name: ProcessRole,
        spawn: Callable[[], Awaitable[ChildProcess]],
        settings: Settings,
        *,
        on_up: Callable[[], None] = lambda: None,
        on_down: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.state: WorkerState = "starting"
        self.reason: str | None = None
        self.restarts = 0
        self.device: DeviceName | None = None
        self.connection: Connection | None = None
        self.failed_starts = 0
        self.process: ChildProcess | None = None
        self._spawn = spawn
        self._settings = settings
        self._on_up = on_up
        self._on_down = on_down
        self._up = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._resting: asyncio.Task[None] | None = None  # the end of the one before

    def start(self) -> "asyncio.Future[None]":
        """Start the process; the future is done when it is up for the first time.

        The future raises DeviceError if the device is missing.
        """
        first = asyncio.get_running_loop().create_future()
        # If nobody waits: an exception that is never retrieved would be logged as lost.
        first.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._task = asyncio.create_task(self._supervise(first))
        return first

    @property
    def is_running(self) -> bool:
        """Whether it keeps a process running, or is to be woken."""
        return self._task is not None

    def wake(self) -> None:
        """Start the process if it rests."""
        if self._task is None and self.state != "stopped":
            self.start()

    def rest(self) -> None:
        """End the process, which has nothing to do; the next who needs it starts another one.

        The state stays as it is: a process at rest takes calls.
        """
        if self._task is not None:
            self.connection = self.process = None
            self.failed_starts = 0
            self._task.cancel()
            self._task, self._resting = None, self._task

    async def up(self) -> Connection:
        """Return the connection, as soon as there is one.

        Raises: WorkerUnavailableError if the process has failed to start several times.
        """
        while self.connection is None:
            if self.state == "stopped":
                raise WorkerUnavailableError("The service is stopping.")
            self.refuse_hopeless()
            self.wake()
            await self._up.wait()
        return self.connection

    def refuse_hopeless(self) -> None:
        """Raises: WorkerUnavailableError if the process has failed to start several times."""
        if self.failed_starts >= _HOPELESS_STARTS:
            raise WorkerUnavailableError(
                f"The {self.name} has failed to start {self.failed_starts} times: it {self.reason}."
            )

    async def close(self) -> None:
        """End the process."""
        self.state = "stopped"
        self._wake_waiting()
        if self._task is not None:
            self._task.cancel()
        tasks = [task for task in (self._task, self._resting) if task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    def _wake_waiting(self) -> None:
        """Let `up` look again: the process is up, or has failed to start."""
        self._up.set()
        self._up.clear()

    async def _supervise(self, first: asyncio.Future[None]) -> None:
        if self._resting is not None:
            await asyncio.wait({self._resting})
        while True:
            self.failed_starts += 1  # until it has started
            try:
                await self._run(first)
            except DeviceError as error:
                self.reason = f"refused to start: {error}"
                if first.done():
                    log.error("The %s %s", self.name, self.reason)
                else:
                    first.set_exception(error)
            except (ProcessGoneError, OSError) as error:
                gone = isinstance(error, ProcessGoneError)
                self.reason = str(error) if gone else f"could not be started: {error}"
                log.error("The %s %s.", self.name, self.reason)
            self.state = "restarting"
            self.restarts += 1
            self._wake_waiting()
            await asyncio.sleep(_back_off(self.failed_starts))

    async def _run(self, first: asyncio.Future[None]) -> None:
        """Run one process to its end, which raises ProcessGoneError."""
        process = self.process = await self._spawn()
        try:
            log.info("%s %d starts.", self.name.capitalize(), process.pid)
            process.post(Frame(encode(self._settings.model_dump(mode="json"))))
            self.device = await _started(process)
            connection = self.connection = Connection(process)
            self.state, self.reason, self.failed_starts = "ready", None, 0
            log.info("%s %d is ready%s.", self.name.capitalize(), process.pid, _on(self.device))
            self._on_up()
            self._wake_waiting()
            if not first.done():
                first.set_result(None)
            await connection.listen()
        except ProcessGoneError:
            if self.connection is not None:
                self.connection = None
                self.state = "restarting"
                self._on_down()
            raise
        finally:
            if self.connection is not None:
                self.connection.fail(WorkerUnavailableError("The service is stopping."))
            self.connection = self.process = None
            await process.end()


async def _started(process: ChildProcess) -> DeviceName | None:
    """Wait until the process has started, and return its device."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            message = first_message((await process.first()).message)
    except TimeoutError:
        process.kill(f"did not start within {_START_SECONDS:g} s")
        raise ProcessGoneError(await process.wait()) from None
    if isinstance(message, Refused):
        raise DeviceError(message.reason)
    return message.device


def _on(device: DeviceName | None) -> str:
    return f" on {device}" if device else ""


def _back_off(failed_starts: int) -> float:
    """Return how long to wait before the next start; one that had started is replaced at once.

    >>> [_back_off(count) for count in (0, 1, 2, 3, 100)]
    [0.0, 0.5, 1.0, 2.0, 30.0]
    """
    if not failed_starts:
        return 0.0
    return float(min(_FIRST_BACK_OFF_SECONDS * 2 ** (failed_starts - 1), _LONGEST_BACK_OFF_SECONDS))
