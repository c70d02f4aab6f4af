"""A network with numbers: refusals, determinism, losses, and files that open elsewhere."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import family_spec, random_rows, small_spec

from model_zoo import BuildSpec, InputError, Model, Node, WeightsError, list_architectures, trace
from model_zoo.lowering import materialize

pytestmark = pytest.mark.long


def built(architecture: str, **wire: Any) -> Model:
    return materialize(trace(BuildSpec.read({"architecture": architecture, **wire})))


@pytest.fixture(scope="module")
def lenet() -> Model:
    return built("lenet")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"LeNet/conv1/weight": np.zeros(1)},
            "There is no variable 'LeNet/conv1/weight'. Did you mean 'LeNet/conv1/weights' or "
            "'LeNet/conv2/weights' or 'LeNet/fc4/weights'?",
        ),
        (
            {"LeNet/conv1/biases": np.zeros(3), "LeNet/conv2/biases": np.full(64, 9.0)},
            "LeNet/conv1/biases has shape (32,); received (3,).",
        ),
    ],
)
def test_assign_refuses_what_does_not_fit_and_changes_nothing(
    lenet: Model, values: Any, message: str
) -> None:
    before = lenet.weights()
    with pytest.raises(WeightsError) as caught:
        lenet.assign(values)
    assert str(caught.value) == message
    for name, value in lenet.weights().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.zeros((28, 28, 1)),
            "The input must have shape (N, 28, 28, 1), N at least 1 being the batch; "
            "received (28, 28, 1).",
        ),
        (
            np.zeros((0, 28, 28, 1)),
            "The input must have shape (N, 28, 28, 1), N at least 1 being the batch; "
            "received (0, 28, 28, 1).",
        ),
        (
            np.zeros((1, 28, 28, 1), complex),
            "The input must be an array of numbers; received dtype complex128.",
        ),
        (
            np.full((1, 28, 28, 1), None),
            "The input must be an array of numbers; received dtype object.",
        ),
    ],
)
def test_predict_refuses_what_does_not_fit(lenet: Model, x: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        lenet.predict(x)
    assert str(caught.value) == message


def test_unknown_end_point_is_refused(lenet: Model) -> None:
    with pytest.raises(InputError) as caught:
        lenet.predict_end_points(np.zeros((1, 28, 28, 1)), ["Logit"])
    assert str(caught.value) == "There is no end point 'Logit'. Did you mean 'Logits'?"


def test_end_points_and_prediction_agree_and_a_batch_is_its_rows(lenet: Model) -> None:
    x = np.random.RandomState(0).normal(size=(3, 28, 28, 1)).astype(np.float32)
    output = lenet.predict(x)
    np.testing.assert_allclose(lenet.predict_end_points(x, ["Logits"])["Logits"], output, 1e-5)
    rows = np.concatenate([lenet.predict(row[None]) for row in x])
    np.testing.assert_allclose(rows, output, rtol=1e-4, atol=1e-5)


def test_regularization_loss_is_the_formula_and_what_keras_says() -> None:
    model = built(
        "lenet",
        scopes=[
            {
                "ops": ["conv2d"],
                "args": {
                    "weights_regularizer": {
                        "name": "l1_l2_regularizer",
                        "scale_l1": 0.01,
                        "scale_l2": 0.02,
                    }
                },
            },
            {
                "ops": ["fully_connected"],
                "args": {"biases_regularizer": {"name": "l2_regularizer", "scale": 0.5}},
            },
        ],
    )
    random = np.random.RandomState(1)
    model.assign({n: random.normal(size=v.shape) for n, v in model.weights().items()})
    expected = 0.0
    for name, value in model.weights().items():
        if "conv" in name and name.endswith("weights"):
            expected += 0.01 * np.abs(value).sum() + 0.02 * np.square(value).sum() / 2
        if "fc" in name and name.endswith("biases"):
            expected += 0.5 * np.square(value).sum() / 2
    assert model.regularization_losses_count == 4
    assert model.regularization_loss() == pytest.approx(expected, rel=1e-5)
    assert float(sum(model.keras_model.losses)) == pytest.approx(expected, rel=1e-4)


def test_scale_of_zero_gives_no_loss(lenet: Model) -> None:
    assert lenet.regularization_losses_count == 0
    assert lenet.regularization_loss() == 0
    assert lenet.keras_model.losses == []


def test_weights_depend_on_seed_and_variable_alone() -> None:
    scopes = [{"ops": ["conv2d"], "args": {"weights_initializer": "xavier_initializer"}}]
    plain, again = built("lenet").weights(), built("lenet").weights()
    changed = built("lenet", scopes=scopes).weights()
    seeded = built("lenet", weights={"seed": 1}).weights()
    for name, value in plain.items():
        np.testing.assert_array_equal(again[name], value)
        is_conv = "conv" in name and name.endswith("weights")
        assert np.array_equal(changed[name], value) == (not is_conv), name
        if name.endswith("weights"):
            assert not np.array_equal(seeded[name], value)


def test_training_network_normalises_by_the_batch_and_does_not_change() -> None:
    model = built("mobilenet_v1_025", is_training=True, input_shape=[64, 64, 3])
    before = model.weights()
    x = np.random.RandomState(0).normal(size=(4, 64, 64, 3)).astype(np.float32)
    model.predict(x)
    end = model.predict_end_points(x, ["Conv2d_0"])["Conv2d_0"]
    assert end.max() > 0
    for name, value in model.weights().items():
        np.testing.assert_array_equal(value, before[name])
    model.update_moving_averages(x)
    moved = [n for n, value in model.weights().items() if not np.array_equal(value, before[n])]
    assert moved == [v.name for v in model.graph.variables if "/moving_" in v.name]


# Ending early, they hold every kind of layer that any architecture's default scope asks for.
EXPORTED = (
    "cifarnet",
    "i3d",
    "inception_v2",
    "inception_v3",
    "lenet",
    "mobilenet_v1_025",
    "mobilenet_v3_small",
    "pnasnet_mobile",
    "s3dg",
    "xception_41",
)


def kinds(spec: dict[str, Any]) -> set[tuple[str, ...]]:
    """What a network's layers are, as far as the lowering tells them apart."""
    return {
        (node.op, *sorted(node.variables), *map(str, _choices(node)))
        for node in trace(BuildSpec.read(spec)).graph.nodes
    }


