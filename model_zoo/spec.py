"""BuildSpec: what a request says, checked against the catalogue, normalized and digested."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, JsonValue, ValidationError, model_validator
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.architectures.registry import Architecture
from model_zoo.arg_scope import arguments_of_one_call, refused_arguments, scoped_op
from model_zoo.errors import Problem, SpecError, ZooError, json_pointer, unknown_name
from model_zoo.layers import find_op
from model_zoo.patterns import Names
from model_zoo.plain_values import spell
from model_zoo.signatures import signature_of, to_wire
from model_zoo.weight_sources import (
    Part,
    Patterns,
    RandomWeights,
    Source,
    Weights,
    in_order,
    rename_problems,
    seed,
    source_models,
    stored,
)
from model_zoo.zoo import LevelDocument, find_architecture, parameters

# Part of the digest: a change of meaning gives every spec a new id.
SPEC_VERSION = 1
# Each is compared with every layer: so many, on 64 levels, trace and explain in under a second.
_MAX_SCOPE_PATTERNS = 256


class ScopeLevel(Part):
    """One `arg_scope`: the ops it reaches, and their arguments."""

    ops: Annotated[list[str], Field(min_length=1)] = Field(
        description="Scoped ops by name; see /v1/ops.", examples=[["conv2d", "separable_conv2d"]]
    )
    args: dict[str, JsonValue] = Field(
        description="Arguments by name; functions by name, or an object of name and arguments.",
        examples=[{"activation_fn": "relu6"}],
    )
    layers: Annotated[Patterns, Field(min_length=1)] = Field(
        default=["*"],
        description="The layers whose calls the level reaches, by the name that the explanation "
        "shows; * stands for any characters, `/` among them.",
        examples=[["InceptionV3/Mixed_5b/*"]],
    )
    except_: Patterns = Field(
        default=[],
        alias="except",
        description="Layers among those that the level leaves alone.",
        examples=[["*/Conv2d_1c_1x1*"]],
    )
    force: bool = Field(
        default=False,
        description="Beat what the network itself passes to the calls and sets in its own scopes.",
    )

    def where(self) -> Names | None:
        """Return the layers that the level is limited to; None for a level without a limit."""
        layers, excluded = sorted({*self.layers}), sorted({*self.except_})
        return None if layers == ["*"] and not excluded else Names(layers, excluded)


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
class Level:
    """A scope level, ready to enter, and its place; `layers` of None is every layer."""

    ops: tuple[Callable[..., Any], ...]
    arguments: Mapping[str, Any]
    pointer: str
    layers: Names | None
    is_forced: bool

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
class Resolved:
    """A spec's names turned into what they stand for."""

    entry: Architecture
    params: Mapping[str, Any]
    default_scope: Mapping[str, Any] | None
    levels: tuple[Level, ...]
    input_shape: tuple[int, ...]


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
        alias="input_shape",
        description="Height, width, channels, for video after frames; null for the architecture's "
        "own.",
    )
    is_training: bool = False
    default_scope: dict[str, JsonValue] | None = Field(
        default={}, description="Arguments of the architecture's default scope; null leaves it out."
    )
    scopes: list[ScopeLevel] = Field(default=[], description="Outermost first.")
    weights: Weights = Field(
        default=RandomWeights(),
        description="A source, or several that apply in order; what none fills is random.",
    )
    strict: bool = Field(
        default=False, description="Refuse overrides without effect instead of warning."
    )

    @classmethod
    def read(cls, data: object) -> Self:
        """Return the spec that parsed JSON stands for.

        Raises: SpecError with a problem for each mistake.
        """
        if not isinstance(data, Mapping):
            raise SpecError(
                Problem(f"A build spec is a JSON object; received {spell(data)}.", "", data)
            )
        try:
            return cls.model_validate(dict(data))
        except ValidationError as error:
            raise SpecError(*_problems(error)) from error

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        self.resolved()
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """One example's (H, W, C), or (T, H, W, C) of a video network."""
        return self.resolved().input_shape

    def resolved(self) -> Resolved:
        """Return what the spec's names stand for.

        Raises: SpecError with a problem for each mistake.
        """
        resolved = self.__dict__.get("_resolved")
        if resolved is None:
            # A frozen pydantic model takes no attributes; its dictionary holds the cached result.
            resolved = self.__dict__["_resolved"] = _resolve(self)
        return resolved

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

    def as_sent(self, problem: Problem) -> Problem:
        """Return a problem of the normalized spec with its place in this one."""
        match problem.pointer.split("/"):
            case ["", "scopes", index, "layers" | "except" as key, _]:  # sorted there
                level = self.scopes[int(index)]
                patterns = level.layers if key == "layers" else level.except_
                sent = json_pointer("scopes", index, key, patterns.index(str(problem.received)))
                return replace(problem, pointer=sent)
        return problem

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


