"""A build as TF-Slim's code: stand-ins of TF-Slim run it, and it is the build's graph."""

import ast
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from coded import LEVELS, described, formatter_changes
from small import small_spec
from tf_slim_stand_in import FACTS, NETWORKS, run

from model_zoo import (
    BuildSpec,
    Problem,
    Trace,
    ZooError,
    find_architecture,
    list_architectures,
    list_ops,
    trace,
)
from model_zoo.activations import relu
from model_zoo.layers import batch_norm, find_op
from model_zoo.reports.code.tf_slim_names import (
    NASNET_CONFIG,
    NUMBERS_OF_CONFIG,
    SLIM_NETWORKS,
    SLIM_OPS,
)
from model_zoo.reports.code.tf_slim_style import HOMES
from model_zoo.signatures import Argument, signature_of
from model_zoo.verify import _traced
from model_zoo.zoo import ends_itself, network_parameters

GOLDEN = Path(__file__).parent.parent / "golden"


def traced(wire: Mapping[str, Any]) -> Trace:
    return trace(BuildSpec.read(wire))


def assert_same(build: Trace) -> None:
    graph = run(build.code("tf-slim"), build.spec.input_shape)
    assert described(graph) == described(build.graph)


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_is_the_same_in_tf_slim(name: str) -> None:
    assert_same(traced({"architecture": name}))
    assert_same(traced({"architecture": name, "is_training": True}))
    assert_same(traced({"architecture": name, "default_scope": None}))


@pytest.mark.parametrize("name", list_architectures())
def test_levels_are_the_same_in_tf_slim(name: str, tmp_path: Path) -> None:
    wire = small_spec(name)
    if name in ("nasnet_large", "pnasnet_large"):
        del wire["input_shape"]
    builds = [
        traced({**wire, "scopes": LEVELS}),
        traced({**wire, "scopes": LEVELS[:2], "default_scope": {"weight_decay": 0.5}}),
    ]
    for build in builds:
        assert_same(build)
    assert formatter_changes(tmp_path, [build.code("tf-slim") for build in builds]) == ""


RECORDS = sorted((GOLDEN / "open").glob("*.json.gz"))
# Records of parameters that only parts of TF-Slim's networks take, and not the networks.
PARTS = {
    "inception_v1__no_root_block": ["/params/include_root_block"],
    "mobilenet_v1__output_stride_16_explicit_padding": [
        "/params/output_stride",
        "/params/use_explicit_padding",
    ],
    "mobilenet_v1__output_stride_8": ["/params/output_stride"],
    "resnet_v1_50__no_root_block": ["/params/include_root_block"],
}


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_what_tf_slim_has_built_is_the_same_again(path: Path) -> None:
    wire = json.loads(gzip.decompress(path.read_bytes()))["spec"]
    build = _traced({**wire, "input_shape": wire["input_shape"][1:]})
    refused = PARTS.get(path.name.removesuffix(".json.gz"))
    if refused is None:
        assert_same(build)
    else:
        assert [problem.pointer for problem in refusal(build)] == refused


def test_what_tf_slim_has_refused_to_build_is_refused() -> None:
    record = GOLDEN / "refused" / "cifarnet__dropout_keep_prob_in_scope.json.gz"
    wire = json.loads(gzip.decompress(record.read_bytes()))["spec"]
    assert list(map(str, refusal(_traced({**wire, "input_shape": [32, 32, 3]})))) == [
        "/scopes/0/args/keep_prob: cifarnet of TF-Slim passes keep_prob to dropout by position, so "
        "a scope that sets it is an error there."
    ]


def refusal(build: Trace) -> tuple[Problem, ...]:
    with pytest.raises(ZooError) as caught:
        build.code("tf-slim")
    return caught.value.problems


