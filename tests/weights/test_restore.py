"""Restore plans: what fits is named, what does not is explained, and the values follow the plan."""

from typing import Any

import numpy as np
import pytest
from restoring import (
    ID,
    PLAIN,
    Arrays,
    Library,
    causes,
    checkpoint,
    golden,
    not_filled,
    plan,
    traced,
)

import model_zoo
from model_zoo import BuildSpec, Trace, WeightsError, trace
from model_zoo.weights import restore, source_plans
from model_zoo.weights.random import random_value
from model_zoo.weights.restore import BuildTensors

NO_NORMALIZER = [
    {"ops": ["conv2d", "separable_conv2d"], "args": {"normalizer_fn": None}},
]


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """The variables of the plain build, as a checkpoint of it holds them."""
    return golden(traced())


def test_the_same_network_is_restored_whole(arrays: dict[str, np.ndarray]) -> None:
    result = plan(arrays)
    result.check()
    assert result.share == 1
    assert {row.status for row in result.sources[0].rows} == {"matched"}
    assert result.sources[0].unused == {}
    assert causes(result) == []


def test_another_number_of_classes_names_the_logits_and_the_cause(
    arrays: dict[str, np.ndarray],
) -> None:
    result = plan(arrays, params={"num_classes": 11, "depth_multiplier": 0.25})
    logits = "MobilenetV1/Logits/Conv2d_1c_1x1"
    assert not_filled(result) == [
        (f"{logits}/weights", "shape_mismatch"),
        (f"{logits}/biases", "shape_mismatch"),
    ]
    assert causes(result) == [
        "The checkpoint has 1001 classes, background first; this build 11. Set num_classes to "
        '1001, or exclude ["MobilenetV1/Logits/Conv2d_1c_1x1/*"].'
    ]
    assert result.restored_parameters == 475_801 - 257 * 1001
    assert result.sources[0].rows[-1].shape == (1001,)


def test_another_activation_changes_no_variable(arrays: dict[str, np.ndarray]) -> None:
    scopes = [{"ops": ["conv2d", "separable_conv2d"], "args": {"activation_fn": "elu"}}]
    result = plan(arrays, scopes=scopes)
    result.check()
    assert not_filled(result) == []
    assert causes(result) == []


def test_no_normalizer_names_the_biases_and_the_cause(arrays: dict[str, np.ndarray]) -> None:
    result = plan(arrays, scopes=NO_NORMALIZER)
    # The logits have biases in both.
    layers = [name for name in arrays if name.endswith("BatchNorm/beta")]
    assert not_filled(result) == [
        (name.replace("BatchNorm/beta", "biases"), "missing") for name in layers
    ]
    assert set(result.sources[0].unused) == {name for name in arrays if "/BatchNorm/" in name}
    assert causes(result) == [
        "The checkpoint was made inside mobilenet_v1_arg_scope: it has BatchNorm where this build "
        "has biases (27 layers)."
    ]


def test_a_checkpoint_made_outside_of_the_scope_is_told() -> None:
    result = plan(golden(traced(default_scope=None)))
    assert causes(result) == [
        "The checkpoint was made outside of mobilenet_v1_arg_scope, or with another "
        "normalizer_fn: it has biases where this build has BatchNorm (27 layers)."
    ]


def test_another_width_is_told_by_an_example(arrays: dict[str, np.ndarray]) -> None:
    result = plan(arrays, params={"num_classes": 1001, "depth_multiplier": 0.5})
    assert causes(result) == [
        "28 of 28 weights have other shapes: MobilenetV1/Conv2d_0/weights is [3, 3, 3, 8] in the "
        "checkpoint and [3, 3, 3, 16] in this build. Another depth_multiplier would make such "
        "shapes."
    ]


