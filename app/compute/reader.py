"""A process that reads what clients send: `python -m app.compute.reader FD`. See `readers`."""

import sys

from app.compute.child import Parent, answer
from app.compute.frames import Frame
from app.compute.reading_tasks import ReadingTasks
from app.settings import Settings
from app.telemetry.logs import configure_logging


def main() -> None:
    """Serve the socket until it closes."""
    parent = Parent(int(sys.argv[1]))
    settings = Settings.model_validate(parent.receive().header)
    configure_logging(settings, process="reader")
    tasks = ReadingTasks(settings)
    parent.send(Frame({}))
    while True:
        parent.send(answer(parent.receive(), tasks.run))


if __name__ == "__main__":
    main()
