"""Build specs: every kind of bad input with its whole message, and the digest."""

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from model_zoo import BuildSpec, SpecError
from model_zoo.format_problems import RULES, format_problems
from model_zoo.weight_sources import CheckpointWeights

LENET: dict[str, Any] = {"architecture": "lenet"}
OTHER_BUILD = {"source": "build", "id": "e3ab80f5c2b95df954bd0286ee5ebf37"}


def messages(wire: Any) -> list[str]:
    with pytest.raises(SpecError) as caught:
        BuildSpec.read(wire)
    return [str(problem) for problem in caught.value.problems]


def level(args: Any, *ops: str) -> dict[str, Any]:
    return {**LENET, "scopes": [{"ops": list(ops or ("conv2d",)), "args": args}]}


SIZE = "an integer of at least 1 or a list of 2, each an integer of at least 1"


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ([], "A build spec is a JSON object; received []."),
        ({}, "/architecture: The field 'architecture' is required."),
        ({"architecture": 5}, "/architecture: This should be a valid string; received 5."),
        (
            {"architecture": "lenett"},
            "/architecture: There is no architecture 'lenett'. "
            "Did you mean 'lenet' or 'alexnet_v2'?",
        ),
        ({**LENET, "scops": []}, "/scops: There is no field 'scops'. Did you mean 'scopes'?"),
        (
            {**LENET, "params": {"num_clases": 3}},
            "/params/num_clases: lenet has no argument 'num_clases'. Did you mean 'num_classes'?",
        ),
        (
            {**LENET, "params": {"num_classes": -1}},
            "/params/num_classes: num_classes of lenet must be an integer of at least 0 or null; "
            "received -1.",
        ),
        (
            {**LENET, "params": {"num_classes": True}},
            "/params/num_classes: num_classes of lenet must be an integer of at least 0 or null; "
            "received true.",
        ),
        (
            {**LENET, "params": {"dropout_keep_prob": 1.5}},
            "/params/dropout_keep_prob: dropout_keep_prob of lenet must be a number above 0 and of "
            "at most 1; received 1.5.",
        ),
        (
            {"architecture": "mobilenet_v1", "params": {"depth_multiplier": 0}},
            "/params/depth_multiplier: depth_multiplier of mobilenet_v1 must be a number above 0 "
            "and of at most 1000; received 0.",
        ),
        (
            {**LENET, "input_shape": [28, 28]},
            "/input_shape: lenet takes 3 sizes: height, width, channels; received [28, 28].",
        ),
        (
            {**LENET, "input_shape": [32, 28, 28, 1]},
            "/input_shape: lenet takes 3 sizes: height, width, channels; received [32, 28, 28, 1]. "
            "Leave out the batch: [28, 28, 1].",
        ),
        (
            {"architecture": "mobilenet_v1", "input_shape": [3, 224, 224]},
            "/input_shape: mobilenet_v1 takes 3 sizes: height, width, channels; received "
            "[3, 224, 224], which has the channels first. Write [224, 224, 3].",
        ),
        (
            {**LENET, "input_shape": [1, 28, 20]},
            "/input_shape: lenet takes 3 sizes: height, width, channels; received [1, 28, 20], "
            "which has the channels first. Write [28, 20, 1].",
        ),
        (
            {**LENET, "input_shape": [4, 28, 28]},
            "/input_shape: lenet takes 3 sizes: height, width, channels; received [4, 28, 28], "
            "which has the channels first. Write [28, 28, 4].",
        ),
        (
            {"architecture": "s3dg", "input_shape": [3, 16, 64, 64]},
            "/input_shape: s3dg takes 4 sizes: frames, height, width, channels; received "
            "[3, 16, 64, 64], which has the channels first. Write [16, 64, 64, 3].",
        ),
        (
            {"architecture": "i3d", "input_shape": [64, 3, 224, 224]},
            "/input_shape: i3d takes 4 sizes: frames, height, width, channels; received "
            "[64, 3, 224, 224], which has the channels before the height. Write [64, 224, 224, 3].",
        ),
        (
            {**LENET, "input_shape": [28, 0, 1]},
            "/input_shape/1: This should be greater than or equal to 1; received 0.",
        ),
        (
            {**LENET, "is_training": "yes"},
            '/is_training: This should be a valid boolean; received "yes".',
        ),
        (
            {**LENET, "default_scope": {"weight_deca": 0.1}},
            "/default_scope/weight_deca: lenet_arg_scope has no argument 'weight_deca'. "
            "Did you mean 'weight_decay'?",
        ),
        (
            {**LENET, "default_scope": {"weight_decay": -1}},
            "/default_scope/weight_decay: weight_decay of lenet_arg_scope must be a number of at "
            "least 0; received -1.",
        ),
        (
            {**LENET, "weights": {"source": "checkpoint"}},
            "/weights/id: The field 'id' is required.",
        ),
        (
            {**LENET, "weights": {"source": "chekpoint"}},
            "/weights/source: There is no source 'chekpoint'. Did you mean 'checkpoint'?",
        ),
        (
            {**LENET, "weights": [{"source": ["random"]}]},
            "/weights/0/source: There is no source \"['random']\". Did you mean 'random'?",
        ),
        (
            {**LENET, "weights": 5},
            "/weights: This should be an object with a source, or a list of them; received 5.",
        ),
        (
            {**LENET, "weights": []},
            "/weights: This should have at least 1 item; received [].",
        ),
        (
            {**LENET, "weights": [{"source": "build", "id": "e3ab"}]},
            "/weights/0/id: This should match pattern '^[0-9a-f]{32}$'; received \"e3ab\".",
        ),
        (
            {**LENET, "weights": [{**OTHER_BUILD, "inclde": ["*"]}]},
            "/weights/0/inclde: There is no field 'inclde'. Did you mean 'include' or 'exclude'?",
        ),
        (
            {**LENET, "weights": {**OTHER_BUILD, "exclude": ["a*" * 9]}},
            "/weights/exclude/0: A pattern has at most 8 '*'; this one has 9.",
        ),
        (
            {**LENET, "weights": {**OTHER_BUILD, "include": ["*", "a*" * 20]}},
            "/weights/include/1: A pattern has at most 8 '*'; this one has 20.",
        ),
        (
            {**LENET, "weights": {**OTHER_BUILD, "rename": {"a": 1}}},
            "/weights/rename/a: This should be a valid string; received 1.",
        ),
        (
            {**LENET, "weights": [OTHER_BUILD, {"source": "random", "seed": 1}]},
            "/weights/1: Random values fill what no other source does, so their source stands "
            "first, and once.",
        ),
        (
            {**LENET, "weights": {"sead": 1}},
            "/weights/sead: There is no field 'sead'. Did you mean 'seed'?",
        ),
        (
            {**LENET, "scopes": [{"ops": [], "args": {}}]},
            "/scopes/0/ops: This should have at least 1 item; received [].",
        ),
        (
            {**LENET, "scopes": [{"ops": ["conv2d"]}]},
            "/scopes/0/args: The field 'args' is required.",
        ),
        (
            {**LENET, "scopes": [{"ops": ["conv2"], "args": {}}]},
            "/scopes/0/ops/0: There is no scoped op 'conv2'. Did you mean 'conv2d' or 'conv3d'?",
        ),
        (
            level({"pading": "SAME"}, "conv2d", "max_pool2d"),
            "/scopes/0/args/pading: conv2d and max_pool2d have no argument 'pading'. "
            "Did you mean 'padding'?",
        ),
        (
            level({"rate": 2}, "conv2d", "max_pool2d"),
            "/scopes/0/args/rate: max_pool2d has no argument 'rate'. Valid: 'inputs', "
            "'kernel_size', 'padding', 'scope', 'stride'.",
        ),
        (
            level({"inputs": 1}),
            "/scopes/0/args/inputs: inputs of conv2d feeds or names one call, so a scope cannot "
            "set it.",
        ),
        (
            level({"stride": 0}),
            f"/scopes/0/args/stride: stride of conv2d must be {SIZE}; received 0.",
        ),
        (
            level({"stride": "2"}),
            f'/scopes/0/args/stride: stride of conv2d must be {SIZE}; received "2".',
        ),
        (
            level({"padding": "FULL"}),
            "/scopes/0/args/padding: padding of conv2d must be 'SAME' or 'VALID'; "
            'received "FULL".',
        ),
        (
            level({"activation_fn": "relu7"}),
            "/scopes/0/args/activation_fn: There is no activation 'relu7'. Did you mean 'relu' or "
            "'relu6' or 'elu'?",
        ),
        (
            level({"activation_fn": 3}),
            "/scopes/0/args/activation_fn: activation_fn of conv2d must be an activation by name "
            "or null; received 3.",
        ),
        (
            level({"weights_initializer": None}),
            "/scopes/0/args/weights_initializer: weights_initializer of conv2d must be an "
            "initializer by name; received null.",
        ),
        (
            level({"weights_regularizer": {"name": "l2_regularizer", "scale": -1}}),
            "/scopes/0/args/weights_regularizer/scale: scale of l2_regularizer must be a number "
            "of at least 0; received -1.",
        ),
        (
            level({"weights_regularizer": "l2_regularizer"}),
            "/scopes/0/args/weights_regularizer/scale: l2_regularizer needs scale: a number of at "
            "least 0.",
        ),
        (
            level({"weights_initializer": {"name": "xavier_initializer", "gain": 1}}),
            "/scopes/0/args/weights_initializer/gain: xavier_initializer has no argument 'gain'. "
            "Valid: 'uniform'.",
        ),
        (
            level({"normalizer_fn": "batchnorm"}),
            "/scopes/0/args/normalizer_fn: There is no normalizer 'batchnorm'. "
            "Did you mean 'batch_norm'?",
        ),
        (
            level({"normalizer_fn": {"name": "batch_norm", "decay": 0.9}}),
            "/scopes/0/args/normalizer_fn: a normalizer's arguments are given by "
            "normalizer_params or by a scope of batch_norm; received decay.",
        ),
        (
            level({"normalizer_params": {"decai": 0.9}}),
            "/scopes/0/args/normalizer_params/decai: No normalizer has an argument 'decai'. "
            "Did you mean 'decay'?",
        ),
    ],
)
def test_bad_spec_says_where_what_and_what_would_be_valid(wire: Any, message: str) -> None:
    assert messages(wire) == [message]


