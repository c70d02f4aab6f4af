"""A request with tens of thousands of mistakes, or with long ones, gets a short answer at once."""

import difflib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from starlette.testclient import TestClient

from app.errors import ServiceError
from app.http.problems import problem_summary
from app.serving.model_registry import ModelRequest, read_model_request
from app.wording import MAX_RECEIVED_CHARACTERS, MAX_TEXT_CHARACTERS, MAX_WARNINGS
from model_zoo import BuildSpec, ZooError
from model_zoo.errors import MAX_PROBLEMS
from model_zoo.levels import ScopeRequest
from model_zoo.sweeps.format import SweepRequest

COUNT = 20_000
LENET = {"architecture": "lenet"}
LONG = "x" * 9000
WORDS = [f"activation_fm{number}" for number in range(COUNT)]
UNKNOWN = dict.fromkeys(WORDS, 1)


def level(**members: Any) -> dict[str, Any]:
    return {"ops": ["conv2d"], "args": {}, **members}


def spec(**members: Any) -> dict[str, Any]:
    return {**LENET, **members}


MANY = {
    "keys of a spec": ("POST", "/v1/builds", spec(**UNKNOWN)),
    "parameters": ("POST", "/v1/builds", spec(params=UNKNOWN)),
    "arguments of the default scope": ("POST", "/v1/builds", spec(default_scope=UNKNOWN)),
    "arguments of a level": ("POST", "/v1/builds", spec(scopes=[level(args=UNKNOWN)])),
    "arguments of a normalizer": (
        "POST",
        "/v1/builds",
        spec(scopes=[level(args={"normalizer_params": UNKNOWN})]),
    ),
    "ops of a level": ("POST", "/v1/builds", spec(scopes=[level(ops=WORDS)])),
    "keys of a level": ("POST", "/v1/builds", spec(scopes=[level(**UNKNOWN)])),
    "keys of a source": ("POST", "/v1/builds", spec(weights={"source": "random", **UNKNOWN})),
    "levels that are none": ("POST", "/v1/builds", spec(scopes=[1] * COUNT)),
    "ops of many levels": (
        "POST",
        "/v1/builds",
        spec(scopes=[level(ops=WORDS[:300]) for _ in range(60)]),
    ),
    "keys of a scope": ("PUT", "/v1/scopes/x", {"levels": [], **UNKNOWN}),
    "keys of a sweep": ("POST", "/v1/sweeps", {"spec": LENET, "axes": [], **UNKNOWN}),
    "specs of a sweep": (
        "POST",
        "/v1/sweeps",
        {"spaces": [{"spec": spec(params={f"a{n}": 1}), "axes": {}} for n in range(6000)]},
    ),
    "keys of a name": ("PUT", "/v1/models/x", {"build": "0" * 32, **UNKNOWN}),
    "keys of a pair": ("POST", "/v1/diff", {"a": LENET, "b": LENET, **UNKNOWN}),
    "keys of a spec of a pair": ("POST", "/v1/diff", {"a": LENET, "b": spec(**UNKNOWN)}),
}


def texts(body: Mapping[str, Any]) -> list[str]:
    items = [
        item[key]
        for item in body["errors"]
        for key in ("pointer", "message", "suggestion", "parameter")
        if item.get(key)
    ]
    return [*items, body["detail"], body.get("error", "")]


