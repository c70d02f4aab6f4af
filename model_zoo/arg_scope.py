"""Arg scopes: default arguments for functions, nested, with the origin of every value.

The semantics are TF-Slim's (`tf_slim/ops/arg_scope.py`): an argument given at the call beats the
innermost scope, which beats outer scopes, which beat the function's own default.

    >>> @add_arg_scope
    ... def conv(x, stride=1, padding="SAME"):
    ...     return stride, padding
    >>> with arg_scope([conv], stride=2):
    ...     with arg_scope([conv], padding="VALID"):
    ...         conv("x"), conv("x", 3)
    ((2, 'VALID'), (3, 'VALID'))

It departs from TF-Slim in four ways: a refused scope leaves its parent active, names are checked
when a scope is entered, positional arguments count as call arguments, and the active scope is local
to the thread or task.
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar, cast

from model_zoo.errors import BuildError, Problem, ScopeError, json_pointer, unknown_name
from model_zoo.provenance import (
    AnyFunction,
    Binding,
    Call,
    Origin,
    Pointer,
    ScopedOp,
    active_arguments,
    caller_location,
    current_level,
    current_recording,
    describe,
)

P = ParamSpec("P")
R = TypeVar("R")


class _Resolved(NamedTuple):
    bindings: dict[str, Binding]
    values: dict[str, Any]


_NOTHING = _Resolved({}, {})


class ArgScope(Mapping[AnyFunction, Mapping[str, Any]]):
    """The arguments in force for each function: what `with arg_scope(...) as scope` yields.

    A scope holds only what its own level changes and a link to the level outside it; what an op
    gets is merged at its first call and kept, so entering a scope costs what the scope changes.
    """

    __slots__ = ("_arguments", "_ops", "_origin", "_outer", "_resolved")

    def __init__(
        self,
        outer: "ArgScope | None" = None,
        ops: Mapping[ScopedOp, AnyFunction] | None = None,
        arguments: Mapping[str, Any] | None = None,
        origin: Origin | None = None,
    ) -> None:
        self._outer = outer
        self._ops = ops or {}
        self._arguments = arguments or {}
        self._origin = origin
        self._resolved: dict[ScopedOp, _Resolved] = {}

    def resolve(self, op: ScopedOp) -> _Resolved:
        """Return what every level up to this one binds for `op`."""
        resolved = self._resolved.get(op)
        if resolved is not None:
            return resolved
        pending: list[ArgScope] = []
        scope: ArgScope | None = self
        while scope is not None:
            resolved = scope._resolved.get(op)
            if resolved is not None:
                break
            pending.append(scope)
            scope = scope._outer
        resolved = resolved or _NOTHING
        for scope in reversed(pending):
            if op in scope._ops and scope._arguments:
                origin = cast(Origin, scope._origin)
                bindings = dict(resolved.bindings)
                for name, value in scope._arguments.items():
                    bindings[name] = Binding(value, origin, bindings.get(name))
                resolved = _Resolved(bindings, {**resolved.values, **scope._arguments})
            scope._resolved[op] = resolved
        return resolved

    def levels(self) -> Iterator["ArgScope"]:
        """Yield this level and those around it, innermost first."""
        scope: ArgScope | None = self
        while scope is not None:
            yield scope
            scope = scope._outer

    def functions(self) -> dict[ScopedOp, AnyFunction]:
        """Return the decorated functions that any level names, outermost level first."""
        functions: dict[ScopedOp, AnyFunction] = {}
        for scope in reversed(list(self.levels())):
            functions.update(scope._ops)
        return functions

    @property
    def ops(self) -> tuple[ScopedOp, ...]:
        """The ops that this level alone names."""
        return tuple(self._ops)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments that this level alone sets."""
        return self._arguments

    def __getitem__(self, function: AnyFunction) -> Mapping[str, Any]:
        op = getattr(function, "scoped_op", None)
        if not isinstance(op, ScopedOp) or op not in self.functions():
            raise KeyError(function)
        return dict(self.resolve(op).values)

    def __iter__(self) -> Iterator[AnyFunction]:
        return iter(self.functions().values())

    def __len__(self) -> int:
        return len(self.functions())

    def __repr__(self) -> str:
        inside = ", ".join(f"{f.__name__}: {dict(values)}" for f, values in self.items())
        return f"ArgScope({{{inside}}})"


_EMPTY_SCOPE = ArgScope()
_active_scope: ContextVar[ArgScope] = ContextVar("active_scope", default=_EMPTY_SCOPE)


