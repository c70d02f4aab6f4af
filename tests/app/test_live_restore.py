"""Restored weights compute: through the real program, its worker and its store."""

import gzip
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import safetensors.numpy
from zoo_server import Server, build, npy_bytes, poll

from model_zoo import BuildSpec, trace
from model_zoo.verify import golden_input, golden_value

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINT = GOLDEN / "checkpoint" / "mobilenet_v1_0.25_128.tgz"
RECORD = json.loads(
    gzip.decompress((GOLDEN / "open" / "mobilenet_v1_025_128__plain.json.gz").read_bytes())
)
MOBILENET = {
    "architecture": "mobilenet_v1",
    "params": RECORD["spec"]["params"],
    "input_shape": RECORD["spec"]["input_shape"][1:],
}


def upload(client: httpx.Client, data: bytes, name: str = "upload") -> str:
    response = client.post(f"/v1/weights?name={name}", content=data)
    assert response.status_code in (200, 201), response.text
    found: str = response.json()["id"]
    return found


def predicted(client: httpx.Client, build_id: str) -> np.ndarray:
    """The build's output for the records' input."""
    response = client.post(
        f"/v1/builds/{build_id}/predict?output=logits&format=npy",
        content=npy_bytes(golden_input(tuple(RECORD["spec"]["input_shape"]))),
        headers={"Content-Type": "application/x-npy"},
    )
    assert response.status_code == 200, response.text
    found: np.ndarray = np.load(io.BytesIO(response.content))
    return found


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


def recorded() -> np.ndarray:
    return np.reshape(RECORD["output"]["values"], RECORD["output"]["shape"])


@pytest.fixture(scope="module")
def golden_weights() -> dict[str, np.ndarray]:
    variables = trace(BuildSpec.read(MOBILENET)).graph.variables
    return {variable.name: golden_value(variable) for variable in variables}


def test_a_published_kind_of_checkpoint_computes_what_tf_slim_did(live: httpx.Client) -> None:
    source = {"source": "checkpoint", "id": upload(live, CHECKPOINT.read_bytes(), "m.tgz")}
    made = build(live, **MOBILENET, weights=source)
    assert difference(predicted(live, made), recorded()) < 1e-4
    # The difference can be seen: random weights compute something else.
    assert difference(predicted(live, build(live, **MOBILENET)), recorded()) > 0.1


def test_a_v1_checkpoint_of_tensorflows_saver_computes_the_same(
    live: httpx.Client, golden_weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    path = tmp_path / "model.ckpt"
    with tf.Graph().as_default(), v1.Session() as session:
        variables = [
            v1.get_variable(name, initializer=value, use_resource=False)
            for name, value in golden_weights.items()
        ]
        session.run(v1.global_variables_initializer())
        v1.train.Saver(variables, write_version=v1.train.SaverDef.V1).save(
            session, str(path), write_meta_graph=False, write_state=False
        )
    weights = upload(live, path.read_bytes(), "model.ckpt")
    told = live.get(f"/v1/weights/{weights}").json()
    assert (told["format"], told["tensor_count"]) == ("TensorFlow V1 checkpoint", 137)
    made = build(live, **MOBILENET, weights={"source": "checkpoint", "id": weights})
    assert difference(predicted(live, made), recorded()) < 1e-4


def test_a_trunk_and_a_head_of_two_checkpoints_compute_together(
    live: httpx.Client, golden_weights: dict[str, np.ndarray]
) -> None:
    """The head of the second is three times the first's: so are the logits."""
    head = {name: 3 * value for name, value in golden_weights.items() if "/Logits/" in name}
    sources = [
        {
            "source": "checkpoint",
            "id": upload(live, CHECKPOINT.read_bytes()),
            "exclude": ["MobilenetV1/Logits*"],
        },
        {
            "source": "checkpoint",
            "id": upload(live, safetensors.numpy.save(head)),
            "include": ["MobilenetV1/Logits*"],
        },
    ]
    made = build(live, **MOBILENET, weights=sources)
    plan = live.get(f"/v1/builds/{made}/restore-plan").json()
    assert [source["counts"]["matched"] for source in plan["sources"]] == [135, 2]
    assert {entry["from"] for entry in plan["variables"] if "/Logits/" in entry["name"]} == {1}
    assert {entry["from"] for entry in plan["variables"] if "/Logits/" not in entry["name"]} == {0}
    assert difference(predicted(live, made), 3 * recorded()) < 1e-4


def test_a_build_of_a_build_computes_with_its_weights(live: httpx.Client) -> None:
    source = {"source": "checkpoint", "id": upload(live, CHECKPOINT.read_bytes())}
    first = build(live, **MOBILENET, weights=source)
    second = build(live, **MOBILENET, weights={"source": "build", "id": first})
    assert second != first
    np.testing.assert_array_equal(predicted(live, second), predicted(live, first))
    infer = live.post(
        "/v1/infer?output=logits&format=npy",
        files={
            "spec": (None, json.dumps({**MOBILENET, "weights": source})),
            "array": ("x.npy", npy_bytes(golden_input(tuple(RECORD["spec"]["input_shape"])))),
        },
    )
    assert infer.status_code == 200, infer.text
    np.testing.assert_array_equal(np.load(io.BytesIO(infer.content)), predicted(live, first))


@pytest.mark.parametrize(
    "format_name", ["checkpoint", "npz", "safetensors", "weights.h5", "savedmodel"]
)
def test_weights_that_go_out_and_in_are_the_same_bytes(
    live: httpx.Client, format_name: str
) -> None:
    source = {"source": "checkpoint", "id": upload(live, CHECKPOINT.read_bytes())}
    first = build(live, **MOBILENET, weights=source)
    out = live.get(f"/v1/builds/{first}/weights?format={format_name}")
    assert out.status_code == 200, out.text
    assert out.headers["etag"] == f'"{hashlib.sha256(out.content).hexdigest()}"'
    again = {"source": "checkpoint", "id": upload(live, out.content)}
    second = build(live, **MOBILENET, weights=again)
    back = live.get(f"/v1/builds/{second}/weights?format={format_name}")
    assert back.content == out.content


def test_an_upload_shows_how_far_it_is(server: Server, live: httpx.Client) -> None:
    data = CHECKPOINT.read_bytes()
    held, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield data[: 2**20]
        held.set()
        assert go_on.wait(30)
        yield data[2**20 :]

    def send() -> None:
        with server.client() as client:
            headers = {"X-Request-ID": "my-upload", "Content-Length": str(len(data))}
            client.post("/v1/weights", content=slowly(), headers=headers)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        assert held.wait(30)
        expected = [
            {
                "id": "my-upload",
                "size_bytes": len(data),
                "received_bytes": 2**20,
                "state": "receiving",
            }
        ]
        poll(lambda: live.get("/v1/weights").json()["uploads"] == expected)
    finally:
        go_on.set()
        sender.join(30)
    assert live.get("/v1/weights").json()["uploads"] == []


def test_a_client_that_goes_away_leaves_nothing(server: Server, live: httpx.Client) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 2**16
        poll(lambda: len(live.get("/v1/weights").json()["uploads"]) == 1)
        raise RuntimeError("gone")

    with server.client() as client, pytest.raises(RuntimeError, match="gone"):
        client.post("/v1/weights", content=broken())
    poll(lambda: live.get("/v1/weights").json()["uploads"] == [])
