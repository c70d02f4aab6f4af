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

It differs from TF-Slim where TF-Slim only hurts: a refused scope leaves its parent active, names
are checked when a scope is entered, positional arguments count as call arguments, and the active
scope is local to the thread or task.
"""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar, cast

from model_zoo.errors import BuildError, Problem, ScopeError, json_pointer, unknown_name

P = ParamSpec("P")
R = TypeVar("R")
AnyFunction = Callable[..., Any]


class Location(NamedTuple):
    """A line of Python that gave a value; `level` says whose line it is."""

    code: CodeType
    line: int
    module: str
    level: str

    @property
    def file(self) -> str:
        """The path from the top-level package on, so that it is the same on every machine."""
        parts = self.code.co_filename.replace("\\", "/").split("/")
        depth = self.module.count(".") + (2 if parts[-1] == "__init__.py" else 1)
        return "/".join(parts[-depth:])

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.code.co_name})"


class Pointer(NamedTuple):
    """A level of a request, by the JSON pointer of its arguments."""

    args: str
    level: str = "request"

    def __str__(self) -> str:
        return self.args


Origin = Location | Pointer


class Binding(NamedTuple):
    """A scope's value for one argument, where it was written, and the outer binding it beat."""

    value: Any
    origin: Origin
    beat: "Binding | None"

    def chain(self) -> Iterator["Binding"]:
        """Yield this binding and those it beat, innermost first."""
        binding: Binding | None = self
        while binding is not None:
            yield binding
            binding = binding.beat


class ScopedOp:
    """What a scope needs to know of a decorated function: its name and its arguments."""

    __slots__ = ("accepts_any", "defaults", "function", "name", "parameters", "positional")

    def __init__(self, function: AnyFunction) -> None:
        parameters = inspect.signature(function).parameters
        kinds = inspect.Parameter
        self.name = function.__name__
        self.function = function
        self.accepts_any = any(p.kind is kinds.VAR_KEYWORD for p in parameters.values())
        self.positional = tuple(
            p.name
            for p in parameters.values()
            if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
        )
        self.parameters = tuple(
            p.name
            for p in parameters.values()
            if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
        )
        self.defaults = {
            p.name: p.default for p in parameters.values() if p.default is not kinds.empty
        }

    def __repr__(self) -> str:
        return f"<scoped op {self.name}>"


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
        found = self._resolved.get(op)
        if found is not None:
            return found
        pending: list[ArgScope] = []
        scope: ArgScope | None = self
        while scope is not None:
            found = scope._resolved.get(op)
            if found is not None:
                break
            pending.append(scope)
            scope = scope._outer
        found = found or _NOTHING
        for scope in reversed(pending):
            if op in scope._ops and scope._arguments:
                origin = cast(Origin, scope._origin)
                bindings = dict(found.bindings)
                for name, value in scope._arguments.items():
                    bindings[name] = Binding(value, origin, bindings.get(name))
                found = _Resolved(bindings, {**found.values, **scope._arguments})
            scope._resolved[op] = found
        return found

    def levels(self) -> Iterator["ArgScope"]:
        """Yield this level and those around it, innermost first."""
        scope: ArgScope | None = self
        while scope is not None:
            yield scope
            scope = scope._outer

    def functions(self) -> dict[ScopedOp, AnyFunction]:
        """Return the decorated functions that any level names, outermost level first."""
        found: dict[ScopedOp, AnyFunction] = {}
        for scope in reversed(list(self.levels())):
            found.update(scope._ops)
        return found

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


