"""What a reader can read: the bodies of predictions, in our own form and in others'."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.arrays import Buffer
from app.compute.frames import Frame
from app.compute.inputs import InputReader
from app.settings import Settings

Result = tuple[dict[str, Any], Sequence[Buffer]]


class ReadingTasks:
    """Reads one request after another."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tasks: Mapping[str, Callable[[Mapping[str, Any], Sequence[Buffer]], Result]] = {
            "inputs": self._inputs,
            "open_inference": _read_open_inference,
            "tensorflow_serving": _read_tensorflow_serving,
        }

    def run(self, frame: Frame) -> Frame:
        """Read what a message has, and return it with the seconds that it took."""
        started = time.perf_counter()
        task = self._tasks[frame.header["task"]]
        result, buffers = task(frame.header["arguments"], frame.buffers)
        seconds = {"decode": time.perf_counter() - started}
        return Frame({"result": result, "seconds": seconds}, buffers)

    def _inputs(self, arguments: Mapping[str, Any], buffers: Sequence[Buffer]) -> Result:
        """Read images, `.npy` arrays and JSON documents as one batch of rows."""
        reader = InputReader(tuple(arguments["shape"]), arguments["preprocessing"], self._settings)
        rows = reader.read(arguments["inputs"], [bytes(buffer) for buffer in buffers])
        result = {
            "rows": len(rows),
            "warnings": reader.warnings,
            "has_images": reader.has_images,
        }
        return result, [rows.tobytes()]


def _read_open_inference(arguments: Mapping[str, Any], buffers: Sequence[Buffer]) -> Result:
    from app.protocols.open_inference.reading import read

    return read(arguments, buffers)


def _read_tensorflow_serving(arguments: Mapping[str, Any], buffers: Sequence[Buffer]) -> Result:
    from app.protocols.tensorflow_serving.reading import read

    return read(arguments, buffers)
