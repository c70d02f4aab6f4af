"""Builds given names over HTTP: versions, labels, what is in memory, and what a restart keeps."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, poll

from app.engine import ModelRef, ModelState, OutOfMemoryError
from app.settings import Settings
from app.store.models import ModelStore, VersionRecord
from app.store.sqlite import SqliteDatabase

Make = Callable[..., TestClient]


class MemoryEngine(NoEngine):
    """Loads at once, never, or fails to; remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, bool]] = []
        self.states: dict[str, ModelState] = {}
        self.outcome = "ready"

    async def load(self, model: ModelRef) -> ModelState:
        self.calls.append(("load", model.key, model.pinned))
        if self.outcome == "never":
            await asyncio.Event().wait()
        if self.outcome == "fails":
            self.states[model.key] = ModelState("unavailable", "It is too large.", failed=True)
            raise OutOfMemoryError("It is too large.")
        self.states[model.key] = ModelState("ready", pinned=model.pinned)
        return self.states[model.key]

    async def unload(self, model: ModelRef) -> None:
        self.calls.append(("unload", model.key, model.pinned))
        self.states.pop(model.key, None)

    def state(self, model: ModelRef) -> ModelState:
        return self.states.get(model.key, ModelState())


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


@pytest.fixture
def client(make_client: Make, engine: MemoryEngine) -> TestClient:
    return make_client(engine)


def put(client: TestClient, name: str, build_id: str, **naming: Any) -> Any:
    return client.put(f"/v1/models/{name}", json={"build": build_id, **naming})


def versions(client: TestClient) -> dict[tuple[str, int], dict[str, Any]]:
    """Every version by name and number."""
    listed = client.get("/v1/models?limit=200").json()["models"]
    return {(item["name"], item["version"]): item for item in listed}


def refusal(response: Any) -> dict[str, Any]:
    """What is refused under /v1/models is told as TensorFlow Serving's clients read it, too."""
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert body["error"] == body["detail"]
    assert body["status"] == response.status_code
    return body


# Names and versions ---------------------------------------------------------------------------


def test_a_new_name_answers_201_with_its_version_and_where_it_is_served(
    client: TestClient,
) -> None:
    made = build(client)
    response = put(client, "digits", made, labels=["stable"], engine="tensorflow")
    body = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == "/v1/models/digits/versions/1"
    assert body.pop("created").endswith("Z")
    assert body.pop("state") in ("loading", "ready")
    assert body == {
        "name": "digits",
        "version": 1,
        "build": made,
        "labels": ["stable"],
        "options": {"engine": "tensorflow", "precision": None, "pinned": False},
        "reason": "",
        "links": {
            "build": f"/v1/builds/{made}",
            "status": "/v1/models/digits/versions/1",
            "metadata": "/v1/models/digits/versions/1/metadata",
            "predict": "/v1/models/digits/versions/1:predict",
            "open-inference": "/v2/models/digits/versions/1",
            "infer": "/v2/models/digits/versions/1/infer",
        },
    }


def test_the_same_again_answers_200_and_makes_nothing(client: TestClient) -> None:
    made = build(client)
    first = put(client, "digits", made, pinned=True)
    again = put(client, "digits", made, pinned=True)
    assert (first.status_code, again.status_code) == (201, 200)
    assert [again.json()[key] for key in ("version", "created")] == [1, first.json()["created"]]


def test_another_build_or_another_way_to_run_it_is_the_next_version(client: TestClient) -> None:
    one, two = build(client), build(client, params={"num_classes": 7})
    made = [
        put(client, "digits", one),
        put(client, "digits", two),
        put(client, "digits", two, precision="bfloat16"),
        put(client, "digits", one),  # the latest is another
    ]
    assert [response.json()["version"] for response in made] == [1, 2, 3, 4]
    assert [response.status_code for response in made] == [201] * 4


def test_a_version_may_be_given_and_the_next_follows_the_highest(client: TestClient) -> None:
    one, two = build(client), build(client, params={"num_classes": 7})
    assert put(client, "digits", one, version=1_700_000_000_000).status_code == 201
    assert put(client, "digits", one, version=5).status_code == 201
    assert put(client, "digits", two).json()["version"] == 1_700_000_000_001


