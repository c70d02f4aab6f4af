"""Saved scopes over HTTP: kept under names, named by specs, and never part of a build's id."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fake_worker import in_reader
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, npy_bytes, problem

from app.engine import Answer

Make = Callable[..., TestClient]

ELU = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}}
TANH = {"ops": ["fully_connected"], "args": {"activation_fn": "tanh"}}
DECAY = {"ops": ["batch_norm"], "args": {"decay": 0.9}}
NO_DEFAULT_SCOPE = (
    "/default_scope: null leaves out lenet_arg_scope; published checkpoints of lenet were made "
    "inside it. This drops weights_initializer, weights_regularizer of conv2d and fully_connected; "
    "activation_fn of fully_connected."
)


def put(client: TestClient, name: str, *levels: Any) -> dict[str, Any]:
    response = client.put(f"/v1/scopes/{name}", json={"levels": list(levels)})
    assert response.status_code in (200, 201), response.text
    body: dict[str, Any] = response.json()
    return body


def post(client: TestClient, *scopes: Any, **spec: Any) -> dict[str, Any]:
    spec = {"architecture": "lenet", **spec, "scopes": list(scopes)}
    response = client.post("/v1/builds", json=spec)
    assert response.status_code in (200, 201), response.text
    body: dict[str, Any] = response.json()
    return body


def refusal(response: Any) -> dict[str, Any]:
    """Return the one error of a problem."""
    (error,) = problem(response)["errors"]
    found: dict[str, Any] = error
    return found


# Names and versions ---------------------------------------------------------------------------


def test_a_new_scope_answers_201_with_its_levels_and_version(client: TestClient) -> None:
    levels = [{"ops": ["fully_connected", "conv2d"], "args": {"weights_regularizer": None}}]
    response = client.put("/v1/scopes/house", json={"levels": levels})
    body = response.json()
    assert response.status_code == 201
    digest = body["digest"]
    assert response.headers["location"] == f"/v1/scopes/house@{digest}"
    assert body.pop("created").endswith("Z")
    assert body == {
        "name": "house",
        "digest": digest,
        "levels": [{"ops": ["conv2d", "fully_connected"], "args": {"weights_regularizer": None}}],
        "replaces": False,
        "saved_scopes": [],
        "warnings": [],
        "links": {"self": f"/v1/scopes/house@{digest}", "current": "/v1/scopes/house"},
    }


def test_the_same_levels_are_the_same_version(client: TestClient) -> None:
    first = client.put("/v1/scopes/house", json={"levels": [ELU]})
    again = client.put("/v1/scopes/house", json={"levels": [ELU]})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert len(client.get("/v1/scopes").json()["scopes"]) == 1


def test_a_name_stands_for_what_was_put_last_and_a_digest_for_one_version(
    client: TestClient,
) -> None:
    one, two = put(client, "house", ELU), put(client, "house", TANH)
    assert client.get("/v1/scopes/house").json() == two
    assert client.get(f"/v1/scopes/house@{one['digest']}").json() == one
    assert client.get(f"/v1/scopes/house@{one['digest'][:15]}").json() == one
    put(client, "house", ELU)
    assert client.get("/v1/scopes/house").json() == one


def test_versions_are_listed_last_put_first_in_pages(client: TestClient) -> None:
    made = [put(client, "house", ELU), put(client, "other", ELU), put(client, "house", TANH)]
    put(client, "house", ELU)
    order = [made[0], made[2], made[1]]
    page = client.get("/v1/scopes?limit=2").json()
    rest = client.get(page["next"]).json()
    assert [*page["scopes"], *rest["scopes"]] == [
        {
            **{key: each[key] for key in ("name", "digest", "created", "links")},
            "level_count": 1,
        }
        for each in order
    ]
    assert rest["next"] is None
    own = client.get("/v1/scopes?name=house&limit=1").json()
    assert own["scopes"][0]["digest"] == made[0]["digest"]
    following = client.get(own["next"]).json()
    assert [each["digest"] for each in following["scopes"]] == [made[2]["digest"]]
    assert following["next"] is None


def test_a_version_or_a_name_is_deleted_and_builds_keep_its_levels(client: TestClient) -> None:
    one, two = put(client, "house", ELU), put(client, "house", TANH)
    made = post(client, {"include": "house"})
    assert client.delete(two["links"]["self"]).status_code == 204
    assert client.get("/v1/scopes/house").json() == one
    assert client.delete("/v1/scopes/house").status_code == 204
    assert client.get("/v1/scopes").json() == {"scopes": [], "next": None}
    assert client.get(made["links"]["self"]).json() == made


def test_scopes_survive_a_restart(make_client: Make) -> None:
    made = put(make_client(), "house", ELU)
    assert make_client().get("/v1/scopes/house").json() == made


def test_an_unknown_scope_is_told_with_the_nearest_name(client: TestClient) -> None:
    digest = put(client, "house", ELU)["digest"]
    cases = {
        "hous": "There is no saved scope 'hous'. Did you mean 'house'?",
        "house@sha256:00000000": f"The saved scope 'house' has no version sha256:00000000; the "
        f"current one is {digest}.",
        "house@1": "A saved scope's name has 1 to 64 letters, digits, dots, underscores and "
        "hyphens, and begins with a letter or digit. A version is name@sha256: and at least 8 "
        "digits.",
    }
    for name, message in cases.items():
        for method in ("GET", "DELETE"):
            assert problem(client.request(method, f"/v1/scopes/{name}")) == {
                "type": "/docs#problem-unknown-scope",
                "title": "There is no such saved scope",
                "status": 404,
                "detail": message,
                "errors": [],
            }


def test_the_nearest_of_many_names_begin_alike(client: TestClient) -> None:
    for number in range(70):
        put(client, f"a{number}")
    put(client, "house")
    body = problem(client.get("/v1/scopes/hous"))
    assert body["detail"] == "There is no saved scope 'hous'. Did you mean 'house'?"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "-house",
            "A saved scope's name has 1 to 64 letters, digits, dots, underscores and hyphens, and "
            "begins with a letter or digit.",
        ),
        (
            "house@sha256:00000000",
            "A saved scope's name has 1 to 64 letters, digits, dots, underscores and hyphens, and "
            "begins with a letter or digit. A version has no name: its digest follows from its "
            "levels.",
        ),
    ],
)
def test_a_name_of_another_form_is_refused(client: TestClient, name: str, message: str) -> None:
    body = problem(client.put(f"/v1/scopes/{name}", json={"levels": []}))
    assert (body["status"], body["detail"]) == (422, message)


def test_levels_that_are_not_valid_are_refused_at_their_places(client: TestClient) -> None:
    levels = [ELU, {"ops": ["conv2d"], "args": {"pading": "SAME"}}, {"include": "other"}]
    body = problem(client.put("/v1/scopes/house", json={"levels": levels[:2]}))
    assert body["errors"] == [
        {
            "pointer": "/levels/1/args/pading",
            "message": "conv2d has no argument 'pading'. Did you mean 'padding'?",
            "received": "pading",
            "suggestion": "padding",
        }
    ]
    assert refusal(client.put("/v1/scopes/house", json={"levels": levels[2:]})) == {
        "pointer": "/levels/0/include",
        "message": "There is no saved scope 'other'. There are none.",
        "received": "other",
        "suggestion": None,
    }


def test_a_full_store_takes_no_other_version_but_those_it_has(make_client: Make) -> None:
    client = make_client(max_saved_scopes=1)
    put(client, "house", ELU)
    put(client, "house", ELU)
    response = client.put("/v1/scopes/house", json={"levels": [TANH]})
    assert response.status_code == 503
    assert problem(response)["detail"] == (
        "The store already has 1 version of saved scopes (ZOO_MAX_SAVED_SCOPES). DELETE "
        "/v1/scopes/{name} makes room."
    )


def test_32_threads_put_versions_of_one_name(client: TestClient) -> None:
    def each(number: int) -> int:
        level = {"ops": ["batch_norm"], "args": {"decay": number % 8 / 8}}
        return client.put("/v1/scopes/house", json={"levels": [level]}).status_code

    with ThreadPoolExecutor(32) as pool:
        statuses = sorted(pool.map(each, range(32)))
    assert statuses == [200] * 24 + [201] * 8
    assert len(client.get("/v1/scopes?name=house").json()["scopes"]) == 8


# Specs ----------------------------------------------------------------------------------------


def test_a_build_has_the_levels_by_value_and_names_where_they_are_from(client: TestClient) -> None:
    house = put(client, "house", ELU, DECAY)
    made = post(client, TANH, {"include": "house"})
    assert made["spec"]["scopes"] == [TANH, ELU, DECAY]
    assert made["saved_scopes"] == [
        {"name": "house", "digest": house["digest"], "levels": ["/scopes/1", "/scopes/2"]}
    ]
    assert made["warnings"] == [
        "/scopes/2/args/decay: this override reached no call: lenet calls no batch_norm here."
    ]
    assert client.get(made["links"]["self"]).json() == made
    explanation = client.get(f"{made['links']['explanation']}?op=conv2d").json()
    assert [each["pointer"] for each in explanation["overrides"]] == [
        "/scopes/1/args/activation_fn"
    ]


def test_an_id_does_not_change_when_a_name_moves(client: TestClient) -> None:
    first = put(client, "house", ELU)
    made = post(client, {"include": "house"})
    put(client, "house", TANH)
    assert client.get(made["links"]["self"]).json() == made
    assert post(client, {"include": "house"})["id"] != made["id"]
    assert post(client, {"include": f"house@{first['digest']}"}) == made
    assert build(client, scopes=[ELU]) == made["id"]


def test_a_build_tells_the_names_that_it_was_last_posted_with(client: TestClient) -> None:
    digest = put(client, "house", ELU)["digest"]
    plain = post(client, ELU)
    assert "saved_scopes" not in plain
    named = post(client, {"include": "house"})
    assert named["saved_scopes"][0]["name"] == "house"
    put(client, "other", ELU)
    other = post(client, {"include": "other"})
    assert other["saved_scopes"] == [{"name": "other", "digest": digest, "levels": ["/scopes/0"]}]
    assert client.get(other["links"]["self"]).json() == other
    assert post(client, ELU) == plain
    assert client.get(other["links"]["self"]).json() == plain


@pytest.mark.parametrize("named_first", [True, False])
def test_a_spec_that_names_no_scope_is_not_told_of_another_clients(
    client: TestClient, named_first: bool
) -> None:
    put(client, "secret-project", ELU)
    if not named_first:
        post(client, ELU, default_scope=None)
    named = post(client, {"saved": "secret-project"})
    assert "secret-project" in named["warnings"][0]
    plain = post(client, ELU, default_scope=None)
    assert plain["id"] == named["id"]
    assert "saved_scopes" not in plain
    assert plain["warnings"] == [NO_DEFAULT_SCOPE]
    assert client.get(plain["links"]["self"]).json() == plain
    (item,) = client.get("/v1/builds").json()["builds"]
    assert item["warnings"] == 1


def test_saved_replaces_the_default_scope_and_warns_of_what_it_drops(client: TestClient) -> None:
    put(client, "house", ELU)
    written_out = post(client, ELU, default_scope=None)
    made = post(client, TANH, {"saved": "house"})
    assert made["id"] == written_out["id"]
    assert made["spec"]["default_scope"] is None
    assert made["spec"]["scopes"] == [ELU]
    assert made["warnings"] == [
        "/default_scope: the saved scope 'house' replaces lenet_arg_scope; published checkpoints "
        "of lenet were made inside it. This drops weights_initializer, weights_regularizer of "
        "conv2d and fully_connected; activation_fn of fully_connected.",
        "/scopes: the saved scope 'house' replaces the levels that the request has before it: "
        "activation_fn of fully_connected.",
    ]
    assert client.get(made["links"]["self"]).json() == made
    assert client.get("/v1/builds").json()["builds"][0]["warnings"] == 2


def test_a_scope_made_of_others_tells_them(client: TestClient) -> None:
    house = put(client, "house", ELU)
    other = put(client, "other", TANH, {"saved": "house"}, DECAY)
    assert other["levels"] == [ELU, DECAY]
    assert other["replaces"]
    assert other["saved_scopes"] == [
        {"name": "house", "digest": house["digest"], "levels": ["/levels/0"]}
    ]
    assert other["warnings"] == [
        "/levels: the saved scope 'house' replaces the levels that the request has before it: "
        "activation_fn of fully_connected."
    ]
    assert client.get("/v1/scopes/other").json() == other


def test_errors_point_into_the_request(client: TestClient) -> None:
    put(client, "house", ELU, DECAY)
    spec = {"architecture": "lenet", "strict": True, "scopes": [TANH, {"include": "house"}]}
    assert refusal(client.post("/v1/builds", json=spec)) == {
        "pointer": "/scopes/1/include",
        "message": "/levels/1/args/decay: this override reached no call: lenet calls no "
        "batch_norm here.",
        "received": 0.9,
        "suggestion": None,
    }
    spec = {"architecture": "lenet", "scopes": [TANH, {"include": "hous"}]}
    assert refusal(client.post("/v1/builds", json=spec)) == {
        "pointer": "/scopes/1/include",
        "message": "There is no saved scope 'hous'. Did you mean 'house'?",
        "received": "hous",
        "suggestion": "house",
    }


def test_nested_levels_are_counted(make_client: Make) -> None:
    client = make_client(max_scopes=4)
    put(client, "house", *[ELU] * 3)
    spec = {"architecture": "lenet", "scopes": [{"include": "house"}] * 2}
    assert refusal(client.post("/v1/builds", json=spec)) == {
        "pointer": "/scopes",
        "message": "This build has 6 levels; the limit is 4 (ZOO_MAX_SCOPES).",
        "received": 6,
        "suggestion": None,
    }
    levels = {"levels": [{"include": "house"}] * 2}
    assert refusal(client.put("/v1/scopes/other", json=levels)) == {
        "pointer": "/levels",
        "message": "This scope has 6 levels; the limit is 4 (ZOO_MAX_SCOPES).",
        "received": 6,
        "suggestion": None,
    }


class ZeroEngine(NoEngine):
    """Answers with zeros."""

    async def read(self, task: Any, buffers: Any) -> Any:
        return in_reader(task, buffers)

    async def infer(self, model: Any, rows: Any, outputs: Any, **_options: Any) -> Answer:
        return Answer({"output": np.zeros((rows.count, 10), np.float32)}, {}, rows.count)


def test_infer_takes_a_spec_that_names_a_scope(make_client: Make) -> None:
    client = make_client(ZeroEngine())
    put(client, "house", ELU, DECAY)
    form = {
        "spec": (None, '{"architecture": "lenet", "scopes": [{"include": "house"}]}'),
        "array": ("row.npy", npy_bytes(np.zeros((28, 28, 1), np.float32))),
    }
    body = client.post("/v1/infer", files=form).json()
    assert body["build"] == build(client, scopes=[ELU, DECAY])
    assert body["warnings"] == [
        "/scopes/1/args/decay: this override reached no call: lenet calls no batch_norm here."
    ]


# The scope at a layer -------------------------------------------------------------------------


def test_the_scope_at_a_layer_is_put_as_it_is(client: TestClient) -> None:
    level = {**ELU, "layers": ["*/conv2"]}
    forced = {"ops": ["conv2d"], "args": {"padding": "SAME"}, "force": True}
    made = post(client, level, forced)
    scope = client.get(f"{made['links']['self']}/scopes?layer=LeNet/conv2").json()
    regularizer = {"name": "l2_regularizer", "scale": 0.0}
    initializer = {"name": "truncated_normal_initializer", "mean": 0.0, "stddev": 0.1}
    shared = {"weights_regularizer": regularizer, "weights_initializer": initializer}
    assert scope == {
        "levels": [
            {"ops": ["conv2d"], "args": {**shared, "activation_fn": "elu"}},
            {"ops": ["fully_connected"], "args": {**shared, "activation_fn": "relu"}},
            forced,
        ],
        "left_out": [],
    }
    response = client.put("/v1/scopes/conv2", json=scope)
    assert (response.status_code, response.json()["levels"]) == (201, scope["levels"])
    again = post(client, {"saved": "conv2"})
    assert client.get(f"{again['links']['self']}/scopes?layer=LeNet/conv2").json() == scope


def test_what_is_left_out_is_told_again_when_the_scope_is_put(client: TestClient) -> None:
    made = build(client, "nasnet_cifar", params={"num_classes": 10})
    scope = client.get(f"/v1/builds/{made}/scopes?layer=l1_stem_3x3").json()
    assert scope["left_out"] == [
        {
            "op": "fully_connected",
            "argument": "scope",
            "value": "FC",
            "reason": "scope of fully_connected feeds or names one call, so a scope cannot set it.",
        }
    ]
    body = client.put("/v1/scopes/stem", json=scope).json()
    assert body["levels"] == scope["levels"]
    assert body["warnings"] == [
        "/left_out: no level can set these arguments (1); they are not kept."
    ]


def test_an_unknown_layer_is_refused_with_the_nearest(client: TestClient) -> None:
    path = f"/v1/builds/{build(client)}/scopes"
    assert refusal(client.get(f"{path}?layer=LeNet/conv3")) == {
        "pointer": "",
        "parameter": "layer",
        "message": "Query parameter layer does not accept 'LeNet/conv3'. Did you mean "
        "'LeNet/conv2' or 'LeNet/conv1' or 'LeNet/fc3'?",
        "received": "LeNet/conv3",
        "suggestion": "LeNet/conv2",
    }
    assert problem(client.get(path))["detail"] == "Query parameter layer: field required."
