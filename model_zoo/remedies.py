"""What would make a network build that was refused: every change is tried before it is told."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from pydantic import JsonValue

from model_zoo.errors import BuildError, SizeError, ZooError, json_pointer
from model_zoo.levels import Level
from model_zoo.network_runs import run_network
from model_zoo.patterns import Names
from model_zoo.signatures import to_wire
from model_zoo.spec import BuildSpec, Resolved

# A network takes up to 0.1 s to run, and a request waits.
_MAX_TRIED = 16


class _Change(NamedTuple):
    """A level of a spec, and another in its place; `pointer` is what is changed there."""

    level: Level
    other: Level | None
    pointer: str
    value: Any


def with_remedy(error: BuildError, spec: BuildSpec) -> BuildError:
    """Return an error of a network with what would avoid it, and who is to blame.

    An argument of a level without which the network builds is to blame. Otherwise, where a layer
    does not fit its size, parameters of the head are tried, and the network's own input shape.
    """
    change = _blamed(spec)
    if change is not None:
        remedy = f"it builds without {change.pointer}{_or_except(error, spec, change)}"
        return error.with_remedy(remedy, change.pointer, to_wire(change.value))
    if isinstance(error, SizeError):
        return error.with_remedy(_other_parameters(spec))
    return error


def _blamed(spec: BuildSpec) -> _Change | None:
    """Return the change of a level, forced ones first, with which the network builds."""
    # The last of equals comes first: it is the innermost, and wins.
    levels = sorted(spec.resolved().levels, key=lambda level: level.is_forced)[::-1]
    changes = (change for level in levels for change in _changes(level))
    return next(
        (
            change
            for change in islice(changes, _MAX_TRIED)
            if _builds(_changed(spec.resolved(), change), spec)
        ),
        None,
    )


def _changes(level: Level) -> Iterator[_Change]:
    """Yield the level without each of its arguments, then no level."""
    for name, value in level.arguments.items():
        others = {other: it for other, it in level.arguments.items() if other != name}
        pointer = level.pointer + json_pointer("args", name)
        yield _Change(level, replace(level, arguments=others), pointer, value)
    if len(level.arguments) > 1:
        yield _Change(level, None, level.pointer, level.normalized())


def _or_except(error: BuildError, spec: BuildSpec, change: _Change) -> str:
    """Return the `except` line for the layer that refused, if the network builds with it."""
    layer = (error.layer or "").partition(" (")[0]
    limit = change.level.layers
    for spared in (layer, layer.rpartition("/")[0]):
        if not spared:
            continue
        excluded = sorted({*(limit.excluded if limit else ()), spared})
        names = Names(limit.patterns if limit else ("*",), excluded)
        other = change._replace(other=replace(change.level, layers=names))
        if _builds(_changed(spec.resolved(), other), spec):
            return f', or with "except": {json.dumps(excluded)} in that level'
    return ""


def _changed(resolved: Resolved, change: _Change) -> Resolved:
    levels = (change.other if level is change.level else level for level in resolved.levels)
    scopes = replace(resolved.scopes, levels=tuple(level for level in levels if level is not None))
    return replace(resolved, scopes=scopes)


# TF-Slim's parameters of heads, and the value with which a head fits inputs of other sizes.
_HEAD_PARAMETERS: Mapping[str, JsonValue] = {
    "create_aux_logits": False,
    "global_pool": True,
    "fc_conv_padding": "SAME",
    "spatial_squeeze": False,
}


def _other_parameters(spec: BuildSpec) -> str:
    """Return with which changes a network builds whose layer does not fit its input.

    The parameters of the head are tried one by one, and if none of them alone is enough, together.
    """
    resolved, document = spec.resolved(), spec.normalized()
    own = list(resolved.entry.input_shape)
    heads = {
        name: value
        for name, value in _HEAD_PARAMETERS.items()
        if name in resolved.params and resolved.params[name] != value
    }

    def building(changes: Iterable[dict[str, JsonValue]]) -> list[str]:
        return [
            f"params {json.dumps(change)}"
            for change in changes
            if _builds_as({**document, "params": {**document["params"], **change}})
        ]

    remedies = building({name: value} for name, value in heads.items())
    if not remedies and len(heads) > 1:
        # A class for each position is another output; the others leave one class a picture.
        heads.pop("spatial_squeeze", None)
        remedies = building([heads])
    if list(resolved.input_shape) != own and _builds_as({**document, "input_shape": own}):
        remedies.append(f"input_shape {own}")
    if not remedies:
        return "neither other params of its head nor its own input_shape would avoid that"
    return f"it builds with {' or with '.join(remedies)}"


def _builds_as(document: Mapping[str, Any]) -> bool:
    try:
        spec = BuildSpec.read(document)
    except ZooError:
        return False
    return _builds(spec.resolved(), spec)


def _builds(resolved: Resolved, spec: BuildSpec) -> bool:
    try:
        run_network(resolved, is_training=spec.is_training)
    except ZooError:
        return False
    return True
