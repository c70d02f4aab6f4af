"""Everything without weights: activations, pooling, dropout, sums, and changes of shape."""

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import mul
from typing import Any

from model_zoo.graph import Node
from model_zoo.predicted_signal.chance import Chance, joined, multiplied, summed
from model_zoo.predicted_signal.functions import find_function
from model_zoo.predicted_signal.normal_values import Moments, Normal, maximum_of, pass_through
from model_zoo.predicted_signal.profiles import (
    Profile,
    Spread,
    cropped,
    even,
    padded,
    pooled,
    resized,
)
from model_zoo.predicted_signal.rules import rule
from model_zoo.predicted_signal.signals import Signal, Unpredictable


@rule("activation")
def _activation(node: Node, inputs: Sequence[Signal]) -> Signal:
    activation = node.attributes["function"]
    function = find_function(activation)
    if function is None:
        raise Unpredictable(f"what the activation {activation!r} computes is not known")
    return inputs[0].through(function, node.output)


@rule("clip")
def _clip(node: Node, inputs: Sequence[Signal]) -> Signal:
    low, high = node.attributes["low"], node.attributes["high"]
    return inputs[0].through(lambda x: min(max(x, low), high), node.output)


@rule("rescale")
def _rescale(node: Node, inputs: Sequence[Signal]) -> Signal:
    scale, offset = node.attributes["scale"], node.attributes["offset"]
    return inputs[0].affine((scale, scale * scale), (offset, offset * offset), node.output)


@rule("max_pool2d")
@rule("max_pool3d")
def _max_pool(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,) = inputs
    spreads = _pools(x, node)
    # A function that does not fall may as well follow the maximum: of normal values, that is known.
    mean, variance, near, far = x.normal
    profiles = tuple([each.profile for each in spreads])
    within = far if _is_single(profiles) else near
    own = variance - within
    raised, left = maximum_of(round(1 / math.prod([each.alone for each in spreads])))
    normal = Normal(mean + math.sqrt(own) * raised, within + own * left, within, far)
    function = x.function
    moments = _moments_of(normal) if function is None else pass_through(function, normal, 0.0)[0]
    return Signal(*moments, profiles, x.chance, x.source, normal, function)


def _moments_of(normal: Normal) -> Moments:
    level = normal.mean * normal.mean
    return Moments(normal.mean, normal.variance + level, normal.near + level, normal.far + level)


@rule("avg_pool2d")
@rule("avg_pool3d")
def _avg_pool(node: Node, inputs: Sequence[Signal]) -> Signal:
    spreads = _pools(inputs[0], node)
    return _windows_averaged(inputs[0], spreads)


def _windows_averaged(x: Signal, spreads: Sequence[Spread]) -> Signal:
    """Return means of values in windows."""
    alone = math.prod([each.alone for each in spreads])
    moved = x.spread(spreads)
    # One window holds all pairs of positions, several hold near ones.
    within = moved.far if _is_single(moved.profiles) else moved.near
    return moved._replace(square=moved.square * alone + within * (1 - alone))


def _is_single(profiles: Sequence[Profile]) -> bool:
    return all(profile.size == 1 for profile in profiles)


def _pools(x: Signal, node: Node) -> list[Spread]:
    kernel, strides, padding = (node.attributes[key] for key in ("kernel", "strides", "padding"))
    return [
        pooled(profile, size, stride, padding)
        for profile, size, stride in zip(x.profiles, kernel, strides, strict=True)
    ]


@rule("reduce_mean")
def _reduce_mean(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), axes = inputs, node.attributes["axes"]
    spatial = [axis - 1 for axis in axes if axis <= len(x.profiles)]
    profiles = tuple(
        even(1) if index in spatial else profile for index, profile in enumerate(x.profiles)
    )
    alone = 1 / math.prod([x.profiles[index].size for index in spatial])
    moments = Moments(x.mean, x.square * alone + x.far * (1 - alone), x.far, x.far)
    if len(spatial) < len(axes):
        channels, level = node.inputs[0].channels, x.mean * x.mean
        moments = Moments(x.mean, *((each - level) / channels + level for each in moments[1:]))
    return x.plain(moments, x.source, profiles=profiles)


@rule("dropout")
def _dropout(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,) = inputs
    if not node.is_random:
        return x
    return x.plain(x.moments._replace(square=x.square / node.attributes["keep_prob"]), x.source)


