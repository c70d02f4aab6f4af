"""The jobs that a worker knows."""

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.compute.frames import Frame
from app.compute.inputs import InputReader
from app.compute.models import Loaded, Models
from app.settings import Settings, variable
from model_zoo import WEIGHT_FORMATS, BuildSpec, CheckpointStore, InputError, find_architecture

# An archive is written beside what it is made of, and Keras's file twice.
_COPIES_WHILE_WRITING = 3

Result = tuple[dict[str, Any], Sequence[bytes]]


class Tasks:
    """Runs jobs on the networks that it holds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models = Models(settings.max_models_bytes, CheckpointStore(settings.home))
        self._tasks: Mapping[str, Callable[[Mapping[str, Any], Sequence[bytes]], Result]] = {
            "predict": self._predict,
            "save_weights": self._save_weights,
        }
        self._seconds: dict[str, float] = {}

    def run(self, frame: Frame) -> Frame:
        """Do one job and return the answer to it, with the seconds each phase took."""
        self._seconds = {}
        task = self._tasks[frame.header["task"]]
        result, buffers = task(frame.header["arguments"], frame.buffers)
        return Frame({"result": result, "seconds": self._seconds}, buffers)

    def free_memory(self) -> None:
        """Forget all networks."""
        self._models.clear()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._seconds[name] = time.perf_counter() - started

    def _predict(self, arguments: Mapping[str, Any], buffers: Sequence[bytes]) -> Result:
        """Compute end points (`outputs`, by name) of a spec for the inputs."""
        spec = BuildSpec.read(arguments["spec"])
        preprocessing = find_architecture(spec.architecture).preprocessing
        # First: an input that does not fit must not cost the seconds of loading a network.
        with self._phase("decode"):
            reader = InputReader(spec.input_shape, preprocessing, self._settings)
            rows = reader.read(arguments["inputs"], buffers)
        with self._phase("load"):
            loaded = self._models.get(arguments["spec"], arguments["builds"])
        names = arguments["outputs"]
        self._check_output_size(loaded, names, len(rows))
        with self._phase("compute"):
            arrays = self._compute(loaded, rows, names)
        result = {
            "rows": len(rows),
            "preprocessing": preprocessing if reader.has_images else None,
            "warnings": reader.warnings,
            "shapes": [list(array.shape) for array in arrays],
        }
        return result, [array.tobytes() for array in arrays]

    def _compute(
        self, loaded: Loaded, rows: npt.NDArray[np.float32], names: Sequence[str]
    ) -> list[npt.NDArray[np.float32]]:
        """Return the end points, computing as many rows at once as the activation limit allows."""
        peak = loaded.trace.summary().totals["peak_activation_bytes"]
        step = max(1, self._settings.max_activation_bytes // max(peak, 1))
        parts = [
            loaded.model.predict_end_points(rows[start : start + step], names)
            for start in range(0, len(rows), step)
        ]
        return [
            np.ascontiguousarray(np.concatenate([part[name] for part in parts]), np.float32)
            for name in names
        ]

    def _check_output_size(self, loaded: Loaded, names: Sequence[str], rows: int) -> None:
        end_points = loaded.trace.graph.end_points
        size = 4 * rows * sum(end_points[name].size for name in names)
        limit = self._settings.max_output_bytes
        if size > limit:
            raise InputError(
                f"The answer's arrays would have {size} bytes; the limit is {limit} "
                f"({variable('max_output_bytes')}). Ask for fewer end points or rows."
            )

    def _save_weights(self, arguments: Mapping[str, Any], _buffers: Sequence[bytes]) -> Result:
        """Write a weight file and name it after its content, in one step for whoever looks."""
        suffix = WEIGHT_FORMATS[arguments["format"]].suffix
        folder = Path(arguments["folder"])
        with self._phase("load"):
            loaded = self._models.get(arguments["spec"], arguments["builds"])
        for left in folder.glob("tmp-*"):  # jobs run one at a time: an interrupted one left it
            shutil.rmtree(left)
        # Before it is tried: what the writers' libraries raise on a full disk is of any kind.
        needed = _COPIES_WHILE_WRITING * loaded.trace.summary().totals["weight_bytes"]
        if shutil.disk_usage(folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with self._phase("save"), tempfile.TemporaryDirectory(prefix="tmp-", dir=folder) as scratch:
            written = Path(scratch) / f"weights{suffix}"
            loaded.model.save(written, arguments["format"])
            with written.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                os.fsync(stream.fileno())
            target = folder / f"{arguments['build']}.{sha256}{suffix}"
            written.replace(target)
        return {"path": str(target), "sha256": sha256}, ()
