"""From a client's spec to a trace, within the limits, and to what is kept of it.

Everything here blocks for milliseconds: the API calls it in threads.
"""

from typing import Any

from app.settings import PREFIX, Settings
from app.store.builds import Build
from app.store.sources import WeightSources
from model_zoo import Budget, BuildSpec, Trace, plan_restore, trace


def trace_spec(document: object, settings: Settings) -> Trace:
    """Return the trace of a spec as a client sends it.

    Raises: ZooError for a spec that is not valid, refused by its network, or over the budget.
    """
    budget = Budget(
        max_parameters=settings.max_parameters,
        max_multiply_adds=settings.max_multiply_adds,
        max_activation_bytes=settings.max_activation_bytes,
        max_layers=settings.max_layers,
        max_scopes=settings.max_scopes,
        setting_prefix=PREFIX,
    )
    return trace(BuildSpec.read(document), budget)


def as_build(traced: Trace, sources: WeightSources) -> Build:
    """Return what the store keeps: the spec, and facts that a listing shows without a trace.

    Raises: WeightsError if a source of the weights does not exist, or is strict and does not fit.
    """
    spec, graph = traced.spec, traced.graph
    plan = plan_restore(traced, sources)
    plan.check()
    facts: dict[str, Any] = {
        "input_shape": list(spec.input_shape),
        "output_shape": list(graph.output.shape),
        "end_points": {name: list(tensor.shape) for name, tensor in graph.end_points.items()},
        "totals": traced.summary().totals,
        "restore": plan.summary() if plan.sources else None,
        "warnings": [*traced.warnings, *plan.warnings],
    }
    return Build(spec.digest, spec.architecture, dict(spec.normalized()), facts)
