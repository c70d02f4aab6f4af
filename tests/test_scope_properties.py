"""Properties of scopes, over the whole catalogue."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import small_spec

from model_zoo import BuildSpec, Graph, list_architectures, trace

WEIGHTED = ["conv2d", "separable_conv2d", "fully_connected", "conv3d"]
ARGUMENTS: dict[str, list[Any]] = {
    "activation_fn": ["elu", "tanh", None, {"name": "leaky_relu", "alpha": 0.3}],
    "weights_regularizer": [None, {"name": "l2_regularizer", "scale": 0.5}],
    "weights_initializer": ["ones_initializer", {"name": "constant_initializer", "value": 2.0}],
    "biases_initializer": [None, "ones_initializer"],
    "biases_regularizer": [{"name": "l1_regularizer", "scale": 0.5}],
    "trainable": [True, False],
}
BATCH_NORM: dict[str, list[Any]] = {
    "decay": [0.5, 0.9],
    "epsilon": [0.25],
    "center": [True, False],
    "scale": [True, False],
}


def build(name: str, scopes: list[dict[str, Any]]) -> list[Any]:
    """Return all that a build is made of."""
    return contents(trace(BuildSpec.read({**small_spec(name), "scopes": scopes})).graph)


def contents(graph: Graph) -> list[Any]:
    nodes = [
        (n.op, n.output.name, n.output.shape, repr(n.attributes), [i.name for i in n.inputs])
        for n in graph.nodes
    ]
    variables = [
        (v.name, v.shape, v.trainable, v.initializer, v.regularizer) for v in graph.variables
    ]
    ends = [(key, tensor.name) for key, tensor in graph.end_points.items()]
    return [nodes, variables, ends, graph.output.name]


def chosen(arguments: dict[str, list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    values = {name: st.sampled_from(options) for name, options in arguments.items()}
    return st.fixed_dictionaries({}, optional=values)


# An example traces a network four times: a twentieth of the usual number.
FEW = settings(
    max_examples=max(1, settings().max_examples // 20),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", list_architectures())
@FEW
@given(weighted=chosen(ARGUMENTS), batch_norm=chosen(BATCH_NORM), data=st.data())
def test_levels_may_be_split_and_repeated(
    name: str, weighted: dict[str, Any], batch_norm: dict[str, Any], data: st.DataObject
) -> None:
    levels = [
        {"ops": WEIGHTED, "args": weighted},
        {"ops": ["batch_norm"], "args": batch_norm},
    ]
    expected = build(name, levels)
    assert build(name, [*levels, *levels]) == expected
    first = data.draw(st.sets(st.sampled_from(sorted(weighted)))) if weighted else set()
    halves = [
        {"ops": WEIGHTED, "args": {key: weighted[key] for key in keys}}
        for keys in (sorted(first), sorted(weighted.keys() - first))
    ]
    assert build(name, [*halves, levels[1]]) == expected
    each = [{"ops": [op], "args": weighted} for op in WEIGHTED]
    assert build(name, [levels[1], *each]) == expected


@pytest.mark.parametrize("name", list_architectures())
def test_a_scope_that_reaches_a_network_changes_it(name: str) -> None:
    """Else the properties above would hold of networks that no scope reaches."""
    marked = {"ops": WEIGHTED, "args": {"biases_regularizer": None, "trainable": False}}
    assert build(name, [marked]) != build(name, [])
