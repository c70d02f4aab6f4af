"""Runs a spec's network on symbols, inside the scopes that the spec asks for."""

import contextlib

from model_zoo.arg_scope import arg_scope
from model_zoo.graph import Graph, Tensor
from model_zoo.mistakes import build_network
from model_zoo.provenance import written_as
from model_zoo.spec import Resolved
from model_zoo.zoo import default_scope, ends_itself


def run_network(resolved: Resolved, *, is_training: bool) -> Graph:
    """Return what a network records in its default scope, then a spec's levels in order.

    Raises: BuildError if the network refuses.
    """
    params = dict(resolved.params)
    itself = ends_itself(resolved.entry.network)
    final_endpoint = None if itself else params.pop("final_endpoint")

    def network(inputs: Tensor) -> Tensor:
        with written_as("network"):
            return resolved.entry.network(inputs, is_training=is_training, **params)

    with contextlib.ExitStack() as scopes:
        scopes.enter_context(arg_scope({}))
        if resolved.default_scope is not None:
            own = default_scope(resolved.entry, dict(resolved.default_scope))
            scopes.enter_context(arg_scope(own))
        for level in resolved.levels:
            scopes.enter_context(
                arg_scope.from_request(
                    level.ops,
                    level.arguments,
                    level.pointer + "/args",
                    layers=level.layers,
                    is_forced=level.is_forced,
                )
            )
        return build_network(
            resolved.entry, network, resolved.input_shape, final_endpoint=final_endpoint
        )
