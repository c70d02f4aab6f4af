"""The Open Inference Protocol of the real program, asked by the clients that others use."""

import asyncio
import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from image_client import parse_model, prepared
from tritonclient.utils import InferenceServerException
from zoo_server import Server, build, image_bytes, npy_bytes

ROWS = np.random.default_rng(5).uniform(-1, 1, (3, 28, 28, 1)).astype(np.float32)
MODEL = "open-inference-lenet"
ELEVEN = {"params": {"num_classes": 11}}


@pytest.fixture(scope="module")
def model(server: Server) -> str:
    """A model of two versions: lenet, and lenet with eleven classes."""
    with server.client() as client:
        for spec in ({}, ELEVEN):
            named = client.put(f"/v1/models/{MODEL}", json={"build": build(client, **spec)})
            assert named.is_success, named.text
    return MODEL


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address(server), network_timeout=120) as client:
        yield client


def address(server: Server) -> str:
    return server.url.removeprefix("http://")


def expected(live: httpx.Client, rows: np.ndarray, query: str = "logits", **spec: Any) -> Any:
    """Return what the service's own route answers."""
    path = f"/v1/builds/{build(live, **spec)}/predict?output={query}"
    body = live.post(path, content=npy_bytes(rows)).json()
    return np.array(body["outputs"][query]["data"], np.float32)


def tensor(rows: np.ndarray = ROWS, *, is_binary: bool = True) -> Any:
    found = triton.InferInput("input", list(rows.shape), "FP32")
    found.set_data_from_numpy(rows, binary_data=is_binary)
    return found


def images(*files: bytes, is_binary: bool = True) -> Any:
    found = triton.InferInput("image_bytes", [len(files)], "BYTES")
    found.set_data_from_numpy(np.array(files, np.object_), binary_data=is_binary)
    return found


# What the synchronous client calls ------------------------------------------------------------


