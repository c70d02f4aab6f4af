"""Homes that releases of the service wrote, and what a service answers from one."""

import hashlib
import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from small import random_rows
from zoo_server import ROOT, npy_bytes

HOMES = ROOT / "tests" / "app" / "homes"
RELEASES = sorted(path.name for path in HOMES.glob("release_*"))
EXPECTED = "expected.json"
HOME = "home"
WEIGHT_FORMATS = ("safetensors", "npz", "checkpoint", "onnx", "weights.h5")
LATER_LINKS = {"graph", "scopes", "code", "profile", "probe"}
# The others are its state, what its engine chose or measured, and a sentence.
PROPERTIES = ("build", "architecture", "preprocessing", "outputs")


def expected_answers(release: str) -> dict[str, Any]:
    """Return what the release answered from its home."""
    answers: dict[str, Any] = json.loads((HOMES / release / EXPECTED).read_bytes())
    return answers


def listings(client: Any) -> dict[str, Any]:
    """Return what a service lists of its home."""
    models = get_json(client, "/v1/models?limit=200")["models"]
    for model in models:
        del model["state"], model["reason"]
    return {
        "builds": [item["id"] for item in get_json(client, "/v1/builds?limit=200")["builds"]],
        "models": models,
        "weights": get_json(client, "/v1/weights")["weights"],
    }


def saved(client: Any) -> dict[str, Any]:
    """Return the saved scopes and the sweeps of a home, with all that they hold but sentences."""
    scopes = get_json(client, "/v1/scopes?limit=200")["scopes"]
    names = [f"{each['name']}@{each['digest']}" for each in scopes]
    paths = [item["links"]["self"] for item in get_json(client, "/v1/sweeps?limit=200")["sweeps"]]
    sweeps = [get_json(client, f"{path}?limit=1000") for path in paths]
    for each in sweeps:
        del each["warnings"]
    return {
        "scopes": {name: without_wording(get_json(client, f"/v1/scopes/{name}")) for name in names},
        "sweeps": sweeps,
    }


def build_answers(client: Any, build_id: str) -> dict[str, Any]:
    """Return what a service says of a build without computing; long answers as digests."""
    path = f"/v1/builds/{build_id}"
    return {
        "build": without_later_links(get_json(client, path)),
        "restore-plan": digest(client, f"{path}/restore-plan", _without_warnings),
        "summary": digest(client, f"{path}/summary", _without_later_columns),
        "explanation": digest(client, f"{path}/explanation", _as_first_published),
    }


def without_later_links(build: dict[str, Any]) -> dict[str, Any]:
    """Return a build without the links that later releases added."""
    links = {name: path for name, path in build["links"].items() if name not in LATER_LINKS}
    return {**build, "links": links}


def _as_first_published(explanation: dict[str, Any]) -> dict[str, Any]:
    """Return an explanation without the fields that later releases added."""
    for override in explanation["overrides"]:
        del override["layers"]
        for winner in override["beaten_by"]:
            del winner["kind"]
    return explanation


def _without_later_columns(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a summary without the fields that later releases added."""
    del summary["peak"]
    for layer in summary["layers"]:
        for name in ("peak_activation_bytes", "receptive_field", "effective_stride"):
            del layer[name]
    return summary


def _without_warnings(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a restore plan without the field that later releases added; the build has it too."""
    del plan["warnings"]
    return plan


def model_metadata(client: Any, name: str) -> dict[str, Any]:
    """Return a model's metadata in both protocols, of all its versions and labels."""
    models = get_json(client, "/v1/models?limit=200")["models"]
    versions = [model for model in models if model["name"] == name]
    numbers = [f"/versions/{version['version']}" for version in versions]
    labels = [f"/labels/{label}" for version in versions for label in version["labels"]]
    open_inference = {each: get_json(client, f"/v2/models/{name}{each}") for each in ["", *numbers]}
    for metadata in open_inference.values():
        properties = metadata["properties"]
        metadata["properties"] = {name: properties[name] for name in PROPERTIES}
    return {
        "open-inference": open_inference,
        "tensorflow-serving": {
            each: get_json(client, f"/v1/models/{name}{each}/metadata")["model_spec"]
            for each in ["", *numbers, *labels]
        },
    }


def weight_digests(client: Any, build_id: str) -> dict[str, str]:
    """Return the digest of a build's weights in each format."""
    digests = {}
    for name in WEIGHT_FORMATS:
        response = client.get(f"/v1/builds/{build_id}/weights?format={name}")
        assert response.status_code == 200, response.text
        digests[name] = hashlib.sha256(response.content).hexdigest()
        assert response.headers["etag"] == f'"{digests[name]}"'
    return digests


def prediction(client: Any, build: dict[str, Any]) -> list[float]:
    """Return a build's output for a row of noise that is always the same."""
    response = client.post(
        f"/v1/builds/{build['id']}/predict?output=logits&format=npy",
        content=npy_bytes(random_rows(1, (None, *build["input_shape"]))),
        headers={"Content-Type": "application/x-npy"},
    )
    assert response.status_code == 200, response.text
    # As short as float32 allows, for a file that people read.
    return [float(str(value)) for value in np.load(io.BytesIO(response.content)).ravel()]


def digest(client: Any, path: str, change: Callable[[Any], Any] = lambda answer: answer) -> str:
    """Return a digest of a JSON answer, changed first."""
    text = json.dumps(without_wording(change(get_json(client, path))), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def without_wording(answer: Any) -> Any:
    """Return a JSON answer without its sentences and without places in the library's source.

    They change when somebody edits a text, or moves a line of a network or a function of the
    layers, and nothing else does.
    """
    if isinstance(answer, dict):
        answer = {key: without_wording(value) for key, value in answer.items()}
        if "warnings" in answer:
            # How many sentences there are about one place is wording too.
            places = (text.partition(": ")[0] for text in answer["warnings"])
            answer["warnings"] = list(dict.fromkeys(places))
        if "causes" in answer:
            answer["causes"] = len(answer["causes"])
        return answer
    if isinstance(answer, list):
        return [without_wording(item) for item in answer]
    if not isinstance(answer, str):
        return answer
    without_lines = re.sub(r"\.py:\d+", ".py", answer)
    return re.sub(r"model_zoo/layers/\w+\.py \(\w+\)", "model_zoo/layers", without_lines)


def get_json(client: Any, path: str) -> Any:
    """Return the JSON at a path."""
    response = client.get(path)
    assert response.status_code == 200, response.text
    return response.json()
