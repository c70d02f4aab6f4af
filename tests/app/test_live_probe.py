"""Probes of the real program: what the library says, from the worker, and kept with the build."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save
from zoo_server import build, image_bytes, npy_bytes

import model_zoo
from app.compute.worker.runtimes.signal import measure_signal
from app.tasks import MeasureSignal, Specs
from model_zoo import BuildSpec, ZooError, trace
from model_zoo.weights.restore import NoLibrary

pytestmark = pytest.mark.heavy


def probed(live: httpx.Client, build_id: str, query: str = "", **body: Any) -> Any:
    response = live.post(f"/v1/builds/{build_id}/probe?{query}", **body)
    assert response.status_code == 200, response.text
    return response.json()


def differences(first: Any, second: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs between two documents by more than the order in which threads add."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        for key in first:
            yield from differences(first[key], second[key], f"{place}/{key}")
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for index, pair in enumerate(zip(first, second, strict=True)):
            yield from differences(*pair, f"{place}/{index}")
    elif isinstance(first, float) and isinstance(second, float):
        if first != pytest.approx(second, rel=1e-3, abs=1e-6):
            yield place, first, second
    elif first != second:
        yield place, first, second


@pytest.mark.parametrize(
    ("architecture", "shape", "gradients"),
    [
        ("mobilenet_v1_025", [64, 64, 3], False),
        # Through batch statistics of a few values, gradients amplify the order in which threads
        # add: another one opens or shuts a unit.
        ("lenet", [28, 28, 1], True),
    ],
)
def test_the_worker_finds_what_the_library_does(
    live: httpx.Client, architecture: str, shape: list[int], gradients: bool
) -> None:
    spec = {"input_shape": shape}
    build_id = build(live, architecture, **spec)
    body = probed(live, build_id, f"rows=4&seed=3&gradients={gradients}")
    assert body.pop("warnings") == []
    network = trace(BuildSpec.read({"architecture": architecture, **spec}))
    expected = model_zoo.probe(network, rows=4, seed=3, gradients=gradients).to_dict()
    for document in (body, expected):
        for verdict in document["verdicts"]:
            verdict["message"] = verdict["message"][:80]
    assert list(differences(body, json.loads(json.dumps(expected)))) == []


def test_mobilenet_v1_at_its_defaults_is_told_to_vanish_and_the_build_warns(
    live: httpx.Client,
) -> None:
    build_id = build(live, "mobilenet_v1_025")
    assert live.get(f"/v1/builds/{build_id}").json()["warnings"] == []
    body = probed(live, build_id)
    assert body["rows"] == 8
    (verdict,) = body["verdicts"]
    assert (verdict["mode"], verdict["verdict"]) == ("inference", "vanishing")
    assert verdict["causes"][0]["argument"] == "weights_initializer"
    assert "mobilenet_v1_arg_scope" in verdict["causes"][0]["written_at"]
    (warning,) = live.get(f"/v1/builds/{build_id}").json()["warnings"]
    assert warning == f"Probed with 8 rows of normal noise: {verdict['message']}"
    assert probed(live, build_id, "mode=training")["healthy"]
    assert live.get(f"/v1/builds/{build_id}").json()["warnings"] == []


def test_images_and_arrays_go_through_the_network(live: httpx.Client) -> None:
    build_id = build(live, "cifarnet")
    picture = probed(live, build_id, "mode=inference", content=image_bytes())
    assert (picture["input"], picture["preprocessing"], picture["rows"]) == (
        "images",
        "cifarnet",
        1,
    )
    array = np.ones((3, 32, 32, 3), np.float32)
    body = probed(live, build_id, "mode=inference", content=npy_bytes(array))
    assert (body["input"], body["preprocessing"], body["rows"]) == ("arrays", None, 3)
    first = body["modes"][0]["layers"][0]
    assert (first["mean"], first["std"]) == (1, 0)


def test_a_probe_uses_the_weights_that_were_uploaded(live: httpx.Client) -> None:
    network = trace(BuildSpec.read({"architecture": "lenet"}))
    zeros = {v.name: np.zeros(v.shape, np.float32) for v in network.graph.variables}
    weights = live.post("/v1/weights", content=save(zeros)).json()["id"]
    build_id = build(live, weights={"source": "checkpoint", "id": weights})
    vanishing, _ = probed(live, build_id, "mode=inference&rows=1")["verdicts"]
    assert [(c["argument"], c["written_at"]) for c in vanishing["causes"]] == [
        ("weights", "/weights/1")
    ]


def test_a_probe_that_takes_too_long_is_ended_with_a_reason() -> None:
    spec = BuildSpec.read({"architecture": "lenet"}).normalized()
    modes = ("inference", "training")
    task = MeasureSignal(Specs.of(spec, {}), None, False, 1, 0, False, modes, seconds_left=0.0)
    with pytest.raises(ZooError) as refusal:
        measure_signal(task, NoLibrary())
    assert str(refusal.value) == (
        "The probe took all the time of a request (ZOO_REQUEST_TIMEOUT_S). Ask for fewer rows, or "
        "for one mode."
    )
