"""Who set an argument of a call: every value that was given for it, the one that won first."""

import functools
from typing import Any, Literal, NamedTuple

from model_zoo.errors import json_pointer
from model_zoo.provenance import Call, Level, Origin, Pointer, written_at

# How a value came to a call: from a forced level, the call itself, a scope, or the op's default.
Kind = Literal["forced", "call", "scope", "default"]


class Source(NamedTuple):
    """Where a value was written: a JSON pointer, or a line of Python, and whose level it is."""

    written_at: str
    level: Level

    def __str__(self) -> str:
        return self.written_at


class Setter(NamedTuple):
    """A value that was given for an argument of a call.

    `origin` is the scope's, None for the call's own. Where that is in words is found when asked
    for: warnings look at thousands of values, and tell of a few.
    """

    kind: Kind
    value: Any
    origin: Origin | None
    call: Call
    argument: str

    @property
    def source(self) -> Source:
        """Where the value was written."""
        if self.origin is None:
            return _source_of_given(self.call, self.argument)
        return _source(self.origin, self.argument)


def setters(call: Call, name: str, given: dict[str, Any] | None = None) -> list[Setter]:
    """Return what was given for an argument of a call, each beating those after it.

    Forced levels come first, the inner one before the outer, then the call, then the other scopes,
    from the innermost out. None is the op's own default. `given` is `call.given`, where it is
    already known.
    """
    given = call.given if given is None else given
    ranked: list[Setter] = []
    if name in call.forced:
        ranked += _scoped("forced", call, name)
    if name in given:
        ranked.append(Setter("call", given[name], None, call, name))
    if name in call.bindings:
        ranked += _scoped("scope", call, name)
    return ranked


def _scoped(kind: Literal["forced", "scope"], call: Call, name: str) -> list[Setter]:
    binding = (call.forced if kind == "forced" else call.bindings)[name]
    return [Setter(kind, b.value, b.origin, call, name) for b in binding.chain()]


def _source(origin: Origin, name: str) -> Source:
    if isinstance(origin, Pointer):
        return _source_in_request(origin, name)
    return Source(written_at(origin, name), origin.level)


# A level of a request reaches hundreds of calls.
@functools.lru_cache(maxsize=4096)
def _source_in_request(origin: Pointer, name: str) -> Source:
    return Source(written_at(origin, name), origin.level)


def _source_of_given(call: Call, name: str) -> Source:
    """Return where a call's own argument was written.

    A normalizer's arguments are passed on by the layer that calls it: they were written where that
    layer's `normalizer_params` were.
    """
    parent = call.parent
    if parent is not None and "normalizer_params" in parent.op.parameters:
        carriers = setters(parent, "normalizer_params")
        if carriers and carriers[0].value and name in carriers[0].value:
            source = carriers[0].source
            if isinstance(carriers[0].origin, Pointer):
                return Source(source.written_at + json_pointer(name), source.level)
            carrier = f"normalizer_params of {parent.op.name}"
            return Source(f"{source.written_at}, {carrier}", source.level)
    return Source(str(call.location), call.location.level)