def test_gammas_that_one_side_lacks_are_told(arrays: dict[str, np.ndarray]) -> None:
    without = {name: value for name, value in arrays.items() if not name.endswith("gamma")}
    assert causes(plan(without)) == [
        "The checkpoint's BatchNorm has no gamma, and this build's has (27 layers): scale of "
        "batch_norm was false when it was made."
    ]
    scopes = [{"ops": ["batch_norm"], "args": {"scale": False}}]
    assert causes(plan(arrays, scopes=scopes)) == [
        "The checkpoint's BatchNorm has gamma, and this build's has none (27 layers): scale of "
        "batch_norm was true when it was made."
    ]


def test_another_network_is_told_by_its_names(arrays: dict[str, np.ndarray]) -> None:
    result = plan({name.replace("MobilenetV1", "Net"): value for name, value in arrays.items()})
    assert causes(result) == [
        "None of the 137 variables is in the checkpoint: its names begin with 'Net', this "
        "build's with 'MobilenetV1'."
    ]
    assert [str(each) for each in result.sources[0].suggestions] == [
        '"rename": {"Net/*": "MobilenetV1/*"} would fill 137 more variables.'
    ]
    assert result.sources[0].suggestions[0].to_dict() == {
        "rename": {"Net/*": "MobilenetV1/*"},
        "variables": 137,
    }


def test_an_object_based_checkpoint_is_told(arrays: dict[str, np.ndarray]) -> None:
    names = {f"{name}/.ATTRIBUTES/VARIABLE_VALUE": value for name, value in arrays.items()}
    assert causes(plan(names)) == [
        "The checkpoint is object-based (tf.train.Checkpoint), and its names are paths of Python "
        "attributes, which a rename would have to map. Either its object graph names no "
        "variables, or it was imported by a version that did not read them: if so, delete it and "
        "import it again."
    ]


def test_a_suggested_rename_fills_what_it_says(arrays: dict[str, np.ndarray]) -> None:
    """A scope moved as a whole, a root left out, and a single layer under another name."""
    moved = {
        name.replace("MobilenetV1/Conv2d_0/", "Stem/").removeprefix("MobilenetV1/Logits/"): value
        for name, value in arrays.items()
    }
    result = plan(moved)
    renames = {each.name: each.target for each in result.sources[0].suggestions}
    assert renames == {
        "Stem/*": "MobilenetV1/Conv2d_0/*",
        "Conv2d_1c_1x1/*": "MobilenetV1/Logits/Conv2d_1c_1x1/*",
    }
    after = plan(moved, checkpoint(rename=renames))
    after.check()
    assert after.share == 1
    assert {row.status for row in after.sources[0].rows} == {"matched", "renamed"}


def test_a_suggestion_leaves_alone_what_fits_already(arrays: dict[str, np.ndarray]) -> None:
    old, new = "MobilenetV1/Conv2d_0/weights", "MobilenetV1/Conv2d_1_depthwise/weights"
    moved = {new if name == old else name: value for name, value in arrays.items()}
    (suggestion,) = plan(moved).sources[0].suggestions
    assert suggestion.to_dict() == {"rename": {new: old}, "variables": 1}


def test_moving_averages_are_offered_and_taken_when_asked(arrays: dict[str, np.ndarray]) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    averaged = {**arrays, f"{name}/ExponentialMovingAverage": arrays[name] + 1}
    result = plan(averaged)
    assert causes(result) == [
        "The checkpoint has 1 exponential moving average, which usually evaluate better; "
        "moving_averages true restores them."
    ]
    build = traced(weights=checkpoint(moving_averages=True))
    tensors = BuildTensors(build, Library(**{ID: Arrays(averaged)}))
    assert [row.status for row in tensors.plan.sources[0].rows].count("moving_average") == 1
    np.testing.assert_array_equal(tensors.read(name), arrays[name] + 1)
    assert tensors.plan.share == 1


