"""Behind a prefix (ZOO_ROOT_PATH), whether the proxy strips it or not."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate
from starlette.testclient import TestClient
from zoo_server import build

SPEC = {"architecture": "lenet"}


@pytest.fixture(params=["/tools/zoo", ""], ids=["passed on", "stripped"])
def sent(request: pytest.FixtureRequest) -> str:
    """What of the prefix reaches the service."""
    prefix: str = request.param
    return prefix


@pytest.fixture
def client(make_client: Callable[..., TestClient]) -> TestClient:
    """The service behind a prefix."""
    return make_client(root_path="/tools/zoo")


def links(node: Any) -> Iterator[str]:
    """Yield every text of a document that is an absolute path of the service."""
    match node:
        case dict():
            for value in node.values():
                yield from links(value)
        case list():
            for item in node:
                yield from links(item)
        case str() if node.startswith("/"):
            yield node


def test_every_link_leads_through_the_proxy(client: TestClient, sent: str) -> None:
    build_id = build(client)
    build(client, params={"num_classes": 11})
    client.put("/v1/scopes/house", json={"levels": []})
    client.put("/v1/scopes/house", json={"levels": [{"ops": ["conv2d"], "args": {"stride": 1}}]})
    sweep = {"spec": SPEC, "axes": {"/params/num_classes": [2, 3, 4]}}
    answers = [
        client.post(f"{sent}/v1/builds", json=SPEC),
        client.get(f"{sent}/v1/builds?limit=1"),
        client.get(f"{sent}/v1/scopes?limit=1"),
        client.post(f"{sent}/v1/sweeps?limit=1", json=sweep),
        client.post(f"{sent}/v1/sweeps?limit=1&dry_run=true", json=sweep),
        client.get(f"{sent}/v1/sweeps"),
        client.get(f"{sent}/v1/ops"),
        client.get(f"{sent}/v1/architectures"),
        client.get(f"{sent}/v1/builds/{build_id}"),
        client.get(f"{sent}/v1/nothing"),
        client.get(f"{sent}/v2/models/nothing"),
    ]
    count = 0
    for answer in answers:
        body = answer.json()
        for part in ("spec", "sweep", "places", "default_scope"):  # JSON pointers
            body.pop(part, None)
        for row in body.get("rows", ()):
            row.clear()
        for path in [*links(body), *filter(None, [answer.headers.get("location")])]:
            assert path.startswith("/tools/zoo/"), (answer.url, path)
            count += 1
            known = client.options(path.partition("#")[0])
            assert known.status_code == 405, path  # 404 where there is no route
    assert count > 80


def test_a_location_leads_through_the_proxy(client: TestClient, sent: str) -> None:
    response = client.post(f"{sent}/v1/builds", content=json.dumps(SPEC))
    assert response.headers["location"] == f"/tools/zoo/v1/builds/{response.json()['id']}"


def test_a_problem_is_in_the_form_of_its_route(client: TestClient, sent: str) -> None:
    own = client.get(f"{sent}/v1/nothing")
    assert own.headers["content-type"] == "application/problem+json"
    assert (own.json()["type"], own.json()["detail"]) == (
        "/tools/zoo/docs#problem-not-found",
        "No route has this path. /tools/zoo/docs lists the routes.",
    )
    foreign = client.get(f"{sent}/v2/models/nothing")
    assert foreign.headers["content-type"] == "application/json"
    assert foreign.json()["error"].startswith("There is no model 'nothing'.")
    refused = client.post(f"{sent}/v1/models/nothing:predict", content="{")
    assert (refused.status_code, "error" in refused.json()) == (404, True)


def test_probes_work_with_and_without_it(client: TestClient) -> None:
    for path in ("/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"):
        assert client.get(path).status_code == 200
        assert client.get(f"/tools/zoo{path}").status_code == 200


def test_openapi_names_the_prefix(client: TestClient, sent: str) -> None:
    document = client.get(f"{sent}/openapi.json").json()
    assert document["servers"] == [{"url": "/tools/zoo"}]
    assert "/v1/builds" in document["paths"]
    problem = document["components"]["schemas"]["Problem"]
    assert "/tools/zoo/docs#problem-not-found" in problem["properties"]["type"]["enum"]
    assert problem["examples"][0]["type"] == "/tools/zoo/docs#problem-invalid-spec"
    assert {each["type"].partition("#")[0] for each in document["x-problems"]} == {
        "/tools/zoo/docs"
    }
    validate(document)


def test_the_prefix_alone_leads_to_the_page(client: TestClient) -> None:
    """The page's own links are relative, and need the slash."""
    response = client.get("/tools/zoo?b=1")
    assert (response.status_code, response.headers["location"]) == (308, "/tools/zoo/?b=1")
    assert client.head("/tools/zoo").headers["location"] == "/tools/zoo/"
    assert client.post("/tools/zoo").status_code == 404
    for path in ("/tools/zoo/", "/tools/zoo/docs"):
        assert client.get(path).headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("path", ["/tools/zoology", "/tools", "/tools/zoo/tools/zoo/v1/ops"])
def test_only_the_whole_prefix_is_taken_off_and_once(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_without_a_prefix_links_have_none(make_client: Callable[..., TestClient]) -> None:
    client = make_client()
    assert client.post("/v1/builds", json=SPEC).headers["location"].startswith("/v1/builds/")
    assert "servers" not in client.get("/openapi.json").json()
