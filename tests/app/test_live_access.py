"""Access to the real program: over sockets, by the clients of other servers, and when it starts."""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException
from zoo_server import ROOT, Server, build, poll

from app.callers.roles import ROLES
from app.callers.token_file import add_token, revoke_token

ROWS = np.zeros((1, 28, 28, 1), np.float32)


class Zoo:
    """The program with a token of each role."""

    def __init__(self, home: Path) -> None:
        self.path = home / "tokens.json"
        self.tokens = {role: add_token(self.path, role, role) for role in ROLES}
        self.server = Server(home)
        self.address = self.server.url.removeprefix("http://")

    def client(self, role: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        return httpx.Client(base_url=self.server.url, headers=headers, timeout=120)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    zoo = Zoo(tmp_path_factory.mktemp("access"))
    yield zoo
    assert zoo.server.end() == 0
    log = "".join(zoo.server.log)
    for token in zoo.tokens.values():
        assert token not in log


@pytest.fixture(scope="module")
def model(zoo: Zoo) -> str:
    with zoo.client("build") as client:
        named = client.put("/v1/models/lenet", json={"build": build(client)})
        assert named.status_code == 201, named.text
    return "lenet"


def test_tritons_client_sends_its_token(zoo: Zoo, model: str) -> None:
    rows = triton.InferInput("input", [1, 28, 28, 1], "FP32")
    rows.set_data_from_numpy(ROWS)
    with triton.InferenceServerClient(zoo.address, network_timeout=120) as client:
        assert client.is_server_live()
        for role, status, message in (
            (None, "401", "A valid token is needed: Authorization: Bearer TOKEN."),
            ("read", "403", "A token with the role infer is needed."),
        ):
            headers = {"authorization": f"Bearer {zoo.tokens[role]}"} if role else {}
            with pytest.raises(InferenceServerException) as refusal:
                client.infer(model, [rows], headers=headers)
            assert (refusal.value.status(), refusal.value.message()) == (status, message)
        headers = {"Authorization": f"Bearer {zoo.tokens['infer']}"}
        assert client.infer(model, [rows], headers=headers).as_numpy("output").shape == (1, 10)
        with pytest.raises(InferenceServerException, match="A token with the role admin"):
            client.unload_model(model, headers=headers)
        client.unload_model(model, headers={"Authorization": f"Bearer {zoo.tokens['admin']}"})


def test_tensorflow_servings_requests_have_one_too(zoo: Zoo, model: str) -> None:
    url = f"{zoo.server.url}/v1/models/{model}:predict"
    body = {"instances": ROWS.tolist()}
    refused = httpx.post(url, json=body)
    assert refused.status_code == 401
    assert refused.json()["error"] == "A valid token is needed: Authorization: Bearer TOKEN."
    with zoo.client("infer") as client:
        assert len(client.post(url, json=body).json()["predictions"][0]) == 10


def test_a_revoked_token_is_refused_without_a_restart(zoo: Zoo) -> None:
    token = add_token(zoo.path, "short-lived", "read")
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=zoo.server.url, headers=headers) as client:
        poll(lambda: client.get("/v1/limits").status_code == 200)
        revoke_token(zoo.path, "short-lived")
        poll(lambda: client.get("/v1/limits").status_code == 401)


