"""Under the foreign protocols an error is a string, and its status one that clients know."""

from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.errors import ServiceError
from app.http.admission import Admission
from app.http.envelope import Envelope
from app.http.problem_types import PROBLEM_TYPES
from app.http.problems import query_error
from model_zoo import InputError, Problem


def refused(error: Exception, method: str, path: str) -> Any:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    return TestClient(Envelope(refuse, Admission(8))).request(method, path)


def test_the_members_of_a_problem_stand_beside_the_error() -> None:
    problem = Problem("2 values are too few.", "/inputs/0/data", [1, 2], None)
    response = refused(InputError(problem), "POST", "/v2/models/cat/infer")
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    body = response.json()
    assert body.pop("request_id") == response.headers["x-request-id"]
    assert body == {
        "error": "/inputs/0/data: 2 values are too few.",
        "type": "/docs#problem-invalid-input",
        "title": "The input does not fit the network",
        "status": 400,
        "detail": "/inputs/0/data: 2 values are too few.",
        "errors": [
            {
                "pointer": "/inputs/0/data",
                "message": "2 values are too few.",
                "received": [1, 2],
                "suggestion": None,
            }
        ],
    }


@pytest.mark.parametrize("kind", PROBLEM_TYPES)
@pytest.mark.parametrize("path", ["/v2/models/cat/infer", "/v1/models/cat:predict"])
def test_every_kind_of_problem_has_a_string_and_a_status_that_is_known(
    kind: str, path: str
) -> None:
    response = refused(ServiceError(kind, "So it is."), "POST", path)
    assert response.status_code == (
        400 if PROBLEM_TYPES[kind].status == 422 else PROBLEM_TYPES[kind].status
    )
    assert response.json()["error"].endswith("So it is.")
    assert response.json()["status"] == response.status_code


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2", 400),
        ("GET", "/v2/", 400),
        ("PUT", "/v2/models/cat", 400),
        ("GET", "/v1/models/cat", 400),
        ("HEAD", "/v1/models/cat", 400),
        ("POST", "/v1/models/cat/versions/1:predict", 400),
        ("PUT", "/v1/models/cat", 422),
        ("DELETE", "/v1/models/cat", 422),
        ("GET", "/v1/models", 422),
        ("GET", "/v1/models/", 422),
        ("POST", "/v1/models", 422),
    ],
)
def test_422_is_400_except_in_our_own_registry(method: str, path: str, status: int) -> None:
    response = refused(query_error("x", "No x here.", "1", None), method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    if method != "HEAD":
        assert response.json()["error"] == "No x here."


@pytest.mark.parametrize("path", ["/v1/builds", "/v20", "/v1/modelsx", "/v1", "/metrics"])
def test_other_paths_answer_with_problems(path: str) -> None:
    response = refused(query_error("x", "No x here.", "1", None), "GET", path)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert "error" not in response.json()


def test_an_unknown_path_is_said_to_be_so(client: TestClient) -> None:
    for path in ("/v2/nope", "/v2/models/a/b/c/d", "/v2//"):
        response = client.get(path)
        assert response.status_code == 404
        assert response.json()["error"] == (
            "Not Found: No route has this path. /docs lists the routes."
        )


def test_a_fault_tells_nothing_of_the_inside() -> None:
    response = refused(RuntimeError("secret /etc/path"), "POST", "/v2/models/cat/infer")
    assert response.status_code == 500
    assert response.json()["error"] == "internal error"
    assert "secret" not in response.text


def test_a_lone_surrogate_of_a_client_is_told_all_the_same() -> None:
    response = refused(ServiceError("malformed-json", "\ud800"), "POST", "/v2/models/cat/infer")
    assert response.json()["error"] == "\ud800"
