"""The scope in force at a layer: as levels, ready to be saved and to be named by a spec."""

from typing import Any

import pytest
from small import small_spec

from model_zoo import (
    BuildSpec,
    SavedScope,
    Trace,
    ZooError,
    arg_scope,
    list_architectures,
    read_scope,
    trace,
)
from model_zoo.graph import build_graph
from model_zoo.layers import conv2d
from model_zoo.reports.scope_at_layer import scope_at_layer

SCOPES: list[dict[str, Any]] = [
    {"ops": ["conv2d", "separable_conv2d"], "args": {"activation_fn": "elu"}},
    {"ops": ["batch_norm"], "args": {"decay": 0.5}, "force": True},
    {"ops": ["conv2d"], "args": {"weights_regularizer": None}, "layers": ["*1*"]},
    {"ops": ["batch_norm"], "args": {"epsilon": 0.25}, "layers": ["*2*"], "force": True},
]


class One:
    """A library of one scope."""

    def __init__(self, scope: SavedScope) -> None:
        self._scope = scope

    def scope(self, name: str, digest: str | None) -> SavedScope:
        return self._scope


def lenet(*scopes: Any) -> Trace:
    return trace(BuildSpec.read({"architecture": "lenet", "scopes": list(scopes)}))


def values(result: Trace, layer: str) -> list[Any]:
    """Return the arguments of a layer's calls."""
    calls = [call for call in result.explanation().calls if call.layer == layer]
    assert calls
    return [
        (call.op, {each.name: each.to_dict()["value"] for each in call.arguments}) for call in calls
    ]


def test_the_merged_scope_has_one_level_for_the_ops_that_share_it() -> None:
    regularizer = {"name": "l2_regularizer", "scale": 0.0}
    initializer = {"name": "truncated_normal_initializer", "mean": 0.0, "stddev": 0.1}
    shared = {"weights_regularizer": regularizer, "weights_initializer": initializer}
    assert lenet().scope_at("LeNet/conv2") == {
        "levels": [
            {"ops": ["conv2d", "fully_connected"], "args": {**shared, "activation_fn": "relu"}}
        ],
        "left_out": [],
    }


def test_levels_of_some_layers_are_there_where_they_hold_and_then_for_all() -> None:
    level = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}, "layers": ["LeNet/conv2"]}
    activations = {
        layer: [
            (each["ops"], each["args"]["activation_fn"])
            for each in lenet(level).scope_at(layer)["levels"]
        ]
        for layer in ("LeNet/conv1", "LeNet/conv2")
    }
    assert activations == {
        "LeNet/conv1": [(["conv2d", "fully_connected"], "relu")],
        "LeNet/conv2": [(["conv2d"], "elu"), (["fully_connected"], "relu")],
    }


def test_forced_arguments_are_in_forced_levels_alone() -> None:
    forced: dict[str, Any] = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}, "force": True}
    conv, dense, last = lenet(forced).scope_at("LeNet/conv2")["levels"]
    assert sorted(conv["args"]) == ["weights_initializer", "weights_regularizer"]
    assert dense["ops"] == ["fully_connected"]
    assert last == forced


def test_what_no_request_can_set_is_left_out() -> None:
    spec = BuildSpec.read(small_spec("nasnet_mobile"))
    assert trace(spec).scope_at("conv0")["left_out"] == [
        {
            "op": "fully_connected",
            "argument": "scope",
            "value": "FC",
            "reason": "scope of fully_connected feeds or names one call, so a scope cannot set it.",
        }
    ]


def test_a_function_that_has_no_name_in_a_request_is_left_out() -> None:
    def rellu(net: Any) -> Any:
        return net

    with arg_scope([conv2d], activation_fn=rellu, padding="SAME"):
        graph = build_graph(lambda inputs: conv2d(inputs, 2, 3, scope="conv"), (4, 4, 1))
    assert scope_at_layer(graph.calls, "conv") == {
        "levels": [{"ops": ["conv2d"], "args": {"padding": "SAME"}}],
        "left_out": [
            {
                "op": "conv2d",
                "argument": "activation_fn",
                "value": "rellu",
                "reason": "There is no activation 'rellu'. Did you mean 'relu' or 'relu6' or "
                "'elu'?",
            }
        ],
    }


def test_an_unknown_layer_is_refused_with_the_nearest() -> None:
    with pytest.raises(ZooError) as caught:
        lenet().scope_at("LeNet/conv3")
    assert str(caught.value) == (
        "There is no layer 'LeNet/conv3'. Did you mean 'LeNet/conv2' or 'LeNet/conv1' or "
        "'LeNet/fc3'?"
    )


@pytest.mark.parametrize("name", list_architectures())
def test_a_saved_scope_of_a_layer_gives_it_the_same_arguments(name: str) -> None:
    spec = {**small_spec(name), "scopes": SCOPES}
    result = trace(BuildSpec.read(spec))
    layers = list(dict.fromkeys(call.layer for call in result.explanation().calls if call.layer))
    for layer in (layers[0], layers[len(layers) // 2], layers[-1]):
        scope = result.scope_at(layer)
        saved = read_scope("at", {"levels": scope["levels"]})
        again = BuildSpec.read({**spec, "scopes": [{"saved": "at"}]}, One(saved))
        if not any(each["argument"] == "scope" for each in scope["left_out"]):
            assert values(trace(again), layer) == values(result, layer)
