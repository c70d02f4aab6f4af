"""Calls to a child process: many at once over one socket, answered in any order."""

import asyncio
import itertools
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from typing import Any, NoReturn

from msgspec import DecodeError, msgpack

from app.arrays import Buffer
from app.compute.child_process import ChildProcess, ProcessGoneError
from app.compute.frames import Frame
from app.compute.messages import Call, CallFailure, CallResult, answer_of_call, encode, error_of
from app.engine import Reply, Result, Task
from app.settings import Limit
from app.telemetry.logs import request_fields

Answer = tuple[CallResult | CallFailure, Sequence[Buffer]]
# How long a call that nobody waits for any more may go on.
_ABANDONED_SECONDS = 1.0


class Connection:
    """A process, and the calls that it has not answered yet."""

    def __init__(self, process: ChildProcess) -> None:
        self.process = process
        self._ids = itertools.count()
        self._open: dict[int, asyncio.Future[Answer]] = {}

    def post(
        self,
        task: Task[Result],
        buffers: Sequence[Buffer] = (),
        about: Mapping[str, Any] | None = None,
    ) -> Coroutine[Any, Any, Reply[Result]]:
        """Send a call now, and return what waits for the answer; see `call`.

        `about` are the fields of its request in the log; by default, of the one in progress here.
        """
        call_id = next(self._ids)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[call_id] = future
        call = Call(call_id, task, request_fields() if about is None else about)
        self.process.post(Frame(encode(call), buffers))
        return self._answered(call_id, task, future)

    async def _answered(
        self, call_id: int, task: Task[Result], future: "asyncio.Future[Answer]"
    ) -> Reply[Result]:
        try:
            await self.process.drain()
            answer, data = await future
        finally:
            self._open.pop(call_id, None)
        if isinstance(answer, CallFailure):
            raise error_of(answer)
        result: Result = msgpack.decode(answer.result, type=task.result_type())
        return Reply(result, data, answer.seconds)

    async def call(self, task: Task[Result], buffers: Sequence[Buffer] = ()) -> Reply[Result]:
        """Return the answer to a call.

        Raises: ProcessGoneError if the process ends before; EngineError or ZooError as it answers.
        """
        return await self.post(task, buffers)

    async def within(self, limit: Limit[float], answer: Awaitable[Reply[Result]]) -> Reply[Result]:
        """Return the answer to a call; kill the process if it does not come in time."""
        try:
            async with asyncio.timeout(limit.value):
                return await answer
        except TimeoutError:
            reason = f"was ended: a task took longer than {limit.in_seconds}"
            self.process.kill(reason)
            raise ProcessGoneError(reason) from None

    async def call_within(self, task: Task[Result], limit: Limit[float]) -> Reply[Result]:
        """Return the answer to a call; kill the process if it does not come in time."""
        return await self.within(limit, self.post(task))

    async def call_or_end(
        self, task: Task[Result], buffers: Sequence[Buffer], what: str
    ) -> Reply[Result]:
        """Return the answer to a call of a process that does one at a time.

        If the caller gives up, the call may still end for a moment; then the process is killed,
        since nothing else interrupts it. `what` was too slow is the reason that is told.
        """
        call = asyncio.create_task(self.call(task, buffers))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            if not call.done():
                await asyncio.wait({call}, timeout=_ABANDONED_SECONDS)
                if not call.done():
                    self.process.kill(f"was ended: {what} took too long")
                await asyncio.gather(call, return_exceptions=True)
            raise

    async def listen(self) -> NoReturn:
        """Hand each answer to its caller, until the process is gone.

        Raises: ProcessGoneError, as all open calls do then.
        """
        try:
            await self.process.listen(self._hand_over)
        except ProcessGoneError as gone:
            self.fail(gone)
            raise

    def _hand_over(self, frame: Frame) -> None:
        try:
            answer = answer_of_call(frame.message)
        except DecodeError:
            self.process.kill("was ended: it sent a malformed answer")
            return
        future = self._open.get(answer.id)
        if future is not None and not future.done():
            future.set_result((answer, frame.buffers))

    def fail(self, error: Exception) -> None:
        """Fail all open calls."""
        for future in self._open.values():
            if not future.done():
                future.set_exception(type(error)(str(error)))
