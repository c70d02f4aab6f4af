"""The process that owns TensorFlow and the device: `python -m app.compute.worker FD ARENA`.

Batches are computed while a network is loaded or a file is written, which are done one at a time.
"""

import queue
import sys
import threading
from typing import TYPE_CHECKING

from app.compute.child import Parent, answer
from app.compute.cores import cores
from app.compute.device import choose_device
from app.compute.frames import Frame
from app.engine import DeviceError
from app.settings import Settings
from app.telemetry.logs import configure_logging

if TYPE_CHECKING:
    from app.compute.tasks import Tasks

Inbox = queue.SimpleQueue[Frame]


def main() -> None:
    """Serve the socket until it closes."""
    parent = Parent(int(sys.argv[1]))
    settings = Settings.model_validate(parent.receive().header)
    configure_logging(settings, process="worker")
    inboxes: dict[str, Inbox] = {"compute": queue.SimpleQueue(), "load": queue.SimpleQueue()}
    threading.Thread(target=_receive, args=(parent, inboxes), daemon=True).start()
    try:
        # Imports TensorFlow for seconds: only now, so that the end of the API is noticed meanwhile.
        device = choose_device(settings.device)
    except DeviceError as refusal:
        parent.send(Frame({"refused": str(refusal)}))
        inboxes["compute"].get()  # nothing comes: the API closes the socket, which ends the process
        return
    from app.compute.tasks import Tasks  # imports Keras, and must not do so before the device

    tasks = Tasks(settings, arena=int(sys.argv[2]), device=device)
    # One more than batches are computed at once: the API sends that one ahead.
    workers = [inboxes["load"], *[inboxes["compute"]] * cores()]
    for inbox in workers:
        threading.Thread(target=_work, args=(parent, inbox, tasks), daemon=True).start()
    parent.send(Frame({"device": device}))
    _work(parent, inboxes["compute"], tasks)


def _receive(parent: Parent, inboxes: dict[str, Inbox]) -> None:
    while True:
        frame = parent.receive()
        is_compute = frame.header["task"] in ("compute", "profile")
        inboxes["compute" if is_compute else "load"].put(frame)


def _work(parent: Parent, inbox: Inbox, tasks: "Tasks") -> None:
    while True:
        parent.send(answer(inbox.get(), tasks.run))


if __name__ == "__main__":
    main()
