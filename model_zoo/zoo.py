"""The catalogue: every architecture by name, and what a request may say to each."""

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.architectures.registry import Architecture, find_registered, registered
from model_zoo.arg_scope import arg_scope, scoped_op
from model_zoo.layers import find_op, op_names
from model_zoo.mistakes import build_network
from model_zoo.packages import FailedPackage, failures, load_packages
from model_zoo.plain_values import ArgumentDescription, PlainKind
from model_zoo.provenance import written_as
from model_zoo.scope_chain import ArgScope
from model_zoo.signatures import Argument, Signature, signature_of, to_wire


class ArchitectureRow(TypedDict):
    """An architecture as published, in a row of the catalogue.

    `family` is such as `Inception`; of a network of another package, the package.
    """

    name: str
    family: str
    parameters: int
    multiply_adds: int
    input_shape: list[int]
    classes: int
    background_class: bool
    preprocessing: str
    source: str


# `except` is a keyword, so this is no class. A field that says nothing is left out.
LevelDocument = TypedDict(
    "LevelDocument",
    {
        "ops": list[str],
        "args": dict[str, JsonValue],
        "layers": NotRequired[list[str]],
        "except": NotRequired[list[str]],
        "force": NotRequired[bool],
    },
)
LevelDocument.__doc__ = "One level of scopes: ops, their arguments, and where and how it holds."


class DefaultScopeDescription(TypedDict):
    """An architecture's own scope: the function, its arguments, and the levels that it makes."""

    function: str
    arguments: list[ArgumentDescription]
    levels: list[LevelDocument]


class ArchitectureDescription(ArchitectureRow):
    """An architecture with all that a request can set."""

    description: str
    params: list[ArgumentDescription]
    default_scope: DefaultScopeDescription
    ops: list[str]


class OpDescription(TypedDict):
    """A scoped op with its arguments."""

    name: str
    description: str
    arguments: list[ArgumentDescription]


def _load() -> None:
    """Register our own families, then those of installed packages."""
    import_module("model_zoo.architectures")
    load_packages(_check)


def _check(added: set[str]) -> None:
    """Describe what a package has added, as the catalogue does: that must not fail there."""
    try:
        for name in sorted(added & set(op_names())):
            describe_op(name)
        for name in sorted(added & set(registered())):
            describe_architecture(name)
    except BaseException:
        published.cache_clear()  # another package may have the names
        raise


def failed_packages() -> tuple[FailedPackage, ...]:
    """Return the installed packages whose architectures are left out, and why."""
    _load()
    return failures()


def find_architecture(name: str, pointer: str = "") -> Architecture:
    """Return an architecture by name.

    Raises: ZooError for an unknown name, with the nearest ones.
    """
    _load()
    return find_registered(name, pointer)


def list_architectures() -> tuple[str, ...]:
    """Return the names of all architectures, sorted."""
    _load()
    return tuple(sorted(registered()))


@functools.cache
def parameters(entry: Architecture) -> Signature:
    """Return the parameters that a request's `params` may set, with the catalogue's defaults.

    They are those of the published network, and so is the number of classes.
    """
    return network_parameters(entry).with_defaults({"num_classes": entry.classes, **entry.fixed})


def network_parameters(entry: Architecture) -> Signature:
    """Return the parameters with the defaults of the network function itself, as TF-Slim has it."""
    return _network_parameters(entry.network).with_defaults(entry.fixed)


@functools.cache
def _network_parameters(network: Callable[..., Any]) -> Signature:
    inputs = next(iter(inspect.signature(network).parameters))
    signature = Signature(network, skip=(inputs, "is_training"))
    if not ends_itself(network):
        # Every network can end early: the trace knows its end points.
        signature.arguments["final_endpoint"] = Argument(
            "final_endpoint", PlainKind(str | None), None
        )
    return signature


def ends_itself(network: Callable[..., Any]) -> bool:
    """Return whether a network takes `final_endpoint`, to classify by that end point's features."""
    return "final_endpoint" in inspect.signature(network).parameters


def default_scope(entry: Architecture, arguments: dict[str, Any]) -> ArgScope:
    """Return the architecture's own scope, made outside of any other."""
    with written_as("default_scope"), arg_scope({}):
        return entry.arg_scope(**arguments)


def describe_architecture(name: str) -> ArchitectureDescription:
    """Return an architecture as the catalogue shows it, JSON-ready.

    Raises: ZooError for an unknown name.
    """
    entry = find_architecture(name)
    levels: list[LevelDocument] = [
        {
            "ops": sorted(op.name for op in level.ops),
            "args": {key: to_wire(value) for key, value in level.arguments.items()},
        }
        for level in reversed(list(default_scope(entry, {}).levels()))
        if level.ops
    ]
    return {
        **_row(entry),
        "description": (entry.network.__doc__ or "").split("\n")[0],
        "params": parameters(entry).describe(),
        "default_scope": {
            "function": entry.arg_scope.__name__,
            "arguments": signature_of(entry.arg_scope).describe(),
            "levels": levels,
        },
        "ops": list(published(name).ops),
    }


class Published(NamedTuple):
    """An architecture's figures as published: what a spec that names nothing else builds."""

    parameters: int
    multiply_adds: int
    ops: tuple[str, ...]


@functools.cache
def published(name: str) -> Published:
    """Return an architecture's figures, and the scoped ops that it calls, sorted."""
    entry = find_architecture(name)
    params = parameters(entry).defaults()
    if not ends_itself(entry.network):
        del params["final_endpoint"]
    with arg_scope(default_scope(entry, {})):
        graph = build_network(
            entry,
            lambda inputs: entry.network(inputs, is_training=False, **params),
            entry.input_shape,
        )
    return Published(
        sum(variable.size for variable in graph.variables),
        sum(node.multiply_adds for node in graph.nodes),
        tuple(sorted({call.op.name for call in graph.calls})),
    )


def describe_architectures() -> list[ArchitectureRow]:
    """Return the catalogue: a row for each architecture as published, JSON-ready."""
    return [_row(find_architecture(name)) for name in list_architectures()]


def _row(entry: Architecture) -> ArchitectureRow:
    figures = published(entry.name)
    return {
        "name": entry.name,
        "family": entry.family,
        "parameters": figures.parameters,
        "multiply_adds": figures.multiply_adds,
        "input_shape": list(entry.input_shape),
        "classes": entry.classes,
        "background_class": entry.background,
        "preprocessing": entry.preprocessing,
        "source": entry.source,
    }


def list_ops() -> tuple[str, ...]:
    """Return the names of all scoped ops, sorted."""
    _load()
    return op_names()


def describe_op(name: str) -> OpDescription:
    """Return a scoped op as the catalogue shows it, JSON-ready.

    Raises: ZooError for an unknown name.
    """
    _load()
    function = find_op(name)
    return {
        "name": scoped_op(function).name,
        "description": inspect.getdoc(function) or "",
        "arguments": signature_of(function).describe(),
    }
