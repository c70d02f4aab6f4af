"""Builds that are not kept, and the reports of a trace beside a build."""

from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from operations import OPERATIONS
from starlette.testclient import TestClient
from zoo_server import build, problem

from app.api.builds.bodies import BuildLinks, CodeBody
from model_zoo import CODE_STYLES, BuildSpec, trace

Make = Callable[..., TestClient]

ELU = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}}
SPEC: dict[str, Any] = {"architecture": "lenet", "scopes": [ELU]}
ALL = "include=layers&include=explanation&include=graph&include=code&include=predicted_signal"


def test_a_build_that_is_not_kept_leaves_nothing_behind(client: TestClient) -> None:
    response = client.post("/v1/builds?keep=false", json=SPEC)
    body = response.json()
    assert response.status_code == 200
    assert "location" not in response.headers
    assert "store" not in response.headers["server-timing"]
    assert (body["created"], body["links"]) == (None, {})
    assert client.get(f"/v1/builds/{body['id']}").status_code == 404
    assert client.get("/v1/builds").json() == {"builds": [], "next": None}
    assert client.post("/v1/builds", json=SPEC).status_code == 201


@pytest.mark.parametrize("query", ["", ALL])
def test_it_answers_as_a_kept_build_does(client: TestClient, query: str) -> None:
    assert client.put("/v1/scopes/exponential", json={"levels": [ELU]}).status_code == 201
    idle = {"ops": ["batch_norm"], "args": {"decay": 0.9}}
    spec = {**SPEC, "scopes": [{"include": "exponential"}, idle]}
    unkept = client.post(f"/v1/builds?keep=false&{query}", json=spec).json()
    kept = client.post(f"/v1/builds?{query}", json=spec).json()
    assert (len(unkept["saved_scopes"]), len(unkept["warnings"])) == (1, 1)
    assert {**unkept, "created": kept["created"], "links": kept["links"]} == {
        **kept,
        "layers": unkept["layers"],
    }


def test_a_kept_build_has_a_report_only_if_it_is_included(client: TestClient) -> None:
    body = client.post("/v1/builds", json=SPEC).json()
    assert not {"layers", "explanation", "graph", "code", "code_problems"} & body.keys()
    assert "layers" in client.post("/v1/builds?include=layers", json=SPEC).json()


@pytest.mark.parametrize("keep", ["keep=true", "keep=false"])
def test_an_included_report_is_what_its_route_answers(client: TestClient, keep: str) -> None:
    path = f"/v1/builds/{build(client, **SPEC)}"
    body = client.post(f"/v1/builds?{keep}&{ALL}", json=SPEC).json()
    assert body["layers"] == client.get(f"{path}/summary").json()["layers"]
    assert body["explanation"] == client.get(f"{path}/explanation").json()
    assert body["graph"] == client.get(f"{path}/graph").json()
    assert body["code"] == {
        style: client.get(f"{path}/code?style={style}").text for style in CODE_STYLES
    }
    assert "code_problems" not in body


def test_the_predicted_signal_is_that_of_the_trace(client: TestClient) -> None:
    body = client.post("/v1/builds?keep=false&include=predicted_signal", json=SPEC).json()
    predicted = trace(BuildSpec.read(SPEC)).predicted_signal().to_dict()
    assert body["predicted_signal"] == predicted
    assert predicted["predicted_gain"] is not None


def test_a_style_that_cannot_express_a_build_says_why_and_spares_the_other(
    client: TestClient,
) -> None:
    spec = {**SPEC, "scopes": [{**ELU, "force": True}]}
    path = f"/v1/builds/{build(client, **spec)}/code"
    body = client.post("/v1/builds?keep=false&include=code", json=spec).json()
    assert body["code"] == {"python": client.get(path).text}
    assert body["code_problems"] == {"tf-slim": problem(client.get(f"{path}?style=tf-slim"))}


def test_every_style_of_code_is_described() -> None:
    assert set(get_type_hints(CodeBody)) == set(CODE_STYLES)


@pytest.mark.parametrize(
    ("query", "message", "suggestion"),
    [
        (
            "include=layer",
            "Query parameter include does not accept 'layer'. Did you mean 'layers'?",
            "layers",
        ),
        (
            "include=graph&include=everything",
            "Query parameter include does not accept 'everything'. "
            "Valid: 'code', 'explanation', 'graph', 'layers', 'predicted_signal'.",
            None,
        ),
        ("include=code&include=code", "Query parameter include has 'code' twice.", None),
        ("keep=false&keep=false", "Query parameter keep takes one value; received 2.", None),
        (
            "keep=maybe",
            "Query parameter keep: input should be a valid boolean, unable to interpret input.",
            None,
        ),
    ],
)
def test_what_a_query_cannot_mean_is_refused_before_anything_is_kept(
    client: TestClient, query: str, message: str, suggestion: str | None
) -> None:
    body = problem(client.post(f"/v1/builds?{query}", json=SPEC))
    assert (body["status"], body["detail"]) == (422, message)
    assert body["errors"][0]["suggestion"] == suggestion
    assert client.get("/v1/builds").json()["builds"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": [{"ops": ["conv2d"], "args": {"pading": "SAME", "stride": 0}}]},
        {"input_shape": [4, 4, 1], "params": {"clases": 3}},
        {"input_shape": [100_000, 100_000, 1]},
        {"weights": {"source": "build", "id": "0" * 32}},
        {"weights": {"source": "checkpoint", "id": "0" * 64}},
    ],
)
def test_a_refused_spec_has_the_same_problem_whether_kept_or_not(
    client: TestClient, change: dict[str, Any]
) -> None:
    unkept = problem(client.post(f"/v1/builds?keep=false&{ALL}", json={**SPEC, **change}))
    assert unkept["status"] == 422
    assert unkept == problem(client.post("/v1/builds", json={**SPEC, **change}))


def test_a_build_links_to_every_route_about_it(client: TestClient) -> None:
    body = client.post("/v1/builds", json=SPEC).json()
    place = "/v1/builds/{build_id}"
    routes = {path for each in OPERATIONS.values() if (path := each.split()[1]).startswith(place)}
    links = {path.replace(body["id"], "{build_id}") for path in body["links"].values()}
    assert links == routes
    assert set(body["links"]) == set(get_type_hints(BuildLinks))
