"""Levels ready to enter, read from a request or for a saved scope."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from pydantic import Field, JsonValue, ValidationError

from model_zoo.arg_scope import arguments_of_one_call, refused_arguments, scoped_op
from model_zoo.budget import Budget
from model_zoo.errors import MAX_PROBLEMS, Problem, SpecError, ZooError, describe_each, json_pointer
from model_zoo.format_problems import format_problems
from model_zoo.layers.registry import find_op, is_op, unknown_op
from model_zoo.level_format import RequestedLevels, ScopeLevel
from model_zoo.patterns import Names
from model_zoo.plain_values import spell
from model_zoo.saved_scopes import (
    IncludeLevel,
    SavedLevel,
    SavedScope,
    ScopeLibrary,
    ScopeUse,
    flatten,
)
from model_zoo.signatures import signature_of, to_wire
from model_zoo.weight_sources import Part
from model_zoo.zoo import LevelDocument

# Each is compared with every layer: so many, on 64 levels, trace and explain in under a second.
_MAX_SCOPE_PATTERNS = 128


@dataclass(frozen=True, slots=True)
class Level:
    """A scope level, ready to enter, and its place; `layers` of None is every layer.

    `pointer` is its place in the normalized spec, `sent` that in the request: for a level of a
    saved scope, which is named at `include`, that place and the one in the scope.
    """

    ops: tuple[Callable[..., Any], ...]
    arguments: Mapping[str, Any]
    pointer: str
    layers: Names | None
    is_forced: bool
    sent: str
    include: str = ""

    def reaches(self, layer: str) -> bool:
        """Return whether the level holds in a layer."""
        return self.layers is None or layer in self.layers

    def patterns(self) -> Iterator[tuple[str, str]]:
        """Yield each pattern of the level after its place in the normalized spec."""
        if self.layers is not None:
            for key, patterns in (
                ("layers", self.layers.patterns),
                ("except", self.layers.excluded),
            ):
                for index, pattern in enumerate(patterns):
                    yield self.pointer + json_pointer(key, index), pattern

    def normalized(self) -> LevelDocument:
        """Return the level as a request writes it, without what says nothing."""
        document: LevelDocument = {
            "ops": sorted(scoped_op(op).name for op in self.ops),
            "args": {key: to_wire(value) for key, value in self.arguments.items()},
        }
        if self.layers is not None and self.layers.patterns != ("*",):
            document["layers"] = list(self.layers.patterns)
        if self.layers is not None and self.layers.excluded:
            document["except"] = list(self.layers.excluded)
        if self.is_forced:
            document["force"] = True
        return document


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels that a request stands for, the saved scopes that it names, and what these replace.

    `outside` are the requested levels that the scope of `replacement` replaces.
    """

    levels: tuple[Level, ...]
    uses: tuple[ScopeUse, ...] = ()
    replacement: tuple[SavedScope, str] | None = None
    outside: tuple[ScopeLevel | IncludeLevel | SavedLevel, ...] = ()

    def replaced(self) -> str | None:
        """Return the sentence that says what a saved scope replaces of the request, if anything."""
        if self.replacement is None or not self.outside:
            return None
        shown = "; ".join(map(_describe_level, self.outside[:3]))
        more = f"; and {len(self.outside) - 3} more" if len(self.outside) > 3 else ""
        return (
            f"the saved scope {self.replacement[0].name!r} replaces the levels that the request "
            f"has before it: {shown}{more}."
        )

    def without_effect(self) -> Iterator[Problem]:
        """Yield a problem for each requested level that a saved scope replaces."""
        if self.replacement is not None:
            scope, place = self.replacement
            for index in range(len(self.outside)):
                rule = f"this level has no effect: the saved scope {scope.name!r} of {place} "
                yield Problem(f"{rule}replaces it.", json_pointer("scopes", index))

    def in_request(self, problem: Problem) -> Problem:
        """Return a problem of a level, placed as sent, as one of the name that the request has."""
        for level in self.levels:
            name, inside = level.include, problem.pointer.removeprefix(f"{level.include}: ")
            if name and inside != problem.pointer:
                return _included(replace(problem, pointer=inside), name)
        return problem


def _describe_level(level: ScopeLevel | IncludeLevel | SavedLevel) -> str:
    if isinstance(level, ScopeLevel):
        return f"{', '.join(level.args)} of {', '.join(level.ops)}"
    return repr(next(iter(level))[1])


class LevelContext(NamedTuple):
    """What reading a request takes beside it; `is_stored` says that it was accepted before."""

    scopes: ScopeLibrary | None = None
    budget: Budget = Budget()
    is_stored: bool = False