PARAMS: dict[str, dict[str, Any]] = {
    "inception_resnet_v2": {"create_aux_logits": False, "activation_fn": "swish"},
    "inception_v2": {"depth_multiplier": 0.5, "min_depth": 8, "spatial_squeeze": False},
    "inception_v3": {"num_classes": None, "global_pool": True, "scope": "Other/Name"},
    "mobilenet_edgetpu_075": {"depth_multiplier": 1.0, "finegrain_classification_mode": False},
    "mobilenet_v2_140": {"activation_fn": {"name": "leaky_relu", "alpha": 0.5}, "min_depth": 16},
    "mobilenet_v2": {"output_stride": 16, "final_endpoint": "layer_7", "base_only": True},
    "mobilenet_v3_small": {"use_groupnorm": True, "groups": 4, "scope": "Net"},
    "nasnet_cifar": {"num_cells": 6, "use_aux_head": False, "stem_multiplier": 2, "num_classes": 3},
    "nasnet_mobile": {"final_endpoint": "Cell_3", "use_bounded_activation": True},
    "pnasnet_mobile": {"final_endpoint": "Cell_3", "drop_path_keep_prob": 0.75},
    "resnet_v1_101": {"output_stride": 8, "depth_multiplier": 0.5, "min_base_depth": 4},
    "s3dg": {"gating_startat": None, "final_endpoint": "Mixed_5b", "first_temporal_kernel_size": 1},
    "vgg_19": {"fc_conv_padding": "SAME", "spatial_squeeze": False},
    "xception_41": {"multi_grid": [1, 2, 4], "keep_prob": 0.25, "regularize_depthwise": True},
}


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_are_the_same_in_tf_slim(name: str, tmp_path: Path) -> None:
    build = traced({"architecture": name, "params": PARAMS[name], "is_training": True})
    assert_same(build)
    assert formatter_changes(tmp_path, [build.code("tf-slim")]) == ""


OPS: dict[str, list[dict[str, Any]]] = {
    "i3d": [{"ops": ["conv3d_spatiotemporal"], "args": {"activation_fn": "relu"}}],
    "mobilenet_v2": [
        {"ops": ["expanded_conv"], "args": {"split_projection": 2}},
        {"ops": ["depth_multiplier"], "args": {"divisible_by": 4}},
    ],
    "mobilenet_v3_large": [
        {"ops": ["squeeze_excite"], "args": {"inner_activation_fn": "elu", "pool": 3}}
    ],
    "nasnet_mobile": [{"ops": ["drop_path"], "args": {"is_training": False}}],
    "resnet_v1_50": [{"ops": ["bottleneck"], "args": {"use_bounded_activations": True}}],
    "s3dg": [{"ops": ["inception_block_v1_3d"], "args": {"temporal_kernel_size": 3}}],
    "xception_41": [
        {"ops": ["separable_conv2d_same"], "args": {"weights_regularizer": None}},
        {"ops": ["xception_module"], "args": {"use_explicit_padding": False}},
        {"ops": ["conv2d"], "args": {"weights_initializer": "center_initializer"}},
    ],
}


@pytest.mark.parametrize("name", OPS)
def test_ops_of_networks_are_scoped_where_they_are(name: str) -> None:
    build = traced({"architecture": name, "scopes": OPS[name]})
    assert_same(build)


def test_code_reads_as_tf_slim_is_written() -> None:
    scopes = [
        {
            "ops": ["separable_conv2d", "conv2d"],
            "args": {
                "activation_fn": {"name": "leaky_relu", "alpha": 0.1},
                "weights_initializer": {"name": "truncated_normal_initializer", "stddev": 0.09},
                "normalizer_fn": "batch_norm",
            },
        },
        {"ops": ["batch_norm"], "args": {"decay": 0.997}},
    ]
    spec = {
        "architecture": "nasnet_large",
        "params": {"num_cells": 6, "use_aux_head": False},
        "default_scope": {"batch_norm_decay": 0.9, "weight_decay": 0.00005},
        "scopes": scopes,
    }
    assert traced(spec).code("tf-slim") == (
        "import functools\n"
        "\n"
        "import tensorflow.compat.v1 as tf\n"
        "import tf_slim as slim\n"
        "from nets.nasnet import nasnet\n"
        "\n"
        "tf.disable_v2_behavior()\n"
        "\n"
        "images = tf.placeholder(tf.float32, [None, 331, 331, 3])\n"
        "config = nasnet.large_imagenet_config()\n"
        'config.set_hparam("num_cells", 6)\n'
        'config.set_hparam("use_aux_head", 0)\n'
        "with slim.arg_scope(nasnet.nasnet_large_arg_scope(batch_norm_decay=0.9)):\n"
        "    with slim.arg_scope(\n"
        "        [slim.conv2d, slim.separable_conv2d],\n"
        "        activation_fn=functools.partial(tf.nn.leaky_relu, alpha=0.1),\n"
        "        weights_initializer=tf.truncated_normal_initializer(stddev=0.09),\n"
        "        normalizer_fn=slim.batch_norm,\n"
        "    ):\n"
        "        with slim.arg_scope([slim.batch_norm], decay=0.997):\n"
        "            net, end_points = nasnet.build_nasnet_large(\n"
        "                images, num_classes=1001, is_training=False, config=config\n"
        "            )\n"
    )


