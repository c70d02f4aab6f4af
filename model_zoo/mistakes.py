"""Mistakes of a network's author: told as a BuildError that names the layer and the argument.

Own networks are checked by tests, so a trace of one pays nothing. Requests are checked when they
are read; what a network passes to an op is checked here, after the trace.
"""

from collections.abc import Callable, Iterable, Sequence

from model_zoo.architectures.registry import Architecture
from model_zoo.errors import BuildError
from model_zoo.graph import Graph, Tensor, build_graph
from model_zoo.packages import describe_error
from model_zoo.provenance import Call, describe, written_at
from model_zoo.signatures import signature_of


def build_network(
    entry: Architecture,
    network: Callable[[Tensor], Tensor],
    input_shape: Sequence[int],
    *,
    final_endpoint: str | None = None,
) -> Graph:
    """Return the graph of an architecture's network; see `build_graph`.

    Raises: BuildError also for what its author got wrong, if it is not one of ours.
    """
    if entry.is_own:
        return build_graph(network, input_shape, final_endpoint=final_endpoint)

    def explain(error: Exception, calls: Sequence[Call], failed: Call | None) -> Exception:
        mistake = find_mistake(calls)
        if mistake is None:
            mistake = BuildError(describe_error(error))
            mistake.layer = _place(failed) if failed else entry.name
        return mistake

    graph = build_graph(network, input_shape, final_endpoint=final_endpoint, explain=explain)
    mistake = find_mistake(graph.calls)
    if mistake is not None:
        raise mistake
    if not isinstance(graph.output, Tensor):
        kind = type(graph.output).__name__
        raise BuildError(
            f"{entry.name} must return a tensor; it returned a value of type {kind}. End points "
            "are published by end_point."
        )
    return graph


def find_mistake(calls: Iterable[Call]) -> BuildError | None:
    """Return the first argument of a call that is not of the type that the op declares."""
    for call in calls:
        arguments = signature_of(call.op.function).arguments
        given = {name: (value, str(call.location)) for name, value in call.given.items()}
        scoped = {
            name: (binding.value, written_at(binding.origin, name))
            for name, binding in call.bindings.items()
        }
        for name, (value, place) in {**scoped, **given}.items():
            if name in arguments and not arguments[name].kind.fits(value):
                mistake = BuildError(
                    f"{name} must be {arguments[name].kind.in_python}; received "
                    f"{describe(value)[:200]}, written at {place}.",
                    received=describe(value),
                )
                mistake.layer = _place(call)
                return mistake
    return None


def _place(call: Call) -> str:
    return f"{call.place or call.op.name} ({call.op.name})"
