"""Provenance: where values were written, which calls were made, and what the scopes held there."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import CodeType, FrameType
from typing import Any, Literal, NamedTuple, Unpack, get_args, get_origin

from model_zoo.errors import json_pointer

AnyFunction = Callable[..., Any]
# Whose line gave a value: the request's, the default scope's, the network's, or other code's.
Level = Literal["request", "default_scope", "network", "code"]


class Location(NamedTuple):
    """A line of Python that gave a value; `level` says whose line it is."""

    code: CodeType
    line: int
    module: str
    level: Level

    @property
    def file(self) -> str:
        """The path from the top-level package on, so that it is the same on every machine."""
        return _path_in_package(self.code.co_filename, self.module)

    def __str__(self) -> str:
        return f"{self.file}:{self.line} ({self.code.co_name})"


@functools.lru_cache(maxsize=1024)  # of a few files, for thousands of values
def _path_in_package(file: str, module: str) -> str:
    parts = file.replace("\\", "/").split("/")
    depth = module.count(".") + (2 if parts[-1] == "__init__.py" else 1)
    return "/".join(parts[-depth:])


class Pointer(NamedTuple):
    """A level of a request, by the JSON pointer of its arguments."""

    args: str
    level: Level = "request"

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


# The default name of an op's layer, where it depends on the arguments; None is no layer.
LayerName = Callable[[Mapping[str, Any]], str | None]


class ScopedOp:
    """What a scope needs to know of a decorated function: its name, arguments and layer.

    `layer` is the default name of the layer that a call is, None if it is none; `tensors` are the
    parameters that take tensors.
    """

    __slots__ = (
        "accepts_any",
        "defaults",
        "function",
        "layer",
        "name",
        "parameters",
        "positional",
        "tensors",
    )

    def __init__(self, function: AnyFunction) -> None:
        parameters = inspect.signature(function).parameters
        kinds = inspect.Parameter
        self.name = function.__name__
        self.function = function
        keywords = [p.annotation for p in parameters.values() if p.kind is kinds.VAR_KEYWORD]
        listed = [names for hint in keywords for names in _unpacked(hint)]
        self.accepts_any = bool(keywords) and not listed
        self.positional = tuple(
            p.name
            for p in parameters.values()
            if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)
        )
        self.parameters = tuple(
            p.name
            for p in parameters.values()
            if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
        ) + tuple(listed)
        self.defaults = {
            p.name: p.default for p in parameters.values() if p.default is not kinds.empty
        }
        self.layer: str | LayerName | None = None
        self.tensors: frozenset[str] = frozenset()

    def of_one_call(self, *, is_forced: bool) -> frozenset[str]:
        """Return the arguments that feed or name one call; a scope may still set `reuse`."""
        return self.tensors | ({"scope", "reuse"} if is_forced else {"scope"})

    def __repr__(self) -> str:
        return f"<scoped op {self.name}>"


def _unpacked(hint: Any) -> tuple[str, ...]:
    """Return the names that `**keywords: Unpack[...]` lists."""
    if get_origin(hint) is not Unpack:
        return ()
    (keywords,) = get_args(hint)
    return tuple(keywords.__annotations__)


class Call:
    """One call of a scoped op, as a trace records it; what can wait for a report is made there.

    `bindings` is what the scopes held and `forced` what forced levels did, `arg_scope` the whole
    scope in force; `scope` is the variable scope where the call stands, `layer` the one that the op
    entered, once it has. `matched` is the name by which levels with patterns were chosen, None
    where no such level sets arguments of the op.
    """

    __slots__ = (
        "_code",
        "_keywords",
        "_level",
        "_line",
        "_module",
        "_positional",
        "arg_scope",
        "bindings",
        "forced",
        "layer",
        "matched",
        "op",
        "parent",
        "scope",
    )

    def __init__(
        self,
        op: ScopedOp,
        positional: tuple[Any, ...],
        keywords: dict[str, Any],
        arg_scope: Mapping[AnyFunction, Mapping[str, Any]],
        bindings: dict[str, Binding],
        forced: dict[str, Binding],
        matched: str | None,
        caller: FrameType,
        level: Level,
        parent: "Call | None",
        scope: str,
    ) -> None:
        self.op = op
        self._positional = positional
        self._keywords = keywords
        self.arg_scope = arg_scope
        self.bindings = bindings
        self.forced = forced
        self.matched = matched
        # A frame would keep all its variables alive.
        self._code = caller.f_code
        self._line = caller.f_lineno
        self._module = caller.f_globals.get("__name__", "")
        self._level = level
        self.parent = parent
        self.scope = scope
        self.layer = ""

    @property
    def place(self) -> str:
        """The layer that the call is, or stands in."""
        return self.layer or self.scope

    @property
    def given(self) -> dict[str, Any]:
        """What the caller wrote, by argument name."""
        return given_arguments(self.op, self._positional, self._keywords)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the op got, by argument name; its own defaults left out."""
        scoped = {name: binding.value for name, binding in self.bindings.items()}
        forced = {name: binding.value for name, binding in self.forced.items()}
        return {**scoped, **self.given, **forced}

    @property
    def default_layer(self) -> str | None:
        """The default name of the layer that the call is, if any."""
        layer = self.op.layer
        return layer(self.arguments) if callable(layer) else layer

    @property
    def location(self) -> Location:
        """Where the call stands."""
        return Location(self._code, self._line, self._module, self._level)


