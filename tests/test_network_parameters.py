"""Parameters and arguments of the real functions, against what those build.

The figures were taken from TF-Slim's networks (tf_slim 1.1.0, research/slim and deeplab, TensorFlow
2.15.1), whose `_base` functions have some of the parameters. Records in tests/golden compare
numbers.
"""

from typing import Any

import pytest

from model_zoo import BuildError, BuildSpec, SpecError, Trace, end_point, list_architectures, trace
from model_zoo.architectures.mobilenet_blocks import split_divisible
from model_zoo.architectures.nasnet_cells import apply_drop_path
from model_zoo.graph import build_graph
from model_zoo.zoo import (
    describe_architecture,
    describe_op,
    find_architecture,
    network_parameters,
)

# Of NASNet and PNASNet, the real functions have no scope either.
SCOPED = [name for name in list_architectures() if "nasnet" not in name]


def traced(architecture: str, **wire: Any) -> Trace:
    return trace(BuildSpec.read({"architecture": architecture, **wire}))


def level(op: str, **arguments: Any) -> list[dict[str, Any]]:
    return [{"ops": [op], "args": arguments}]


C = {"num_classes": 11}


@pytest.mark.parametrize(
    ("architecture", "wire", "variables", "parameters", "flops", "shape"),
    [
        (
            "inception_resnet_v2",
            {"params": {**C, "align_feature_maps": True}, "input_shape": [107, 107, 3]},
            *(908, 54_602_358, 9_195_439_616 + 101_376, (None, 11)),
        ),
        (
            "inception_resnet_v2",
            {
                "params": {
                    "output_stride": 8,
                    "align_feature_maps": True,
                    "final_endpoint": "PreAuxLogits",
                },
                "input_shape": [75, 75, 3],
            },
            *(684, 26_891_360, 11_027_850_752, (None, 10, 10, 1088)),
        ),
        (
            "xception_65",
            {
                "params": {**C, "use_squeeze_excite": True, "se_pool_size": 3},
                "input_shape": [65, 65, 3],
            },
            *(734, 39_408_499, 3_664_964_736 + 51_543_936, (None, 1, 1, 11)),
        ),
        (
            "xception_71",
            {"params": {**C, "use_squeeze_excite": True}, "input_shape": [65, 65, 3]},
            *(808, 41_915_363, 4_550_909_056 + 65_902_752, (None, 1, 1, 11)),
        ),
        (
            "mobilenet_v3_small",
            {
                "params": C,
                "input_shape": [64, 64, 3],
                "scopes": level("expanded_conv", split_expansion=5, split_divisible_by=4),
            },
            *(390, 1_413_515, 14_973_952 + 2_436_096, (None, 11)),
        ),
        (
            "mobilenet_edgetpu",
            {
                "params": C,
                "input_shape": [64, 64, 3],
                "scopes": level("expanded_conv", split_expansion=2),
            },
            *(357, 2_413_867, 301_620_224 + 3_250_176, (None, 11)),
        ),
        (
            "resnet_v2_50",
            {
                "params": {**C, "output_stride": 8},
                "input_shape": [65, 65, 3],
                "scopes": level("stack_blocks_dense", store_non_strided_activations=True),
            },
            *(272, 23_587_339, 9_867_211_520, (None, 11)),
        ),
        (
            "resnet_v2_50",
            {"params": {**C, "include_root_block": False}, "input_shape": [17, 17, 16]},
            *(270, 23_562_315, 1_720_545_280, (None, 11)),
        ),
    ],
)
def test_network_is_the_real_one(
    architecture: str,
    wire: dict[str, Any],
    variables: int,
    parameters: int,
    flops: int,
    shape: tuple[int | None, ...],
) -> None:
    result = traced(architecture, **wire)
    assert result.warnings == ()
    assert len(result.graph.variables) == variables
    assert sum(variable.size for variable in result.graph.variables) == parameters
    # The profiler counts 2 for a multiply-add; the batch was 2.
    assert 4 * result.summary().totals["multiply_adds"] == flops
    assert result.graph.output.shape == shape


@pytest.mark.parametrize("name", SCOPED)
def test_scope_renames_every_variable_and_leaves_the_rest(name: str) -> None:
    (described,) = [p for p in describe_architecture(name)["params"] if p["name"] == "scope"]
    default = described["default"]
    plain, moved = traced(name), traced(name, params={"scope": "towers/left.1"})
    assert [variable.name for variable in moved.graph.variables] == [
        variable.name.replace(f"{default}/", "towers/left.1/", 1)
        for variable in plain.graph.variables
    ]
    # Some networks publish end points under the variable scope, others by their own names.
    assert list(moved.graph.end_points) == [
        key.replace(f"{default}/", "towers/left.1/", 1) for key in plain.graph.end_points
    ]
    assert moved.summary().totals == plain.summary().totals
    assert moved.spec.digest != plain.spec.digest
    assert traced(name, params={"scope": default}).spec.digest == plain.spec.digest


