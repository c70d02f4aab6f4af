"""Names of classes: how they are read, what is refused, and where they are shown."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import homes
import numpy as np
import pytest
import sqlalchemy as sa
from fake_worker import in_reader
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, npy_bytes, problem

from app.engine import Answer, ModelRef, ModelState, Reply, Rows
from app.serving.class_names import check_names_bytes, names_bytes, read_class_names
from app.settings import Settings
from app.tasks import DecodedInputs, ReadInputs
from model_zoo import InputError, ZooError

Make = Callable[..., TestClient]
ROW = np.zeros((28, 28, 1), np.float32)
NAMES = [f"name {index}" for index in range(8)] + ["a:b", "Ωmega 🐟"]
FILE = "".join(f"{index}:{name}\n" for index, name in enumerate(NAMES))


class LogitsEngine(NoEngine):
    """Answers every row with logits that rise with the class."""

    async def load(self, model: ModelRef) -> ModelState:
        return self.state(model)

    async def unload(self, model: ModelRef) -> None:
        pass

    def state(self, model: ModelRef) -> ModelState:
        return ModelState("ready", size_bytes=1000, engine="onnxruntime", precision="float32")

    async def read(self, task: Any, buffers: Any) -> Reply[Any]:
        if isinstance(task, ReadInputs):
            return Reply(DecodedInputs(1, (), False), [ROW.tobytes()], {"decode": 0.0})
        return in_reader(task, buffers)

    async def infer(self, model: ModelRef, rows: Rows, outputs: Any, **_options: Any) -> Answer:
        classes = model.spec["params"]["num_classes"]
        logits = np.tile(np.arange(classes, dtype=np.float32), (rows.count, 1))
        if classes > 100:  # or the softmax of most would be 0
            logits /= classes
        return Answer(dict.fromkeys(outputs, logits), {"compute": 0.0}, rows.count)


@pytest.fixture
def client(make_client: Make) -> TestClient:
    return make_client(LogitsEngine())


def put(client: TestClient, build_id: str, name: str = "fish", **naming: Any) -> Any:
    return client.put(f"/v1/models/{name}", json={"build": build_id, **naming})


def best(client: TestClient, build_id: str, query: str = "top_k=2") -> Any:
    answer = client.post(f"/v1/builds/{build_id}/predict?{query}", content=npy_bytes(ROW))
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(client: TestClient, build_id: str) -> list[str | None]:
    (row,) = best(client, build_id)["predictions"]
    return [each.get("name") for each in row]


# Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        FILE.replace("\n", "\r\n"),
        "\ufeff" + FILE + "\n  \n",
        "\n".join(reversed(FILE.splitlines())),
        "\n".join(NAMES),
    ],
    ids=["labels.txt", "CRLF", "byte order mark and blank end", "any order", "a name a line"],
)
def test_a_file_gives_the_names_in_the_order_of_the_classes(text: str) -> None:
    assert read_class_names(text) == tuple(NAMES)


def test_names_may_repeat_as_imagenet_s_do() -> None:
    assert read_class_names(["crane", "crane"]) == ("crane", "crane")


REFUSED: dict[str, tuple[list[str] | str, str, str]] = {
    "empty": (
        ["a", ""],
        "/class_names/1",
        "Class name 1 must have 1 to 128 characters, not only spaces.",
    ),
    "spaces": (
        [" "],
        "/class_names/0",
        "Class name 0 must have 1 to 128 characters, not only spaces.",
    ),
    "long": (
        ["x" * 129],
        "/class_names/0",
        "Class name 0 must have 1 to 128 characters, not only spaces.",
    ),
    "control": (
        ["a", "b\x1b[2J"],
        "/class_names/1",
        "Class name 1 must not have the control character '\\x1b'.",
    ),
    "line": (["a\nb"], "/class_names/0", "Class name 0 must not have the control character '\\n'."),
    "line separator": (
        ["a\u2028"],
        "/class_names/0",
        "Class name 0 must not have the control character '\\u2028'.",
    ),
    "surrogate": (
        ["\ud800"],
        "/class_names/0",
        "Class name 0 must not have the control character '\\ud800'.",
    ),
    "blank line": (
        "a\n\nb",
        "/class_names",
        "Line 2 of the file must have 1 to 128 characters, not only spaces.",
    ),
    "control in a file": (
        "a\nb\x07",
        "/class_names",
        "Line 2 of the file must not have the control character '\\x07'.",
    ),
    "control in labels.txt": (
        "0:a\n1:b\t",
        "/class_names",
        "Line 2 of the file must not have the control character '\\t'.",
    ),
    "no name": (
        "0:a\n1:",
        "/class_names",
        "Line 2 of the file must have 1 to 128 characters, not only spaces.",
    ),
    "mixed": (
        "0:a\nb",
        "/class_names",
        "Line 2 of the file is not class:name, and others are. Write the class before every name, "
        "or before none.",
    ),
    "twice": ("0:a\n0:b", "/class_names", "Line 2 of the file names class 0 again."),
    "a gap": (
        "0:a\n2:b",
        "/class_names",
        "Line 2 of the file names class 2, but with 2 names the last class is 1.",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_names_that_cannot_be_shown_are_refused_with_their_place(case: str) -> None:
    value, pointer, message = REFUSED[case]
    with pytest.raises(ZooError) as refused:
        read_class_names(value)
    (found,) = refused.value.problems
    assert (found.pointer, found.message) == (pointer, message)


def test_names_that_would_make_too_long_an_answer_are_refused() -> None:
    names = ["x" * 128] * 2000
    assert names_bytes((), 32, 2000) == 0
    check_names_bytes(names_bytes(names, 20, 2000))
    with pytest.raises(InputError) as refused:
        check_names_bytes(names_bytes(names, 32, 2000))
    assert str(refused.value) == (
        "The names of the classes could have 49152000 bytes in the answer; the limit is 33554432. "
        "Ask for fewer rows or classes."
    )


# Over HTTP ------------------------------------------------------------------------------------


def test_a_named_model_is_given_names_as_a_list_a_text_or_a_file(client: TestClient) -> None:
    made = build(client)
    json_field = ("model", (None, json.dumps({"build": made, "labels": ["stable"]})))
    answers = [
        put(client, made, "list", class_names=NAMES),
        put(client, made, "text", class_names=FILE),
        client.put(
            "/v1/models/file", files=[json_field, ("class_names", ("labels.txt", FILE.encode()))]
        ),
        client.put("/v1/models/none", files=[json_field]),
    ]
    assert [answer.status_code for answer in answers] == [201] * 4
    assert [answer.json().get("class_names") for answer in answers] == [10, 10, 10, None]
    assert answers[2].json()["labels"] == ["stable"]
    listed = client.get("/v1/models").json()["models"]
    assert {each["name"]: each.get("class_names") for each in listed} == {
        "list": 10, "text": 10, "file": 10, "none": None
    }  # fmt: skip
    assert shown(client, made) == ["Ωmega 🐟", "a:b"]  # all agree


def test_the_names_of_a_version_are_replaced_and_removed(client: TestClient) -> None:
    made = build(client)
    put(client, made)
    assert shown(client, made) == [None, None]
    assert put(client, made, class_names=NAMES).status_code == 200
    assert shown(client, made) == ["Ωmega 🐟", "a:b"]
    put(client, made, labels=["stable"])  # leaves them
    assert shown(client, made) == ["Ωmega 🐟", "a:b"]
    put(client, made, class_names=NAMES[::-1])
    assert shown(client, made) == ["name 0", "name 1"]
    put(client, made, class_names=[])
    assert shown(client, made) == [None, None]


def test_a_new_version_has_no_names_of_the_last_one(client: TestClient) -> None:
    """Another build may have its classes in another order."""
    assert "warnings" not in put(client, build(client), class_names=NAMES).json()
    other = build(client, weights={"source": "random", "seed": 1})
    answer = put(client, other).json()
    assert "class_names" not in answer
    assert answer["warnings"] == [
        "Version 1 of model 'fish' has class names, and version 2 has none: its build may have its "
        "classes in another order. Send class_names for it."
    ]
    assert shown(client, other) == [None, None]
    assert "warnings" not in put(client, other, class_names=NAMES).json()
    assert "warnings" not in put(client, other, precision="bfloat16", class_names=NAMES).json()


def test_a_removed_version_leaves_no_names(client: TestClient) -> None:
    made = build(client)
    put(client, made, class_names=NAMES)
    assert client.delete("/v1/models/fish").status_code == 204
    assert shown(client, made) == [None, None]
    with client.app.state.services.database.reading() as connection:  # type: ignore[attr-defined]
        assert connection.scalar(sa.text("SELECT count(*) FROM class_names")) == 0
    assert "class_names" not in put(client, made).json()


def test_names_outlive_a_restart(make_client: Make) -> None:
    first = make_client(LogitsEngine())
    made = build(first)
    put(first, made, class_names=NAMES)
    assert shown(make_client(LogitsEngine()), made) == ["Ωmega 🐟", "a:b"]


@pytest.mark.sqlite
def test_a_model_of_the_first_release_is_given_names(make_client: Make, tmp_path: Path) -> None:
    shutil.copytree(homes.HOMES / "release_0_1_0" / homes.HOME, tmp_path / "home")
    client = make_client(LogitsEngine())
    model = next(
        each for each in client.get("/v1/models").json()["models"] if each["name"] == "digits"
    )
    document = client.get(f"/v1/builds/{model['build']}").json()
    names = [f"n{index}" for index in range(document["spec"]["params"]["num_classes"])]
    naming = {"build": model["build"], **model["options"], "class_names": names}
    answer = client.put("/v1/models/digits", json={**naming, "version": model["version"]})
    assert (answer.status_code, answer.json()["class_names"]) == (200, len(names))


WRONG: dict[str, tuple[dict[str, Any], Any, str, str]] = {
    "one too few": (
        {"num_classes": 11},
        NAMES,
        "/class_names",
        "The build has 11 classes, and 10 names were given. If its class 0 is the background, as "
        "in networks of 1001 classes, name that first.",
    ),
    "one too many": (
        {"num_classes": 9},
        NAMES,
        "/class_names",
        "The build has 9 classes, and 10 names were given. If the first names the background, "
        "leave it out: this build has no such class.",
    ),
    "half": ({}, NAMES[:5], "/class_names", "The build has 10 classes, and 5 names were given."),
    "one": ({}, NAMES[:1], "/class_names", "The build has 10 classes, and 1 name was given."),
    "three for one": (
        {"num_classes": 1},
        NAMES[:3],
        "/class_names",
        "The build has 1 class, and 3 names were given.",
    ),
    "features": (
        {"num_classes": 0},
        NAMES,
        "/class_names",
        "The build's output is not one score for each class, so its classes have no names.",
    ),
    "a number": (
        {},
        7,
        "/class_names",
        "class_names must be a list of strings, or the text of a labels file.",
    ),
    "numbers": (
        {},
        [1, 2],
        "/class_names",
        "class_names must be a list of strings, or the text of a labels file.",
    ),
    "a control character": (
        {},
        [*NAMES[:9], "\x00"],
        "/class_names/9",
        "Class name 9 must not have the control character '\\x00'.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_names_that_do_not_fit_are_refused(client: TestClient, case: str) -> None:
    params, names, pointer, message = WRONG[case]
    answer = put(client, build(client, params=params), class_names=names)
    body = answer.json()
    assert answer.status_code == 422, body
    (error,) = body["errors"]
    assert (error["pointer"], error["message"]) == (pointer, message)
    assert client.get("/v1/models").json()["models"] == []


FORMS: dict[str, tuple[list[tuple[str, Any]], int, str]] = {
    "no model": (
        [("class_names", ("a", b"a"))],
        400,
        "The form has no field called model; it must have one.",
    ),
    "another field": (
        [("model", (None, "{}")), ("names", ("a", b"a"))],
        400,
        "The form does not accept a field 'names'. Did you mean 'class_names'?",
    ),
    "two models": (
        [("model", (None, "{}"))] * 2,
        400,
        "The form has two fields called model.",
    ),
    "more fields than a calibration has": (
        [("calibration", ("a.png", b"a"))] * 131,
        400,
        "The form has more than 130 parts; it may have the fields model and class_names, and 128 "
        "called calibration (ZOO_MAX_CALIBRATION_ROWS).",
    ),
    "no UTF-8": (
        [("model", (None, "{}")), ("class_names", ("a", b"a\xff"))],
        400,
        "The file class_names is not valid UTF-8 at byte 1.",
    ),
    "no JSON": (
        [("model", (None, "[")), ("class_names", ("a", b"a"))],
        400,
        "The JSON is malformed at line 1, column 2: Expecting value.",
    ),
    "names twice": (
        [("model", (None, '{"class_names": []}')), ("class_names", ("a", b"a"))],
        422,
        "/class_names: class_names is in the field model too; it must be in one of them.",
    ),
    "a list": (
        [("model", (None, "[]")), ("class_names", ("a", b"a"))],
        422,
        'The body must be an object: {"build": "<id>"}.',
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_form_that_does_not_name_a_build_is_refused(client: TestClient, case: str) -> None:
    files, status, message = FORMS[case]
    answer = client.put("/v1/models/fish", files=files)
    assert (answer.status_code, answer.json()["error"]) == (status, message)


def test_a_file_above_the_limit_of_documents_is_refused(make_client: Make) -> None:
    client = make_client(LogitsEngine(), max_document_bytes=2000)
    answer = put(client, "0" * 32, class_names="x\n" * 1000)
    assert answer.status_code == 413
    files = {"model": (None, json.dumps({"build": "0" * 32})), "class_names": ("a", "x\n" * 1000)}
    answer = client.put("/v1/models/fish", files=files)
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        "The body has 2045 bytes in its fields model and class_names; the limit is 2000 "
        "(ZOO_MAX_DOCUMENT_BYTES).",
    )


# Where they are shown -------------------------------------------------------------------------


def test_predict_and_compare_show_them(client: TestClient) -> None:
    made, other = build(client), build(client, weights={"source": "random", "seed": 1})
    put(client, made, class_names=NAMES)
    (row,) = best(client, made, "top_k=2&output=logits")["predictions"]
    assert [(each["class"], each["name"]) for each in row] == [(9, "Ωmega 🐟"), (8, "a:b")]
    path = f"/v1/compare?builds=fish,{made},{other}&top_k=1"
    answers = client.post(path, content=npy_bytes(ROW)).json()["results"]
    assert [each["predictions"][0][0].get("name") for each in answers] == ["Ωmega 🐟"] * 2 + [None]
    text = client.post(f"{path}&format=text", content=npy_bytes(ROW)).text
    assert "9 Ωmega 🐟 (0.6321)" in text


def test_classify_has_them_as_labels(client: TestClient) -> None:
    made = build(client)
    put(client, made, class_names=NAMES)
    body = {"examples": [{"input": ROW.ravel().tolist()}] * 2}
    for name in ("fish", made):
        results = client.post(f"/v1/models/{name}:classify", json=body).json()["results"]
        assert [[label for label, _ in row] for row in results] == [NAMES] * 2


def test_classification_has_them_after_the_index(client: TestClient) -> None:
    put(client, build(client), class_names=NAMES)
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": [0.5] * 784}
    asked = [
        {"name": name, "parameters": {"classification": 2}} for name in ("output", "probabilities")
    ]
    body = {"inputs": [tensor], "outputs": [*asked, {"name": "Logits"}]}
    outputs = client.post("/v2/models/fish/infer", json=body).json()["outputs"]
    assert [each["data"] for each in outputs[:2]] == [
        ["9.000000:9:Ωmega 🐟", "8.000000:8:a:b"],
        ["0.632149:9:Ωmega 🐟", "0.232555:8:a:b"],
    ]
    body["outputs"] = [{"name": "Logits", "parameters": {"classification": 1}}]
    (output,) = client.post("/v2/models/fish/infer", json=body).json()["outputs"]
    assert output["data"] == ["9.000000:9"]  # an end point's values have no names


def test_a_build_whose_models_name_it_differently_says_so_and_shows_none(
    client: TestClient,
) -> None:
    made = build(client)
    put(client, made, "fish", class_names=NAMES)
    put(client, made, "birds", class_names=NAMES[::-1])
    warning = (
        "Models that are this build name its classes differently: birds version 1 and fish version "
        "1. Ask one of them, by its name, for its names."
    )
    answer = best(client, made)
    assert answer["warnings"] == [warning]
    assert shown(client, made) == [None, None]
    assert best(client, made, "output=logits")["warnings"] == []
    body = {"examples": [{"input": ROW.ravel().tolist()}]}
    classified = client.post(f"/v1/models/{made}:classify", json=body)
    assert classified.json()["results"][0][0][0] == "0"
    assert classified.headers["warning"] == f'299 - "{warning}"'
    named = client.post("/v1/models/birds:classify", json=body)
    assert named.json()["results"][0][0][0] == NAMES[-1]
    assert "warning" not in named.headers
    tensor = {"name": "input", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": [0.5] * 784}
    outputs = [{"name": "output", "parameters": {"classification": 1}}]
    answer = client.post(f"/v2/models/{made}/infer", json={"inputs": [tensor], "outputs": outputs})
    assert answer.json()["parameters"] == {"warnings": warning}
    assert answer.json()["outputs"][0]["data"] == ["9.000000:9"]


def test_top_k_reaches_every_class_of_the_published_networks(client: TestClient) -> None:
    made = build(client, params={"num_classes": 1001})
    (row,) = best(client, made, "top_k=1001")["predictions"]
    assert [each["class"] for each in row] == list(range(1000, -1, -1))
    answer = client.post(f"/v1/builds/{made}/predict?top_k=1002", content=npy_bytes(ROW))
    assert problem(answer)["type"] == "/docs#problem-invalid-query"


def test_long_names_of_many_rows_are_refused(make_client: Make) -> None:
    client = make_client(LogitsEngine(), max_batch=64)
    names = ["x" * 128] * 1001
    put(client, build(client, params={"num_classes": 1001}), class_names=names)
    body = {"examples": [{"input": [0.5] * 784}] * 64}
    answer = client.post("/v1/models/fish:classify", json=body)
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "The names of the classes could have 49201152 bytes in the answer; the limit is 33554432. "
        "Ask for fewer rows or classes.",
    )


def test_the_settings_have_room_for_the_names_of_21_841_classes() -> None:
    """ImageNet with all its classes."""
    text = json.dumps([f"name of some thirty characters {i}" for i in range(21_841)])
    assert len(text) < Settings().max_document_bytes
