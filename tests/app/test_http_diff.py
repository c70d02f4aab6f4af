"""The diff of two builds over HTTP: by ids and names, of two specs, and what is refused."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import build, problem

Make = Callable[..., TestClient]

LENET = {"architecture": "lenet"}
ELU = {**LENET, "scopes": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}


def posted(client: TestClient, a: object, b: object, query: str = "") -> Any:
    return client.post(f"/v1/diff{query}", content=json.dumps({"a": a, "b": b}))


def test_two_builds_are_compared_by_ids_or_by_the_names_of_models(client: TestClient) -> None:
    first, second = build(client), build(client, scopes=ELU["scopes"])
    response = client.get(f"/v1/builds/{first}/diff/{second}")
    body = response.json()
    assert [body[side]["build"] for side in ("a", "b")] == [first, second]
    assert body["spec"] == [{"op": "add", "path": "/scopes/0", "value": ELU["scopes"][0]}]
    assert [setting["layer"] for setting in body["settings"]] == ["LeNet/conv1", "LeNet/conv2"]
    assert "diff;dur=" in response.headers["server-timing"]
    # A name is its highest version.
    for made in (first, second):
        assert client.put("/v1/models/digits", json={"build": made}).status_code == 201
    assert client.get(f"/v1/builds/{first}/diff/digits").json() == body
    assert client.get("/v1/builds/digits/diff/digits").json()["equal"] is True


def test_two_specs_are_compared_and_not_kept(client: TestClient) -> None:
    body = posted(client, LENET, ELU).json()
    assert client.get("/v1/builds").json()["builds"] == []
    path = f"/v1/builds/{build(client)}/diff/{build(client, scopes=ELU['scopes'])}"
    assert client.get(path).json() == body


def test_specs_may_name_saved_scopes(client: TestClient) -> None:
    saved = client.put("/v1/scopes/elu", json={"levels": ELU["scopes"]})
    assert saved.status_code == 201
    named = {**LENET, "scopes": [{"include": "elu"}]}
    assert posted(client, ELU, named).json()["equal"] is True


def test_formats_are_chosen_by_accept_or_by_format(client: TestClient) -> None:
    types = {
        "json": "application/json",
        "text": "text/plain; charset=utf-8",
        "csv": "text/csv; charset=utf-8",
        "dot": "text/vnd.graphviz; charset=utf-8",
    }
    path = f"/v1/builds/{build(client)}/diff/{build(client, scopes=ELU['scopes'])}"
    for name, media_type in types.items():
        response = client.get(path, params={"format": name})
        assert response.headers["content-type"] == media_type
        accepted = client.get(path, headers={"Accept": media_type.partition(";")[0]})
        assert (
            accepted.content
            == response.content
            == posted(client, LENET, ELU, f"?format={name}").content
        )
    assert client.get(path, params={"format": "text"}).text.startswith("The builds differ.\n")
    assert client.get(path, params={"format": "dot"}).text.startswith("digraph diff {\n")
    assert problem(client.get(path, params={"format": "svg"}))["detail"] == (
        "Query parameter format does not accept 'svg'. Did you mean 'csv'?"
    )


def test_one_request_says_who_set_an_argument_of_every_layer_in_both(client: TestClient) -> None:
    query = "?argument=weights_regularizer&same=true&format=csv"
    decayed = {**LENET, "default_scope": {"weight_decay": 0.5}}
    rows = [
        row
        for row in csv.DictReader(io.StringIO(posted(client, LENET, decayed, query).text))
        if row["part"] == "setting"
    ]
    assert [(row["name"], row["a"], row["b"]) for row in rows] == [
        (
            f"LeNet/{layer}",
            '{"name": "l2_regularizer", "scale": 0.0}',
            '{"name": "l2_regularizer", "scale": 0.5}',
        )
        for layer in ("conv1", "conv2", "fc3", "fc4")
    ]
    assert {row["a_written_at"].partition(":")[0] for row in rows} == {
        "model_zoo/architectures/lenet.py"
    }


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "argument=activation",
            "Query parameter argument does not accept 'activation'. Did you mean 'activation_fn'?",
        ),
        (
            "arguments=stride",
            "There is no query parameter 'arguments' here. Did you mean 'argument'?",
        ),
    ],
)
def test_a_query_that_fits_nothing_is_refused(client: TestClient, query: str, message: str) -> None:
    body = problem(posted(client, LENET, ELU, f"?{query}"))
    assert (body["type"], body["detail"]) == ("/docs#problem-invalid-query", message)


def test_a_build_or_a_model_that_there_is_not_is_named(client: TestClient) -> None:
    made = build(client)
    missing = "0" * 32
    for path, detail in {
        f"/v1/builds/{made}/diff/{missing}": (
            f"There is no build '{missing}'. GET /v1/builds lists them."
        ),
        f"/v1/builds/digits/diff/{made}": (
            "There is no model 'digits'. There are none. PUT /v1/models/{name} names a build."
        ),
    }.items():
        body = problem(client.get(path))
        assert (body["status"], body["detail"]) == (404, detail)


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (
            {"a": {**LENET, "params": {"classes": 1}}, "b": {"architecture": "lenett"}},
            [
                (
                    "/a/params/classes",
                    "lenet has no argument 'classes'. Did you mean 'num_classes'?",
                ),
                (
                    "/b/architecture",
                    "There is no architecture 'lenett'. Did you mean 'lenet' or 'alexnet_v2'?",
                ),
            ],
        ),
        (
            {"a": LENET, "c": LENET},
            [
                ("/c", "There is no key 'c' here. Valid: 'a', 'b'."),
                ("/b", "b is required: a spec."),
            ],
        ),
        (
            {"a": LENET, "b": None},
            [("/b", "A build spec is a JSON object; received null.")],
        ),
        (
            [LENET, LENET],
            [("", 'The body must be an object with two specs: {"a": {...}, "b": {...}}.')],
        ),
    ],
)
def test_mistakes_of_both_specs_have_their_places(
    client: TestClient, body: object, items: list[tuple[str, str]]
) -> None:
    refusal = problem(client.post("/v1/diff", content=json.dumps(body)))
    assert refusal["type"] == "/docs#problem-invalid-spec"
    assert [(each["pointer"], each["message"]) for each in refusal["errors"]] == items


def test_a_spec_that_its_network_refuses_is_named(client: TestClient) -> None:
    small = {**LENET, "input_shape": [2, 2, 1]}
    body = problem(posted(client, LENET, small))
    assert body["type"] == "/docs#problem-build-refused"
    assert body["detail"].startswith("/b: ")
    assert body["layer"] == "LeNet/pool2 (max_pool2d)"


def test_both_specs_are_within_the_limits(make_client: Make) -> None:
    client = make_client(max_parameters=10**6)
    body = problem(posted(client, {"architecture": "mobilenet_v1_025"}, LENET))
    assert (body["type"], body["detail"]) == (
        "/docs#problem-over-budget",
        "/b: This build has 3274634 parameters; the limit is 1000000 (ZOO_MAX_PARAMETERS).",
    )


def test_refused_specs_are_counted(client: TestClient) -> None:
    posted(client, {"architecture": "lenet", "params": 1}, LENET)
    metrics = client.get("/metrics").text
    assert 'zoo_builds_total{arch="lenet",outcome="refused"} 1.0' in metrics.splitlines()


def test_openapi_describes_the_answer_and_the_two_specs(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/diff"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["a"] == {"$ref": "#/components/schemas/BuildSpec"}
    answer = operation["responses"]["200"]["content"]
    assert list(answer) == ["application/json", "text/plain", "text/csv", "text/vnd.graphviz"]
    setting = document["components"]["schemas"]["Setting"]["properties"]
    assert setting["a"]["anyOf"][0] == {"$ref": "#/components/schemas/Argument"}
