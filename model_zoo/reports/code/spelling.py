"""Spells values as Python: plain ones alike in every style, functions as a style has them."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from model_zoo.arg_scope import has_arg_scope, scoped_op
from model_zoo.levels import Level
from model_zoo.reports.code.layout import Expression, Group, prefixed
from model_zoo.signatures import Signature, signature_of
from model_zoo.spec import BuildSpec
from model_zoo.values import Initializer, Named, Regularizer, ValueKind, makers
from model_zoo.weight_sources import seed, stored


class Spelling(ABC):
    """How a style spells the values of arguments; `pointer` is a value's place in the spec."""

    @abstractmethod
    def op(self, function: Callable[..., Any], pointer: str) -> str:
        """Return a scoped op."""

    @abstractmethod
    def named(self, value: Named, pointer: str) -> Expression:
        """Return an activation, an initializer or a regularizer."""

    def value(self, value: Any, pointer: str) -> Expression:
        """Return a value of an argument."""
        match value:
            case Named():
                return self.named(value, pointer)
            case Mapping():
                return Group(
                    "{",
                    tuple(
                        prefixed(f"{text(key)}: ", self.value(inner, pointer))
                        for key, inner in value.items()
                    ),
                    "}",
                )
            case list():
                return Group("[", tuple(self.value(inner, pointer) for inner in value), "]")
            case tuple() if len(value) != 1:
                return Group("(", tuple(self.value(inner, pointer) for inner in value), ")")
            case str():
                return text(value)
        if callable(value) and has_arg_scope(value):
            return self.op(value, pointer)
        return repr(value)

    def keywords(self, arguments: Mapping[str, Any], pointer: str) -> Iterable[Expression]:
        """Yield arguments by name."""
        for name, value in arguments.items():
            yield prefixed(f"{name}=", self.value(value, f"{pointer}/{name}"))

    def maker_arguments(self, value: Named, pointer: str) -> Iterable[Expression]:
        """Yield what a call must pass to make a value: arguments that are not at their defaults."""
        known = signature_of(makers(kind_of(value))[value.name]).arguments
        for name, inner in value.arguments:
            if known[name].required:
                yield self.value(inner, pointer)
            elif inner != known[name].default:
                yield prefixed(f"{name}=", self.value(inner, pointer))


def kind_of(value: Named) -> ValueKind:
    """Return the kind of a value that has a name."""
    match value:
        case Initializer():
            return "initializer"
        case Regularizer():
            return "regularizer"
    return "activation"


def ops_in_order(level: Level) -> list[Callable[..., Any]]:
    """Return the ops of a level in the order of the normalized spec."""
    return sorted(level.ops, key=lambda function: scoped_op(function).name)


def text(value: str) -> str:
    """Return a string as Black quotes it: doubly, unless that takes more backslashes."""
    spelled = repr(value)
    if spelled[0] == '"' or value.count('"') > value.count("'"):
        return spelled
    # Of the pairs that begin with a backslash, only that of the single quote needs it no longer.
    inside = re.sub(r"\\(.)", lambda pair: "'" if pair[1] == "'" else pair[0], spelled[1:-1])
    return '"' + inside.replace('"', '\\"') + '"'


def changed(values: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Return the values that are not at the defaults of a signature's arguments."""
    defaults = signature.defaults()
    return {
        name: value
        for name, value in values.items()
        if name in signature.arguments and (name not in defaults or value != defaults[name])
    }


def spelled_params(spec: BuildSpec, signature: Signature) -> dict[str, Any]:
    """Return the parameters that the call of a network with a signature spells.

    The number of classes and the mode are always among them.
    """
    params = spec.resolved().params
    first = {"num_classes": params["num_classes"]} if "num_classes" in params else {}
    return {**first, "is_training": spec.is_training, **changed(params, signature)}


def weights_comments(spec: BuildSpec) -> list[str]:
    """Return a comment for each source of a build's weights that its code leaves out."""
    lines = [
        f"# Not here: the build takes weights from {source.source} {source.id[:12]}."
        for _, source in stored(spec.weights)
    ]
    if number := seed(spec.weights):
        lines.insert(0, f"# Not here: the build's random weights have seed {number}.")
    return lines
