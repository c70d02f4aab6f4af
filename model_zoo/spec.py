"""BuildSpec: what a request says, checked against the catalogue, normalized and digested."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, ValidationError, ValidationInfo, model_validator
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.architectures.registry import Architecture
from model_zoo.budget import Budget
from model_zoo.errors import Problem, SpecError, ZooError, json_pointer
from model_zoo.format_problems import format_problems
from model_zoo.level_format import RequestedLevels, ScopeLevel
from model_zoo.levels import Level, LevelContext, Levels, read_levels
from model_zoo.patterns import normalized_pattern
from model_zoo.plain_values import spell
from model_zoo.saved_scopes import ScopeLibrary, ScopeUseDocument
from model_zoo.signatures import signature_of
from model_zoo.weight_sources import (
    Part,
    RandomWeights,
    Source,
    Weights,
    in_order,
    rename_problems,
    seed,
    stored,
)
from model_zoo.zoo import LevelDocument, find_architecture, parameters

# Part of the digest: a change of meaning gives every spec a new id.
SPEC_VERSION = 1
# Far more sizes than any input has.
_MAX_RANK = 32


class SpecDocument(TypedDict):
    """A build spec with every default filled in, and every name spelt one way."""

    architecture: str
    params: dict[str, JsonValue]
    input_shape: list[int]
    is_training: bool
    default_scope: dict[str, JsonValue] | None
    scopes: list[LevelDocument]
    weights: JsonValue


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec's names turned into what they stand for."""

    entry: Architecture
    params: Mapping[str, Any]
    default_scope: Mapping[str, Any] | None
    scopes: Levels
    input_shape: tuple[int, ...]

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels to enter, outermost first."""
        return self.scopes.levels


class BuildSpec(Part):
    """A build request. Only `architecture` is required."""

    architecture: str = Field(examples=["inception_v3"])
    params: dict[str, JsonValue] = Field(
        default={},
        description="Parameters of the network; `num_classes` is the published number unless "
        "given, and null for features.",
        examples=[{"num_classes": 1001}],
    )
    requested_input_shape: list[Annotated[int, Field(ge=1)]] | None = Field(
        default=None,
        max_length=_MAX_RANK,
        alias="input_shape",
        description="Height, width, channels, for video after frames; null for the architecture's "
        "own.",
    )
    is_training: bool = False
    default_scope: dict[str, JsonValue] | None = Field(
        default={}, description="Arguments of the architecture's default scope; null leaves it out."
    )
    scopes: RequestedLevels = Field(default=[], description="Outermost first.")
    weights: Weights = Field(
        default=RandomWeights(),
        description="A source, or several that apply in order; what none fills is random.",
    )
    strict: bool = Field(
        default=False, description="Refuse overrides without effect instead of warning."
    )

    @classmethod
    def read(
        cls, data: object, scopes: ScopeLibrary | None = None, budget: Budget | None = None
    ) -> Self:
        """Return the spec that parsed JSON stands for; `scopes` has the saved scopes that it names.

        Raises: SpecError with a problem for each mistake, BudgetError if there are too many levels.
        """
        return cls._read(data, LevelContext(scopes, budget or Budget()))

    @classmethod
    def stored(cls, document: Mapping[str, Any]) -> Self:
        """Return the spec of a normalized document that was kept.

        What is only likely to be a mistake, as channels that come first, was accepted before it was
        refused, and is here.
        """
        return cls._read(document, LevelContext(is_stored=True))

    @classmethod
    def _read(cls, data: object, context: LevelContext) -> Self:
        if not isinstance(data, Mapping):
            raise SpecError(
                Problem(f"A build spec is a JSON object; received {spell(data)}.", "", data)
            )
        try:
            return cls.model_validate(dict(data), context=context)
        except ValidationError as error:
            raise SpecError(*format_problems(error, cls)) from error

    @model_validator(mode="after")
    def _check_names(self, info: ValidationInfo) -> Self:
        # A frozen pydantic model takes no attributes; its dictionary holds the result.
        self.__dict__["_resolved"] = _resolve(self, info.context or LevelContext())
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One example's (H, W, C), or (T, H, W, C) of a video network."""
        return self.resolved().input_shape

    def resolved(self) -> Resolved:
        """Return what the spec's names stand for."""
        resolved: Resolved = self.__dict__["_resolved"]
        return resolved

    @property
    def saved_scopes(self) -> list[ScopeUseDocument]:
        """The saved scopes that the request names, with the places of their levels as normalized.

        They are no part of the digest: a name may stand for other levels later.
        """
        return [use.to_dict("/scopes") for use in self.resolved().scopes.uses]

    def normalized(self) -> SpecDocument:
        """Return the spec with every default filled in and every name spelt one way."""
        resolved = self.resolved()
        scope_arguments = resolved.default_scope
        return {
            "architecture": self.architecture,
            "params": parameters(resolved.entry).normalized(resolved.params),
            "input_shape": list(resolved.input_shape),
            "is_training": self.is_training,
            "default_scope": None
            if scope_arguments is None
            else signature_of(resolved.entry.arg_scope).normalized(scope_arguments),
            "scopes": [level.normalized() for level in resolved.levels],
            "weights": self._normalized_weights(),
        }

    def placed_as_sent(self) -> Self:
        """Return this spec with its levels' places in the request, which errors give."""
        resolved = self.resolved()
        levels = tuple(replace(level, pointer=level.sent) for level in resolved.levels)
        copy = self.model_copy()
        scopes = replace(resolved.scopes, levels=levels)
        copy.__dict__["_resolved"] = replace(resolved, scopes=scopes)
        return copy

    def as_sent(self, problem: Problem) -> Problem:
        """Return a problem of this spec, its levels placed as sent, with its place in the request.

        Patterns are sorted when they are normalized, and of a saved scope a request has the name.
        """
        match problem.pointer.split("/"):
            case ["", "scopes", index, "layers" | "except" as key, _]:
                level = self.scopes[int(index)]
                if isinstance(level, ScopeLevel):
                    patterns = level.layers if key == "layers" else level.except_
                    simple = [normalized_pattern(pattern) for pattern in patterns]
                    sent = json_pointer("scopes", index, key, simple.index(str(problem.received)))
                    return replace(problem, pointer=sent)
        return self.resolved().scopes.in_request(problem)

    def _normalized_weights(self) -> Any:
        random = RandomWeights(seed=seed(self.weights)).model_dump()
        sources = [source.model_dump() for _, source in stored(self.weights)]
        return [random, *sources] if sources else random

    @property
    def digest(self) -> str:
        """The build's id: equal for specs that mean the same."""
        text = json.dumps(
            {"version": SPEC_VERSION, **self.normalized()}, sort_keys=True, separators=(",", ":")
        )
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _resolve(spec: BuildSpec, context: LevelContext) -> Resolved:
    try:
        entry = find_architecture(spec.architecture, "/architecture")
    except ZooError as error:
        raise SpecError(*error.problems) from error
    problems: list[Problem] = []

    def attempt(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return read()
        except ZooError as error:
            problems.extend(error.problems)
            return {}

    given = attempt(lambda: parameters(entry).read(spec.params, "/params", spec.architecture))
    shape = spec.requested_input_shape or entry.input_shape
    problems += _misshapen(
        spec.architecture, list(shape), len(entry.input_shape), is_stored=context.is_stored
    )
    scope_arguments = spec.default_scope
    default_scope = (
        None
        if scope_arguments is None
        else attempt(
            lambda: signature_of(entry.arg_scope).read(
                scope_arguments, "/default_scope", entry.arg_scope.__name__
            )
        )
    )
    problems += _misplaced(in_order(spec.weights))
    problems += rename_problems(spec.weights)
    scopes = Levels(())
    try:
        scopes = read_levels(spec.scopes, "/scopes", context, "build")
    except SpecError as error:
        problems += error.problems
    if problems:
        raise SpecError(*problems)
    return Resolved(
        entry,
        {**parameters(entry).defaults(), **given},
        None if scopes.replacement else default_scope,
        scopes,
        tuple(shape),
    )


# Of a gray image, of red, green and blue, and of these with alpha.
_CHANNELS = (1, 3, 4)
_MOST_CHANNELS = max(_CHANNELS)


def _misshapen(
    architecture: str, shape: list[int], rank: int, *, is_stored: bool
) -> Iterator[Problem]:
    """Yield the problem of an input shape of another rank, or in another order."""
    names = ("frames, " if rank == 4 else "") + "height, width, channels"
    rule = f"{architecture} takes {rank} sizes: {names}; received {shape}"
    if len(shape) != rank:
        without = shape[1:]
        hint = f" Leave out the batch: {without}." if len(without) == rank else ""
        suggestion = str(without) if hint else None
        yield Problem(f"{rule}.{hint}", "/input_shape", shape, suggestion)
    elif shape[-1] > _MOST_CHANNELS and not is_stored:
        for place, where in enumerate(("first", "before the height")[: rank - 2]):
            if shape[place] in _CHANNELS:
                last = str([*shape[:place], *shape[place + 1 :], shape[place]])
                rule = f"{rule}, which has the channels {where}. Write {last}."
                yield Problem(rule, "/input_shape", shape, last)
                return


def _misplaced(sources: list[Source]) -> list[Problem]:
    return [
        Problem(
            "Random values fill what no other source does, so their source stands first, and once.",
            json_pointer("weights", index),
            source.model_dump(),
        )
        for index, source in enumerate(sources)
        if index and isinstance(source, RandomWeights)
    ]
