"""How a restore plan looks as JSON."""

from typing import Literal, NotRequired, get_args

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.weights.causes import UnusedKind
from model_zoo.weights.suggestions import SuggestionDocument

Status = Literal["matched", "renamed", "moving_average", "shape_mismatch", "missing"]
STATUSES: tuple[Status, ...] = get_args(Status)
FILLED = STATUSES[:3]


class RowDocument(TypedDict):
    """What a source has for one variable of the build; its name and shape there, if it has it."""

    name: str
    shape: list[int]
    status: Status
    name_in_source: str | None
    shape_in_source: list[int] | None


class UnusedDocument(TypedDict):
    """A tensor of a source that no variable takes, and what it is by its name."""

    name: str
    shape: list[int]
    kind: UnusedKind


class StoredWeightsDocument(TypedDict):
    """A source of weights as a normalized spec says it."""

    source: Literal["checkpoint", "build"]
    id: str
    include: list[str]
    exclude: list[str]
    rename: dict[str, str]
    policy: Literal["strict", "skip_mismatch"]
    moving_averages: NotRequired[bool]


class Counts(TypedDict):
    """How many variables have each status, and how many tensors of the source none takes."""

    matched: int
    renamed: int
    moving_average: int
    shape_mismatch: int
    missing: int
    unused: int


class SourceSummary(TypedDict):
    """What one source gives, without its tensors."""

    source: StoredWeightsDocument
    counts: Counts
    global_step: int | None
    causes: list[str]
    suggestions: list[SuggestionDocument]


class SourceDocument(SourceSummary):
    """What one source gives, variable by variable, and what it has left over."""

    variables: list[RowDocument]
    unused: list[UnusedDocument]


# `from` is a word of Python.
OriginDocument = TypedDict(
    "OriginDocument", {"name": str, "from": int | None, "name_in_source": str | None}
)
OriginDocument.__doc__ = "Where a variable's value comes from: the source's number, null if random."


class RestoreFigures(TypedDict):
    """How much of a build's parameters the sources fill."""

    parameters: int
    restored_parameters: int
    share: float


class RestoreSummary(RestoreFigures):
    """What each source gives to a build."""

    sources: list[SourceSummary]


class RestoreDocument(RestoreFigures):
    """What each source gives to a build, and where each variable's value comes from."""

    sources: list[SourceDocument]
    variables: list[OriginDocument]
    warnings: list[str]