def add_arg_scope(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function`, made to take the arguments it was not given from the active scope.

    The result keeps name, docstring and signature. Decorating twice changes nothing.
    """
    if has_arg_scope(function):
        return function
    op = ScopedOp(function)
    positional = op.positional

    @functools.wraps(function)
    def scoped(*args: P.args, **kwargs: P.kwargs) -> R:
        scope = _active_scope.get()
        resolved = scope._resolved.get(op) or scope.resolve(op)
        values = resolved.values
        if values:
            arguments = {**values, **kwargs}
            for name in positional[: len(args)]:
                if name in values and name not in kwargs:
                    del arguments[name]
        else:
            arguments = kwargs
        record = current_recording()
        if record is None:
            return function(*args, **arguments)
        parent = record.current
        caller = sys._getframe(1)
        call = Call(
            op, args, kwargs, resolved.bindings, caller, current_level(), parent, record.scope
        )
        record.calls.append(call)
        record.current = call
        try:
            return function(*args, **arguments)
        except BuildError as error:
            if error.layer is None:
                error.layer = f"{call.place or op.name} ({op.name})"
                error.scopes = active_arguments(call)
            raise
        finally:
            record.current = parent

    scoped.scoped_op = op  # type: ignore[attr-defined]  # how a scope finds the op of a function
    return scoped


def scoped_op(function: AnyFunction) -> ScopedOp:
    """Return what a scope knows of a decorated function.

    Raises: ScopeError if the function is not decorated with `add_arg_scope`.
    """
    op = getattr(function, "scoped_op", None)
    if not isinstance(op, ScopedOp):
        name = getattr(function, "__name__", None) or repr(function)
        raise ScopeError(f"{name} is not decorated with @add_arg_scope, so no scope can reach it.")
    return op


def has_arg_scope(function: AnyFunction) -> bool:
    """Return whether the function is decorated with `add_arg_scope`."""
    return isinstance(getattr(function, "scoped_op", None), ScopedOp)


def arg_scoped_arguments(function: AnyFunction) -> tuple[str, ...]:
    """Return the names of the arguments with a default, which a scope usually sets."""
    return tuple(scoped_op(function).defaults)


def current_arg_scope() -> ArgScope:
    """Return the scope in force: a mapping of function to its scoped arguments."""
    return _active_scope.get()


class arg_scope(contextlib.ContextDecorator):  # noqa: N801 - TF-Slim's name, used like a function
    """Set default arguments for scoped functions, inside a `with` block or a decorated function.

    `arg_scope([ops], **arguments)` merges over the active scope, op by op and argument by argument.
    `arg_scope(saved)` replaces the active scope by a saved one; `arg_scope({})` clears it.
    `as scope` gives the whole merged scope.

    Raises (before anything changes): ScopeError for a function that is not decorated, an argument
    that one of the functions lacks, or arguments beside a saved scope.
    """

    def __init__(
        self,
        ops_or_scope: Iterable[AnyFunction] | Mapping[AnyFunction, Mapping[str, Any]],
        /,
        **arguments: Any,
    ) -> None:
        self._target = ops_or_scope
        self._arguments = arguments
        self._origin: Origin = caller_location()

    @classmethod
    def from_request(
        cls, ops: Iterable[AnyFunction], arguments: Mapping[str, Any], pointer: str
    ) -> Self:
        """Return a level of a request; `pointer` is the JSON pointer of its arguments."""
        level = cls(ops, **arguments)
        level._origin = Pointer(pointer)
        return level

    def _recreate_cm(self) -> Self:
        # Each call of a decorated function enters a level of its own: the token is not shared.
        level = type(self)(self._target, **self._arguments)
        level._origin = self._origin
        return level

    def _scope(self) -> ArgScope:
        target = self._target
        if isinstance(target, ArgScope):
            self._refuse_arguments()
            return target
        if isinstance(target, Mapping):
            self._refuse_arguments()
            scope = _EMPTY_SCOPE
            for function, arguments in target.items():
                scope = _extended(scope, [function], arguments, self._origin)
            return scope
        if not isinstance(target, (list, tuple)):
            raise ScopeError(
                "arg_scope takes a list or tuple of functions, or a saved scope; "
                f"received {describe(target)}."
            )
        return _extended(_active_scope.get(), target, self._arguments, self._origin)

    def _refuse_arguments(self) -> None:
        if self._arguments:
            raise ScopeError(
                "A saved scope is entered as it is, without further arguments; "
                f"received {', '.join(sorted(self._arguments))}."
            )

    def __enter__(self) -> ArgScope:
        scope = self._scope()
        self._token = _active_scope.set(scope)
        return scope

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _active_scope.reset(self._token)


def _extended(
    outer: ArgScope, functions: Iterable[AnyFunction], arguments: Mapping[str, Any], origin: Origin
) -> ArgScope:
    ops = {scoped_op(function): function for function in functions}
    base = origin.args if isinstance(origin, Pointer) else None
    problems = list(refused_arguments(tuple(ops), arguments, base))
    if problems:
        raise ScopeError(*problems)
    return ArgScope(outer, ops, arguments, origin)


def refused_arguments(
    ops: tuple[ScopedOp, ...], names: Iterable[str], pointer: str | None = None
) -> Iterator[Problem]:
    """Yield a problem for each argument name that one of the ops lacks."""
    for name in names:
        lacking = [op.name for op in ops if name not in op.parameters and not op.accepts_any]
        if lacking:
            have = "has" if len(lacking) == 1 else "have"
            shared = set.intersection(*(set(op.parameters) for op in ops))
            yield unknown_name(
                "" if pointer is None else pointer + json_pointer(name),
                f"{' and '.join(lacking)} {have} no argument {name!r}.",
                name,
                shared,
            )
