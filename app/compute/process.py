"""One worker process and the socket to it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.compute.frames import Frame, encode, read_frame

# The reader pauses the socket above this; arrays of megabytes are the rule here.
_READ_AHEAD_BYTES = 2**20
_END_SECONDS = 3.0


class WorkerGoneError(Exception):
    """The process has ended; the text says how, as the rest of a sentence about the worker."""


class WorkerProcess:
    """A process that runs a module of this package, in a session of its own.

    Its own session keeps a terminal's Ctrl-C away from it: the API ends it when it has drained.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._ended_for: str | None = None

    @classmethod
    async def spawn(
        cls, module: str, *, shared: Sequence[int] = (), environment: Mapping[str, str]
    ) -> "WorkerProcess":
        """Start a module with a socket, and other descriptors; it waits for its configuration."""
        ours, theirs = socket.socketpair()
        with theirs:
            reader, writer = await asyncio.open_connection(sock=ours, limit=_READ_AHEAD_BYTES)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    module,
                    *map(str, (theirs.fileno(), *shared)),
                    pass_fds=(theirs.fileno(), *shared),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=2,  # a library that prints must not mix into our standard output
                    start_new_session=True,
                    env={**os.environ, **_search_path(), **environment},
                )
            except BaseException:
                writer.close()
                raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, frame: Frame) -> None:
        """Send one message.

        Raises: WorkerGoneError if the process has ended.
        """
        try:
            self._writer.writelines(encode(frame))
            await self._writer.drain()
        except ConnectionError:
            raise WorkerGoneError(await self.wait()) from None

    async def receive(self) -> Frame:
        """Return the next message.

        Raises: WorkerGoneError if the process has ended.
        """
        try:
            return await read_frame(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerGoneError(await self.wait()) from None

    async def wait(self) -> str:
        """Wait for the end and return how it came about."""
        status = await self._process.wait()
        return self._ended_for or how_it_ended(status)

    def kill(self, reason: str | None = None) -> None:
        """End the process and whatever it started, now; the reason is told as how it ended."""
        self._ended_for = self._ended_for or reason
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Ask the process to end by closing its socket; insist after a while."""
        self._writer.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()


def how_it_ended(status: int) -> str:
    """Return the rest of a sentence about a process that ended with a status.

    >>> how_it_ended(-15), how_it_ended(1)
    ('was killed by SIGTERM', 'exited with status 1')
    """
    if status >= 0:
        return f"exited with status {status}"
    name = signal.Signals(-status).name
    if name == "SIGKILL":
        return "was killed by SIGKILL (the system does so when memory runs out)"
    return f"was killed by {name}"


def worker_environment(device: str, gpu: str | None = None) -> dict[str, str]:
    """Return what TensorFlow reads of the environment; `gpu` is the only one that it sees."""
    # Without these, TensorFlow logs its build options and takes the whole GPU at once.
    defaults = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    environment = {
        **{name: os.environ.get(name, value) for name, value in defaults.items()},
        "KERAS_BACKEND": "tensorflow",
    }
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    elif gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    return environment


def _search_path() -> dict[str, str]:
    # A process finds this package wherever the API found it, not only in the working directory.
    root = str(Path(__file__).resolve().parents[2])
    return {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
