"""Receptive fields: published ones, what the output of a network depends on, where there are none.

`receptive_fields.csv` has what is published of TF-Slim's networks, for inputs of any size (Araujo,
Norris, Sim, Distill 2019):
https://github.com/google-research/receptive_field/blob/master/receptive_field/RECEPTIVE_FIELD_TABLE.md
"""

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_zoo import BuildSpec, Tensor, trace
from model_zoo.graph import build_graph
from model_zoo.layers import (
    avg_pool2d,
    conv2d,
    conv2d_transpose,
    flatten,
    fully_connected,
    group_norm,
    max_pool2d,
    separable_conv2d,
)
from model_zoo.onnx_lowering import RULES as ALL_PRIMITIVES
from model_zoo.primitives import (
    add,
    concat,
    crop,
    multiply,
    pad,
    reduce_mean,
    resize_bilinear,
    squeeze,
)
from model_zoo.reports.receptive_field import RULES, ReceptiveField, receptive_fields

with Path(__file__).with_name("receptive_fields.csv").open() as table:
    PUBLISHED = list(csv.DictReader(table))
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "inception_resnet_v2-same": ("inception_resnet_v2", {"align_feature_maps": True}),
    "inception_v2-no-separable-conv": ("inception_v2", {"use_separable_conv": False}),
}
Network = Callable[[Tensor], Tensor]


@cache
def published_fields(network: str) -> dict[str, ReceptiveField]:
    """Return the receptive fields of a network's end points."""
    name, params = VARIANTS.get(network, (network, {}))
    graph = trace(BuildSpec.read({"architecture": name, "params": params})).graph
    fields = receptive_fields(graph)
    return {name: fields[tensor] for name, tensor in graph.end_points.items()}


@pytest.mark.parametrize("network", sorted({row["network"] for row in PUBLISHED}))
def test_fields_of_tf_slims_networks_are_the_published_ones(network: str) -> None:
    fields = published_fields(network)
    rows = [row for row in PUBLISHED if row["network"] == network]
    assert len(rows) >= 4
    for row in rows:
        size, stride = int(row["receptive_field"]), int(row["effective_stride"])
        assert fields[row["end_point"]] == ((size, size), (stride, stride)), row["end_point"]


# What computes each position of its output from the same position of what it reads.
POSITIONWISE = {
    *("activation", "add", "batch_norm", "bias_add", "clip", "concat", "crop", "dropout"),
    *("group_norm", "input", "layer_norm", "local_response_normalization", "matmul", "multiply"),
    *("pad", "rescale", "slice_channels", "softmax"),
}


def test_every_primitive_is_known() -> None:
    assert RULES.keys() | POSITIONWISE == ALL_PRIMITIVES.keys() | {"input"}
    assert not RULES.keys() & POSITIONWISE


def conv(x: Tensor, kernel: Any, stride: Any = 1, **arguments: Any) -> Tensor:
    return conv2d(x, 1, kernel, stride=stride, activation_fn=None, **arguments)


def inception(x: Tensor) -> Tensor:
    x = conv(x, 3, 2)
    narrow = conv(x, 1)
    wide = conv(conv(x, [1, 7]), [7, 1])
    return conv(concat([narrow, wide, avg_pool2d(x, 3, stride=1, padding="SAME")]), 3, 2)


def residual(x: Tensor) -> Tensor:
    x = conv(x, 7, 2, padding="VALID")
    return add(x, conv(conv(x, 3), 3, rate=2))


NETWORKS: dict[str, Network] = {
    "one convolution": lambda x: conv(x, [3, 5]),
    "strides": lambda x: conv(conv(conv(x, 3, 2), 3, [2, 1]), 5),
    "kernels smaller than strides": lambda x: conv(conv(x, 1, 2), 2, 3),
    "dilation": lambda x: conv(conv(x, 3, rate=[2, 3]), 3, rate=4),
    "valid": lambda x: conv(conv(x, 5, 2, padding="VALID"), 3, padding="VALID"),
    "pools": lambda x: avg_pool2d(max_pool2d(x, 3), [2, 4]),
    "separable": lambda x: separable_conv2d(
        separable_conv2d(x, 1, 3, stride=2, activation_fn=None), None, 5, activation_fn=None
    ),
    "padded and cropped": lambda x: crop(pad(conv(x, 3, 2), (2, 1), (0, 3)), (1, 0), (2, 2)),
    "branches": inception,
    "residual": residual,
    "upsampled": lambda x: conv(conv2d_transpose(conv(x, 3, 2), 1, 4, 2, activation_fn=None), 3),
    "upsampled with gaps": lambda x: conv(conv2d_transpose(x, 1, 2, 3, activation_fn=None), 2),
    "upsampled twice": lambda x: conv(
        conv2d_transpose(
            conv2d_transpose(conv(x, 3, 4), 1, 3, 2, activation_fn=None),
            *(1, 2, 2),
            activation_fn=None,
        ),
        5,
    ),
    "resized": lambda x: conv(resize_bilinear(conv(x, 3, 2), (59, 59)), 3),
    "resized smaller": lambda x: conv(resize_bilinear(crop(x, (1, 1), (2, 2)), (41, 29)), 3),
}
SIZE = 60