class Call:
    """One call of a scoped op, as a trace records it; what can wait for a report is made there.

    `bindings` is what the scopes held, `layer` the variable scope that the op entered, once it has.
    """

    __slots__ = (
        "_code",
        "_keywords",
        "_level",
        "_line",
        "_module",
        "_positional",
        "bindings",
        "layer",
        "op",
        "parent",
    )

    def __init__(
        self,
        op: ScopedOp,
        positional: tuple[Any, ...],
        keywords: dict[str, Any],
        bindings: dict[str, Binding],
        caller: FrameType,
        level: str,
        parent: "Call | None",
    ) -> None:
        self.op = op
        self._positional = positional
        self._keywords = keywords
        self.bindings = bindings
        # A frame would keep all its variables alive.
        self._code = caller.f_code
        self._line = caller.f_lineno
        self._module = caller.f_globals.get("__name__", "")
        self._level = level
        self.parent = parent
        self.layer = ""

    @property
    def given(self) -> dict[str, Any]:
        """What the caller wrote, by argument name."""
        return {**dict(zip(self.op.positional, self._positional, strict=False)), **self._keywords}

    @property
    def location(self) -> Location:
        """Where the call stands."""
        return Location(self._code, self._line, self._module, self._level)


class Recording:
    """The calls of scoped ops made so far, and the one that is running."""

    __slots__ = ("calls", "current")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.current: Call | None = None


_EMPTY_SCOPE = ArgScope()
_active_scope: ContextVar[ArgScope] = ContextVar("active_scope", default=_EMPTY_SCOPE)
_level: ContextVar[str] = ContextVar("level", default="code")
_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)


def _caller() -> Location:
    frame = sys._getframe(2)
    return Location(frame.f_code, frame.f_lineno, frame.f_globals.get("__name__", ""), _level.get())


@contextlib.contextmanager
def written_as(level: str) -> Iterator[None]:
    """Say whose lines run inside, `default_scope` or `network`; every `Location` keeps it."""
    token = _level.set(level)
    try:
        yield
    finally:
        _level.reset(token)


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """Record every call of a scoped op made inside."""
    record = Recording()
    token = _recording.set(record)
    try:
        yield record
    finally:
        _recording.reset(token)


def current_call() -> Call | None:
    """Return the call of a scoped op that is running and recorded, if any."""
    record = _recording.get()
    return record.current if record is not None else None


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
        found = scope._resolved.get(op) or scope.resolve(op)
        values = found.values
        if values:
            arguments = {**values, **kwargs}
            for name in positional[: len(args)]:
                if name in values and name not in kwargs:
                    del arguments[name]
        else:
            arguments = kwargs
        record = _recording.get()
        if record is None:
            return function(*args, **arguments)
        parent = record.current
        call = Call(op, args, kwargs, found.bindings, sys._getframe(1), _level.get(), parent)
        record.calls.append(call)
        record.current = call
        try:
            return function(*args, **arguments)
        except BuildError as error:
            if error.layer is None:
                error.layer = f"{call.layer or _enclosing_layer(call)} ({op.name})"
                error.scopes = active_arguments(call)
            raise
        finally:
            record.current = parent

    scoped.scoped_op = op  # type: ignore[attr-defined]  # how a scope finds the op of a function
    return scoped


def _enclosing_layer(call: Call) -> str:
    return call.parent.layer if call.parent is not None else call.op.name


def active_arguments(call: Call) -> tuple[str, ...]:
    """Return the scoped arguments in force at a call and those around it, with their origins."""
    lines: list[str] = []
    inner: Call | None = call
    while inner is not None:
        lines += [
            f"{inner.op.name}.{name}={describe(binding.value)} "
            f"from {written_at(binding.origin, name)}"
            for name, binding in inner.bindings.items()
        ]
        inner = inner.parent
    return tuple(lines)


def written_at(origin: Origin, argument: str) -> str:
    """Return where an argument was written: a JSON pointer, or file, line and function."""
    if isinstance(origin, Pointer):
        return origin.args + json_pointer(argument)
    return str(origin)


def describe(value: object) -> str:
    """Return a value as a reader of a message knows it: a function by its name."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {describe(inner)}" for key, inner in value.items()) + "}"
    return getattr(value, "__name__", None) or repr(value)


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
        self._origin: Origin = _caller()

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