@pytest.mark.parametrize(
    "scope",
    [
        *("", "/a", "a/", "a//b", "a..b", "../a", ".", "a/./b", "_a", "-a", "a b", "a\n", "\u00e9"),
        *("a" * 129, None, 5),
    ],
)
def test_scope_that_is_no_variable_scope_is_refused(scope: Any) -> None:
    with pytest.raises(SpecError) as caught:
        BuildSpec.read({"architecture": "lenet", "params": {"scope": scope}})
    assert str(caught.value).startswith(
        "/params/scope: scope of lenet must be a variable scope of 1 to 128 letters (A-Z, a-z), "
        "digits, '.', '_', '-' and '/', which does not begin with '_', '-' or '/' or end with '/', "
        "and has no '..', no '//' and no part '.'; received "
    )


@pytest.mark.parametrize("name", list_architectures())
def test_parameters_that_were_added_are_left_out_of_ids_at_their_default(name: str) -> None:
    signature = network_parameters(find_architecture(name))
    added = {argument.name for argument in signature.arguments.values() if argument.added_later}
    spec = BuildSpec.read({"architecture": name})
    assert added
    assert not added & spec.normalized()["params"].keys()
    spelt_out = {key: signature.arguments[key].default for key in added}
    assert BuildSpec.read({"architecture": name, "params": spelt_out}).digest == spec.digest


def test_output_stride_of_8_goes_no_further_than_pre_aux_logits() -> None:
    with pytest.raises(BuildError) as caught:
        traced("inception_resnet_v2", params={"output_stride": 8})
    assert str(caught.value).splitlines()[0] == (
        "an output_stride of 8 goes no further than PreAuxLogits: final_endpoint must be "
        "PreAuxLogits or an earlier end point, or output_stride 16; received 8."
    )


