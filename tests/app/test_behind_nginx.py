"""The service behind a real nginx: under a prefix, with uploads, downloads and clients' limits."""

import base64
import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from nginx_server import PREFIX, Nginx
from safetensors.numpy import save
from zoo_server import Server, build, image_bytes, poll

tritonclient = pytest.importorskip("tritonclient.http")

LENET = {"architecture": "lenet"}


@pytest.fixture(scope="module")
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service with a prefix, which trusts this machine's proxies."""
    server = Server(
        tmp_path_factory.mktemp("home"),
        root_path=PREFIX,
        trusted_proxies="127.0.0.1",
        max_client_concurrency=4,
        max_body_bytes=2**20,
        log_format="json",
    )
    yield server
    server.end()


@pytest.fixture(scope="module")
def nginx(prefixed: Server) -> Iterator[Nginx]:
    server = Nginx([prefixed.url])
    yield server
    server.end()


@pytest.fixture(params=["passing", "stripping"])
def through(request: pytest.FixtureRequest, nginx: Nginx) -> Iterator[httpx.Client]:
    """A client of the proxy, which passes the prefix on or strips it."""
    url: str = getattr(nginx, request.param)
    with httpx.Client(base_url=f"{url}{PREFIX}/", timeout=120) as client:
        yield client


@pytest.fixture
def plain(nginx: Nginx) -> Iterator[httpx.Client]:
    """A client of the cluster's server, which has no prefix."""
    with httpx.Client(base_url=nginx.cluster, timeout=120) as client:
        yield client


def at(client: httpx.Client, link: str) -> httpx.Response:
    """Follow a link of an answer, as a browser does."""
    return client.get(httpx.URL(str(client.base_url)).join(link))


def test_links_of_an_answer_lead_through_the_proxy(through: httpx.Client) -> None:
    made = through.post("v1/builds", json=LENET)
    assert made.status_code in (200, 201)
    assert at(through, made.headers["location"]).json()["id"] == made.json()["id"]
    for link in made.json()["links"].values():
        assert link.startswith(f"{PREFIX}/v1/builds/")
    assert at(through, made.json()["links"]["summary"]).status_code == 200
    problem = through.get("v1/builds/none").json()
    assert at(through, problem["type"].partition("#")[0]).status_code == 200


def test_the_pages_and_their_files_come_through_the_proxy(through: httpx.Client) -> None:
    page = through.get("")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert through.get("docs").status_code == 200
    assert through.get("openapi.json").json()["servers"] == [{"url": PREFIX}]
    assert through.get("healthz").json()["status"] == "ok"


def test_a_client_of_triton_works_under_the_prefix(nginx: Nginx, through: httpx.Client) -> None:
    model = build(through, "lenet")
    url = f"{urlsplit(str(through.base_url)).netloc}{PREFIX}"
    with tritonclient.InferenceServerClient(url, network_timeout=120) as client:
        assert client.is_server_live()
        assert client.get_model_metadata(model)["name"] == model
        values = np.full((1, 28, 28, 1), 0.5, np.float32)
        tensor = tritonclient.InferInput("input", list(values.shape), "FP32")
        tensor.set_data_from_numpy(values)
        answer = client.infer(model, [tensor])
        assert answer.as_numpy("output").shape == (1, 10)


def test_tensorflow_servings_protocol_works_under_the_prefix(through: httpx.Client) -> None:
    model = build(through, "lenet")
    encoded = base64.b64encode(image_bytes("PNG", (28, 28))).decode()
    response = through.post(f"v1/models/{model}:predict", json={"instances": [{"b64": encoded}]})
    assert response.status_code == 200, response.text
    (row,) = response.json()["predictions"]
    assert len(row) == 10
    missing = through.post("v1/models/none:predict", json={"instances": []})
    assert (missing.status_code, set(missing.json()) >= {"error"}) == (404, True)