@pytest.mark.heavy
@pytest.mark.parametrize("name", NETWORKS)
def test_fields_are_what_a_position_of_the_output_depends_on(name: str) -> None:
    """One position of an empty input after another is set, and part of the output then is.

    There are no biases, and all weights are positive, so that no two paths cancel.
    """
    from model_zoo.lowering import materialize_graph

    graph = build_graph(NETWORKS[name], (SIZE, SIZE, 1))
    model = materialize_graph(graph)
    model.assign(
        {
            v.name: np.full(v.shape, 0.0 if v.name.endswith("biases") else 0.5, np.float32)
            for v in graph.variables
        }
    )
    field = receptive_fields(graph)[graph.output]
    for axis in (1, 2):
        inputs = np.zeros((SIZE, SIZE, SIZE, 1), np.float32)
        for position in range(SIZE):
            inputs[(position, position) if axis == 1 else (position, slice(None), position)] = 1
        output = model.predict(inputs)[..., 0]
        by_output = (output.max(axis=3 - axis) > 0).T
        seen = [np.flatnonzero(inputs) for inputs in by_output if inputs.any()]
        within = [each for each in seen if each[0] > 0 and each[-1] < SIZE - 1]
        assert len(within) > 3
        assert max(each[-1] - each[0] + 1 for each in within) == field.size[axis - 1]
        stride = (within[-1][0] - within[0][0]) / (len(within) - 1)
        assert stride == pytest.approx(field.effective_stride[axis - 1], abs=0.2)


def field_of(network: Network, *shape: int) -> ReceptiveField:
    graph = build_graph(network, shape)
    return receptive_fields(graph)[graph.output]


def test_the_input_sees_itself() -> None:
    assert field_of(lambda x: x, 9, 9, 3) == ((1, 1), (1, 1))
    assert field_of(lambda x: x, 8, 9, 9, 3) == ((1, 1, 1), (1, 1, 1))


def test_the_largest_of_all_paths_stays_the_largest() -> None:
    """One path has the larger field and one the larger stride: no path has both."""

    def crossed(x: Tensor) -> Tensor:
        large = crop(conv(x, 5), (4, 4), (4, 4))
        far = conv(x, 1, 2)
        return add(large, far)

    assert field_of(crossed, 16, 16, 1) == ((5, 5), (2, 2))
    assert field_of(lambda x: conv(crossed(x), 3), 16, 16, 1) == ((7, 7), (2, 2))
    assert field_of(lambda x: conv(crossed(x), 7), 16, 16, 1) == ((13, 13), (2, 2))


NO_FIELD = ReceptiveField((None, None), (None, None))


@pytest.mark.parametrize(
    "network",
    [
        lambda x: reduce_mean(x, [1, 2]),
        lambda x: squeeze(reduce_mean(x, [1, 2]), [1, 2]),
        lambda x: avg_pool2d(x, [8, 8], padding="VALID"),
        lambda x: fully_connected(flatten(x), 3),
        lambda x: multiply(x, conv(reduce_mean(x, [1, 2]), 1)),
        lambda x: conv(add(x, multiply(x, reduce_mean(x, [1, 2]))), 3),
    ],
)
def test_after_a_global_reduction_there_is_none(network: Network) -> None:
    assert field_of(network, 8, 8, 1) == NO_FIELD


def test_each_axis_is_reduced_by_itself() -> None:
    assert field_of(lambda x: reduce_mean(conv(x, 3), [1]), 8, 8, 1) == ((None, 3), (None, 1))
    assert field_of(lambda x: avg_pool2d(x, [8, 2]), 8, 8, 1) == ((None, 2), (None, 2))


def test_a_squeezed_axis_keeps_its_field_and_the_others_theirs() -> None:
    squeezed = field_of(lambda x: squeeze(conv(x, [8, 3], padding="VALID"), [1]), 8, 9, 1)
    assert squeezed == ((8, 3), (1, 1))
    # A video whose frames are averaged is an image.
    video = field_of(lambda x: conv(squeeze(reduce_mean(x, [1]), [1]), [3, 5]), 4, 9, 9, 1)
    assert video == ((None, 3, 5), (None, 1, 1))


def test_one_position_is_flattened_without_mixing() -> None:
    features = field_of(lambda x: flatten(conv(x, 8, padding="VALID")), 8, 8, 1)
    assert features == ((8, 8), (1, 1))


def test_windows_that_cover_the_map_have_a_size_all_the_same() -> None:
    """The same convolution slides over a larger input; so does a maximum."""
    assert field_of(lambda x: conv(x, 8, padding="VALID"), 8, 8, 1) == ((8, 8), (1, 1))
    assert field_of(lambda x: max_pool2d(x, 8), 8, 8, 1) == ((8, 8), (2, 2))


def test_statistics_of_normalizers_do_not_count() -> None:
    normalized = field_of(lambda x: group_norm(conv2d(x, 4, 3), groups=2), 8, 8, 1)
    assert normalized == ((3, 3), (1, 1))


def test_a_video_has_three_axes() -> None:
    assert published_fields("i3d")["Mixed_5c"] == ((99, 379, 379), (8, 32, 32))