def test_a_version_that_is_something_else_is_a_conflict(client: TestClient) -> None:
    one, two = build(client), build(client, params={"num_classes": 7})
    put(client, "digits", one, version=3)
    body = refusal(put(client, "digits", two, version=3, pinned=True))
    assert (body["status"], body["type"]) == (409, "/docs#problem-conflict")
    assert body["detail"] == (
        f"Version 3 of model 'digits' is build {one}, and cannot change. Leave out the version "
        "to create the next one."
    )
    assert body["received"] == f"build {two}, pinned True"
    assert put(client, "digits", one, version=3).status_code == 200


def test_no_version_follows_the_highest_number(client: TestClient) -> None:
    one, two = build(client), build(client, params={"num_classes": 7})
    put(client, "digits", one, version=2**63 - 1)
    body = refusal(put(client, "digits", two))
    assert body["detail"] == (
        "/version: The latest version of model 'digits' is 9223372036854775807, the "
        "highest possible. Specify a version."
    )


def test_a_label_moves_to_the_version_that_got_it_last(client: TestClient) -> None:
    one, two = build(client), build(client, params={"num_classes": 7})
    put(client, "digits", one, labels=["stable", "old"])
    put(client, "digits", two, labels=["canary", "stable", "canary"])
    put(client, "letters", one, labels=["stable"])  # labels are a name's own
    found = {key: item["labels"] for key, item in versions(client).items()}
    assert found == {
        ("digits", 1): ["old"],
        ("digits", 2): ["canary", "stable"],
        ("letters", 1): ["stable"],
    }


def test_labels_that_are_given_are_all_that_a_version_has(client: TestClient) -> None:
    made = build(client)
    put(client, "digits", made, labels=["stable", "old"])
    assert put(client, "digits", made).json()["labels"] == ["stable", "old"]
    assert put(client, "digits", made, labels=["new"]).json()["labels"] == ["new"]
    assert put(client, "digits", made, labels=[]).json()["labels"] == []


# Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("naming", "errors"),
    [
        (
            {"buidl": "x"},
            [
                ("/buidl", "There is no key 'buidl' here. Did you mean 'build'?"),
                ("/build", "build is required: the id of the build to name."),
            ],
        ),
        ({"build": "ABC"}, [("/build", "build must be the id of a build, 32 hexadecimal digits.")]),
        ({"build": None}, [("/build", "build must be the id of a build, 32 hexadecimal digits.")]),
        (
            {"version": 0},
            [("/version", "version must be an integer from 1 to 9223372036854775807.")],
        ),
        (
            {"version": True},
            [("/version", "version must be an integer from 1 to 9223372036854775807.")],
        ),
        ({"labels": "x"}, [("/labels", "labels must be a list of at most 16 strings.")]),
        ({"labels": ["x"] * 17}, [("/labels", "labels must be a list of at most 16 strings.")]),
        (
            {"labels": ["ok", "a/b", "7"]},
            [
                (
                    f"/labels/{index}",
                    "a label has 1 to 64 letters, digits, dots, underscores and hyphens, and "
                    "not only digits.",
                )
                for index in (1, 2)
            ],
        ),
        (
            {"engine": "torch", "precision": "int4", "pinned": 1},
            [
                ("/engine", "engine must be one of auto, tensorflow, onnxruntime."),
                ("/precision", "precision must be one of float32, bfloat16, int8."),
                ("/pinned", "pinned must be true or false."),
            ],
        ),
    ],
)
def test_every_mistake_in_a_naming_is_told(
    client: TestClient, naming: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    document = naming if "build" in naming or "buidl" in naming else {"build": "0" * 32, **naming}
    response = client.put("/v1/models/digits", json=document)
    body = refusal(response)
    assert body["status"] == 422
    assert [(error["pointer"], error["message"]) for error in body["errors"]] == errors


def test_a_body_that_is_no_object_is_refused(client: TestClient) -> None:
    body = refusal(client.put("/v1/models/digits", json=["x"]))
    assert body["detail"] == 'The body must be an object: {"build": "<id>"}.'
    assert refusal(client.put("/v1/models/digits", content="{"))["status"] == 400


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        (
            ".hidden",
            "A model's name has 1 to 128 letters, digits, dots, underscores and hyphens, and "
            "begins with a letter or digit.",
        ),
        ("stats", "The name 'stats' is reserved: /v2/models/stats is a route of its own."),
        (
            "0" * 32,
            "A name of 32 hexadecimal digits is a build id; every build already has that name.",
        ),
    ],
)
def test_a_name_that_cannot_be_given_is_refused(client: TestClient, name: str, rule: str) -> None:
    assert refusal(put(client, name, build(client)))["detail"] == rule


