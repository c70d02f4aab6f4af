"""What one source gives to each variable of a build: tensors are matched by name, then by shape.

Two kinds of difference are bridged here, each with a note: names that are the variable's own in
another spelling (`names.spellings`), and shapes that hold the same values in another order
(`shapes`). A tensor in another scope may be another network's, so such a rename is only suggested.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from model_zoo.errors import Problem, json_pointer, unknown_name
from model_zoo.graph import Graph, Variable
from model_zoo.patterns import Names, fits_any
from model_zoo.tracing import Trace
from model_zoo.weight_sources import MOVING_AVERAGE, CheckpointWeights, StoredWeights
from model_zoo.weights.causes import known_causes
from model_zoo.weights.keras_names import keras_names
from model_zoo.weights.names import OUTPUT, Renames, Spelling, fits_none, spellings
from model_zoo.weights.notes import (
    average_notes,
    rename_notes,
    reordering_notes,
    spelling_notes,
)
from model_zoo.weights.plan import Comments, Row, SourcePlan, TensorInfo
from model_zoo.weights.plan_documents import FILLED, Status
from model_zoo.weights.shapes import Order, flattened_maps, order_of, reordering
from model_zoo.weights.suggestions import suggestions

# How many unknown names get suggestions, and among how many names: each takes milliseconds.
_MAX_SUGGESTED = 8
_MAX_COMPARED = 3000


@dataclass(frozen=True, slots=True)
class _Match:
    """The tensor that a variable's name leads to, and how; `name` is the source's own."""

    variable: Variable
    name: str
    status: Status
    spelling: Spelling


def plan_source(
    traced: Trace,
    source: StoredWeights,
    pointer: str,
    infos: Mapping[str, TensorInfo],
    global_step: int | None,
) -> SourcePlan:
    """Return what a source of tensors gives to the variables of a build that it is to fill."""
    graph = traced.graph
    renames = Renames(source.rename)
    by_target, clashes = _by_target(renames, infos, pointer)
    filled = Names(source.include, source.exclude)
    selected = [variable for variable in graph.variables if variable.name in filled]
    averages = isinstance(source, CheckpointWeights) and source.moving_averages
    keras = keras_names(graph)
    matches = {
        match.variable.name: match
        for variable in selected
        if (match := _match(variable, by_target, infos, keras[variable.name], averages))
    }
    rows = _fit(graph, selected, matches, infos)
    used = {row.name for row in rows if row.name is not None}
    unused = {name: info for name, info in infos.items() if name not in used}

    def comment() -> Comments:
        missing = [row.variable for row in rows if row.status == "missing"]
        no_floats = [variable.name for variable in missing if variable.name in by_target]
        causes = known_causes(
            traced,
            rows,
            unused,
            source="checkpoint" if isinstance(source, CheckpointWeights) else "source build",
            moving_averages=averages,
        )
        spelt = [matches[row.variable.name].spelling for row in rows if row.status in FILLED]
        return Comments(
            [*_no_floats(no_floats, by_target, infos), *causes],
            suggestions(missing, unused, used, moving_averages=averages),
            [
                *spelling_notes(spelt),
                *reordering_notes(rows),
                *average_notes(averages, infos),
                *rename_notes(renames, infos, used, graph.variables),
            ],
            [*clashes, *_patterns_without_effect(source, pointer, graph.variables, infos)],
        )

    return SourcePlan(source, pointer, rows, unused, comment, global_step)


def _by_target(
    renames: Renames, infos: Mapping[str, TensorInfo], pointer: str
) -> tuple[dict[str, str], list[Problem]]:
    """Return the source's names by what they are renamed to, and what two of them would be."""
    by_target: dict[str, str] = {}
    clashes: list[str] = []
    targets = {name: renames.target(name) for name in infos}
    # What is renamed first: it takes the place of what has the name already.
    for name, target in sorted(targets.items(), key=lambda pair: pair[0] == pair[1]):
        if target not in by_target:
            by_target[target] = name
        elif target != name:
            clashes.append(f"{by_target[target]!r} and {name!r} would both be {target!r}.")
    mistakes = [Problem(clash, pointer + "/rename") for clash in clashes[:_MAX_SUGGESTED]]
    if len(clashes) > _MAX_SUGGESTED:
        more = f"{len(clashes) - _MAX_SUGGESTED} more names would be given twice."
        mistakes.append(Problem(more, pointer + "/rename"))
    return by_target, mistakes