def _choices(node: Node) -> list[Any]:
    chosen = ("function", "is_training", "fused", "axes", "padding", "groups", "begin_norm_axis")
    return [node.attributes[key] for key in chosen if key in node.attributes]


def test_exported_models_open_without_this_package(tmp_path: Path) -> None:
    """In its default scope, in a process without model_zoo; and a batch equals its rows."""
    expected = {}
    for name in EXPORTED:
        model = materialize(trace(BuildSpec.read(family_spec(name))))
        x = random_rows(2, model.graph.input.shape)
        model.save(tmp_path / f"{name}.keras", "keras")
        np.savez(tmp_path / f"{name}.npz", x=x)
        # Called, and not compiled for two shapes.
        expected[name] = np.asarray(model.keras_model(x, training=False))
        singles = [model.keras_model(row[np.newaxis], training=False) for row in x]
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(
            np.concatenate(singles), expected[name], rtol=0, atol=1e-5 * scale, err_msg=name
        )
    code = """
import sys, pathlib, keras, numpy as np
folder = pathlib.Path(sys.argv[1])
for path in folder.glob("*.keras"):
    x = np.load(path.with_suffix(".npz"))["x"]
    np.save(path.with_suffix(".npy"), keras.saving.load_model(path)(x, training=False))
assert "model_zoo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=tmp_path)
    for name, output in expected.items():
        found = np.load(tmp_path / f"{name}.npy")
        scale = np.abs(output).max()
        np.testing.assert_allclose(found, output, rtol=0, atol=1e-5 * scale, err_msg=name)


@pytest.fixture(scope="module")
def exported() -> set[tuple[str, ...]]:
    """What the layers of the exported networks are."""
    return set().union(*(kinds(family_spec(name)) for name in EXPORTED))


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_is_made_of_layers_that_were_exported(
    exported: set[tuple[str, ...]], name: str
) -> None:
    assert kinds(small_spec(name)) <= exported


def test_files_of_each_format_predict_the_same(tmp_path: Path) -> None:
    import keras
    from safetensors.numpy import load_file

    model = built("cifarnet", scopes=[{"ops": ["conv2d"], "args": {"normalizer_fn": "layer_norm"}}])
    x = np.random.RandomState(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    output = model.predict(x)
    for format_name in ("npz", "safetensors", "keras"):
        model.save(tmp_path / f"weights.{format_name}", format_name)
    loaded = keras.saving.load_model(tmp_path / "weights.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), output, rtol=1e-5, atol=1e-6)
    other = built("cifarnet", scopes=[{"ops": ["conv2d"], "args": {"normalizer_fn": "layer_norm"}}])
    for values in (load_file(tmp_path / "weights.safetensors"), np.load(tmp_path / "weights.npz")):
        other.assign({name: np.zeros(v.shape) for name, v in other.weights().items()})
        other.assign(dict(values))
        np.testing.assert_allclose(other.predict(x), output, rtol=1e-5, atol=1e-6)


def test_equal_builds_give_equal_keras_files(tmp_path: Path) -> None:
    configs = []
    for number in range(2):
        path = tmp_path / f"{number}.keras"
        built("cifarnet").save(path, "keras")
        with zipfile.ZipFile(path) as archive:
            configs.append(json.loads(archive.read("config.json")))
    assert configs[0] == configs[1]
    assert (tmp_path / "0.keras").read_bytes() == (tmp_path / "1.keras").read_bytes()
