"""The graph of a build over HTTP: its formats, what they take, and what is refused."""

import pytest
from starlette.testclient import TestClient
from zoo_server import build, problem

from model_zoo import BuildSpec, trace

TYPES = {
    "json": "application/json",
    "dot": "text/vnd.graphviz; charset=utf-8",
    "model-explorer": "application/x-model-explorer+json",
    "node-data": "application/x-model-explorer-node-data+json",
}


def test_each_format_is_that_of_the_library_and_chosen_by_accept_or_by_format(
    client: TestClient,
) -> None:
    report = trace(BuildSpec.read({"architecture": "lenet"})).graph_report()
    path = f"/v1/builds/{build(client)}/graph"
    responses = {name: client.get(path, params={"format": name}) for name in TYPES}
    for name, response in responses.items():
        assert response.headers["content-type"] == TYPES[name]
        accepted = client.get(path, headers={"Accept": TYPES[name].partition(";")[0]})
        assert accepted.content == response.content
    assert client.get(path).json() == responses["json"].json() == report.to_dict()
    assert responses["dot"].text == report.to_dot()
    assert responses["model-explorer"].json() == report.to_model_explorer()
    assert responses["node-data"].json() == report.to_node_data("multiply_adds")
    assert "graph;dur=" in responses["json"].headers["server-timing"]


def test_depth_and_metric_are_those_of_the_library(client: TestClient) -> None:
    report = trace(BuildSpec.read({"architecture": "lenet"})).graph_report(2)
    path = f"/v1/builds/{build(client)}/graph?depth=2"
    assert client.get(path).json() == report.to_dict()
    assert client.get(f"{path}&format=dot").text == report.to_dot()
    data = client.get(f"{path}&format=node-data&metric=parameters").json()
    assert data == report.to_node_data("parameters")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("depth=0", "Query parameter depth: input should be greater than or equal to 1."),
        ("metric=parameters", "Query parameter metric is of format node-data; the format is json."),
        (
            "format=node-data&metric=params",
            "Query parameter metric does not accept 'params'. Did you mean 'parameters'?",
        ),
        ("format=dott", "Query parameter format does not accept 'dott'. Did you mean 'dot'?"),
        ("deep=2", "There is no query parameter 'deep' here. Did you mean 'depth'?"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(client: TestClient, query: str, message: str) -> None:
    body = problem(client.get(f"/v1/builds/{build(client)}/graph?{query}"))
    assert (body["type"], body["detail"]) == ("/docs#problem-invalid-query", message)


def test_a_build_that_there_is_not_is_named(client: TestClient) -> None:
    missing = "0" * 32
    body = problem(client.get(f"/v1/builds/{missing}/graph"))
    assert (body["status"], body["detail"]) == (
        404,
        f"There is no build '{missing}'. GET /v1/builds lists them.",
    )


def test_openapi_describes_each_form(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    content = document["paths"]["/v1/builds/{build_id}/graph"]["get"]["responses"]["200"]["content"]
    assert {name: media["schema"].get("$ref") for name, media in content.items()} == {
        "application/json": "#/components/schemas/Graph",
        "application/x-model-explorer+json": "#/components/schemas/ModelExplorer",
        "application/x-model-explorer-node-data+json": "#/components/schemas/NodeData",
        "text/vnd.graphviz": None,
    }
    layer = document["components"]["schemas"]["GraphLayer"]["properties"]
    assert layer["arguments"]["items"] == {"$ref": "#/components/schemas/Argument"}
