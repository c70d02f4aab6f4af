"""A trace is used again for rows that differ in numbers alone, and no total or warning differs."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import small_spec
from test_saved_scopes import Scopes

import model_zoo.sweeps.reuse
from model_zoo import Architecture, Budget, BuildSpec, list_architectures, sweep, trace_row
from model_zoo.sweeps.reuse import RowTracer

INITIALIZERS: list[Any] = [
    "xavier_initializer",
    {"name": "truncated_normal_initializer", "stddev": 0.3},
    {"name": "constant_initializer", "value": 0.0},
]
REGULARIZERS: list[Any] = [
    None,
    {"name": "l2_regularizer", "scale": 0.0},
    {"name": "l1_regularizer", "scale": 3.0},
]


def traces(monkeypatch: pytest.MonkeyPatch) -> list[BuildSpec]:
    """Return the list to which every spec is added that is really traced."""
    traced: list[BuildSpec] = []

    def counted(spec: BuildSpec, budget: Budget, **options: Any) -> Any:
        traced.append(spec)
        return trace_row(spec, budget, **options)

    monkeypatch.setattr(model_zoo.sweeps.reuse, "trace_row", counted)
    return traced


def specs(architecture: str, axes: dict[str, Any], *levels: Any, **more: Any) -> list[BuildSpec]:
    spec = {**small_spec(architecture), "scopes": list(levels), **more}
    rows = sweep({"spec": spec, "axes": axes})
    return [BuildSpec.read(rows.spec(index)) for index in range(rows.rows)]


CONV = {"ops": ["conv2d", "fully_connected"], "args": {}}
NORM = {"ops": ["batch_norm"], "args": {}}
AXES: dict[str, Any] = {
    "/scopes/0/args/weights_initializer": INITIALIZERS[:2],
    "/scopes/0/args/weights_regularizer": REGULARIZERS,
    "/scopes/1/args/decay": [0.9, 1],
    "/scopes/1/args/epsilon": [0.1, 1e-9],
    "/scopes/1/args/param_initializers": [{"gamma": each} for each in INITIALIZERS[1:]],
    "/weights/seed": [0, 1],
}


@pytest.mark.parametrize("architecture", list_architectures())
def test_totals_and_warnings_are_those_of_each_rows_own_trace(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = specs(architecture, AXES, CONV, NORM)[::17]
    tracer = RowTracer(Budget())
    traced = traces(monkeypatch)
    found = [tracer.outcome(spec) for spec in some]
    # With a regularizer and without: null is another structure.
    assert len(traced) == 2 < len(some)
    assert found == [trace_row(spec, Budget()) for spec in some]


CHOICES: dict[str, Any] = {
    "weights_initializer": st.sampled_from(INITIALIZERS),
    "biases_initializer": st.sampled_from([None, *INITIALIZERS]),
    "weights_regularizer": st.sampled_from(REGULARIZERS),
    "activation_fn": st.sampled_from([None, "elu", {"name": "leaky_relu", "alpha": 0.3}]),
    "normalizer_fn": st.sampled_from([None, "batch_norm", "layer_norm"]),
    "normalizer_params": st.sampled_from(
        [
            None,
            {},
            {"decay": 0.5},
            {"decay": 0.6},
            {"decay": 0.5, "scale": True},
            {"param_initializers": {"gamma": "zeros_initializer"}},
            {"param_initializers": {"gammma": "zeros_initializer"}},
        ]
    ),
    "trainable": st.booleans(),
}
LEVELS = st.lists(
    st.fixed_dictionaries(
        {"ops": st.sampled_from([["conv2d"], ["fully_connected", "conv2d"]])},
        optional={
            "layers": st.sampled_from([["*/conv1"], ["*2*"], ["nowhere"]]),
            "force": st.booleans(),
        },
    ).flatmap(
        lambda level: st.fixed_dictionaries({}, optional=CHOICES).map(
            lambda args: {**level, "args": args}
        )
    )
    | st.just({"include": "house"})
    | st.just({"saved": "house"}),
    max_size=3,
)
SPECS = st.fixed_dictionaries(
    {"architecture": st.just("cifarnet"), "scopes": LEVELS},
    optional={
        "strict": st.booleans(),
        "default_scope": st.sampled_from([None, {}, {"weight_decay": 0.1}]),
        "weights": st.sampled_from([{"source": "random", "seed": 4}]),
    },
)


@given(st.lists(SPECS, min_size=8, max_size=8))
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_no_outcome_differs_from_that_of_a_trace_whatever_came_before(some: list[Any]) -> None:
    library = Scopes(house=[{"ops": ["conv2d"], "args": {"weights_regularizer": None}}])
    tracer, budget = RowTracer(Budget()), Budget()
    for data in some:
        spec = BuildSpec.read(data, library)
        assert tracer.outcome(spec) == trace_row(spec, budget)


def test_a_refused_row_quotes_its_own_values() -> None:
    level = {"ops": ["conv2d"], "args": {"normalizer_fn": "layer_norm"}}
    axes = {"/scopes/0/args/normalizer_params": [{"decay": 0.5}, {"decay": 0.6}]}
    tracer = RowTracer(Budget())
    problems = [tracer.outcome(spec).problem for spec in specs("cifarnet", axes, level)]
    assert ["0.5" in json.dumps(problems[0]), "0.6" in json.dumps(problems[1])] == [True, True]


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("/scopes/0/args/weights_regularizer", [None, REGULARIZERS[1]]),
        ("/scopes/0/args/biases_initializer", [None, "zeros_initializer"]),
        ("/scopes/0/args/activation_fn", ["elu", "relu"]),
        ("/scopes/1/args/center", [True, False]),
        ("/scopes/0/ops", [["conv2d"], ["fully_connected"]]),
        ("/scopes/0/layers", [["*/conv1"], ["*/conv2"]]),
        ("/scopes/0/except", [["*/conv1"], ["*/conv2"]]),
        ("/scopes/0/force", [False, True]),
        ("/params/num_classes", [2, 3]),
        ("/is_training", [False, True]),
        ("/strict", [False, True]),
        ("/default_scope/weight_decay", [0.1, 0.2]),
    ],
)
def test_what_shapes_a_graph_or_its_warnings_is_traced_again(
    axis: str, values: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer, traced = RowTracer(Budget()), traces(monkeypatch)
    for spec in specs("cifarnet", {axis: values}, CONV, NORM):
        tracer.outcome(spec)
    assert len(traced) == 2


def test_a_row_that_is_used_again_has_the_id_of_its_own_build(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracer, traced = RowTracer(Budget()), traces(monkeypatch)
    some = specs("cifarnet", {"/weights/seed": [1, 2, 3]}, CONV)
    assert [tracer.outcome(spec).build for spec in some] == [spec.digest for spec in some]
    assert len(traced) == 1


def test_only_the_latest_outcomes_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_zoo.sweeps.reuse, "_MAX_OUTCOMES", 2)
    tracer, traced = RowTracer(Budget()), traces(monkeypatch)
    one, two, three = specs("lenet", {"/params/num_classes": [1, 2, 3]})
    for spec in (one, two, one, three, one, two):
        tracer.outcome(spec)
    assert traced == [one, two, three, two]


def test_a_network_of_another_package_is_always_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Architecture, "is_own", False)
    tracer, traced = RowTracer(Budget()), traces(monkeypatch)
    for spec in specs("lenet", {"/weights/seed": [1, 2]}):
        tracer.outcome(spec)
    assert len(traced) == 2