@pytest.mark.parametrize("name", ["a:b", "a%00b", "%2e%2e", "n" * 129, "a%0A"])
def test_a_name_of_other_characters_is_refused(client: TestClient, name: str) -> None:
    assert put(client, name, build(client)).status_code == 422


def test_an_unknown_build_and_one_that_is_not_for_inference_are_refused(
    client: TestClient,
) -> None:
    assert refusal(put(client, "digits", "0" * 32))["type"] == "/docs#problem-unknown-build"
    training = build(client, is_training=True)
    body = refusal(put(client, "digits", training))
    assert body["detail"].startswith("The build has is_training true")


def test_more_versions_than_the_limit_are_refused(make_client: Make) -> None:
    client = make_client(MemoryEngine(), max_named_models=1)
    one, two = build(client), build(client, params={"num_classes": 7})
    put(client, "digits", one)
    body = refusal(put(client, "digits", two))
    assert (body["status"], body["detail"]) == (
        503,
        "The store already has 1 version of models (ZOO_MAX_NAMED_MODELS). "
        "DELETE /v1/models/{name} makes room.",
    )
    assert put(client, "digits", one, labels=["still"]).status_code == 200


# Memory ---------------------------------------------------------------------------------------


def test_naming_begins_to_load_and_does_not_wait(client: TestClient, engine: MemoryEngine) -> None:
    engine.outcome = "never"
    made = build(client)
    assert put(client, "digits", made, pinned=True).json()["state"] == "loading"
    poll(lambda: engine.calls == [("load", f"{made}-auto-float32", True)])
    assert versions(client)["digits", 1]["state"] == "loading"


def test_a_load_that_fails_shows_why(client: TestClient, engine: MemoryEngine) -> None:
    engine.outcome = "fails"
    put(client, "digits", build(client))
    poll(lambda: versions(client)["digits", 1]["state"] != "loading")
    found = versions(client)["digits", 1]
    assert (found["state"], found["reason"]) == ("unavailable", "It is too large.")


def test_a_version_is_loaded_as_its_options_say(client: TestClient, engine: MemoryEngine) -> None:
    made = build(client)
    put(client, "digits", made, engine="onnxruntime", precision="bfloat16")
    poll(lambda: engine.calls == [("load", f"{made}-onnxruntime-bfloat16", False)])


def test_a_forgotten_model_is_unloaded_unless_another_runs_alike(
    client: TestClient, engine: MemoryEngine
) -> None:
    made = build(client)
    put(client, "digits", made)
    put(client, "figures", made)
    assert client.delete("/v1/models/digits").status_code == 204
    poll(lambda: [call[0] for call in engine.calls] == ["load", "load"])
    assert client.delete("/v1/models/figures?version=1").status_code == 204
    poll(lambda: engine.calls[-1] == ("unload", f"{made}-auto-float32", False))
    assert versions(client) == {}


def test_what_only_a_forgotten_version_pinned_may_leave_memory(
    client: TestClient, engine: MemoryEngine
) -> None:
    made = build(client)
    put(client, "digits", made, pinned=True)
    put(client, "figures", made)
    poll(
        lambda: [call[2] for call in engine.calls] == [True, True]
    )  # one memory, pinned by one of them
    client.delete("/v1/models/digits")
    poll(lambda: engine.calls[-1] == ("load", f"{made}-auto-float32", False))