def test_what_no_source_fills_is_random_by_the_usual_rule(arrays: dict[str, np.ndarray]) -> None:
    source = checkpoint(exclude=["MobilenetV1/Logits*"])
    build = traced(weights=[{"source": "random", "seed": 7}, source])
    tensors = BuildTensors(build, Library(**{ID: Arrays(arrays)}))
    for variable in build.graph.variables:
        expected = (
            random_value(7, variable)
            if variable.name.startswith("MobilenetV1/Logits")
            else arrays[variable.name]
        )
        np.testing.assert_array_equal(tensors.read(variable.name), expected, strict=True)
    assert 0.4 < tensors.plan.share < 0.5


def test_two_checkpoints_are_fused_and_the_plan_says_which_gave_what(
    arrays: dict[str, np.ndarray],
) -> None:
    head = {name: value + 1 for name, value in arrays.items()}
    sources = [
        checkpoint(exclude=["MobilenetV1/Logits*"]),
        {"source": "checkpoint", "id": "d" * 64, "include": ["MobilenetV1/Logits*"]},
    ]
    build = traced(weights=sources)
    library = Library(**{ID: Arrays(arrays, 10), "d" * 64: Arrays(head, 20)})
    tensors = BuildTensors(build, library)
    tensors.plan.check()
    document = tensors.plan.to_dict()
    for entry in document["variables"]:
        is_head = entry["name"].startswith("MobilenetV1/Logits")
        assert entry["from"] == int(is_head)
        expected = (head if is_head else arrays)[entry["name"]]
        np.testing.assert_array_equal(tensors.read(entry["name"]), expected)
    assert [source["counts"]["matched"] for source in document["sources"]] == [135, 2]
    assert tensors.global_step == 20


def test_a_later_source_lies_over_an_earlier_one(arrays: dict[str, np.ndarray]) -> None:
    other = {"MobilenetV1/Conv2d_0/weights": arrays["MobilenetV1/Conv2d_0/weights"] * 2}
    over = {"source": "checkpoint", "id": "d" * 64, "policy": "skip_mismatch"}
    build = traced(weights=[checkpoint(), over])
    tensors = BuildTensors(build, Library(**{ID: Arrays(arrays), "d" * 64: Arrays(other)}))
    tensors.plan.check()
    assert tensors.plan.origins["MobilenetV1/Conv2d_0/weights"][0] == 1
    assert tensors.plan.origins["MobilenetV1/Conv2d_0/BatchNorm/beta"][0] == 0


def test_another_build_gives_its_weights_and_what_it_took(arrays: dict[str, np.ndarray]) -> None:
    """A build takes from a build that took its trunk from a checkpoint."""
    skip = checkpoint(policy="skip_mismatch")
    first = traced(weights=skip, params={"num_classes": 11, "depth_multiplier": 0.25})
    source = {"source": "build", "id": first.spec.digest, "policy": "skip_mismatch"}
    second = traced(weights=source, params={"num_classes": 12, "depth_multiplier": 0.25})
    library = Library(**{ID: Arrays(arrays, 5), first.spec.digest: first.spec})
    tensors = BuildTensors(second, library)
    assert not_filled(tensors.plan) == [
        ("MobilenetV1/Logits/Conv2d_1c_1x1/weights", "shape_mismatch"),
        ("MobilenetV1/Logits/Conv2d_1c_1x1/biases", "shape_mismatch"),
    ]
    name = "MobilenetV1/Conv2d_0/weights"
    np.testing.assert_array_equal(tensors.read(name), arrays[name])
    assert tensors.global_step == 5


