"""Builds over HTTP: made once, listed, read, forgotten, and still there after a restart."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import build, problem

from model_zoo import list_architectures

Make = Callable[..., TestClient]


def test_a_new_build_answers_201_with_what_its_trace_tells(client: TestClient) -> None:
    response = client.post("/v1/builds", json={"architecture": "lenet"})
    body = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/v1/builds/{body['id']}"
    assert response.headers["server-timing"].startswith("trace;dur=")
    assert body["architecture"] == "lenet"
    assert body["spec"]["weights"] == {"source": "random", "seed": 0}
    assert body["input_shape"] == [28, 28, 1]
    assert body["output_shape"] == [None, 10]
    assert body["end_points"]["pool2"] == [None, 7, 7, 64]
    assert body["totals"]["parameters"] == 3_274_634
    assert body["warnings"] == []
    assert body["links"]["weights"] == f"/v1/builds/{body['id']}/weights"


@pytest.mark.parametrize("name", list_architectures())
def test_every_architecture_is_built_by_its_name_alone(client: TestClient, name: str) -> None:
    response = client.post("/v1/builds", json={"architecture": name})
    assert response.status_code == 201
    published = client.get(f"/v1/architectures/{name}").json()
    totals = response.json()["totals"]
    assert totals["parameters"] == published["parameters"]
    assert totals["multiply_adds"] == published["multiply_adds"]
    assert response.json()["output_shape"][-1] == published["classes"]
    assert response.json()["warnings"] == []


def test_the_same_spec_posted_again_answers_200_with_the_same_body(client: TestClient) -> None:
    first = client.post("/v1/builds", content='{"architecture": "lenet"}')
    again = client.post("/v1/builds", content='{"params": {}, "architecture": "lenet"}')
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]


def test_a_build_reads_back_as_it_was_made(client: TestClient) -> None:
    made = client.post("/v1/builds", json={"architecture": "cifarnet"})
    assert client.get(made.headers["location"]).json() == made.json()


def test_an_override_without_effect_is_a_warning_of_the_build(client: TestClient) -> None:
    scopes = [{"ops": ["batch_norm"], "args": {"decay": 0.9}}]
    body = client.post("/v1/builds", json={"architecture": "lenet", "scopes": scopes}).json()
    assert body["warnings"] == [
        "/scopes/0/args/decay: this override reached no call: lenet calls no batch_norm here."
    ]


def test_builds_are_listed_newest_first_in_pages(client: TestClient) -> None:
    made = [build(client, params={"num_classes": count}) for count in (2, 3, 4, 5, 6)]
    listed: list[str] = []
    page: dict[str, Any] = {"next": "/v1/builds?limit=2"}
    sizes = []
    while page["next"]:
        page = client.get(page["next"]).json()
        sizes.append(len(page["builds"]))
        listed += [item["id"] for item in page["builds"]]
    assert listed == made[::-1]
    assert sizes == [2, 2, 1]


def test_a_listing_is_filtered_by_architecture_on_every_page(client: TestClient) -> None:
    lenets = [build(client, params={"num_classes": count}) for count in (2, 3)]
    build(client, "cifarnet")
    page = client.get("/v1/builds?architecture=lenet&limit=1").json()
    following = client.get(page["next"]).json()
    assert [page["builds"][0]["id"], following["builds"][0]["id"]] == lenets[::-1]
    assert following["next"] is None
    assert page["builds"][0]["warnings"] == 0
    assert page["builds"][0]["totals"]["layers"] == 10


def test_a_listing_refuses_an_unknown_architecture_and_a_made_up_cursor(client: TestClient) -> None:
    body = problem(client.get("/v1/builds?architecture=lenett"))
    assert body["errors"] == [
        {
            "pointer": "",
            "parameter": "architecture",
            "message": "Query parameter architecture does not accept 'lenett'. "
            "Did you mean 'lenet' or 'alexnet_v2'?",
            "received": "lenett",
            "suggestion": "lenet",
        }
    ]
    body = problem(client.get("/v1/builds?cursor=-1"))
    assert body["detail"] == (
        "Query parameter cursor must be taken from the `next` of another page."
    )
    body = problem(client.get("/v1/builds?limit=0"))
    assert body["detail"] == ("Query parameter limit: input should be greater than or equal to 1.")


def test_a_forgotten_build_is_gone_and_can_be_made_again(client: TestClient) -> None:
    build_id = build(client)
    assert client.delete(f"/v1/builds/{build_id}").status_code == 204
    for method, path in [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/summary"),
        ("GET", "/explanation"),
        ("GET", "/weights"),
        ("POST", "/predict"),
    ]:
        response = client.request(method, f"/v1/builds/{build_id}{path}")
        assert problem(response) == {
            "type": "/docs#problem-unknown-build",
            "title": "There is no such build",
            "status": 404,
            "detail": f"There is no build '{build_id}'. GET /v1/builds lists them.",
            "errors": [],
        }
    assert build(client) == build_id


def test_an_id_of_any_form_is_only_unknown(client: TestClient) -> None:
    for build_id in ("%2e%2e", "a%00b", "x" * 5000, "é"):
        response = client.get(f"/v1/builds/{build_id}")
        assert response.status_code == 404
        assert len(response.content) < 500


def test_a_build_that_was_accepted_before_a_rule_came_is_still_read(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels_first = {"architecture": "mobilenet_v1_025", "input_shape": [3, 32, 32]}
    with monkeypatch.context() as earlier:
        earlier.setattr("model_zoo.spec._CHANNELS", ())
        made = client.post("/v1/builds", json=channels_first)
    assert made.status_code == 201
    assert client.post("/v1/builds", json=channels_first).status_code == 422
    for report in ("summary", "explanation", "restore-plan"):
        assert client.get(f"{made.headers['location']}/{report}").status_code == 200


def test_builds_survive_a_restart(make_client: Make) -> None:
    first = make_client()
    made = first.get(f"/v1/builds/{build(first)}").json()
    second = make_client()  # the same home
    assert second.get(made["links"]["self"]).json() == made
    assert second.get(made["links"]["summary"]).status_code == 200


def test_32_threads_with_different_scopes_get_their_own_answers(client: TestClient) -> None:
    def post(index: int) -> tuple[str, Any]:
        scopes = [{"ops": ["conv2d"], "args": {"rate": 1, "weights_regularizer": None}}]
        scopes += [{"ops": ["fully_connected"], "args": {"activation_fn": "tanh"}}] * (index % 3)
        spec = {"architecture": "lenet", "params": {"num_classes": index + 2}, "scopes": scopes}
        response = client.post("/v1/builds", content=json.dumps(spec))
        path = response.headers["location"]
        explanation = client.get(f"{path}/explanation?layer=LeNet/fc3&argument=activation_fn")
        return response.json()["output_shape"], explanation.json()["calls"][0]["arguments"][0]

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(post, range(32)))
    for index, (shape, argument) in enumerate(answers):
        assert shape == [None, index + 2]
        assert argument["value"] == ("tanh" if index % 3 else "relu")


def test_one_build_posted_by_32_threads_is_one_row(client: TestClient) -> None:
    with ThreadPoolExecutor(32) as pool:
        spec = {"architecture": "lenet"}
        responses = list(pool.map(lambda _: client.post("/v1/builds", json=spec), range(32)))
    assert sorted(response.status_code for response in responses) == [200] * 31 + [201]
    assert len({response.content for response in responses}) == 1
    assert len(client.get("/v1/builds").json()["builds"]) == 1
