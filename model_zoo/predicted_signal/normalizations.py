"""Batch, group, instance, layer and local response normalization, and biases."""

import math
from collections.abc import Sequence

from model_zoo.graph import Node
from model_zoo.predicted_signal.chance import NO_LOADS, Chance
from model_zoo.predicted_signal.normal_values import Moments
from model_zoo.predicted_signal.rules import NOTHING, ONE, initial_values, rule
from model_zoo.predicted_signal.signals import Signal, Unpredictable


@rule("bias_add")
def _bias_add(node: Node, inputs: Sequence[Signal]) -> Signal:
    return inputs[0].affine(ONE, initial_values(node.variables["biases"]), node.output)


def _scale_and_shift(x: Signal, node: Node, scale: float = 1.0) -> Signal:
    """Return what gamma and beta make of values, whose squares `scale` normalises."""
    gamma, beta = node.variables.get("gamma"), node.variables.get("beta")
    mean, square = ONE if gamma is None else initial_values(gamma)
    factor = (mean * math.sqrt(scale), square * scale)
    return x.affine(factor, NOTHING if beta is None else initial_values(beta), node.output)


@rule("batch_norm")
def _batch_norm(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), epsilon = inputs, node.attributes["epsilon"]
    if node.uses_batch_statistics:
        # What all positions and examples of a channel share is its mean, and goes.
        variance = max(x.square - x.far, 0.0)
        scale = 1.0 / (variance + epsilon)
        moments = Moments(0.0, variance * scale, max(x.near - x.far, 0.0) * scale, 0.0)
        chance = Chance(channels=node.output.channels, key=object())
        return _scale_and_shift(x.plain(moments, node.output, chance=chance), node)
    moved = node.variables["moving_variance"]
    (average, average_square), (variance, square) = map(
        initial_values, (node.variables["moving_mean"], moved)
    )
    if variance < 0 or square != variance * variance:
        raise Unpredictable(
            f"{moved.name} is not one value of at least 0: its initializer is {moved.initializer!r}"
        )
    if average_square:
        x = x.affine(ONE, (-average, average_square), node.output)
    return _scale_and_shift(x, node, 1.0 / (variance + epsilon))


@rule("group_norm")
def _group_norm(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), attributes = inputs, node.attributes
    positions = math.prod([x.profiles[axis - 1].size for axis in attributes["reduction_axes"]])
    channels = node.output.channels // attributes["groups"]
    return _normalised(node, x, positions, channels)


@rule("layer_norm")
def _layer_norm(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), begin = inputs, node.attributes["begin_norm_axis"]
    return _normalised(
        node,
        x,
        math.prod([profile.size for profile in x.profiles[begin - 1 :]]),
        node.output.channels,
    )


def _normalised(node: Node, x: Signal, positions: int, channels: int) -> Signal:
    """Return values of one example without their own mean, over their own deviation."""
    level = x.mean * x.mean
    near, far = max(x.near - level, 0.0), max(x.far - level, 0.0)
    # The mean of the group varies, too, and takes that from the group's variance.
    others = 1 - 1 / channels
    within = max(x.square - x.far, 0.0) * (1 - 1 / (positions * channels))
    variance = far * others + within
    scale = 1.0 / (variance + node.attributes["epsilon"])
    moments = Moments(
        0.0, variance * scale, max(near - far / channels, 0.0) * scale, far * others * scale
    )
    chance = x.chance._replace(inherited=0.0, loads=NO_LOADS)
    return _scale_and_shift(x.plain(moments, node.output, chance=chance), node)


@rule("local_response_normalization")
def _local_response_normalization(node: Node, inputs: Sequence[Signal]) -> Signal:
    (x,), attributes = inputs, node.attributes
    radius, channels = attributes["depth_radius"], node.output.channels
    neighbours = sum(
        min(index + radius, channels - 1) - max(index - radius, 0) + 1 for index in range(channels)
    )
    total = attributes["bias"] + attributes["alpha"] * x.square * neighbours / channels
    if not total:
        raise Unpredictable("it divides by 0")
    scale = total ** -attributes["beta"]
    return x.affine((scale, scale * scale), NOTHING, node.output)
