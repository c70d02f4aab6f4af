"""Why weights do not fit: the known causes as sentences, and renames that would help."""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, Protocol

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.graph import Variable
from model_zoo.tracing import Trace
from model_zoo.zoo import published

_NORMALIZER = re.compile(r"(.*)/(BatchNorm|LayerNorm|GroupNorm|InstanceNorm)/[^/]+")
_BIASES = re.compile(r"(.*)/(biases)")
_OPTIMIZER = re.compile(
    r"(.*/)?(Momentum|RMSProp|Adagrad|Adadelta|Adam|Ftrl|Adam_optimizer)(_\d+)?"
    r"|(beta[12]_power)(_\d+)?|optimizer/.*"
)
_OBJECT_BASED = ".ATTRIBUTES/VARIABLE_VALUE"
# Beyond these, a search among names of one shape would take seconds.
_MAX_CANDIDATES = 200
_MAX_SUGGESTIONS = 10


UnusedKind = Literal["variable", "optimizer", "global_step", "moving_average"]


class Shaped(Protocol):
    """What has a shape."""

    @property
    def shape(self) -> tuple[int, ...]: ...


class SourceRow(Protocol):
    """What a source has for a variable."""

    @property
    def variable(self) -> Variable: ...

    @property
    def status(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...] | None: ...


class SuggestionDocument(TypedDict):
    """A rename as a spec writes it, and how many more variables it would fill."""

    rename: dict[str, str]
    variables: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rename of the source's names that would fill more variables."""

    name: str
    target: str
    variables: int

    def to_dict(self) -> SuggestionDocument:
        """Return the suggestion as a spec would say it, JSON-ready."""
        return {"rename": {self.name: self.target}, "variables": self.variables}

    def __str__(self) -> str:
        what = "1 more variable" if self.variables == 1 else f"{self.variables} more variables"
        return f"The rename {{{self.name!r}: {self.target!r}}} would fill {what}."


def unused_kind(name: str) -> UnusedKind:
    """Return what a tensor that no variable takes is, by its name.

    >>> [unused_kind(n) for n in ("a/weights", "a/weights/RMSProp_1", "global_step", "beta1_power")]
    ['variable', 'optimizer', 'global_step', 'optimizer']
    """
    if name == "global_step":
        return "global_step"
    if name.endswith("/ExponentialMovingAverage"):
        return "moving_average"
    return "optimizer" if _OPTIMIZER.fullmatch(name) else "variable"


def known_causes(
    traced: Trace, rows: Sequence[SourceRow], unused: Mapping[str, Shaped]
) -> list[str]:
    """Return a sentence for each known cause of what does not fit."""
    missing = [row.variable.name for row in rows if row.status == "missing"]
    return [
        *_nothing_fits(rows, unused),
        *_normalizers(traced, missing, unused),
        *_gammas(missing, unused),
        *_classes(traced, rows),
        *_widths(traced, rows),
        *_moving_averages(unused),
    ]


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _nothing_fits(rows: Sequence[SourceRow], unused: Mapping[str, Shaped]) -> list[str]:
    if not rows or any(row.status != "missing" for row in rows):
        return []
    if any(_OBJECT_BASED in name for name in unused):
        return [
            "The checkpoint is object-based (tf.train.Checkpoint): its names are paths of Python "
            "attributes, which a rename would have to map."
        ]
    scopes = Counter(name.split("/")[0] for name in unused if unused_kind(name) == "variable")
    begin = ", ".join(repr(scope) for scope, _ in scopes.most_common(3)) or "nothing"
    scope = rows[0].variable.name.split("/")[0]
    if scope in scopes:
        return []
    return [
        f"None of the {len(rows)} variables is in the checkpoint: its names begin with {begin}, "
        f"the build's with {scope!r}."
    ]


def _normalizers(traced: Trace, missing: Sequence[str], unused: Mapping[str, Shaped]) -> list[str]:
    """Tell where the checkpoint has another normalizer, or biases in its place."""
    needed, held = _forms(missing), _forms(unused)
    pairs = Counter(
        (there, here) for layer, here in needed.items() if (there := held.get(layer, here)) != here
    )
    entry = traced.architecture
    function = entry.arg_scope.__name__
    normal = "BatchNorm" if "batch_norm" in published(entry.name).ops else "biases"
    causes = []
    for (there, here), count in pairs.items():
        where = (
            f"inside {function}"
            if there == normal
            else f"outside of {function}, or with another normalizer_fn"
        )
        causes.append(
            f"The checkpoint was made {where}: it has {there} where this build has {here} "
            f"({_layers(count)})."
        )
    return causes


def _forms(names: Sequence[str] | Mapping[str, Shaped]) -> dict[str, str]:
    """Return by layer what follows its convolution: a normalizer, or biases."""
    matches = (_NORMALIZER.fullmatch(name) or _BIASES.fullmatch(name) for name in names)
    return {match[1]: match[2] for match in matches if match}