def test_every_mistake_is_reported_at_once() -> None:
    wire = {
        "architecture": "lenet",
        "params": {"num_classes": -1},
        "scopes": [{"ops": ["conv"], "args": {}}, {"ops": ["conv2d"], "args": {"stride": 0}}],
    }
    assert [message.split(":")[0] for message in messages(wire)] == [
        "/params/num_classes",
        "/scopes/0/ops/0",
        "/scopes/1/args/stride",
    ]


def test_digest_ignores_spelling_and_keeps_meaning() -> None:
    spec = BuildSpec.read(LENET)
    spelt_out = BuildSpec.read(
        {
            "architecture": "lenet",
            "params": {"num_classes": 10},
            "input_shape": [28, 28, 1],
            "default_scope": {"weight_decay": 0},
            "scopes": [],
            "weights": {"source": "random", "seed": 0},
            "strict": True,
        }
    )
    assert spec.digest == spelt_out.digest
    assert len(spec.digest) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"params": {"num_classes": 11}},
        {"input_shape": [32, 32, 1]},
        {"is_training": True},
        {"default_scope": None},
        {"default_scope": {"weight_decay": 0.1}},
        {"weights": {"seed": 1}},
        {"weights": OTHER_BUILD},
        {"scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "relu"}}]},
    ],
)
def test_digest_differs_with_every_change_of_meaning(change: dict[str, Any]) -> None:
    assert BuildSpec.read({**LENET, **change}).digest != BuildSpec.read(LENET).digest


