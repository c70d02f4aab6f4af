"""What holds for every route: errors, ids, headers, limits, the documents."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import NoEngine, problem

from app.http.admission import Admission
from app.http.envelope import Envelope
from app.http.problem_types import PROBLEM_TYPES
from app.settings import Settings

Make = Callable[..., TestClient]


def test_an_unknown_path_is_a_problem(client: TestClient) -> None:
    for path in ("/nope", "/v1/builds/", "/v1", "/assets/other.js", "/assets/..%2findex.html"):
        assert problem(client.get(path)) == {
            "type": "/docs#problem-not-found",
            "title": "There is no such route",
            "status": 404,
            "detail": "No route has this path. /docs lists the routes.",
            "errors": [],
        }


def test_a_wrong_method_is_a_problem_that_lists_the_right_ones(client: TestClient) -> None:
    response = client.put("/v1/builds/abc")
    assert response.headers["allow"] == "DELETE, GET, HEAD"
    assert problem(response) == {
        "type": "/docs#problem-method-not-allowed",
        "title": "The route does not support the method",
        "status": 405,
        "detail": "This path does not support PUT; it supports DELETE, GET, HEAD.",
        "errors": [],
    }


def test_a_mistyped_query_parameter_is_refused(client: TestClient) -> None:
    assert problem(client.get("/v1/builds?architectur=lenet")) == {
        "type": "/docs#problem-invalid-query",
        "title": "A query parameter is not valid",
        "status": 422,
        "detail": "There is no query parameter 'architectur' here. Did you mean 'architecture'?",
        "errors": [
            {
                "pointer": "",
                "parameter": "architectur",
                "message": "There is no query parameter 'architectur' here. "
                "Did you mean 'architecture'?",
                "received": "lenet",
                "suggestion": "architecture",
            }
        ],
    }
    assert problem(client.get("/healthz?x=1"))["detail"] == (
        "There is no query parameter 'x' here. There are none."
    )


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/builds", "architecture"),
        ("GET", "/v1/scopes", "name"),
        ("GET", "/v1/builds/abc/scopes", "layer"),
        ("GET", "/v1/builds/abc/weights", "opset"),
        ("POST", "/v1/builds/abc/predict", "top_k"),
        ("POST", "/v1/compare", "end_points"),
    ],
)
def test_a_query_parameter_that_is_given_twice_is_refused(
    client: TestClient, method: str, path: str, name: str
) -> None:
    message = f"Query parameter {name} takes one value; received 2."
    assert problem(client.request(method, f"{path}?{name}=lenet&{name}=2")) == {
        "type": "/docs#problem-invalid-query",
        "title": "A query parameter is not valid",
        "status": 422,
        "detail": message,
        "errors": [
            {
                "pointer": "",
                "parameter": name,
                "message": message,
                "received": ["lenet", "2"],
                "suggestion": None,
            }
        ],
    }


def test_another_servers_protocol_ignores_a_repeated_query_parameter(client: TestClient) -> None:
    assert client.get("/v2/health/live?x=1&x=2").status_code == 200


def test_a_head_answers_as_a_get_without_its_body(client: TestClient) -> None:
    for path in ("/v1/limits", "/v1/architectures/lenet", "/docs", "/nope"):
        head, get = client.head(path), client.get(path)
        assert head.status_code == get.status_code
        assert head.content == b""
        if get.status_code == 200:
            assert head.headers["content-length"] == get.headers["content-length"]
            assert int(get.headers["content-length"]) > 0


def test_a_safe_request_id_is_kept_and_any_other_is_replaced(client: TestClient) -> None:
    kept = client.get("/healthz", headers={"X-Request-ID": "a-1.B_2"})
    assert kept.headers["x-request-id"] == "a-1.B_2"
    for unsafe in ("", "a b", "a\tb", "x" * 65, "<script>", "é".encode()):
        made = client.get("/healthz", headers={"X-Request-ID": unsafe})
        assert re.fullmatch("[0-9a-f]{32}", made.headers["x-request-id"])


def test_an_internal_error_tells_nothing_of_the_inside(
    make_client: Make, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(NoEngine):
        def status(self) -> Any:
            raise RuntimeError("secret /etc/path")

    response = make_client(Broken()).get("/healthz", headers={"X-Request-ID": "the-id"})
    assert response.headers["x-content-type-options"] == "nosniff"
    assert problem(response) == {
        "type": "/docs#problem-internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": "internal error",
        "errors": [],
    }
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.getMessage() == "Request the-id failed."
    assert "secret" in str(record.exc_info)


def test_more_requests_than_the_limit_are_refused_but_not_the_health(make_client: Make) -> None:
    application = make_client().app
    client = TestClient(Envelope(application, Admission(0)))
    response = client.get("/v1/limits")
    assert response.headers["retry-after"] == "1"
    assert problem(response) == {
        "type": "/docs#problem-overloaded",
        "title": "The service is at capacity",
        "status": 503,
        "detail": "0 requests are already in progress (ZOO_MAX_CONCURRENCY).",
        "reason": "concurrency",
        "errors": [],
    }
    assert client.get("/healthz").status_code == 200


def test_health_tells_the_worker_s_state(client: TestClient) -> None:
    response = client.get("/healthz")
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "status": "ok",
        "ready": True,
        "worker": {
            "state": "ready",
            "device": "cpu",
            "restarts": 0,
            "in_flight": 0,
            "queued": 0,
            "reason": None,
        },
        "store": {"ready": True, "reason": None},
        "files": {"ready": True, "reason": None},
        "failed_packages": [],
    }


def test_limits_list_every_limit_with_its_setting(make_client: Make) -> None:
    limits = make_client(max_batch=7).get("/v1/limits").json()["limits"]
    by_name = {limit["name"]: limit for limit in limits}
    assert by_name["max_batch"] == {
        "name": "max_batch",
        "value": 7,
        "counts": "Rows in one prediction.",
        "setting": "ZOO_MAX_BATCH",
    }
    places = {"host", "port", "home", "ray_address", "device", "log_level", "log_format"}
    places |= {"database_url", "files_url", "root_path", "trusted_proxies", "cors_origins"}
    choices = {"engine", "precision", "xla", "readers", "tracers", "batch_rows", "batch_delay_s"}
    access = {"tokens_file", "anonymous", "open_routes"}
    access |= {"oidc_issuer", "oidc_audience", "oidc_role_claim"}
    assert set(by_name) == set(Settings.model_fields) - places - choices - access


def test_the_catalogue_lists_and_describes(client: TestClient) -> None:
    names = client.get("/v1/architectures").json()["architectures"]
    (lenet,) = [item for item in names if item["name"] == "lenet"]
    assert lenet == {
        "name": "lenet",
        "family": "LeNet",
        "parameters": 3274634,
        "multiply_adds": 13883904,
        "input_shape": [28, 28, 1],
        "classes": 10,
        "background_class": False,
        "preprocessing": "lenet",
        "source": lenet["source"],
        "href": "/v1/architectures/lenet",
    }
    for item in names:
        described = client.get(item["href"]).json()
        assert described["name"] == item["name"]
        assert described["default_scope"]["levels"]
    ops = client.get("/v1/ops").json()["ops"]
    assert "\n " not in client.get("/v1/ops/conv2d").json()["description"]
    for item in ops:
        assert client.get(item["href"]).json()["name"] == item["name"]
    assert problem(client.get("/v1/ops/conv4d")) == {
        "type": "/docs#problem-unknown-name",
        "title": "There is no such name in the catalogue",
        "status": 404,
        "detail": "There is no scoped op 'conv4d'. Did you mean 'conv3d' or 'conv2d'?",
        "errors": [
            {
                "pointer": "",
                "message": "There is no scoped op 'conv4d'. Did you mean 'conv3d' or 'conv2d'?",
                "received": "conv4d",
                "suggestion": "conv3d",
            }
        ],
    }


def test_openapi_describes_every_body_and_refers_only_to_what_it_has(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    text = json.dumps(document)
    for name in re.findall(r'"#/components/schemas/(\w+)"', text):
        assert name in document["components"]["schemas"], name
    assert "HTTPValidationError" not in text
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            assert operation["description"], path
            assert ("requestBody" in operation) == (method in ("post", "put")), path
    assert [item["type"] for item in document["x-problems"]] == [
        f"/docs#problem-{kind}" for kind in PROBLEM_TYPES
    ]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_needs_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "connect-src 'self'; img-src 'self' data: blob:; font-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert not re.search(r"<script(?![^>]* src=)|<style|javascript:| on[a-z]+=", page.text)
    linked = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert any(link.endswith(".js") for link in linked)
    for link in linked:
        assert not link.startswith("/")  # the service may stand under a prefix
        answer = client.get("/" + link.removeprefix("./"))
        assert answer.status_code == 200
        if "assets/" in link:
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_opens_whatever_its_links_carry(client: TestClient, path: str) -> None:
    query = "?utm_source=mail&x=1&x=2"
    assert client.get(path + query).content == client.get(path).content


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_is_sent_again_only_when_it_has_changed(
    client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = client.get(path)
    assert page.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": f'"other", {page.headers["etag"]}'}
    for answer in (client.get(path, headers=known), client.head(path, headers=known)):
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == page.headers["etag"]
    for name in ("index.html", "docs.html"):
        (tmp_path / name).write_text("<p>newer</p>", encoding="utf-8")
    monkeypatch.setattr("app.api.page._BUILT", tmp_path)
    assert client.get(path, headers=known).text == "<p>newer</p>"


def test_a_file_of_the_page_is_compressed_for_those_who_accept_it(client: TestClient) -> None:
    (script,) = re.findall(r'<script[^>]* src="\./([^"]+)"', client.get("/").text)
    plain = client.get(f"/{script}", headers={"Accept-Encoding": "identity"})
    packed = client.get(f"/{script}", headers={"Accept-Encoding": "gzip"})
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.content == plain.content
    refused = client.get(f"/{script}", headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


def test_a_page_that_was_not_built_says_so(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("app.api.page._BUILT", tmp_path)
    assert client.get("/").text == "The page was not built: run `make page`, and reload.\n"
    assert client.get("/assets/index.js").status_code == 404