def test_a_source_build_is_called_so_where_it_does_not_fit() -> None:
    def first_cause(first: Trace, **changes: Any) -> str:
        source = {"source": "build", "id": first.spec.digest, "policy": "skip_mismatch"}
        library = Library(**{first.spec.digest: first.spec})
        return causes(BuildTensors(traced(weights=source, **changes), library).plan)[0]

    lenet = trace(BuildSpec.read({"architecture": "lenet"}))
    assert first_cause(lenet) == (
        "None of the 137 variables is in the source build: its names begin with 'LeNet', this "
        "build's with 'MobilenetV1'."
    )
    assert first_cause(traced(), params={"num_classes": 11, "depth_multiplier": 0.25}) == (
        "The source build has 1001 classes, background first; this build 11. Set num_classes to "
        '1001, or exclude ["MobilenetV1/Logits/Conv2d_1c_1x1/*"].'
    )
    assert first_cause(traced(), default_scope=None) == (
        "The source build was made inside mobilenet_v1_arg_scope: it has BatchNorm where this "
        "build has biases (27 layers)."
    )


def test_a_strict_source_that_does_not_fit_is_refused_with_causes_and_variables(
    arrays: dict[str, np.ndarray],
) -> None:
    result = plan(arrays, [checkpoint()], params={"num_classes": 11, "depth_multiplier": 0.25})
    with pytest.raises(WeightsError) as refused:
        result.check()
    logits = "MobilenetV1/Logits/Conv2d_1c_1x1"
    assert [str(problem) for problem in refused.value.problems] == [
        "/weights/0: The checkpoint has 1001 classes, background first; this build 11. Set "
        'num_classes to 1001, or exclude ["MobilenetV1/Logits/Conv2d_1c_1x1/*"].',
        f"/weights/0: shape mismatch: {logits}/weights is [1, 1, 256, 11] in the build and "
        "[1, 1, 256, 1001] in the source.",
        f"/weights/0: shape mismatch: {logits}/biases is [11] in the build and [1001] in the "
        "source.",
        "/weights/0/policy: Under the policy 'strict' every included variable must fit: exclude "
        "those that do not, or use the policy 'skip_mismatch', which leaves them as they are.",
    ]


def test_a_refusal_lists_few_of_many_variables() -> None:
    result = plan({})
    with pytest.raises(WeightsError) as refused:
        result.check()
    messages = [problem.message for problem in refused.value.problems]
    assert sum(message.startswith("missing: ") for message in messages) == 20
    assert messages[-1].startswith("117 more variables do not fit. Under the policy 'strict'")


def test_patterns_that_fit_nothing_are_refused_whatever_the_policy(
    arrays: dict[str, np.ndarray],
) -> None:
    source = checkpoint(
        include=["MobilenetV1/*", "MobilnetV1/Logits/*"],
        exclude=["MobilenetV1/Logit/*"],
        rename={"MobilenetV2/": "MobilenetV1/", "MobilenetV1/Conv2d_0/weight": "b"},
        policy="skip_mismatch",
    )
    with pytest.raises(WeightsError) as refused:
        plan(arrays, source).check()
    assert [str(problem) for problem in refused.value.problems] == [
        "/weights/include/1: 'MobilnetV1/Logits/*' fits no variable of the build. Did you mean "
        "'MobilenetV1/Logits/' or 'MobilenetV1/' or 'MobilenetV1/Logits/Conv2d_1c_1x1/'?",
        "/weights/exclude/0: 'MobilenetV1/Logit/*' fits no variable of the build. Did you mean "
        "'MobilenetV1/Logits/' or 'MobilenetV1/' or 'MobilenetV1/Conv2d_0/'?",
        "/weights/rename/MobilenetV2~1: The source has no scope 'MobilenetV2/'. Did you mean "
        "'MobilenetV1/' or 'MobilenetV1/Logits/' or 'MobilenetV1/Conv2d_0/'?",
        "/weights/rename/MobilenetV1~1Conv2d_0~1weight: The source has no tensor "
        "'MobilenetV1/Conv2d_0/weight'. Did you mean 'MobilenetV1/Conv2d_0/weights' or "
        "'MobilenetV1/Conv2d_0/' or 'MobilenetV1/Conv2d_10_pointwise/weights'?",
    ]


