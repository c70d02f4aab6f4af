"""Which models a worker holds: up to a number of bytes, the least recently used leave first.

One that loads or is pinned never leaves, and one that computes only when it is done. The worker
does what is decided here.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from app.engine import ModelRef
from app.model_state import ModelState

# Reasons of models that failed to load, kept to be shown.
_FAILURES_KEPT = 256


@dataclass(slots=True)
class Held:
    """A model that is in memory, or on the way there."""

    ref: ModelRef
    state: ModelState
    size_bytes: int
    in_use: int = 0
    ready_at: float = 0.0
    is_new: bool = True  # nothing has been computed with it yet

    @property
    def batch_rows(self) -> int:
        """How many rows a batch may have; 0 while the model cannot compute."""
        if self.state.state != "ready":
            return 0
        return self.state.batch_rows

    @property
    def may_leave(self) -> bool:
        """Whether the memory can be given back now."""
        return self.state.state == "ready" and not self.in_use and not self.ref.pinned


@dataclass(slots=True)
class Residency:
    """The models of one worker."""

    max_bytes: int
    held: "OrderedDict[str, Held]" = field(default_factory=OrderedDict)
    evictions: Counter[str] = field(default_factory=Counter)
    # What a model took when it was here before, and the engine that was found fastest then.
    known: "OrderedDict[str, ModelState]" = field(default_factory=OrderedDict)
    failures: "OrderedDict[str, str]" = field(default_factory=OrderedDict)

    @property
    def bytes(self) -> int:
        """The memory of all models, those on the way included."""
        return sum(held.size_bytes for held in self.held.values())

    def find(self, ref: ModelRef) -> Held | None:
        """Return a model that is in memory or on the way there."""
        return self.held.get(ref.key)

    def batch_rows(self, ref: ModelRef) -> int:
        """Return how many rows of a model a batch may have; 0 if it cannot compute now."""
        held = self.held.get(ref.key)
        return held.batch_rows if held else 0

    def pin(self, ref: ModelRef) -> None:
        """Let a model that is here be pinned as the reference says."""
        held = self.held.get(ref.key)
        if held is not None:
            held.ref, held.state = ref, replace(held.state, pinned=ref.pinned)

    def use(self, ref: ModelRef) -> Held:
        """Count one more computation that needs the model; it was used last now."""
        held = self.held[ref.key]
        held.in_use += 1
        held.is_new = False
        self.held.move_to_end(ref.key)
        return held

    def begin(self, ref: ModelRef) -> Held:
        """Count a model as loading."""
        known = self.known.get(ref.key)
        size = known.size_bytes if known else ref.estimated_bytes
        held = Held(ref, ModelState("loading", pinned=ref.pinned), size)
        self.held[ref.key] = held
        self.failures.pop(ref.key, None)
        return held

    def finish(self, ref: ModelRef, state: ModelState, now: float) -> None:
        """Count a model as ready, with the size that was measured."""
        held = self.held[ref.key]
        held.state, held.size_bytes, held.ready_at = state, state.size_bytes, now
        self.known[ref.key] = state
        _bound(self.known)

    def fail(self, ref: ModelRef, reason: str) -> None:
        """Count a model as not loaded, and say why when it is asked for."""
        self.held.pop(ref.key, None)
        self.failures[ref.key] = reason
        _bound(self.failures)

    def victim(self, wanted: Collection[str]) -> Held | None:
        """Return the model that is to leave where they are over the limit, if one can.

        It may be in use, where none is idle: it takes no more work then, and leaves after that.
        One that is new and `wanted`, by its key, stays: models would only drive each other out.
        """
        candidates = [
            held
            for key, held in self.held.items()
            if held.state.state == "ready"
            and not held.ref.pinned
            and not (held.is_new and key in wanted)
        ]
        return min(candidates, key=lambda held: held.in_use > 0, default=None)

    def is_over(self) -> bool:
        """Whether the models are over the limit; a single one may be larger than it."""
        return len(self.held) > 1 and self.bytes > self.max_bytes

    @property
    def may_shrink(self) -> bool:
        """Whether a model can be gone when what is under way is done."""
        return any(
            held.state.state in ("ready", "unloading") and not held.ref.pinned
            for held in self.held.values()
        )

    def leaving(self, held: Held) -> None:
        """Count a model as on the way out: its memory is still taken."""
        held.state = replace(held.state, state="unloading")

    def left(self, ref: ModelRef, reason: str) -> None:
        """Count a model as gone."""
        if self.held.pop(ref.key, None) is not None:
            self.evictions[reason] += 1

    def clear(self) -> None:
        """Count all models as gone, the worker being gone."""
        self.held.clear()

    def state(self, ref: ModelRef) -> ModelState:
        """Return where a model stands."""
        held = self.held.get(ref.key)
        if held is not None:
            return held.state
        failure = self.failures.get(ref.key)
        if failure is not None:
            return ModelState("unavailable", failure, failed=True)
        return ModelState("unavailable", "not loaded: its next request loads it")


def _bound(kept: "OrderedDict[str, Any]") -> None:
    while len(kept) > _FAILURES_KEPT:
        kept.popitem(last=False)
