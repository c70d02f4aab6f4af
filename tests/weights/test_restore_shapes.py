"""Shapes that differ by a rule: values in another order are put in ours, others are explained."""

from typing import Any

import numpy as np
import pytest
from restoring import (
    assert_same,
    causes,
    checkpoint,
    golden,
    not_filled,
    notes,
    plan,
    restored,
    values,
)
from restoring import traced as traced_with

from model_zoo.graph import Variable
from model_zoo.weights.shapes import Order, order_of, reordering

Arrays = dict[str, np.ndarray]
HEAD = "MobilenetV1/Logits/Conv2d_1c_1x1/weights"
LENET: dict[str, Any] = {
    "architecture": "lenet",
    "params": {"num_classes": 10},
    "input_shape": [28, 28, 1],
}
SMALL_V2: dict[str, Any] = {"architecture": "mobilenet_v2", "input_shape": [32, 32, 3]}


def traced(**changes: Any) -> Arrays:
    """The variables of a build, as a checkpoint of it holds them."""
    return golden(traced_with(**changes))


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return traced()


def of_pytorch(arrays: Arrays) -> Arrays:
    """Return convolutions as PyTorch has them; a depthwise one is (channels, 1, H, W)."""
    return {
        name: value.transpose(2, 3, 0, 1)
        if name.endswith("depthwise_weights")
        else value.transpose(3, 2, 0, 1)
        if value.ndim == 4
        else value
        for name, value in arrays.items()
    }


def outputs_first(arrays: Arrays) -> Arrays:
    """Return every weight of four dimensions with its last two first, the depthwise ones too."""
    return {
        name: value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        for name, value in arrays.items()
    }


TRANSPOSED = (
    "28 weights are in PyTorch's order, outputs first, and are transposed: "
    "MobilenetV1/Conv2d_0/weights is [8, 3, 3, 3] in the source and [3, 3, 3, 8] in the build."
)


@pytest.mark.parametrize("order", [of_pytorch, outputs_first])
def test_weights_in_pytorchs_order_are_transposed_with_a_note(arrays: Arrays, order: Any) -> None:
    tensors = restored(order(arrays))
    assert_same(values(tensors), arrays)
    assert notes(tensors.plan) == [TRANSPOSED]
    assert tensors.plan.warnings == [f"/weights/1: {TRANSPOSED}"]


def test_a_head_of_pytorch_is_a_1x1_convolution_here(arrays: Arrays) -> None:
    tensors = restored({**of_pytorch(arrays), HEAD: arrays[HEAD][0, 0].T})
    assert_same(values(tensors), arrays)
    assert notes(tensors.plan) == [TRANSPOSED]


def test_equal_sizes_are_transposed_with_the_others() -> None:
    """Nothing in the shape of a convolution from 16 to 16 channels of 1x1 tells its order."""
    square = Variable("net/square/weights", (3, 3, 3, 3), None, None, True)  # type: ignore[arg-type]
    other = Variable("net/other/weights", (3, 3, 3, 8), None, None, True)  # type: ignore[arg-type]
    first = order_of([((3, 3, 3, 3), square), ((8, 3, 3, 3), other)])
    last = order_of([((3, 3, 3, 3), square), ((3, 3, 3, 8), other)])
    value = np.arange(81).reshape(3, 3, 3, 3)
    change = reordering((3, 3, 3, 3), square, first)
    assert change is not None
    np.testing.assert_array_equal(
        change.apply(value, square.shape), value.transpose(2, 3, 1, 0), strict=True
    )
    assert reordering((3, 3, 3, 3), square, last) is None
    assert reordering((3, 3, 3, 3), square, Order()) is None


@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_depthwise_filter_of_pytorch_has_the_filters_of_a_channel_together(
    multiplier: int,
) -> None:
    shape = (3, 3, 5, multiplier)
    variable = Variable("net/depthwise_weights", shape, None, None, True)  # type: ignore[arg-type]
    value = np.arange(45 * multiplier).reshape(shape)
    theirs = value.transpose(2, 3, 0, 1).reshape(5 * multiplier, 1, 3, 3)
    change = reordering(theirs.shape, variable, Order(outputs_first=1))
    assert change is not None
    np.testing.assert_array_equal(change.apply(theirs, shape), value, strict=True)


def test_a_video_convolution_of_pytorch_is_transposed() -> None:
    variable = Variable("net/weights", (2, 3, 4, 5, 6), None, None, True)  # type: ignore[arg-type]
    value = np.arange(720).reshape(variable.shape)
    theirs = value.transpose(4, 3, 0, 1, 2)
    change = reordering(theirs.shape, variable, Order(outputs_first=1))
    assert change is not None
    np.testing.assert_array_equal(change.apply(theirs, variable.shape), value, strict=True)


