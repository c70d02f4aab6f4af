"""Why weights do not fit: the known causes as sentences."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from model_zoo.errors import ZooError
from model_zoo.graph import Variable
from model_zoo.spec import BuildSpec
from model_zoo.tracing import Trace, trace
from model_zoo.weights.names import OUTPUT, averaged
from model_zoo.weights.shapes import Shape, flattened_maps, transposed
from model_zoo.zoo import published

_NORMALIZER = re.compile(r"(.*)/(BatchNorm|LayerNorm|GroupNorm|InstanceNorm)/[^/]+")
_BIASES = re.compile(r"(.*)/(biases)")
_OPTIMIZER = re.compile(
    r"(.*/)?(Momentum|RMSProp|Adagrad|Adadelta|Adam|Ftrl|Adam_optimizer)(_\d+)?"
    r"|(beta[12]_power)(_\d+)?|optimizer/.*"
)
_OBJECT_BASED = ".ATTRIBUTES/VARIABLE_VALUE"
_FINEGRAIN = "finegrain_classification_mode"


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


def unused_kind(name: str) -> UnusedKind:
    """Return what a tensor that no variable takes is, by its name.

    >>> [unused_kind(n) for n in ("a/weights", "a/weights/RMSProp_1", "global_step", "beta1_power")]
    ['variable', 'optimizer', 'global_step', 'optimizer']
    """
    name = name.removesuffix(OUTPUT)
    if name == "global_step":
        return "global_step"
    if averaged(name) is not None:
        return "moving_average"
    return "optimizer" if _OPTIMIZER.fullmatch(name) else "variable"


def known_causes(
    traced: Trace,
    rows: Sequence[SourceRow],
    unused: Mapping[str, Shaped],
    *,
    source: str = "checkpoint",
    moving_averages: bool = False,
) -> list[str]:
    """Return a sentence for each known cause of what does not fit.

    `source` is what sentences call the source, and `moving_averages` says whether it was asked for
    them.
    """
    missing = [row.variable.name for row in rows if row.status == "missing"]
    only_averages = not moving_averages and _holds_only_averages(rows, unused)
    return [
        *([] if only_averages else _nothing_fits(rows, unused, source)),
        *_normalizers(traced, missing, unused, source),
        *_gammas(missing, unused, source),
        *_classes(traced, rows, source),
        *_finegrain(traced, rows, source),
        *_transposed(traced, rows),
        *_widths(traced, rows, source),
        *([] if moving_averages else _moving_averages(unused, only_averages)),
    ]


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def _nothing_fits(
    rows: Sequence[SourceRow], unused: Mapping[str, Shaped], source: str
) -> list[str]:
    if not rows or any(row.status != "missing" for row in rows):
        return []
    if any(_OBJECT_BASED in name for name in unused):
        return [
            "The checkpoint is object-based (tf.train.Checkpoint), and its names are paths of "
            "Python attributes, which a rename would have to map. Either its object graph names "
            "no variables, or it was imported by a version that did not read them: if so, delete "
            "it and import it again."
        ]
    kinds = ("variable", "moving_average")
    scopes = Counter(name.split("/")[0] for name in unused if unused_kind(name) in kinds)
    if not scopes:
        others = "1 other tensor" if len(unused) == 1 else f"{len(unused)} other tensors"
        return [f"The {source} holds no weights, and {others}."]
    most = [repr(name) for name, _ in scopes.most_common(3)]
    begin = " and ".join(filter(None, (", ".join(most[:-1]), most[-1])))
    scope = rows[0].variable.name.split("/")[0]
    if scope in scopes:
        return []
    return [
        f"None of the {len(rows)} variables is in the {source}: its names begin with {begin}, "
        f"this build's with {scope!r}."
    ]


def _normalizers(
    traced: Trace, missing: Sequence[str], unused: Mapping[str, Shaped], source: str
) -> list[str]:
    """Tell where the source has another normalizer, or biases in its place."""
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
            f"The {source} was made {where}: it has {there} where this build has {here} "
            f"({_layers(count)})."
        )
    return causes


def _forms(names: Sequence[str] | Mapping[str, Shaped]) -> dict[str, str]:
    """Return by layer what follows its convolution: a normalizer, or biases."""
    matches = (_NORMALIZER.fullmatch(name) or _BIASES.fullmatch(name) for name in names)
    return {match[1]: match[2] for match in matches if match}


def _gammas(missing: Sequence[str], unused: Mapping[str, Shaped], source: str) -> list[str]:
    """Tell where only gamma differs: the scale of batch norm."""

    def lone(names: Sequence[str] | Mapping[str, Shaped]) -> int:
        gammas = [name.removesuffix("gamma") for name in names if name.endswith("BatchNorm/gamma")]
        return sum(prefix + "beta" not in names for prefix in gammas)

    causes = []
    if count := lone(missing):
        causes.append(
            f"The {source}'s BatchNorm has no gamma, and this build's has ({_layers(count)}): "
            "scale of batch_norm was false when it was made."
        )
    if count := lone(unused):
        causes.append(
            f"The {source}'s BatchNorm has gamma, and this build's has none ({_layers(count)}): "
            "scale of batch_norm was true when it was made."
        )
    return causes


def _classes(traced: Trace, rows: Sequence[SourceRow], source: str) -> list[str]:
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
        f"The {source} has {there} classes{', background first' if background else ''}; this "
        f"build {here}. Set num_classes to {there}, or exclude {json.dumps(list(layers)[:3])}."
    ]


def _finegrain(traced: Trace, rows: Sequence[SourceRow], source: str) -> list[str]:
    """Tell where the last layer keeps its width, or does not: another parameter's doing."""
    params = traced.spec.resolved().params
    differ = [row for row in rows if row.status == "shape_mismatch"]
    if _FINEGRAIN not in params or not differ:
        return []
    other = not params[_FINEGRAIN]
    spec = traced.spec.normalized()
    try:
        built = trace(BuildSpec.read({**spec, "params": {**spec["params"], _FINEGRAIN: other}}))
    except ZooError:
        return []
    shapes = {variable.name: variable.shape for variable in built.graph.variables}
    fitting = [row for row in differ if row.shape == shapes.get(row.variable.name)]
    if not fitting:
        return []
    return [
        f"The {source} was made with {_FINEGRAIN} {json.dumps(other)}, which gives "
        f"{_variables(len(fitting))} the shapes that it has: {_shapes(fitting[0])}. Set it so in "
        "params."
    ]


