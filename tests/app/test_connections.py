"""Clients that do not receive, or send no more, on both event loops."""

import asyncio
import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.bounded_parser import BoundedHttpProtocol
from app.http.slow_readers import SlowReaderWatch

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
HEAD = b"GET /healthz HTTP/1.1\r\nHost: zoo\r\n\r\n"


@pytest.fixture(params=list(LOOPS))
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[..., socket.socket]]:
    """Return a function that serves an application and returns a connection to it."""
    loop = LOOPS[request.param]()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    connections: list[socket.socket] = []
    servers: list[asyncio.Server] = []

    def make(app: ASGIApp, write_timeout_s: float = 30.0) -> socket.socket:
        config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False)
        config.load()
        protocol = partial(
            BoundedHttpProtocol,
            config=config,
            server_state=uvicorn.server.ServerState(),
            app_state={},
            write_timeout_s=write_timeout_s,
        )

        async def start() -> Any:
            servers.append(await loop.create_server(protocol, "127.0.0.1", 0))
            return servers[-1].sockets[0].getsockname()

        address = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
        connections.append(socket.create_connection(address, timeout=20))
        return connections[-1]

    yield make

    async def stop() -> None:
        for server in servers:
            server.close()
        # The transports close when their clients have.
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:  # type: ignore[arg-type]
            await asyncio.wait(tasks)
        await asyncio.sleep(0)

    for connection in connections:
        connection.close()
    asyncio.run_coroutine_threadsafe(stop(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()


class Endless:
    """Answers without an end, until the client is gone."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.create_task(_until_gone(receive))
        while not gone.done():
            await send({"type": "http.response.body", "body": bytes(65536), "more_body": True})
            await asyncio.sleep(0)
        self.ended.set()


class Large:
    """Answers at once, with more than any buffer takes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(2**26)
        headers = [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Waiting:
    """Answers when told to, or ends when the client is gone."""

    def __init__(self) -> None:
        self.arrived, self.gone, self.go_on = threading.Event(), threading.Event(), asyncio.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.loop = asyncio.get_running_loop()
        waits = {
            asyncio.create_task(self.go_on.wait()),
            asyncio.create_task(_until_gone(receive)),
        }
        self.arrived.set()
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        if not self.go_on.is_set():
            self.gone.set()
            return
        headers = [(b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"done"})

    def answer(self) -> None:
        assert self.loop is not None
        self.loop.call_soon_threadsafe(self.go_on.set)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def read_all(connection: socket.socket) -> bytes:
    answer = b""
    while chunk := connection.recv(2**20):
        answer += chunk
    return answer


def test_a_client_that_receives_nothing_loses_its_place(serve: Any) -> None:
    app = Endless()
    serve(app, write_timeout_s=0.2).sendall(HEAD)
    assert app.ended.wait(20)


def test_a_client_that_does_not_receive_the_rest_loses_its_connection(serve: Any) -> None:
    connection = serve(Large(), write_timeout_s=0.2)
    connection.sendall(HEAD)
    poller = select.poll()
    poller.register(connection, 0)  # only for errors: reading would be receiving
    assert poller.poll(20_000)
    with pytest.raises(ConnectionResetError):
        read_all(connection)


class Clock:
    """An event loop's time and timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Any:
        self.timers.append((self.now + delay, callback))
        return None

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end]:
            timer = min(due, key=lambda each: each[0])
            self.timers.remove(timer)
            self.now = timer[0]
            timer[1]()
        self.now = end


class Transport:
    """A transport whose buffer stays full, as while the kernel takes nothing from it."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream, self.is_aborted = stream, False

    def get_extra_info(self, name: str) -> Any:
        return self.stream

    def get_write_buffer_size(self) -> int:
        return 100_000

    def abort(self) -> None:
        self.is_aborted = True


def test_a_slow_line_keeps_its_connection_while_it_carries_anything() -> None:
    clock = Clock()
    server, client = socket.socketpair()
    with server, client:
        for _ in range(20):
            server.send(bytes(1000))
        transport = Transport(server)
        watch = SlowReaderWatch(clock, transport, 30.0, lambda: True)  # type: ignore[arg-type]
        watch.begin()
        for _ in range(10):
            client.recv(1000)
            clock.run(29)
        assert not transport.is_aborted
        clock.run(38)
        assert transport.is_aborted


def test_a_client_that_sends_no_more_gets_its_answer(serve: Any) -> None:
    app = Waiting()
    connection = serve(app)
    connection.sendall(HEAD)
    connection.shutdown(socket.SHUT_WR)
    assert app.arrived.wait(20)
    app.answer()
    answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\ndone")


def test_a_client_that_sends_no_more_is_asked_whether_it_waits(serve: Any) -> None:
    app = Waiting()
    connection = serve(app)
    connection.sendall(HEAD)
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(2**20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not app.gone.is_set()
    app.answer()
    assert read_all(connection).endswith(b"\r\n\r\ndone")


def test_a_client_that_is_gone_ends_its_request(serve: Any) -> None:
    app = Waiting()
    connection = serve(app)
    connection.sendall(HEAD)
    assert app.arrived.wait(20)
    connection.close()
    assert app.gone.wait(20)


def test_a_client_that_leaves_in_its_body_ends_its_request(serve: Any) -> None:
    app = Waiting()
    connection = serve(app)
    connection.sendall(b"POST / HTTP/1.1\r\nHost: zoo\r\nContent-Length: 9\r\n\r\n{")
    assert app.arrived.wait(20)
    connection.shutdown(socket.SHUT_WR)
    assert app.gone.wait(20)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [(b"/v1/builds", b"application/problem+json"), (b"/v2/models/m", b"application/json")],
)
def test_what_is_not_http_is_a_problem(serve: Any, path: bytes, media_type: bytes) -> None:
    connection = serve(Endless())
    connection.sendall(b"GET " + path + b" HTTP/1.1\r\nno header\r\n\r\n")
    head, _, content = read_all(connection).partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(line.split(b": ", 1) for line in lines)
    assert status == b"HTTP/1.1 400 Bad Request"
    assert headers[b"content-type"] == media_type
    assert int(headers[b"content-length"]) == len(content)
    assert headers[b"connection"] == b"close"
    body = json.loads(content)
    assert body.pop("request_id").encode() == headers[b"x-request-id"]
    if body.pop("error", None) is None:
        assert media_type == b"application/problem+json"
    assert body == {
        "type": "/docs#problem-malformed-http",
        "title": "The request is not valid HTTP",
        "status": 400,
        "detail": "Invalid HTTP request received.",
        "errors": [],
    }
