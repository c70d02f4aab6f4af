"""The tasks of a worker, and the models that it has in memory."""

import errno
import hashlib
import mmap
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from app.arrays import Array, Buffer
from app.compute.messages import AnyWorkerTask, ArenaRows, Compute, Load, Measure, Unload, WarmUp
from app.compute.worker.lanes import Work
from app.compute.worker.runtimes.loading import LoadedModel, load, measure, warm_up
from app.compute.worker.runtimes.memory import give_memory_back
from app.compute.worker.runtimes.profiling import profile
from app.compute.worker.runtimes.signal import measure_signal
from app.engine import DeviceName, Reply
from app.settings import Settings
from app.store.calibrations import FOLDER, CalibrationRows
from app.store.sources import WeightSources
from app.tasks import (
    MeasuredProfile,
    MeasuredSignal,
    MeasureProfile,
    MeasureSignal,
    SavedWeights,
    SaveWeights,
)
from model_zoo import (
    BuildSpec,
    CheckpointStore,
    ZooError,
    find_weight_format,
    remove_abandoned,
    scratch_folder,
    trace,
    weight_writer,
)

# An archive is written beside what it is made of, and Keras's file twice.
_COPIES_WHILE_WRITING = 3

Seconds = dict[str, float]


class WorkerTasks:
    """Does tasks; several threads call it."""

    def __init__(self, settings: Settings, *, arena: int, device: DeviceName) -> None:
        self._settings = settings
        self._device = device
        self._arena = mmap.mmap(arena, 0, prot=mmap.PROT_READ)
        # The API made the folder: if it is gone, an empty one must not stand for it.
        self._checkpoints = CheckpointStore(settings.files_home, make=False)
        self._models: dict[str, LoadedModel] = {}

    def run(self, task: AnyWorkerTask) -> Reply[Any]:
        """Do a task, and return its result with the seconds that each phase took."""
        seconds: Seconds = {}
        match task:
            case Compute():
                arrays = self._compute(task, seconds)
                buffers: Sequence[Buffer] = [array.data.cast("B") for array in arrays]
                return Reply(tuple(array.shape for array in arrays), buffers, seconds)
            case Load():
                model = self._models[task.model] = self._load(task, seconds)
                return Reply(model.state, (), seconds)
            case WarmUp():
                model = warm_up(self._models[task.model], self._settings)
                self._models[task.model] = model
                return Reply(model.state)
            case Measure():
                seconds_per_row, output = measure(self._models[task.model], self._settings)
                return Reply(seconds_per_row, [np.ascontiguousarray(output).data.cast("B")])
            case Unload():
                self._models.pop(task.model, None)
                give_memory_back()
                return Reply(None)
            case SaveWeights():
                return Reply(self._save_weights(task, seconds), (), seconds)
            case MeasureProfile():
                return Reply(self._profile(task, seconds), (), seconds)
            case MeasureSignal():
                return Reply(self._measure_signal(task, seconds), (), seconds)

    def in_lane(self, task: Compute, work: Work) -> None:
        """Do work in a lane of the task's model, in this thread or in another one."""
        model = self._models.get(task.model)
        if model is None:
            work()
        else:
            model.lanes.do(work)

    def _sources(self, specs: Mapping[str, Any]) -> WeightSources:
        return WeightSources(self._checkpoints, specs.get)

    def _load(self, task: Load, seconds: Seconds) -> LoadedModel:
        """Load a network into memory.

        Raises: WeightsError if a checkpoint that it takes weights from does not exist any more.
        """
        with _phase(seconds, "load"):
            return load(
                trace(BuildSpec.stored(task.specs.spec)),
                self._sources(task.specs.sources),
                self._settings,
                device=self._device,
                engine=task.engine,
                precision=task.precision,
                known=task.known,
                calibration=self._calibration(task.calibration),
            )

    def _calibration(self, digest: str) -> CalibrationRows | None:
        """Return the rows that calibrate int8.

        Raises: ZooError if they do not exist any more.
        """
        if not digest:
            return None
        try:
            return CalibrationRows(self._settings.files_home, digest)
        except FileNotFoundError:
            raise ZooError(
                f"The rows that calibrate this version in int8 are gone: {FOLDER}/{digest}.npy of "
                "ZOO_HOME. Delete the version, and PUT it with its calibration again."
            ) from None

    def _compute(self, task: Compute, seconds: Seconds) -> list[Array]:
        """Compute outputs for rows that lie in the arena."""
        model = self._models[task.model]
        with _phase(seconds, "input"):
            rows = self._rows(task.rows, model.traced.spec.input_shape)
        with _phase(seconds, "compute"):
            parts = [
                model.runtime.run(part, task.outputs, is_alone=task.is_alone)
                for part in model.parts(rows)
            ]
        with _phase(seconds, "output"):
            return [
                np.ascontiguousarray(np.concatenate(each) if len(each) > 1 else each[0])
                for each in zip(*parts, strict=True)
            ]

    def _rows(self, parts: Sequence[ArenaRows], shape: tuple[int, ...]) -> Array:
        size = int(np.prod(shape))
        arrays = [
            np.frombuffer(self._arena, np.float32, part.count * size, part.offset).reshape(
                part.count, *shape
            )
            for part in parts
        ]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def _profile(self, task: MeasureProfile, seconds: Seconds) -> MeasuredProfile:
        sources, model = self._sources(task.specs.sources), self._models.get(task.model)
        runtime = model.runtime if model else None
        with _phase(seconds, "profile"):
            result = profile(task, sources, self._settings, self._device, runtime)
            give_memory_back()
        return result

    def _measure_signal(self, task: MeasureSignal, seconds: Seconds) -> MeasuredSignal:
        with _phase(seconds, "probe"):
            result = measure_signal(task, self._sources(task.specs.sources))
            give_memory_back()
        return result

    def _save_weights(self, task: SaveWeights, seconds: Seconds) -> SavedWeights:
        """Write a weight file and name it after its content, in one step for other processes."""
        suffix = find_weight_format(task.format, task.options).suffix
        folder = Path(task.folder)
        traced = trace(BuildSpec.stored(task.specs.spec))
        remove_abandoned(folder)  # by a worker that died
        # Checked first: on a full disk, the libraries that write raise errors of any kind.
        needed = _COPIES_WHILE_WRITING * traced.summary().totals["weight_bytes"]
        if shutil.disk_usage(folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with _phase(seconds, "load"):
            write = weight_writer(
                traced, self._sources(task.specs.sources), task.format, task.options
            )
        with (
            _phase(seconds, "save"),
            scratch_folder(folder) as scratch,
        ):
            written = scratch / f"weights{suffix}"
            write(written)
            with written.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                os.fsync(stream.fileno())
            target = folder / f"{task.build}.{sha256}{suffix}"
            written.replace(target)
        del write  # which holds the weights
        give_memory_back()
        return SavedWeights(str(target), sha256)


@contextmanager
def _phase(seconds: Seconds, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
