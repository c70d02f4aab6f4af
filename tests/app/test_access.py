"""Who is let in, and what the others are told."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from fastapi import APIRouter
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from test_logs import _root_as_it_was, configure, logged  # noqa: F401  a fixture
from zoo_server import IdleEngine, NoEngine, build, problem

from app.callers.access import Access
from app.callers.caller import Caller
from app.callers.roles import ROLES
from app.callers.token_file import add_token, revoke_token
from app.callers.tokens import Tokens
from app.http.access import Gate, Visit
from app.http.routing import Routes
from app.main import create_app
from app.settings import Settings, SettingsError

SPEC = '{"architecture": "lenet"}'
REALM = 'Bearer realm="model-zoo"'
INVALID = f'{REALM}, error="invalid_token"'
NEEDED = {
    "type": "/docs#problem-unauthenticated",
    "title": "A valid token is needed",
    "status": 401,
    "detail": "A valid token is needed: Authorization: Bearer TOKEN.",
    "errors": [],
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Zoo:
    """A service with a token of each role, by its name."""

    def __init__(self, home: Path, make: Callable[..., TestClient]) -> None:
        self.path = home / "tokens.json"
        self.tokens = {role: add_token(self.path, role, role) for role in ROLES}
        self._make = make
        self.client = make()

    def again(self, **settings: Any) -> TestClient:
        """Start it anew, with other settings."""
        self.client = self._make(**settings)
        return self.client

    def request(self, method: str, path: str, role: str | None = None, **options: Any) -> Any:
        headers = {**options.pop("headers", {}), **(bearer(self.tokens[role]) if role else {})}
        return self.client.request(method, path, headers=headers, **options)


@pytest.fixture
def zoo(tmp_path: Path, make_client: Callable[..., TestClient]) -> Zoo:
    return Zoo(tmp_path / "home", make_client)


# Tokens ------------------------------------------------------------------------------------------


def test_without_a_token_nothing_is_answered_but_what_is_open(zoo: Zoo) -> None:
    for path in ("/healthz", "/v2/health/live", "/v2/health/ready", "/", "/docs", "/openapi.json"):
        assert zoo.request("GET", path).status_code == 200, path
        assert zoo.request("HEAD", path).status_code == 200, path
    for path in ("/metrics", "/v1/builds", "/v1/limits", "/v2", "/v2/models", "/nothing"):
        response = zoo.request("GET", path)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, REALM), path


def test_a_refusal_says_what_is_needed_and_nothing_else(zoo: Zoo) -> None:
    """Whether a build, a route or a token exists, nobody learns without a token."""
    build_id = zoo.request("POST", "/v1/builds", "build", content=SPEC).json()["id"]
    bodies = [
        problem(zoo.request(method, path))
        for method, path in (
            ("GET", f"/v1/builds/{build_id}"),
            ("GET", f"/v1/builds/{'0' * 32}"),
            ("DELETE", f"/v1/builds/{build_id}"),
            ("PATCH", f"/v1/builds/{build_id}"),
            ("OPTIONS", "/v1/builds"),
            ("POST", "/v1/builds"),
            ("GET", "/nothing"),
            ("BREW", "/"),
            ("GET", "/v1//builds"),
        )
    ]
    assert bodies == [NEEDED] * len(bodies)
    revoked = add_token(zoo.path, "gone", "admin")
    client = zoo.again()
    assert client.get("/v1/limits", headers=bearer(revoked)).status_code == 200
    revoke_token(zoo.path, "gone")
    client = zoo.again()
    for token in (revoked, "zoo_" + "A" * 43, "a.b.c", "x"):
        response = client.get("/v1/limits", headers=bearer(token))
        assert problem(response) == NEEDED
        assert response.headers["www-authenticate"] == INVALID


def test_a_role_that_is_not_enough_is_told_which_is(zoo: Zoo) -> None:
    for path in (f"/v1/builds/{'0' * 32}", f"/v1/builds/{build_of(zoo)}"):
        response = zoo.request("DELETE", path, "build")
        assert problem(response) == {
            "type": "/docs#problem-forbidden",
            "title": "The token does not have the role",
            "status": 403,
            "detail": "A token with the role admin is needed.",
            "role": "admin",
            "errors": [],
        }
        assert response.headers["www-authenticate"] == (
            f'{REALM}, error="insufficient_scope", scope="admin"'
        )


def build_of(zoo: Zoo) -> str:
    made: str = zoo.request("POST", "/v1/builds", "build", content=SPEC).json()["id"]
    return made


@pytest.mark.parametrize(
    "path", ["/v2/models/m/infer", "/v1/models/m:predict", "/V1/Models/m:classify"]
)
def test_other_protocols_refuse_in_their_own_form(zoo: Zoo, path: str) -> None:
    for role, status, error in (
        (None, 401, "A valid token is needed: Authorization: Bearer TOKEN."),
        ("read", 403, "A token with the role infer is needed."),
    ):
        response = zoo.request("POST", path, role, content="{}")
        assert response.status_code == status
        assert response.headers["content-type"] == "application/json"
        assert response.json()["error"] == error
    assert zoo.request("POST", path, "infer", content="{}").status_code == 404


def test_a_caller_without_a_role_may_do_nothing(zoo: Zoo) -> None:
    nobody = mock.AsyncMock(return_value=Caller("oidc:x", None))
    with mock.patch.object(Access, "find", nobody):
        assert zoo.request("GET", "/v1/limits", "admin").status_code == 403
        assert zoo.request("GET", "/nothing", "admin").status_code == 403
        assert zoo.request("GET", "/healthz", "admin").status_code == 200


def test_who_is_let_in_learns_what_is_not_there(zoo: Zoo) -> None:
    assert zoo.request("GET", "/nothing", "read").status_code == 404
    response = zoo.request("PATCH", "/v1/builds", "read")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")
    assert zoo.request("OPTIONS", "/v1/builds", "read").status_code == 405


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "{token}",
        "Basic {token}",
        "Bearer{token}",
        "Bearer\t{token}",
        "Bearer {token} {token}",
        "Bearer {token},Bearer {token}",
        "Bearer {token}, Basic x",
        'Bearer "{token}"',
        "Bearer token={token}",
        "Bearer {token}\x7f",
        "Bearer \u00a0{token}",
        "Bearer {token}====",
        "Token {token}",
        "Bearer " + "A" * 8193,
    ],
)
def test_only_a_header_as_it_is_specified_counts(zoo: Zoo, header: str) -> None:
    value = header.format(token=zoo.tokens["admin"]).encode("latin-1")
    response = zoo.client.get("/v1/limits", headers=[(b"authorization", value)])
    assert (response.status_code, response.headers["www-authenticate"]) == (401, INVALID)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer    "])
def test_the_scheme_is_of_either_case_with_any_number_of_spaces(zoo: Zoo, scheme: str) -> None:
    headers = {"Authorization": scheme + zoo.tokens["read"]}
    assert zoo.client.get("/v1/limits", headers=headers).status_code == 200


def test_of_two_headers_none_counts(zoo: Zoo) -> None:
    value = f"Bearer {zoo.tokens['admin']}"
    for others in ([value], ["Basic x"], [""]):
        headers = [("Authorization", each) for each in (value, *others)]
        assert zoo.client.get("/v1/limits", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("access_token={}", {}),
        ("token={}", {}),
        ("Authorization=Bearer%20{}", {}),
        ("", {"Cookie": "Authorization=Bearer {}"}),
        ("", {"X-Authorization": "Bearer {}"}),
        ("", {"Proxy-Authorization": "Bearer {}"}),
        ("", {"X-Forwarded-Authorization": "Bearer {}"}),
        ("", {"X-API-Key": "{}"}),
    ],
)
def test_a_token_counts_nowhere_else(zoo: Zoo, query: str, headers: dict[str, str]) -> None:
    token = zoo.tokens["admin"]
    url = f"/v1/limits?{query.format(token)}"
    sent = {name: value.format(token) for name, value in headers.items()}
    assert zoo.client.get(url, headers=sent).status_code == 401


@pytest.mark.parametrize(
    "header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL"]
)
def test_no_header_makes_another_request_of_one(zoo: Zoo, header: str) -> None:
    build_id = build_of(zoo)
    headers = {header: "DELETE" if "Method" in header else "/healthz"}
    response = zoo.request("GET", f"/v1/builds/{build_id}", "read", headers=headers)
    assert response.json()["id"] == build_id
    assert zoo.request("GET", f"/v1/builds/{build_id}", headers=headers).status_code == 401
    assert zoo.request("POST", f"/v1/builds/{build_id}", "read", headers=headers).status_code == 405
    assert zoo.request("GET", f"/v1/builds/{build_id}", "read").status_code == 200


def test_a_refused_request_is_refused_before_its_body_is_read(zoo: Zoo) -> None:
    app: Any = zoo.client.app

    async def ask() -> list[Any]:
        messages: list[Any] = []
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/weights",
            "raw_path": b"/v1/weights",
            "query_string": b"",
            "headers": [],
        }

        async def receive() -> Any:
            raise AssertionError("the body was read")

        async def send(message: Any) -> None:
            messages.append(message)

        await app(scope, receive, send)
        return messages

    messages = asyncio.run(ask())
    assert messages[0]["status"] == 401


def test_a_refused_request_takes_no_place(zoo: Zoo) -> None:
    client = zoo.again(max_concurrency=1, max_client_concurrency=1)
    for _ in range(3):
        assert client.get("/v1/limits").status_code == 401
    assert zoo.request("GET", "/v1/limits", "read").status_code == 200


# What is open ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("areas", "closed"),
    [
        ("", ["/healthz", "/v2/health/ready", "/", "/docs", "/openapi.json", "/metrics"]),
        ("metrics", ["/healthz", "/v2/health/ready", "/", "/docs", "/openapi.json"]),
        (" health , metrics ", ["/", "/docs", "/openapi.json"]),
        ("pages", ["/healthz", "/v2/health/ready", "/metrics"]),
        ("health,pages,metrics", []),
    ],
)
def test_a_setting_says_what_is_open(zoo: Zoo, areas: str, closed: list[str]) -> None:
    client = zoo.again(open_routes=areas)
    for path in ("/healthz", "/v2/health/ready", "/", "/docs", "/openapi.json", "/metrics"):
        assert client.get(path).status_code == (401 if path in closed else 200), path
    for path in closed:
        assert zoo.request("GET", path, "read").status_code in (200, 404)
    # Only what it names: other methods, and paths like them, are not.
    assert client.post("/healthz").status_code == 401
    assert client.get("/healthz/").status_code == 401
    assert client.get("/v1/builds").status_code == 401


def test_an_open_route_does_not_look_at_tokens(zoo: Zoo) -> None:
    assert zoo.client.get("/healthz", headers=bearer("wrong")).status_code == 200


def test_an_unknown_area_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="ZOO_OPEN_ROUTES does not accept 'docs'"):
        Settings(open_routes="health,docs")


# The route that is asked about is the route that answers -----------------------------------------

SEGMENTS = (
    *("v1", "v2", "V1", "models", "Models", "builds", "infer", "compare", "healthz", "metrics"),
    *("health", "live", "repository", "index", "load", "unload", "stats", "versions", "1", "x"),
    *("x:predict", "x:classify", ":", "x:", "weights", "published", "diff", "scopes", "x@1"),
    *("", ".", "..", "%2e%2e", "%2F", "a%2Fb", "%00", "%0A", "%25", ";x", "é", "docs", "assets"),
)


@settings(max_examples=400)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get"]),
    segments=st.lists(st.sampled_from(SEGMENTS), max_size=6),
    query=st.sampled_from(["", "?", "?x=1", "?format=json"]),
)
def test_a_request_is_answered_by_the_route_whose_role_was_asked_for(
    shared: TestClient, method: str, segments: list[str], query: str
) -> None:
    visits: list[tuple[str, str]] = []

    def leave(visit: Visit, *_: Any) -> None:
        answering = getattr(visit._scope.get("route"), "path", "")
        visits.append((visit._match.route, answering))

    with mock.patch.object(Visit, "leave", leave):
        response = shared.request(method, f"http://testserver/{'/'.join(segments)}{query}")
    ((asked_about, answering),) = visits
    if asked_about:
        assert answering == asked_about
    else:
        assert response.status_code in (404, 405)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A service whose every request is an administrator's."""
    home = tmp_path_factory.mktemp("home")
    token = add_token(home / "tokens.json", "a", "admin")

    with TestClient(
        create_app(Settings(home=home, open_routes=""), lambda *_: IdleEngine()),
        headers=bearer(token),
        follow_redirects=False,
        raise_server_exceptions=False,
    ) as client:
        yield client


