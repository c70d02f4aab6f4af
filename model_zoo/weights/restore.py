"""Restoring: what each source of a spec gives to each variable of its build, and the values.

A plan needs names and shapes only, so it is made before anything is read, and says what would
happen; the values follow it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import Problem, WeightsError, json_pointer, unknown_name
from model_zoo.graph import Variable
from model_zoo.patterns import fits
from model_zoo.spec import BuildSpec
from model_zoo.tracing import Trace, trace
from model_zoo.weight_sources import (
    MOVING_AVERAGE,
    CheckpointWeights,
    StoredWeights,
    Weights,
    seed,
    stored,
)
from model_zoo.weights.causes import known_causes, suggestions
from model_zoo.weights.keras_names import keras_names
from model_zoo.weights.plan import FILLED, RestorePlan, Row, SourcePlan, Status, TensorInfo
from model_zoo.weights.random import random_value

# Builds may take weights from builds; ids are digests, so never in a circle, but in long chains.
_MAX_BUILDS = 64
# How many unknown names get suggestions, and among how many names: each takes milliseconds.
_MAX_SUGGESTED = 8
_MAX_COMPARED = 3000


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
    """The weights of a build as its spec says: from its sources, else random."""

    def __init__(
        self,
        traced: Trace,
        library: WeightLibrary,
        *,
        builds: dict[str, TensorSource] | None = None,
    ) -> None:
        """`builds` are known already. What follows raises WeightsError if a source is missing."""
        self._traced = traced
        self._library = library
        self._weights = traced.spec.weights
        self._variables = {variable.name: variable for variable in traced.graph.variables}
        self._builds = {} if builds is None else builds

    @cached_property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """The build's variables."""
        return {v.name: TensorInfo(v.dtype, v.shape) for v in self._variables.values()}

    @property
    def global_step(self) -> int | None:
        return self.plan.global_step or None

    @cached_property
    def _sources(self) -> list[TensorSource]:
        return _find_sources(self._weights, self._library, self._builds)

    @cached_property
    def plan(self) -> RestorePlan:
        """What each source gives to each variable."""
        plans = []
        origins: dict[str, tuple[int, str]] = {}
        named = zip(stored(self._weights), self._sources, strict=True)
        for number, ((index, source), tensors) in enumerate(named):
            plan = _plan_source(self._traced, source, _pointer(self._weights, index), tensors)
            plans.append(plan)
            for row in plan.rows:
                if row.status in FILLED and row.name is not None:
                    origins[row.variable.name] = (number, row.name)
        return RestorePlan(self._traced.graph.variables, plans, origins)

    def read(self, name: str) -> NDArray[np.float32]:
        """Return the value of a variable.

        Shape: -> that of the variable
        """
        origin = self.plan.origins.get(name)
        if origin is None:
            return random_value(seed(self._weights), self._variables[name])
        number, name_in_source = origin
        value = self._sources[number].read(name_in_source)
        with np.errstate(over="ignore"):
            converted = value.astype(np.float32, copy=False)
        if converted is not value and np.isfinite(value).all() and not np.isfinite(converted).all():
            raise WeightsError(f"{name_in_source} has values that are too large for float32.")
        return converted


def _pointer(weights: Weights, index: int) -> str:
    return json_pointer("weights", index) if isinstance(weights, list) else "/weights"


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
                traced = trace(library.build(source.id))
                builds[source.id] = BuildTensors(traced, library, builds=builds)
            sources.append(builds[source.id])
        except WeightsError as error:
            pointer = _pointer(weights, index) + "/id"
            raise WeightsError(
                *(Problem(problem.message, pointer, source.id) for problem in error.problems)
            ) from error
    return sources