def test_only_some_of_many_mistakes_get_the_nearest_names(arrays: dict[str, np.ndarray]) -> None:
    source = checkpoint(exclude=["MobilenetV1/Logit/*"] * 9)
    with pytest.raises(WeightsError) as refused:
        plan(arrays, source).check()
    messages = [problem.message for problem in refused.value.problems]
    assert ["Did you mean" in message for message in messages] == [True] * 8 + [False]


def test_two_tensors_renamed_alike_are_refused(arrays: dict[str, np.ndarray]) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    others = {"one": arrays[name], "other": arrays[name]}
    source = checkpoint(rename=dict.fromkeys(others, name))
    with pytest.raises(WeightsError) as refused:
        plan({**arrays, **others}, source).check()
    assert [str(problem) for problem in refused.value.problems] == [
        f"/weights/rename: 'one' and 'other' would both be '{name}'."
    ]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_rename_takes_the_place_of_what_has_the_name(
    arrays: dict[str, np.ndarray], backwards: bool
) -> None:
    """Whatever the order in which the source names its tensors."""
    first, second = (f"MobilenetV1/Conv2d_{number}_pointwise/" for number in (7, 8))
    source = checkpoint(rename={first: second}, exclude=[first + "*"])
    held = dict(reversed(arrays.items())) if backwards else arrays
    build = traced(weights=source)
    tensors = BuildTensors(build, Library(**{ID: Arrays(held)}))
    tensors.plan.check()
    np.testing.assert_array_equal(tensors.read(second + "weights"), arrays[first + "weights"])
    assert second + "weights" in tensors.plan.sources[0].unused


def test_an_average_is_renamed_with_its_variable(arrays: dict[str, np.ndarray]) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    values = {key: value for key, value in arrays.items() if key != name}
    values |= {"conv": arrays[name], "conv/ExponentialMovingAverage": arrays[name] + 1}
    source = checkpoint(rename={"conv": name}, moving_averages=True)
    tensors = BuildTensors(traced(weights=source), Library(**{ID: Arrays(values)}))
    np.testing.assert_array_equal(tensors.read(name), arrays[name] + 1)


def test_values_beyond_float32_are_refused(arrays: dict[str, np.ndarray]) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    values = {**arrays, name: np.full(arrays[name].shape, 1e300)}
    tensors = BuildTensors(traced(weights=checkpoint()), Library(**{ID: Arrays(values)}))
    with pytest.raises(WeightsError, match=f"{name} has values that are too large for float32"):
        tensors.read(name)


def test_an_unknown_source_is_refused_where_it_is_named() -> None:
    build = traced(weights=[{"source": "random"}, checkpoint()])
    with pytest.raises(WeightsError) as refused:
        _ = BuildTensors(build, Library()).plan
    assert [str(problem) for problem in refused.value.problems] == [
        "/weights/1/id: There is no such checkpoint."
    ]


def test_a_chain_of_builds_ends_at_a_limit() -> None:
    specs: dict[str, BuildSpec] = {}
    last = BuildSpec.read({"architecture": "lenet"})
    for _ in range(66):
        specs[last.digest] = last
        source = {"source": "build", "id": last.digest}
        last = BuildSpec.read({"architecture": "lenet", "weights": source})
    with pytest.raises(WeightsError, match="The sources lead through more than 64 builds"):
        _ = BuildTensors(trace(last), Library(**specs)).plan