@rule("softmax")
def _softmax(node: Node, inputs: Sequence[Signal]) -> Signal:
    """With C classes and scores of variance v, the mean square is exp(v) / C^2."""
    (x,), classes = inputs, node.output.channels
    constant = x.mean * x.mean
    variance = max(x.square - constant, 0.0)
    if variance > math.log(classes / 4):
        raise Unpredictable(f"of its {classes} classes few win, and others with each draw")
    mean = 1.0 / classes
    spreads = (min(max(each - constant, 0.0), variance) for each in x[1:4])
    moments = Moments(mean, *(math.exp(each) * mean * mean for each in spreads))
    return x.plain(moments, node.output, chance=Chance(channels=classes, key=object()))


@rule("flatten")
def _flatten(node: Node, inputs: Sequence[Signal]) -> Signal:
    return inputs[0]._replace(profiles=())


@rule("squeeze")
def _squeeze(node: Node, inputs: Sequence[Signal]) -> Signal:
    axes = node.attributes["axes"]
    profiles = [each for index, each in enumerate(inputs[0].profiles, 1) if index not in axes]
    # The channels may be what goes; then the last of the others takes their place.
    return inputs[0]._replace(profiles=tuple(profiles[: node.output.rank - 2]))


@rule("slice_channels")
def _slice_channels(node: Node, inputs: Sequence[Signal]) -> Signal:
    # Other channels of the same tensor are independent of these.
    return inputs[0]._replace(source=node.output)


@rule("pad")
def _pad(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,) = inputs
    spreads = [
        padded(profile, before, after) for profile, before, after in _sides(x, node.attributes)
    ]
    moved = x.spread(spreads)
    return moved._replace(mean=x.mean * math.prod([each.square for each in spreads]))


@rule("crop")
def _crop(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,) = inputs
    return x.spread([cropped(*each) for each in _sides(x, node.attributes)])


def _sides(x: Signal, attributes: Mapping[str, Any]) -> Sequence[tuple[Profile, int, int]]:
    return list(zip(x.profiles, attributes["before"], attributes["after"], strict=True))


@rule("resize_bilinear")
def _resize_bilinear(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,) = inputs
    spreads = [
        resized(profile, size)
        for profile, size in zip(x.profiles, node.attributes["size"], strict=True)
    ]
    return _windows_averaged(x, spreads)


def _loudest(signals: Sequence[Signal]) -> Signal:
    return max(signals, key=lambda signal: signal.square)


@rule("concat")
def _concat(node: Node, inputs: Sequence[Signal]) -> Signal:
    if len(inputs) == 1:
        return inputs[0]
    channels = node.output.channels
    shares = [tensor.channels / channels for tensor in node.inputs]

    def mean(values: Iterable[float]) -> float:
        total: float = sum(map(mul, shares, values))
        return total

    moments = Moments(*map(mean, zip(*(x[:4] for x in inputs), strict=True)))
    chance = joined(
        [x.chance for x in inputs],
        _shares([share * x.square for share, x in zip(shares, inputs, strict=True)]),
    )
    profiles, function = _loudest(inputs).profiles, inputs[0].function
    if function is None or any(x.function is not function for x in inputs):
        return Signal(*moments, profiles, chance, node.output)
    # One function of normal values of several deviations is about that of the mean one.
    before = Normal(*map(mean, zip(*(x.normal for x in inputs), strict=True)))
    return Signal(*moments, profiles, chance, node.output, before, function)


def _shares(values: Sequence[float]) -> list[float]:
    total = sum(values)
    return [value / total if total else 1 / len(values) for value in values]


@rule("add")
def _add(node: Node, inputs: Sequence[Signal]) -> Signal:
    x, y = inputs
    if x.source is y.source:
        # Of two made of the same values, one is a mean of the other: E[x mean(x)] = E[mean(x)^2].
        products = [min(pair) for pair in zip(x.moments, y.moments, strict=True)]
    else:
        # What fresh weights made is independent of all else.
        products = [x.mean * y.mean] * 4
    moments = Moments(
        x.mean + y.mean,
        *(a + b + 2 * c for a, b, c in zip(x[1:4], y[1:4], products[1:], strict=True)),
    )
    chance = summed(x.chance, y.chance, _shares([x.square, y.square])[0])
    return Signal(*moments, _loudest(inputs).profiles, chance, node.output)


@rule("multiply")
def _multiply(node: Node, inputs: Sequence[Signal]) -> Signal:
    x, y = inputs
    moments = Moments(*(a * b for a, b in zip(x.moments, y.moments, strict=True)))
    chance = multiplied(x.chance, y.chance)
    return x.plain(moments, node.output, chance=chance)
