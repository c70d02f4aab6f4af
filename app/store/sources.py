"""Looks up the sources of a spec's weights: imported checkpoints, and builds."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.store.errors import disk_errors
from model_zoo import BuildSpec, Checkpoint, CheckpointStore, WeightsError


class WeightSources:
    """Gives checkpoints and builds to `model_zoo`.

    `spec_of` returns the normalized spec of a build, or None. The API reads it from the store, the
    worker from what came with the task.
    """

    def __init__(
        self, checkpoints: CheckpointStore, spec_of: Callable[[str], Mapping[str, Any] | None]
    ) -> None:
        self._checkpoints = checkpoints
        self._spec_of = spec_of

    def checkpoint(self, checkpoint_id: str) -> Checkpoint:
        """Return an imported checkpoint.

        Raises: WeightsError if no checkpoint has this id; StoreError.
        """
        with disk_errors():
            return self._checkpoints.get(checkpoint_id)

    def build(self, build_id: str) -> BuildSpec:
        """Return the spec of a build.

        Raises: WeightsError if no build has this id.
        """
        return BuildSpec.stored(self._spec(build_id))

    def check(self, spec: Mapping[str, Any]) -> None:
        """Raises: WeightsError if a source that a normalized spec names is gone; StoreError."""
        for checkpoint_id in checkpoint_ids(spec):
            self.checkpoint(checkpoint_id)
        for build_id in _builds_in(spec):
            self._spec(build_id)

    def specs_of_sources(self, spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """Return the specs of all builds that a spec takes weights from, directly or not.

        Raises: WeightsError if one of them does not exist.
        """
        specs: dict[str, Mapping[str, Any]] = {}
        pending = list(_builds_in(spec))
        while pending:
            build_id = pending.pop()
            if build_id not in specs:
                specs[build_id] = self._spec(build_id)
                pending += _builds_in(specs[build_id])
        return specs

    def _spec(self, build_id: str) -> Mapping[str, Any]:
        spec = self._spec_of(build_id)
        if spec is None:
            raise WeightsError(f"There is no build {build_id!r}.")
        return spec


def checkpoint_ids(spec: Mapping[str, Any]) -> list[str]:
    """Return the ids of the checkpoints that a normalized spec takes weights from."""
    return [source["id"] for source in _sources_in(spec) if source["source"] == "checkpoint"]


def _builds_in(spec: Mapping[str, Any]) -> Iterable[str]:
    return [source["id"] for source in _sources_in(spec) if source["source"] == "build"]


def _sources_in(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    weights = spec["weights"]
    return weights if isinstance(weights, list) else [weights]