def test_health_and_metadata(client: triton.InferenceServerClient, model: str) -> None:
    client.load_model(model)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(model)
    assert client.is_model_ready(model, "2")
    assert not client.is_model_ready("nothing")
    assert client.get_server_metadata()["name"] == "model-zoo"
    metadata = client.get_model_metadata(model)
    assert metadata["versions"] == ["1", "2"]
    assert metadata["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 28, 28, 1]}]
    assert metadata["outputs"] == [{"name": "output", "datatype": "FP32", "shape": [-1, 11]}]
    assert client.get_model_metadata(model, "1")["outputs"][0]["shape"] == [-1, 10]
    properties = metadata["properties"]
    assert properties["state"] == "ready"
    assert properties["warmed_batch_sizes"].startswith("1")
    assert properties["engine"] in ("tensorflow", "onnxruntime")
    config = client.get_model_config(model, "1")
    assert config["max_batch_size"] == 32
    assert [(each["name"], each["dims"]) for each in config["input"]] == [("input", [28, 28, 1])]
    assert [(each["name"], each["dims"]) for each in config["output"]] == [("output", [10])]
    assert json.loads(config["parameters"]["spec"]["string_value"])["architecture"] == "lenet"


def test_a_client_that_reads_the_configuration_classifies_a_picture(
    client: triton.InferenceServerClient, live: httpx.Client
) -> None:
    """As Triton's image_client does, which prints value, index and name, and needs all three."""
    name = "open-inference-named-classes"
    body = {"build": build(live, **ELEVEN), "class_names": [f"class {i}" for i in range(11)]}
    assert live.put(f"/v1/models/{name}", json=body).is_success
    parsed = parse_model(client.get_model_metadata(name), client.get_model_config(name))
    row = prepared(parsed, image_bytes(size=(60, 40)))
    given = triton.InferInput(parsed.input, [1, *row.shape], parsed.datatype)
    given.set_data_from_numpy(row[np.newaxis])
    wanted = triton.InferRequestedOutput(parsed.output, class_count=3)
    (best,) = client.infer(name, [given], outputs=[wanted]).as_numpy(parsed.output)
    values, indices, names = zip(*(text.decode().split(":") for text in best), strict=True)
    logits = expected(live, row[np.newaxis], **ELEVEN)[0]
    order = np.argsort(-logits)[:3].tolist()
    assert list(map(int, indices)) == order
    assert list(names) == [f"class {index}" for index in order]
    np.testing.assert_allclose(list(map(float, values)), logits[order], atol=1e-5)


def test_what_the_configuration_lists_in_its_parameters_can_be_sent_and_requested(
    client: triton.InferenceServerClient, model: str
) -> None:
    parameters = client.get_model_config(model)["parameters"]
    outputs = json.loads(parameters["outputs"]["string_value"])
    assert "image_bytes" in parameters
    result = client.infer(
        model,
        [images(image_bytes())],
        outputs=[triton.InferRequestedOutput(name) for name in outputs],
    )
    found = {name: list(result.as_numpy(name).shape[1:]) for name in outputs}
    assert found == outputs
    assert {"output", "probabilities", "conv1"} < set(found)


def test_loading_and_unloading(client: triton.InferenceServerClient, live: httpx.Client) -> None:
    name = "open-inference-unloaded"
    build_id = build(live, params={"num_classes": 12})
    assert live.put(f"/v1/models/{name}", json={"build": build_id}).is_success
    client.load_model(name)
    assert client.is_model_ready(name)
    ready = client.get_model_repository_index()
    assert {"name": name, "version": "1", "state": "READY", "reason": ""} in ready
    (entry,) = client.get_inference_statistics(name)["model_stats"]
    assert entry["memory_usage"][0]["byte_size"] > 0
    client.unload_model(name)
    assert not client.is_model_ready(name)
    # The first request loads it again.
    result = client.infer(name, [tensor()])
    assert result.as_numpy("output").shape == (3, 12)
    assert client.is_model_ready(name)


def test_loading_something_else_is_an_error_with_a_text(
    client: triton.InferenceServerClient, model: str
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.load_model("nothing")
    assert caught.value.status() == "404"
    assert caught.value.message().startswith("There is no model 'nothing'.")
    with pytest.raises(InferenceServerException) as caught:
        client.load_model(model, config="{}", files={"file:1/model.onnx": b"x"})
    assert caught.value.status() == "501"


@pytest.mark.parametrize(
    "call",
    ["get_log_settings", "get_trace_settings", "get_system_shared_memory_status"],
)
def test_what_is_not_offered_is_501(client: triton.InferenceServerClient, call: str) -> None:
    with pytest.raises(InferenceServerException) as caught:
        getattr(client, call)()
    assert caught.value.status() == "501"


# Inference ------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer_is_binary", [False, True])
@pytest.mark.parametrize("is_binary", [False, True])
def test_json_and_binary_data_give_the_same_answer(
    client: triton.InferenceServerClient,
    live: httpx.Client,
    model: str,
    is_binary: bool,
    answer_is_binary: bool,
) -> None:
    outputs = [
        triton.InferRequestedOutput(name, binary_data=answer_is_binary)
        for name in ("probabilities", "output", "conv1")
    ]
    result = client.infer(
        model, [tensor(is_binary=is_binary)], "1", outputs, request_id="mine", timeout=60_000_000
    )
    assert result.get_response()["id"] == "mine"
    assert [output["name"] for output in result.get_response()["outputs"]] == [
        "probabilities",
        "output",
        "conv1",
    ]
    np.testing.assert_allclose(result.as_numpy("output"), expected(live, ROWS), atol=1e-5)
    np.testing.assert_allclose(
        result.as_numpy("probabilities"), expected(live, ROWS, "probabilities"), atol=1e-6
    )
    assert result.as_numpy("conv1").shape == (3, 28, 28, 32)


@pytest.mark.parametrize("request_encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("response_encoding", [None, "gzip", "deflate"])
def test_encodings_change_nothing(
    client: triton.InferenceServerClient,
    live: httpx.Client,
    model: str,
    request_encoding: str | None,
    response_encoding: str | None,
) -> None:
    result = client.infer(
        model,
        [tensor()],
        "1",
        request_compression_algorithm=request_encoding,
        response_compression_algorithm=response_encoding,
    )
    np.testing.assert_allclose(result.as_numpy("output"), expected(live, ROWS), atol=1e-5)


@pytest.mark.parametrize("is_binary", [False, True])
def test_the_best_classes_come_as_strings(
    client: triton.InferenceServerClient, live: httpx.Client, model: str, is_binary: bool
) -> None:
    output = triton.InferRequestedOutput("output", binary_data=is_binary, class_count=3)
    found = client.infer(model, [tensor()], "1", [output]).as_numpy("output")
    assert found.shape == (3, 3)
    texts = [text.decode() if isinstance(text, bytes) else text for text in found.ravel()]
    order = np.argsort(-expected(live, ROWS), axis=1)[:, :3]
    assert [int(text.split(":")[1]) for text in texts] == order.ravel().tolist()
    many = triton.InferRequestedOutput("output", class_count=99)
    assert client.infer(model, [tensor()], "1", [many]).as_numpy("output").shape == (3, 10)


def test_image_files_are_given_the_model_s_preprocessing(
    client: triton.InferenceServerClient, live: httpx.Client, model: str
) -> None:
    files = [image_bytes("JPEG"), image_bytes("PNG", (28, 28)), image_bytes("WEBP")]
    found = client.infer(model, [images(*files)], "1").as_numpy("output")
    path = f"/v1/builds/{build(live)}/predict?output=logits"
    own = live.post(path, files=[("image", ("a", file)) for file in files]).json()
    np.testing.assert_allclose(found, own["outputs"]["logits"]["data"], atol=1e-5)


@pytest.mark.parametrize("is_binary", [True, False])
def test_classes_come_with_their_names(
    client: triton.InferenceServerClient, live: httpx.Client, is_binary: bool
) -> None:
    name, build_id = "open-inference-names", build(live, params={"num_classes": 13})
    names = [f"{index}: Ω{index}" for index in range(13)]
    assert live.put(f"/v1/models/{name}", json={"build": build_id, "class_names": names}).is_success
    best = triton.InferRequestedOutput("probabilities", binary_data=is_binary, class_count=13)
    found = client.infer(name, [tensor()], outputs=[best]).as_numpy("probabilities")
    assert found.shape == (3, 13)
    for row in found:
        texts = [text.decode() if is_binary else text for text in row]
        indexes = [int(text.split(":", 2)[1]) for text in texts]
        assert sorted(indexes) == list(range(13))
        assert [text.split(":", 2)[2] for text in texts] == [names[index] for index in indexes]


def test_a_body_of_an_image_alone(live: httpx.Client, model: str) -> None:
    headers = {"Inference-Header-Content-Length": "0", "Accept-Encoding": "identity"}
    image = image_bytes("JPEG")
    response = live.post(f"/v2/models/{model}/versions/1/infer", content=image, headers=headers)
    assert response.status_code == 200, response.text
    found = np.frombuffer(response.content[-40:], np.float32)
    path = f"/v1/builds/{build(live)}/predict?output=logits"
    own = live.post(path, content=image).json()["outputs"]["logits"]["data"]
    np.testing.assert_allclose([found], own, atol=1e-5)


def test_a_large_json_request_is_answered(live: httpx.Client, model: str) -> None:
    rows = np.repeat(ROWS, 10, axis=0)
    document = {
        "inputs": [
            {"name": "input", "datatype": "FP32", "shape": list(rows.shape), "data": rows.tolist()}
        ]
    }
    response = live.post(f"/v2/models/{model}/versions/1/infer", json=document)
    (output,) = response.json()["outputs"]
    assert output["shape"] == [30, 10]
    found = np.array(output["data"], np.float32).reshape(30, 10)
    np.testing.assert_allclose(found, np.repeat(expected(live, ROWS), 10, axis=0), atol=1e-5)


def test_numbers_that_are_not_finite_go_in_and_come_out(
    client: triton.InferenceServerClient, model: str
) -> None:
    rows = ROWS.copy()
    rows[0, 0, 0, 0] = np.nan
    output = triton.InferRequestedOutput("output", binary_data=False)
    result = client.infer(model, [tensor(rows, is_binary=False)], "1", [output])
    found = result.as_numpy("output")
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


def test_statistics_count_rows_and_runs(
    client: triton.InferenceServerClient, live: httpx.Client
) -> None:
    name = build(live, params={"num_classes": 13})
    for _ in range(2):
        client.infer(name, [tensor()])
    (entry,) = client.get_inference_statistics(name, "1")["model_stats"]
    assert (entry["inference_count"], entry["execution_count"]) == (6, 2)
    assert entry["inference_stats"]["success"]["count"] == 2
    assert entry in client.get_inference_statistics()["model_stats"]


# Errors ---------------------------------------------------------------------------------------


def reshaped(shape: list[int]) -> Any:
    rows = np.zeros(shape, np.float32)
    return tensor(rows)


def retyped() -> Any:
    found = triton.InferInput("input", [1, 28, 28, 1], "FP64")
    found.set_data_from_numpy(np.zeros((1, 28, 28, 1)))
    return found


def in_shared_memory() -> Any:
    found = triton.InferInput("input", [1, 28, 28, 1], "FP32")
    found.set_shared_memory("region", 3136)
    return found


BAD: dict[str, tuple[list[Any], list[Any], str]] = {
    "shape": (
        [reshaped([28, 28, 1])],
        [],
        "/inputs/0/shape: unexpected shape for input 'input' for model 'open-inference-lenet'. "
        "Expected [-1,28,28,1], got [28,28,1]. NOTE: the first dimension is the batch dimension, "
        "for one row it is [1,28,28,1].",
    ),
    "rows": (
        [reshaped([33, 28, 28, 1])],
        [],
        "/inputs/0/shape: The request has 33 rows; the limit is 32 (ZOO_MAX_BATCH). Send several "
        "requests.",
    ),
    "datatype": (
        [retyped()],
        [],
        "/inputs/0/datatype: unexpected datatype for input 'input' for model "
        "'open-inference-lenet'. Expected FP32, got FP64.",
    ),
    "both inputs": (
        [tensor(), images(b"x")],
        [],
        "/inputs: A request has one input, 'input' (FP32) or 'image_bytes' (BYTES) in its place; "
        "this one has 2.",
    ),
    "output": (
        [tensor()],
        [triton.InferRequestedOutput("logit")],
        "/outputs/0/name: Model 'open-inference-lenet' has no output 'logit'. Did you mean "
        "'Logits'?",
    ),
    "no image": (
        [images(image_bytes(), b"not an image")],
        [],
        "/inputs/0/data/1: The 12 bytes received are not an image in an accepted format: JPEG, "
        "PNG, WebP.",
    ),
    "shared memory": (
        [in_shared_memory()],
        [],
        "/inputs/0/parameters: Parameter 'shared_memory_region': tensors are not exchanged in "
        "shared memory here; send and request them in the body, as binary data.",
    ),
}


@pytest.mark.parametrize(("inputs", "outputs", "message"), BAD.values(), ids=BAD)
def test_the_client_shows_what_is_wrong(
    client: triton.InferenceServerClient,
    model: str,
    inputs: list[Any],
    outputs: list[Any],
    message: str,
) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(model, inputs, "1", outputs)
    assert caught.value.status() == "400"
    assert caught.value.message() == message


def test_an_unknown_model_and_version_are_404(
    client: triton.InferenceServerClient, model: str
) -> None:
    for name, version in (("nothing", ""), (model, "7")):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(name, [tensor()], version)
        assert caught.value.status() == "404"


def test_a_body_that_inflates_beyond_the_limit_is_refused(live: httpx.Client, model: str) -> None:
    body = gzip.compress(bytes(64 * 2**20))
    response = live.post(
        f"/v2/models/{model}/infer", content=body, headers={"Content-Encoding": "gzip"}
    )
    assert response.status_code == 413
    assert response.json()["received"] <= 32 * 2**20 + 2**18


def test_a_slash_at_the_end_needs_no_redirect(server: Server) -> None:
    host, port = address(server).split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: zoo\r\nConnection: close\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


# The asynchronous client ----------------------------------------------------------------------


def test_the_asynchronous_client_does_all_the_same(
    server: Server, live: httpx.Client, model: str
) -> None:
    async def ask() -> np.ndarray:
        async with triton_aio.InferenceServerClient(address(server)) as client:
            await client.load_model(model)
            assert await client.is_server_live()
            assert await client.is_server_ready()
            assert await client.is_model_ready(model)
            assert (await client.get_model_metadata(model))["name"] == model
            assert (await client.get_model_config(model))["name"] == model
            index = await client.get_model_repository_index()
            assert model in [entry["name"] for entry in index]
            assert (await client.get_inference_statistics(model))["model_stats"]
            with pytest.raises(InferenceServerException) as caught:
                await client.load_model("nothing")
            assert caught.value.message().startswith("There is no model 'nothing'.")
            results = [
                await client.infer(model, [tensor(is_binary=is_binary)], "1", outputs)
                for is_binary in (False, True)
                for outputs in (None, [triton.InferRequestedOutput("output", binary_data=False)])
            ]
            return np.stack([result.as_numpy("output") for result in results])

    found = asyncio.run(ask())
    np.testing.assert_allclose(found, [expected(live, ROWS)] * 4, atol=1e-5)


def test_of_requests_at_once_the_good_are_right_and_the_bad_get_their_own_error(
    server: Server, live: httpx.Client, model: str
) -> None:
    rng = np.random.default_rng(7)
    batches = [rng.uniform(-1, 1, (1 + i % 3, 28, 28, 1)).astype(np.float32) for i in range(16)]
    bad = {3: BAD["shape"], 7: BAD["output"], 8: BAD["no image"], 12: BAD["datatype"]}

    async def one(client: Any, index: int) -> Any:
        inputs, outputs, _ = bad.get(index, ([tensor(batches[index])], [], ""))
        version = "2" if index % 5 == 0 else "1"
        return await client.infer(model, inputs, version, outputs, request_id=str(index))

    async def ask() -> list[Any]:
        async with triton_aio.InferenceServerClient(address(server)) as client:
            asked = [one(client, index) for index in range(16)]
            return await asyncio.gather(*asked, return_exceptions=True)

    for index, found in enumerate(asyncio.run(ask())):
        if index in bad:
            assert isinstance(found, InferenceServerException)
            assert found.message() == bad[index][2]
            continue
        assert found.get_response()["id"] == str(index)
        spec = ELEVEN if index % 5 == 0 else {}
        np.testing.assert_allclose(
            found.as_numpy("output"), expected(live, batches[index], **spec), atol=1e-5
        )
