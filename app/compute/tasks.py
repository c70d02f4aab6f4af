"""The jobs that a worker knows."""

import errno
import hashlib
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from app.arrays import Array, Buffer
from app.compute.frames import Frame
from app.compute.runtimes.loading import Loaded, give_memory_back, load
from app.compute.runtimes.profiling import Repeats, profile
from app.settings import Settings
from app.store.sources import WeightSources
from model_zoo import WEIGHT_FORMATS, BuildSpec, CheckpointStore, materialize, trace

# An archive is written beside what it is made of, and Keras's file twice.
_COPIES_WHILE_WRITING = 3

Result = tuple[dict[str, Any], Sequence[Buffer]]
Seconds = dict[str, float]


class Tasks:
    """Runs jobs on the networks that it holds; several threads call it."""

    def __init__(self, settings: Settings, *, arena: int, device: str) -> None:
        self._settings = settings
        self._device = device
        self._arena = mmap.mmap(arena, 0, prot=mmap.PROT_READ)
        self._checkpoints = CheckpointStore(settings.home)
        self._loaded: dict[str, Loaded] = {}
        self._tasks: Mapping[str, Callable[[Mapping[str, Any], Seconds], Result]] = {
            "load": self._load,
            "unload": self._unload,
            "compute": self._compute,
            "save_weights": self._save_weights,
            "profile": self._profile,
        }

    def run(self, frame: Frame) -> Frame:
        """Do one job and return the answer to it, with the seconds each phase took."""
        seconds: Seconds = {}
        result, buffers = self._tasks[frame.header["task"]](frame.header["arguments"], seconds)
        return Frame({"result": result, "seconds": seconds}, buffers)

    def _sources(self, arguments: Mapping[str, Any]) -> WeightSources:
        return WeightSources(self._checkpoints, arguments["builds"].get)

    def _load(self, arguments: Mapping[str, Any], seconds: Seconds) -> Result:
        """Bring a network into memory, under the name that `compute` calls it by.

        Raises: WeightsError if a checkpoint that it takes weights from does not exist any more.
        """
        with _phase(seconds, "load"):
            loaded = load(
                trace(BuildSpec.read(arguments["spec"])),
                self._sources(arguments),
                self._settings,
                device=self._device,
                engine=arguments["engine"],
                precision=arguments["precision"],
                known=arguments["known"],
            )
        self._loaded[arguments["model"]] = loaded
        return dict(loaded.facts), ()

    def _unload(self, arguments: Mapping[str, Any], _seconds: Seconds) -> Result:
        self._loaded.pop(arguments["model"], None)
        give_memory_back()
        return {}, ()

    def _compute(self, arguments: Mapping[str, Any], seconds: Seconds) -> Result:
        """Compute outputs for rows that lie in the arena, as [offset, count] each."""
        loaded = self._loaded[arguments["model"]]
        with _phase(seconds, "input"):
            rows = self._rows(arguments["rows"], loaded.traced.spec.input_shape)
        with loaded.lanes, _phase(seconds, "compute"):
            step = loaded.most_rows
            parts = [
                loaded.runtime.run(
                    rows[start : start + step],
                    arguments["outputs"],
                    is_alone=arguments["is_alone"],
                )
                for start in range(0, len(rows), step)
            ]
        with _phase(seconds, "output"):
            arrays = [
                np.ascontiguousarray(np.concatenate(each) if len(each) > 1 else each[0])
                for each in zip(*parts, strict=True)
            ]
        result = {"shapes": [list(array.shape) for array in arrays]}
        return result, [array.data.cast("B") for array in arrays]

    def _profile(self, arguments: Mapping[str, Any], seconds: Seconds) -> Result:
        """Measure each layer of a network, whether it is in memory or not."""
        served = self._loaded.get(arguments["model"])
        until = arguments["until"]
        with _phase(seconds, "profile"):
            result = profile(
                trace(BuildSpec.read(arguments["spec"])),
                self._sources(arguments),
                self._settings,
                device=self._device,
                engine=arguments["engine"],
                precision=arguments["precision"],
                served=served.runtime if served else None,
                rows=arguments["rows"],
                repeats=Repeats(arguments["runs"], until["layers"], until["network"]),
            )
        return result, ()

    def _rows(self, places: Sequence[Sequence[int]], shape: tuple[int, ...]) -> Array:
        size = int(np.prod(shape))
        parts = [
            np.frombuffer(self._arena, np.float32, count * size, offset).reshape(count, *shape)
            for offset, count in places
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _save_weights(self, arguments: Mapping[str, Any], seconds: Seconds) -> Result:
        """Write a weight file and name it after its content, in one step for whoever looks."""
        suffix = WEIGHT_FORMATS[arguments["format"]].suffix
        folder = Path(arguments["folder"])
        traced = trace(BuildSpec.read(arguments["spec"]))
        for left in folder.glob("tmp-*"):  # files are written one at a time: this one was given up
            shutil.rmtree(left)
        # Before it is tried: what the writers' libraries raise on a full disk is of any kind.
        needed = _COPIES_WHILE_WRITING * traced.summary().totals["weight_bytes"]
        if shutil.disk_usage(folder).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with _phase(seconds, "load"):
            model = materialize(traced, self._sources(arguments))
        with (
            _phase(seconds, "save"),
            tempfile.TemporaryDirectory(prefix="tmp-", dir=folder) as scratch,
        ):
            written = Path(scratch) / f"weights{suffix}"
            model.save(written, arguments["format"])
            with written.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                os.fsync(stream.fileno())
            target = folder / f"{arguments['build']}.{sha256}{suffix}"
            written.replace(target)
        del model
        give_memory_back()
        return {"path": str(target), "sha256": sha256}, ()


@contextmanager
def _phase(seconds: Seconds, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
