"""Bodies are read within limits, whatever their headers say."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import pytest
from starlette.testclient import TestClient
from zoo_server import Server, problem

from app.main import create_app
from app.settings import Settings

Make = Callable[..., TestClient]


def too_large(detail: str, received: int, setting: str = "ZOO_MAX_BODY_BYTES") -> dict[str, object]:
    return {
        "type": "/docs#problem-body-too-large",
        "title": "The body is too large",
        "status": 413,
        "detail": detail,
        "received": received,
        "limit": 100,
        "setting": setting,
        "errors": [],
    }


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/v1/infer", "max_body_bytes"), ("/v1/builds", "max_document_bytes")],
)
def test_a_declared_body_over_the_limit_is_refused_unread(
    make_client: Make, path: str, limit: str
) -> None:
    client = make_client(**{limit: 100})
    response = client.post(path, content=b"x" * 101)
    assert response.headers["connection"] == "close"
    setting = f"ZOO_{limit.upper()}"
    assert problem(response) == too_large(
        f"The body has 101 bytes; the limit is 100 ({setting}).", 101, setting
    )


def test_a_spec_in_a_form_has_the_limit_of_a_spec(make_client: Make) -> None:
    client = make_client(max_document_bytes=100)
    files = {"image": b"x"}
    response = client.post("/v1/infer", data={"spec": "x" * 101}, files=files)
    assert problem(response) == too_large(
        "The body has 101 bytes in its field spec; the limit is 100 (ZOO_MAX_DOCUMENT_BYTES).",
        101,
        "ZOO_MAX_DOCUMENT_BYTES",
    )


def test_a_body_of_unknown_length_is_counted_while_it_arrives(make_client: Make) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b"0123456789"

    response = make_client(max_body_bytes=100).post("/v1/infer", content=chunks())
    body = problem(response)
    assert body == too_large(
        f"The body has {body['received']} bytes or more; the limit is 100 (ZOO_MAX_BODY_BYTES).",
        body["received"],
    )
    assert body["received"] > 100


def test_a_body_at_the_limit_is_read(make_client: Make) -> None:
    body = b'{"architecture": "lenet"}'
    client = make_client(max_document_bytes=len(body))
    assert client.post("/v1/builds", content=body).status_code == 201


def test_an_encoded_body_is_415_and_never_inflated(client: TestClient) -> None:
    response = client.post("/v1/builds", content=b"", headers={"Content-Encoding": "gzip"})
    assert response.headers["accept-encoding"] == "identity"
    assert problem(response) == {
        "type": "/docs#problem-unsupported-type",
        "title": "The body's type is not supported",
        "status": 415,
        "detail": "Content-Encoding 'gzip' is not supported; send the body unencoded.",
        "errors": [],
    }


def test_a_body_that_does_not_come_in_time_is_408(tmp_path: object) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def run() -> httpx.Response:
        app = create_app(Settings(home=tmp_path, body_timeout_s=0.02))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://zoo") as client:
            return await client.post("/v1/builds", content=body())

    assert problem(asyncio.run(run())) == {
        "type": "/docs#problem-slow-body",
        "title": "The body did not arrive in time",
        "status": 408,
        "detail": "The rest of the body did not arrive within 0.02 s (ZOO_BODY_TIMEOUT_S); "
        "1 bytes had arrived.",
        "errors": [],
    }


FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="spec"\r\n\r\n{}\r\n'


@pytest.mark.parametrize(
    ("headers", "body", "message"),
    [
        (
            {"Content-Type": "multipart/form-data"},
            PART + b"--b--\r\n",
            "The form's Content-Type has no boundary.",
        ),
        (FORM, b"no form", "The form is not well-formed."),
        (FORM, PART, "The form ends before its closing boundary."),
        (FORM, b"", "The form ends before its closing boundary."),
        (FORM, b"--b\r\nA: b\r\n\r\nx\r\n--b--\r\n", "A part of the form has no name."),
        (
            FORM,
            b"--b\r\n" + b"A: b\r\n" * 50 + b"\r\nx\r\n--b--\r\n",
            "The form is not well-formed.",
        ),
        (
            {"Content-Type": "multipart/form-data; boundary=" + "b" * 1000},
            PART,
            "The form is not well-formed.",
        ),
    ],
    ids=["no boundary", "no form", "no end", "empty", "no name", "headers", "long boundary"],
)
def test_a_malformed_form_is_400(
    client: TestClient, headers: dict[str, str], body: bytes, message: str
) -> None:
    assert problem(client.post("/v1/infer", content=body, headers=headers)) == {
        "type": "/docs#problem-malformed-body",
        "title": "The body cannot be read",
        "status": 400,
        "detail": message,
        "errors": [],
    }


def exchange(server: Server, request: bytes) -> bytes:
    """Send bytes to the real program and return all that it answers before it closes."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


def test_the_real_server_refuses_a_huge_body_before_it_is_sent(server: Server) -> None:
    request = b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\nContent-Length: 99999999999\r\n\r\n"
    answer = exchange(server, request)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"The body has 99999999999 bytes; the limit is 1048576" in answer


def test_many_tiny_chunks_are_a_body_like_any_other(server: Server) -> None:
    body = b'{"architecture": "lenet"}' + b" " * 20_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = (
        b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    started = time.monotonic()
    assert exchange(server, head + chunks).startswith(b"HTTP/1.1 20")
    assert time.monotonic() - started < 20