def test_where_others_fit_as_they_are_none_is_transposed(arrays: Arrays) -> None:
    name = "MobilenetV1/Conv2d_0/weights"
    result = plan({**arrays, name: arrays[name].transpose(3, 2, 0, 1)})
    assert not_filled(result) == [(name, "shape_mismatch")]
    assert causes(result) == [
        "1 weight would fit if transposed from PyTorch's order, outputs first: "
        f"{name} is [8, 3, 3, 3] there and [3, 3, 3, 8] here. Others fit as they are, so the order "
        "is not known: transpose them in the file."
    ]
    assert notes(result) == []


def test_a_dense_head_is_a_1x1_convolution_with_a_note(arrays: Arrays) -> None:
    tensors = restored({**arrays, HEAD: arrays[HEAD][0, 0]})
    assert_same(values(tensors), arrays)
    assert tensors.plan.warnings == [
        f"/weights/1: 1 variable is stored with other sizes of 1, and is reshaped: {HEAD} is "
        "[256, 1001] in the source and [1, 1, 256, 1001] in the build."
    ]


def test_statistics_with_sizes_of_1_are_reshaped(arrays: Arrays) -> None:
    held = {
        name: value.reshape(1, 1, 1, -1) if value.ndim == 1 else value
        for name, value in arrays.items()
    }
    tensors = restored(held)
    assert_same(values(tensors), arrays)
    assert notes(tensors.plan) == [
        "109 variables are stored with other sizes of 1, and are reshaped: "
        "MobilenetV1/Conv2d_0/BatchNorm/gamma is [1, 1, 1, 8] in the source and [8] in the build."
    ]


def test_a_dense_layer_behind_a_flattened_map_is_not_transposed_and_named() -> None:
    """PyTorch flattens channels first: transposed, its inputs would be in the wrong order."""
    arrays = traced(**LENET)
    theirs = {
        name: value.T if value.ndim == 2 else value for name, value in of_pytorch(arrays).items()
    }
    result = plan(theirs, **LENET)
    assert not_filled(result) == [("LeNet/fc3/weights", "shape_mismatch")]
    assert causes(result) == [
        "LeNet/fc3/weights has the shape of PyTorch's order, outputs first: LeNet/fc3/weights is "
        "[1024, 3136] there and [3136, 1024] here. Its inputs are a flattened map of [7, 7, 64], "
        "which PyTorch flattens channels first: reorder and transpose it in the file."
    ]
    assert notes(result) == [
        "3 weights are in PyTorch's order, outputs first, and are transposed: LeNet/conv1/weights "
        "is [32, 1, 5, 5] in the source and [5, 5, 1, 32] in the build."
    ]


def test_convolutions_alone_may_be_in_pytorchs_order() -> None:
    arrays = traced(**LENET)
    tensors = restored(outputs_first(arrays), **LENET)
    assert_same(values(tensors), arrays)
    assert notes(tensors.plan) == [
        "2 weights are in PyTorch's order, outputs first, and are transposed: LeNet/conv1/weights "
        "is [32, 1, 5, 5] in the source and [5, 5, 1, 32] in the build."
    ]


@pytest.mark.parametrize(
    ("made", "built", "there", "here"), [(True, False, 1280, 640), (False, True, 640, 1280)]
)
def test_a_finegrain_head_names_its_parameter(
    made: bool, built: bool, there: int, here: int
) -> None:
    params = {"num_classes": 11, "depth_multiplier": 0.5}
    held = traced(**SMALL_V2, params={**params, "finegrain_classification_mode": made})
    result = plan(held, **SMALL_V2, params={**params, "finegrain_classification_mode": built})
    assert len(not_filled(result)) == 6
    assert causes(result) == [
        f"The checkpoint was made with finegrain_classification_mode {str(made).lower()}, which "
        f"gives 6 variables the shapes that it has: MobilenetV2/Conv_1/weights is [1, 1, 160, "
        f"{there}] there and [1, 1, 160, {here}] here. Set it so in params."
    ]


def test_other_shapes_are_not_blamed_on_a_parameter_that_cannot_make_them(
    arrays: Arrays,
) -> None:
    held = {
        name: np.zeros((7, 7, *value.shape[2:]), np.float32) if value.ndim == 4 else value
        for name, value in arrays.items()
    }
    assert causes(plan(held, checkpoint(policy="skip_mismatch"))) == [
        "28 of 28 weights have other shapes: MobilenetV1/Conv2d_0/weights is [7, 7, 3, 8] in the "
        "checkpoint and [3, 3, 3, 8] in this build."
    ]
