"""Names that differ by a rule: spelt otherwise they are matched, in another scope one rename helps.

Every rule holds for a whole network of 137 variables.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from restoring import (
    ID,
    Library,
    assert_same,
    causes,
    checkpoint,
    golden,
    not_filled,
    notes,
    plan,
    restored,
    suggested,
    traced,
    values,
)
from restoring import Arrays as Source

from model_zoo import BuildSpec, SpecError, WeightsError
from model_zoo.patterns import captures, fits
from model_zoo.weights.names import Renames
from model_zoo.weights.restore import BuildTensors

AVERAGE = "/ExponentialMovingAverage"
Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    """The variables of the plain build, as a checkpoint of it holds them."""
    return golden(traced())


def keras_name(name: str) -> str:
    scope, _, last = name.rpartition("/")
    endings = {"weights": "kernel", "biases": "bias", "depthwise_weights": "depthwise_kernel"}
    return f"{scope}/{endings.get(last, last)}"


def renamed(arrays: Arrays, rename: Callable[[str], str]) -> Arrays:
    return {rename(name): value for name, value in arrays.items()}


# Spellings, which are matched by themselves


def test_endings_of_tensorflows_tensors_are_left_off(arrays: Arrays) -> None:
    tensors = restored(renamed(arrays, lambda name: f"{name}:0"))
    assert_same(values(tensors), arrays)
    assert notes(tensors.plan) == ["137 names in the source end with ':0', which is left off."]
    assert tensors.plan.warnings == [f"/weights/1: {note}" for note in notes(tensors.plan)]
    assert tensors.plan.summary()["sources"][0]["counts"]["renamed"] == 137
    assert tensors.plan.to_dict()["variables"][0]["name_in_source"] == (
        "MobilenetV1/Conv2d_0/weights:0"
    )


def test_names_of_keras_are_matched(arrays: Arrays) -> None:
    tensors = restored(renamed(arrays, keras_name))
    assert_same(values(tensors), arrays)
    assert notes(tensors.plan) == [
        "15 names in the source end with 'kernel', which is 'weights' here.",
        "13 names in the source end with 'depthwise_kernel', which is 'depthwise_weights' here.",
        "1 name in the source ends with 'bias', which is 'biases' here.",
    ]


def test_names_of_pytorch_are_matched(arrays: Arrays) -> None:
    ends = {"weights": "weight", "depthwise_weights": "weight", "biases": "bias"}

    def pytorch_name(name: str) -> str:
        scope, _, last = name.rpartition("/")
        return f"{scope}/{ends.get(last, last)}"

    tensors = restored(renamed(arrays, pytorch_name))
    assert_same(values(tensors), arrays)
    assert notes(tensors.plan) == [
        "15 names in the source end with 'weight', which is 'weights' here.",
        "13 names in the source end with 'weight', which is 'depthwise_weights' here.",
        "1 name in the source ends with 'bias', which is 'biases' here.",
    ]


def test_a_depthwise_filter_is_keras_3_s_kernel(arrays: Arrays) -> None:
    tensors = restored(
        renamed(arrays, lambda name: name.replace("depthwise_weights", "kernel") + ":0")
    )
    assert_same(values(tensors), arrays)


def test_a_variables_own_name_counts_before_other_spellings(arrays: Arrays) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    others = dict.fromkeys((f"{name}:0", keras_name(name)), arrays[name] + 1)
    tensors = restored({**others, **arrays})
    assert_same(values(tensors), arrays)
    assert set(tensors.plan.sources[0].unused) == set(others)
    assert notes(tensors.plan) == []


def test_spellings_of_what_is_no_variable_are_told_apart(arrays: Arrays) -> None:
    extra = {"a/Momentum:0": np.zeros(1), "global_step:0": np.array(3)}
    held = {**arrays, **extra, f"a{AVERAGE}:0": np.zeros(1, np.float32)}
    unused = plan(held).to_dict()["sources"][0]["unused"]
    assert {entry["name"]: entry["kind"] for entry in unused} == {
        "a/Momentum:0": "optimizer",
        "global_step:0": "global_step",
        f"a{AVERAGE}:0": "moving_average",
    }


# Scopes, for which one rename is suggested


@pytest.mark.parametrize(
    ("rename", "begin", "suggestion"),
    [
        (lambda name: f"model/{name}", "'model'", '{"model/*": "*"}'),
        (lambda name: f"tower_0/{keras_name(name)}:0", "'tower_0'", '{"tower_0/*": "*"}'),
        (
            lambda name: name.removeprefix("MobilenetV1/"),
            "'Conv2d_0', 'Conv2d_1_depthwise' and 'Conv2d_1_pointwise'",
            '{"*": "MobilenetV1/*"}',
        ),
        (
            lambda name: name.replace("MobilenetV1", "a/b/Net"),
            "'a'",
            '{"a/b/Net/*": "MobilenetV1/*"}',
        ),
    ],
    ids=["prefix", "tower, Keras's endings and :0", "no prefix", "another prefix"],
)
def test_one_rename_for_the_whole_network_is_suggested_and_fills_it(
    arrays: Arrays, rename: Callable[[str], str], begin: str, suggestion: str
) -> None:
    held = renamed(arrays, rename)
    result = plan(held)
    assert causes(result) == [
        f"None of the 137 variables is in the checkpoint: its names begin with {begin}, this "
        "build's with 'MobilenetV1'."
    ]
    assert suggested(result) == [f'"rename": {suggestion} would fill 137 more variables.']
    said = result.sources[0].suggestions[0].to_dict()
    assert said["variables"] == 137
    assert_same(values(restored(held, checkpoint(rename=said["rename"]))), arrays)


def test_of_several_towers_the_first_is_suggested(arrays: Arrays) -> None:
    held = {f"tower_{n}/{name}": value + n for name, value in arrays.items() for n in (1, 0)}
    assert suggested(plan(held)) == ['"rename": {"tower_0/*": "*"} would fill 137 more variables.']


def test_a_rename_is_suggested_whatever_the_order_of_the_sizes(arrays: Arrays) -> None:
    held = {
        f"model/{name}": value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        for name, value in arrays.items()
    }
    assert suggested(plan(held)) == ['"rename": {"model/*": "*"} would fill 137 more variables.']
    assert_same(values(restored(held, checkpoint(rename={"model/*": "*"}))), arrays)


def test_no_rename_is_suggested_where_several_variables_could_be_meant(arrays: Arrays) -> None:
    """Each of two layers of one shape ends like the one tensor that is left."""
    missing = [f"MobilenetV1/Conv2d_{number}_pointwise/weights" for number in (7, 8)]
    held = {name: value for name, value in arrays.items() if name not in missing}
    assert suggested(plan({**held, "a/weights": arrays[missing[0]]})) == []


def test_the_names_of_a_hostile_source_are_searched_in_a_moment(arrays: Arrays) -> None:
    """20,000 names of many parts, all of one shape, that end like many variables."""
    value = np.zeros(128, np.float32)
    held = {f"{'a/' * 120}{number}/BatchNorm/beta": value for number in range(20_000)}
    held |= {f"{number}/BatchNorm/beta": value for number in range(10)}
    assert suggested(plan(held)) == []


# Renames


@pytest.mark.parametrize(
    ("rename", "names"),
    [
        ({"*": "Net/*"}, {"a/w": "Net/a/w", "w": "Net/w"}),
        ({"model/*": "*"}, {"model/a/w": "a/w", "a/w": "a/w"}),
        ({"*/kernel": "*/weights"}, {"a/b/kernel": "a/b/weights", "kernel": "kernel"}),
        ({"*/block*/*": "*/unit_*/*"}, {"n/block3/w/x": "n/unit_3/w/x"}),
        ({"*_*": "*"}, {"a_b_c": "a"}),
        ({"tower_*/*": "net"}, {"tower_0/w": "net"}),
        ({"a/": "b/", "a/*": "c/*"}, {"a/w": "b/w"}),
        # An exact name wins, then the longest literal text, then the fewest stars.
        ({"a/w": "exact", "a/*": "scope/*", "*": "all/*"}, {"a/w": "exact", "a/v": "scope/v"}),
        ({"a/": "scope/", "a/*/w": "pattern/*"}, {"a/b/w": "pattern/b", "a/b": "scope/b"}),
        ({"a*b*": "two/*", "ab*": "one/*"}, {"abc": "one/c", "acb": "two/c"}),
        ({"x*": "first/*", "*x": "second/*"}, {"xx": "second/x"}),
        # An average goes with its variable.
        ({"*/kernel": "*/weights"}, {f"a/kernel{AVERAGE}": f"a/weights{AVERAGE}"}),
        ({"a": "b"}, {f"a{AVERAGE}:0": f"b{AVERAGE}:0"}),
        ({"*": "Net/*"}, {f"a{AVERAGE}": f"Net/a{AVERAGE}"}),
    ],
)
def test_a_pattern_renames_what_it_fits(rename: dict[str, str], names: Mapping[str, str]) -> None:
    for ordered in (rename, dict(reversed(rename.items()))):
        renames = Renames(ordered)
        assert {name: renames.target(name) for name in names} == names


def test_a_star_takes_as_little_as_it_can_from_the_left_on() -> None:
    assert captures("a/b/c/w", "*/*/w") == ("a", "b/c")
    assert captures("aXbXc", "*X*") == ("a", "bXc")
    assert captures("abab", "*ab") == ("ab",)
    assert captures("ab", "a*b*") == ("", "")
    assert captures("a", "a*a") is None
    assert captures("anything", "*") == ("anything",)


def test_the_costliest_pattern_is_matched_in_a_moment() -> None:
    """Eight stars, each of which could stand for any part of the name."""
    assert not any(fits("a" * 500 + str(number), "*a" * 8 + "*b") for number in range(20_000))


def test_an_exact_rename_makes_the_same_build_as_ever() -> None:
    """The id was taken before there were patterns."""
    source = checkpoint(rename={"network/": "LeNet/", "conv": "LeNet/conv1/weights"})
    spec = BuildSpec.read(
        {"architecture": "lenet", "params": {"num_classes": 10}, "weights": source}
    )
    assert spec.digest == "6a87d171fd2a087aa7e925f249f3126e"


@pytest.mark.parametrize(
    ("weights", "pointer", "message"),
    [
        (
            checkpoint(rename={"a/*": "b/*/*"}),
            "/weights/rename/a~1*",
            "Each '*' of the value takes the text of the same '*' of the key; 'b/*/*' has 2, and "
            "'a/*' 1.",
        ),
        (
            [{"source": "random"}, checkpoint(rename={"a/": "b/*"})],
            "/weights/1/rename/a~1",
            "Each '*' of the value takes the text of the same '*' of the key; 'b/*' has 1, and "
            "'a/' none.",
        ),
        (
            checkpoint(rename={"*a" * 9: "b"}),
            f"/weights/rename/{'*a' * 9}",
            "A pattern has at most 8 '*'; this one has 9.",
        ),
        (
            checkpoint(rename={"a": "b" * 257}),
            "/weights/rename/a",
            f'This should have at most 256 characters; received "{"b" * 76}....',
        ),
    ],
)
def test_a_rename_that_cannot_be_is_refused_where_it_stands(
    weights: object, pointer: str, message: str
) -> None:
    with pytest.raises(SpecError) as refused:
        BuildSpec.read({"architecture": "lenet", "weights": weights})
    (problem,) = refused.value.problems
    assert (problem.pointer, problem.message) == (pointer, message)


def test_a_pattern_that_fits_no_tensor_is_refused_with_the_nearest_names(arrays: Arrays) -> None:
    source = checkpoint(rename={"MobilnetV1/*": "*"}, policy="skip_mismatch")
    with pytest.raises(WeightsError) as refused:
        plan(arrays, source).check()
    (problem,) = refused.value.problems
    assert str(problem) == (
        "/weights/rename/MobilnetV1~1*: 'MobilnetV1/*' fits no tensor of the source. Did you mean "
        "'MobilenetV1/' or 'MobilenetV1/Logits/' or 'MobilenetV1/Conv2d_0/'?"
    )


def test_a_rename_to_names_that_the_build_lacks_is_told(arrays: Arrays) -> None:
    source = checkpoint(rename={"MobilenetV1/Conv2d_0/*": "Net/*"}, policy="skip_mismatch")
    result = plan(arrays, source)
    assert result.warnings == [
        "/weights/1: rename 'MobilenetV1/Conv2d_0/*' gives no name that the build has: "
        "'MobilenetV1/Conv2d_0/weights' becomes 'Net/weights'.",
        "/weights/1: This source does not fill 5 of the 137 variables that it should, 248 of the "
        "build's 475,801 parameters (0.1%): MobilenetV1/Conv2d_0/weights, "
        "MobilenetV1/Conv2d_0/BatchNorm/gamma, MobilenetV1/Conv2d_0/BatchNorm/beta, "
        "MobilenetV1/Conv2d_0/BatchNorm/moving_mean, "
        "MobilenetV1/Conv2d_0/BatchNorm/moving_variance. They stay random.",
    ]


def test_of_many_names_that_a_pattern_makes_one_only_some_are_told(arrays: Arrays) -> None:
    with pytest.raises(WeightsError) as refused:
        plan(arrays, checkpoint(rename={"*": "a"})).check()
    messages = [problem.message for problem in refused.value.problems]
    assert sum(message.endswith(" would both be 'a'.") for message in messages) == 8
    assert "128 more names would be given twice." in messages


# Moving averages


def test_a_source_of_averages_alone_is_told(arrays: Arrays) -> None:
    held = renamed(arrays, lambda name: name + AVERAGE)
    result = plan(held)
    assert causes(result) == [
        "The checkpoint holds 137 exponential moving averages of variables, and not the variables "
        "themselves: moving_averages true restores them."
    ]
    tensors = restored(held, checkpoint(moving_averages=True))
    assert_same(values(tensors), arrays)
    assert tensors.plan.warnings == []


def test_averages_in_another_scope_get_a_rename(arrays: Arrays) -> None:
    held = renamed(arrays, lambda name: f"model/{name}{AVERAGE}:0")
    result = plan(held, checkpoint(moving_averages=True))
    assert causes(result) == [
        "None of the 137 variables is in the checkpoint: its names begin with 'model', this "
        "build's with 'MobilenetV1'."
    ]
    assert suggested(result) == ['"rename": {"model/*": "*"} would fill 137 more variables.']
    source = checkpoint(moving_averages=True, rename={"model/*": "*"})
    assert_same(values(restored(held, source)), arrays)


def test_averages_that_are_asked_for_and_not_there_are_a_warning(arrays: Arrays) -> None:
    result = plan(arrays, checkpoint(moving_averages=True))
    result.check()
    assert result.warnings == [
        "/weights/1: moving_averages is true, and the checkpoint has none: the variables "
        "themselves are restored."
    ]


# What is not filled


def test_what_a_lenient_source_leaves_is_a_warning_with_its_share(arrays: Arrays) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    held = {key: value for key, value in arrays.items() if key != name}
    assert plan(held, checkpoint(policy="skip_mismatch")).warnings == [
        "/weights/1: This source does not fill 1 of the 137 variables that it should, 216 of the "
        f"build's 475,801 parameters (less than 0.1%): {name}. It stays random."
    ]


def test_what_other_sources_fill_does_not_stay_random(arrays: Arrays) -> None:
    """The first source lacks two variables, of which the second has one."""
    lacking = [f"MobilenetV1/Conv2d_{number}_pointwise/weights" for number in (1, 2)]
    sources = [
        checkpoint(policy="skip_mismatch"),
        {"source": "checkpoint", "id": "d" * 64, "include": lacking[:1]},
    ]
    library = Library(
        **{
            ID: Source({name: arrays[name] for name in arrays if name not in lacking}),
            "d" * 64: Source({lacking[0]: arrays[lacking[0]]}),
        }
    )
    (warning,) = BuildTensors(traced(weights=sources), library).plan.warnings
    assert warning.endswith(
        f"{lacking[0]}, {lacking[1]}. 1 of them stays random; other sources fill the rest."
    )


def test_a_lenient_source_that_fills_nothing_is_refused_with_the_reason(arrays: Arrays) -> None:
    held = renamed(arrays, lambda name: f"model/{name}")
    with pytest.raises(WeightsError) as refused:
        plan(held, checkpoint(policy="skip_mismatch")).check()
    assert [str(problem) for problem in refused.value.problems] == [
        "/weights: This source fills none of the 137 variables that it should.",
        "/weights: None of the 137 variables is in the checkpoint: its names begin with 'model', "
        "this build's with 'MobilenetV1'.",
        '/weights: "rename": {"model/*": "*"} would fill 137 more variables.',
    ]


@pytest.mark.parametrize("policy", ["strict", "skip_mismatch"])
def test_a_source_that_is_to_fill_nothing_is_refused(arrays: Arrays, policy: str) -> None:
    with pytest.raises(WeightsError) as refused:
        plan(arrays, checkpoint(exclude=["Mobilenet*"], policy=policy)).check()
    assert [str(problem) for problem in refused.value.problems] == [
        "/weights: include and exclude leave this source no variable to fill."
    ]


def test_a_source_without_weights_is_told() -> None:
    result = plan({"a/Momentum": np.zeros(3, np.float32)})
    assert causes(result) == ["The checkpoint holds no weights, and 1 other tensor."]
    assert not_filled(result)[0] == ("MobilenetV1/Conv2d_0/weights", "missing")
