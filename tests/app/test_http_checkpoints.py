"""Uploads over HTTP: streamed, recognised, kept once; lists, limits, and what is in use."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from starlette.testclient import TestClient
from zoo_server import build, problem

from model_zoo import BuildSpec, trace

# Each upload is read by a process of its own.
pytestmark = [pytest.mark.heavy, pytest.mark.usefixtures("file_place")]

LENET = {"architecture": "lenet"}
NONE = "0" * 64
GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint" / "mobilenet_v1_0.25_128.tgz"
REFUSED = {
    "type": "/docs#problem-weights-refused",
    "title": "The weights do not fit, or cannot be read",
    "status": 422,
}


def lenet_weights(**changed: np.ndarray) -> bytes:
    """Weights of lenet in safetensors; `changed` has other arrays, by the last parts of names."""
    variables = trace(BuildSpec.read(LENET)).graph.variables
    arrays = {v.name: np.full(v.shape, 0.01, np.float32) for v in variables}
    for name, value in changed.items():
        arrays[f"LeNet/{name.replace('_', '/')}"] = value
    return safetensors.numpy.save(arrays)


def upload(client: TestClient, data: bytes, query: str = "") -> str:
    response = client.post(f"/v1/weights{query}", content=data)
    assert response.status_code in (200, 201), response.text
    found: str = response.json()["id"]
    return found


def test_an_upload_is_kept_under_its_digest(client: TestClient) -> None:
    data = lenet_weights()
    response = client.post("/v1/weights?name=a/b/lenet.safetensors", content=data)
    assert response.status_code == 201
    body = response.json()
    assert body["id"] == hashlib.sha256(data).hexdigest()
    assert response.headers["location"] == f"/v1/weights/{body['id']}"
    assert set(response.headers["server-timing"].split(";")[::2]) >= {"receive"}
    assert (body["name"], body["format"]) == ("lenet.safetensors", "safetensors")
    assert (body["size_bytes"], body["tensor_count"]) == (len(data), 8)
    assert {"name": "LeNet/conv1/biases", "dtype": "float32", "shape": [32]} in body["tensors"]
    assert client.get(f"/v1/weights/{body['id']}").json() == body
    again = client.post("/v1/weights?name=other", content=data)
    assert (again.status_code, again.json()) == (200, body)


def test_a_real_checkpoint_comes_as_an_archive_or_as_a_form(client: TestClient) -> None:
    import tarfile

    whole = client.post("/v1/weights?name=m.tgz", content=GOLDEN.read_bytes()).json()
    assert (whole["format"], whole["global_step"]) == ("TensorFlow V2 checkpoint", 1234567)
    with tarfile.open(GOLDEN) as archive:
        files = [
            ("file", (Path(member.name).name, archive.extractfile(member)))  # type: ignore[list-item]
            for member in archive.getmembers()
        ]
        response = client.post("/v1/weights", files=files)  # type: ignore[arg-type]
    assert response.status_code == 201, response.text
    pair = response.json()
    assert pair["id"] != whole["id"]
    assert pair["tensors"] == whole["tensors"]
    listed = client.get("/v1/weights").json()
    assert [item["id"] for item in listed["weights"]] == [pair["id"], whole["id"]]
    assert listed["uploads"] == []


def test_what_is_no_checkpoint_is_refused_with_what_is_meant(client: TestClient) -> None:
    response = client.post("/v1/weights?name=checkpoint", content=b'model_checkpoint_path: "m-1"\n')
    detail = (
        "checkpoint is a state file, which names the checkpoint 'm-1': give m-1.index and "
        "m-1.data-00000-of-00001."
    )
    assert problem(response) == {
        **REFUSED,
        "detail": detail,
        "errors": [{"pointer": "", "message": detail, "received": None, "suggestion": None}],
    }
    assert client.get("/v1/weights").json() == {"weights": [], "uploads": []}


@pytest.mark.parametrize(
    ("form", "detail"),
    [
        (
            {"data": {"note": "x"}, "files": {"file": ("a.npz", b"x")}},
            "The form accepts files in fields called file; received 'note'.",
        ),
        (
            {"files": [("file", ("a.npz", b"x")), ("file", ("b/a.npz", b"y"))]},
            "The form contains the file 'a.npz' twice.",
        ),
        (
            {"files": [("file", (f"{i}.npz", b"x")) for i in range(65)]},
            "The form has more than 64 parts; no checkpoint has that many.",
        ),
        (
            {"headers": {"content-type": "multipart/form-data"}, "content": b""},
            "The form's Content-Type has no boundary.",
        ),
        (
            {
                "headers": {"content-type": "multipart/form-data; boundary=b"},
                "content": b"--b--\r\n",
            },
            "The form has no field called file.",
        ),
        (
            {
                "headers": {"content-type": "multipart/form-data; boundary=b"},
                "content": b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
                b"\r\nabc",
            },
            "The form ends before its closing boundary.",
        ),
    ],
)
def test_a_form_that_does_not_fit_is_refused(
    client: TestClient, form: dict[str, Any], detail: str
) -> None:
    found = problem(client.post("/v1/weights", **form))
    assert (found["status"], found["detail"]) == (400, detail)


def test_an_upload_over_the_limit_is_refused_while_it_comes(
    make_client: Callable[..., TestClient],
) -> None:
    client = make_client(max_upload_bytes=1000)
    declared = problem(client.post("/v1/weights", content=b"x" * 1001))
    assert declared["detail"] == (
        "The body has 1001 bytes; the limit is 1000 (ZOO_MAX_UPLOAD_BYTES)."
    )

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    streamed = client.post("/v1/weights", content=pieces())
    assert problem(streamed)["status"] == 413
    assert client.get("/v1/weights").json()["uploads"] == []


def test_a_full_store_takes_no_more_until_something_is_removed(
    make_client: Callable[..., TestClient],
) -> None:
    data, more = lenet_weights(), lenet_weights(conv1_biases=np.ones(32, np.float32))
    client = make_client(max_checkpoints_bytes=len(data) + 10_000)
    first = upload(client, data)
    kept = client.get("/v1/weights").json()["weights"]
    assert len(kept) == 1
    refused = problem(client.post("/v1/weights", content=more))
    assert (refused["status"], refused["type"]) == (503, "/docs#problem-store-full")
    assert refused["detail"].endswith(
        f"{len(more)} more do not fit; the limit is {len(data) + 10_000} "
        "(ZOO_MAX_CHECKPOINTS_BYTES). DELETE /v1/weights/{id} makes room."
    )
    assert client.delete(f"/v1/weights/{first}").status_code == 204
    upload(client, more)


def test_unknown_weights_are_404(client: TestClient) -> None:
    for name in ("0" * 64, "x", "%2e%2e"):
        for method in (client.get, client.delete):
            found = problem(method(f"/v1/weights/{name}"))
            assert found["type"] == "/docs#problem-unknown-weights"
    assert found["detail"] == (
        "There is no imported checkpoint '..'. GET /v1/weights lists all of them."
    )


def test_a_build_takes_uploaded_weights_and_keeps_the_report(client: TestClient) -> None:
    weights = upload(client, lenet_weights())
    source = {"source": "checkpoint", "id": weights}
    body = client.post("/v1/builds", json={**LENET, "weights": source}).json()
    assert body["restore"]["share"] == 1
    assert body["restore"]["sources"][0]["counts"]["matched"] == 8
    assert body["warnings"] == []
    assert body["spec"]["weights"][1]["id"] == weights
    plan = client.get(body["links"]["restore-plan"]).json()
    assert {entry["from"] for entry in plan["variables"]} == {0}
    assert client.get(f"/v1/builds/{build(client)}").json()["restore"] is None


def test_a_strict_source_that_does_not_fit_is_refused_and_not_kept(client: TestClient) -> None:
    weights = upload(client, lenet_weights())
    wire = {
        **LENET,
        "params": {"num_classes": 11},
        "weights": [{"source": "checkpoint", "id": weights}],
    }
    found = problem(client.post("/v1/builds", json=wire))
    assert {key: found[key] for key in REFUSED} == REFUSED
    assert found["errors"][0]["pointer"] == "/weights/0"
    assert found["errors"][0]["message"] == (
        "The checkpoint has 10 classes; this build 11. Set num_classes to 10, or exclude "
        '["LeNet/fc4/*"].'
    )
    assert [error["pointer"] for error in found["errors"][1:]] == [
        "/weights/0",
        "/weights/0",
        "/weights/0/policy",
    ]
    assert client.get("/v1/builds").json()["builds"] == []
    wire["weights"][0]["policy"] = "skip_mismatch"
    kept = client.post("/v1/builds", json=wire).json()
    assert kept["restore"]["share"] == pytest.approx(0.9966, abs=1e-3)
    assert kept["warnings"] == [
        "/weights/1: This source does not fill 2 of the 8 variables that it should, 11,275 of the "
        "build's 3,275,659 parameters (0.3%): LeNet/fc4/weights, LeNet/fc4/biases. They stay "
        "random.",
        f"/weights/1: {found['errors'][0]['message']}",
    ]


SMALL = {
    "architecture": "mobilenet_v1",
    "input_shape": [32, 32, 3],
    "params": {"depth_multiplier": 0.02, "min_depth": 4, "num_classes": 5},
}
OBJECTS = Path(__file__).parents[1] / "weights" / "objects"


def test_an_object_based_checkpoint_restores_every_variable(client: TestClient) -> None:
    files = [("file", (path.name, path.read_bytes())) for path in sorted(OBJECTS.iterdir())]
    taken = client.post("/v1/weights", files=files).json()
    assert taken["format"] == "TensorFlow V2 checkpoint, object-based"
    assert taken["tensors"][0]["name"] == "MobilenetV1/Conv2d_0/BatchNorm/beta"
    source = {"source": "checkpoint", "id": taken["id"]}
    body = client.post("/v1/builds", json={**SMALL, "weights": source}).json()
    assert (body["restore"]["share"], body["warnings"]) == (1, [])
    assert body["restore"]["sources"][0]["counts"]["matched"] == 137


def test_weights_of_another_prefix_are_restored_by_the_one_rename_that_is_said(
    client: TestClient,
) -> None:
    variables = trace(BuildSpec.read(SMALL)).graph.variables
    arrays = {f"model/{v.name}:0": np.full(v.shape, 0.01, np.float32) for v in variables}
    source = {
        "source": "checkpoint",
        "id": upload(client, safetensors.numpy.save(arrays)),
        "policy": "skip_mismatch",
    }
    found = problem(client.post("/v1/builds", json={**SMALL, "weights": source}))
    assert {key: found[key] for key in REFUSED} == REFUSED
    assert [(error["pointer"], error["message"]) for error in found["errors"]] == [
        ("/weights", "This source fills none of the 137 variables that it should."),
        (
            "/weights",
            "None of the 137 variables is in the checkpoint: its names begin with 'model', this "
            "build's with 'MobilenetV1'.",
        ),
        ("/weights", '"rename": {"model/*": "*"} would fill 137 more variables.'),
    ]
    source["rename"] = {"model/*": "*"}
    body = client.post("/v1/builds", json={**SMALL, "weights": source}).json()
    assert body["restore"]["share"] == 1
    note = "/weights/1: 137 names in the source end with ':0', which is left off."
    assert body["warnings"] == [note]
    assert client.get(body["links"]["restore-plan"]).json()["warnings"] == [note]
    named = client.put("/v1/models/renamed", json={"build": body["id"]})
    assert (named.status_code, named.json()["warnings"]) == (201, [note])
    source["rename"] = {"model/*": "*/*"}
    found = problem(client.post("/v1/builds", json={**SMALL, "weights": source}))
    (error,) = found["errors"]
    assert error == {
        "pointer": "/weights/rename/model~1*",
        "message": "Each '*' of the value takes the text of the same '*' of the key; '*/*' has 2, "
        "and 'model/*' 1.",
        "received": "*/*",
        "suggestion": None,
    }


def test_weights_that_are_not_there_are_refused_where_they_are_named(client: TestClient) -> None:
    for source, message in (
        (
            {"source": "checkpoint", "id": "0" * 64},
            f"There is no imported checkpoint '{'0' * 64}'.",
        ),
        ({"source": "build", "id": "0" * 32}, f"There is no build '{'0' * 32}'."),
    ):
        found = problem(client.post("/v1/builds", json={**LENET, "weights": source}))
        assert found["detail"] == f"/weights/id: {message}"
        assert found["errors"][0]["received"] == source["id"]


def test_a_plan_is_tried_on_a_build_without_changing_it(client: TestClient) -> None:
    weights = upload(client, lenet_weights())
    path = f"/v1/builds/{build(client, params={'num_classes': 11})}"
    before = client.get(path).json()
    source = {"source": "checkpoint", "id": weights}
    plan = client.post(f"{path}/restore-plan", json=source).json()
    counts = plan["sources"][0]["counts"]
    assert (counts["matched"], counts["shape_mismatch"]) == (6, 2)
    assert plan["sources"][0]["causes"] == [
        "The checkpoint has 10 classes; this build 11. Set num_classes to 10, or exclude "
        '["LeNet/fc4/*"].'
    ]
    mismatch = [row for row in plan["sources"][0]["variables"] if row["status"] != "matched"]
    assert mismatch[1] == {
        "name": "LeNet/fc4/biases",
        "shape": [11],
        "status": "shape_mismatch",
        "name_in_source": "LeNet/fc4/biases",
        "shape_in_source": [10],
    }
    for body in ([source], {"weights": source}, {"weights": [source]}):
        assert client.post(f"{path}/restore-plan", json=body).json() == plan
    text = client.post(f"{path}/restore-plan?format=text", json=source)
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.startswith("restored: ")
    assert client.get(path).json() == before
    assert client.get(f"{path}/restore-plan").json()["sources"] == []


def test_a_plan_of_a_mistaken_body_is_refused(client: TestClient) -> None:
    path = f"/v1/builds/{build(client)}/restore-plan"
    found = problem(client.post(path, json={"source": "checkpint"}))
    assert found["detail"] == (
        "/weights/source: There is no source 'checkpint'. Did you mean 'checkpoint'?"
    )
    assert problem(client.post(path, content=b"{"))["type"] == "/docs#problem-malformed-json"
    missing = path.replace(path.split("/")[3], "0" * 32)
    assert problem(client.post(missing, json=[]))["type"] == "/docs#problem-unknown-build"


def test_what_a_build_is_made_of_is_not_removed(client: TestClient) -> None:
    weights = upload(client, lenet_weights())
    first = build(client, weights={"source": "checkpoint", "id": weights})
    second = build(client, weights={"source": "build", "id": first})
    assert problem(client.delete(f"/v1/weights/{weights}")) == {
        "type": "/docs#problem-in-use",
        "title": "The resource is still in use",
        "status": 409,
        "detail": f"Builds take weights from it: {first}. Remove them first.",
        "builds": [first],
        "errors": [],
    }
    assert problem(client.delete(f"/v1/builds/{first}"))["builds"] == [second]
    for path in (f"/v1/builds/{second}", f"/v1/builds/{first}", f"/v1/weights/{weights}"):
        assert client.delete(path).status_code == 204, path
    assert client.get("/v1/weights").json()["weights"] == []


def test_only_what_is_there_can_be_in_use(client: TestClient) -> None:
    build(client, weights={"source": "build", "id": build(client)})
    for name in ("%25", "_" * 32, "x"):
        assert problem(client.delete(f"/v1/builds/{name}"))["type"] == "/docs#problem-unknown-build"


def test_an_upload_needs_room_for_what_arrives(make_client: Callable[..., TestClient]) -> None:
    client = make_client(max_upload_bytes=2**20, max_checkpoints_bytes=100)
    unknown = problem(client.post("/v1/weights", content=iter([b"x" * 100])))
    assert unknown["type"] == "/docs#problem-weights-refused"
    found = problem(client.post("/v1/weights", content=iter([b"x" * 101])))
    assert found["detail"] == (
        "0 bytes of weights are stored, uploads in progress take 0, and 101 more do not fit; the "
        "limit is 100 (ZOO_MAX_CHECKPOINTS_BYTES). DELETE /v1/weights/{id} makes room."
    )


def test_uploads_are_there_after_a_restart(make_client: Callable[..., TestClient]) -> None:
    weights = upload(make_client(), lenet_weights())
    assert make_client().get(f"/v1/weights/{weights}").status_code == 200


def test_published_checkpoints_are_listed_and_their_specs_build(client: TestClient) -> None:
    rows = client.get("/v1/weights/published").json()["published"]
    assert len(rows) > 50
    (row,) = [row for row in rows if row["name"] == "inception_v1_2016_08_28"]
    assert (row["top_1"], row["top_5"], row["classes"]) == (69.8, 89.6, 1001)
    assert client.post("/v1/builds", content=json.dumps(row["spec"])).status_code == 201
