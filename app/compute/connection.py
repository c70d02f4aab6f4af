"""Calls to a process: many at once over one socket, answered in any order."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from app.arrays import Buffer
from app.compute.frames import Frame
from app.compute.process import WorkerGoneError, WorkerProcess
from app.documents import MalformedJsonError
from app.engine import OutOfMemoryError, Reply, WorkerFaultError
from app.store.errors import StoreError
from model_zoo import InputError, Problem, WeightsError, ZooError


class Connection:
    """The calls that a process has been given and has not answered yet."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process = process
        self._numbers = itertools.count()
        self._open: dict[int, asyncio.Future[Frame]] = {}

    async def call(
        self, task: str, arguments: Mapping[str, Any], buffers: Sequence[Buffer] = ()
    ) -> Reply:
        """Return the answer to a task.

        Raises: WorkerGoneError if the process ends before; EngineError or ZooError as it answers.
        """
        number = next(self._numbers)
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            header = {"id": number, "task": task, "arguments": arguments}
            await self.process.send(Frame(header, buffers))
            frame = await answer
        finally:
            self._open.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # looked at: sending may have failed first
        error = frame.header.get("error")
        if error is not None:
            raise as_exception(error)
        return Reply(frame.header["result"], frame.buffers, frame.header["seconds"])

    async def listen(self) -> None:
        """Hand answers to who waits for them, until the process is gone.

        Raises: WorkerGoneError, then and to all who wait.
        """
        try:
            while True:
                frame = await self.process.receive()
                answer = self._open.get(frame.header["id"])
                if answer is not None and not answer.done():
                    answer.set_result(frame)
        except WorkerGoneError as gone:
            self.fail(gone)
            raise

    def fail(self, error: Exception) -> None:
        """Let all calls that are under way fail."""
        for answer in self._open.values():
            if not answer.done():
                answer.set_exception(type(error)(str(error)))


def as_exception(error: Mapping[str, Any]) -> Exception:
    """Return the exception that a process's answer describes."""
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