def _variables(count: int) -> str:
    return "1 variable" if count == 1 else f"{count} variables"


def _transposed(traced: Trace, rows: Sequence[SourceRow]) -> list[str]:
    """Tell of weights in PyTorch's order that are not transposed, and why."""
    maps = flattened_maps(traced.graph)
    differ = [row for row in rows if _is_transposed(row)]
    causes = []
    if others := [row for row in differ if row.variable.name not in maps]:
        causes.append(
            f"{_weights(len(others))} would fit if transposed from PyTorch's order, outputs first: "
            f"{_shapes(others[0])}. Others fit as they are, so the order is not known: transpose "
            "them in the file."
        )
    causes += [
        f"{row.variable.name} has the shape of PyTorch's order, outputs first: {_shapes(row)}. Its "
        f"inputs are a flattened map of {list(maps[row.variable.name])}, which PyTorch flattens "
        "channels first: reorder and transpose it in the file."
        for row in differ
        if row.variable.name in maps
    ]
    return causes


def _shapes(row: SourceRow) -> str:
    name = row.variable.name
    return f"{name} is {list(row.shape or ())} there and {list(row.variable.shape)} here"


def _weights(count: int) -> str:
    return "1 weight" if count == 1 else f"{count} weights"


def _is_transposed(row: SourceRow) -> bool:
    return (
        row.status == "shape_mismatch"
        and row.shape is not None
        and transposed(row.shape, row.variable) is not None
    )


def _widths(traced: Trace, rows: Sequence[SourceRow], source: str) -> list[str]:
    """Tell where most shapes differ: another width of the whole network."""
    weights = [row for row in rows if len(row.variable.shape) >= 2]
    differ = [row for row in weights if row.status == "shape_mismatch" and not _is_transposed(row)]
    if len(differ) < 3 or 2 * len(differ) < len(weights):
        return []
    row = differ[0]
    parameter = "depth_multiplier"
    other_widths = all(_differs_in_width(row.shape or (), row.variable.shape) for row in differ)
    hint = (
        f" Another {parameter} would make such shapes."
        if other_widths and parameter in traced.spec.resolved().params
        else ""
    )
    return [
        f"{len(differ)} of {len(weights)} weights have other shapes: {row.variable.name} is "
        f"{list(row.shape or ())} in the {source} and {list(row.variable.shape)} in this "
        f"build.{hint}"
    ]


def _differs_in_width(shape: Shape, other: Shape) -> bool:
    return len(shape) == len(other) and shape[:-2] == other[:-2]


def _holds_only_averages(rows: Sequence[SourceRow], unused: Mapping[str, Shaped]) -> bool:
    kinds = {unused_kind(name) for name in unused}
    return (
        "moving_average" in kinds
        and "variable" not in kinds
        and all(row.status == "missing" for row in rows)
    )


def _moving_averages(unused: Mapping[str, Shaped], only: bool) -> list[str]:
    count = sum(unused_kind(name) == "moving_average" for name in unused)
    if not count:
        return []
    averages = f"{count} exponential moving average{'s' if count > 1 else ''}"
    if only:
        return [
            f"The checkpoint holds {averages} of variables, and not the variables themselves: "
            "moving_averages true restores them."
        ]
    return [
        f"The checkpoint has {averages}, which usually evaluate better; moving_averages true "
        "restores them."
    ]
