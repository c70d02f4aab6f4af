"""Pages of other origins change and read nothing, except those of ZOO_CORS_ORIGINS."""

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from zoo_server import problem

from app.http.admission import Admission
from app.http.cross_origin import check_origin
from app.http.problems import HttpError

TEXT = {"Content-Type": "text/plain"}
SPEC = '{"architecture": "lenet"}'
LISTED = "https://lab.example"
OTHER = "https://other.example"
EXPOSED = (
    "Accept-Ranges, Allow, Content-Disposition, Content-Encoding, Content-Length, Content-Range, "
    "ETag, Inference-Header-Content-Length, Location, Retry-After, Server-Timing, Sweep-Rows, "
    "TraceResponse, Warning, WWW-Authenticate, X-Request-ID"
)


@pytest.fixture
def open_client(make_client: Callable[..., TestClient]) -> TestClient:
    """The service, which a page of one other origin may use."""
    return make_client(cors_origins=(LISTED, "http://localhost:3000"))


def cors(response: object) -> dict[str, str]:
    """Return the headers of an answer that a browser reads before a page may."""
    headers = response.headers  # type: ignore[attr-defined]
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


def from_page(origin: str, site: str = "cross-site") -> dict[str, str]:
    return {"Origin": origin, "Sec-Fetch-Site": site}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_origin_posts_nothing(client: TestClient, site: str) -> None:
    response = client.post("/v1/builds", content=SPEC, headers={**TEXT, "Sec-Fetch-Site": site})
    assert problem(response) == {
        "type": "/docs#problem-cross-site",
        "title": "A page of another origin may not do this",
        "status": 403,
        "detail": f"A page of another origin sent this POST (Sec-Fetch-Site: {site}); only pages "
        "of this service may.",
        "received": site,
        "errors": [],
    }
    assert client.get("/v1/builds").json()["builds"] == []


def test_the_protocols_refuse_in_their_own_form(client: TestClient) -> None:
    response = client.post("/v2/models/m/infer", headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert response.json()["error"].startswith("A page of another origin sent this POST ")


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "same-origin"}])
def test_programs_and_own_pages_post(client: TestClient, headers: dict[str, str]) -> None:
    response = client.post("/v1/builds", content=SPEC, headers={**TEXT, **headers})
    assert response.status_code == 201


def test_links_from_other_sites_open(client: TestClient) -> None:
    for method in ("GET", "HEAD"):
        headers = {"Sec-Fetch-Site": "cross-site"}
        assert client.request(method, "/v1/builds", headers=headers).status_code == 200


def test_what_a_user_does_himself_is_of_no_site() -> None:
    check_origin("POST", "none")


def test_without_the_setting_no_page_reads_an_answer(client: TestClient) -> None:
    response = client.get("/v1/limits", headers=from_page(LISTED))
    assert cors(response) == {}
    preflight = {**from_page(LISTED), "Access-Control-Request-Method": "POST"}
    response = client.options("/v1/builds", headers=preflight)
    assert (response.status_code, cors(response)) == (405, {})


def test_a_listed_page_posts_and_reads_the_answer(open_client: TestClient) -> None:
    response = open_client.post("/v1/builds", content=SPEC, headers=from_page(LISTED))
    assert response.status_code == 201
    assert cors(response) == {
        "access-control-allow-origin": LISTED,
        "access-control-expose-headers": EXPOSED,
    }
    assert response.headers["vary"] == "Origin"


def test_a_page_that_is_not_listed_does_neither(open_client: TestClient) -> None:
    response = open_client.post("/v1/builds", content=SPEC, headers=from_page(OTHER))
    assert problem(response) == {
        "type": "/docs#problem-cross-site",
        "title": "A page of another origin may not do this",
        "status": 403,
        "detail": f"A page of another origin sent this POST (Origin: {OTHER}); only pages of this "
        "service and of ZOO_CORS_ORIGINS may.",
        "received": OTHER,
        "errors": [],
    }
    assert "access-control-allow-origin" not in cors(response)
    assert "access-control-allow-origin" not in cors(
        open_client.get("/v1/limits", headers=from_page(OTHER))
    )


