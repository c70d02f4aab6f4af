"""Settings: an argument's value on both sides, who set it, and what that beat."""

from typing import Any

import pytest
from diffed import Made
from test_diff import branches, traced

from model_zoo import OptionError, Tensor, add_arg_scope, arg_scope, diff, layer_scope
from model_zoo.layers import conv2d
from model_zoo.primitives import softmax

ELU = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}}


def settings(a: Any, b: Any, **options: Any) -> list[Any]:
    return [setting.to_dict() for setting in diff(a, b, **options).settings]


def test_both_sides_say_who_set_the_value_and_what_it_beat() -> None:
    relu6 = {"ops": ["conv2d"], "layers": ["*/conv1"], "args": {"activation_fn": "relu6"}}
    (setting,) = settings(traced(scopes=[ELU]), traced(scopes=[ELU, relu6]))
    own = {
        "value": "relu",
        "written_at": "model_zoo/architectures/lenet.py:20 (lenet_arg_scope)",
        "level": "default_scope",
    }
    elu = {"value": "elu", "written_at": "/scopes/0/args/activation_fn", "level": "request"}
    assert setting == {
        "status": "changed",
        "layer": "LeNet/conv1",
        "op": "conv2d",
        "argument": "activation_fn",
        "a": {"name": "activation_fn", "kind": "scope", **elu, "beat": [own]},
        "b": {
            "name": "activation_fn",
            "value": "relu6",
            "kind": "scope",
            "written_at": "/scopes/1/args/activation_fn",
            "level": "request",
            "beat": [elu, own],
        },
    }


def test_a_forced_value_says_which_call_it_beat() -> None:
    forced = {"ops": ["conv2d"], "layers": ["*/conv2"], "force": True, "args": {"num_outputs": 9}}
    found = settings(traced(), traced(scopes=[forced]))
    (setting,) = [each for each in found if each["argument"] == "num_outputs"]
    assert (setting["layer"], setting["a"]["kind"], setting["a"]["value"]) == (
        "LeNet/conv2",
        "call",
        64,
    )
    assert (setting["b"]["kind"], setting["b"]["written_at"]) == (
        "forced",
        "/scopes/0/args/num_outputs",
    )
    (beaten,) = setting["b"]["beat"]
    assert (beaten["value"], beaten["level"]) == (64, "network")


def test_a_default_has_no_place() -> None:
    rate = {"ops": ["conv2d"], "layers": ["*/conv1"], "args": {"trainable": False}}
    (setting,) = settings(traced(), traced(scopes=[rate]))
    assert setting["a"] == {"name": "trainable", "value": True, "kind": "default"}


def test_arguments_of_a_normalizer_were_written_with_the_layer() -> None:
    def normalized(**arguments: float) -> Any:
        args = {"normalizer_fn": "batch_norm", "normalizer_params": arguments}
        return traced(scopes=[{"ops": ["conv2d"], "layers": ["*/conv1"], "args": args}])

    carrier, setting = settings(normalized(decay=0.5), normalized(decay=0.25, epsilon=0.5))[:2]
    assert (carrier["layer"], carrier["argument"]) == ("LeNet/conv1", "normalizer_params")
    assert (carrier["a"]["value"], carrier["b"]["value"]) == (
        {"decay": 0.5},
        {"decay": 0.25, "epsilon": 0.5},
    )
    assert (setting["layer"], setting["argument"]) == ("LeNet/conv1/BatchNorm", "decay")
    for side, value in (("a", 0.5), ("b", 0.25)):
        assert setting[side] == {
            "name": "decay",
            "value": value,
            "kind": "call",
            "written_at": "/scopes/0/args/normalizer_params/decay",
            "level": "request",
        }


def test_a_renamed_layer_has_both_names() -> None:
    with arg_scope([conv2d], activation_fn=None):
        plain = branches("left")
    found = settings(branches("right"), plain, argument="activation_fn")
    assert [(each["layer"], each.get("renamed_from")) for each in found] == [
        ("net/stem", None),
        ("net/left/in", "net/right/in"),
        ("net/left/out", "net/right/out"),
    ]


