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
to the thread or task. And it adds two: a level may be limited to layers (`on`), and it may have the
last word (`forced`):

    >>> with arg_scope([conv], stride=2).forced():
    ...     conv("x", 3)
    (2, 'SAME')
"""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from model_zoo.errors import BuildError, Problem, ScopeError, describe_each, json_pointer
from model_zoo.patterns import Names
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
    given_arguments,
)
from model_zoo.scope_chain import ArgScope
from model_zoo.unknown_arguments import unknown_argument

P = ParamSpec("P")
R = TypeVar("R")


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
        resolved = scope.resolved.get(op) or scope.resolve(op)
        record = current_recording()
        matched: str | None = None
        if resolved.is_conditional:
            given = {**resolved.values, **given_arguments(op, args, kwargs)}
            matched = "" if record is None else record.layer_of(op, given)
            resolved = scope.resolve_in(op, matched)
        values = resolved.values
        if values:
            arguments = {**values, **kwargs}
            for name in positional[: len(args)]:
                if name in values and name not in kwargs:
                    del arguments[name]
        else:
            arguments = kwargs
        passed: Any = args
        if forced := resolved.forced:
            passed, arguments = _forced_over(op, forced, args, arguments)
        if record is None:
            return function(*passed, **arguments)
        parent = record.current
        caller = sys._getframe(1)
        call = Call(
            op,
            args,
            kwargs,
            scope,
            resolved.bindings,
            forced,
            matched,
            caller,
            current_level(),
            parent,
            record.scope,
        )
        record.calls.append(call)
        record.current = call
        try:
            return function(*passed, **arguments)
        except BuildError as error:
            if error.layer is None:
                error.layer = f"{call.place or op.name} ({op.name})"
                error.scopes = active_arguments(call)
            raise
        finally:
            record.current = parent

    scoped.scoped_op = op  # type: ignore[attr-defined]  # how a scope finds the op of a function
    return scoped


def _forced_over(
    op: ScopedOp, forced: Mapping[str, Binding], args: tuple[Any, ...], arguments: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a call's positional and named arguments with the forced ones in their places."""
    values = {name: binding.value for name, binding in forced.items()}
    names = op.positional[: len(args)]
    passed = [values.pop(name, value) for name, value in zip(names, args, strict=False)]
    return (*passed, *args[len(names) :]), {**arguments, **values}


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

    Beyond TF-Slim, `arg_scope(...).on("InceptionV3/Mixed_5b/*")` limits a level to layers, and
    `.forced()` lets it beat what the network itself sets; either may follow the other.

    Raises (before anything changes): ScopeError for a function that is not decorated, an argument
    that one of the functions lacks, arguments beside a saved scope, or an argument that feeds or
    names one call in a forced level.
    """

    _layers: Names | None = None
    _is_forced = False

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
        cls,
        ops: Iterable[AnyFunction],
        arguments: Mapping[str, Any],
        pointer: str,
        *,
        layers: Names | None = None,
        is_forced: bool = False,
    ) -> Self:
        """Return a level of a request; `pointer` is the JSON pointer of its arguments."""
        level = cls(ops, **arguments)
        level._origin = Pointer(pointer)
        level._layers, level._is_forced = layers, is_forced
        return level

    def on(self, *layers: str, except_: Sequence[str] = ()) -> Self:
        """Return this level, limited to the layers that a pattern fits and none of `except_` does.

        A pattern fits a whole name, as the explanation shows it; * stands for any characters, `/`
        among them.

        >>> from model_zoo.layers import conv2d
        >>> level = arg_scope([conv2d], padding="VALID").on("Net/*", except_=["Net/Logits/*"])
        """
        if not layers:
            raise ScopeError("on() takes at least one pattern of layers.")
        level = self._recreate_cm()
        level._layers = Names(layers, except_)
        return level

    def forced(self) -> Self:
        """Return this level with the last word: it beats calls, and scopes inside and outside it.

        Among forced levels, the inner one wins.
        """
        level = self._recreate_cm()
        level._is_forced = True
        return level

    def _recreate_cm(self) -> Self:
        # Each call of a decorated function enters a level of its own: the token is not shared.
        level = type(self)(self._target, **self._arguments)
        level._origin = self._origin
        level._layers, level._is_forced = self._layers, self._is_forced
        return level

    def _scope(self) -> ArgScope:
        active, target = _active_scope.get(), self._target
        if isinstance(target, Mapping):
            if self._layers is not None or self._is_forced:
                raise ScopeError("A saved scope is entered as it is, not forced or on layers.")
            self._refuse_arguments()
            return self._saved(target).inside(active)
        if not isinstance(target, (list, tuple)):
            raise ScopeError(
                "arg_scope takes a list or tuple of functions, or a saved scope; "
                f"received {describe(target)}."
            )
        ops = {scoped_op(function): function for function in target}
        base = self._origin.args if isinstance(self._origin, Pointer) else None
        problems = list(refused_arguments(tuple(ops), self._arguments, base))
        if self._is_forced:
            problems += arguments_of_one_call(
                tuple(ops), self._arguments, base or "", is_forced=True
            )
        if self._layers is not None and "scope" in self._arguments:
            problems.append(Problem("scope names a layer, so no level on layers can set it."))
        if problems:
            raise ScopeError(*problems)
        if not self._is_forced:
            return ArgScope(active, ops, self._arguments, self._origin, self._layers, active.forced)
        forced = ArgScope(active.forced, ops, self._arguments, self._origin, self._layers)
        return ArgScope(active, forced=forced)

    def _saved(self, target: Mapping[AnyFunction, Mapping[str, Any]]) -> ArgScope:
        if isinstance(target, ArgScope):
            return target
        scope = _EMPTY_SCOPE
        for function, arguments in target.items():
            op = scoped_op(function)
            problems = list(refused_arguments((op,), arguments))
            if problems:
                raise ScopeError(*problems)
            scope = ArgScope(scope, {op: function}, arguments, self._origin)
        return scope

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


def arguments_of_one_call(
    ops: tuple[ScopedOp, ...], arguments: Mapping[str, Any], pointer: str, *, is_forced: bool
) -> Iterator[Problem]:
    """Yield a problem for each argument that feeds or names one call of one of the ops."""
    consequence = "it cannot be forced" if is_forced else "a scope cannot set it"
    owners = {name: op.name for op in reversed(ops) for name in op.of_one_call(is_forced=is_forced)}
    for name, value in arguments.items():
        if name in owners:
            yield Problem(
                f"{name} of {owners[name]} feeds or names one call, so {consequence}.",
                pointer + json_pointer(name),
                value,
            )


def refused_arguments(
    ops: tuple[ScopedOp, ...], names: Iterable[str], pointer: str | None = None
) -> Iterator[Problem]:
    """Yield a problem for each argument name that one of the ops lacks."""
    strict = [op for op in ops if not op.accepts_any]
    if not strict:
        return
    known = set.intersection(*(set(op.parameters) for op in strict))

    def describe(name: str) -> Problem:
        lacking = [op.name for op in strict if name not in op.parameters]
        shared = set.intersection(*(set(op.parameters) for op in ops))
        where = "" if pointer is None else pointer + json_pointer(name)
        return unknown_argument(lacking, name, shared, where)

    yield from describe_each((name for name in names if name not in known), describe)