def sent(zoo: Zoo, head: bytes, end: bytes = b"\r\n") -> bytes:
    """Return the answer to bytes as they are."""
    host, _, port = zoo.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head + b"Connection: close\r\n" + end)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/v1/builds", b"401"),
        (b"//v1/builds", b"401"),
        (b"/v1//builds", b"401"),
        (b"/v1/builds/../../healthz", b"401"),
        (b"/healthz/../v1/builds", b"401"),
        (b"/healthz%2f..%2fv1%2fbuilds", b"401"),
        (b"/v2/health/live/../../models", b"401"),
        (b"/v2/health/%2e%2e/models", b"401"),
        (b"/healthz;/v1/builds", b"401"),
        (b"/healthz%00", b"401"),
        (b"/healthz?/v1/builds", b"422"),
        (b"/%68ealthz", b"200"),
        (b"http://elsewhere/v1/builds", b"401"),
        (b"*", b"401"),
    ],
)
def test_a_path_is_what_it_is_after_decoding_once(zoo: Zoo, target: bytes, status: bytes) -> None:
    answer = sent(zoo, b"GET %b HTTP/1.1\r\nHost: zoo\r\n" % target)
    assert answer.split(b" ", 2)[1] == status


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (b"Authorization: Bearer %b\r\n", b"200"),
        (b"aUTHORIZATION:bearer %b\r\n", b"200"),
        (b"Authorization:\t Bearer   %b  \r\n", b"200"),
        (b"Authorization: Bearer %b\r\nAuthorization: Bearer x\r\n", b"401"),
        (b"Authorization: Bearer %b\r\nauthorization: Bearer %b\r\n", b"401"),
        (b"Authorization: Bearer %b\x00\r\n", b"400"),
        (b"Authorization: Bearer %b\r\n x\r\n", b"4"),
        (b"Authorization : Bearer %b\r\n", b"4"),
        (b"Authorization: Bearer " + b"A" * 100_000 + b"\r\n", b"400"),
        (b"Authorization: Bearer " + b"A" * 60_000 + b"\r\n", b"401"),
        (b"Authorization: Bearer " + b"=" * 60_000 + b"\r\n", b"401"),
    ],
)
def test_a_header_is_what_the_parser_makes_of_it(zoo: Zoo, lines: bytes, status: bytes) -> None:
    lines = lines.replace(b"%b", zoo.tokens["read"].encode())
    answer = sent(zoo, b"GET /v1/limits HTTP/1.1\r\nHost: zoo\r\n" + lines)
    assert answer.split(b" ", 2)[1].startswith(status)


def test_a_token_in_a_trailer_comes_too_late(zoo: Zoo) -> None:
    head = b"POST /v1/builds HTTP/1.1\r\nHost: zoo\r\nTransfer-Encoding: chunked\r\n"
    trailer = b"Authorization: Bearer %b" % zoo.tokens["build"].encode()
    answer = sent(
        zoo,
        head + b"Trailer: Authorization\r\n",
        b"\r\n2\r\n{}\r\n0\r\n%b\r\n\r\n" % trailer,
    )
    assert answer.split(b" ", 2)[1] == b"401"


# At the start ------------------------------------------------------------------------------------


def refusal(home: Path, **settings: Any) -> str:
    server = Server(home, **settings)
    try:
        server.wait_for("<end>")
        assert server.wait() == 1
    finally:
        server.process.kill()
    (line,) = server.log[:-1]
    return line


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_service_that_others_reach_does_not_start_without_tokens(
    tmp_path: Path, host: str
) -> None:
    line = re.sub(r":\d+ ", ":PORT ", refusal(tmp_path / "home", host=host))
    assert line == (
        f"The service cannot start: {host}:PORT can be reached from other machines, and whoever "
        "reaches it may do everything. Make a token (model-zoo token add NAME --role ROLE) or set "
        "ZOO_OIDC_ISSUER, or allow it with ZOO_ANONYMOUS=allow.\n"
    )
    assert not (tmp_path / "home").exists()


def test_it_starts_where_that_is_allowed_or_there_are_tokens(tmp_path: Path) -> None:
    server = Server(tmp_path / "open", host="0.0.0.0", anonymous="allow")
    with server.client() as client:
        assert client.get("/v1/limits").status_code == 200
    assert server.end() == 0

    add_token(tmp_path / "closed" / "tokens.json", "a", "read")
    server = Server(tmp_path / "closed", host="0.0.0.0", anonymous="allow")
    with server.client() as client:
        assert client.get("/v1/limits").status_code == 401
        assert client.get("/healthz").status_code == 200
    assert server.end() == 0
    assert any("ZOO_ANONYMOUS=allow has no effect" in line for line in server.log)


def test_a_file_of_tokens_that_is_not_valid_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    path.write_text("{")
    assert refusal(tmp_path) == (
        f"The service cannot start: {path} is no file of tokens: Input data was truncated. "
        "(ZOO_TOKENS_FILE)\n"
    )


@pytest.mark.heavy  # a process of its own
def test_what_access_control_needs_is_not_imported_without_it() -> None:
    code = "import sys, app.__main__; print([m for m in sys.argv[1:] if m in sys.modules])"
    modules = ["jwt", "cryptography", "httpx", "app.callers.oidc"]
    done = subprocess.run(
        [sys.executable, "-c", code, *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