# Values ---------------------------------------------------------------------------------------


@add_arg_scope
def keep(x: Tensor, value: Any = None, scope: str | None = None) -> Tensor:
    """Keep a value."""
    with layer_scope(scope, "Keep"):
        return softmax(x)


def kept(value: Any) -> Made:
    return Made(lambda x: keep(x, value))


def twice(x: Tensor) -> Tensor:
    return x


def other(x: Tensor) -> Tensor:
    return x


VALUES = [
    *(1, 1.0, True, 0, 0.0, -0.0, False, None, "1", "", [], {}),
    *([1], [1.0], [True], [[1]], {"a": 1}, {"a": 1.0}, {"a": [1]}, {"b": 1}),
    *(twice, other, [twice], {"a": twice}),
]


@pytest.mark.parametrize("a", range(len(VALUES)), ids=lambda index: repr(VALUES[index])[:20])
def test_values_are_the_same_only_if_they_are_exactly(a: int) -> None:
    for b, value in enumerate(VALUES):
        differing = settings(kept(VALUES[a]), kept(value))
        assert [each["argument"] for each in differing] == ([] if a == b else ["value"]), value


def test_the_order_of_keys_and_the_kind_of_list_say_nothing() -> None:
    assert settings(kept({"a": 1, "b": 2}), kept({"b": 2, "a": 1})) == []
    assert settings(kept((1, 2)), kept([1, 2])) == []


@add_arg_scope
def take(x: Tensor, scope: str | None = None, **options: Any) -> Tensor:
    """Take any options."""
    with layer_scope(scope, "Take"):
        return softmax(x)


def test_an_option_that_one_call_was_not_given_is_missing_there() -> None:
    a, b = Made(lambda x: take(x, depth=None)), Made(lambda x: take(x))
    (setting,) = settings(a, b)
    assert (setting["argument"], setting["a"]["value"], setting["b"]) == ("depth", None, None)
    assert diff(b, a).to_text().splitlines()[-6:-2] == [
        "    take.depth",
        "        a: not given",
        f"        b: null  [call from {setting['a']['written_at']}]",
        "        in Take",
    ]
    assert diff(a, b).to_csv().splitlines()[-1].endswith(",,,,")


# Filters --------------------------------------------------------------------------------------


def test_settings_of_one_argument_alone() -> None:
    b = traced(scopes=[{"ops": ["conv2d"], "args": {"activation_fn": "elu", "trainable": False}}])
    assert {each["argument"] for each in settings(traced(), b, argument="train*")} == {"trainable"}
    document = diff(traced(), b, argument="stride").to_dict()
    assert document["settings"] == []
    assert [layer["changes"] for layer in document["layers"]] == [["arguments"]] * 2


def test_who_set_an_argument_of_every_layer_on_both_sides() -> None:
    decay = {"weight_decay": 0.5}
    found = settings(
        traced(), traced(default_scope=decay), argument="weights_regularizer", same=True
    )
    assert [(each["layer"], each["status"]) for each in found] == [
        ("LeNet/conv1", "changed"),
        ("LeNet/conv2", "changed"),
        ("LeNet/fc3", "changed"),
        ("LeNet/fc4", "changed"),
    ]
    same = settings(traced(), traced(scopes=[ELU]), argument="weights_regularizer", same=True)
    assert [each["status"] for each in same] == ["same"] * 4
    assert [each["a"] == each["b"] for each in same] == [True] * 4


def test_an_argument_that_no_call_has_is_refused() -> None:
    with pytest.raises(OptionError) as refusal:
        diff(traced(), traced(), argument="weight_regularizer")
    assert str(refusal.value) == (
        "argument does not accept 'weight_regularizer'. Did you mean 'weights_regularizer' or "
        "'biases_regularizer' or 'weights_initializer'?"
    )
