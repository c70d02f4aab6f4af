"""The Open Inference Protocol's routes, with an engine that computes nothing."""

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from fake_worker import in_reader
from image_client import NoImageClassifierError, parse_model
from small import small_spec
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, image_bytes

from app.engine import (
    Answer,
    EngineStatus,
    ModelRef,
    ModelState,
    QueueFullError,
    Reply,
    Rows,
)
from app.tasks import DecodedInputs, ReadInputs, ReadOpenInference
from model_zoo import list_architectures

Make = Callable[..., TestClient]

ROW = np.linspace(-1, 1, 28 * 28, dtype=np.float32).reshape(1, 28, 28, 1)
HEADER_LENGTH = "Inference-Header-Content-Length"
PLAIN = {"Accept-Encoding": "identity"}


class SumEngine(NoEngine):
    """Answers every output with the sum of each row, and remembers what it was asked."""

    def __init__(self) -> None:
        self.states: dict[str, ModelState] = {}
        self.calls: list[Any] = []
        self.is_full = False
        self.ready = True
        self.state_of_worker: Any = "restarting"

    def check_admission(self) -> None:
        if self.is_full:
            raise QueueFullError("64 requests wait for the worker already.", 7)

    async def infer(self, model: ModelRef, rows: Rows, outputs: Any, **options: Any) -> Answer:
        self.calls.append(("infer", rows.count, tuple(outputs), options["timeout_s"]))
        array = np.frombuffer(rows.data, np.float32).reshape(rows.count, -1)
        logits = np.repeat(array.sum(axis=1, keepdims=True), 10, axis=1)
        return Answer(dict.fromkeys(outputs, logits), {"compute": 0.001}, rows.count)

    async def read(self, task: Any, buffers: Sequence[bytes]) -> Reply[Any]:
        self.calls.append((type(task), [len(buffer) for buffer in buffers]))
        if isinstance(task, ReadInputs):
            rows = np.ones((len(buffers), 28 * 28), np.float32)
            decoded = DecodedInputs(len(buffers), ("Look.",), has_images=True)
            return Reply(decoded, [rows.tobytes()], {"decode": 0.001})
        return in_reader(task, buffers)

    async def load(self, model: ModelRef) -> ModelState:
        self.calls.append(("load", model.key))
        self.states[model.key] = ModelState("ready", size_bytes=1000)
        return self.states[model.key]

    async def unload(self, model: ModelRef) -> None:
        self.calls.append(("unload", model.key))
        self.states.pop(model.key, None)

    def state(self, model: ModelRef) -> ModelState:
        return self.states.get(model.key, ModelState())

    def status(self) -> EngineStatus:
        reason = None if self.ready else "ended with signal 9"
        return EngineStatus(self.ready, self.state_of_worker, "cpu", 0, 0, 0, reason)


@pytest.fixture
def engine() -> SumEngine:
    return SumEngine()


@pytest.fixture
def client(make_client: Make, engine: SumEngine) -> TestClient:
    return make_client(engine)


@pytest.fixture
def path(client: TestClient) -> str:
    return f"/v2/models/{build(client)}"