def test_a_route_that_names_no_role_stops_the_service_from_starting() -> None:
    router = APIRouter()

    @router.get("/new")
    async def answer() -> None:
        """A route."""

    with pytest.raises(TypeError, match=r"^/new: the function names no role; see `needs`\.$"):
        Routes([router])


def test_a_preflight_needs_no_token_where_it_is_answered(zoo: Zoo) -> None:
    headers = [(b"origin", b"https://x"), (b"access-control-request-method", b"PUT")]

    def passes(method: str, *, answers: bool) -> bool:
        gate = Gate(
            Access(Tokens(zoo.path), None), frozenset(), lambda _: None, answers_preflights=answers
        )
        return gate.is_preflight({"method": method, "headers": headers})

    assert passes("OPTIONS", answers=True)
    assert not passes("OPTIONS", answers=False)
    assert not passes("PUT", answers=True)
    headers.pop()
    assert not passes("OPTIONS", answers=True)


# Limits of a token -------------------------------------------------------------------------------


def test_a_token_sends_only_so_many_requests_a_second(zoo: Zoo) -> None:
    token = add_token(zoo.path, "slow", "read", requests_per_s=0.01)
    client = zoo.again()
    assert client.get("/v1/limits", headers=bearer(token)).status_code == 200
    response = client.get("/v1/limits", headers=bearer(token))
    assert 99 <= int(response.headers["retry-after"]) <= 100
    assert problem(response) == {
        "type": "/docs#problem-too-many-requests",
        "title": "The client sends too many requests",
        "status": 429,
        "detail": "This caller may send 0.01 requests a second.",
        "reason": "token-rate",
        "errors": [],
    }
    foreign = client.get("/v2/models", headers=bearer(token))
    assert foreign.status_code == 429
    assert 99 <= int(foreign.headers["retry-after"]) <= 100
    assert foreign.json()["error"] == "This caller may send 0.01 requests a second."
    assert client.get("/healthz", headers=bearer(token)).status_code == 200
    assert zoo.request("GET", "/v1/limits", "read").status_code == 200
    families = text_string_to_metric_families(zoo.request("GET", "/metrics", "read").text)
    rejected = {
        sample.labels["reason"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "zoo_rejected_total" and sample.value
    }
    assert rejected == {"token-rate": 2}


def test_a_request_that_its_role_forbids_counts_too(zoo: Zoo) -> None:
    token = add_token(zoo.path, "slow", "read", requests_per_s=0.01)
    client = zoo.again()
    statuses = [client.post("/v1/builds", headers=bearer(token)).status_code for _ in range(2)]
    assert statuses == [403, 429]


def test_a_token_has_only_so_many_requests_in_progress(
    tmp_path: Path, make_client: Callable[..., TestClient]
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    class Held(NoEngine):
        async def trace(self, task: Any) -> Any:
            arrived.set()
            await asyncio.to_thread(go_on.wait, 30)
            return await super().trace(task)

    token = add_token(tmp_path / "home" / "tokens.json", "one", "build", concurrency=1)
    client = make_client(Held())
    client.headers.update(bearer(token))
    axes = {"spec": {"architecture": "lenet"}, "axes": {"/params/num_classes": [2]}}
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(client.post, "/v1/sweeps", content=json.dumps(axes))
        assert arrived.wait(30)
        response = client.get("/v1/limits")
        go_on.set()
        assert held.result().status_code == 200
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")
    assert problem(response)["detail"] == "1 requests of this caller are already in progress."
    assert client.get("/v1/limits").status_code == 200


# The log -----------------------------------------------------------------------------------------


def test_the_audit_has_a_line_for_each_change(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    zoo.again(engine=IdleEngine())
    configure()
    headers = {"X-Request-ID": "mine"}
    build_id = zoo.request("POST", "/v1/builds", "build", content=SPEC, headers=headers).json()[
        "id"
    ]
    path = f"/v1/builds/{build_id}"
    zoo.request("PUT", "/v1/models/m", "build", json={"build": build_id}, headers=headers)
    zoo.request("DELETE", path, "build", headers=headers)
    zoo.request("DELETE", path, "admin", headers=headers)
    zoo.request("DELETE", path, headers=headers)
    # None of these changes anything.
    zoo.request("POST", "/v1/builds?keep=false", "build", content=SPEC)
    zoo.request("GET", path, "read")
    zoo.request("POST", "/v1/diff", "build", content=json.dumps({"a": json.loads(SPEC), "b": {}}))
    zoo.request("POST", "/v2/repository/index", "read")
    zoo.request("POST", "/v2/models/m/infer", "infer", content="{}")
    lines = logged(capsys, "audit")
    heads = [{name: line[name] for name in ("level", "request_id")} for line in lines]
    assert heads == [{"level": "info", "request_id": "mine"}] * 5
    names = ("caller", "method", "route", "ids", "location", "status")
    assert [[line.get(name) for name in names] for line in lines] == [
        ["token:build", "POST", "/v1/builds", {}, path, 201],
        ["token:build", "PUT", "/v1/models/{name}", {"name": "m"}, "/v1/models/m/versions/1", 201],
        ["token:build", "DELETE", "/v1/builds/{build_id}", {"build_id": build_id}, None, 403],
        ["token:admin", "DELETE", "/v1/builds/{build_id}", {"build_id": build_id}, None, 409],
        ["anonymous", "DELETE", "/v1/builds/{build_id}", {"build_id": build_id}, None, 401],
    ]
    assert [line["message"] for line in lines[:3]] == [
        f"audit token:build POST /v1/builds location={path} 201 id=mine",
        "audit token:build PUT /v1/models/{name} name=m location=/v1/models/m/versions/1 201 "
        "id=mine",
        f"audit token:build DELETE /v1/builds/{{build_id}} build_id={build_id} 403 id=mine",
    ]


def test_what_a_client_calls_a_thing_forges_no_line(
    zoo: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("text")
    zoo.request("DELETE", "/v1/scopes/a%0Aaudit%20token:x%1b[31m" + "y" * 200, "admin")
    (line,) = [each for each in capsys.readouterr().err.splitlines() if " audit " in each]
    assert "name=a\\naudit token:x\\x1b[31m" in line
    assert line.count("y") < 100


def test_the_audit_is_written_whatever_the_level(
    zoo: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(level="error")
    zoo.request("DELETE", "/v1/scopes/a", "admin")
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["logger"], line["level"]) == ("audit", "info")


def test_every_line_about_a_request_names_its_caller_and_none_has_a_token(
    zoo: Zoo, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    zoo.request("GET", "/v1/limits", "read")
    zoo.request("DELETE", "/v1/builds/x", "infer")
    zoo.request("GET", "/v1/limits", headers=bearer(zoo.tokens["read"] + "x"))
    zoo.request("GET", "/healthz", "read")
    text = capsys.readouterr().err
    lines = [json.loads(line) for line in text.splitlines()]
    access = [line for line in lines if line["logger"] == "app.access"]
    assert [line.get("caller") for line in access] == ["token:read", "token:infer", None, None]
    for token in zoo.tokens.values():
        assert token[4:] not in text


def test_the_name_of_a_caller_is_in_no_answer(zoo: Zoo) -> None:
    assert "token:infer" not in zoo.request("DELETE", "/v1/builds/x", "infer").text
    assert "token:read" not in zoo.request("GET", "/nothing", "read").text


# Settings ----------------------------------------------------------------------------------------


def test_without_tokens_everything_is_as_it_was(
    client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    configure()
    assert client.get("/v1/limits", headers=bearer("x")).status_code == 200
    assert client.delete(f"/v1/builds/{build(client)}").status_code == 204
    assert logged(capsys, "audit") == []


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    with pytest.raises(SettingsError) as refusal:
        create_app(Settings(home=tmp_path, tokens_file=path), lambda *_: NoEngine())
    assert str(refusal.value) == (
        f"{path} cannot be read: No such file or directory. (ZOO_TOKENS_FILE)"
    )


def test_a_link_that_leads_nowhere_does_not_open_the_service(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").symlink_to(tmp_path / "none.json")
    with pytest.raises(SettingsError, match="cannot be read: No such file or directory"):
        create_app(Settings(home=tmp_path), lambda *_: NoEngine())


def test_a_file_without_tokens_lets_nobody_in(
    tmp_path: Path, make_client: Callable[..., TestClient]
) -> None:
    path = tmp_path / "elsewhere.json"
    add_token(path, "a", "read")
    revoke_token(path, "a")
    client = make_client(tokens_file=path)
    assert client.get("/v1/limits").status_code == 401
    assert client.get("/healthz").status_code == 200
