"""The diff of two builds as JSON."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.reports.explanation import ArgumentDocument
from model_zoo.reports.json_patch import Operation
from model_zoo.reports.summary import LayerDocument

LayerStatus = Literal["same", "changed", "renamed", "added", "removed"]
EdgeStatus = Literal["same", "added", "removed"]
SettingStatus = Literal["same", "changed"]
SIDES: tuple[Literal["a"], Literal["b"]] = ("a", "b")
# What of a layer is compared. `arguments` are the final values that its call got.
Compared = Literal["name", "op", "output_shape", "parameters", "multiply_adds", "arguments"]


class DiffSideDocument(TypedDict):
    """A side of a diff: the id that its spec has as a build."""

    build: str
    architecture: str


class SettingDocument(TypedDict):
    """An argument of a call that both have: each side's value, who set it, and what that beat.

    The layer's name is `b`'s; `renamed_from` is `a`'s, where it is another. A side is null where
    the call has no such argument: some ops take any.
    """

    status: SettingStatus
    layer: str
    renamed_from: NotRequired[str]
    op: str
    argument: str
    a: ArgumentDocument | None
    b: ArgumentDocument | None


class LayerDiffDocument(TypedDict):
    """A layer on both sides, null where it is missing; `changes` says what of it differs.

    Of a `renamed` layer only the name differs; that of a `changed` one may differ too.
    """

    status: LayerStatus
    changes: list[Compared]
    a: LayerDocument | None
    b: LayerDocument | None


class EdgeDocument(TypedDict):
    """A layer whose output another layer reads; the names are `b`'s, or `a`'s where `b` has none.

    An `added` edge is in `b` alone, a `removed` one in `a` alone.
    """

    status: EdgeStatus
    source: str
    target: str


class TotalDocument(TypedDict):
    """A total on both sides, `b - a`, and `b / a`: null where `a` is 0."""

    a: int
    b: int
    difference: int
    ratio: float | None


class DiffTotals(TypedDict):
    """Each total of both."""

    layers: TotalDocument
    parameters: TotalDocument
    trainable_parameters: TotalDocument
    multiply_adds: TotalDocument
    weight_bytes: TotalDocument
    activation_bytes: TotalDocument
    peak_activation_bytes: TotalDocument


class SharedWeightsDocument(TypedDict):
    """The variables that both have under one name and shape, and their share of the parameters.

    A share is null where there are no parameters.
    """

    variables: int
    parameters: int
    share_of_a: float | None
    share_of_b: float | None


class LayerCounts(TypedDict):
    """How many layers are the same, and how many differ in each way."""

    same: int
    changed: int
    renamed: int
    added: int
    removed: int


class DiffDocument(TypedDict):
    """What differs between two builds; `spec` is a JSON Patch from `a`'s normalized spec to `b`'s.

    `equal` says that both are one build: that `spec` is empty.
    """

    equal: bool
    a: DiffSideDocument
    b: DiffSideDocument
    spec: list[Operation]
    totals: DiffTotals
    layer_counts: LayerCounts
    layers: list[LayerDiffDocument]
    edges: list[EdgeDocument]
    settings: list[SettingDocument]
    shared_weights: SharedWeightsDocument
