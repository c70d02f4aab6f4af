"""What is in force inside nested arg scopes: a chain of levels, merged for an op at its call."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from model_zoo.patterns import Names
from model_zoo.provenance import AnyFunction, Binding, Origin, ScopedOp


class Resolved(NamedTuple):
    """What the levels bind for an op: `forced` those of forced levels, `bindings` the others'.

    `is_conditional` says that levels with patterns set arguments of the op too: those that count
    are known only at a call.
    """

    bindings: dict[str, Binding]
    values: dict[str, Any]
    forced: dict[str, Binding]
    is_conditional: bool


_NOTHING = Resolved({}, {}, {}, False)


class ArgScope(Mapping[AnyFunction, Mapping[str, Any]]):
    """The arguments in force for each function: what `with arg_scope(...) as scope` yields.

    A scope holds only what its own level changes and a link to the level outside it; what an op
    gets is merged at its first call and kept, so entering a scope costs what the scope changes.
    Forced levels make a chain of their own, `forced`, that every scope inside them carries. As a
    mapping, a scope shows what holds in every layer: levels with patterns are left out.
    """

    __slots__ = ("_arguments", "_layers", "_ops", "_origin", "_outer", "forced", "resolved")

    def __init__(
        self,
        outer: "ArgScope | None" = None,
        ops: Mapping[ScopedOp, AnyFunction] | None = None,
        arguments: Mapping[str, Any] | None = None,
        origin: Origin | None = None,
        layers: Names | None = None,
        forced: "ArgScope | None" = None,
    ) -> None:
        self._outer = outer
        self._ops = ops or {}
        self._arguments = arguments or {}
        self._origin = origin
        self._layers = layers
        self.forced = forced
        self.resolved: dict[ScopedOp, Resolved] = {}

    def resolve(self, op: ScopedOp) -> Resolved:
        """Return what the levels up to this one bind for `op` in every layer."""
        resolved = self.resolved.get(op)
        if resolved is not None:
            return resolved
        pending: list[ArgScope] = []
        scope: ArgScope | None = self
        while scope is not None:
            resolved = scope.resolved.get(op)
            if resolved is not None:
                break
            pending.append(scope)
            scope = scope._outer
        resolved = resolved or _NOTHING
        for scope in reversed(pending):
            resolved = scope.resolved[op] = scope._over(resolved, op)
        return resolved

    def _over(self, outer: Resolved, op: ScopedOp) -> Resolved:
        bindings, values, forced, is_conditional = outer
        if op in self._ops and self._arguments:
            if self._layers is not None:
                is_conditional = True
            else:
                bindings = dict(bindings)
                self._bind(bindings)
                values = {**values, **self._arguments}
        if self.forced is not None:
            in_force = self.forced.resolve(op)
            forced = in_force.bindings
            is_conditional |= in_force.is_conditional
        return Resolved(bindings, values, forced, is_conditional)

    def resolve_in(self, op: ScopedOp, layer: str) -> Resolved:
        """Return what the levels up to this one bind for `op` in a layer."""
        bindings = self._bindings_in(op, layer)
        forced = {} if self.forced is None else self.forced._bindings_in(op, layer)
        values = {name: binding.value for name, binding in bindings.items()}
        return Resolved(bindings, values, forced, True)

    def _bindings_in(self, op: ScopedOp, layer: str) -> dict[str, Binding]:
        bindings: dict[str, Binding] = {}
        for scope in reversed(list(self.levels())):
            if op in scope._ops and (scope._layers is None or layer in scope._layers):
                scope._bind(bindings)
        return bindings

    def _bind(self, bindings: dict[str, Binding]) -> None:
        origin = cast(Origin, self._origin)
        for name, value in self._arguments.items():
            bindings[name] = Binding(value, origin, bindings.get(name))

    def levels(self) -> Iterator["ArgScope"]:
        """Yield this level and those around it, innermost first; forced ones are not among them."""
        scope: ArgScope | None = self
        while scope is not None:
            yield scope
            scope = scope._outer

    def inside(self, active: "ArgScope") -> "ArgScope":
        """Return this saved scope entered inside another, whose forced levels it survives.

        Its own forced levels are inside those.
        """
        forced = active.forced
        if forced is None or forced is self.forced:
            return self
        # Levels are told apart by their arguments: a saved scope may be entered inside itself.
        around = {id(level._arguments) for level in forced.levels()}
        for level in reversed([] if self.forced is None else list(self.forced.levels())):
            if id(level._arguments) not in around:
                forced = ArgScope(
                    forced, level._ops, level._arguments, level._origin, level._layers
                )
        return ArgScope(self, forced=forced)

    def functions(self) -> dict[ScopedOp, AnyFunction]:
        """Return the decorated functions that any level names, outermost level first."""
        functions: dict[ScopedOp, AnyFunction] = {}
        for scope in reversed(list(self.levels())):
            functions.update(scope._ops)
        if self.forced is not None:
            functions.update(self.forced.functions())
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
        resolved = self.resolve(op)
        return {**resolved.values, **{name: b.value for name, b in resolved.forced.items()}}

    def __iter__(self) -> Iterator[AnyFunction]:
        return iter(self.functions().values())

    def __len__(self) -> int:
        return len(self.functions())

    def __repr__(self) -> str:
        inside = ", ".join(f"{f.__name__}: {dict(values)}" for f, values in self.items())
        return f"ArgScope({{{inside}}})"
