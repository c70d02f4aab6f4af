"""A child process as the API sees it, and the socket to it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.compute.frames import Frame, pieces, read_frame

# The reader pauses the socket above this; arrays of megabytes are the rule here.
_READ_AHEAD_BYTES = 2**20
_END_SECONDS = 3.0


class ProcessGoneError(Exception):
    """The process has ended; the text says how: it is a sentence without its subject."""


class ChildProcess:
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
    ) -> "ChildProcess":
        """Start a module with a socket and other descriptors; it waits for its configuration."""
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
        """Send one frame.

        Raises: ProcessGoneError if the process has ended.
        """
        try:
            self._writer.writelines(pieces(frame))
            await self._writer.drain()
        except ConnectionError:
            raise ProcessGoneError(await self.wait()) from None

    async def receive(self) -> Frame:
        """Return the next frame.

        Raises: ProcessGoneError if the process has ended.
        """
        try:
            return await read_frame(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise ProcessGoneError(await self.wait()) from None

    async def wait(self) -> str:
        """Wait for the end of the process, and return how it ended."""
        status = await self._process.wait()
        return self._ended_for or describe_end(status)

    def kill(self, reason: str | None = None) -> None:
        """Kill the process and its children; `wait` returns the reason."""
        self._ended_for = self._ended_for or reason
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Close the socket, so that the process ends; kill it if it does not."""
        self._writer.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()


def describe_end(status: int) -> str:
    """Return how a process ended that has a status, as a sentence without its subject.

    >>> describe_end(-15), describe_end(1)
    ('was killed by SIGTERM', 'exited with status 1')
    """
    if status >= 0:
        return f"exited with status {status}"
    name = signal.Signals(-status).name
    if name == "SIGKILL":
        return "was killed by SIGKILL (the system does so when memory runs out)"
    return f"was killed by {name}"


def worker_environment(device: str, gpu: str | None = None) -> dict[str, str]:
    """Return the variables that TensorFlow reads; `gpu` is the only one that it sees."""
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