def test_one_source_is_the_list_of_it_over_random_values() -> None:
    alone = BuildSpec.read({**LENET, "weights": OTHER_BUILD})
    spelt_out = BuildSpec.read({**LENET, "weights": [{"source": "random", "seed": 0}, OTHER_BUILD]})
    assert alone.digest == spelt_out.digest
    assert alone.normalized()["weights"] == [
        {"source": "random", "seed": 0},
        {**OTHER_BUILD, "include": ["*"], "exclude": [], "rename": {}, "policy": "strict"},
    ]
    assert BuildSpec.read(alone.normalized()).digest == alone.digest
    seeded = BuildSpec.read({**LENET, "weights": [{"seed": 1}, OTHER_BUILD]})
    assert seeded.digest != alone.digest


def test_op_alias_order_and_number_type_do_not_change_the_digest() -> None:
    first = level({"weights_regularizer": {"name": "l2_regularizer", "scale": 1}}, "convolution2d")
    second = level({"weights_regularizer": {"scale": 1.0, "name": "l2_regularizer"}}, "conv2d")
    assert BuildSpec.read(first).digest == BuildSpec.read(second).digest
    both = level({"trainable": False}, "conv2d", "batch_norm")
    swapped = level({"trainable": False}, "batch_norm", "conv2d")
    assert BuildSpec.read(both).digest == BuildSpec.read(swapped).digest


