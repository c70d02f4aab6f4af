"""Decides which engine computes what, and so in which process: TensorFlow's import takes seconds.

On a CPU, `auto` is ONNX Runtime. A network that turns out to have no form in ONNX is TensorFlow's.
"""

from collections import OrderedDict
from typing import Any

import msgspec

from app.engine import DeviceName, ModelRef, Precision, RuntimeName, WorkerTask
from app.tasks import MeasureProfile, MeasureSignal, SaveWeights
from model_zoo import ZooError, find_weight_format

# How many networks are remembered that have no form in ONNX.
_MAX_REMEMBERED = 256


class Placement:
    """Places models and tasks; the device is that of the worker."""

    def __init__(self) -> None:
        self._without_onnx: OrderedDict[str, None] = OrderedDict()

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
        self._without_onnx[key] = None
        while len(self._without_onnx) > _MAX_REMEMBERED:
            self._without_onnx.popitem(last=False)
        return True

    def engine(self, ref: ModelRef, device: DeviceName) -> RuntimeName:
        """Return what a load is told to use: `auto` if both engines are to be measured."""
        engine = self._resolved(ref.key, ref.engine, ref.precision, device)
        is_free = engine == "onnxruntime" and ref.engine == "auto"
        return "auto" if is_free and ref.may_gain_by_tensorflow else engine

    def of_model(self, ref: ModelRef, device: DeviceName) -> RuntimeName:
        """Return the engine whose process loads a model."""
        engine = self.engine(ref, device)
        return "tensorflow" if engine == "auto" else engine

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
        is_free = device == "cpu" and precision == "float32" and key not in self._without_onnx
        return "onnxruntime" if is_free else "tensorflow"
