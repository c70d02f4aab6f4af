"""Each primitive's rule against TensorFlow's own functions, or a formula."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from model_zoo import Tensor, activations, end_point, layers, primitives, values
from model_zoo.graph import build_graph
from model_zoo.lowering import RULES, Model, materialize_graph

RANDOM = np.random.RandomState(5)


def lowered(network: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Model:
    """Return a network with weights that hide nothing: no zeros, no ones."""
    model = materialize_graph(build_graph(network, shape))
    random = np.random.RandomState(3)
    model.assign(
        {
            v.name: random.uniform(0.5, 1.5, v.shape)
            if v.name.endswith(("gamma", "variance"))
            else random.normal(0, 0.5, v.shape)
            for v in model.graph.variables
        }
    )
    return model


def batch(*shape: int) -> np.ndarray:
    return RANDOM.normal(0.3, 1.2, shape).astype(np.float32)


def weight(model: Model, role: str) -> np.ndarray:
    (found,) = [value for name, value in model.weights().items() if name.endswith(f"/{role}")]
    return found


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=2e-5, atol=2e-5)


def test_every_primitive_has_a_rule() -> None:
    source = Path(primitives.__file__).read_text()
    emitted = set(re.findall(r'emit\(\s*"(\w+)"', source))
    emitted |= set(re.findall(r'_emit_counted\(\s*"(\w+)"', source))
    emitted |= {f"{op}{d}d" for op in ("conv", "max_pool", "avg_pool") for d in (2, 3)}
    assert len(emitted) > 15
    assert emitted | {"activation"} == set(RULES)


PLAIN: dict[str, Any] = {"activation_fn": None, "biases_initializer": None}


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("stride", "rate"), [(1, 1), (2, 1), ([2, 1], 1), (1, 2), (1, [1, 3])])
def test_conv2d(padding: Any, stride: Any, rate: Any) -> None:
    model = lowered(
        lambda x: layers.conv2d(x, 4, [3, 2], stride=stride, rate=rate, padding=padding, **PLAIN),
        (11, 8, 3),
    )
    x = batch(2, 11, 8, 3)
    expected = tf.nn.conv2d(x, weight(model, "weights"), stride, padding, dilations=rate)
    close(model.predict(x), expected)
    assert model.graph.output.shape[1:] == expected.shape[1:]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("stride", "rate"), [(1, 1), (2, 1), (1, 2)])
def test_separable_conv2d_depthwise_only(padding: Any, stride: int, rate: int) -> None:
    model = lowered(
        lambda x: layers.separable_conv2d(
            x, None, 3, depth_multiplier=2, stride=stride, rate=rate, padding=padding, **PLAIN
        ),
        (9, 7, 3),
    )
    x = batch(2, 9, 7, 3)
    expected = tf.nn.depthwise_conv2d(
        x, weight(model, "depthwise_weights"), [1, stride, stride, 1], padding, dilations=[rate] * 2
    )
    close(model.predict(x), expected)
    assert model.graph.output.shape[1:] == expected.shape[1:]


def test_separable_conv2d_with_biases_and_activation() -> None:
    model = lowered(lambda x: layers.separable_conv2d(x, 5, 3, stride=2), (9, 9, 3))
    x = batch(2, 9, 9, 3)
    expected = tf.nn.separable_conv2d(
        x,
        weight(model, "depthwise_weights"),
        weight(model, "pointwise_weights"),
        [1, 2, 2, 1],
        "SAME",
    )
    close(model.predict(x), tf.nn.relu(expected + weight(model, "biases")))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_conv2d_transpose(padding: Any, stride: int) -> None:
    model = lowered(
        lambda x: layers.conv2d_transpose(x, 4, [3, 2], stride=stride, padding=padding, **PLAIN),
        (5, 6, 3),
    )
    x = batch(2, 5, 6, 3)
    shape = (2, *model.graph.output.shape[1:])
    expected = tf.nn.conv2d_transpose(x, weight(model, "weights"), shape, stride, padding)
    close(model.predict(x), expected)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 1), (3, 2), ([3, 2], [1, 2])])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d"])
def test_pooling(name: str, kernel: Any, stride: Any, padding: Any) -> None:
    pool = getattr(layers, name)
    model = lowered(lambda x: pool(x, kernel, stride, padding), (7, 8, 3))
    x = batch(2, 7, 8, 3)
    theirs = {"max_pool2d": tf.nn.max_pool2d, "avg_pool2d": tf.nn.avg_pool2d}[name]
    expected = theirs(x, kernel, stride, padding)
    close(model.predict(x), expected)
    assert model.graph.output.shape[1:] == expected.shape[1:]


@pytest.mark.parametrize("shape", [(6,), (4, 5, 6)])
def test_fully_connected(shape: tuple[int, ...]) -> None:
    model = lowered(lambda x: layers.fully_connected(x, 3), shape)
    x = batch(2, *shape)
    close(model.predict(x), tf.nn.relu(x @ weight(model, "weights") + weight(model, "biases")))


def moments(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    wide = x.astype(np.float64)
    return wide.mean(axes, keepdims=True), wide.var(axes, keepdims=True)


RANKS = [(6,), (5, 6), (4, 5, 6), (3, 4, 5, 6)]


@pytest.mark.parametrize("shape", RANKS)
@pytest.mark.parametrize(("center", "scale"), [(True, True), (True, False), (False, False)])
def test_batch_norm_in_inference(shape: tuple[int, ...], center: bool, scale: bool) -> None:
    model = lowered(
        lambda x: layers.batch_norm(x, center=center, scale=scale, is_training=False), shape
    )
    x = batch(3, *shape)
    expected = (x - weight(model, "moving_mean")) / np.sqrt(weight(model, "moving_variance") + 1e-3)
    expected = expected * (weight(model, "gamma") if scale else 1)
    close(model.predict(x), expected + (weight(model, "beta") if center else 0))


def role(name: str) -> str:
    return name.rsplit("/", 1)[-1]


@pytest.mark.parametrize("shape", RANKS)
@pytest.mark.parametrize("fused", [None, True, False])
@pytest.mark.parametrize("trainable", [True, False])
def test_batch_norm_in_training(
    shape: tuple[int, ...], fused: bool | None, trainable: bool
) -> None:
    """As TF-Slim 1.1.0 computes it on TensorFlow 2.15.1, which has no fused norm of rank 3."""

    def network(x: Tensor) -> Tensor:
        norm = layers.batch_norm(x, decay=0.9, scale=True, fused=fused, trainable=trainable)
        return end_point("out", norm)

    model = lowered(network, shape)
    is_fused = fused is not False and shape != (5, 6)
    # TF-Slim has a kernel of its own for this case, and leaves the others to tf.layers.
    is_own = is_fused and shape == (6,)
    updates = trainable or is_own
    affine = ["beta", "gamma"] if is_own else ["gamma", "beta"]
    assert [role(v.name) for v in model.graph.variables] == [
        *affine,
        "moving_mean",
        "moving_variance",
    ]
    trained = [role(v.name) for v in model.graph.variables if v.trainable]
    assert trained == (affine if trainable else [])
    assert [node.updates_moving_averages for node in model.graph.nodes] == [False, updates]

    before = model.weights()
    x = batch(3, *shape)
    axes = tuple(range(x.ndim - 1))
    mean, variance = moments(x, axes)
    expected = (x - mean) / np.sqrt(variance + 1e-3)
    close(model.predict(x), expected * weight(model, "gamma") + weight(model, "beta"))
    for name, value in model.weights().items():
        np.testing.assert_array_equal(value, before[name], err_msg="prediction changed a variable")

    model.update_moving_averages(x)
    old = {role(name): value for name, value in before.items()}
    if not updates:
        np.testing.assert_array_equal(weight(model, "moving_mean"), old["moving_mean"])
        np.testing.assert_array_equal(weight(model, "moving_variance"), old["moving_variance"])
        return
    count = x.size // 6
    moved = variance.ravel() * (count / (count - 1) if is_fused else 1)
    close(weight(model, "moving_mean"), old["moving_mean"] * 0.9 + mean.ravel() * 0.1)
    close(weight(model, "moving_variance"), old["moving_variance"] * 0.9 + moved * 0.1)


@pytest.mark.parametrize("shape", RANKS)
@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_adds_the_epsilon_that_it_is_given(
    shape: tuple[int, ...], is_training: bool
) -> None:
    model = lowered(lambda x: layers.batch_norm(x, epsilon=1e-7, is_training=is_training), shape)
    model.assign({"BatchNorm/moving_variance": np.full(6, 1e-6)})
    x = 1e-3 * batch(3, *shape)
    mean, variance = moments(x, tuple(range(x.ndim - 1)))
    if not is_training:
        mean, variance = weight(model, "moving_mean"), np.float64(1e-6)
    close(model.predict(x), (x - mean) / np.sqrt(variance + 1e-7) + weight(model, "beta"))


def test_frozen_batch_norm_stays_frozen_in_a_keras_file(tmp_path: Path) -> None:
    import keras

    model = lowered(lambda x: layers.batch_norm(x, trainable=False), (4, 5, 6))
    model.save(tmp_path / "frozen.keras", "keras")
    loaded = keras.saving.load_model(tmp_path / "frozen.keras")
    before = [np.asarray(variable) for variable in loaded.weights]
    x = batch(3, 4, 5, 6)
    close(loaded(x, training=True), model.predict(x))
    for variable, value in zip(loaded.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(("groups", "axes"), [(2, (-3, -2)), (6, (1, 2)), (3, (1,)), (2, (-2,))])
def test_group_norm(groups: int, axes: tuple[int, ...]) -> None:
    model = lowered(
        lambda x: layers.group_norm(x, groups=groups, reduction_axes=axes, epsilon=1e-3), (4, 5, 6)
    )
    x = batch(2, 4, 5, 6)
    grouped = x.reshape(2, 4, 5, groups, 6 // groups)
    positive = tuple(axis % 4 for axis in axes)
    mean, variance = moments(grouped, (*positive, 4))
    expected = ((grouped - mean) / np.sqrt(variance + 1e-3)).reshape(x.shape)
    close(model.predict(x), expected * weight(model, "gamma") + weight(model, "beta"))


def test_instance_norm() -> None:
    model = lowered(lambda x: layers.instance_norm(x, epsilon=1e-3), (4, 5, 6))
    x = batch(2, 4, 5, 6)
    mean, variance = moments(x, (1, 2))
    expected = (x - mean) / np.sqrt(variance + 1e-3)
    close(model.predict(x), expected * weight(model, "gamma") + weight(model, "beta"))


@pytest.mark.parametrize(
    ("shape", "norm_axis", "params_axis"),
    [((6,), 1, -1), ((4, 5, 6), 1, -1), ((4, 5, 6), 2, -1), ((4, 5, 6), 1, 1), ((4, 5, 6), -1, -2)],
)
def test_layer_norm(shape: tuple[int, ...], norm_axis: int, params_axis: int) -> None:
    model = lowered(
        lambda x: layers.layer_norm(x, begin_norm_axis=norm_axis, begin_params_axis=params_axis),
        shape,
    )
    x = batch(2, *shape)
    mean, variance = moments(x, tuple(range(norm_axis % x.ndim, x.ndim)))
    expected = (x - mean) / np.sqrt(variance + 1e-12)
    assert weight(model, "gamma").shape == x.shape[params_axis:]
    close(model.predict(x), expected * weight(model, "gamma") + weight(model, "beta"))


@pytest.mark.parametrize("radius", [1, 4])
def test_local_response_normalization(radius: int) -> None:
    options = {"bias": 1.5, "alpha": 0.02, "beta": 0.75}
    model = lowered(
        lambda x: primitives.local_response_normalization(x, depth_radius=radius, **options),
        (3, 4, 6),
    )
    x = batch(2, 3, 4, 6)
    close(model.predict(x), tf.nn.lrn(x, radius, **options))


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "elu": tf.nn.elu,
    "selu": tf.nn.selu,
    "tanh": tf.nn.tanh,
    "sigmoid": tf.nn.sigmoid,
    "softplus": tf.nn.softplus,
    "softsign": tf.nn.softsign,
    "swish": tf.nn.swish,
    "hard_swish": lambda x: x * tf.nn.relu6(x + 3) / 6,
    "hard_sigmoid": lambda x: tf.nn.relu6(x + 3) / 6,
    "leaky_relu": tf.nn.leaky_relu,
    "gelu": tf.nn.gelu,
}


@pytest.mark.parametrize("name", values.makers("activation"))
def test_activation(name: str) -> None:
    x = np.linspace(-8, 8, 33, dtype=np.float32)[None]
    model = lowered(lambda t: values.makers("activation")[name]()(t), (33,))
    close(model.predict(x), ACTIVATIONS[name](x))


def test_activations_with_arguments() -> None:
    x = np.linspace(-3, 3, 9, dtype=np.float32)[None]
    leaky = lowered(lambda t: activations.leaky_relu_with(alpha=0.4)(t), (9,))
    close(leaky.predict(x), tf.nn.leaky_relu(x, 0.4))
    gelu = lowered(lambda t: activations.gelu_with(approximate=True)(t), (9,))
    close(gelu.predict(x), tf.nn.gelu(x, approximate=True))


def test_dropout_is_identity_unless_training() -> None:
    x = np.ones((4, 500), np.float32)
    off = lowered(lambda t: layers.dropout(t, 0.8, is_training=False), (500,))
    np.testing.assert_array_equal(off.predict(x), x)
    on = lowered(lambda t: layers.dropout(t, 0.8), (500,)).predict(x)
    assert set(np.unique(on)) == {np.float32(0), np.float32(1.25)}
    assert 0.7 < (on > 0).mean() < 0.9


def test_changes_of_shape() -> None:
    x = batch(2, 1, 4, 3)
    close(lowered(layers.flatten, (1, 4, 3)).predict(x), x.reshape(2, 12))
    squeezed = lowered(lambda t: primitives.squeeze(t, [1]), (1, 4, 3))
    close(squeezed.predict(x), x[:, 0])
    padded = lowered(lambda t: primitives.pad(t, (1, 0), (2, 3)), (1, 4, 3))
    close(padded.predict(x), np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))))
    joined = lowered(lambda t: primitives.concat([t, t]), (1, 4, 3))
    close(joined.predict(x), np.concatenate([x, x], -1))
    for axes in ([1, 2], [2]):
        mean = lowered(lambda t, axes=axes: primitives.reduce_mean(t, axes), (1, 4, 3))
        close(mean.predict(x), x.mean(tuple(axes), keepdims=True))
    close(lowered(layers.softmax, (1, 4, 3)).predict(x), tf.nn.softmax(x))


@pytest.mark.parametrize("size", [(3, 5), (8, 7), (1, 1), (9, 2)])
@pytest.mark.parametrize("shape", [(3, 2, 4), (1, 1, 2), (4, 5, 1)])
def test_resize_bilinear_aligns_corners(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    x = batch(2, *shape)
    model = lowered(lambda tensor: primitives.resize_bilinear(tensor, size), shape)
    expected = tf.compat.v1.image.resize_bilinear(x, size, align_corners=True)
    close(model.predict(x), expected)


def test_biases_by_themselves() -> None:
    model = lowered(layers.bias_add, (4, 3))
    x = batch(2, 4, 3)
    close(model.predict(x), x + weight(model, "biases"))


def test_biases_after_an_end_point_do_not_change_it() -> None:
    def network(x: Tensor) -> Tensor:
        x = end_point("before", layers.conv2d(x, 3, 1, **PLAIN))
        return end_point("after", layers.bias_add(x))

    model = lowered(network, (4, 4, 3))
    ends = model.predict_end_points(batch(2, 4, 4, 3))
    close(ends["after"] - ends["before"], np.broadcast_to(weight(model, "biases"), (2, 4, 4, 3)))
    assert np.abs(weight(model, "biases")).min() > 1e-3


def test_shared_variables_are_one() -> None:
    def network(x: Tensor) -> Tensor:
        x = layers.conv2d(x, 3, 3, scope="same")
        return layers.conv2d(x, 3, 3, scope="same", reuse=True)

    model = lowered(network, (6, 6, 3))
    assert list(model.variables) == ["same/weights", "same/biases"]
    x = batch(2, 6, 6, 3)
    once = tf.nn.relu(
        tf.nn.conv2d(x, weight(model, "weights"), 1, "SAME") + weight(model, "biases")
    )
    twice = tf.nn.conv2d(once, weight(model, "weights"), 1, "SAME") + weight(model, "biases")
    close(model.predict(x), tf.nn.relu(twice))
