"""The networks a worker holds: made from their specs, forgotten by least recent use."""

import gc
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.store.sources import WeightSources
from model_zoo import BuildSpec, CheckpointStore, Model, Trace, materialize, trace

# Of graph and Python objects, beside the weights: measured on mobilenet_v1 and inception_v3.
_BYTES_PER_LAYER = 128 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network that can compute."""

    trace: Trace
    model: Model
    size: int


class Models:
    """Networks up to a number of bytes; the one in use always stays."""

    def __init__(self, max_bytes: int, checkpoints: CheckpointStore) -> None:
        self._max_bytes = max_bytes
        self._checkpoints = checkpoints
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()

    def get(self, spec: Mapping[str, Any], builds: Mapping[str, dict[str, Any]]) -> Loaded:
        """Return the network of a normalized spec, made anew if it is not held.

        `builds` has the specs of those that it takes weights from.
        Raises: WeightsError if a checkpoint that it takes weights from does not exist any more.
        """
        parsed = BuildSpec.read(spec)
        found = self._loaded.pop(parsed.digest, None)
        if found is None:
            traced = trace(parsed)
            totals = traced.summary().totals
            size = totals["weight_bytes"] + _BYTES_PER_LAYER * totals["layers"]
            self._make_room(size)
            sources = WeightSources(self._checkpoints, builds.get)
            found = Loaded(traced, materialize(traced, sources), size)
        self._loaded[parsed.digest] = found
        return found

    def clear(self) -> None:
        """Forget all networks."""
        self._loaded.clear()

    def _make_room(self, size: int) -> None:
        kept = len(self._loaded)
        while self._loaded and self._held() + size > self._max_bytes:
            self._loaded.popitem(last=False)
        if len(self._loaded) < kept:
            gc.collect()  # Keras's objects refer to each other: now, and not at some later time

    def _held(self) -> int:
        return sum(loaded.size for loaded in self._loaded.values())