def _match(
    variable: Variable,
    by_target: Mapping[str, str],
    infos: Mapping[str, TensorInfo],
    keras: Sequence[str],
    averages: bool,
) -> _Match | None:
    for target, status, spelling in _candidates(variable.name, keras, averages):
        name = by_target.get(target)
        if name is not None and infos[name].dtype.startswith("float"):
            if status == "matched" and name != variable.name:
                status = "renamed"
            return _Match(variable, name, status, spelling)
    return None


def _candidates(
    variable: str, keras: Sequence[str], averages: bool
) -> Iterator[tuple[str, Status, Spelling]]:
    """Yield the names that a variable's value may have, the likeliest first."""
    spelt = list(spellings(variable))
    if averages:
        for spelling in spelt:
            end = MOVING_AVERAGE + (OUTPUT if spelling.output else "")
            yield spelling.name.removesuffix(OUTPUT) + end, "moving_average", spelling
    own, *others = spelt
    yield variable, "matched", own
    for name in keras:
        yield name, "renamed", own
    for spelling in others:
        yield spelling.name, "renamed", spelling


def _fit(
    graph: Graph,
    selected: Sequence[Variable],
    matches: Mapping[str, _Match],
    infos: Mapping[str, TensorInfo],
) -> list[Row]:
    """Return a row for each selected variable: what its tensor's shape makes of the match."""
    pairs = [(infos[match.name].shape, match.variable) for match in matches.values()]
    convolutions = order_of(pair for pair in pairs if len(pair[1].shape) > 2)
    dense = order_of(pair for pair in pairs if len(pair[1].shape) == 2)
    if dense == Order():
        dense = convolutions
    flattened = flattened_maps(graph)
    rows = []
    for variable in selected:
        match = matches.get(variable.name)
        if match is None:
            rows.append(Row(variable, "missing"))
            continue
        shape = infos[match.name].shape
        order = convolutions if len(variable.shape) > 2 else dense
        change = reordering(shape, variable, order)
        # Transposed, their inputs would still be in an order that is not known.
        unknown = change is not None and change.axes is not None and variable.name in flattened
        fitting = not unknown and (change is not None or shape == variable.shape)
        status = match.status if fitting else "shape_mismatch"
        rows.append(Row(variable, status, match.name, shape, change if fitting else None))
    return rows


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


def _patterns_without_effect(
    source: StoredWeights,
    pointer: str,
    variables: Sequence[Variable],
    held: Mapping[str, TensorInfo],
) -> list[Problem]:
    """Return a problem for each pattern that fits no variable, and each name that is not there."""
    names = [variable.name for variable in variables]
    mistakes: list[tuple[str, str, str, Collection[str]]] = []
    for field, patterns in (("include", source.include), ("exclude", source.exclude)):
        for index, pattern in enumerate(patterns):
            if not fits_any(names, pattern):
                what = f"{pattern!r} fits no variable of the build."
                mistakes.append((json_pointer(field, index), what, pattern, names))
    for key in source.rename:
        if fits_none(key, held):
            what = f"The source has no {'scope' if key.endswith('/') else 'tensor'} {key!r}."
            if "*" in key:
                what = f"{key!r} fits no tensor of the source."
            mistakes.append((json_pointer("rename", key), what, key, held))
    return [
        _unknown(pointer + place, what, name, known)
        if number < _MAX_SUGGESTED
        else Problem(what, pointer + place, name)
        for number, (place, what, name, known) in enumerate(mistakes)
    ]


def _unknown(pointer: str, rule: str, name: str, known: Collection[str]) -> Problem:
    """Return the problem of a pattern or name, with the nearest of the names and their scopes."""
    if len(known) <= _MAX_COMPARED and len(nearby := _scopes(known)) <= _MAX_COMPARED:
        return unknown_name(pointer, rule, name, nearby)
    return Problem(rule, pointer, name)


def _scopes(names: Iterable[str]) -> set[str]:
    """Return names, and the scopes that they stand in."""
    scopes = set(names)
    for name in names:
        parts = name.split("/")
        scopes.update("/".join(parts[:count]) + "/" for count in range(1, len(parts)))
    return scopes