def given_arguments(
    op: ScopedOp, positional: tuple[Any, ...], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a call's own arguments by name."""
    return {**dict(zip(op.positional, positional, strict=False)), **keywords}


class _VariableScope:
    """A variable scope: how often it was entered, and the scopes entered inside it by name."""

    __slots__ = ("count", "inside")

    def __init__(self) -> None:
        self.count = 0
        self.inside: dict[str, _VariableScope] = {}

    def at(self, name: str) -> "_VariableScope":
        """Return the scope of a name inside this one, which may be a path."""
        scope = self
        for part in name.split("/") if "/" in name else (name,):
            inner = scope.inside.get(part)
            if inner is None:
                inner = scope.inside[part] = _VariableScope()
            scope = inner
        return scope


class Recording:
    """The calls of scoped ops made so far, the one that is running, the variable scope it is in."""

    __slots__ = ("_scope", "calls", "current", "scope")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.current: Call | None = None
        self.scope = ""
        self._scope = _VariableScope()

    def scope_path(self, name: str | None, default: str = "") -> str:
        """Return the path of a variable scope entered here: of a name, or of a default, numbered.

        As in TensorFlow: `Conv`, then `Conv_1`.
        """
        prefix = f"{self.scope}/" if self.scope else ""
        if name is not None:
            return prefix + name
        count = self._scope.at(default).count
        return f"{prefix}{default}_{count}" if count else prefix + default

    def enter_scope(self, name: str | None, default: str) -> "tuple[str, _VariableScope]":
        """Enter a scope of a name or of a default one; return what `leave_scope` takes."""
        outer = (self.scope, self._scope)
        path = self.scope_path(name, default)
        self._scope.at(default if name is None else name).count += 1
        self._scope = self._scope.at(path[len(self.scope) + 1 :] if self.scope else path)
        self.scope = path
        return outer

    def leave_scope(self, outer: "tuple[str, _VariableScope]") -> None:
        """Leave a variable scope.

        As in TensorFlow, default names inside a scope start anew when it is entered again.
        """
        self._scope.inside.clear()
        self.scope, self._scope = outer

    def layer_of(self, op: ScopedOp, arguments: Mapping[str, Any]) -> str:
        """Return the layer that a call made here will be, or else the variable scope it stands in.

        `arguments` are what the call gives, over what scopes without patterns do.
        """
        default = op.layer(arguments) if callable(op.layer) else op.layer
        if default is None:
            return self.scope
        if "scope" not in op.parameters:
            return self.scope_path(default)
        return self.scope_path(arguments.get("scope", op.defaults.get("scope")), default)


_level: ContextVar[Level] = ContextVar("level", default="code")
_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)


def current_level() -> Level:
    """Return whose lines are running, as `written_as` says."""
    return _level.get()


def current_recording() -> Recording | None:
    """Return the active recording, if any."""
    return _recording.get()


def caller_location() -> Location:
    """Return the line that called the caller of this function."""
    frame = sys._getframe(2)
    return Location(frame.f_code, frame.f_lineno, frame.f_globals.get("__name__", ""), _level.get())


@contextlib.contextmanager
def written_as(level: Level) -> Iterator[None]:
    """Attribute the lines that run inside to a level, which every `Location` records."""
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


def active_arguments(call: Call) -> tuple[str, ...]:
    """Return the scoped arguments in force at a call and those around it, with their origins."""
    lines: list[str] = []
    inner: Call | None = call
    while inner is not None:
        lines += [
            f"{inner.op.name}.{name}={describe(binding.value)} "
            f"from {written_at(binding.origin, name)}"
            for name, binding in {**inner.bindings, **inner.forced}.items()
        ]
        inner = inner.parent
    return tuple(lines)


def written_at(origin: Origin, argument: str) -> str:
    """Return where an argument was written: a JSON pointer, or file, line and function."""
    if isinstance(origin, Pointer):
        return origin.args + json_pointer(argument)
    return str(origin)


def describe(value: object) -> str:
    """Return a value as messages show it: a function by its name."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {describe(inner)}" for key, inner in value.items()) + "}"
    return getattr(value, "__name__", None) or repr(value)
