"""The scope in force at a layer, as levels that a request could have sent."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.errors import Problem, ZooError, unknown_name
from model_zoo.graph import Tensor
from model_zoo.level_format import ScopeLevel
from model_zoo.levels import read_level
from model_zoo.provenance import Call
from model_zoo.scope_chain import ArgScope
from model_zoo.signatures import to_wire
from model_zoo.zoo import LevelDocument


class LeftOutDocument(TypedDict):
    """An argument in force that no request can set, and why."""

    op: str
    argument: str
    value: JsonValue
    reason: str


class LayerScopeDocument(TypedDict):
    """The scope in force at a layer: the body of a saved scope, and what no request can set."""

    levels: list[LevelDocument]
    left_out: list[LeftOutDocument]


def scope_at_layer(calls: Sequence[Call], layer: str) -> LayerScopeDocument:
    """Return the scope in force where a layer was called.

    Levels that hold in some layers only are there if they hold in this one, and then for all;
    forced arguments are in forced levels.

    Raises: ZooError if no call is this layer.
    """
    here = [call for call in calls if call.place == layer]
    if not here:
        layers = dict.fromkeys(call.place for call in calls)
        raise ZooError(unknown_name("", f"There is no layer {layer!r}.", layer, layers))
    # Calls that are no layer of their own may stand in the scope of this one.
    call = next((call for call in here if call.layer), here[0])
    together: dict[tuple[bool, str], LevelDocument] = {}
    left_out: list[LeftOutDocument] = []
    for op, arguments, is_forced in _in_force(cast(ArgScope, call.arg_scope), layer):
        settable: dict[str, Any] = {}
        for name, value in arguments.items():
            wire = value.name if isinstance(value, Tensor) else to_wire(value)
            problem = _refusal(op, name, wire, is_forced)
            if problem is None:
                settable[name] = wire
            else:
                left_out.append(
                    {"op": op, "argument": name, "value": wire, "reason": problem.message}
                )
        if settable:
            key = (is_forced, repr(sorted(settable.items())))
            level = together.setdefault(key, {"ops": [], "args": settable})
            level["ops"].append(op)
            if is_forced:
                level["force"] = True
    return {"levels": list(together.values()), "left_out": left_out}


def _in_force(scope: ArgScope, layer: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each op's arguments in force at a layer: those of forced levels last."""
    resolved = {
        op: scope.resolve_in(op, layer) for op in sorted(scope.functions(), key=lambda op: op.name)
    }
    for op, each in resolved.items():
        values = {name: value for name, value in each.values.items() if name not in each.forced}
        yield op.name, values, False
    for op, each in resolved.items():
        yield op.name, {name: binding.value for name, binding in each.forced.items()}, True


def _refusal(op: str, name: str, wire: Any, is_forced: bool) -> Problem | None:
    """Return why a request cannot set an argument, if it cannot."""
    try:
        read_level(ScopeLevel(ops=[op], args={name: wire}, force=is_forced), "")
    except ZooError as error:
        return error.problems[0]
    return None
