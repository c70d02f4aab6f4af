"""What a spec may say about weights: where they come from, and which of them go where.

Sources apply in order, and later ones override earlier ones. What none of them fills is random.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError

from model_zoo.errors import MAX_PROBLEMS, Problem, json_pointer
from model_zoo.patterns import Names

CHECKPOINT_ID = "^[0-9a-f]{64}$"
BUILD_ID = "^[0-9a-f]{32}$"
MOVING_AVERAGE = "/ExponentialMovingAverage"
_MAX_SOURCES = 8
MAX_PATTERNS = 32
_MAX_STARS = 8
MAX_NAME_CHARACTERS = 256
_Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
FEW_STARS = rf"^[^*]*(\*[^*]*){{0,{_MAX_STARS}}}$"
Pattern = Annotated[_Name, Field(pattern=FEW_STARS)]
Patterns = Annotated[list[Pattern], Field(max_length=MAX_PATTERNS)]
# Each of a file's names is given one: without a limit, a long one would be in memory as often.
_Target = Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]


# The type of pydantic's error for more unknown fields than are told; its context has the `names`.
MANY_UNKNOWN = "many_unknown"


def _not_longer(value: Any) -> Any:
    # pydantic checks each member of an object before it counts them.
    if isinstance(value, Mapping) and len(value) > MAX_PATTERNS:
        context = {"field_type": "Dictionary", "max_length": MAX_PATTERNS}
        raise PydanticKnownError("too_long", {**context, "actual_length": len(value)})
    return value


class Part(BaseModel):
    """A part of the wire format: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_many_unknown(cls, data: Any) -> Any:
        """Make one error of more unknown fields than are told: pydantic's take 600 bytes each."""
        most = len(cls.model_fields) + MAX_PROBLEMS
        if isinstance(data, Mapping) and len(data) > most:
            known = {field.alias or name for name, field in cls.model_fields.items()}
            names = [name for name in data if name not in known]
            raise PydanticCustomError(MANY_UNKNOWN, "many unknown fields", {"names": names})
        return data


class RandomWeights(Part):
    """Random values, each a function of seed, variable name, shape and initializer."""

    source: Literal["random"] = "random"
    # JSON numbers beyond this differ from reader to reader (RFC 7493, 2.2).
    seed: Annotated[int, Field(ge=0, le=2**53 - 1)] = 0


class _StoredWeights(Part):
    include: Patterns = Field(
        default=["*"],
        description="The build's variables that this source fills, by name; * stands for any "
        "characters.",
        examples=[["InceptionV3/*"]],
    )
    exclude: Patterns = Field(
        default=[],
        description="Variables that are included but that this source leaves alone.",
        examples=[["InceptionV3/Logits*", "InceptionV3/AuxLogits*"]],
    )
    rename: Annotated[
        dict[_Name, _Target], Field(max_length=MAX_PATTERNS), BeforeValidator(_not_longer)
    ] = Field(
        default={},
        description="The source's names to the build's: whole names, scopes that end with '/', or "
        "patterns, in which each * of the value takes the text of the same * of the key.",
        examples=[{"network/*": "InceptionV3/*"}],
    )
    policy: Literal["strict", "skip_mismatch"] = Field(
        default="strict",
        description="Refuse a variable that is missing or of another shape, or leave it as it is.",
    )

    def selects(self, variable: str) -> bool:
        """Return whether this source is to fill a variable of the build."""
        return variable in Names(self.include, self.exclude)


class CheckpointWeights(_StoredWeights):
    """The weights of a file that was imported, by its SHA-256."""

    source: Literal["checkpoint"]
    id: Annotated[str, Field(pattern=CHECKPOINT_ID)]
    moving_averages: bool = Field(
        default=False,
        description="Take a variable's exponential moving average where the file has one.",
    )


class BuildWeights(_StoredWeights):
    """The weights of another build."""

    source: Literal["build"]
    id: Annotated[str, Field(pattern=BUILD_ID)]


StoredWeights = CheckpointWeights | BuildWeights
Source = RandomWeights | CheckpointWeights | BuildWeights


def _source_name(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return getattr(value, "source", None)
    return value.get("source", "random") if isinstance(value, dict) else None


def source_models() -> dict[str, type[Part]]:
    """Return what each kind of source may say, by its name."""
    return {"random": RandomWeights, "checkpoint": CheckpointWeights, "build": BuildWeights}


_Tagged = Annotated[
    Annotated[RandomWeights, Tag("random")]
    | Annotated[CheckpointWeights, Tag("checkpoint")]
    | Annotated[BuildWeights, Tag("build")],
    Discriminator(_source_name),
]
# One source may stand without the list.
Weights = Annotated[
    Annotated[_Tagged, Tag("one")]
    | Annotated[list[_Tagged], Field(min_length=1, max_length=_MAX_SOURCES), Tag("several")],
    Discriminator(lambda value: "several" if isinstance(value, list) else "one"),
]


def in_order(weights: Source | list[Source]) -> list[Source]:
    """Return the sources of a spec, one or several, as a list."""
    return weights if isinstance(weights, list) else [weights]


def stored(weights: Source | list[Source]) -> list[tuple[int, StoredWeights]]:
    """Return the sources that are not random, with the places they have in the list."""
    return [
        (index, source)
        for index, source in enumerate(in_order(weights))
        if not isinstance(source, RandomWeights)
    ]


def seed(weights: Source | list[Source]) -> int:
    """Return the seed of what no source fills."""
    return next((s.seed for s in in_order(weights) if isinstance(s, RandomWeights)), 0)


def source_pointer(weights: Source | list[Source], index: int) -> str:
    """Return the pointer of a source in a spec."""
    return json_pointer("weights", index) if isinstance(weights, list) else "/weights"


def rename_problems(weights: Source | list[Source]) -> list[Problem]:
    """Return a problem for each rename whose stars are too many, or more than its key has."""
    problems = []
    for index, source in stored(weights):
        for key, value in source.rename.items():
            stars, taken = key.count("*"), value.count("*")
            if stars > _MAX_STARS:
                rule = too_many_stars(key)
            elif taken > stars:
                rule = (
                    f"Each '*' of the value takes the text of the same '*' of the key; {value!r} "
                    f"has {taken}, and {key!r} {stars or 'none'}."
                )
            else:
                continue
            pointer = source_pointer(weights, index) + json_pointer("rename", key)
            problems.append(Problem(rule, pointer, value))
    return problems


def too_many_stars(pattern: str) -> str:
    """Return the rule that a pattern with more stars than `FEW_STARS` allows breaks."""
    return f"A pattern has at most {_MAX_STARS} '*'; this one has {pattern.count('*')}."