@pytest.mark.parametrize(("method", "path", "document"), MANY.values(), ids=MANY)
def test_many_mistakes_are_counted_and_only_the_first_are_told_and_compared(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, method: str, path: str, document: object
) -> None:
    compared: list[str] = []
    matches = difflib.get_close_matches

    def counted(word: str, *arguments: Any, **options: Any) -> list[str]:
        compared.append(word)
        return matches(word, *arguments, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    content = json.dumps(document).encode()
    response = client.request(method, path, content=content)
    assert response.status_code == 422, response.text[:1000]
    assert len(response.content) < len(content)
    body = response.json()
    errors = body["errors"]
    if len(errors) > 1:
        assert len(errors) == MAX_PROBLEMS + 1
        assert errors[-1]["message"].endswith(" more problems.")
    # Two levels, or two specs, may each have been read until they had enough.
    assert len(compared) <= 3 * MAX_PROBLEMS


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "/v1/builds", spec(architecture=LONG)),
        ("POST", "/v1/builds", spec(**{f"{n}{LONG}": LONG for n in range(50)})),
        ("POST", "/v1/builds", spec(params={LONG: LONG, "num_classes": LONG})),
        ("POST", "/v1/builds", spec(scopes=[level(ops=[LONG], args={LONG: LONG})])),
        ("POST", "/v1/builds", spec(scopes=[level(args={LONG: LONG})])),
        ("POST", "/v1/builds", spec(input_shape=[10**15] * 40_000)),
        ("PUT", "/v1/models/x", {"build": LONG, LONG: LONG}),
        ("PUT", f"/v1/models/{LONG}", {"build": "0" * 32}),
        ("POST", f"/v1/models/{LONG}:predict", {"instances": [LONG]}),
        ("POST", f"/v2/models/{LONG}/infer", {"inputs": [LONG]}),
        ("GET", f"/v1/architectures/{LONG}", None),
        ("GET", f"/v1/builds?{LONG}=1", None),
        ("GET", f"/v1/builds?limit={LONG}", None),
        ("GET", f"/v1/weights?cursor={LONG}", None),
        ("GET", f"/v1/limits/{LONG}", None),
        ("BREW" * 100, "/v1/builds", None),
    ],
    ids=range(16),
)
def test_no_text_of_a_refusal_is_long(
    client: TestClient, method: str, path: str, document: object
) -> None:
    content = b"" if document is None else json.dumps(document).encode()
    response = client.request(method, path, content=content)
    assert 400 <= response.status_code < 500, response.text[:1000]
    body = response.json()
    assert max(map(len, texts(body))) <= MAX_TEXT_CHARACTERS
    received = [json.dumps(item["received"]) for item in body["errors"]]
    assert max(map(len, received), default=0) <= MAX_RECEIVED_CHARACTERS + len('"..."')


def test_no_member_of_a_refusal_is_long() -> None:
    error = ServiceError("build-refused", "x", layer=LONG, scopes=[LONG, "padding"], limit=2.5)
    summary = problem_summary(error)
    assert len(summary["layer"] or "") == MAX_TEXT_CHARACTERS
    assert [len(each) for each in summary["scopes"]] == [MAX_TEXT_CHARACTERS, 7]
    assert summary["limit"] == 2.5


def test_headers_that_are_refused_are_cut(client: TestClient) -> None:
    response = client.post("/v1/infer", content=b"x", headers={"Content-Type": f"x/{LONG}"})
    assert response.status_code == 415
    assert len(response.json()["detail"]) == MAX_TEXT_CHARACTERS


def test_many_warnings_of_an_accepted_request_are_counted(client: TestClient) -> None:
    levels = [level(args={"stride": 1}, layers=[f"{n}a", f"{n}b"]) for n in range(60)]
    response = client.post("/v1/builds", json=spec(scopes=levels))
    assert response.status_code == 201, response.text[:1000]
    warnings = response.json()["warnings"]
    assert len(warnings) == MAX_WARNINGS + 1
    assert warnings[-1].endswith(" more warnings.")


MANY_ERRORS: dict[str, tuple[type[BaseModel], Mapping[str, object]]] = {
    "fields": (BuildSpec, spec(**UNKNOWN)),
    "fields of a level": (BuildSpec, spec(scopes=[level(**UNKNOWN)])),
    "fields of a source": (BuildSpec, spec(weights={"source": "random", **UNKNOWN})),
    "renames": (
        BuildSpec,
        spec(weights={"source": "build", "id": "0" * 32, "rename": UNKNOWN}),
    ),
    "levels": (BuildSpec, spec(scopes=[1] * COUNT)),
    "ops": (BuildSpec, spec(scopes=[level(ops=[1] * COUNT)])),
    "sizes": (BuildSpec, spec(input_shape=[0] * COUNT)),
    "levels of a scope": (ScopeRequest, {"levels": [{}] * COUNT}),
    "fields of a sweep": (SweepRequest, UNKNOWN),
    "class names": (ModelRequest, {"build": "0" * 32, "class_names": [1] * COUNT}),
}


@pytest.mark.parametrize(("model", "document"), MANY_ERRORS.values(), ids=MANY_ERRORS)
def test_pydantic_makes_few_errors_of_many_mistakes(
    model: type[BaseModel], document: Mapping[str, object]
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document)
    assert caught.value.error_count() <= 2  # a union tells those of each member


def test_pydantic_does_not_see_unknown_keys_of_a_naming(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Mapping[str, object]] = []
    validate = ModelRequest.model_validate

    def recorded(document: Mapping[str, object]) -> ModelRequest:
        seen.append(document)
        return validate(document)

    monkeypatch.setattr(ModelRequest, "model_validate", recorded)
    with pytest.raises(ZooError):
        read_model_request({"build": "0" * 32, **UNKNOWN})
    assert seen == [{"build": "0" * 32}]
