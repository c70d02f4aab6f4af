"""The process that owns the device: `python -m app.compute.worker FD ARENA`.

Batches are computed while a network is loaded or a file is written, which are done one at a time.
"""

import queue
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING

from app.compute.cores import cores
from app.compute.messages import AnyWorkerTask, Call, Compute, Ready, Refused, worker_call
from app.compute.parent import Parent
from app.compute.worker.device import choose_device
from app.engine import DeviceError
from app.tasks import MeasureProfile, MeasureSignal
from app.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from app.compute.worker.worker_tasks import WorkerTasks

Inbox = queue.SimpleQueue[Call[AnyWorkerTask]]


def main() -> None:
    """Serve the socket until it closes."""
    parent = Parent(int(sys.argv[1]))
    settings = parent.settings()
    configure_logging(settings, process="worker")
    computing, loading = Inbox(), Inbox()
    threading.Thread(target=_receive, args=(parent, computing, loading), daemon=True).start()
    try:
        # Imports TensorFlow, which takes seconds: only now that the end of the API is noticed.
        device = choose_device(settings.device)
    except DeviceError as error:
        parent.send(Refused(str(error)))
        computing.get()  # nothing comes: the API closes the socket, which ends the process
        return
    # Imports Keras, and must not do so before the device is chosen.
    from app.compute.worker.worker_tasks import WorkerTasks

    tasks = WorkerTasks(settings, arena=int(sys.argv[2]), device=device)
    # One more than the batches that are computed at once: the API sends that one ahead.
    for inbox in [loading, *[computing] * cores()]:
        threading.Thread(target=_work, args=(parent, inbox, tasks), daemon=True).start()
    parent.send(Ready(device))
    _work(parent, computing, tasks)


def _receive(parent: Parent, computing: Inbox, loading: Inbox) -> None:
    while True:
        call = worker_call(parent.receive().message)
        is_measured = isinstance(call.task, Compute | MeasureProfile | MeasureSignal)
        (computing if is_measured else loading).put(call)


def _work(parent: Parent, inbox: Inbox, tasks: "WorkerTasks") -> None:
    while True:
        call = inbox.get()
        parent.answer(call.id, partial(tasks.run, call.task))


if __name__ == "__main__":
    main()