def test_normalized_spec_reads_as_itself() -> None:
    wire = {
        "architecture": "inception_v3",
        "params": {"num_classes": 7},
        "scopes": [
            {
                "ops": ["conv2d"],
                "args": {
                    "activation_fn": {"name": "leaky_relu", "alpha": 0.3},
                    "normalizer_fn": "batch_norm",
                    "normalizer_params": {
                        "decay": 0.9,
                        "activation_fn": "relu",
                        "param_initializers": {"beta": "ones_initializer"},
                    },
                    "kernel_size": [3, 3],
                },
            }
        ],
    }
    normalized = BuildSpec.read(copy.deepcopy(wire)).normalized()
    again = BuildSpec.read(copy.deepcopy(normalized))
    assert again.normalized() == normalized
    assert again.digest == BuildSpec.read(wire).digest


ITSELF: list[Any] = []
ITSELF.append(ITSELF)
HOSTILE: list[Any] = [
    *(None, True, -1, 1.5, 2**60, "", "x" * 300, "\ud800", b"x", object(), ITSELF),
    *([], ["x"] * 40, {}, {1: 2}, {"x": "y"}, {str(index): "x" for index in range(40)}),
]
CHECKPOINT = {"source": "checkpoint", "id": "0" * 64}


def hostile_specs() -> Iterator[Any]:
    """Yield specs with each hostile value at each place of the format, and inside what is there."""
    for value in HOSTILE:
        for put in (value, [value], {"a": value}):
            yield {"architecture": put}
            for field in BuildSpec.model_json_schema()["properties"]:
                yield {**LENET, field: put}
            for field in ("ops", "args", "other"):
                yield {**LENET, "scopes": [{"ops": ["conv2d"], "args": {}, field: put}]}
            for field in CheckpointWeights.model_fields:
                yield {**LENET, "weights": {**CHECKPOINT, field: put}}
            yield {**LENET, "weights": [{"seed": put}]}
        yield {**LENET, "scopes": [{"ops": ["conv2d"]}]}


def test_every_error_of_pydantic_is_told_in_our_words() -> None:
    """No message is pydantic's, every rule is reached, and none of the errors lacks a rule."""
    kinds: set[str] = set()
    for wire in hostile_specs():
        try:
            BuildSpec.model_validate(wire)
        except ValidationError as error:
            kinds |= {detail["type"] for detail in error.errors(include_url=False)}
        except SpecError:
            continue
        else:
            continue
        for message in messages(wire):
            assert re.search(
                r"(This should (be|have|match|not)|The field|There is no|must be) ", message
            )
            assert not re.search(r"Input|valid dictionary|be valid \(", message), message
    own = {"extra_forbidden", "invalid_key", "missing", "union_tag_invalid", "union_tag_not_found"}
    of_sweeps = {"number_type"}  # tests/sweeps/test_axes.py
    assert kinds == {*RULES, *own} - of_sweeps


def test_error_without_a_rule_is_named() -> None:
    detail = InitErrorDetails(
        type=PydanticCustomError("too_odd", "Odd"), loc=("architecture",), input=5
    )
    error = ValidationError.from_exception_data("BuildSpec", [detail])
    assert [str(problem) for problem in format_problems(error, BuildSpec)] == [
        "/architecture: This should be valid (too_odd); received 5."
    ]


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        ({**LENET, "scopes": {}}, "/scopes: This should be a list; received {}."),
        ({**LENET, "scopes": [5]}, "/scopes/0: This should be an object; received 5."),
        (
            {**LENET, "weights": {**CHECKPOINT, "policy": "lax"}},
            "/weights/policy: This should be 'strict' or 'skip_mismatch'; received \"lax\".",
        ),
        (
            {**LENET, "weights": {**CHECKPOINT, "include": [""]}},
            '/weights/include/0: This should have at least 1 character; received "".',
        ),
        (
            {**LENET, "weights": {**CHECKPOINT, "include": ["\ud800"]}},
            '/weights/include/0: This should be a string of valid Unicode; received "\\ud800".',
        ),
    ],
)
def test_rule_of_the_format_is_a_sentence(wire: Any, message: str) -> None:
    assert messages(wire) == [message]
