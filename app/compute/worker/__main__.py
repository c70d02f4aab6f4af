"""The process that owns the device: `python -m app.compute.worker FD ARENA ROLE`.

Batches are computed while a network is loaded or a file is written, which are done one at a time.
"""

import gc
import queue
import sys
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, cast

from app.compute.cores import cores
from app.compute.messages import AnyWorkerTask, Call, Compute, Ready, Refused, worker_call
from app.compute.parent import Parent
from app.compute.worker.device import choose_device
from app.engine import DeviceError, ProcessRole
from app.memory import spare_lasting_objects
from app.tasks import MeasureProfile, MeasureSignal
from app.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from app.compute.worker.worker_tasks import WorkerTasks

Inbox = queue.SimpleQueue[Call[AnyWorkerTask]]


def main() -> None:
    """Serve the socket until it closes."""
    parent = Parent(int(sys.argv[1]))
    settings = parent.settings()
    role = cast(ProcessRole, sys.argv[3])
    configure_logging(settings, process=role)
    # All that an import makes stays: to look for cycles in it is a fifth of TensorFlow's import.
    gc.disable()
    receiver = _Receiver(parent)
    # The batches that are computed at once, one that the API sends ahead, a measurement, and the
    # thread that receives: there is always one, which notices the end of the API.
    for _ in range(cores() + 3):
        threading.Thread(target=receiver.compute, daemon=True).start()
    try:
        # May import TensorFlow, which takes seconds: only now that the end of the API is noticed.
        device = choose_device(settings.device)
    except DeviceError as error:
        parent.send(Refused(str(error)))
        receiver.load()  # nothing comes: the API closes the socket, which ends the process
        return
    from app.compute.worker.worker_tasks import WorkerTasks

    tasks = WorkerTasks(settings, arena=int(sys.argv[2]), device=device)
    parent.send(Ready(device))
    if device == "cpu":
        from app.compute.worker.runtimes.loading import runtime_class

        # Before any task: threads that import parts of TensorFlow at once wait for each other.
        runtime_class("tensorflow" if role == "tensorflow-worker" else "onnxruntime")
    # Each load collects garbage, which took 0.2 s among TensorFlow's objects. A Keras model has
    # tens of thousands, and keeps them.
    spare_lasting_objects()
    gc.enable()
    receiver.tasks.set_result(tasks)
    receiver.load()


class _Receiver:
    """Receives calls, and does them.

    The thread that receives a batch computes it, while another goes on to receive: to hand it to
    a thread that waits would take as long as to receive it.
    """

    def __init__(self, parent: Parent) -> None:
        self.tasks: Future[WorkerTasks] = Future()
        self._parent = parent
        self._receiving = threading.Lock()
        self._loading = Inbox()

    def compute(self) -> None:
        """Receive calls, and measure or compute what they ask."""
        while True:
            with self._receiving:
                call = worker_call(self._parent.receive().message)
            if isinstance(call.task, Compute):
                self.tasks.result().in_lane(call.task, partial(self._answer, call))
            elif isinstance(call.task, MeasureProfile | MeasureSignal):
                self._answer(call)
            else:
                self._loading.put(call)

    def load(self) -> None:
        """Load networks and write files, as the calls ask, one at a time."""
        while True:
            self._answer(self._loading.get())

    def _answer(self, call: Call[AnyWorkerTask]) -> None:
        received = time.monotonic()
        tasks = self.tasks.result()  # an engine may still be imported
        task = call.task.after(time.monotonic() - received)
        self._parent.answer(call, partial(tasks.run, task))


if __name__ == "__main__":
    main()