def _plan_source(
    traced: Trace, source: StoredWeights, pointer: str, tensors: TensorSource
) -> SourcePlan:
    infos = tensors.tensors
    by_target: dict[str, str] = {}
    mistakes: list[Problem] = []
    targets = {name: source.renamed(name) for name in infos}
    # What is renamed first: it takes the place of what has the name already.
    for name, target in sorted(targets.items(), key=lambda pair: pair[0] == pair[1]):
        if target not in by_target:
            by_target[target] = name
        elif target != name:
            what = f"{by_target[target]!r} and {name!r} would both be {target!r}."
            mistakes.append(Problem(what, pointer + "/rename"))
    variables = traced.graph.variables
    mistakes += _patterns_without_effect(source, pointer, variables, infos)
    keras = keras_names(traced.graph)
    rows = [
        _row(variable, source, by_target, infos, keras[variable.name])
        for variable in variables
        if source.selects(variable.name)
    ]
    used = {row.name for row in rows}
    unused = {name: info for name, info in infos.items() if name not in used}
    missing = [row.variable for row in rows if row.status == "missing"]
    no_floats = [v.name for v in missing if v.name in by_target]
    return SourcePlan(
        source,
        pointer,
        rows,
        unused,
        [*_no_floats(no_floats, by_target, infos), *known_causes(traced, rows, unused)],
        suggestions(missing, unused, {row.name for row in rows if row.name}),
        mistakes,
        tensors.global_step,
    )


def _no_floats(
    names: Sequence[str], by_target: Mapping[str, str], infos: Mapping[str, TensorInfo]
) -> list[str]:
    if not names:
        return []
    name = by_target[names[0]]
    return [
        f"{len(names)} of the tensors with these names are not floats: {name} is "
        f"{infos[name].dtype}."
    ]


def _row(
    variable: Variable,
    source: StoredWeights,
    by_target: Mapping[str, str],
    infos: Mapping[str, TensorInfo],
    keras: Sequence[str],
) -> Row:
    candidates: list[tuple[str, Status]] = [(variable.name, "matched")]
    if isinstance(source, CheckpointWeights) and source.moving_averages:
        candidates.insert(0, (variable.name + MOVING_AVERAGE, "moving_average"))
    candidates += [(name, "renamed") for name in keras]
    for target, status in candidates:
        name = by_target.get(target)
        if name is None:
            continue
        info = infos[name]
        if not info.dtype.startswith("float"):
            continue
        if info.shape != variable.shape:
            return Row(variable, "shape_mismatch", name, info.shape)
        renamed = status == "matched" and name != target
        return Row(variable, "renamed" if renamed else status, name, info.shape)
    return Row(variable, "missing")


def _patterns_without_effect(
    source: StoredWeights, pointer: str, variables: Sequence[Variable], held: Collection[str]
) -> list[Problem]:
    """Return a problem for each pattern that fits no variable, and each name that is not there."""
    names = [variable.name for variable in variables]
    build, there = _scopes(names), _scopes(held)
    mistakes: list[tuple[str, str, str, Collection[str]]] = []
    for field, patterns in (("include", source.include), ("exclude", source.exclude)):
        for index, pattern in enumerate(patterns):
            if not any(fits(name, pattern) for name in names):
                what = f"{pattern!r} fits no variable of the build."
                mistakes.append((json_pointer(field, index), what, pattern, build))
    for key in source.rename:
        if key not in there:
            what = f"The source has no {'scope' if key.endswith('/') else 'tensor'} {key!r}."
            mistakes.append((json_pointer("rename", key), what, key, there))
    return [
        unknown_name(pointer + place, what, name, known)
        if number < _MAX_SUGGESTED and len(known) <= _MAX_COMPARED
        else Problem(what, pointer + place, name)
        for number, (place, what, name, known) in enumerate(mistakes)
    ]


def _scopes(names: Iterable[str]) -> set[str]:
    """Return names, and the scopes that they stand in."""
    scopes = set(names)
    for name in names:
        parts = name.split("/")
        scopes.update("/".join(parts[:count]) + "/" for count in range(1, len(parts)))
    return scopes
