"""The scoped ops by name: what a request's `ops` can list."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, get_args, get_type_hints, overload

from model_zoo.arg_scope import add_arg_scope, scoped_op
from model_zoo.errors import Problem, ZooError, unknown_name
from model_zoo.graph import Tensor
from model_zoo.packages import why_missing
from model_zoo.provenance import LayerName
from model_zoo.registries import Registry
from model_zoo.values import OfOneCall

F = TypeVar("F", bound=Callable[..., Any])
_ops: Registry[Callable[..., Any]] = Registry("a scoped op")
_aliases = {"convolution2d": "conv2d"}
_normalizers: Registry[Callable[..., Any]] = Registry("a normalizer")


@overload
def register_op(function: F) -> F: ...
@overload
def register_op(*, layer: str | LayerName) -> Callable[[F], F]: ...
def register_op(function: F | None = None, *, layer: str | LayerName | None = None) -> Any:
    """Decorate a function with `add_arg_scope` and offer it to requests under its name.

    `layer` is the default name of the layer that a call is, entered by `layer_scope`: `Conv`, then
    `Conv_1`. Where it depends on the call, it is a function of the arguments by name, and may
    return None for no layer. Without it, a call goes by the variable scope it stands in.

    Raises: ValueError if another op has the name.
    """
    if function is None:
        return functools.partial(register_op, layer=layer)
    registered: Any = add_arg_scope(function)
    op = scoped_op(registered)
    op.layer = layer
    op.tensors = _tensors(function)
    _ops.add(_aliases.get(op.name, op.name), registered, function)
    return registered


def _tensors(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the parameters that take tensors, or what else feeds one call."""
    hints = get_type_hints(function, include_extras=True)
    hints.pop("return", None)
    return frozenset(
        name
        for name, hint in hints.items()
        if Tensor in (hint, *get_args(hint)) or OfOneCall() in get_args(hint)
    )


def register_normalizer(*, layer: str) -> Callable[[F], F]:
    """Register an op that `normalizer_fn` can name: a tensor, and defaults for the rest."""

    def register(function: F) -> F:
        op = register_op(layer=layer)(function)
        _normalizers.add(function.__name__, op, function)
        return op

    return register


def normalizer_names() -> tuple[str, ...]:
    """Return the names of the ops that `normalizer_fn` can name."""
    return tuple(_normalizers)


def op_names() -> tuple[str, ...]:
    """Return the names of all scoped ops, sorted; aliases not counted."""
    return tuple(sorted(_ops))


def find_op(name: str, pointer: str = "") -> Callable[..., Any]:
    """Return the scoped op of a name or alias.

    Raises: ZooError for an unknown name.
    """
    if not is_op(name):
        raise ZooError(unknown_op(name, pointer))
    return _ops[_aliases.get(name, name)]


def is_op(name: str) -> bool:
    """Return whether a scoped op has this name or alias."""
    return _aliases.get(name, name) in _ops


def unknown_op(name: str, pointer: str = "") -> Problem:
    """Return the problem of a name that no scoped op has."""
    rule = f"There is no scoped op {name!r}."
    return unknown_name(pointer, rule, name, [*_ops, *_aliases], why_missing(name))
