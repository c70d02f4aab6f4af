"""The scoped ops by name: what a request's `ops` can list."""

from collections.abc import Callable
from typing import Any, TypeVar

from model_zoo.arg_scope import add_arg_scope, scoped_op
from model_zoo.errors import ZooError, unknown_name

F = TypeVar("F", bound=Callable[..., Any])
_ops: dict[str, Callable[..., Any]] = {}
_aliases = {"convolution2d": "conv2d"}
_normalizers: list[str] = []


def register_op(function: F) -> F:
    """Decorate a function with `add_arg_scope` and offer it to requests under its name.

    Raises: ValueError if another op has the name.
    """
    op: Any = add_arg_scope(function)
    name = scoped_op(op).name
    if name in _ops or name in _aliases:
        raise ValueError(f"There is already a scoped op named {name}.")
    _ops[name] = op
    return op  # type: ignore[no-any-return]  # add_arg_scope keeps the signature


def register_normalizer(function: F) -> F:
    """Register an op that `normalizer_fn` can name: a tensor, and defaults for the rest."""
    op = register_op(function)
    _normalizers.append(function.__name__)
    return op


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
    op = _ops.get(_aliases.get(name, name))
    if op is None:
        raise ZooError(
            unknown_name(pointer, f"There is no scoped op {name!r}.", name, [*_ops, *_aliases])
        )
    return op