def _resolve(spec: BuildSpec) -> Resolved:
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
    problems += _misshapen(spec.architecture, list(shape), len(entry.input_shape))
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
    levels: list[Level] = []
    for index, level in enumerate(spec.scopes):
        try:
            levels.append(_read_level(level, json_pointer("scopes", index)))
        except ZooError as error:
            problems += error.problems
    patterns = sum(len(list(level.patterns())) for level in levels)
    if patterns > _MAX_SCOPE_PATTERNS:
        problems.append(
            Problem(
                f"The levels of scopes have {patterns} patterns of layers together; the limit is "
                f"{_MAX_SCOPE_PATTERNS}.",
                "/scopes",
                patterns,
            )
        )
    if problems:
        raise SpecError(*problems)
    return Resolved(
        entry,
        {**parameters(entry).defaults(), **given},
        default_scope,
        tuple(levels),
        tuple(shape),
    )


# Of a gray image, of red, green and blue, and of these with alpha.
_CHANNELS = (1, 3, 4)


def _misshapen(architecture: str, shape: list[int], rank: int) -> Iterator[Problem]:
    """Yield the problem of an input shape of another rank, or in another order."""
    names = ("frames, " if rank == 4 else "") + "height, width, channels"
    rule = f"{architecture} takes {rank} sizes: {names}; received {shape}"
    last = [*shape[1:], shape[0]]
    if len(shape) != rank:
        without = shape[1:]
        hint = f" Leave out the batch: {without}." if len(without) == rank else ""
        suggestion = str(without) if hint else None
        yield Problem(f"{rule}.{hint}", "/input_shape", shape, suggestion)
    elif shape[0] in _CHANNELS and shape[-1] > max(_CHANNELS):
        yield Problem(
            f"{rule}, which has the channels first. Write {last}.", "/input_shape", shape, str(last)
        )


def _read_level(level: ScopeLevel, pointer: str) -> Level:
    problems: list[Problem] = []
    functions: dict[Callable[..., Any], None] = {}
    for index, name in enumerate(level.ops):
        try:
            functions[find_op(name, pointer + json_pointer("ops", index))] = None
        except ZooError as error:
            problems += error.problems
    if problems:
        raise SpecError(*problems)
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
    return Level(tuple(functions), arguments, pointer, level.where(), level.force)


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


# What a value should be or have, by pydantic's type of error, filled in with the error's `ctx`.
_RULES = {
    "bool_type": "be a valid boolean",
    "dict_type": "be an object",
    "greater_than_equal": "be greater than or equal to {ge}",
    "int_type": "be a valid integer",
    "invalid-json-value": "be a JSON value",
    "less_than_equal": "be less than or equal to {le}",
    "list_type": "be a list",
    "literal_error": "be {expected}",
    "model_type": "be an object",
    "recursion_loop": "not contain itself",
    "string_pattern_mismatch": "match pattern '{pattern}'",
    "string_too_long": "have at most {max_length} character{s}",
    "string_too_short": "have at least {min_length} character{s}",
    "string_type": "be a valid string",
    "string_unicode": "be a string of valid Unicode",
    "too_long": "have at most {max_length} item{s}",
    "too_short": "have at least {min_length} item{s}",
}


def _problems(error: ValidationError) -> list[Problem]:
    """Return pydantic's errors as problems in this package's words."""
    problems: list[Problem] = []
    for detail in error.errors(include_url=False):
        place, owner = _place(detail["loc"])
        pointer = json_pointer(*place)
        received = detail.get("input")
        match detail["type"]:
            case "extra_forbidden":
                name = str(place[-1])
                valid = [field.alias or key for key, field in owner.model_fields.items()]
                problems.append(unknown_name(pointer, f"There is no field {name!r}.", name, valid))
            case "invalid_key":
                rule = f"A name of a field must be a string; received {spell(received)}."
                problems.append(Problem(rule, pointer, received))
            case "missing":
                problems.append(Problem(f"The field {place[-1]!r} is required.", pointer))
            case "union_tag_invalid":
                name = str(received["source"]) if isinstance(received, dict) else ""
                rule = f"There is no source {name!r}."
                problems.append(unknown_name(pointer + "/source", rule, name, source_models()))
            case "union_tag_not_found":
                rule = "This should be an object with a source, or a list of them"
                problems.append(Problem(f"{rule}; received {spell(received)}.", pointer, received))
            case kind:
                context = detail.get("ctx", {})
                plural = "" if context.get("min_length") == 1 else "s"
                rule = _RULES.get(kind, f"be valid ({kind})").format(**context, s=plural)
                problems.append(
                    Problem(f"This should {rule}; received {spell(received)}.", pointer, received)
                )
    return problems


def _place(loc: tuple[str | int, ...]) -> tuple[tuple[str | int, ...], type[BaseModel]]:
    """Return the place of an error in the request, and the part of the format that it is in.

    pydantic puts the names of a union's members among the keys: `weights` has two such unions.
    """
    if loc[0] == "weights" and len(loc) > 1:
        ahead = [part for part in loc[:3] if part == "weights" or isinstance(part, int)]
        tag, *rest = loc[len(ahead) + 1 :] or ("",)
        return (*ahead, *rest), source_models().get(str(tag), BuildSpec)
    return loc, ScopeLevel if loc[0] == "scopes" and len(loc) > 1 else BuildSpec
