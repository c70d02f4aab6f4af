"""Sources of arrays for restore plans, and a small MobileNet v1 of 137 variables to restore."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from model_zoo import BuildSpec, Trace, WeightsError, trace
from model_zoo.verify import golden_value
from model_zoo.weights.plan import RestorePlan, TensorInfo
from model_zoo.weights.plan_documents import FILLED
from model_zoo.weights.restore import BuildTensors

ID = "c" * 64
PLAIN = {
    "architecture": "mobilenet_v1",
    "params": {"num_classes": 1001, "depth_multiplier": 0.25},
    "input_shape": [128, 128, 3],
}


class Arrays:
    """A source that holds arrays."""

    def __init__(self, arrays: Mapping[str, np.ndarray], global_step: int | None = None) -> None:
        self.arrays = arrays
        self.global_step = global_step
        self.tensors = {name: TensorInfo(str(a.dtype), a.shape) for name, a in arrays.items()}

    def read(self, name: str) -> np.ndarray:
        return self.arrays[name]


class Library:
    """Checkpoints and builds by id."""

    def __init__(self, **entries: Any) -> None:
        self.checkpoints = {key: entry for key, entry in entries.items() if len(key) == 64}
        self.builds = {key: entry for key, entry in entries.items() if len(key) == 32}

    def checkpoint(self, checkpoint_id: str) -> Arrays:
        try:
            return self.checkpoints[checkpoint_id]
        except KeyError:
            raise WeightsError("There is no such checkpoint.") from None

    def build(self, build_id: str) -> BuildSpec:
        return self.builds[build_id]


def traced(**changes: Any) -> Trace:
    return trace(BuildSpec.read({**PLAIN, **changes}))


def golden(of: Trace) -> dict[str, np.ndarray]:
    return {variable.name: golden_value(variable) for variable in of.graph.variables}


def checkpoint(**fields: Any) -> dict[str, Any]:
    return {"source": "checkpoint", "id": ID, **fields}


def restored(
    arrays: Mapping[str, np.ndarray], source: dict[str, Any] | None = None, **changes: Any
) -> BuildTensors:
    """Return the tensors of a build that is to take its weights from the arrays."""
    build = traced(weights=source or checkpoint(), **changes)
    return BuildTensors(build, Library(**{ID: Arrays(arrays)}))


def plan(
    arrays: Mapping[str, np.ndarray], source: dict[str, Any] | None = None, **changes: Any
) -> RestorePlan:
    return restored(arrays, source, **changes).plan


def not_filled(result: RestorePlan) -> list[tuple[str, str]]:
    (source,) = result.sources
    return [(row.variable.name, row.status) for row in source.rows if row.status not in FILLED]


def causes(result: RestorePlan) -> list[str]:
    (source,) = result.sources
    return list(source.causes)


def notes(result: RestorePlan) -> list[str]:
    (source,) = result.sources
    return list(source.notes)


def suggested(result: RestorePlan) -> list[str]:
    (source,) = result.sources
    return [str(suggestion) for suggestion in source.suggestions]


def values(tensors: BuildTensors) -> dict[str, np.ndarray]:
    """Return every value of a build, all of which must come from its sources."""
    tensors.plan.check()
    assert tensors.plan.share == 1
    return {name: tensors.read(name) for name in tensors.tensors}


def assert_same(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, strict=True)