@pytest.mark.parametrize(
    ("wire", "problems"),
    [
        (
            {
                "architecture": "inception_v3",
                "scopes": [
                    {"ops": ["conv2d"], "args": {"rate": 1}},
                    {
                        "ops": ["conv2d"],
                        "layers": ["InceptionV3/*"],
                        "except": ["*Logits*"],
                        "force": True,
                        "args": {"activation_fn": "gelu"},
                    },
                ],
            },
            [
                "/scopes/1/layers: TF-Slim cannot limit a scope to layers: it reaches every call "
                "of its ops.",
                "/scopes/1/except: TF-Slim cannot except layers from a scope: it reaches every "
                "call of its ops.",
                "/scopes/1/force: TF-Slim cannot force a scope: what the network passes to a call "
                "beats it.",
                "/scopes/1/args/activation_fn: TF-Slim and TensorFlow 1 have no activation gelu; "
                "they have elu, hard_swish, leaky_relu, relu, relu6, selu, sigmoid, softplus, "
                "softsign, swish, tanh.",
            ],
        ),
        (
            {
                "architecture": "alexnet_v2",
                "scopes": [
                    {"ops": ["max_pool2d", "bottleneck"], "args": {"stride": 2}},
                    {"ops": ["conv2d"], "args": {"num_outputs": 8}},
                ],
            },
            [
                "/scopes/0/args/stride: alexnet_v2 of TF-Slim passes stride to bottleneck by "
                "position, so a scope that sets it is an error there.",
                "/scopes/0/args/stride: alexnet_v2 of TF-Slim passes stride to max_pool2d by "
                "position, so a scope that sets it is an error there.",
                "/scopes/0/ops/0: alexnet_v2 of TF-Slim has no op bottleneck that a scope can "
                "reach.",
                "/scopes/1/args/num_outputs: alexnet_v2 of TF-Slim passes num_outputs to conv2d by "
                "position, so a scope that sets it is an error there.",
            ],
        ),
        (
            {
                "architecture": "resnet_v2_50",
                "params": {"include_root_block": False, "final_endpoint": "resnet_v2_50/block1"},
                "scopes": [{"ops": ["bottleneck"], "args": {"use_bounded_activations": False}}],
            },
            [
                "/scopes/0/args/use_bounded_activations: bottleneck of TF-Slim has no argument "
                "use_bounded_activations.",
                "/params/include_root_block: resnet_v2_50 of TF-Slim has no parameter "
                "include_root_block.",
                "/params/final_endpoint: resnet_v2_50 of TF-Slim cannot end at an end point: it "
                "has no parameter final_endpoint.",
            ],
        ),
        (
            {
                "architecture": "nasnet_mobile",
                "params": {"final_endpoint": "Logits", "current_step": 4},
            },
            [
                "/params/current_step: build_nasnet_mobile of TF-Slim has no parameter "
                "current_step.",
                "/params/final_endpoint: build_nasnet_mobile of TF-Slim cannot return Logits.",
            ],
        ),
        (
            {"architecture": "s3dg", "input_shape": [8, 224, 192, 3]},
            ["/input_shape: s3dg of TF-Slim takes square frames; received 224 x 192."],
        ),
    ],
)
def test_what_tf_slim_cannot_express_is_refused_by_its_place(
    wire: dict[str, Any], problems: list[str]
) -> None:
    assert list(map(str, refusal(traced(wire)))) == problems


def test_every_network_of_ours_has_its_name_in_tf_slim() -> None:
    assert {
        f"{network.module}.{network.function}": name for name, network in SLIM_NETWORKS.items()
    } == NETWORKS
    assert set(SLIM_NETWORKS) == set(list_architectures())