def test_one_version_is_forgotten_and_the_others_stay(client: TestClient) -> None:
    one, two = build(client), build(client, params={"num_classes": 7})
    put(client, "digits", one)
    put(client, "digits", two)
    assert client.delete("/v1/models/digits?version=2").status_code == 204
    assert list(versions(client)) == [("digits", 1)]
    assert put(client, "digits", two).json()["version"] == 2


def test_forgetting_what_there_is_not_is_refused_with_what_there_is(client: TestClient) -> None:
    made = build(client)
    put(client, "digits", made)
    for path, detail in (
        (
            "/v1/models/digit",
            "There is no model 'digit'. Did you mean 'digits'? PUT /v1/models/{name} names a "
            "build.",
        ),
        ("/v1/models/digits?version=2", "Model 'digits' has no version 2. Valid: '1'."),
        (
            f"/v1/models/{made}",
            f"{made} is a build id, not a name. DELETE /v1/builds/{made} removes the build.",
        ),
    ):
        body = refusal(client.delete(path))
        assert (body["status"], body["type"]) == (404, "/docs#problem-unknown-model")
        assert body["detail"] == detail


def test_a_build_that_has_a_name_cannot_be_removed(client: TestClient) -> None:
    made = build(client)
    put(client, "digits", made)
    put(client, "figures", made)
    response = client.delete(f"/v1/builds/{made}")
    body = response.json()
    assert (body["status"], body["type"]) == (409, "/docs#problem-in-use")
    assert body["models"] == ["digits version 1", "figures version 1"]
    assert body["detail"] == (
        "Names refer to it: digits version 1, figures version 1. DELETE /v1/models/{name} first."
    )
    client.delete("/v1/models/digits")
    client.delete("/v1/models/figures")
    assert client.delete(f"/v1/builds/{made}").status_code == 204


# Listing and keeping --------------------------------------------------------------------------


def test_models_are_listed_newest_first_in_pages(client: TestClient) -> None:
    made = build(client)
    for name in "abcde":
        put(client, name, made)
    listed: list[str] = []
    page: dict[str, Any] = {"next": "/v1/models?limit=2"}
    while page["next"]:
        page = client.get(page["next"]).json()
        listed += [item["name"] for item in page["models"]]
    assert "".join(listed) == "edcba"
    assert client.get("/v1/models?cursor=x").status_code == 422
    assert client.get("/v1/models?limit=201").status_code == 422


def test_a_restart_keeps_the_models_and_loads_the_pinned(make_client: Make) -> None:
    first = make_client(MemoryEngine())
    one, two = build(first), build(first, params={"num_classes": 7})
    put(first, "digits", one, pinned=True, labels=["stable"])
    put(first, "digits", two)
    put(first, "figures", one, pinned=True)
    before = {key: item["labels"] for key, item in versions(first).items()}
    engine = MemoryEngine()
    second = make_client(engine)
    assert {key: item["labels"] for key, item in versions(second).items()} == before
    poll(lambda: engine.calls == [("load", f"{one}-auto-float32", True)])
    assert second.delete("/v1/models/digits?version=1").status_code == 204


def test_a_pinned_build_over_a_new_limit_does_not_keep_the_service_from_starting(
    make_client: Make,
) -> None:
    first = make_client(MemoryEngine())
    put(first, "digits", build(first), pinned=True)
    engine = MemoryEngine()
    client = make_client(engine, max_parameters=1000)
    assert engine.calls == []
    assert list(versions(client)) == [("digits", 1)]


def test_models_are_read_back_with_all_that_they_are(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path, Settings().store_wait)
    store = ModelStore(database)
    kept = store.add(VersionRecord("m", 2**63 - 1, "b", ("x", "y"), "tensorflow", "bfloat16", True))
    store.add(VersionRecord("m", 1, "b", ("y",)))
    database.close()
    database = SqliteDatabase(tmp_path, Settings().store_wait)
    highest, lowest = ModelStore(database).versions("m")
    assert (highest.version, highest.labels) == (2**63 - 1, ("x",))
    assert (highest.engine, highest.precision, highest.pinned) == ("tensorflow", "bfloat16", True)
    assert highest.created == kept.created
    assert (lowest.version, lowest.labels) == (1, ("y",))
    assert [version.version for version in ModelStore(database).using("b")] == [2**63 - 1, 1]
    database.close()
