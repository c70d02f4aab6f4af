"""The API as its child processes see it: calls come over a socket, and answers go back.

A child ends with the API: when the socket closes, for whatever reason, it ends at once, even in the
middle of a computation.
"""

import logging
import mmap
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, cast

import msgspec

from app.arrays import Buffer
from app.compute.frames import Frame, pieces, read_frame_blocking
from app.compute.messages import Call, CallFailure, CallResult, encode, failure
from app.engine import OutOfMemoryError, Reply, WorkerFaultError
from app.memory import keep_freed_memory
from app.settings import Settings
from app.store.errors import disk_error
from app.telemetry.logs import about_request
from model_zoo import ZooError

log = logging.getLogger("app.worker")


class Parent:
    """The socket to the API."""

    def __init__(self, descriptor: int, outbox: int | None = None) -> None:
        """`outbox` is the memory for the buffers of answers, if calls come one at a time."""
        keep_freed_memory()
        self._stream = cast(BinaryIO, socket.socket(fileno=descriptor).makefile("rwb"))
        self._sending = threading.Lock()
        self._outbox = None if outbox is None else mmap.mmap(outbox, 0)

    def receive(self) -> Frame:
        """Return the next message; if the API is gone, end the process."""
        try:
            return read_frame_blocking(self._stream)
        except (EOFError, OSError):
            os._exit(0)

    def settings(self) -> Settings:
        """Return what the first message holds."""
        return Settings.model_validate(msgspec.msgpack.decode(self.receive().message))

    def send(self, message: msgspec.Struct, buffers: Sequence[Buffer] = ()) -> None:
        """Send a message."""
        try:
            with self._sending:
                self._stream.writelines(
                    cast(Any, pieces(Frame(encode(message), buffers), self._outbox))
                )
                self._stream.flush()
        except OSError:
            os._exit(0)

    def answer(self, call: Call[Any], run: Callable[[], Reply[Any]]) -> None:
        """Do the task of a call, and send what `run` returns, or why it failed."""
        with about_request(call.about):
            message, buffers = _answer(call.id, run)
        self.send(message, buffers)


def _answer(
    call_id: int, run: Callable[[], Reply[Any]]
) -> tuple[CallResult | CallFailure, Sequence[Buffer]]:
    try:
        reply = run()
        result = msgspec.Raw(encode(reply.result))
        return CallResult(call_id, result, reply.seconds), reply.buffers
    except ZooError as error:
        return failure(call_id, error), ()
    except Exception as error:
        return failure(call_id, _classified(error)), ()


def _classified(error: Exception) -> Exception:
    """Return an error of the disk, of memory, or of ours, fit for a client; log the other one."""
    if isinstance(error, OSError):
        log.exception("The disk reported an error.")
        return disk_error(error)
    if _is_out_of_memory(error):
        log.exception("Out of memory.")
        return OutOfMemoryError(
            "There was not enough memory to compute this. Send fewer rows, or less at once."
        )
    log.exception("A task failed.")
    return WorkerFaultError("internal error")


def _is_out_of_memory(error: Exception) -> bool:
    # TensorFlow has a class for it; ONNX Runtime has only a sentence.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "Failed to allocate memory" in str(error)
        or "bad allocation" in str(error)
    )
