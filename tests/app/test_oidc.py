"""Tokens of an OpenID Connect provider, from a small one in a thread."""

import asyncio
import base64
import functools
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms
from starlette.testclient import TestClient
from zoo_server import NoEngine, problem

from app.callers import oidc
from app.callers.caller import NotKnownNowError, UsageError
from app.callers.issuer_keys import IssuerKeys
from app.callers.oidc import OidcTokens
from app.callers.token_file import add_token
from app.main import create_app
from app.settings import Settings, SettingsError

AUDIENCE = "model-zoo"
RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
SHORT_RSA = rsa.generate_private_key(65537, 1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def public(key: Any, key_id: str | None, algorithm: str, **members: Any) -> dict[str, Any]:
    """Return a key as a provider publishes it."""
    kind: Any = get_default_algorithms()[algorithm]
    document = json.loads(kind.to_jwk(key.public_key()))
    document.pop("key_ops", None)
    named = {} if key_id is None else {"kid": key_id}
    return {**document, **named, **members}


class Issuer:
    """A provider: its keys, the requests that it got, and whether it answers."""

    def __init__(self) -> None:
        self.keys = [public(RSA, "one", "RS256", use="sig")]
        self.requests: list[str] = []
        self.status = 200
        self.changes: dict[str, Any] = {}
        self.gate = threading.Event()
        self.gate.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                issuer.gate.wait(30)
                document = issuer.configuration if "well-known" in self.path else issuer.jwks
                content = json.dumps(document).encode()
                try:
                    self.send_response(issuer.status)
                    self.send_header("Content-Length", str(len(content)))
                    self.send_header("Location", "/elsewhere")
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    pass  # the service has given up

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    @property
    def jwks(self) -> Any:
        return {"keys": self.keys}

    @property
    def configuration(self) -> Any:
        return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.changes}

    def fetches(self) -> int:
        return self.requests.count("/keys")

    def end(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def token(
        self,
        key: Any = RSA,
        algorithm: str = "RS256",
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return a token that is valid but for what is changed; None leaves a claim out."""
        now = int(time.time())
        whole = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "alice",
            "exp": now + 600,
            "roles": ["build"],
            **claims,
        }
        content = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(content, key, algorithm, {"kid": "one", **(headers or {})})


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.end()


Start = Callable[..., TestClient]


@pytest.fixture
def start(issuer: Issuer, make_client: Callable[..., TestClient]) -> Start:
    """Return a function that starts a service with the issuer, whose keys it fetches at once."""
    return functools.partial(make_client, oidc_issuer=issuer.url, oidc_audience=AUDIENCE)


@pytest.fixture
def zoo(start: Start) -> TestClient:
    return start()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def status(client: TestClient, token: str, method: str = "GET", path: str = "/v1/limits") -> int:
    found: int = client.request(method, path, headers=bearer(token)).status_code
    return found


# Claims ------------------------------------------------------------------------------------------


def test_a_token_of_the_provider_has_the_role_that_its_claim_names(
    issuer: Issuer, zoo: TestClient
) -> None:
    token = issuer.token()
    assert status(zoo, token) == 200
    assert status(zoo, token, "POST", "/v1/builds") == 400
    assert status(zoo, token, "DELETE", "/v1/builds/x") == 403
    for roles in (
        None,
        [],
        ["staff"],
        ["Admin"],
        "administrators",
        7,
        {"admin": True},
        [["admin"]],
    ):
        response = zoo.get("/v1/limits", headers=bearer(issuer.token(roles=roles)))
        assert problem(response)["detail"] == "A token with the role read is needed."
    assert status(zoo, issuer.token(roles="openid admin"), "DELETE", "/v1/builds/x") == 404
    assert issuer.requests == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    ("claim", "claims"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["admin", "offline_access"]}}),
        ("https://zoo.example/roles", {"https://zoo.example/roles": ["admin"]}),
        ("scope", {"scope": "openid admin"}),
    ],
)
def test_a_setting_names_the_claim(
    issuer: Issuer,
    start: Start,
    claim: str,
    claims: dict[str, Any],
) -> None:
    client = start(oidc_role_claim=claim)
    assert status(client, issuer.token(**claims), "DELETE", "/v1/builds/x") == 404
    assert status(client, issuer.token(roles=["admin"])) == 403


def test_a_subject_has_one_limit_whatever_tokens_it_has(issuer: Issuer, start: Start) -> None:
    client = start(oidc_requests_per_s=0.01)
    assert status(client, issuer.token()) == 200
    response = client.get("/v1/limits", headers=bearer(issuer.token(roles=["read"])))
    assert 99 <= int(response.headers["retry-after"]) <= 100
    refused = problem(response)
    assert refused["status"] == 429
    assert refused["detail"] == "This caller may send 0.01 requests a second."
    assert status(client, issuer.token(sub="bob")) == 200


def test_the_requests_of_a_subject_at_once_are_counted_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens = OidcTokens("https://idp.example", AUDIENCE, "roles", concurrency=1)
    alice = tokens._usage("alice")
    assert alice is not None
    alice.enter()
    with pytest.raises(UsageError, match="1 requests of this caller are already in progress"):
        alice.enter()
    assert tokens._usage("alice") is alice
    monkeypatch.setattr(oidc, "_MOST_SUBJECTS", 2)
    for subject in ("bob", "alice", "carol"):
        tokens._usage(subject)
    assert list(tokens._usages) == ["alice", "carol"]
    assert OidcTokens("https://idp.example", AUDIENCE, "roles")._usage("alice") is None


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("exp", -3600),
        ("exp", -11),
        ("exp", None),
        ("exp", "soon"),
        ("nbf", 3600),
        ("iss", "https://elsewhere.example"),
        ("iss", None),
        ("iss", ""),
        ("aud", "other"),
        ("aud", None),
        ("aud", []),
        ("aud", ["other", "model-zoo-2"]),
        ("sub", None),
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_refused(
    issuer: Issuer, zoo: TestClient, claim: str, value: Any
) -> None:
    """Times are seconds from now."""
    claims = {claim: int(time.time()) + value if isinstance(value, int) else value}
    response = zoo.get("/v1/limits", headers=bearer(issuer.token(**claims)))
    assert problem(response)["detail"] == "A valid token is needed: Authorization: Bearer TOKEN."
    assert status(zoo, issuer.token()) == 200


def test_clocks_may_differ_by_seconds(issuer: Issuer, zoo: TestClient) -> None:
    now = int(time.time())
    assert status(zoo, issuer.token(exp=now - 2)) == 200
    assert status(zoo, issuer.token(nbf=now + 5)) == 200
    assert status(zoo, issuer.token(aud=["other", AUDIENCE])) == 200


# Signatures --------------------------------------------------------------------------------------


def segments(*documents: Any) -> str:
    parts = [
        json.dumps(each).encode() if not isinstance(each, bytes) else each for each in documents
    ]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def forged(issuer: Issuer) -> dict[str, str]:
    good = issuer.token(roles=["admin"])
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    pem = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    confused = segments({"alg": "HS256", "kid": "one"}, claims)
    mac = get_default_algorithms()["HS256"].sign(confused.encode(), pem)
    return {
        "no signature": f"{segments({'alg': 'none', 'kid': 'one'}, claims)}.",
        "none with another case": f"{segments({'alg': 'NoNe', 'kid': 'one'}, claims)}.",
        "a MAC by the public key": f"{confused}.{segments(mac)}",
        "another key": issuer.token(OTHER_RSA, roles=["admin"]),
        "another algorithm": issuer.token(CURVE, "ES256", roles=["admin"]),
        "other claims": f"{head}.{segments({**claims, 'sub': 'root'})}.{signature}",
        "its own key": issuer.token(
            OTHER_RSA, headers={"jwk": public(OTHER_RSA, "one", "RS256")}, roles=["admin"]
        ),
        "an address of keys": issuer.token(
            OTHER_RSA, headers={"jku": "http://127.0.0.1:1/keys"}, roles=["admin"]
        ),
        "cut": good[:-4],
        "two parts": f"{head}.{body}",
        "four parts": f"{good}.{signature}",
        "a head that is no object": f"{segments([1])}.{body}.{signature}",
        "a head that is deep": f"{segments(b'[' * 5000)}.{body}.{signature}",
        "an id that is no text": f"{segments({'alg': 'RS256', 'kid': {}})}.{body}.{signature}",
        "an unknown demand": issuer.token(headers={"crit": ["zoo"], "zoo": 1}, roles=["admin"]),
        "a body apart": f"{segments({'alg': 'RS256', 'kid': 'one', 'b64': False})}..{signature}",
    }


def test_a_forged_token_is_refused(issuer: Issuer, zoo: TestClient) -> None:
    for kind, token in forged(issuer).items():
        assert status(zoo, token, "DELETE", "/v1/builds/x") == 401, kind
    assert status(zoo, issuer.token(roles=["admin"]), "DELETE", "/v1/builds/x") == 404


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "PS256"), (RSA, "RS512"), (CURVE, "ES256"), (EDWARDS, "EdDSA")]
)
def test_keys_of_all_kinds_verify(issuer: Issuer, start: Start, key: Any, algorithm: str) -> None:
    named = {"RS512": "RS256", "PS256": "RS256"}.get(algorithm, algorithm)
    issuer.keys = [public(key, "one", named)]
    assert status(start(), issuer.token(key, algorithm)) == 200


def test_a_key_that_names_its_algorithm_verifies_no_other(issuer: Issuer, start: Start) -> None:
    issuer.keys = [public(RSA, "one", "RS256", alg="RS256")]
    zoo = start()
    assert status(zoo, issuer.token()) == 200
    assert status(zoo, issuer.token(algorithm="RS384")) == 401


def test_keys_that_are_not_for_signatures_are_left_out(issuer: Issuer, start: Start) -> None:
    secret = base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("=")
    issuer.keys = [
        {"kty": "oct", "kid": "secret", "k": secret},
        public(RSA, "for-encryption", "RS256", use="enc"),
        public(SHORT_RSA, "short", "RS256"),
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "broken"},
        {"kty": "new", "kid": "new"},
        public(CURVE, "one", "ES256"),
    ]
    zoo = start()
    assert status(zoo, issuer.token(CURVE, "ES256")) == 200
    for token in (
        jwt.encode({"sub": "x"}, b"s" * 32, "HS256", {"kid": "secret"}),
        issuer.token(headers={"kid": "for-encryption"}),
        issuer.token(headers={"kid": "broken"}),
    ):
        assert status(zoo, token) == 401


def test_a_key_without_an_id_verifies_tokens_without_one(issuer: Issuer, start: Start) -> None:
    issuer.keys = [public(RSA, None, "RS256")]
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "a", "exp": now + 60, "roles": ["read"]}
    assert status(start(), jwt.encode(claims, RSA, "RS256")) == 200


# Keys --------------------------------------------------------------------------------------------


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(issuer: Issuer, steps: Callable[[IssuerKeys, Clock], Any]) -> None:
    """Take steps with the keys of an issuer, on one event loop."""

    async def take() -> None:
        clock = Clock()
        keys = IssuerKeys(issuer.url, clock)
        try:
            await steps(keys, clock)
        finally:
            await keys.close()

    asyncio.run(take())


def test_a_new_key_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    async def steps(keys: IssuerKeys, clock: Clock) -> None:
        assert await keys.find("one") is not None
        issuer.keys = [public(OTHER_RSA, "two", "RS256")]
        clock.now += 10
        assert await keys.find("one") is not None
        assert issuer.fetches() == 1
        assert await keys.find("two") is not None
        assert issuer.fetches() == 2
        assert await keys.find("one") is None  # withdrawn

    run(issuer, steps)


def test_unknown_keys_are_asked_for_at_a_bounded_rate(issuer: Issuer) -> None:
    async def steps(keys: IssuerKeys, clock: Clock) -> None:
        for _ in range(10):
            found = await asyncio.gather(*(keys.find(f"unknown-{n}") for n in range(10)))
            assert found == [None] * 10
        assert issuer.fetches() == 1
        clock.now += 10
        assert await keys.find("another") is None
        assert issuer.fetches() == 2

    run(issuer, steps)


def test_keys_are_fetched_anew_while_the_old_are_used(issuer: Issuer) -> None:
    async def steps(keys: IssuerKeys, clock: Clock) -> None:
        assert await keys.find("one") is not None
        issuer.keys = [public(OTHER_RSA, "two", "RS256")]
        issuer.gate.clear()
        clock.now += 601
        assert await keys.find("one") is not None
        issuer.gate.set()
        assert keys._fetch is not None
        await keys._fetch
        assert issuer.fetches() == 2
        assert await keys.find("one") is None

    run(issuer, steps)


def test_keys_of_an_issuer_that_is_gone_are_trusted_for_a_day(
    issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    async def steps(keys: IssuerKeys, clock: Clock) -> None:
        assert await keys.find("one") is not None
        issuer.status = 500
        clock.now += 80_000
        assert await keys.find("one") is not None
        with pytest.raises(NotKnownNowError):
            await keys.find("two")
        clock.now += 10_000
        with pytest.raises(NotKnownNowError):
            await keys.find("one")
        issuer.status = 200
        clock.now += 10
        assert await keys.find("one") is not None

    run(issuer, steps)
    assert caplog.messages[0] == (
        f"The keys of {issuer.url} cannot be fetched: ValueError: "
        f"{issuer.url}/.well-known/openid-configuration answers with status 500"
    )


@pytest.mark.parametrize(
    ("changes", "keys", "reason"),
    [
        ({"issuer": "https://evil.example"}, None, "it calls itself 'https://evil.example'"),
        (
            {"jwks_uri": "http://evil.example/keys"},
            None,
            "http://evil.example/keys is not https:// (http:// for this machine alone)",
        ),
        ({"jwks_uri": None}, None, "None is not https:// (http:// for this machine alone)"),
        ({}, [], "{url}/keys has no key that can be used"),
        ({"padding": "x" * 2**20}, None, "{url}/.well-known/openid-configuration has more than"),
    ],
    ids=["another issuer", "keys in the clear", "no keys", "no usable key", "too long"],
)
def test_what_a_provider_should_not_say_is_not_believed(
    issuer: Issuer,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    keys: list[Any] | None,
    reason: str,
) -> None:
    issuer.changes = changes
    issuer.keys = issuer.keys if keys is None else keys

    async def steps(fetched: IssuerKeys, clock: Clock) -> None:
        with pytest.raises(NotKnownNowError):
            await fetched.find("one")

    run(issuer, steps)
    expected = f"The keys of {issuer.url} cannot be fetched: ValueError: "
    assert caplog.messages[0].startswith(expected + reason.format(url=issuer.url))


def test_a_redirect_is_not_followed(issuer: Issuer) -> None:
    async def steps(keys: IssuerKeys, clock: Clock) -> None:
        issuer.status = 302
        with pytest.raises(NotKnownNowError):
            await keys.find("one")
        assert issuer.requests == ["/.well-known/openid-configuration"]

    run(issuer, steps)


def test_a_provider_that_hangs_holds_nobody_else_up(
    issuer: Issuer,
    tmp_path: Path,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.callers.issuer_keys._FETCH_S", 60.0)
    token = add_token(tmp_path / "home" / "tokens.json", "ci", "read")
    issuer.gate.clear()
    client = start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(status, client, issuer.token())
        assert status(client, token) == 200
        assert client.get("/healthz").status_code == 200
        assert client.get("/v1/limits").status_code == 401
        assert not waiting.done()
        issuer.gate.set()
        assert waiting.result() == 200


def test_a_provider_that_does_not_answer_is_no_mistake_of_the_client(
    issuer: Issuer, start: Start
) -> None:
    issuer.status = 500
    client = start()
    response = client.get("/v1/limits", headers=bearer(issuer.token()))
    assert response.headers["retry-after"] == "10"
    assert problem(response) == {
        "type": "/docs#problem-issuer-unavailable",
        "title": "The issuer of tokens does not answer",
        "status": 503,
        "detail": "The keys of the issuer of tokens cannot be fetched now.",
        "errors": [],
    }


# The service -------------------------------------------------------------------------------------


def test_a_subject_is_named_in_the_log_in_one_short_line(
    issuer: Issuer, zoo: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        token = issuer.token(sub="a\nadmin\x1b[31m" + "ü" * 200)
        assert status(zoo, token, "PUT", "/v1/scopes/x") == 400
    (line,) = [each.getMessage() for each in caplog.records if each.name == "audit"]
    assert line.startswith(r"audit oidc:a\nadmin\x1b[31m\xfc")
    assert line.count(r"\xfc") < 100
    assert "..." in line


def test_tokens_of_both_kinds_work_side_by_side(
    issuer: Issuer, tmp_path: Path, start: Start
) -> None:
    token = add_token(tmp_path / "home" / "tokens.json", "ci", "read")
    client = start()
    assert [status(client, each) for each in (token, issuer.token(), "zoo_x", "x")] == [
        200,
        200,
        401,
        401,
    ]


@pytest.mark.parametrize(
    "address", ["http://idp.example", "ftp://idp.example", "idp.example", "https://"]
)
def test_an_issuer_whose_keys_could_be_exchanged_is_refused(tmp_path: Path, address: str) -> None:
    settings = Settings(home=tmp_path, oidc_issuer=address, oidc_audience="x")
    with pytest.raises(SettingsError) as refusal:
        create_app(settings, lambda *_: NoEngine())
    assert str(refusal.value) == (
        f"ZOO_OIDC_ISSUER: {address} is not https:// (http:// for this machine alone)."
    )


def test_without_an_audience_no_issuer_is_accepted() -> None:
    with pytest.raises(ValueError, match=r"ZOO_OIDC_ISSUER needs ZOO_OIDC_AUDIENCE\."):
        Settings(oidc_issuer="https://idp.example")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    for name in ("app.callers.oidc", "app.callers.issuer_keys"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    settings = Settings(home=tmp_path, oidc_issuer="https://idp.example", oidc_audience="x")
    with pytest.raises(SettingsError) as refusal:
        create_app(settings, lambda *_: NoEngine())
    assert str(refusal.value) == (
        "ZOO_OIDC_ISSUER needs the extra oidc: pip install 'model-zoo-service[oidc]'."
    )
