"""Convolutions and matrix products."""

import math
from collections.abc import Sequence

from model_zoo.graph import Node
from model_zoo.predicted_signal.chance import Chance
from model_zoo.predicted_signal.normal_values import Moments
from model_zoo.predicted_signal.profiles import Spread, centred, convolved, transposed
from model_zoo.predicted_signal.rules import NOTHING, initial_values, rule
from model_zoo.predicted_signal.signals import Signal, Unpredictable


def _weight_variance(node: Node) -> float:
    variable = node.variables["weights"]
    mean, square = initial_values(variable)
    if mean:
        raise Unpredictable(
            f"the mean of {variable.name} is not 0, so that the channels it makes are not "
            f"independent: its initializer is {variable.initializer!r}"
        )
    return square


def _gather(x: Signal, node: Node, spreads: Sequence[Spread], terms: int, chance: Chance) -> Signal:
    """Return sums of `terms` values in windows, each times a weight of its own."""
    scale = terms * _weight_variance(node)
    square = near = far = scale
    for each in spreads:
        square, near, far = square * each.square, near * each.near, far * each.far
    moments = Moments(0.0, x.square * square, x.near * near, x.far * far)
    profiles = tuple([each.profile for each in spreads])
    return Signal(*moments, profiles, chance, node.output)


def _mixed_anew(x: Signal, node: Node, spreads: Sequence[Spread], terms: int) -> Signal:
    """Return sums over windows and channels."""
    chance = x.chance.mixed_anew(_likeness(x, terms), node.output.channels)
    return _gather(x, node, spreads, terms, chance)


def _likeness(x: Signal, terms: int) -> float:
    """Return the mean squared correlation of two sums of so many values."""
    alone = 1.0 / terms
    return alone + (1.0 - alone) * x.likeness


def _windows(x: Signal, node: Node, kernel: Sequence[int]) -> list[Spread]:
    strides, padding, rate = (node.attributes[key] for key in ("strides", "padding", "rate"))
    return [
        convolved(profile, size, stride, step, padding)
        for profile, size, stride, step in zip(x.profiles, kernel, strides, rate, strict=True)
    ]


@rule("conv2d")
@rule("conv3d")
def _conv(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), weights = inputs, node.variables["weights"]
    *kernel, channels, depth = weights.shape
    if weights.initializer.name == "center_initializer":
        # It passes on the channels that there are, from the centre of each window.
        share = min(channels / depth, 1.0)
        return x.spread(_centres(x, node, kernel)).affine((share, share), NOTHING, node.output)
    return _mixed_anew(x, node, _windows(x, node, kernel), math.prod(kernel) * channels)


def _centres(x: Signal, node: Node, kernel: Sequence[int]) -> list[Spread]:
    strides, padding, rate = (node.attributes[key] for key in ("strides", "padding", "rate"))
    spreads = []
    for profile, size, stride, step in zip(x.profiles, kernel, strides, rate, strict=True):
        before = size // 2 * step if padding == "VALID" else 0
        after = (size - 1) * step - before if padding == "VALID" else 0
        spreads.append(centred(profile, before, after, stride))
    return spreads


@rule("depthwise_conv2d")
def _depthwise_conv2d(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,) = inputs
    kernel = node.variables["weights"].shape[:2]
    terms = math.prod(kernel)
    chance = x.chance.weighted_anew(_likeness(x, terms))
    return _gather(x, node, _windows(x, node, kernel), terms, chance)


@rule("conv2d_transpose")
def _conv2d_transpose(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), attributes = inputs, node.attributes
    *kernel, _, channels = node.variables["weights"].shape
    spreads = [
        transposed(profile, size, stride, attributes["padding"])
        for profile, size, stride in zip(x.profiles, kernel, attributes["strides"], strict=True)
    ]
    return _mixed_anew(x, node, spreads, math.prod(kernel) * channels)


@rule("matmul")
def _matmul(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), (terms, depth) = inputs, node.variables["weights"].shape
    chance = x.chance.mixed_anew(_likeness(x, terms), depth)
    moments = Moments(0.0, *(_weight_variance(node) * terms * each for each in x[1:4]))
    return x.plain(moments, node.output, chance=chance)
