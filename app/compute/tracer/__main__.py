"""A process that traces the rows of sweeps: `python -m app.compute.tracer FD`."""

import gc
import os
import sys
from functools import partial

from app.compute.messages import Ready, tracing_call
from app.compute.parent import Parent
from app.compute.tracer.tracer_tasks import TracerTasks
from app.telemetry.logs import configure_logging

# Requests of others come first: a sweep takes what is left of the processors.
_NICENESS = 10


def main() -> None:
    """Serve the socket until it closes."""
    parent = Parent(int(sys.argv[1]))
    settings = parent.settings()
    configure_logging(settings, process="tracer")
    os.nice(_NICENESS)
    tasks = TracerTasks(settings)
    # A trace makes a hundred thousand objects, which all go when it ends: looking for circles among
    # them meanwhile takes a quarter of the time. They are looked for between two tasks.
    gc.freeze()
    gc.disable()
    parent.send(Ready())
    while True:
        frame = parent.receive()
        call = tracing_call(frame.message)
        parent.answer(call.id, partial(tasks.run, call.task))
        gc.collect()


if __name__ == "__main__":
    main()
