"""Comparisons by the real program."""

from typing import Any

import httpx
import numpy as np
import pytest
from zoo_server import build, image_bytes, npy_bytes, problem

JPEG = {"Content-Type": "image/jpeg"}
ROWS = np.linspace(-1, 1, 2 * 28 * 28, dtype=np.float32).reshape(2, 28, 28, 1)
ELU = [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]


@pytest.fixture
def lenets(live: httpx.Client) -> list[str]:
    return [build(live), build(live, scopes=ELU)]


def compare(live: httpx.Client, models: list[str], query: str = "", **request: Any) -> Any:
    response = live.post(f"/v1/compare?builds={','.join(models)}&{query}", **request)
    assert response.status_code == 200, response.text
    return response.json()


def test_each_build_answers_as_predict_does(live: httpx.Client, lenets: list[str]) -> None:
    models = [*lenets, build(live, "cifarnet")]
    body = compare(live, models, "top_k=3&output=logits", content=image_bytes(), headers=JPEG)
    for name, result in zip(models, body["results"], strict=True):
        path = f"/v1/builds/{name}/predict?top_k=3&output=logits"
        alone = live.post(path, content=image_bytes(), headers=JPEG).json()
        assert result["model"] == result["build"] == name
        assert {key: result[key] for key in alone} == alone
        assert result["engine"] in ("onnxruntime", "tensorflow")
        assert result["precision"] == "float32"
        assert set(result["seconds"]) >= {"decode", "queue", "input", "compute", "output"}
    assert [result["preprocessing"] for result in body["results"]] == ["lenet", "lenet", "cifarnet"]


def test_agreement_is_that_of_the_outputs(live: httpx.Client, lenets: list[str]) -> None:
    seeded = build(live, weights={"source": "random", "seed": 7})
    body = compare(live, [*lenets, seeded], "output=logits", content=npy_bytes(ROWS))
    logits = [
        np.array(result["outputs"]["logits"]["data"], np.float32) for result in body["results"]
    ]
    assert len(body["pairs"]) == 3
    for (i, j), pair in zip([(0, 1), (0, 2), (1, 2)], body["pairs"], strict=True):
        same = logits[i].argmax(axis=1) == logits[j].argmax(axis=1)
        assert pair["same_top_1"] == same.mean()
        assert pair["largest_difference"] == pytest.approx(np.abs(logits[i] - logits[j]).max())
        assert pair["mean_kl_divergence"] > 0
    assert body["reference"] == lenets[0]
    for index in (1, 2):
        pair = body["pairs"][index - 1]
        assert body["results"][index]["with_reference"] == {
            key: value for key, value in pair.items() if key != "models"
        }
    pointers = [each["pointer"] for each in body["spec_differences"]]
    assert pointers == [
        "/scopes",
        "/weights/seed",
        "/scopes/0/ops/0",
        "/scopes/0/args/activation_fn",
    ]


def test_a_model_in_two_engines_agrees_with_itself(live: httpx.Client, lenets: list[str]) -> None:
    for engine in ("onnxruntime", "tensorflow"):
        named = {"build": lenets[0], "engine": engine}
        assert live.put(f"/v1/models/compared-{engine}", json=named).status_code in (200, 201)
    models = ["compared-onnxruntime", "compared-tensorflow"]
    body = compare(live, models, content=npy_bytes(ROWS))
    assert [result["engine"] for result in body["results"]] == ["onnxruntime", "tensorflow"]
    (pair,) = body["pairs"]
    assert pair["same_top_1"] == 1.0
    assert pair["largest_difference"] < 1e-4
    assert pair["mean_kl_divergence"] < 1e-6
    assert body["spec_differences"] == []


def test_networks_without_common_classes_are_not_said_to_agree(
    live: httpx.Client, lenets: list[str]
) -> None:
    features = build(live, params={"num_classes": 0})
    body = compare(live, [lenets[0], features], content=npy_bytes(ROWS))
    assert len(body["results"][0]["predictions"]) == 2
    assert body["results"][1]["outputs"]["logits"]["shape"] == [2, 1024]
    (pair,) = body["pairs"]
    for key in ("same_top_1", "largest_difference", "mean_kl_divergence"):
        assert pair[key] is None


def test_an_array_that_does_not_fit_one_build_names_that_build(
    live: httpx.Client, lenets: list[str]
) -> None:
    other = build(live, "cifarnet")
    response = live.post(f"/v1/compare?builds={lenets[0]},{other}", content=npy_bytes(ROWS))
    assert problem(response)["detail"] == (
        f"{other}: The array has shape [2, 28, 28, 1]; the network takes [32, 32, 3], or a batch "
        "of n of them: [n, 32, 32, 3]."
    )


def test_an_input_that_no_build_can_read_is_told_as_by_predict(
    live: httpx.Client, lenets: list[str]
) -> None:
    models = f"{lenets[0]},{build(live, 'cifarnet')}"
    response = live.post(f"/v1/compare?builds={models}", content=b"hello", headers=JPEG)
    assert problem(response)["detail"] == (
        "The 5 bytes received are not an image in an accepted format: JPEG, PNG, WebP."
    )
    response = live.post(f"/v1/compare?builds={models}", content=b"{", headers={})
    assert problem(response)["type"] == "/docs#problem-malformed-json"


def test_a_comparison_comes_as_text(live: httpx.Client, lenets: list[str]) -> None:
    path = f"/v1/compare?builds={','.join(lenets)}&top_k=2"
    form = [("array", ("rows.npy", npy_bytes(ROWS)))]
    response = live.post(path, files=form, headers={"Accept": "text/plain"})
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    text = response.text
    first, second = (name[:8] for name in lenets)
    assert f"row  top  {first:>11}  {second:>11}".split() == text.split("\n\n")[1].split()[:4]
    assert "mean KL (nats)" in text
    assert "/scopes/0/args/activation_fn" in text
    assert (
        live.post(path + "&format=text", files=form).text.split("\n\n")[1:]
        == (text.split("\n\n")[1:])
    )
