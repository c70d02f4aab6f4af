"""TensorFlow Serving's protocol of the real program, asked by curl as its documentation does."""

import base64
import concurrent.futures
import json
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from zoo_server import Server, build, image_bytes, npy_bytes, poll

NAME = "tensorflow-serving-lenet"
ROWS = np.random.default_rng(7).uniform(-1, 1, (3, 28, 28, 1)).astype(np.float32)
NPY = {"Content-Type": "application/x-npy"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def model(server: Server) -> str:
    """A model of two versions: lenet, which is stable, and lenet with eleven classes; its path."""
    with server.client() as client:
        put(client, NAME, build(client), labels=["stable"])
        put(client, NAME, build(client, params={"num_classes": 11}))
    return f"/v1/models/{NAME}"


def put(client: httpx.Client, name: str, build_id: str, **naming: Any) -> Any:
    response = client.put(f"/v1/models/{name}", json={"build": build_id, **naming})
    assert response.is_success, response.text
    return response.json()


def curl(server: Server, *arguments: str, body: str | None = None) -> tuple[int, Any]:
    """Return the status and the document of what `curl` is told to ask; the last is the path."""
    *options, path = arguments
    data = [] if body is None else ["-d", "@-"]
    if not shutil.which("curl"):
        return _by_socket(server, path, body)
    found = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", *options, *data, server.url + path],
        input=body,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    text, _, status = found.stdout.rpartition("\n")
    return int(status), json.loads(text)


def _by_socket(server: Server, path: str, body: str | None) -> tuple[int, Any]:
    """Ask as curl would, byte by byte."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    data = (body or "").encode()
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {host}\r\n"
    head += f"Accept: */*\r\nConnection: close\r\nContent-Length: {len(data)}\r\n"
    head += "" if body is None else f"Content-Type: {FORM}\r\n"
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(head.encode() + b"\r\n" + data)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    start, _, text = answer.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(text)


def own(live: httpx.Client, query: str, content: bytes, **headers: str) -> Any:
    """Return an output of lenet's, as our own route answers it."""
    path = f"/v1/builds/{build(live)}/predict?output={query}"
    response = live.post(path, content=content, headers=headers)
    return np.array(response.json()["outputs"][query]["data"], np.float32)


def test_curl_predicts_row_by_row_and_by_column(
    server: Server, live: httpx.Client, model: str
) -> None:
    expected = own(live, "logits", npy_bytes(ROWS), **NPY)
    rows = json.dumps({"instances": ROWS.tolist()})
    status, document = curl(server, f"{model}/versions/1:predict", body=rows)
    assert (status, document.keys()) == (200, {"predictions"})
    np.testing.assert_array_equal(np.array(document["predictions"], np.float32), expected)
    column = json.dumps({"inputs": {"input": ROWS.tolist()}})
    status, document = curl(server, "-X", "POST", f"{model}/labels/stable:predict", body=column)
    assert (status, document.keys()) == (200, {"outputs"})
    np.testing.assert_array_equal(np.array(document["outputs"], np.float32), expected)


def test_the_latest_version_answers_where_none_is_asked_for(server: Server, model: str) -> None:
    body = json.dumps({"signature_name": "serving_default", "instances": ROWS[:1].tolist()})
    status, document = curl(server, f"{model}:predict", body=body)
    assert (status, np.shape(document["predictions"])) == (200, (1, 11))


def test_an_image_is_preprocessed_as_our_own_route_does(
    server: Server, live: httpx.Client, model: str
) -> None:
    image = image_bytes(size=(120, 90))
    expected = own(live, "logits", image, **{"Content-Type": "image/jpeg"})
    row = {"b64": base64.b64encode(image).decode()}
    for body in (
        {"instances": [row, row]},
        {"signature_name": "serving_images", "instances": [row, row]},
        {"instances": [{"image_bytes": row}] * 2},
        {"inputs": [row, row]},
    ):
        status, document = curl(server, f"{model}/versions/1:predict", body=json.dumps(body))
        assert status == 200, document
        (found,) = document.values()
        np.testing.assert_array_equal(np.array(found, np.float32), expected.repeat(2, axis=0))


def test_a_large_body_is_answered_like_a_small_one(
    server: Server, live: httpx.Client, model: str
) -> None:
    image = image_bytes("PNG", size=(500, 400))
    expected = own(live, "logits", image, **{"Content-Type": "image/png"})
    row = {"b64": base64.b64encode(image).decode()}
    padding = " " * 1_000_000
    body = json.dumps({"instances": [row] * 32}) + padding
    status, document = curl(server, f"{model}/versions/1:predict", body=body)
    assert status == 200, document
    found = np.array(document["predictions"], np.float32)
    np.testing.assert_allclose(found, expected.repeat(32, axis=0), rtol=1e-4, atol=1e-6)


def test_classify_gives_every_class_its_probability(
    server: Server, live: httpx.Client, model: str
) -> None:
    expected = own(live, "probabilities", npy_bytes(ROWS), **NPY)
    examples = [{"input": row.ravel().tolist()} for row in ROWS]
    body = json.dumps({"examples": examples})
    status, document = curl(server, f"{model}/versions/1:classify", body=body)
    assert status == 200, document
    labels = [[label for label, _ in row] for row in document["results"]]
    scores = [[score for _, score in row] for row in document["results"]]
    assert labels == [[str(index) for index in range(10)]] * 3
    np.testing.assert_array_equal(np.array(scores, np.float32), expected)


def test_nan_goes_in_and_comes_out_bare(server: Server, live: httpx.Client, model: str) -> None:
    row = json.dumps(ROWS[0].tolist()).replace(json.dumps(float(ROWS[0, 0, 0, 0])), "NaN", 1)
    content = '{"instances": [%s]}' % row  # noqa: UP031 - braces all over
    response = live.post(f"{model}/versions/1:predict", content=content)
    assert response.status_code == 200, response.text
    assert '"predictions": [[NaN, NaN' in response.text


def test_the_documentation_s_own_error_is_answered_as_there(server: Server, model: str) -> None:
    body = '{"instances": [1.0,5.0]}'
    status, document = curl(server, "-X", "POST", "/v1/models/half:predict", body=body)
    assert (status, document["error"]) == (404, "Servable not found for request: Latest(half)")
    status, document = curl(server, f"{model}:predict", body='{"instances": [1.0,2.0,5.0]}')
    assert status == 400
    assert document["error"].startswith("/instances/0: At level 0, expected a list of size 28")
    regress = '{"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}]}'
    status, document = curl(server, f"{model}:regress", body=regress)
    assert (status, document["status"]) == (400, 400)


def test_a_broken_image_is_refused_with_its_place(server: Server, model: str) -> None:
    body = json.dumps(
        {
            "instances": [
                {"b64": base64.b64encode(image_bytes()[:300]).decode()},
                {"b64": "aGVsbG8="},
            ]
        }
    )
    status, document = curl(server, f"{model}:predict", body=body)
    assert status == 400
    assert document["errors"][0]["pointer"] == "/instances/0"
    assert "truncated or corrupt" in document["error"]


def test_curl_reads_the_status_and_the_metadata(server: Server, model: str) -> None:
    available = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    expected = [{"version": version, **available} for version in ("2", "1")]
    poll(lambda: curl(server, model)[1]["model_version_status"] == expected)
    status, document = curl(server, f"{model}/labels/stable/metadata")
    assert (status, document["model_spec"]["version"]) == (200, "1")
    signatures = document["metadata"]["signature_def"]["signature_def"]
    assert set(signatures) == {"serving_default", "serving_images"}


def test_the_signatures_are_those_of_the_exported_saved_model(
    live: httpx.Client, model: str, tmp_path: Path
) -> None:
    tf = pytest.importorskip("tensorflow")
    response = live.get(f"/v1/builds/{build(live)}/weights?format=savedmodel", timeout=300)
    assert response.status_code == 200, response.text
    archive = tmp_path / "saved.tar.gz"
    archive.write_bytes(response.content)
    shutil.unpack_archive(archive, tmp_path)
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    saved = tf.saved_model.load(str(folder))
    metadata = live.get(f"{model}/versions/1/metadata").json()["metadata"]
    told = metadata["signature_def"]["signature_def"]
    assert set(told) == set(saved.signatures)
    for name, signature in saved.signatures.items():
        (tensor,) = told[name]["inputs"].values()
        (expected,) = signature.structured_input_signature[1].values()
        assert list(told[name]["inputs"]) == [expected.name]
        sizes = [int(dim["size"]) for dim in tensor["tensor_shape"]["dim"]]
        assert sizes == [-1 if size is None else size for size in expected.shape]
        assert list(told[name]["outputs"]) == list(signature.structured_outputs)


def test_requests_of_many_clients_get_their_own_rows(server: Server, model: str) -> None:
    """Batches are made of several requests, of several protocols even."""
    rows = np.random.default_rng(8).uniform(-1, 1, (24, 28, 28, 1)).astype(np.float32)

    def ask(index: int) -> np.ndarray:
        with server.client() as client:
            body = {"instances": rows[index : index + 1].tolist()}
            response = client.post(f"{model}/versions/1:predict", json=body)
            return np.array(response.json()["predictions"][0], np.float32)

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        found = np.stack(list(pool.map(ask, range(24))))
    with server.client() as client:
        expected = own(client, "logits", npy_bytes(rows), **NPY)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_named_model_is_loaded_unloaded_and_loaded_again(live: httpx.Client) -> None:
    made = build(live, "cifarnet")
    put(live, "tensorflow-serving-cifarnet", made)

    def state() -> str:
        models = live.get("/v1/models?limit=200").json()["models"]
        return next(item["state"] for item in models if item["build"] == made)

    poll(lambda: state() == "ready")
    put(live, "another-name", made)
    assert live.delete("/v1/models/another-name").status_code == 204
    assert state() == "ready"
    assert live.delete("/v1/models/tensorflow-serving-cifarnet").status_code == 204
    put(live, "tensorflow-serving-cifarnet", made)
    poll(lambda: state() == "ready")
    live.delete("/v1/models/tensorflow-serving-cifarnet")


def test_a_pinned_model_is_loaded_before_the_service_is_ready(tmp_path: Path) -> None:
    for start in range(2):
        server = Server(tmp_path / "home")
        with server.client() as client:
            if start == 0:
                put(client, "pinned", build(client), pinned=True)
            poll(lambda: client.get("/v2/health/ready").status_code == 200)
            (listed,) = client.get("/v1/models").json()["models"]
            if start == 1:
                assert listed["state"] == "ready"
        assert server.end() == 0
