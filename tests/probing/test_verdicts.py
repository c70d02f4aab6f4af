"""Verdicts: each kind appears where it should and nowhere else, and names who is to blame."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

import model_zoo
from model_zoo import BuildSpec, Probe, VerdictDocument, trace
from model_zoo.weights.plan import TensorInfo

CHECKPOINT = "0" * 64


def probed(
    architecture: str = "lenet", *, library: Any = None, rows: int = 4, **spec: Any
) -> Probe:
    build = trace(BuildSpec.read({"architecture": architecture, **spec}))
    return model_zoo.probe(build, library, rows=rows, modes=["inference"])


def level(ops: list[str], **arguments: Any) -> dict[str, Any]:
    return {"ops": ops, "args": arguments}


def normal(stddev: float) -> dict[str, Any]:
    return {"name": "truncated_normal_initializer", "stddev": stddev}


def constant(value: float) -> dict[str, Any]:
    return {"name": "constant_initializer", "value": value}


def kinds(result: Probe) -> list[str]:
    return [verdict["verdict"] for verdict in result.document["verdicts"]]


def the(result: Probe, kind: str) -> VerdictDocument:
    (found,) = (each for each in result.document["verdicts"] if each["verdict"] == kind)
    return found


def test_a_healthy_network_has_no_verdict() -> None:
    result = probed()
    assert (result.is_healthy, result.document["healthy"], kinds(result)) == (True, True, [])
    assert result.to_text().startswith("The signal is healthy.\n")


def test_a_signal_that_vanishes_is_told_where_it_does_and_who_set_the_initializer() -> None:
    levels = [level(["conv2d"], weights_initializer=normal(0.003))]
    result = probed(scopes=levels)
    assert kinds(result) == ["vanishing"]
    verdict = the(result, "vanishing")
    assert (verdict["layer"], verdict["op"], verdict["figure"]) == (
        "LeNet/conv2",
        "conv2d",
        "gain_from_input",
    )
    assert verdict["number"] < verdict["limit"] == 1e-3
    (cause, *_) = verdict["causes"]
    assert (cause["argument"], cause["kind"], cause["written_at"], cause["level"]) == (
        "weights_initializer",
        "scope",
        "/scopes/0/args/weights_initializer",
        "request",
    )
    assert (cause["value"], cause["ops"], cause["layers"], cause["first_layer"]) == (
        {"name": "truncated_normal_initializer", "mean": 0.0, "stddev": 0.003},
        ["conv2d"],
        2,
        "LeNet/conv1",
    )
    assert cause["share"] is not None
    assert cause["share"] > 0.8
    assert verdict["message"].startswith(
        "LeNet/conv2: in inference mode the signal vanishes: its rms is "
    )


def test_a_constant_output_vanishes_though_it_is_large() -> None:
    levels = [
        level(["fully_connected"], activation_fn="sigmoid", weights_initializer=constant(0.0))
        | {"layers": ["LeNet/fc3"]}
    ]
    result = probed(scopes=levels)
    verdict = the(result, "vanishing")
    assert kinds(result) == ["vanishing"]
    assert (verdict["layer"], verdict["figure"], verdict["number"], verdict["limit"]) == (
        "LeNet/fc3",
        "std",
        0,
        1e-4,
    )
    (cause,) = verdict["causes"]
    assert (cause["argument"], cause["layers"], cause["gain"], cause["share"]) == (
        "weights_initializer",
        1,
        0,
        1,
    )


def test_shares_of_several_causes_make_the_whole() -> None:
    levels = [
        level(["conv2d"], weights_initializer=normal(0.01), activation_fn="sigmoid"),
        level(["fully_connected"], weights_initializer=normal(0.001)),
    ]
    verdict = the(probed(scopes=levels), "vanishing")
    shares = [cause["share"] or 0 for cause in verdict["causes"]]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) + (verdict["other_share"] or 0) == pytest.approx(1)
    assert {cause.get("written_at") for cause in verdict["causes"]} >= {
        "/scopes/0/args/weights_initializer",
    }


def test_an_explosion_names_what_made_the_signal_grow() -> None:
    levels = [level(["conv2d"], weights_initializer=normal(30))]
    result = probed(scopes=levels)
    verdict = the(result, "exploding")
    assert kinds(result) == ["exploding"]
    assert (verdict["layer"], verdict["limit"]) == ("LeNet/conv2", 1e3)
    assert verdict["number"] > 1e3
    assert verdict["reaches_output"]
    (cause, *_) = verdict["causes"]
    assert cause["written_at"] == "/scopes/0/args/weights_initializer"


def test_a_layer_of_which_most_units_are_zero_names_what_cut_them_off() -> None:
    levels = [level(["conv2d"], biases_initializer=constant(-1000))]
    result = probed(scopes=levels)
    verdict = the(result, "dead")
    assert (verdict["layer"], verdict["figure"], verdict["number"], verdict["limit"]) == (
        "LeNet/conv1",
        "dead_units",
        1,
        0.5,
    )
    activation, biases, product = verdict["causes"]
    assert (activation["argument"], activation["value"]) == ("activation_fn", "relu")
    assert activation["written_at"].endswith("(lenet_arg_scope)")
    assert (biases["argument"], biases["written_at"]) == (
        "biases_initializer",
        "/scopes/0/args/biases_initializer",
    )
    assert (product["argument"], product["kind"]) == ("weights_initializer", "scope")
    assert verdict["message"].startswith(
        "LeNet/conv1: in inference mode 100.0% of the units are dead: a unit is zero in each of "
        "its 3,136 values (limit 50%); so are 7 more layers, the output among them. To blame: "
        'activation_fn = "relu" from model_zoo/architectures/lenet.py:'
    )
    shallow = [level(["conv2d"], biases_initializer=constant(-0.1))]
    assert "dead" not in kinds(probed(scopes=shallow))


def test_values_that_are_not_finite_are_told_with_what_made_the_signal_grow() -> None:
    levels = [level(["conv2d", "fully_connected"], weights_initializer=normal(1e15))]
    result = probed(scopes=levels)
    assert kinds(result) == ["exploding", "non-finite"]
    verdict = the(result, "non-finite")
    assert (verdict["layer"], verdict["limit"]) == ("LeNet/fc3", 0)
    assert verdict["number"] >= 1
    assert verdict["causes"][0]["written_at"] == "/scopes/0/args/weights_initializer"


class Checkpoint:
    """A library of one checkpoint, whose tensors all have one value."""

    global_step = None

    def __init__(self, value: float) -> None:
        self._value = value
        variables = trace(BuildSpec.read({"architecture": "lenet"})).graph.variables
        self.tensors: Mapping[str, TensorInfo] = {
            v.name: TensorInfo(v.dtype, v.shape) for v in variables
        }

    def checkpoint(self, _checkpoint_id: str) -> "Checkpoint":
        return self

    def read(self, name: str) -> Any:
        return np.full(self.tensors[name].shape, self._value, np.float32)


def test_restored_weights_are_to_blame_and_not_the_initializer_that_they_replace() -> None:
    weights = [{"source": "random"}, {"source": "checkpoint", "id": CHECKPOINT}]
    verdict = the(probed(weights=weights, library=Checkpoint(1e-9)), "vanishing")
    cause = verdict["causes"][0]
    assert (cause["argument"], cause["value"], cause["written_at"]) == (
        "weights",
        None,
        "/weights/1",
    )
    assert "To blame: the restored weights from /weights/1 (" in verdict["message"]


def test_weights_that_are_not_finite_are_to_blame_for_values_that_are_not() -> None:
    weights = {"source": "checkpoint", "id": CHECKPOINT}
    verdict = the(probed(weights=weights, library=Checkpoint(np.nan)), "non-finite")
    assert verdict["layer"] == "LeNet/conv1"
    assert [(c["argument"], c["written_at"]) for c in verdict["causes"]] == [
        ("weights", "/weights")
    ]


def test_probabilities_are_small_by_definition_and_not_judged() -> None:
    levels = [level(["conv2d", "fully_connected"], weights_initializer=normal(0.05))]
    result = probed(params={"num_classes": 4000}, scopes=levels)
    last = result.document["modes"][0]["layers"][-1]
    assert (last["op"], last["name"]) == ("softmax", "Predictions")
    assert last["gain_from_input"] is not None
    assert last["gain_from_input"] < 1e-3
    assert kinds(result) == []


def test_mobilenet_v1_vanishes_at_its_defaults_in_inference_and_not_in_training() -> None:
    build = trace(BuildSpec.read({"architecture": "mobilenet_v1_025"}))
    (verdict,) = model_zoo.probe(build, rows=2).document["verdicts"]
    assert (verdict["mode"], verdict["verdict"], verdict["layer"]) == (
        "inference",
        "vanishing",
        "MobilenetV1/Conv2d_2_depthwise",
    )
    assert verdict["reaches_output"]
    cause = verdict["causes"][0]
    assert (cause["argument"], cause["value"], cause["ops"]) == (
        "weights_initializer",
        {"name": "truncated_normal_initializer", "mean": 0.0, "stddev": 0.09},
        ["conv2d", "separable_conv2d"],
    )
    assert cause["written_at"].startswith("model_zoo/architectures/mobilenet_v1.py:")
    assert cause["written_at"].endswith("(mobilenet_v1_arg_scope)")
    assert verdict["message"].endswith(
        "27 batch norms use moving averages as they were initialized, and so normalize nothing in "
        "this mode."
    )


def test_vgg_with_a_stddev_of_one_explodes_in_both_modes() -> None:
    params = {"final_endpoint": "vgg_16/conv3/conv3_3"}
    levels = [level(["conv2d"], weights_initializer=normal(1.0))]
    spec = {"architecture": "vgg_16", "input_shape": [32, 32, 3], "params": params}
    build = trace(BuildSpec.read({**spec, "scopes": levels}))
    verdicts = model_zoo.probe(build, rows=2).document["verdicts"]
    assert [(v["mode"], v["verdict"], v["layer"]) for v in verdicts] == [
        (mode, "exploding", "vgg_16/conv2/conv2_1") for mode in ("inference", "training")
    ]
    assert verdicts[0]["causes"][0]["written_at"] == "/scopes/0/args/weights_initializer"
    assert model_zoo.probe(trace(BuildSpec.read(spec)), rows=2).is_healthy


def test_where_branches_meet_the_way_of_most_energy_is_followed() -> None:
    """A branch that is faint is not to blame for a signal that came by the others."""
    he = {"name": "variance_scaling_initializer"}
    faint, fainter = ("*/Mixed_3b/Branch_3/*", 0.005), ("*/Mixed_3c/Branch_0/*", 1e-6)
    levels = [
        level(["conv2d"], weights_initializer=he) | {"force": True},
        *(
            level(["conv2d"], weights_initializer=normal(stddev))
            | {"layers": [pattern], "force": True}
            for pattern, stddev in (faint, fainter)
        ),
    ]
    params = {"final_endpoint": "Mixed_3c"}
    result = probed("inception_v1", input_shape=[64, 64, 3], params=params, scopes=levels)
    verdict = the(result, "vanishing")
    assert verdict["layer"] == "InceptionV1/Mixed_3c/Branch_0/Conv2d_0a_1x1"
    assert verdict["layers"] == 2  # with its batch norm
    assert not verdict["reaches_output"]
    written = {cause.get("written_at") for cause in verdict["causes"]}
    assert "/scopes/2/args/weights_initializer" in written
    assert "/scopes/1/args/weights_initializer" not in written
