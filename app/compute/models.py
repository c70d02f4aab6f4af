"""The networks a worker holds: made from their specs, forgotten by least recent use."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model_zoo import BuildSpec, Model, Trace, materialize, trace

_BYTES_PER_PARAMETER = 4


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network that can compute."""

    trace: Trace
    model: Model
    weight_bytes: int


class Models:
    """Networks up to a number of bytes of weights; the one in use always stays."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()

    def get(self, spec: Mapping[str, Any]) -> Loaded:
        """Return the network of a normalized spec, made anew if it is not held."""
        parsed = BuildSpec.read(spec)
        found = self._loaded.pop(parsed.digest, None)
        if found is None:
            traced = trace(parsed)
            size = _BYTES_PER_PARAMETER * sum(v.size for v in traced.graph.variables)
            self._make_room(size)
            found = Loaded(traced, materialize(traced), size)
        self._loaded[parsed.digest] = found
        return found

    def clear(self) -> None:
        """Forget all networks."""
        self._loaded.clear()

    def _make_room(self, size: int) -> None:
        held = sum(loaded.weight_bytes for loaded in self._loaded.values())
        while self._loaded and held + size > self._max_bytes:
            _, forgotten = self._loaded.popitem(last=False)
            held -= forgotten.weight_bytes