def error(response: Any, status: int) -> str:
    """Return the text of an error, having checked what every client of the protocol relies on."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert "content-encoding" not in response.headers
    body = response.json()
    assert (body["status"], body["error"]) == (status, body["detail"])
    assert body["request_id"] == response.headers["x-request-id"]
    found: str = body["error"]
    return found


def document(**changes: Any) -> bytes:
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 28, 28, 1]}
    return json.dumps({"inputs": [{**tensor, "data": ROW.ravel().tolist(), **changes}]}).encode()


# The server -----------------------------------------------------------------------------------


def test_the_server_is_named_with_and_without_a_slash(client: TestClient) -> None:
    body = client.get("/v2").json()
    assert body == client.get("/v2/").json()
    assert body["name"] == "model-zoo"
    assert "binary_tensor_data" in body["extensions"]


def test_it_lives_and_is_not_ready_while_the_worker_is_not(
    client: TestClient, engine: SumEngine
) -> None:
    assert client.get("/v2/health/ready").json() == {"ready": True, "live": True}
    engine.ready = False
    assert client.get("/v2/health/live").json() == {"live": True}
    response = client.get("/v2/health/ready")
    assert error(response, 503) == ("The worker is not ready (restarting): it ended with signal 9.")
    assert response.headers["retry-after"] == "5"
    assert (response.json()["ready"], response.json()["live"]) == (False, True)
    engine.state_of_worker = "ready"
    assert error(client.get("/v2/health/ready"), 503) == (
        "The service is stopping, or still loads the models that are to stay in memory."
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/logging"),
        ("POST", "/v2/trace/setting"),
        ("GET", "/v2/models/m/trace/setting"),
        ("GET", "/v2/systemsharedmemory/status"),
        ("POST", "/v2/systemsharedmemory/region/r/register"),
        ("POST", "/v2/cudasharedmemory/unregister"),
    ],
)
def test_what_is_not_offered_says_so(client: TestClient, method: str, path: str) -> None:
    assert error(client.request(method, path, content=b"{}"), 501)


@pytest.mark.parametrize("name", ["x", "a%00b", "%2e%2e", "é", "a b"])
def test_a_model_that_is_not_there_is_404_on_every_route(client: TestClient, name: str) -> None:
    for method, path in [
        ("GET", ""),
        ("GET", "/ready"),
        ("GET", "/config"),
        ("GET", "/stats"),
        ("GET", "/versions/1"),
        ("POST", "/infer"),
        ("POST", "/versions/1/infer"),
    ]:
        response = client.request(method, f"/v2/models/{name}{path}")
        assert response.status_code == 404, path
        assert isinstance(response.json()["error"], str)
    for path in ("load", "unload"):
        assert client.post(f"/v2/repository/models/{name}/{path}").status_code == 404


def test_versions_are_those_that_there_are(client: TestClient, path: str) -> None:
    assert client.get(f"{path}/versions/1").json() == client.get(path).json()
    for version in ("2", "01", "x", "9" * 5000):
        assert client.get(f"{path}/versions/{version}").status_code == 404


@pytest.mark.parametrize("name", list_architectures())
def test_triton_s_example_clients_accept_every_network_of_images(
    client: TestClient, name: str
) -> None:
    made = client.post("/v1/builds", json=small_spec(name, num_classes=5)).json()
    path = f"/v2/models/{made['id']}"
    metadata, config = client.get(path).json(), client.get(f"{path}/config").json()
    assert all(tensor["dims"] for tensor in config["input"] + config["output"])
    height, *others = made["input_shape"]
    if len(others) > 2:  # a video
        with pytest.raises(NoImageClassifierError) as caught:
            parse_model(metadata, config)
        shape = metadata["inputs"][0]["shape"]
        message = f"The client wants an input of three dimensions, got {shape}."
        assert str(caught.value) == message
        return
    assert parse_model(metadata, config) == (
        *(32, "input", "output"),
        *(height, *others),
        *("FORMAT_NHWC", "FP32"),
    )
    listed = json.loads(config["parameters"]["outputs"]["string_value"])
    assert listed.pop("output") == made["output_shape"][1:]
    assert listed.pop("probabilities", [5]) == [5]  # not of a map of classes
    assert listed == {end: shape[1:] for end, shape in made["end_points"].items()}
    assert config["parameters"]["image_bytes"]["string_value"].startswith(
        "May be sent instead of input: BYTES of shape [-1]"
    )


# Models in memory -----------------------------------------------------------------------------


def test_a_model_is_ready_when_it_is_in_memory(client: TestClient, path: str) -> None:
    name = path.rpartition("/")[2]
    response = client.get(path + "/ready")
    assert error(response, 503) == (
        f"Version 1 of model '{name}' is unavailable. Its first request loads it, or POST "
        f"/v2/repository/models/{name}/load."
    )
    assert (response.json()["name"], response.json()["ready"]) == (name, False)
    assert response.headers["retry-after"] == "5"
    loaded = client.post(f"/v2/repository/models/{name}/load")
    assert (loaded.status_code, loaded.content) == (200, b"")
    assert client.get(path + "/ready").json() == {"name": name, "ready": True}
    (entry,) = client.get(path + "/stats").json()["model_stats"]
    assert entry["memory_usage"] == [{"type": "CPU", "id": 0, "byte_size": 1000}]
    body = {"parameters": {"unload_dependents": True}}
    unloaded = client.post(f"/v2/repository/models/{name}/unload", json=body)
    assert (unloaded.status_code, unloaded.content) == (200, b"")
    assert client.get(path + "/ready").status_code == 503


@pytest.mark.parametrize("parameter", ["config", "file:1/model.onnx"])
def test_a_model_is_not_loaded_from_what_a_client_sends(
    client: TestClient, engine: SumEngine, path: str, parameter: str
) -> None:
    url = path.replace("/models/", "/repository/models/") + "/load"
    response = client.post(url, json={"parameters": {parameter: "x" * 20_000}})
    assert error(response, 501).startswith("A model is loaded as it was built;")
    assert not [call for call in engine.calls if call[0] == "load"]


def test_the_index_lists_named_models_and_where_they_stand(
    client: TestClient, engine: SumEngine
) -> None:
    small, large = build(client), build(client, params={"num_classes": 11})
    for name, build_id in (("m", small), ("m", large), ("n", small)):
        assert client.put(f"/v1/models/{name}", json={"build": build_id}).is_success
    assert client.get("/v2/models").json() == {"models": ["m", "n"]}
    client.post("/v2/repository/models/m/load")
    engine.states = {key: ModelState("ready") for key in engine.states if key.startswith(large)}
    engine.states[f"{small}-auto-float32"] = ModelState("unavailable", "the worker ended")
    index = client.post("/v2/repository/index")
    ready = {"name": "m", "version": "2", "state": "READY", "reason": ""}
    assert index.json() == [
        ready,
        {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "the worker ended"},
        {"name": "n", "version": "1", "state": "UNAVAILABLE", "reason": "the worker ended"},
    ]
    assert client.post("/v2/repository/index", json={"ready": True}).json() == [ready]
    response = client.post("/v2/repository/index", json={"ready": "yes"})
    assert error(response, 400) == "/ready: ready must be true or false."
    assert client.get("/v2/models/m").json()["versions"] == ["1", "2"]
    names = [
        (e["name"], e["version"]) for e in client.get("/v2/models/stats").json()["model_stats"]
    ]
    assert names == [("m", "2"), ("m", "1"), ("n", "1")]


# Inference ------------------------------------------------------------------------------------


def test_a_request_is_answered_with_the_output_and_its_id(
    client: TestClient, engine: SumEngine, path: str
) -> None:
    body = json.loads(document())
    body.update(id="mine", parameters={"timeout": 2_000_000})
    response = client.post(f"{path}/versions/1/infer", json=body, headers=PLAIN)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["vary"] == "Accept-Encoding"
    assert HEADER_LENGTH not in response.headers
    answer = response.json()
    assert (answer["id"], answer["model_version"]) == ("mine", "1")
    (output,) = answer["outputs"]
    assert (output["name"], output["shape"]) == ("output", [1, 10])
    assert output["data"] == pytest.approx([ROW.sum()] * 10, abs=1e-4)
    assert engine.calls[-1] == ("infer", 1, ("output",), 2.0)


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/octet-stream", "text/html", None]
)
def test_a_content_type_does_not_matter(
    client: TestClient, path: str, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert client.post(path + "/infer", content=document(), headers=headers).status_code == 200


def test_a_large_json_is_read_by_another_process(
    client: TestClient, engine: SumEngine, path: str
) -> None:
    rows = np.repeat(ROW, 8, axis=0)
    body = document(shape=[8, 28, 28, 1], data=rows.tolist())
    assert len(body) > 64 * 1024
    response = client.post(path + "/infer", content=body)
    assert response.json()["outputs"][0]["shape"] == [8, 10]
    assert engine.calls[-2:] == [
        (ReadOpenInference, [len(body)]),
        ("infer", 8, ("output",), None),
    ]
    response = client.post(path + "/infer", content=body.replace(b"[[[[", b"[[[[true, "))
    assert error(response, 400) == (
        "/inputs/0/data/0/0/0: Expected a list of 1, got a list of 2: shape is [8,28,28,1]."
    )


def test_classes_beyond_any_integer_of_a_message_are_all_classes(
    client: TestClient, path: str
) -> None:
    outputs = [{"name": "output", "parameters": {"classification": 10**30}}]
    rows = np.repeat(ROW, 8, axis=0)
    for inputs in (document(), document(shape=[8, 28, 28, 1], data=rows.tolist())):
        body = json.dumps({**json.loads(inputs), "outputs": outputs})
        output = client.post(path + "/infer", content=body).json()["outputs"][0]
        assert (output["datatype"], output["shape"][1]) == ("BYTES", 10)


def binary(**changes: Any) -> tuple[bytes, dict[str, str]]:
    """A request with its rows after the JSON, and the header that tells where."""
    tensor = {"data": None, "parameters": {"binary_data_size": ROW.nbytes}, **changes}
    text = document(**tensor)
    return text + ROW.tobytes(), {HEADER_LENGTH: str(len(text))}


def test_binary_rows_come_after_the_json_and_so_does_a_binary_output(
    client: TestClient, path: str
) -> None:
    body, headers = binary()
    text = json.loads(body[: int(headers[HEADER_LENGTH])])
    outputs = [{"name": "output", "parameters": {"binary_data": True}}, {"name": "probabilities"}]
    head = json.dumps({**text, "outputs": outputs}).encode()
    response = client.post(
        path + "/infer",
        content=head + ROW.tobytes(),
        headers={HEADER_LENGTH: str(len(head)), **PLAIN},
    )
    assert response.headers["content-type"] == "application/octet-stream"
    size = int(response.headers[HEADER_LENGTH])
    answer = json.loads(response.content[:size])
    assert [output["name"] for output in answer["outputs"]] == ["output", "probabilities"]
    assert answer["outputs"][0]["parameters"] == {"binary_data_size": 40}
    assert answer["outputs"][1]["data"] == pytest.approx([0.1] * 10)
    np.testing.assert_allclose(
        np.frombuffer(response.content[size:], "<f4"), [ROW.sum()] * 10, atol=1e-4
    )


def test_a_body_alone_is_one_row_or_one_image(
    client: TestClient, engine: SumEngine, path: str
) -> None:
    headers = {HEADER_LENGTH: "0", **PLAIN}
    response = client.post(path + "/infer", content=ROW.tobytes(), headers=headers)
    assert len(response.content) == int(response.headers[HEADER_LENGTH]) + 40
    image = image_bytes("PNG")
    response = client.post(path + "/infer", content=image, headers=headers)
    answer = json.loads(response.content[: int(response.headers[HEADER_LENGTH])])
    assert answer["parameters"] == {"warnings": "Look."}
    assert engine.calls[-2] == (ReadInputs, [len(image)])
    response = client.post(path + "/infer", content=b"", headers=headers)
    assert error(response, 400).startswith("A body without JSON is one row of 'input', 3136 bytes")


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"", {}, "The JSON is malformed at line 1, column 1: Expecting value."),
        (
            *(binary()[0][:-1], binary()[1]),
            "/inputs/0/parameters/binary_data_size: expecting 1 additional bytes for input "
            "'input': 3135 bytes follow the JSON, whose length is Inference-Header-Content-"
            "Length.",
        ),
        (
            b"{}",
            {HEADER_LENGTH: "3"},
            "Inference-Header-Content-Length says that the JSON has 3 bytes, and the body has 2.",
        ),
        (
            document(shape=[28, 28, 1]),
            {},
            "/inputs/0/shape: unexpected shape for input 'input' for model 'BUILD'. Expected "
            "[-1,28,28,1], got [28,28,1]. NOTE: the first dimension is the batch dimension, for "
            "one row it is [1,28,28,1].",
        ),
        (
            document(shape=[33, 28, 28, 1]),
            {},
            "/inputs/0/shape: The request has 33 rows; the limit is 32 (ZOO_MAX_BATCH). Send "
            "several requests.",
        ),
    ],
)
def test_a_bad_request_is_400_with_the_place_and_the_fix(
    client: TestClient, path: str, body: bytes, headers: dict[str, str], message: str
) -> None:
    response = client.post(path + "/infer", content=body, headers=headers)
    assert error(response, 400) == message.replace("BUILD", path.rpartition("/")[2])


def test_a_build_for_training_is_not_run(client: TestClient) -> None:
    path = f"/v2/models/{build(client, is_training=True)}/infer"
    assert error(client.post(path, content=document()), 400).startswith(
        "The build has is_training true,"
    )


def test_a_full_queue_is_told_before_the_body_is_read(
    client: TestClient, engine: SumEngine, path: str
) -> None:
    engine.is_full = True
    response = client.post(path + "/infer", content=b"not even JSON")
    assert error(response, 503) == "64 requests wait for the worker already."
    assert response.headers["retry-after"] == "7"


# Encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "bits"), [("gzip", 31), ("deflate", 15)])
def test_a_body_may_come_in_an_encoding_and_the_answer_may_go_in_one(
    client: TestClient, path: str, name: str, bits: int
) -> None:
    compressor = zlib.compressobj(wbits=bits)
    plain, headers = binary()
    body = compressor.compress(plain) + compressor.flush()
    headers |= {"Content-Encoding": name, "Accept-Encoding": name}
    with client.stream("POST", path + "/infer", content=body, headers=headers) as response:
        answer = zlib.decompress(b"".join(response.iter_raw()), wbits=bits)
    assert response.headers["content-encoding"] == name
    assert json.loads(answer)["outputs"][0]["shape"] == [1, 10]


def test_nothing_but_an_answer_is_encoded(client: TestClient, path: str) -> None:
    headers = {"Accept-Encoding": "gzip, deflate, br"}
    for response in (
        client.get("/v2", headers=headers),
        client.get(path, headers=headers),
        client.post("/v2/repository/index", headers=headers),
        client.post(path + "/infer", content=b"{", headers=headers),
    ):
        assert "content-encoding" not in response.headers


def test_another_encoding_is_415(client: TestClient, path: str) -> None:
    response = client.post(path + "/infer", content=b"", headers={"Content-Encoding": "br"})
    assert error(response, 415) == (
        "Content-Encoding 'br' is not supported; send gzip, deflate, or the body unencoded."
    )
    assert response.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("limit", [1000, 2**20])
def test_a_body_that_inflates_beyond_the_limit_is_413(
    make_client: Make, engine: SumEngine, limit: int
) -> None:
    client = make_client(engine, max_body_bytes=limit)
    path = f"/v2/models/{build(client)}/infer"
    body = gzip.compress(bytes(8 * 2**20 if limit > 1000 else 1001))
    assert len(body) <= limit
    response = client.post(path, content=body, headers={"Content-Encoding": "gzip"})
    told = response.json()
    assert (told["limit"], told["setting"]) == (limit, "ZOO_MAX_BODY_BYTES")
    assert limit < told["received"] <= limit + 2**18
    assert error(response, 413) == (
        f"The body has {told['received']} bytes or more when inflated; the limit is {limit} "
        "(ZOO_MAX_BODY_BYTES)."
    )


def test_a_body_that_inflates_to_the_limit_is_read(make_client: Make, engine: SumEngine) -> None:
    client = make_client(engine, max_body_bytes=len(document()))
    path = f"/v2/models/{build(client)}/infer"
    headers = {"Content-Encoding": "gzip"}
    assert client.post(path, content=gzip.compress(document()), headers=headers).is_success


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("gzip", b"", "it is truncated"),
        ("gzip", gzip.compress(document(), mtime=0)[:-1], "it is truncated"),
        ("gzip", document(), "its data is corrupt"),
        ("gzip", zlib.compress(document()), "its data is corrupt"),
        ("gzip", gzip.compress(document(), mtime=0)[:-8] + bytes(8), "its data is corrupt"),
        ("gzip", gzip.compress(b"", mtime=0) * 2, "data follows its end"),
        ("deflate", zlib.compress(document()) + b" ", "data follows its end"),
        ("deflate", gzip.compress(document(), mtime=0), "its data is corrupt"),
    ],
)
def test_a_body_that_cannot_be_inflated_is_400(
    client: TestClient, path: str, name: str, body: bytes, why: str
) -> None:
    response = client.post(path + "/infer", content=body, headers={"Content-Encoding": name})
    assert error(response, 400) == f"The body cannot be inflated as {name}: {why}."