class ScopeRequest(Part):
    """What is saved under the name of a scope."""

    levels: RequestedLevels = Field(description="Outermost first.")
    left_out: list[JsonValue] = Field(
        default=[],
        description="As the scope at a layer of a build has it: it is no part of the scope.",
    )


def read_scope(
    name: str, data: object, scopes: ScopeLibrary | None = None, budget: Budget | None = None
) -> SavedScope:
    """Return the saved scope that parsed JSON, `{"levels": [...]}`, stands for.

    Raises: SpecError with a problem for each mistake, BudgetError if there are too many levels.
    """
    if not isinstance(data, Mapping):
        rule = f'A saved scope is an object, {{"levels": [...]}}; received {spell(data)}.'
        raise SpecError(Problem(rule, "", data))
    try:
        request = ScopeRequest.model_validate(dict(data))
    except ValidationError as error:
        raise SpecError(*format_problems(error, ScopeRequest)) from error
    context = LevelContext(scopes, budget or Budget())
    levels = read_levels(request.levels, "/levels", context, "scope")
    warnings = [f"/levels: {sentence}" for sentence in [levels.replaced()] if sentence]
    if count := len(request.left_out):
        warnings.append(
            f"/left_out: no level can set these arguments ({count}); they are not kept."
        )
    return SavedScope(
        name,
        tuple(level.normalized() for level in levels.levels),
        levels.replacement is not None,
        tuple(use.to_dict("/levels") for use in levels.uses),
        tuple(warnings),
    )


def read_levels(
    requested: Sequence[ScopeLevel | IncludeLevel | SavedLevel],
    base: str,
    context: LevelContext,
    what: str,
) -> Levels:
    """Return the levels that a request stands for.

    Raises: SpecError with a problem for each mistake, BudgetError if there are too many levels.
    """
    flat = flatten(requested, base, context.scopes, context.budget, what)
    problems: list[Problem] = []
    levels: list[Level] = []
    for index, (level, place, include) in enumerate(flat.levels):
        try:
            if not isinstance(level, ScopeLevel):
                level = _stored_level(level, place)
            read = read_level(level, place)
        except ZooError as error:
            problems += (_included(problem, include) for problem in error.problems)
            if len(problems) > MAX_PROBLEMS:
                break  # enough to mend; each level may hold as many
            continue
        sent = f"{include}: {place}" if include else place
        pointer = base + json_pointer(index)
        levels.append(replace(read, pointer=pointer, sent=sent, include=include))
    patterns = sum(len(list(level.patterns())) for level in levels)
    if patterns > _MAX_SCOPE_PATTERNS:
        rule = (
            f"The levels of scopes have {patterns} patterns of layers together; the limit is "
            f"{_MAX_SCOPE_PATTERNS}."
        )
        problems.append(Problem(rule, base, patterns))
    if problems:
        raise SpecError(*problems)
    return Levels(tuple(levels), flat.uses, flat.replacement, flat.outside)


def _stored_level(document: LevelDocument, pointer: str) -> ScopeLevel:
    try:
        return ScopeLevel.model_validate(document)
    except ValidationError as error:
        raise SpecError(
            *(
                replace(problem, pointer=pointer + problem.pointer)
                for problem in format_problems(error, ScopeLevel)
            )
        ) from error


def _included(problem: Problem, include: str) -> Problem:
    """Return the problem of a saved scope's level as one of its name, which the request has."""
    if not include:
        return problem
    return replace(problem, pointer=include, message=f"{problem.pointer}: {problem.message}")


def read_level(level: ScopeLevel, pointer: str) -> Level:
    """Return a level, ready to enter; `pointer` is its place.

    Raises: SpecError with a problem for each mistake.
    """
    unknown = [place for place in enumerate(level.ops) if not is_op(place[1])]
    if unknown:
        raise SpecError(
            *describe_each(
                unknown, lambda each: unknown_op(each[1], pointer + json_pointer("ops", each[0]))
            )
        )
    problems: list[Problem] = []
    functions = dict.fromkeys(map(find_op, level.ops))
    ops = tuple(scoped_op(function) for function in functions)
    arguments_pointer = pointer + "/args"
    refused = list(refused_arguments(ops, level.args, arguments_pointer))
    refused += arguments_of_one_call(ops, level.args, arguments_pointer, is_forced=level.force)
    if refused:
        raise SpecError(*refused)
    arguments: dict[str, Any] = {}
    for function in functions:
        # Ops that share an argument share its type, so the last reading equals the others.
        try:
            arguments |= signature_of(function).read(
                level.args, arguments_pointer, scoped_op(function).name, complete=False
            )
        except SpecError as error:
            problems += [problem for problem in error.problems if problem not in problems]
            break
    if problems:
        raise SpecError(*problems)
    return Level(tuple(functions), arguments, pointer, level.where(), level.force, pointer)
