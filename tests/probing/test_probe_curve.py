"""The probe's numbers, compared with NumPy's own computation of small networks."""

import csv
import io
import json
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small import random_rows, small_spec

import model_zoo
from model_zoo import (
    BuildSpec,
    InputError,
    OptionError,
    Probe,
    Trace,
    ZooError,
    build_weights,
    trace,
)
from model_zoo.probing.documents import LayerProbeDocument

Array = NDArray[np.float64]


def traced(architecture: str = "lenet", **spec: Any) -> Trace:
    return trace(BuildSpec.read({"architecture": architecture, **spec}))


def probe(build: Trace, **options: Any) -> Probe:
    return model_zoo.probe(build, **options)


def layers(result: Probe, mode: str = "inference") -> dict[str, LayerProbeDocument]:
    """Return the layers of a mode by name."""
    (curve,) = (each for each in result.document["modes"] if each["mode"] == mode)
    return {layer["name"]: layer for layer in curve["layers"]}


def convolved(x: Array, weights: Array, stride: int = 1, *, depthwise: bool = False) -> Array:
    """Convolve as TensorFlow's SAME does."""
    size, height, width = weights.shape[0], *x.shape[1:3]
    outs = [-(-each // stride) for each in (height, width)]
    pads = [
        max((out - 1) * stride + size - each, 0)
        for out, each in zip(outs, (height, width), strict=True)
    ]
    padded = np.pad(x, [(0, 0), *((each // 2, each - each // 2) for each in pads), (0, 0)])
    channels = x.shape[-1] if depthwise else weights.shape[-1]
    result = np.zeros((len(x), *outs, channels))
    for row in range(size):
        for column in range(size):
            part = padded[
                :,
                row : row + (outs[0] - 1) * stride + 1 : stride,
                column : column + (outs[1] - 1) * stride + 1 : stride,
            ]
            kernel = weights[row, column]
            result += part * kernel[:, 0] if depthwise else part @ kernel
    return result


def normalized(x: Array, weights: dict[str, Array], layer: str, *, training: bool) -> Array:
    """Normalize as batch norm does, in either mode."""
    mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    if not training:
        mean = weights[f"{layer}/BatchNorm/moving_mean"]
        variance = weights[f"{layer}/BatchNorm/moving_variance"]
    scaled = (x - mean) / np.sqrt(variance + 0.001) * weights[f"{layer}/BatchNorm/gamma"]
    result: Array = scaled + weights[f"{layer}/BatchNorm/beta"]
    return result


def assert_measured(layer: LayerProbeDocument, x: Array, before: Array, start: Array) -> None:
    """Compare a layer with its output, its input, and the network's input."""
    axes = tuple(range(x.ndim - 1))

    def rms(values: Array) -> float:
        return float(np.sqrt((values**2).mean()))

    expected = {
        "mean": x.mean(),
        "std": x.std(),
        "rms": rms(x),
        "min": x.min(),
        "max": x.max(),
        "zero_fraction": (x == 0).mean(),
        "dead_units": (x == 0).all(axis=axes).mean(),
        "gain": rms(x) / rms(before),
        "gain_from_input": rms(x) / rms(start),
        "channel_squared_mean": (x.mean(axis=axes) ** 2).mean(),
        "channel_variance": x.var(axis=axes, ddof=1).mean(),
    }
    found = {name: layer[name] for name in expected}  # type: ignore[literal-required]
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert layer["non_finite"] == 0


SMALL = {"input_shape": [32, 32, 3], "params": {"final_endpoint": "Conv2d_1_pointwise"}}


@pytest.mark.parametrize("mode", ["inference", "training"])
def test_the_curve_is_that_of_an_independent_computation(mode: str) -> None:
    build = traced("mobilenet_v1_025", **SMALL)
    weights = {name: np.float64(value) for name, value in build_weights(build).items()}
    x = random_rows(4, (None, 32, 32, 3))
    found = layers(probe(build, inputs=x, modes=[mode]), mode)
    start = values = x.astype(np.float64)
    for name, kernel, stride in (
        ("MobilenetV1/Conv2d_0", "weights", 2),
        ("MobilenetV1/Conv2d_1_depthwise", "depthwise_weights", 1),
        ("MobilenetV1/Conv2d_1_pointwise", "weights", 1),
    ):
        depthwise = kernel == "depthwise_weights"
        product = convolved(values, weights[f"{name}/{kernel}"], stride, depthwise=depthwise)
        norm = normalized(product, weights, name, training=mode == "training")
        output = np.clip(norm, 0, 6)
        assert_measured(found[f"{name}/BatchNorm"], norm, product, start)
        assert_measured(found[name], output, values, start)
        assert found[name]["saturated"] == pytest.approx((output > 5.94).mean(), abs=1e-3)
        assert found[f"{name}/BatchNorm"]["saturated"] is None
        values = output


def test_layers_are_those_of_the_summary_in_both_modes() -> None:
    build = traced("mobilenet_v1_025", **SMALL)
    result = probe(build, rows=2)
    rows = [(row.name, row.op, list(row.output_shape)) for row in build.summary().rows]
    for curve in result.document["modes"]:
        names = [(each["name"], each["op"], each["output_shape"]) for each in curve["layers"]]
        assert names == rows


def test_each_mode_says_what_its_batch_norms_use() -> None:
    build = traced("mobilenet_v1_025", **SMALL)
    inference, training = probe(build, rows=2).document["modes"]
    assert inference["batch_norms"] == {
        "batch_statistics": 0,
        "moving_averages": 3,
        "initial_moving_averages": 3,
    }
    assert training["batch_norms"] == {
        "batch_statistics": 3,
        "moving_averages": 0,
        "initial_moving_averages": 0,
    }


def test_gradients_are_those_of_the_loss_that_the_answer_names() -> None:
    build = traced(params={"num_classes": 5})
    result = probe(build, rows=3, seed=7, gradients=True, modes=["inference"])
    assert result.document["loss"] == (
        "the mean of the output times a normal tensor that the seed draws"
    )
    weights = build_weights(build)
    found = layers(result)
    bits = np.random.Philox(np.random.SeedSequence([7, 1]))
    drawn = np.random.Generator(bits).standard_normal((3, 5), dtype=np.float32)
    at_output = drawn / drawn.size
    before_last = at_output @ weights["LeNet/fc4/weights"].T

    def rms(values: Any) -> float:
        return float(np.sqrt((np.float64(values) ** 2).mean()))

    assert found["LeNet/fc4"]["gradient_rms"] == pytest.approx(rms(at_output), rel=1e-5)
    for layer in ("LeNet/fc3", "LeNet/dropout3"):
        assert found[layer]["gradient_rms"] == pytest.approx(rms(before_last), rel=1e-5)
    # Through the relu of fc3, whose output is positive where its input is.
    values = model_zoo.materialize(build).predict_end_points(
        normal(3, seed=7), ["LeNet/fc3"] if "LeNet/fc3" in build.graph.end_points else ["fc3"]
    )
    (active,) = (each > 0 for each in values.values())
    at_flat = (before_last * active) @ weights["LeNet/fc3/weights"].T
    assert found["LeNet/Flatten"]["gradient_rms"] == pytest.approx(rms(at_flat), rel=1e-4)
    assert found["Predictions"]["gradient_rms"] is None  # the loss does not depend on it


def normal(rows: int, seed: int) -> NDArray[np.float32]:
    """The noise that a seed draws for lenet."""
    bits = np.random.Philox(np.random.SeedSequence([seed, 0]))
    return np.random.Generator(bits).standard_normal((rows, 28, 28, 1), dtype=np.float32)


def test_noise_is_normal_and_a_function_of_the_seed() -> None:
    build = traced()
    first, again, other = (probe(build, rows=2, seed=seed) for seed in (1, 1, 2))
    assert first.document == again.document
    assert layers(first)["input"]["std"] == pytest.approx(1, abs=0.1)
    assert layers(first)["LeNet/conv1"]["mean"] != layers(other)["LeNet/conv1"]["mean"]
    given = probe(build, inputs=normal(2, seed=1))
    assert (first.document["input"], given.document["input"]) == ("normal", "arrays")
    assert layers(given) == layers(first)


def test_dropout_is_off_in_training_too_and_the_answer_says_so() -> None:
    result = probe(traced(), rows=2)
    assert result.document["dropout"].startswith("off in both modes")
    assert layers(result, "training")["LeNet/dropout3"]["gain"] == 1
    assert layers(result, "training") == layers(result)


def test_a_layer_that_only_training_has_gets_random_weights() -> None:
    build = traced("nasnet_mobile", input_shape=[96, 96, 3], params={"num_classes": 5})
    result = probe(build, rows=1)
    inference, training = (layers(result, mode).keys() for mode in ("inference", "training"))
    assert any("aux" in name for name in training - inference)


def test_a_mode_that_the_network_refuses_is_named() -> None:
    """Only in training has NASNet a head that needs maps of five."""
    build = traced(**small_spec("nasnet_mobile"))
    with pytest.raises(model_zoo.BuildError) as refusal:
        probe(build, rows=1)
    assert str(refusal.value).splitlines()[0] == (
        "aux_7/aux_logits/AvgPool2D (avg_pool2d): In training mode, a window of 5 with VALID "
        "padding does not fit an input of size 4; it builds with input_shape [224, 224, 3]."
    )


def test_memory_holds_no_more_than_what_is_still_to_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = traced("mobilenet_v1_025", **SMALL)
    from model_zoo.lowering import Model

    outputs: list[weakref.ref[Any]] = []
    most = 0
    step = Model.step

    def watched(self: Model, node: Any) -> Callable[..., Any] | None:
        compute = step(self, node)
        if compute is None:
            return None

        def run(*values: Any) -> Any:
            nonlocal most
            output = compute(*values)
            outputs.append(weakref.ref(output))
            alive = [each for ref in outputs if (each := ref()) is not None]
            most = max(most, sum(4 * int(np.prod(each.shape)) for each in alive))
            return output

        return run

    monkeypatch.setattr(Model, "step", watched)
    probe(build, rows=3, modes=["inference"])
    needed = model_zoo.probe_bytes(build, ["inference"])
    assert needed == build.summary().totals["peak_activation_bytes"]
    assert 0 < most <= 3 * needed < 3 * build.summary().totals["activation_bytes"]


def test_gradients_need_all_activations_twice() -> None:
    build = traced()
    total = sum(node.output.size for node in build.graph.nodes)
    assert model_zoo.probe_bytes(build, gradients=True) == 2 * 4 * total


def test_whoever_checks_can_end_a_probe() -> None:
    def check() -> None:
        raise ZooError("That is enough.")

    with pytest.raises(ZooError, match="That is enough"):
        probe(traced(), check=check)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows must be an integer of at least 1; received 0."),
        ({"seed": -1}, "seed must be an integer of at least 0; received -1."),
        ({"modes": []}, "modes must name one at least: inference or training."),
        (
            {"inputs": np.zeros((2, 28, 28))},
            "The input must have shape (N, 28, 28, 1), N at least 1 being the batch; received "
            "(2, 28, 28).",
        ),
        (
            {"inputs": np.full((1, 28, 28, 1), np.nan)},
            "The input has values that are not finite.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as refusal:
        probe(traced(), **options)
    assert str(refusal.value) == message


def test_an_unknown_mode_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError) as refusal:
        probe(traced(), modes=["train"])
    assert str(refusal.value) == "modes does not accept 'train'. Did you mean 'training'?"


def test_a_probe_is_json_text_and_a_table() -> None:
    levels = [{"ops": ["conv2d"], "args": {"biases_initializer": BELOW_ZERO}}]
    result = probe(traced(scopes=levels), rows=2, gradients=True)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()
    lines = [" ".join(line.split()) for line in result.to_text().splitlines()]
    verdicts = result.document["verdicts"]
    assert lines[: len(verdicts)] == [f"{v['verdict']}: {v['message']}" for v in verdicts]
    for mode in ("inference", "training"):
        title = "batch norms: 0 by the statistics of the batch; 0 by moving averages"
        assert f"In {mode} mode ({title})" in lines
    assert lines[len(verdicts) + 1].startswith("build: ")
    assert lines[len(verdicts) + 2] == "input: 2 rows of normal noise of seed 0"
    table = list(csv.DictReader(io.StringIO(result.to_csv())))
    assert len(table) == 2 * len(result.document["modes"][0]["layers"])
    conv1 = table[1]
    assert (conv1["mode"], conv1["name"], conv1["output_shape"]) == (
        "inference",
        "LeNet/conv1",
        "Nx28x28x32",
    )
    assert (conv1["dead_units"], conv1["verdicts"]) == ("1.0", "vanishing dead")


BELOW_ZERO = {"name": "constant_initializer", "value": -1000.0}