def _gammas(missing: Sequence[str], unused: Mapping[str, Shaped]) -> list[str]:
    """Tell where only gamma differs: the scale of batch norm."""

    def lone(names: Sequence[str] | Mapping[str, Shaped]) -> int:
        gammas = [name.removesuffix("gamma") for name in names if name.endswith("BatchNorm/gamma")]
        return sum(prefix + "beta" not in names for prefix in gammas)

    causes = []
    if count := lone(missing):
        causes.append(
            f"The checkpoint's BatchNorm has no gamma, and this build's has ({_layers(count)}): "
            "scale of batch_norm was false when it was made."
        )
    if count := lone(unused):
        causes.append(
            f"The checkpoint's BatchNorm has gamma, and this build's has none ({_layers(count)}): "
            "scale of batch_norm was true when it was made."
        )
    return causes


def _classes(traced: Trace, rows: Sequence[SourceRow]) -> list[str]:
    """Tell where the last layer has another number of classes."""
    entry, here = traced.architecture, traced.spec.resolved().params.get("num_classes")
    heads = [
        row
        for row in rows
        if row.status == "shape_mismatch" and row.shape and row.variable.shape[-1:] == (here,)
        if row.shape[:-1] == row.variable.shape[:-1]
    ]
    counts = {row.shape[-1] for row in heads if row.shape}
    if not here or len(counts) != 1:
        return []
    there = counts.pop()
    background = there == entry.classes and entry.background
    layers = dict.fromkeys(row.variable.name.rsplit("/", 1)[0] + "/*" for row in heads)
    return [
        f"The checkpoint has {there} classes{', background first' if background else ''}; this "
        f"build {here}. Set num_classes to {there}, or exclude {json.dumps(list(layers)[:3])}."
    ]


def _widths(traced: Trace, rows: Sequence[SourceRow]) -> list[str]:
    """Tell where most shapes differ: another width of the whole network."""
    weights = [row for row in rows if len(row.variable.shape) >= 2]
    differ = [row for row in weights if row.status == "shape_mismatch"]
    if len(differ) < 3 or 2 * len(differ) < len(weights):
        return []
    row = differ[0]
    parameter = "depth_multiplier"
    hint = (
        f" Another {parameter} would make such shapes."
        if parameter in traced.spec.resolved().params
        else ""
    )
    return [
        f"{len(differ)} of {len(weights)} weights have other shapes: {row.variable.name} is "
        f"{list(row.shape or ())} in the checkpoint and {list(row.variable.shape)} in this build."
        f"{hint}"
    ]


def _moving_averages(unused: Mapping[str, Shaped]) -> list[str]:
    count = sum(unused_kind(name) == "moving_average" for name in unused)
    if not count:
        return []
    return [
        f"The checkpoint has {count} exponential moving averages, which usually evaluate better; "
        "moving_averages true restores them."
    ]


def suggestions(
    missing: Sequence[Variable], unused: Mapping[str, Shaped], used: Collection[str]
) -> list[Suggestion]:
    """Return renames of scopes, or of single names, that would fill missing variables.

    A tensor stands for a variable if their shapes and the last parts of their names are equal, and
    no other tensor has more parts in common with it.
    """
    offered: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, tensor in unused.items():
        if unused_kind(name) == "variable":
            offered.setdefault((_parts(name)[-1], tensor.shape), []).append(name)
    renames: Counter[tuple[str, str]] = Counter()
    for variable in missing:
        candidates = offered.get((_parts(variable.name)[-1], variable.shape), [])
        likest = _likest(variable.name, candidates[:_MAX_CANDIDATES])
        if likest is not None and likest != variable.name:
            renames[_rename(likest, variable.name, used)] += 1
    return [
        Suggestion(name, target, count)
        for (name, target), count in renames.most_common(_MAX_SUGGESTIONS)
    ]


def _parts(name: str) -> list[str]:
    return name.split("/")


def _common(name: str, other: str) -> int:
    """Return how many of the last parts of two names are equal."""
    pairs = zip(reversed(_parts(name)), reversed(_parts(other)), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _likest(name: str, candidates: Sequence[str]) -> str | None:
    """Return the candidate that has most in common with a name; None if several have."""
    common = [_common(name, candidate) for candidate in candidates]
    if not common or common.count(max(common)) > 1:
        return None
    return candidates[common.index(max(common))]


def _rename(name: str, target: str, used: Collection[str]) -> tuple[str, str]:
    """Return the rename of the scope by which two names differ, or else of the whole name.

    >>> _rename("net/a/weights", "Net/a/weights", ())
    ('net/', 'Net/')
    >>> _rename("a/weights", "Net/a/weights", ())
    ('a/', 'Net/a/')
    """
    # A rename needs a scope to begin with, so one part stays even if both names share it.
    shared = min(_common(name, target), len(_parts(name)) - 1)
    scope = "".join(part + "/" for part in _parts(name)[:-shared])
    if shared < 1 or any(other.startswith(scope) for other in used):
        return name, target
    return scope, "".join(part + "/" for part in _parts(target)[:-shared])
