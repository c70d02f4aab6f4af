"""What the processes of the API have in common: jobs come over a socket, answers go back.

A process ends with the API: when the socket closes, whatever the reason, it is gone at once, even
in the middle of a computation.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from app.compute.frames import Frame, encode, read_frame_blocking
from app.documents import MalformedJsonError
from app.wording import clip
from model_zoo import InputError, WeightsError, ZooError

log = logging.getLogger("app.worker")


class Parent:
    """The API, as its child sees it."""

    def __init__(self, descriptor: int) -> None:
        self._stream = cast(BinaryIO, socket.socket(fileno=descriptor).makefile("rwb"))
        self._sending = threading.Lock()

    def receive(self) -> Frame:
        """Return the next message; where there is none any more, the process ends."""
        try:
            return read_frame_blocking(self._stream)
        except (EOFError, OSError):
            os._exit(0)

    def send(self, frame: Frame) -> None:
        """Send a message."""
        try:
            with self._sending:
                self._stream.writelines(cast(Any, encode(frame)))
                self._stream.flush()
        except OSError:
            os._exit(0)


def answer(frame: Frame, run: Callable[[Frame], Frame]) -> Frame:
    """Return the answer to a job: what `run` returns, or why it cannot be done."""
    number = frame.header["id"]
    try:
        done = run(frame)
        return Frame({"id": number, **done.header}, done.buffers)
    except MalformedJsonError as error:
        return _refusal(number, "json", error)
    except InputError as error:
        return _refusal(number, "input", error)
    except WeightsError as error:
        return _refusal(number, "weights", error)
    except ZooError as error:
        return _refusal(number, "library", error)
    except OSError as error:
        log.exception("The disk refuses.")
        message = f"The disk refuses: {error.strerror or 'I/O error'}."
        return _refusal(number, "store", ZooError(message))
    except Exception as error:
        if _is_out_of_memory(error):
            log.exception("Out of memory.")
            message = (
                "There was not enough memory to compute this. Send fewer rows, or less at once."
            )
            return _refusal(number, "memory", ZooError(message))
        log.exception("A job failed.")
        return _refusal(number, "fault", ZooError("internal error"))


def _is_out_of_memory(error: Exception) -> bool:
    # TensorFlow has a class for it; ONNX Runtime has only a sentence.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "ResourceExhaustedError"
        or "Failed to allocate memory" in str(error)
        or "bad allocation" in str(error)
    )


def _refusal(number: int, kind: str, error: ZooError) -> Frame:
    problems = [
        {
            "message": problem.message,
            "pointer": problem.pointer,
            "received": clip(problem.received),
            "suggestion": problem.suggestion,
        }
        for problem in error.problems
    ]
    return Frame({"id": number, "error": {"kind": kind, "problems": problems}})
