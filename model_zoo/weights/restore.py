"""Restoring: what each source of a spec gives to each variable of its build, and the values.

A plan needs names and shapes only, so it is made before anything is read, and says what would
happen; the values follow it.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import Problem, WeightsError
from model_zoo.graph import Variable
from model_zoo.spec import BuildSpec
from model_zoo.tracing import Trace, trace
from model_zoo.weight_sources import (
    CheckpointWeights,
    Weights,
    seed,
    source_pointer,
    stored,
)
from model_zoo.weights.plan import RestorePlan, Row, TensorInfo, last_step
from model_zoo.weights.plan_documents import FILLED
from model_zoo.weights.random import random_value
from model_zoo.weights.source_plans import plan_source

# Builds may take weights from builds; ids are digests, so never in a circle, but in long chains.
_MAX_BUILDS = 64


class TensorSource(Protocol):
    """Named tensors to restore from."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]: ...

    @property
    def global_step(self) -> int | None: ...

    def read(self, name: str) -> NDArray[Any]: ...


class WeightLibrary(Protocol):
    """Where the sources of a spec are looked up; both raise WeightsError for an unknown id."""

    def checkpoint(self, checkpoint_id: str) -> TensorSource: ...

    def build(self, build_id: str) -> BuildSpec: ...


class NoLibrary:
    """A library without entries, for specs whose weights are random."""

    def checkpoint(self, checkpoint_id: str) -> TensorSource:
        """Raises: WeightsError, always."""
        raise WeightsError(f"Checkpoint {checkpoint_id} is named, and no store was given.")

    def build(self, build_id: str) -> BuildSpec:
        """Raises: WeightsError, always."""
        raise WeightsError(f"Build {build_id} is named, and no store was given.")


def plan_restore(traced: Trace, library: WeightLibrary) -> RestorePlan:
    """Return what each source of a spec gives to each variable of its build.

    Raises: WeightsError if a source does not exist; `check` of the plan, if one does not fit.
    """
    return BuildTensors(traced, library).plan


def build_weights(
    traced: Trace, library: WeightLibrary | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return the weights of a trace's spec by TF-Slim's names, in order of creation.

    Raises: WeightsError if a source of the weights does not exist, or is strict and does not fit.
    """
    tensors = BuildTensors(traced, library or NoLibrary())
    tensors.plan.check()
    return {name: tensors.read(name) for name in tensors.tensors}


class BuildTensors:
    """The weights of a build as its spec says: from its sources, else random.

    A build in a long chain of builds is traced, and its plan made, only if its values are needed.
    """

    def __init__(
        self,
        build: Trace | BuildSpec,
        library: WeightLibrary,
        *,
        builds: dict[str, TensorSource] | None = None,
    ) -> None:
        """`builds` are known already. What follows raises WeightsError if a source is missing."""
        self._build = build
        self._library = library
        self._weights = (build if isinstance(build, BuildSpec) else build.spec).weights
        self._builds = {} if builds is None else builds

    @cached_property
    def _traced(self) -> Trace:
        return trace(self._build) if isinstance(self._build, BuildSpec) else self._build

    @cached_property
    def _variables(self) -> Mapping[str, Variable]:
        return {variable.name: variable for variable in self._traced.graph.variables}

    @cached_property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """The build's variables."""
        return {v.name: TensorInfo(v.dtype, v.shape) for v in self._variables.values()}

    @property
    def global_step(self) -> int | None:
        return last_step(source.global_step for source in self._sources)

    @cached_property
    def _sources(self) -> list[TensorSource]:
        return _find_sources(self._weights, self._library, self._builds)

    @cached_property
    def plan(self) -> RestorePlan:
        """What each source gives to each variable."""
        plans = []
        origins: dict[str, tuple[int, Row]] = {}
        named = zip(stored(self._weights), self._sources, strict=True)
        for number, ((index, source), tensors) in enumerate(named):
            pointer = source_pointer(self._weights, index)
            plan = plan_source(self._traced, source, pointer, tensors.tensors, tensors.global_step)
            plans.append(plan)
            for row in plan.rows:
                if row.status in FILLED:
                    origins[row.variable.name] = (number, row)
        return RestorePlan(self._traced.graph.variables, plans, origins)

    def read(self, name: str) -> NDArray[np.float32]:
        """Return the value of a variable.

        Shape: -> that of the variable
        """
        origin = self.plan.origins.get(name)
        if origin is None:
            return random_value(seed(self._weights), self._variables[name])
        number, row = origin
        value = self._sources[number].read(str(row.name))
        with np.errstate(over="ignore"):
            converted = value.astype(np.float32, copy=False)
        if converted is not value and np.isfinite(value).all() and not np.isfinite(converted).all():
            raise WeightsError(f"{row.name} has values that are too large for float32.")
        if row.reordering is not None:
            return row.reordering.apply(converted, row.variable.shape)
        return converted


def _find_sources(
    weights: Weights, library: WeightLibrary, builds: dict[str, TensorSource]
) -> list[TensorSource]:
    """Return the tensors of each stored source; `builds` keeps those of builds, each made once."""
    sources: list[TensorSource] = []
    known: dict[str, TensorSource] = {}
    for index, source in stored(weights):
        try:
            if isinstance(source, CheckpointWeights):
                if source.id not in known:
                    known[source.id] = library.checkpoint(source.id)
                sources.append(known[source.id])
                continue
            if source.id not in builds:
                if len(builds) >= _MAX_BUILDS:
                    raise WeightsError(f"The sources lead through more than {_MAX_BUILDS} builds.")
                spec = library.build(source.id)
                builds[source.id] = BuildTensors(spec, library, builds=builds)
            sources.append(builds[source.id])
        except WeightsError as error:
            pointer = source_pointer(weights, index) + "/id"
            raise WeightsError(
                *(Problem(problem.message, pointer, source.id) for problem in error.problems)
            ) from error
    return sources
