"""The tasks of a reader: to read the bodies of predictions, in our own form and in others'."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.arrays import Buffer
from app.compute.messages import AnyReadingTask
from app.compute.reader.inputs import InputReader
from app.engine import Reply
from app.protocols.open_inference.request import read_request
from app.protocols.tensorflow_serving.reading import parse_body
from app.settings import Settings
from app.tasks import DecodedInputs, ReadInputs, ReadOpenInference, ReadTensorFlowServing


class ReaderTasks:
    """Reads one request after another."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def run(self, task: AnyReadingTask, buffers: Sequence[Buffer]) -> Reply[Any]:
        """Do a task, and return its result with the seconds that it took."""
        started = time.perf_counter()
        result, data = self._read(task, buffers)
        return Reply(result, data, {"decode": time.perf_counter() - started})

    def _read(
        self, task: AnyReadingTask, buffers: Sequence[Buffer]
    ) -> tuple[Any, Sequence[Buffer]]:
        match task:
            case ReadInputs():
                reader = InputReader(task.shape, task.preprocessing, self._settings, task.most_rows)
                rows = reader.read(task.parts, [bytes(buffer) for buffer in buffers])
                decoded = DecodedInputs(len(rows), reader.warnings, reader.has_images)
                return decoded, [np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data]
            case ReadOpenInference():
                return read_request(buffers[0], task.tail_bytes, task.signature)
            case ReadTensorFlowServing():
                return parse_body(bytes(buffers[0]), task.expected)