@pytest.mark.parametrize(
    ("architecture", "params", "message"),
    [
        (
            "mobilenet_v1",
            {"output_stride": 4},
            "/params/output_stride: output_stride of mobilenet_v1 must be 8 or 16 or 32 or null; "
            "received 4.",
        ),
        (
            "inception_resnet_v2",
            {"output_stride": 32},
            "/params/output_stride: output_stride of inception_resnet_v2 must be 8 or 16; "
            "received 32.",
        ),
    ],
)
def test_output_stride_that_the_real_network_lacks_is_refused(
    architecture: str, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        BuildSpec.read({"architecture": architecture, "params": params})
    assert str(caught.value) == message


def test_without_a_root_block_output_stride_counts_from_the_input() -> None:
    params = {"num_classes": None, "include_root_block": False, "global_pool": False}
    result = traced("resnet_v1_50", params={**params, "output_stride": 2}, input_shape=[16, 16, 64])
    assert result.graph.output.shape == (None, 8, 8, 2048)


def test_channels_that_do_not_split_are_refused_where_they_are() -> None:
    with pytest.raises(BuildError) as caught:
        traced(
            "mobilenet_v2",
            scopes=level("expanded_conv", split_projection=2, split_divisible_by=5),
        )
    assert str(caught.value).splitlines()[0] == (
        "MobilenetV2/expanded_conv (expanded_conv): split_divisible_by (=5) must divide the 32 "
        "channels that are split. It builds without /scopes/0/args/split_projection."
    )


@pytest.mark.parametrize(
    ("channels", "ways", "parts"),
    [(144, 4, [40, 32, 40, 32]), (24, 3, [8, 8, 8]), (64, 3, [24, 24, 16]), (96, 2, [48, 48])],
)
def test_channels_are_split_as_by_tf_slim(channels: int, ways: int, parts: list[int]) -> None:
    assert split_divisible(channels, ways, 8) == parts


def test_split_expansion_is_set_by_mobilenet_v2_itself() -> None:
    """As in TF-Slim, whose `V2_DEF` sets it and not `split_projection`."""
    scopes = level("expanded_conv", split_expansion=2, split_projection=2)
    (warning,) = traced("mobilenet_v2", scopes=scopes).warnings
    assert warning.startswith("/scopes/0/args/split_expansion: ")


def test_keyword_of_separable_conv2d_same_reaches_both_halves() -> None:
    scopes = level("separable_conv2d_same", normalizer_fn=None, biases_initializer=None)
    result = traced("xception_41", params=C, input_shape=[65, 65, 3], scopes=scopes)
    module = "xception_41/exit_flow/block2/unit_1/xception_module/separable_conv1"
    names = [v.name for v in result.graph.variables if v.name.startswith(module)]
    assert names == [f"{module}_depthwise/depthwise_weights", f"{module}_pointwise/weights"]
    (call,) = [
        call
        for call in result.explanation().calls
        if call.op == "separable_conv2d" and call.layer == f"{module}_depthwise"
    ]
    (argument,) = [a for a in call.arguments if a.name == "normalizer_fn"]
    assert (argument.value, argument.kind) == (None, "call")


def test_keywords_are_described_without_a_default() -> None:
    """What is not given comes from the scopes of the convolutions."""
    arguments = {a["name"]: a for a in describe_op("separable_conv2d_same")["arguments"]}
    assert arguments["trainable"] == {"name": "trainable", "type": "true or false"}
    assert arguments["rate"]["default"] == 1
    with pytest.raises(SpecError) as caught:
        traced("lenet", scopes=level("separable_conv2d_same", trainabel=True))
    assert str(caught.value) == (
        "/scopes/0/args/trainabel: separable_conv2d_same has no argument 'trainabel'. Did you mean "
        "'trainable'?"
    )


@pytest.mark.parametrize(("op", "name"), [("stack_blocks_dense", "blocks"), ("conv2d", "inputs")])
def test_what_feeds_one_call_is_not_offered_to_scopes(op: str, name: str) -> None:
    assert name not in {argument["name"] for argument in describe_op(op)["arguments"]}
    with pytest.raises(SpecError) as caught:
        traced("lenet", scopes=level(op, **{name: 1}))
    assert str(caught.value) == (
        f"/scopes/0/args/{name}: {name} of {op} feeds or names one call, so a scope cannot set it."
    )


def test_output_stride_of_the_stack_is_what_the_root_leaves() -> None:
    """TF-Slim's ResNet divides it by its root's 4 and passes it; a forced level replaces it."""
    wire = {"params": {**C, "output_stride": 16}, "input_shape": [65, 65, 3]}
    result = traced("resnet_v1_50", **wire)
    (call,) = [call for call in result.explanation().calls if call.op == "stack_blocks_dense"]
    assert [a.value for a in call.arguments if a.name == "output_stride"] == [4]
    forced = traced(
        "resnet_v1_50",
        params=C,
        input_shape=[65, 65, 3],
        scopes=[{**level("stack_blocks_dense", output_stride=4)[0], "force": True}],
    )
    assert forced.graph.end_points["resnet_v1_50/block4"].shape == (None, 5, 5, 2048)


def test_squeeze_and_excite_of_a_module_is_set_by_the_network() -> None:
    """As in DeepLab, whose blocks pass `use_squeeze_excite` to every module."""
    beaten = level("xception_module", use_squeeze_excite=True)
    result = traced("xception_41", params=C, input_shape=[65, 65, 3], scopes=beaten)
    assert not any("squeeze_excite" in variable.name for variable in result.graph.variables)
    (warning,) = result.warnings
    assert warning.startswith("/scopes/0/args/use_squeeze_excite: ")
    forced = [{**beaten[0], "force": True}]
    result = traced("xception_41", params=C, input_shape=[65, 65, 3], scopes=forced)
    assert sum("squeeze_excite" in variable.name for variable in result.graph.variables) == 52


@pytest.mark.parametrize(
    ("version", "step", "keep"),
    [
        ("v1", 0, 1.0),
        ("v1", 50, 0.8),
        ("v1", 1000, 0.6),
        ("v2", 0, 0.8),
        ("v3", 0, 1.0),
        ("v3", 50, 0.9),
        ("v3", 1000, 0.8),
    ],
)
def test_drop_path_drops_more_the_deeper_and_the_later(
    version: Any, step: int, keep: float
) -> None:
    graph = build_graph(
        lambda x: end_point(
            "dropped", apply_drop_path(x, 0.6, 0.5, step, 100, drop_connect_version=version)
        ),
        (4, 4, 2),
    )
    (node,) = [node for node in graph.nodes if node.op == "dropout"]
    assert node.attributes["keep_prob"] == pytest.approx(keep)


def test_nasnet_drops_paths_at_its_step() -> None:
    def least(**params: Any) -> float:
        params = {"drop_path_keep_prob": 0.6, "use_aux_head": False, **params}
        shape = [64, 64, 3]
        graph = traced("nasnet_mobile", is_training=True, params=params, input_shape=shape).graph
        paths = [n for n in graph.nodes if n.op == "dropout" and n.attributes["noise_shape"]]
        return min(float(node.attributes["keep_prob"]) for node in paths)

    assert least() == 1.0
    assert least(current_step=125_000) == pytest.approx(0.8)
    assert least(current_step=100, total_training_steps=100) == pytest.approx(0.6)


@pytest.mark.parametrize("parameter", ["gating_startat", "temporal_conv_startat"])
def test_name_of_no_block_starts_nothing_and_is_told(parameter: str) -> None:
    shape = [8, 32, 32, 3]
    unknown = traced("s3dg", params={parameter: "Mixed_4z"}, input_shape=shape)
    none = traced("s3dg", params={parameter: None}, input_shape=shape)
    assert [(v.name, v.shape) for v in unknown.graph.variables] == [
        (v.name, v.shape) for v in none.graph.variables
    ]
    left = {
        "gating_startat": "no channels are gated",
        "temporal_conv_startat": "time is not convolved",
    }
    assert none.warnings == ()
    assert unknown.warnings == (
        f"/params/{parameter}: no block that {parameter} can start at is named 'Mixed_4z', so "
        f"{left[parameter]}. Did you mean 'Mixed_4f' or 'Mixed_4e' or 'Mixed_4d'?",
    )
