"""The process that owns TensorFlow: `python -m app.compute.worker FD`.

It does one job after another over the socket of that file descriptor, and ends with the API: when
the socket closes, whatever the reason, it is gone at once, even in the middle of a computation.
"""

import logging
import os
import queue
import socket
import sys
import threading
from typing import TYPE_CHECKING, BinaryIO, cast

from app.compute.device import choose_device
from app.compute.engine import DeviceError
from app.compute.frames import Frame, encode, read_frame_blocking
from app.documents import MalformedJsonError
from app.settings import Settings
from app.wording import clip
from model_zoo import InputError, WeightsError, ZooError

if TYPE_CHECKING:
    from app.compute.tasks import Tasks

log = logging.getLogger("app.worker")


def main() -> None:
    """Serve the socket until it closes."""
    stream = cast(BinaryIO, socket.socket(fileno=int(sys.argv[1])).makefile("rwb"))
    settings = Settings.model_validate(read_frame_blocking(stream).header)
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s worker %(process)d: %(message)s"
    )
    inbox: queue.SimpleQueue[Frame] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(stream, inbox), daemon=True).start()
    try:
        # Imports TensorFlow for seconds: only now, so that the end of the API is noticed meanwhile.
        device = choose_device(settings.device)
    except DeviceError as refusal:
        _send(stream, Frame({"refused": str(refusal)}))
        inbox.get()  # nothing comes: the API closes the socket, and that ends the process
        return
    from app.compute.tasks import Tasks  # imports Keras, and must not do so before the device

    tasks = Tasks(settings)
    _send(stream, Frame({"device": device}))
    while True:
        _send(stream, _answer(tasks, inbox.get()))


def _receive(stream: BinaryIO, inbox: queue.SimpleQueue[Frame]) -> None:
    try:
        while True:
            inbox.put(read_frame_blocking(stream))
    except (EOFError, OSError):
        os._exit(0)


def _send(stream: BinaryIO, frame: Frame) -> None:
    try:
        stream.writelines(encode(frame))
        stream.flush()
    except OSError:
        os._exit(0)


def _answer(tasks: "Tasks", frame: Frame) -> Frame:
    try:
        return tasks.run(frame)
    except MalformedJsonError as error:
        return _refusal("json", error)
    except InputError as error:
        return _refusal("input", error)
    except WeightsError as error:
        return _refusal("weights", error)
    except ZooError as error:
        return _refusal("library", error)
    except OSError as error:
        log.exception("The disk refuses.")
        return _refusal("store", ZooError(f"The disk refuses: {error.strerror or 'I/O error'}."))
    except Exception as error:
        if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
            tasks.free_memory()
            log.exception("Out of memory; all networks are forgotten.")
            message = (
                "There was not enough memory to compute this. Send fewer rows, or less at once."
            )
            return _refusal("memory", ZooError(message))
        log.exception("A job failed.")
        return _refusal("fault", ZooError("internal error"))


def _refusal(kind: str, error: ZooError) -> Frame:
    problems = [
        {
            "message": problem.message,
            "pointer": problem.pointer,
            "received": clip(problem.received),
            "suggestion": problem.suggestion,
        }
        for problem in error.problems
    ]
    return Frame({"error": {"kind": kind, "problems": problems}})


if __name__ == "__main__":
    main()
