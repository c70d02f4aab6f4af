"""Traces that are made once for rows that differ in numbers alone.

Another initializer, regularizer, decay or epsilon changes what a network computes, and another seed
what it starts from, but no layer, no shape and no warning: such a row has the totals and warnings
of the first one.
"""

import json
from collections import OrderedDict
from dataclasses import replace
from typing import Any, get_args

from model_zoo.arg_scope import scoped_op
from model_zoo.budget import Budget
from model_zoo.layers import find_op, normalizer_names
from model_zoo.levels import Level
from model_zoo.plain_values import PlainKind
from model_zoo.provenance import AnyFunction
from model_zoo.signatures import (
    Kind,
    NamedEachKind,
    NamedKind,
    NormalizerArgumentsKind,
    NullableKind,
    signature_of,
    to_wire,
)
from model_zoo.spec import BuildSpec
from model_zoo.sweeps.rows import RowOutcome, trace_row
from model_zoo.values import NumbersOnly

# An outcome is seven numbers and its warnings, so these are a few hundred kilobytes.
_MAX_OUTCOMES = 256


class RowTracer:
    """Traces rows under a budget, and keeps the latest outcomes to use them again."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._outcomes: OrderedDict[str, RowOutcome] = OrderedDict()

    def outcome(self, spec: BuildSpec, *, predicts: bool = False) -> RowOutcome:
        """Return what a spec comes to: what `trace_row` returns."""
        # Initializers and epsilons decide the gain.
        key = None if predicts else _structure(spec)
        if key is None:
            return trace_row(spec, self._budget, predicts=predicts)
        known = self._outcomes.get(key)
        if known is not None:
            self._outcomes.move_to_end(key)
            return replace(known, build=spec.digest)
        outcome = trace_row(spec, self._budget)
        # A problem may quote any value, so each refused row has its own.
        if outcome.problem is None:
            self._outcomes[key] = outcome
            if len(self._outcomes) > _MAX_OUTCOMES:
                self._outcomes.popitem(last=False)
        return outcome


def _structure(spec: BuildSpec) -> str | None:
    """Return a text that is equal for specs of the same layers, shapes and warnings.

    None where code of another package takes part, which may do with its arguments as it likes.
    """
    resolved = spec.resolved()
    ops = (op for level in resolved.levels for op in level.ops)
    if not (resolved.entry.is_own and all(map(_is_own, (*ops, *_normalizers())))):
        return None
    normalized = spec.normalized()
    replacement = resolved.scopes.replacement
    meaning = (
        normalized["architecture"],
        normalized["params"],
        normalized["input_shape"],
        spec.is_training,
        normalized["default_scope"],
        list(spec.default_scope or ()),  # named where a saved scope replaces them
        spec.strict,
        [_level(level) for level in resolved.levels],
        replacement and replacement[0].name,
        resolved.scopes.replaced(),
    )
    return json.dumps(meaning)


def _level(level: Level) -> list[Any]:
    """Return what of a level shapes a graph or its warnings, which are in the order of keys."""
    # Ops that share an argument share its type.
    known = signature_of(level.ops[0]).arguments
    arguments = {name: _shaping(known[name].kind, value) for name, value in level.arguments.items()}
    patterns = level.layers and (level.layers.patterns, level.layers.excluded)
    return [[scoped_op(op).name for op in level.ops], arguments, patterns, level.is_forced]


def _shaping(kind: Kind, value: Any) -> Any:
    """Return what of an argument's value shapes a graph: "*" stands for numbers alone."""
    match kind:
        case NullableKind(inner) if value is not None:
            return _shaping(inner, value)
        case NamedKind("initializer" | "regularizer"):
            return "*"
        case NamedEachKind("initializer" | "regularizer"):
            return dict.fromkeys(value, "*")
        case NormalizerArgumentsKind():
            return {name: _of_normalizers(name, inner) for name, inner in value.items()}
        case PlainKind(annotation) if NumbersOnly() in get_args(annotation):
            return "*"
    return to_wire(value)


def _of_normalizers(name: str, value: Any) -> Any:
    """Return what of an argument shapes a graph; which normalizer takes it is known at a call."""
    signatures = (signature_of(normalizer).arguments for normalizer in _normalizers())
    shapes = [_shaping(known[name].kind, value) for known in signatures if name in known]
    return shapes[0] if all(shape == shapes[0] for shape in shapes) else to_wire(value)


def _normalizers() -> list[AnyFunction]:
    return [find_op(name) for name in normalizer_names()]


def _is_own(op: AnyFunction) -> bool:
    return scoped_op(op).function.__module__.startswith("model_zoo.")