@pytest.mark.parametrize("name", list_architectures())
def test_parameters_have_the_names_and_defaults_of_tf_slim(name: str) -> None:
    network, entry = SLIM_NETWORKS[name], find_architecture(name)
    functions = FACTS["networks"][network.module]
    theirs = functions[network.function]
    ours = network_parameters(entry).arguments
    lacking = ours.keys() - theirs.keys()
    if network.config is not None:
        fields = FACTS["configs"][network.module][network.config]
        config = {key: ours[key].default for key in lacking & NASNET_CONFIG}
        assert config == {key: fields[key] for key in NASNET_CONFIG}
        assert {key for key in NASNET_CONFIG if type(fields[key]) is not type(config[key])} == (
            NUMBERS_OF_CONFIG
        )
        lacking -= NASNET_CONFIG
        lacking |= {"current_step"}  # of the cells; the stem takes that of the training
    if network.ends is None and not ends_itself(entry.network):
        lacking -= {"final_endpoint"}
    assert lacking == network.lacks
    shared = {key: ours[key] for key in ours.keys() - lacking if key in theirs}
    for key, argument in shared.items():
        assert _same_default(theirs[key], argument), key
    scope = FACTS["networks"][network.module][network.arg_scope]
    for key, argument in signature_of(entry.arg_scope).arguments.items():
        assert _same_default(scope[key], argument), key


def _same_default(source: str | None, argument: Argument) -> bool:
    """Return whether an argument of ours has the default that Python's source says."""
    if source is None or argument.required:
        return source is None and argument.required
    known = {"tf.nn.relu": relu, "slim.batch_norm": batch_norm}
    default = known[source] if source in known else ast.literal_eval(source)
    return bool(argument.default == default)


# What a network of a module also calls.
_PARTS = {
    "nets.i3d": ["nets.i3d_utils"],
    "nets.s3dg": ["nets.i3d_utils"],
    "nets.mobilenet.mobilenet_v2": ["nets.mobilenet.mobilenet", "nets.mobilenet.conv_blocks"],
    "nets.mobilenet.mobilenet_v3": ["nets.mobilenet.mobilenet", "nets.mobilenet.conv_blocks"],
    "nets.nasnet.nasnet": ["nets.nasnet.nasnet_utils"],
    "nets.nasnet.pnasnet": ["nets.nasnet.nasnet", "nets.nasnet.nasnet_utils"],
    "nets.resnet_v1": ["nets.resnet_utils"],
    "nets.resnet_v2": ["nets.resnet_utils"],
}


@pytest.mark.parametrize("name", list_architectures())
def test_arguments_by_position_are_those_of_tf_slim(name: str) -> None:
    network = SLIM_NETWORKS[name]
    ops = {**FACTS["slim"]}
    for module in {*network.ops.values()}:
        ops |= FACTS["ops"][module]
    passed: dict[str, set[str]] = {}
    for module in (network.module, *_PARTS.get(network.module, ())):
        for op, count in FACTS["positional"][module].items():
            given = list(ops[op])[:count]
            optional = {each for each in given if ops[op][each] is not None}
            passed[op] = passed.get(op, set()) | optional
    assert network.positional == {op: names for op, names in passed.items() if names}


def test_ops_have_the_arguments_of_tf_slim() -> None:
    for name in list_ops():
        own = set(signature_of(find_op(name)).arguments)
        if name in SLIM_OPS:
            assert own <= set(FACTS["slim"][name]), name
        for network in SLIM_NETWORKS.values():
            if name in network.ops:
                theirs = FACTS["ops"][network.ops[name]][name]
                assert own - set(theirs) == network.op_lacks.get(name, set()), name
    assert set(FACTS["slim"]) == SLIM_OPS


@pytest.mark.heavy
def test_tensorflow_has_the_names_that_the_code_uses() -> None:
    import tensorflow.compat.v1 as tf

    for home, module in {"tf.nn": tf.nn, "tf": tf}.items():
        names = {name for name, each in HOMES.items() if each == home}
        assert names
        assert {name for name in names if not hasattr(module, name)} == set()
    assert not hasattr(tf.nn, "gelu")
    assert callable(tf.placeholder)
    assert callable(tf.disable_v2_behavior)
