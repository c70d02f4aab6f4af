"""An S3 server in a process of its own, and a way to it on which things go wrong."""

import http.client
import importlib.util
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from app.settings import Limit
from app.store.bucket import Bucket

_START_SECONDS = 60
WAIT = Limit(10.0, "ZOO_FILES_TIMEOUT_S")
BUCKET = "zoo"
_FAULT = b"<Error><Code>Fault</Code></Error>"


class S3Server:
    """Moto's S3 server, which holds all objects in its memory; each name has a place of its own."""

    def __init__(self) -> None:
        self.port = _free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._numbers = itertools.count()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                assert self._process.poll() is None, "the S3 server ended"
                assert time.monotonic() < deadline, "the S3 server did not start"
                time.sleep(0.02)
        httpx.put(f"http://127.0.0.1:{self.port}/{BUCKET}").raise_for_status()

    def new_url(self) -> str:
        """Return the URL of a place in the bucket that nothing has used."""
        return f"s3://{BUCKET}/test/{next(self._numbers)}"

    def environment(self, port: int | None = None) -> dict[str, str]:
        """Return the variables by which obstore reaches the server, or a proxy at a port."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "not-checked",
            "AWS_SECRET_ACCESS_KEY": "very-secret",
            "AWS_REGION": "us-east-1",
        }

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def s3_or_skip() -> S3Server:
    """Start the server, or skip where it is not installed; in CI it is."""
    if "CI" not in os.environ and not all(map(importlib.util.find_spec, ("moto", "flask"))):
        pytest.skip("moto's S3 server is not installed: pip install 'moto[s3]' flask flask-cors")
    return S3Server()


class FaultyProxy:
    """Passes requests to a server, or does with them what `fault` says.

    A number answers with that status, bytes are the answer in place of the server's, `hang` does
    not answer, `cut` ends each answer in its middle, and `lost` answers what ends an upload of
    several pieces with an error, though the server has done it.
    """

    def __init__(self, port: int) -> None:
        self.fault: int | bytes | str | None = None
        self.methods: list[str] = []
        self._over = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                proxy.methods.append(self.command)
                if proxy.fault == "hang":
                    proxy._over.wait(_START_SECONDS)
                    self.close_connection = True
                    return
                if isinstance(proxy.fault, int):
                    self._send(proxy.fault, {}, _FAULT)
                    return
                if isinstance(proxy.fault, bytes):
                    self._send(200, {}, proxy.fault)
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", port)
                upstream.request(self.command, self.path, body, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
                upstream.close()
                headers = {
                    name: value
                    for name, value in answer.getheaders()
                    if name.lower() not in ("connection", "transfer-encoding", "content-length")
                }
                if proxy.fault == "lost" and self.command == "POST" and "uploadId=" in self.path:
                    self._send(500, {}, _FAULT)
                    return
                if self.command == "HEAD":
                    headers["Content-Length"] = answer.getheader("content-length", "0")
                self._send(answer.status, headers, content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _do  # noqa: N815

            def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    if proxy.fault == "cut" and len(content) > 1:
                        content = content[: len(content) // 2]
                        self.close_connection = True
                    self.wfile.write(content)

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def release(self) -> None:
        """Close the connections that hang."""
        self._over.set()

    def end(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def proxied(server: S3Server) -> Iterator[FaultyProxy]:
    """Run a proxy before a server."""
    proxy = FaultyProxy(server.port)
    try:
        yield proxy
    finally:
        proxy.end()


def contents(url: str) -> dict[str, bytes]:
    """Return all objects of a place by their keys."""
    bucket = Bucket(url, WAIT)
    return {each.key: bucket.read(each.key) or b"" for each in bucket.objects("")}


def replace(url: str, key: str, data: bytes) -> None:
    """Put another object in place of one, or delete it: with no data."""
    bucket = Bucket(url, WAIT)
    bucket.remove(key)
    if data:
        bucket.create(key, data)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
