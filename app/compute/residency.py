"""Decides which models a worker keeps in memory, and which one leaves to make room.

Models may take a number of bytes; the least recently used leaves first. A model that is loading or
pinned stays, and one that computes leaves only when it is done. `model_loads` carries out
what is decided here.
"""

from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from app.compute.engine_process import EngineProcess
from app.engine import ModelRef, ModelState, UnloadReason

NOT_LOADED = ModelState("unavailable", "not loaded: its next request loads it")
# How many models are remembered that are not in memory.
_MAX_REMEMBERED = 256


@dataclass(slots=True)
class ResidentModel:
    """A model that is in memory, or loading."""

    ref: ModelRef
    process: EngineProcess
    state: ModelState
    size_bytes: int
    in_use: int = 0
    ready_at: float = 0.0
    is_new: bool = True  # no batch has used it yet
    has_answered: bool = False  # a batch is done

    @property
    def batch_rows(self) -> int:
        """The most rows that a batch may have; 0 while the model cannot compute."""
        if self.state.state != "ready":
            return 0
        return self.state.batch_rows

    @property
    def is_idle(self) -> bool:
        """Whether the memory can be freed now."""
        return self.state.state == "ready" and not self.in_use and not self.ref.pinned


@dataclass(slots=True)
class Residency:
    """The models of one worker."""

    max_bytes: int
    models: "OrderedDict[str, ResidentModel]" = field(default_factory=OrderedDict)
    evictions: Counter[UnloadReason] = field(default_factory=Counter)
    # The states of earlier loads: the size, and the engine that was the fastest.
    known: "OrderedDict[str, ModelState]" = field(default_factory=OrderedDict)
    failures: "OrderedDict[str, str]" = field(default_factory=OrderedDict)

    @property
    def bytes(self) -> int:
        """The memory of all models, also of those that are loading."""
        return sum(model.size_bytes for model in self.models.values())

    def find(self, ref: ModelRef) -> ResidentModel | None:
        """Return a model that is in memory or loading."""
        return self.models.get(ref.key)

    def batch_rows(self, ref: ModelRef) -> int:
        """Return the most rows of a model that a batch may have; 0 if it cannot compute now."""
        model = self.find(ref)
        return model.batch_rows if model else 0

    def pin(self, ref: ModelRef) -> None:
        """Pin a resident model, or no longer, as the reference says."""
        model = self.find(ref)
        if model is not None:
            model.ref, model.state = ref, replace(model.state, pinned=ref.pinned)

    def use(self, ref: ModelRef) -> ResidentModel:
        """Count one more batch that uses a model, which is the most recently used now."""
        model = self.models[ref.key]
        model.in_use += 1
        model.is_new = False
        self.models.move_to_end(ref.key)
        return model

    def begin_load(self, ref: ModelRef, process: EngineProcess) -> None:
        """Count a model as loading, in one of the worker's processes."""
        known = self.known.get(ref.key)
        size = known.size_bytes if known else ref.estimated_bytes
        state = ModelState("loading", pinned=ref.pinned)
        self.models[ref.key] = ResidentModel(ref, process, state, size)
        self.failures.pop(ref.key, None)

    def finish_load(self, ref: ModelRef, state: ModelState, now: float) -> None:
        """Count a model as ready, or as warmed up too, with its measured size."""
        model = self.models[ref.key]
        model.state, model.size_bytes = state, state.size_bytes
        model.ready_at = model.ready_at or now
        self.known[ref.key] = state
        _bound(self.known)

    def cancel_load(self, ref: ModelRef) -> None:
        """Count a model as not loaded yet: it is to be loaded in another process."""
        self.models.pop(ref.key, None)

    def fail_load(self, ref: ModelRef, reason: str) -> None:
        """Count a model as not loaded, for a reason that its state shows."""
        self.models.pop(ref.key, None)
        self.failures[ref.key] = reason
        _bound(self.failures)

    def victim(self, queued: Collection[str]) -> ResidentModel | None:
        """Return the model that must leave while they are over the limit, if one can.

        If none is idle, it is one in use: it takes no more batches, and leaves after the last one.
        A new model that requests are `queued` for, by its key, stays: models would only evict each
        other.
        """
        candidates = [
            model
            for key, model in self.models.items()
            if model.state.state == "ready"
            and not model.ref.pinned
            and not (model.is_new and key in queued)
        ]
        return min(candidates, key=lambda model: model.in_use > 0, default=None)

    def is_over(self) -> bool:
        """Return whether the models are over the limit; a single one may be larger than it."""
        return len(self.models) > 1 and self.bytes > self.max_bytes

    @property
    def may_shrink(self) -> bool:
        """Whether a model can leave once the batches in progress are done."""
        return any(
            model.state.state in ("ready", "unloading") and not model.ref.pinned
            for model in self.models.values()
        )

    def begin_unload(self, model: ResidentModel) -> None:
        """Count a model as unloading: its memory is not free yet."""
        model.state = replace(model.state, state="unloading")

    def finish_unload(self, ref: ModelRef, reason: UnloadReason) -> None:
        """Count a model as gone."""
        if self.models.pop(ref.key, None) is not None:
            self.evictions[reason] += 1

    def clear(self, process: EngineProcess) -> None:
        """Count the models of a process as gone, because it is."""
        for key, model in list(self.models.items()):
            if model.process is process:
                del self.models[key]

    def state(self, ref: ModelRef) -> ModelState:
        """Return the state of a model."""
        model = self.find(ref)
        if model is not None:
            return model.state
        failure = self.failures.get(ref.key)
        if failure is not None:
            return ModelState("unavailable", failure, failed=True)
        return NOT_LOADED

    def states(self) -> dict[str, ModelState]:
        """Return the state, by key, of each model in memory and of each that failed to load."""
        failed = {
            key: ModelState("unavailable", reason, failed=True)
            for key, reason in self.failures.items()
        }
        # On trial, a model is there twice: under its key is the one that computes.
        there = {key: each.state for key, each in self.models.items() if key == each.ref.key}
        return failed | there


def _bound(remembered: "OrderedDict[str, Any]") -> None:
    while len(remembered) > _MAX_REMEMBERED:
        remembered.popitem(last=False)
