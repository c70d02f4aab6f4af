"""A process that traces the rows of sweeps: `python -m app.compute.tracer FD`."""

import gc
import sys
from functools import partial

from app.compute.messages import Ready, tracing_call
from app.compute.parent import Parent
from app.compute.tracer.tracer_tasks import begin_to_trace


def main() -> None:
    """Serve the socket until it closes."""
    parent = Parent(int(sys.argv[1]))
    tasks = begin_to_trace(parent.settings())
    parent.send(Ready())
    while True:
        frame = parent.receive()
        call = tracing_call(frame.message)
        parent.answer(call, partial(tasks.run, call.task))
        gc.collect()


if __name__ == "__main__":
    main()
