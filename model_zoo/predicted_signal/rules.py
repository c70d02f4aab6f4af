"""The rules by which the moments of a primitive's output follow from those of its inputs.

Weights are independent, so a sum of many products is about normal (the limit of wide layers,
arXiv:1611.01232): the mean square of a convolution's output is that of its input times the number
of its terms and the variance of a weight. docs/experiments.md says what else is assumed.
"""

from collections.abc import Callable, Sequence

from model_zoo.graph import Node, Variable
from model_zoo.predicted_signal.initial_values import initial_moments
from model_zoo.predicted_signal.signals import MeanAndSquare, Signal, Unpredictable

Rule = Callable[[Node, Sequence[Signal]], Signal]
RULES: dict[str, Rule] = {}

NOTHING: MeanAndSquare = (0.0, 0.0)
ONE: MeanAndSquare = (1.0, 1.0)


def rule(op: str) -> Callable[[Rule], Rule]:
    """Register the rule of a primitive.

    Raises: ValueError if it has one.
    """

    def register(function: Rule) -> Rule:
        if op in RULES:
            raise ValueError(f"There is already a rule for {op}.")
        RULES[op] = function
        return function

    return register


def initial_values(variable: Variable) -> MeanAndSquare:
    """Return the mean and the mean square of a variable's values."""
    moments = initial_moments(variable.initializer, variable.shape)
    if moments is None:
        raise Unpredictable(
            f"the variance of {variable.name} is not known: its initializer is "
            f"{variable.initializer!r}"
        )
    mean, variance = moments
    return mean, mean * mean + variance
