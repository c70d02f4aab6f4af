"""Parts of an explanation: the calls in some layers, of some ops, with some of their arguments.

A filter is a name or a pattern, whose `*` stands for any characters, as in the patterns of weights.
"""

from collections.abc import Iterable
from dataclasses import replace

from model_zoo.errors import OptionError, Problem, not_accepted, unknown_name
from model_zoo.patterns import fits, nearest_patterns
from model_zoo.reports.explanation import Explanation

# No name is longer; a pattern of many stars takes long to compare.
_MAX_PATTERN = 256


def filter_explanation(
    explanation: Explanation,
    *,
    layer: str | None = None,
    op: str | None = None,
    argument: str | None = None,
) -> Explanation:
    """Return the calls and overrides that fit every filter; a layer is also a scope of layers.

    An override's counts stay those of the whole network, and it stands in no layer.
    Raises: OptionError for a filter that fits nothing in what those before it leave.
    """
    calls, overrides, where = explanation.calls, explanation.overrides, ""
    if layer is not None:
        check_filter("layer", layer, _scopes(call.layer for call in calls), where)
        calls = tuple(call for call in calls if _is_in(call.layer, layer))
        where += f" in layer {layer!r}"
    if op is not None:
        check_filter("op", op, {call.op for call in calls}, where)
        calls = tuple(call for call in calls if fits(call.op, op))
        overrides = tuple(override for override in overrides if fits(override.op, op))
        where += f" of op {op!r}"
    if argument is not None:
        check_filter(
            "argument", argument, {a.name for call in calls for a in call.arguments}, where
        )
        calls = tuple(
            replace(call, arguments=arguments)
            for call in calls
            if (arguments := tuple(a for a in call.arguments if fits(a.name, argument)))
        )
        overrides = tuple(each for each in overrides if fits(each.argument, argument))
    return replace(explanation, calls=calls, overrides=overrides)


def _is_in(name: str, layer: str) -> bool:
    return name.startswith(f"{layer}/") or fits(name, layer)


def check_filter(option: str, pattern: str, names: Iterable[str], where: str = "") -> None:
    """Raises: OptionError if a pattern fits none of the names."""
    if "*" not in pattern:
        if pattern not in names:
            raise not_accepted(option, pattern, names, where)
    elif len(pattern) > _MAX_PATTERN:
        message = f"{option} has {len(pattern)} characters; a pattern has {_MAX_PATTERN} at most."
        raise OptionError(option, Problem(message, received=pattern))
    elif not any(fits(name, pattern) for name in names):
        rule = f"{option} {pattern!r} fits no {option}{where}."
        problem = unknown_name("", rule, pattern, names)
        if close := nearest_patterns(pattern, names):
            message = f"{rule} Did you mean {' or '.join(map(repr, close))}?"
            problem = Problem(message, received=pattern, suggestion=close[0])
        raise OptionError(option, problem)


def _scopes(layers: Iterable[str]) -> set[str]:
    """Return the layers and every scope that they stand in."""
    scopes: set[str] = set()
    for layer in layers:
        parts = layer.split("/")
        scopes.update("/".join(parts[:count]) for count in range(1, len(parts) + 1))
    return scopes