@pytest.mark.parametrize("origin", ["null", f"{LISTED}.evil.example", LISTED.upper(), ""])
def test_an_origin_is_listed_as_it_is_or_not_at_all(open_client: TestClient, origin: str) -> None:
    response = open_client.post("/v1/builds", content=SPEC, headers=from_page(origin))
    assert response.status_code == 403


def test_every_answer_says_that_it_depends_on_the_origin(open_client: TestClient) -> None:
    """A cache must not give a page of a listed origin what it kept for another."""
    for headers in ({}, from_page(OTHER), from_page(LISTED)):
        assert "Origin" in open_client.get("/v1/limits", headers=headers).headers["vary"]
    assert open_client.get("/", headers=from_page(LISTED)).headers["vary"] in (
        "Accept-Encoding, Origin",
        "Origin",  # the page was not built
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("POST", "/v1/builds", 400), ("POST", "/v2/models/m/infer", 404)],
)
def test_a_listed_page_reads_problems(
    open_client: TestClient, method: str, path: str, status: int
) -> None:
    response = open_client.request(method, path, content="{", headers=from_page(LISTED))
    assert response.status_code == status
    assert cors(response)["access-control-allow-origin"] == LISTED
    assert response.headers["x-request-id"] == response.json()["request_id"]


def test_a_listed_page_reads_that_the_service_is_full(
    make_client: Callable[..., TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(cors_origins=(LISTED,))

    def refuse(*_: object) -> None:
        raise HttpError("overloaded", "Full.", headers={"Retry-After": "1"}, reason="concurrency")

    monkeypatch.setattr(Admission, "enter", refuse)
    response = client.get("/v1/limits", headers=from_page(LISTED))
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert cors(response)["access-control-allow-origin"] == LISTED
    # The preflight has to pass, or the page would not learn why.
    asks = {**from_page(LISTED), "Access-Control-Request-Method": "PUT"}
    assert client.options("/v1/scopes/x", headers=asks).status_code == 200


def test_a_preflight_is_told_what_a_listed_page_may_send(open_client: TestClient) -> None:
    asks = {
        **from_page(LISTED),
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
        "Access-Control-Request-Private-Network": "true",
    }
    response = open_client.options("/v1/models/m", headers=asks)
    assert response.status_code == 200
    headers = cors(response)
    assert set(headers.pop("access-control-allow-methods").split(", ")) >= {
        "DELETE",
        "GET",
        "HEAD",
        "POST",
        "PUT",
    }
    assert headers == {
        "access-control-allow-origin": LISTED,
        "access-control-allow-headers": "authorization,content-type",
        "access-control-allow-private-network": "true",
        "access-control-expose-headers": EXPOSED,
        "access-control-max-age": "600",
    }
    assert response.headers["x-request-id"]


def test_a_preflight_of_another_page_is_refused_in_words(open_client: TestClient) -> None:
    asks = {**from_page(OTHER), "Access-Control-Request-Method": "DELETE"}
    response = open_client.options("/v1/builds", headers=asks)
    assert problem(response)["detail"] == (
        f"A page of another origin sent a preflight of DELETE (Origin: {OTHER}); only pages of "
        "this service and of ZOO_CORS_ORIGINS may."
    )
    assert "access-control-allow-origin" not in cors(response)


def test_an_options_that_is_no_preflight_is_answered_as_before(open_client: TestClient) -> None:
    response = open_client.options("/v1/builds", headers={"Origin": LISTED})
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")


def test_a_star_lets_any_page_in_without_credentials(
    make_client: Callable[..., TestClient],
) -> None:
    client = make_client(cors_origins=("*",))
    response = client.post("/v1/builds", content=SPEC, headers=from_page(OTHER))
    assert response.status_code == 201
    assert cors(response) == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": EXPOSED,
    }
