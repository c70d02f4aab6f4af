"""Limits of the HTTP protocol itself, below the application."""

import contextlib
import json
import socket
from pathlib import Path

import pytest
from zoo_server import Server, poll

HEAD = b"GET /healthz HTTP/1.1\r\nHost: zoo\r\n"


def connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def has_read_all(connection: socket.socket) -> bool:
    """Return whether the server has read what was sent, by the kernel's table of sockets."""
    port = f":{connection.getsockname()[1]:04X}"
    queues = {}
    for row in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, local, remote, _, queued, *_ = row.split()
        sending, receiving = (int(count, 16) for count in queued.split(":"))
        if local.endswith(port):
            queues["client"] = sending
        if remote.endswith(port):
            queues["server"] = receiving
    return queues == {"client": 0, "server": 0}


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    try:
        while chunk := connection.recv(65536):
            answer += chunk
    except ConnectionResetError:
        pass
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
        HEAD + b"X: y\r\n" * 20_000 + b"\r\n",
        HEAD + b"X: " + b"y" * 300_000,
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: zoo\r\n\r\n",
        b"GET /" + b"x" * 300_000,
    ],
    ids=["value", "many", "without end", "path", "path without end"],
)
def test_a_head_that_is_too_long_is_400_and_closes(server: Server, request_bytes: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(request_bytes)
        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("trailer", [b"X-n: yyyyyyyy\r\n", b"y" * 64])
def test_trailers_without_an_end_close_the_connection(server: Server, trailer: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"POST /nowhere HTTP/1.1\r\nHost: zoo\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        )
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(trailer * 1_000_000)


@pytest.mark.parametrize("framing", [b"Content-Length: 8000000", b"Transfer-Encoding: chunked"])
def test_who_still_sends_a_body_that_is_refused_gets_the_answer(
    server: Server, framing: bytes
) -> None:
    """A connection closed with bytes that nobody has read is reset, and its answer lost."""
    body = b"x" * 8_000_000
    if b"chunked" in framing:
        body = b"7a1200\r\n" + body + b"\r\n0\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\n" + framing + b"\r\n\r\n")
        connection.sendall(body)
        answer = b""
        while chunk := connection.recv(65536):  # to the end, which is no reset
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 413


def test_what_is_sent_after_a_refusal_without_end_is_not_read_for_ever(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\nContent-Length: 99999999999\r\n\r\n"
        )
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(bytes(64 * 2**20))


def test_trailers_are_no_headers(server: Server) -> None:
    body = b'{"architecture": "lenet"}'
    with connect(server) as connection:
        connection.sendall(
            b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n%x\r\n%b\r\n0\r\nX-Request-ID: smuggled\r\n\r\n"
            % (len(body), body)
        )
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 20")
    assert b"smuggled" not in answer


@pytest.mark.parametrize("split", [False, True])
def test_a_wish_to_upgrade_does_not_lose_the_body(server: Server, split: bool) -> None:
    body = json.dumps({"architecture": "lenet"}).encode()
    head = (
        b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    with connect(server) as connection:
        if split:  # the wish is seen too late to be passed over: it is refused, and nothing hangs
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(head[:60])
            poll(lambda: has_read_all(connection))
            connection.sendall(head[60:] + body)
            assert read_all(connection).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 20"))
        else:
            connection.sendall(head + body)
            assert read_all(connection).startswith(b"HTTP/1.1 20")


def test_many_requests_in_one_packet_are_all_answered(server: Server) -> None:
    request = HEAD + b"\r\n"
    last = HEAD + b"Connection: close\r\n\r\n"
    with connect(server) as connection:
        connection.sendall(request * 2200 + last)
        answer = read_all(connection)
    assert answer.count(b"HTTP/1.1 200 ") == 2201


def test_clients_that_hold_their_connections_leave_no_traceback_at_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path, drain_s=0)
    with contextlib.ExitStack() as stack:
        for request_bytes in (
            b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\nContent-Length: 100\r\n\r\n{",
            b"POST /v1/weights HTTP/1.1\r\nHost: zoo\r\nContent-Length: 100\r\n\r\nx",
            b"GET /heal",
            HEAD.replace(b"/healthz", b"/v1/ops") + b"\r\n",
        ):
            stack.enter_context(connect(server)).sendall(request_bytes)
        reader = stack.enter_context(connect(server))
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = HEAD.replace(b"/healthz", b"/openapi.json")
        reader.sendall((head + b"\r\n") * 1000)
        poll(lambda: is_full(reader))
        assert server.end() == 0
    log = "".join(server.log)
    assert "Traceback" not in log
    assert "ASGI callable" not in log


def is_full(connection: socket.socket) -> bool:
    """Return whether what the server sent fills the client's buffer and its own."""
    port = f":{connection.getsockname()[1]:04X}"
    for row in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        _, _, remote, _, queued, *_ = row.split()
        if remote.endswith(port):
            return int(queued.partition(":")[0], 16) > 2**20
    return False