def test_an_upload_and_a_download_stream_through_the_proxy(through: httpx.Client) -> None:
    values = np.random.default_rng(0).normal(size=2**20).astype(np.float32)  # 4 MiB, above the
    content = save({"w": values})  # limit on other bodies

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 2**16):
            yield content[start : start + 2**16]

    made = through.post("v1/weights?name=w.safetensors", content=pieces())
    assert made.status_code in (200, 201), made.text
    assert made.json()["id"] == hashlib.sha256(content).hexdigest()
    assert at(through, made.headers["location"]).status_code == 200

    weights = f"v1/builds/{build(through, 'lenet')}/weights?format=safetensors"
    whole = through.get(weights)
    tag = whole.headers["etag"]
    assert len(whole.content) == int(whole.headers["content-length"])
    part = through.get(weights, headers={"Range": "bytes=1000-1999", "If-Range": tag})
    assert (part.status_code, part.content) == (206, whole.content[1000:2000])
    assert through.get(weights, headers={"If-None-Match": tag}).status_code == 304
    assert through.head(weights).headers["etag"] == tag


def test_what_the_service_refuses_arrives_as_it_said(through: httpx.Client) -> None:
    close = {"Connection": "close"}  # nginx ends it, at a moment of its own
    large = through.post("v1/infer", content=b"x" * (2**20 + 1), headers=close)
    assert large.status_code == 413
    assert large.json()["type"] == f"{PREFIX}/docs#problem-body-too-large"
    broken = through.post("v1/builds", content="{")
    assert (broken.status_code, broken.json()["request_id"]) == (
        400,
        broken.headers["x-request-id"],
    )


def test_a_long_line_of_a_head_passes(through: httpx.Client) -> None:
    assert through.get("v1/limits", headers={"X-Long": "x" * 15_000}).status_code == 200


def test_rows_of_a_sweep_arrive_as_they_are_traced(through: httpx.Client) -> None:
    sweep = {"spec": LENET, "axes": {"/params/num_classes": [2, 3, 4, 5]}}
    with through.stream("POST", "v1/sweeps?format=ndjson", json=sweep) as response:
        rows = [json.loads(line) for line in response.iter_lines()]
    assert [row["index"] for row in rows] == [0, 1, 2, 3]


def client_at(url: str, address: str, **options: object) -> httpx.Client:
    """Return a client that another address of this machine has."""
    transport = httpx.HTTPTransport(local_address=address)
    return httpx.Client(base_url=url, transport=transport, timeout=120, **options)  # type: ignore[arg-type]


@contextmanager
def busy(url: str, address: str, count: int) -> Iterator[None]:
    """Have as many requests of an address in progress, each with a body that does not end."""
    parts = urlsplit(url)
    streams = []
    for _ in range(count):
        stream = socket.create_connection((parts.hostname, parts.port), source_address=(address, 0))
        stream.sendall(
            b"POST /v1/weights?name=x HTTP/1.1\r\nHost: zoo\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4\r\nabcd\r\n"
        )
        streams.append(stream)
    try:
        yield
    finally:
        for stream in streams:
            stream.close()


def test_each_client_behind_the_proxy_has_limits_of_its_own(nginx: Nginx) -> None:
    with (
        client_at(nginx.cluster, "127.0.0.2") as eager,
        client_at(nginx.cluster, "127.0.0.3") as other,
    ):
        with busy(nginx.cluster, "127.0.0.2", 4):
            poll(lambda: eager.get("/v1/limits").status_code == 429)
            forged = eager.get("/v1/limits", headers={"X-Forwarded-For": "192.0.2.1"})
            assert forged.status_code == 429
            assert other.get("/v1/limits").status_code == 200
        poll(lambda: eager.get("/v1/limits").status_code == 200)


def test_the_log_has_the_clients_address(nginx: Nginx, prefixed: Server) -> None:
    with client_at(nginx.cluster, "127.0.0.4") as client:
        client.get("/v1/limits", headers={"X-Request-ID": "whose"})
    line = json.loads(prefixed.wait_for(r'.*"whose".*')[0])
    assert line["client"] == "127.0.0.4"


def test_a_replica_that_is_gone_is_passed_over(prefixed: Server) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        nginx = Nginx([nobody, prefixed.url])
        try:
            with httpx.Client(base_url=nginx.cluster, timeout=120) as client:
                for _ in range(4):
                    assert client.post("/v1/builds", json=LENET).is_success
                    assert client.post("/v1/infer", content="{").status_code in (400, 415, 422)
                assert client.get("/metrics").status_code == 404
        finally:
            nginx.end()
