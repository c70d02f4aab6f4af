"""A child process as the API sees it, and the socket to it."""

import asyncio
import contextlib
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, cast

from app.compute.frames import Frame, FrameReader, pieces

_END_SECONDS = 3.0


class ProcessGoneError(Exception):
    """The process has ended; the text says how: it is a sentence without its subject."""


class _Channel(asyncio.Protocol):
    """Our end of the socket. Hands over each frame as it arrives, in the event loop's own call.

    A task that waits for the next frame would be one more turn of the loop for each answer.
    """

    def __init__(self, outbox: mmap.mmap | None) -> None:
        self.on_frame: Callable[[Frame], None] = self._keep
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early: list[Frame] = []
        self._has_begun = asyncio.Event()
        self._reader = FrameReader(outbox)
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            self.on_frame(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        self._has_begun.set()
        self.closed.set_result(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def first(self) -> Frame | None:
        """Return the first frame, or None if none comes."""
        await self._has_begun.wait()
        return self._early.pop(0) if self._early else None

    def deliver(self, on_frame: Callable[[Frame], None]) -> None:
        """Hand the frames to a function from now on, and before them those that came already."""
        self.on_frame = on_frame
        early, self._early = self._early, []
        for frame in early:
            on_frame(frame)

    def post(self, frame: Frame) -> None:
        """Send a frame; it is lost if the other end is gone, as `closed` tells."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.writelines(pieces(frame))

    async def drain(self) -> None:
        """Wait until the other end has taken most of what was sent, or is gone."""
        await self._writable.wait()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _keep(self, frame: Frame) -> None:
        self._early.append(frame)
        self._has_begun.set()


class ChildProcess:
    """A process that runs a module of this package, in a session of its own.

    Its own session keeps a terminal's Ctrl-C away from it: the API ends it when it has drained.
    """

    def __init__(self, process: asyncio.subprocess.Process, channel: _Channel) -> None:
        self._process = process
        self._channel = channel
        self._ended_for: str | None = None

    @classmethod
    async def spawn(
        cls,
        module: str,
        *,
        shared: Sequence[int] = (),
        arguments: Sequence[str] = (),
        outbox_bytes: int = 0,
        environment: Mapping[str, str],
    ) -> "ChildProcess":
        """Start a module with a socket and other descriptors; it waits for its configuration.

        With an outbox, its descriptor is the last. Arguments follow the descriptors.
        """
        ours, theirs = socket.socketpair()
        with theirs, _memory(outbox_bytes) as (outbox, descriptors):
            shared = (*shared, *descriptors)
            loop = asyncio.get_running_loop()
            _, channel = await loop.create_unix_connection(lambda: _Channel(outbox), sock=ours)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    module,
                    *map(str, (theirs.fileno(), *shared)),
                    *arguments,
                    pass_fds=(theirs.fileno(), *shared),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=2,  # a library that prints must not mix into our standard output
                    start_new_session=True,
                    env={**os.environ, **_search_path(), **environment},
                )
            except BaseException:
                channel.close()
                raise
        return cls(process, channel)

    @property
    def pid(self) -> int:
        return self._process.pid

    def post(self, frame: Frame) -> None:
        """Send a frame; if the process has ended, `listen` says so."""
        self._channel.post(frame)

    async def drain(self) -> None:
        """Wait until the process has taken most of what was sent, or has ended."""
        await self._channel.drain()

    async def first(self) -> Frame:
        """Return the first frame, with which a process says that it has started.

        Raises: ProcessGoneError if the process ends before.
        """
        frame = await self._channel.first()
        if frame is None:
            raise ProcessGoneError(await self.wait())
        return frame

    async def listen(self, on_frame: Callable[[Frame], None]) -> NoReturn:
        """Hand each frame to a function, until the process is gone.

        Raises: ProcessGoneError.
        """
        self._channel.deliver(on_frame)
        await asyncio.shield(self._channel.closed)
        raise ProcessGoneError(await self.wait())

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
        self._channel.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()


@contextlib.contextmanager
def _memory(size: int) -> Iterator[tuple[mmap.mmap | None, Sequence[int]]]:
    """Yield memory of a size, and the descriptors by which a child process shares it."""
    if not size:
        yield None, ()
        return
    descriptor = os.memfd_create("zoo-outbox")
    try:
        os.ftruncate(descriptor, size)
        yield mmap.mmap(descriptor, size), (descriptor,)
    finally:
        os.close(descriptor)


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
