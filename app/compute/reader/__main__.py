"""A process that reads what clients send: `python -m app.compute.reader FD OUTBOX`."""

import sys
from functools import partial

from app.compute.messages import Ready, reading_call
from app.compute.parent import Parent
from app.compute.reader.reader_tasks import ReaderTasks
from app.telemetry.logs import configure_logging


def main() -> None:
    """Serve the socket until it closes."""
    parent = Parent(int(sys.argv[1]), outbox=int(sys.argv[2]))
    settings = parent.settings()
    configure_logging(settings, process="reader")
    tasks = ReaderTasks(settings)
    parent.send(Ready())
    while True:
        frame = parent.receive()
        call = reading_call(frame.message)
        parent.answer(call, partial(tasks.run, call.task, frame.buffers))


if __name__ == "__main__":
    main()
