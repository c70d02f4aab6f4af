"""The document's examples: every operation that needs a value has one, and all of them work."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.testclient import TestClient

from app.http.openapi_tags import TAGS

JSON = "application/json"
# No upload has the id that stands for one, no network is a regressor, and the examples before have
# unloaded the model.
REFUSED = {
    "tryRestorePlan: an upload": 422,
    "getWeights": 404,
    "deleteWeights": 404,
    "tfsRegress: an image": 400,
    "v2GetModelReady": 503,
    "v2GetVersionReady": 503,
}


class Example(NamedTuple):
    """A request that the document shows."""

    name: str
    method: str
    path: str
    query: dict[str, str]
    body: Any


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The operations of the document in the order of their groups."""
    found = [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    names = list(TAGS)
    yield from sorted(found, key=lambda each: names.index(each[2]["tags"][0]))


def examples(path: str, method: str, operation: dict[str, Any]) -> Iterator[Example]:
    """The examples of an operation: one for each body, or one without a body."""
    query: dict[str, str] = {}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
        elif parameter.get("required"):
            query[parameter["name"]] = parameter["example"]
    body = operation.get("requestBody", {"content": {}})["content"]
    name = operation["operationId"]
    for title, example in body.get(JSON, {}).get("examples", {}).items():
        yield Example(f"{name}: {title}", method, path, query, example["value"])
    if not body:
        yield Example(name, method, path, query, None)


def test_every_operation_is_in_one_group_and_every_group_is_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["tags"] == [{"name": name, "description": TAGS[name]} for name in TAGS]
    used = [operation["tags"] for _, _, operation in operations(document)]
    assert {name for (name,) in used} == set(TAGS)


def test_every_operation_with_json_or_parameters_has_examples(client: TestClient) -> None:
    for path, method, operation in operations(client.get("/openapi.json").json()):
        content = operation.get("requestBody", {"content": {}})["content"]
        if JSON in content:
            assert content[JSON]["examples"], f"{method} {path}"
        for parameter in operation.get("parameters", []):
            assert "example" in parameter or not parameter["required"], f"{method} {path}"


@pytest.mark.heavy  # some run a network
def test_every_example_works(live: httpx.Client) -> None:
    requests = [
        example
        for path, method, operation in operations(live.get("/openapi.json").json())
        for example in examples(path, method, operation)
    ]
    # What the others made is deleted after them, builds whose weights others take at last. The
    # measurement of a sweep goes on after its answer, and nothing else can be measured meanwhile.
    deleting = [each for each in reversed(requests) if each.method == "delete"]
    measuring = [
        each for each in requests if each.path.endswith("/measurements") and each not in deleting
    ]
    asking = [each for each in requests if each not in measuring + deleting]
    made: list[str] = []
    for each in (*asking, *measuring, *deleting):
        if each.name == "deleteBuild":
            for url in made:
                live.delete(url)
        answer = live.request(
            each.method, each.path, params=each.query, json=each.body, timeout=120
        )
        expected = REFUSED.get(each.name)
        assert answer.status_code == expected if expected else answer.is_success, (
            f"{each.name}: {answer.status_code} {answer.text[:500]}"
        )
        if each.name.startswith("createBuild") and each.name != "createBuild: smallest":
            made.append(answer.json()["links"]["self"])
