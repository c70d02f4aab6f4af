"""Decides which engine computes what, and so in which process: TensorFlow's import takes seconds.

On a CPU, `auto` is ONNX Runtime. A network that turns out to have no form in ONNX is TensorFlow's,
and one that TensorFlow computes faster, once that has been tried.
"""

from collections import OrderedDict
from typing import Any

import msgspec

from app.engine import DeviceName, ModelRef, Precision, RuntimeName, WorkerTask
from app.tasks import MeasureProfile, MeasureSignal, SaveWeights
from model_zoo import ZooError, find_weight_format

# Of how many networks it is remembered which engine computes them.
_MAX_REMEMBERED = 256


class Placement:
    """Places models and tasks; the device is that of the worker."""

    def __init__(self) -> None:
        self._decided: OrderedDict[str, RuntimeName] = OrderedDict()

    def learns(self, failed: object, device: DeviceName, error: ZooError) -> bool:
        """Return whether an error says that a network has no form in ONNX, and remember it.

        `failed` is the model or the task that failed. Errors about the inputs, the weights or the
        options, which TensorFlow would refuse too, are of kinds of their own.
        """
        match failed:
            case ModelRef(engine="auto") if self.engine(failed, device) == "onnxruntime":
                key = failed.key
            case MeasureProfile(engine="auto") if self.of_task(failed, device) == "onnxruntime":
                key = failed.model
            case _:
                return False
        if type(error) is not ZooError:
            return False
        self._decide(key, "tensorflow")
        return True

    def decide(self, ref: ModelRef, engine: RuntimeName) -> None:
        """Remember which engine computes a model that may run on both."""
        self._decide(ref.key, engine)

    def _decide(self, key: str, engine: RuntimeName) -> None:
        self._decided[key] = engine
        while len(self._decided) > _MAX_REMEMBERED:
            self._decided.popitem(last=False)

    def may_try_tensorflow(self, ref: ModelRef, device: DeviceName) -> bool:
        """Return whether TensorFlow may be faster, and has not been tried."""
        return (
            ref.may_gain_by_tensorflow
            and ref.engine == "auto"
            and ref.key not in self._decided
            and self.engine(ref, device) == "onnxruntime"
        )

    def engine(self, ref: ModelRef, device: DeviceName) -> RuntimeName:
        """Return the engine that computes a model, whose process loads it."""
        return self._resolved(ref.key, ref.engine, ref.precision, device)

    def of_task(self, task: WorkerTask[Any], device: DeviceName) -> RuntimeName | None:
        """Return the engine whose process does a task; None if it needs neither."""
        match task:
            case MeasureSignal():
                return "tensorflow"
            case MeasureProfile():
                return self._resolved(task.model, task.engine, task.precision, device)
            case SaveWeights() if find_weight_format(task.format, task.options).needs_tensorflow:
                return "tensorflow"
        return None

    def with_engine(self, task: WorkerTask[Any], device: DeviceName) -> WorkerTask[Any]:
        """Return a task with the engine that does it."""
        if isinstance(task, MeasureProfile):
            return msgspec.structs.replace(task, engine=self.of_task(task, device))
        return task

    def _resolved(
        self, key: str, engine: RuntimeName, precision: Precision, device: DeviceName
    ) -> RuntimeName:
        if engine != "auto":
            return engine
        if device == "cpu" and precision == "float32":
            return self._decided.get(key, "onnxruntime")
        return "tensorflow"