def test_of_a_chain_of_builds_only_the_last_is_planned(
    monkeypatch: pytest.MonkeyPatch, arrays: dict[str, np.ndarray]
) -> None:
    """Its step comes from the first; and what is said of a source is made when it is read."""
    made: list[str] = []
    functions = ((restore, "trace"), (restore, "plan_source"), (source_plans, "known_causes"))
    for module, name in functions:
        original = getattr(module, name)

        def noted(*args: Any, name: str = name, call: Any = original, **options: Any) -> Any:
            made.append(name)
            return call(*args, **options)

        monkeypatch.setattr(module, name, noted)
    entries: dict[str, Any] = {ID: Arrays(arrays, global_step=7)}
    last = BuildSpec.read({**PLAIN, "weights": checkpoint()})
    for _ in range(5):
        entries[last.digest] = last
        source = {"source": "build", "id": last.digest, "exclude": ["MobilenetV1/Logit/*"]}
        last = BuildSpec.read({**PLAIN, "weights": source})
    tensors = BuildTensors(trace(last), Library(**entries))
    result = tensors.plan
    assert result.global_step == 7
    assert made == ["trace", "plan_source"]
    assert [str(mistake) for mistake in result.sources[0].mistakes] == [
        "/weights/exclude/0: 'MobilenetV1/Logit/*' fits no variable of the build. Did you mean "
        "'MobilenetV1/Logits/' or 'MobilenetV1/' or 'MobilenetV1/Conv2d_0/'?"
    ]
    assert made == ["trace", "plan_source", "known_causes"]
    name = result.variables[0].name
    np.testing.assert_array_equal(tensors.read(name), arrays[name])
    assert made.count("plan_source") == 6
    assert made.count("known_causes") == 1


def test_integers_are_no_weights(arrays: dict[str, np.ndarray]) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    result = plan({**arrays, name: arrays[name].astype(np.int8)})
    assert not_filled(result) == [(name, "missing")]
    assert causes(result) == [f"1 of the tensors with these names are not floats: {name} is int8."]
    assert result.sources[0].suggestions == []


def test_float64_and_float16_are_read_as_float32(arrays: dict[str, np.ndarray]) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    for dtype in (np.float16, np.float64):
        build = traced(weights=checkpoint())
        values = {**arrays, name: arrays[name].astype(dtype)}
        value = BuildTensors(build, Library(**{ID: Arrays(values)})).read(name)
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, values[name].astype(np.float32))


def test_slots_of_optimizers_are_told_apart(arrays: dict[str, np.ndarray]) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    extra = {f"{name}/RMSProp": arrays[name], f"{name}/RMSProp_1": arrays[name]}
    result = plan({**arrays, **extra, "global_step": np.array(3)}).to_dict()
    assert [(entry["name"], entry["kind"]) for entry in result["sources"][0]["unused"]] == [
        (f"{name}/RMSProp", "optimizer"),
        (f"{name}/RMSProp_1", "optimizer"),
        ("global_step", "global_step"),
    ]


def test_the_plan_as_text_names_what_differs(arrays: dict[str, np.ndarray]) -> None:
    result = plan(arrays, params={"num_classes": 11, "depth_multiplier": 0.25})
    assert result.to_text().splitlines() == [
        "restored: 218,544 of 221,371 parameters (98.7%)",
        "source 0 (checkpoint cccccccccccc): 135 matched, 2 shape_mismatch",
        "  The checkpoint has 1001 classes, background first; this build 11. Set num_classes to "
        '1001, or exclude ["MobilenetV1/Logits/Conv2d_1c_1x1/*"].',
        "  shape mismatch: MobilenetV1/Logits/Conv2d_1c_1x1/weights is [1, 1, 256, 11] in the "
        "build and [1, 1, 256, 1001] in the source",
        "  shape mismatch: MobilenetV1/Logits/Conv2d_1c_1x1/biases is [11] in the build and "
        "[1001] in the source",
    ]


def test_every_plan_of_the_catalogue_is_whole_for_its_own_variables() -> None:
    for name in model_zoo.list_architectures():
        classes = model_zoo.find_architecture(name).classes
        build = trace(
            BuildSpec.read(
                {
                    "architecture": name,
                    "params": {"num_classes": classes},
                    "weights": checkpoint(),
                }
            )
        )
        empty = {v.name: np.broadcast_to(np.float32(0), v.shape) for v in build.graph.variables}
        result = BuildTensors(build, Library(**{ID: Arrays(empty)})).plan
        result.check()
        assert result.share == 1, name
