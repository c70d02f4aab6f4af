"""Sweeps over HTTP: rows as pages, lines and tables; posted again, ended, kept, and refused."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyarrow import parquet
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, poll, problem

from app.api.sweeps import collection
from app.compute.tracer.tracer_tasks import TracerTasks
from app.engine import Reply
from app.main import create_app
from app.settings import Settings
from app.tasks import TraceRows

Make = Callable[..., TestClient]

LENET = {"architecture": "lenet"}
CLASSES = "/params/num_classes"
MIXED = {"spec": LENET, "axes": {CLASSES: [10, "ten", 10], "/is_training": [False, True]}}
REFUSAL = 'num_classes of lenet must be an integer of at least 0 or null; received "ten".'
NDJSON = {"Accept": "application/x-ndjson"}
ELU = {"ops": ["conv2d"], "args": {"activation_fn": "elu"}}
MISSING = "0" * 32


class CountingEngine(NoEngine):
    """Notes the rows that are traced; `held` keeps tasks waiting after the first few."""

    def __init__(self, free: int = 1_000_000) -> None:
        self.traced: list[int] = []
        self._free = threading.Semaphore(free)
        self._tasks = TracerTasks(Settings())

    async def trace(self, task: Any) -> Reply[Any]:
        while not self._free.acquire(blocking=False):
            await asyncio.sleep(0.001)
        if isinstance(task, TraceRows):
            self.traced += task.part.rows
        return self._tasks.run(task)

    def let_go(self) -> None:
        self._free.release(1_000_000)


@pytest.fixture
def held(make_client: Make) -> Iterator[tuple[TestClient, CountingEngine]]:
    """A client whose engine traces one chunk of 16 rows, and keeps the others waiting."""
    engine = CountingEngine(free=2)
    client = make_client(engine, tracers=1)
    yield client, engine
    engine.let_go()


def post(client: TestClient, document: object, query: str = "", **headers: str) -> Any:
    return client.post(f"/v1/sweeps{query}", content=json.dumps(document), headers=headers)


def done(client: TestClient, document: object) -> dict[str, Any]:
    response = post(client, document)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert body["state"] == "done"
    return body


def streamed(client: TestClient, document: object, query: str = "") -> list[dict[str, Any]]:
    response = post(client, document, query, **NDJSON)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.text.splitlines()]


def pages(client: TestClient, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    following: str | None = path
    while following is not None:
        body = client.get(following).json()
        rows += body["rows"]
        following = body["next"]
    return rows


def classes(count: int, **more: Any) -> dict[str, Any]:
    return {"spec": LENET, "axes": {CLASSES: {"start": 1, "stop": count + 1}}, **more}


# Answers ------------------------------------------------------------------------------------------


def test_a_sweep_is_answered_with_its_state_and_its_first_rows(client: TestClient) -> None:
    response = post(client, MIXED, "?limit=3")
    body = response.json()
    path = f"/v1/sweeps/{body['id']}"
    rows = body.pop("rows")
    assert response.status_code == 200
    assert response.headers["location"] == path
    assert client.get(f"{path}?limit=3").json() == {**body, "rows": rows}
    assert body.pop("created").endswith("Z")
    assert body == {
        "id": body["id"],
        "row_count": 6,
        "counted": "6 = 3 x 2",
        "places": [CLASSES, "/is_training"],
        "state": "done",
        "reason": None,
        "done": 6,
        "statuses": {"traced": 2, "refused": 2, "duplicate": 2, "filtered": 0},
        "warnings": [],
        "more_warnings": 0,
        "sweep": {
            "method": "grid",
            "spec": LENET,
            "axes": {
                CLASSES: {"values": [10, "ten", 10]},
                "/is_training": {"values": [False, True]},
            },
            "where": [],
            "seed": 0,
        },
        "next": f"{path}/rows?limit=3&cursor=3",
        "links": {
            "self": path,
            **{name: f"{path}/{name}" for name in ("rows", "builds", "measurements")},
        },
    }
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert rows[0] == {
        "index": 0,
        "build": build(client, params={"num_classes": 10}),
        "status": "traced",
        "values": {CLASSES: 10, "/is_training": False},
        "totals": client.get(f"/v1/builds/{rows[0]['build']}").json()["totals"],
        "warnings": 0,
        "problem": None,
        "duplicate_of": None,
    }
    assert (rows[2]["status"], rows[2]["build"], rows[2]["totals"]) == ("refused", None, None)
    assert rows[2]["problem"] == {
        "pointer": CLASSES,
        "message": REFUSAL,
        "layer": None,
        "received": '"ten"',
        "suggestion": None,
        "more": 0,
    }


def test_ndjson_has_the_same_rows_as_the_pages(client: TestClient) -> None:
    rows = streamed(client, MIXED)
    response = post(client, MIXED, "?format=ndjson")
    assert response.headers["sweep-rows"] == "6 = 3 x 2"
    path = response.headers["location"]
    assert pages(client, f"{path}/rows?limit=4") == rows
    assert client.get(f"{path}/rows", headers=NDJSON).text == response.text
    assert [row["status"] for row in rows] == [
        *["traced"] * 2,
        *["refused"] * 2,
        *["duplicate"] * 2,
    ]
    assert [row["duplicate_of"] for row in rows] == [None, None, None, None, 0, 1]
    assert [row["build"] for row in rows[4:]] == [row["build"] for row in rows[:2]]


def test_an_answer_before_the_end_says_how_far_the_sweep_is(
    held: tuple[TestClient, CountingEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, engine = held
    monkeypatch.setattr(collection, "_WAIT_S", 0.01)
    response = post(client, classes(40))
    body = response.json()
    assert (response.status_code, body["state"], body["reason"]) == (202, "running", None)
    assert body["done"] == sum(body["statuses"].values()) <= 16
    assert client.get("/healthz").status_code == 200
    engine.let_go()
    rows = streamed(client, classes(40))
    assert [row["index"] for row in rows] == list(range(40))
    assert client.get(response.headers["location"]).json()["state"] == "done"


def test_a_dry_run_lists_rows_and_keeps_nothing(client: TestClient) -> None:
    body = post(client, MIXED, "?dry_run=true&limit=4").json()
    assert body.pop("id") == done(client, MIXED)["id"]
    rows = body.pop("rows")
    assert body == {
        "row_count": 6,
        "counted": "6 = 3 x 2",
        "places": [CLASSES, "/is_training"],
        "next": "/v1/sweeps?dry_run=true&limit=4&cursor=4",
    }
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert rows[3] == {
        "index": 3,
        "values": {CLASSES: "ten", "/is_training": True},
        "spec": {**LENET, "params": {"num_classes": "ten"}, "is_training": True},
    }
    last = client.post(body["next"], content=json.dumps(MIXED)).json()
    assert ([row["index"] for row in last["rows"]], last["next"]) == ([4, 5], None)
    beyond = post(client, classes(2), "?dry_run=true&cursor=99").json()
    assert (beyond["rows"], beyond["next"]) == ([], None)
    assert [each["row_count"] for each in client.get("/v1/sweeps").json()["sweeps"]] == [6]


def test_the_specs_of_rows_build_what_the_rows_say(client: TestClient) -> None:
    document = {
        "spec": {"architecture": "mobilenet_v1", "input_shape": [128, 128, 3]},
        "axes": {"/params/depth_multiplier": [0.25, 0.5], "/input_shape/0": [96, 128]},
    }
    path = f"/v1/sweeps/{done(client, document)['id']}"
    rows = pages(client, f"{path}/rows?spec=true&limit=3")
    assert [row["spec"]["input_shape"] for row in rows[:2]] == [[96, 128, 3], [128, 128, 3]]
    for row in rows:
        posted = client.post("/v1/builds", json=row["spec"]).json()
        assert (posted["id"], posted["totals"]) == (row["build"], row["totals"])
    assert [
        json.loads(line)
        for line in client.get(f"{path}/rows?spec=true&format=ndjson").text.splitlines()
    ] == rows


# Kinds of sweeps ----------------------------------------------------------------------------------


def test_conditions_filter_rows_by_their_totals(client: TestClient) -> None:
    where = ["parameters < 3_270_000", "multiply_adds > 0"]
    body = done(client, classes(10, where=where))
    assert [row["status"] for row in body["rows"]] == [*["traced"] * 5, *["filtered"] * 5]
    assert body["sweep"]["where"] == ["parameters < 3270000", "multiply_adds > 0"]
    assert body["rows"][9]["totals"]["parameters"] == 3274634


def test_a_zip_moves_places_together(client: TestClient) -> None:
    axes = {"size": {"zip": {"/input_shape/0": [28, 32], "/input_shape/1": [28, 32]}}}
    body = done(client, {"spec": {**LENET, "input_shape": [28, 28, 1]}, "axes": axes})
    assert body["counted"] == "2"
    assert [list(row["values"].values()) for row in body["rows"]] == [[28, 28], [32, 32]]


def test_a_union_has_one_space_after_the_other(client: TestClient) -> None:
    cifarnet = {"spec": {"architecture": "cifarnet"}, "axes": {"/is_training": [True]}}
    body = done(client, {"spec": LENET, "union": [{"axes": {CLASSES: [2, 3]}}, cifarnet]})
    assert body["counted"] == "3 = 2 + 1"
    assert [row["values"] for row in body["rows"]] == [
        {CLASSES: 2},
        {CLASSES: 3},
        {"/is_training": True},
    ]
    assert body["rows"][2]["build"] == build(client, "cifarnet", is_training=True)
    # The document of the answer is the same sweep.
    assert done(client, body["sweep"])["id"] == body["id"]


def test_a_base_that_spaces_share_is_written_once(client: TestClient) -> None:
    spaces = [{"axes": {CLASSES: [number]}} for number in (2, 3)]
    shared = done(client, {"spec": LENET, "union": spaces})
    apart = done(client, {"union": [{"spec": LENET, **space} for space in spaces]})
    assert apart["id"] == shared["id"]
    written = [{"axes": {CLASSES: {"values": [number]}}} for number in (2, 3)]
    assert (shared["sweep"]["spec"], shared["sweep"]["union"]) == (LENET, written)


def test_random_rows_depend_on_the_seed_alone(client: TestClient) -> None:
    document = {
        "spec": LENET,
        "method": "random",
        "run_cap": 8,
        "seed": 3,
        "axes": {CLASSES: {"min": 2, "max": 1000}},
    }
    values = [row["values"][CLASSES] for row in done(client, document)["rows"]]
    assert len(set(values)) > 4
    again = post(client, document, "?dry_run=true").json()["rows"]
    assert [row["values"][CLASSES] for row in again] == values
    other = post(client, {**document, "seed": 4}, "?dry_run=true").json()["rows"]
    assert [row["values"][CLASSES] for row in other] != values


def test_the_same_sweep_spelled_otherwise_has_the_same_id(client: TestClient) -> None:
    first = done(client, {"axes": {"/architecture": ["lenet"]}})
    listed = {"axes": {"/architecture": {"values": ["lenet"]}}, "spec": {}, "where": [], "seed": 0}
    assert done(client, listed)["id"] == first["id"]
    found = {"axes": {"/architecture": {"glob": "lenet*"}}}
    assert done(client, found)["id"] == first["id"]


# Saved scopes -------------------------------------------------------------------------------------


def test_a_sweep_means_the_saved_scopes_of_the_time_when_it_was_posted(client: TestClient) -> None:
    put = client.put("/v1/scopes/house", json={"levels": [ELU]}).json()
    document = {"spec": {**LENET, "scopes": [{"include": "house"}]}, "axes": {CLASSES: [2, 3]}}
    body = done(client, document)
    reference = f"house@{put['digest']}"
    assert body["sweep"]["spec"]["scopes"] == [{"include": reference}]
    expected = build(client, scopes=[ELU], params={"num_classes": 2})
    assert body["rows"][0]["build"] == expected

    # The name moves: another sweep, and the first one stays what it was.
    client.put("/v1/scopes/house", json={"levels": []})
    assert done(client, document)["id"] != body["id"]
    assert done(client, body["sweep"])["id"] == body["id"]

    # Deleted, it is still there for the sweep, its rows and their builds.
    assert client.delete("/v1/scopes/house").status_code == 204
    path = f"/v1/sweeps/{body['id']}"
    assert client.get(path).json() == body
    assert client.post(f"{path}/builds", json={"rows": [1]}).status_code == 200
    refused = problem(post(client, document))
    assert (refused["status"], refused["errors"][0]["pointer"]) == (422, "/spec/scopes/0/include")


def test_a_sweep_goes_on_after_its_saved_scope_was_deleted(
    held: tuple[TestClient, CountingEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, engine = held
    monkeypatch.setattr(collection, "_WAIT_S", 0.01)
    client.put("/v1/scopes/house", json={"levels": [ELU]})
    document = classes(40)
    document["spec"] = {**LENET, "scopes": [{"include": "house"}]}
    path = post(client, document).headers["location"]
    assert client.delete("/v1/scopes/house").status_code == 204
    engine.let_go()
    poll(lambda: client.get(path).json()["state"] == "done")
    assert client.get(path).json()["statuses"]["traced"] == 40


def test_a_name_in_an_axis_that_stands_for_nothing_refuses_its_rows(client: TestClient) -> None:
    client.put("/v1/scopes/house", json={"levels": [ELU]})
    axes = {"/scopes": [[{"include": "house"}], [{"include": "hose"}]]}
    traced, refused = done(client, {"spec": LENET, "axes": axes})["rows"]
    assert traced["build"] == build(client, scopes=[ELU])
    assert refused["status"] == "refused"
    assert refused["problem"]["pointer"] == "/scopes/0/include"
    assert refused["problem"]["message"].startswith("There was no saved scope 'hose'")


def test_rows_quote_their_own_spelling_of_a_level(client: TestClient) -> None:
    level = {"ops": ["conv2d"], "args": {"stride": [9, 9], "padding": "VALID"}, "force": True}
    client.put("/v1/scopes/house", json={"levels": [level]})
    inline = done(client, {"spec": LENET, "axes": {"/scopes": [[level]]}})["rows"][0]
    named = done(client, {"spec": LENET, "axes": {"/scopes": [[{"include": "house"}]]}})["rows"][0]
    assert inline["build"] == named["build"]
    assert inline["problem"]["pointer"] == "/scopes/0/args/stride"
    assert named["problem"]["pointer"] == "/scopes/0/include"


# Again and again ----------------------------------------------------------------------------------


def test_rows_that_another_sweep_traced_cost_nothing(make_client: Make) -> None:
    engine = CountingEngine()
    client = make_client(engine)
    rows = streamed(client, classes(20))
    assert sorted(engine.traced) == list(range(20))
    engine.traced.clear()
    assert streamed(client, classes(20)) == rows
    overlapping = streamed(client, classes(25))
    assert overlapping[:20] == rows
    assert engine.traced == list(range(20, 25))


def test_fail_fast_stops_at_the_first_refused_row_and_the_rest_follows_later(
    client: TestClient,
) -> None:
    expected = {
        "state": "stopped",
        "reason": "Row 2 was refused, and fail_fast was set.",
        "done": 3,
    }
    *rows, last = streamed(client, MIXED, "?fail_fast=true")
    assert ([row["index"] for row in rows], last) == ([0, 1, 2], expected)
    body = post(client, MIXED, "?fail_fast=true").json()
    assert {name: body[name] for name in expected} == expected
    assert body["next"] is None
    rest = streamed(client, MIXED)
    assert (rest[:3], len(rest)) == (rows, 6)
    # All of them are there by now.
    assert post(client, MIXED, "?fail_fast=true").json()["state"] == "done"


def test_posts_of_one_sweep_at_once_are_one_sweep(make_client: Make) -> None:
    engine = CountingEngine()
    client = make_client(engine)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: streamed(client, classes(30)), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert sorted(engine.traced) == list(range(30))
    assert len(client.get("/v1/sweeps").json()["sweeps"]) == 1


def test_deletions_that_race_with_posts_leave_a_whole_sweep_or_none(client: TestClient) -> None:
    path = f"/v1/sweeps/{done(client, classes(70))['id']}"

    def once(number: int) -> int:
        if number % 2:
            return client.delete(path).status_code
        return post(client, classes(70)).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(once, range(40)))
    assert set(statuses[1::2]) <= {204, 404}
    assert set(statuses[::2]) <= {200, 202, 404}
    assert [row["index"] for row in streamed(client, classes(70))] == list(range(70))
    assert client.get(path).json()["statuses"]["traced"] == 70


def test_a_sweep_that_is_deleted_while_it_runs_ends(
    held: tuple[TestClient, CountingEngine],
) -> None:
    client, _engine = held
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(streamed, client, classes(40))
        poll(lambda: bool(client.get("/v1/sweeps").json()["sweeps"]))
        (item,) = client.get("/v1/sweeps").json()["sweeps"]
        path = item["links"]["self"]
        poll(lambda: client.get(path).json()["state"] == "running")
        assert client.delete(path).status_code == 204
        *rows, last = following.result()
    assert last == {"state": "stopped", "reason": "The sweep was deleted.", "done": len(rows)}
    assert client.get("/v1/sweeps").json() == {"sweeps": [], "next": None}
    assert problem(client.delete(path))["detail"] == (
        f"There is no sweep '{item['id']}'. GET /v1/sweeps lists them."
    )


def test_sweeps_beyond_those_that_may_run_are_refused(
    make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = CountingEngine(free=0)
    monkeypatch.setattr(collection, "_WAIT_S", 0.01)
    client = make_client(engine, max_running_sweeps=2)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda count: post(client, classes(count)), range(1, 7)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202, 202, 503, 503, 503, 503]
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "10"
    body = problem(refused)
    assert (body["type"], body["detail"]) == (
        "/docs#problem-overloaded",
        "2 sweeps are being traced already; the limit is 2 (ZOO_MAX_RUNNING_SWEEPS).",
    )
    # One that runs already takes no place.
    running = next(answer for answer in answers if answer.status_code == 202).json()
    assert post(client, running["sweep"]).status_code == 202
    engine.let_go()


# Listings and rows --------------------------------------------------------------------------------


def test_sweeps_are_listed_newest_first(client: TestClient) -> None:
    ids = [done(client, classes(count))["id"] for count in (1, 2, 3)]
    first = client.get("/v1/sweeps?limit=2").json()
    assert [each["id"] for each in first["sweeps"]] == ids[:0:-1]
    item = first["sweeps"][0]
    assert item.pop("created").endswith("Z")
    assert item == {
        "id": ids[2],
        "row_count": 3,
        "statuses": {"traced": 3, "refused": 0, "duplicate": 0, "filtered": 0},
        "links": {"self": f"/v1/sweeps/{ids[2]}"},
    }
    last = client.get(first["next"]).json()
    assert ([each["id"] for each in last["sweeps"]], last["next"]) == ([ids[0]], None)


@pytest.mark.parametrize("query", ["", "&sort=-parameters", "&status=traced", "&spec=true"])
def test_pages_followed_to_the_end_have_every_row_once(client: TestClient, query: str) -> None:
    path = f"/v1/sweeps/{done(client, classes(23))['id']}/rows"
    rows = pages(client, f"{path}?limit=5{query}")
    indices = [row["index"] for row in rows]
    assert indices == list(range(22, -1, -1) if "sort" in query else range(23))
    body = client.get(f"{path}?limit=5{query}").json()
    assert (body["count"], body["state"], len(body["rows"])) == (23, "done", 5)


def test_rows_are_sorted_by_totals_and_by_what_axes_set(client: TestClient) -> None:
    path = f"/v1/sweeps/{done(client, MIXED)['id']}/rows"

    def indices(sort: str) -> list[int]:
        return [row["index"] for row in client.get(f"{path}?sort={sort}").json()["rows"]]

    assert indices("-index") == [5, 4, 3, 2, 1, 0]
    # Refused rows have no totals, and come last.
    assert indices("parameters") == [0, 1, 4, 5, 2, 3]
    assert indices(f"-{CLASSES}") == [2, 3, 0, 1, 4, 5]
    assert problem(client.get(f"{path}?sort=flops"))["detail"].startswith(
        "Query parameter sort does not accept 'flops'."
    )


def test_the_front_is_marked_and_the_rest_left_out_on_request(client: TestClient) -> None:
    document = {
        "spec": {**LENET, "input_shape": [28, 28, 1]},
        "axes": {CLASSES: [2, 4], "/input_shape/0": [28, 32]},
    }
    path = f"/v1/sweeps/{done(client, document)['id']}/rows"
    pareto = "pareto=parameters:minimize,multiply_adds:maximize"
    rows = client.get(f"{path}?{pareto}").json()["rows"]
    front = [row["index"] for row in rows if row["front"]]
    # More classes need more parameters and multiply-adds, and so does a larger picture.
    assert front == [0, 1, 2, 3]
    both = "pareto=parameters:minimize,multiply_adds:minimize&include_dominated=false"
    body = client.get(f"{path}?{both}").json()
    assert ([row["index"] for row in body["rows"]], body["count"]) == ([0], 1)
    table = list(csv.DictReader(io.StringIO(client.get(f"{path}?{pareto}&format=csv").text)))
    assert [row["front"] for row in table] == ["True"] * 4


def test_parquet_has_the_columns_of_the_csv_with_types(client: TestClient) -> None:
    path = done(client, MIXED)["links"]["rows"]
    response = client.get(f"{path}?format=parquet")
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    table = parquet.read_table(io.BytesIO(response.content))
    header = next(csv.reader(io.StringIO(client.get(f"{path}?format=csv").text)))
    assert table.column_names == header
    documents = client.get(path).json()["rows"]
    assert table["index"].to_pylist() == [row["index"] for row in documents]
    assert table["parameters"].to_pylist() == [
        row["totals"] and row["totals"]["parameters"] for row in documents
    ]
    assert table["/is_training"].to_pylist() == [False, True] * 3


def test_a_sweep_may_ask_for_the_gain_that_traces_predict(make_client: Make) -> None:
    engine = CountingEngine()
    client = make_client(engine)
    plain = {"spec": LENET, "axes": {CLASSES: [10, 20, "ten"]}}
    asking = {**plain, "columns": ["predicted_gain"]}
    assert all("predicted" not in row for row in done(client, plain)["rows"])
    first, second, refused = done(client, asking)["rows"]
    assert first["predicted"]["predicted_gain"] > 1
    assert first["predicted"]["unpredictable"] is second["predicted"]["unpredictable"] is None
    assert refused["predicted"] == {"predicted_gain": None, "unpredictable": None}
    # Rows that are known without a gain are traced again, and those with one serve both sweeps.
    assert engine.traced == [0, 1, 0, 1]
    assert post(client, {**asking, "seed": 1}).json()["rows"][0]["predicted"] == first["predicted"]
    assert engine.traced == [0, 1, 0, 1]


def test_csv_has_the_columns_in_the_order_of_the_page(client: TestClient) -> None:
    path = f"/v1/sweeps/{done(client, MIXED)['id']}/rows"
    response = client.get(f"{path}?format=csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert client.get(path, headers={"Accept": "text/csv"}).text == response.text
    header, *rows = csv.reader(io.StringIO(response.text))
    assert header == [
        *("index", "build", "status", CLASSES, "/is_training"),
        *("layers", "parameters", "trainable_parameters", "multiply_adds", "weight_bytes"),
        *("activation_bytes", "peak_activation_bytes", "problem", "warnings", "duplicate_of"),
    ]
    assert rows[2] == [
        *("2", "", "refused", "ten", "false"),
        *[""] * 7,
        *(f"{CLASSES}: {REFUSAL}", "0", ""),
    ]
    assert rows[5][:5] == ["5", rows[1][1], "duplicate", "10", "true"]
    assert rows[5][-1] == "1"
    only = client.get(f"{path}?format=csv&status=refused").text
    assert [row[0] for row in csv.reader(io.StringIO(only))] == ["index", "2", "3"]


def test_a_page_ends_early_where_rows_are_long(client: TestClient) -> None:
    """Rows repeat what axes set: a thousand of them could be an answer of gigabytes."""
    long = ["x" * 9_000 for _ in range(20)]
    axes = {"/weights": [{"source": name} for name in long], CLASSES: {"start": 1, "stop": 21}}
    body = done(client, {"spec": LENET, "axes": {**axes, "/weights": [{"a": long}, {"b": long}]}})
    assert 1 < len(body["rows"]) < 10
    path = f"/v1/sweeps/{body['id']}/rows"
    assert body["next"] == f"{path}?limit=100&cursor={len(body['rows'])}"
    assert [row["index"] for row in pages(client, f"{path}?limit=1000")] == list(range(40))
    assert client.get(f"{path}?limit=1000&sort=index").json()["rows"] == body["rows"]


# Builds -------------------------------------------------------------------------------------------


def test_rows_are_kept_as_the_builds_that_they_name(client: TestClient) -> None:
    body = done(client, MIXED)
    path = f"/v1/sweeps/{body['id']}/builds"
    response = client.post(path, json={"rows": [4, 1, 4]})
    assert response.status_code == 200
    kept = response.json()["builds"]
    assert [(each["row"], each["is_new"]) for each in kept] == [(4, True), (1, True)]
    assert [each["build"]["id"] for each in kept] == [body["rows"][row]["build"] for row in (4, 1)]
    for each in kept:
        assert client.get(f"/v1/builds/{each['build']['id']}").json() == each["build"]
    # A duplicate is the build of the row before it.
    again = client.post(path, json={"rows": [0]}).json()["builds"]
    assert [(each["row"], each["is_new"]) for each in again] == [(0, False)]
    assert client.post(path, json={"rows": []}).json() == {"builds": []}


def test_no_row_is_kept_if_one_is_refused(client: TestClient) -> None:
    path = f"/v1/sweeps/{done(client, MIXED)['id']}/builds"
    body = problem(client.post(path, json={"rows": [0, 1, 2]}))
    rule = f"Row 2 is refused, so it has no build: {CLASSES}: {REFUSAL}"
    assert body["status"] == 422
    assert body["errors"] == [
        {"pointer": "/rows", "message": rule, "received": 2, "suggestion": None}
    ]
    assert client.get("/v1/builds").json()["builds"] == []


def test_no_row_is_kept_if_the_weights_of_one_are_not_there(client: TestClient) -> None:
    sources = [{"source": "random"}, {"source": "build", "id": MISSING}]
    body = done(client, {"spec": LENET, "axes": {"/weights": sources}})
    assert [row["status"] for row in body["rows"]] == ["traced", "traced"]
    refused = problem(client.post(f"/v1/sweeps/{body['id']}/builds", json={"rows": [0, 1]}))
    assert refused["status"] == 422
    assert refused["detail"].startswith("/rows: Row 1 is refused, so it has no build: /weights")
    assert client.get("/v1/builds").json()["builds"] == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, 'The body is {"rows": [...]}: numbers of rows.'),
        ([1], 'The body is {"rows": [...]}: numbers of rows.'),
        ({"rows": [0], "row": 1}, 'The body is {"rows": [...]}: numbers of rows.'),
        ({"rows": [True]}, "/rows/0: A row is a number from 0 to 5; received True."),
        ({"rows": [0, 6]}, "/rows/1: A row is a number from 0 to 5; received 6."),
        ({"rows": [-1]}, "/rows/0: A row is a number from 0 to 5; received -1."),
        ({"rows": list(range(101))}, "/rows: These are 101 rows; the limit of one request is 100."),
    ],
)
def test_rows_that_there_are_not_are_refused(
    client: TestClient, body: object, message: str
) -> None:
    path = f"/v1/sweeps/{done(client, MIXED)['id']}/builds"
    refused = problem(client.post(path, json=body))
    assert (refused["status"], refused["detail"]) == (422, message)


# Limits -------------------------------------------------------------------------------------------


def test_a_sweep_with_too_many_rows_is_refused_with_their_number(make_client: Make) -> None:
    client = make_client(max_sweep_rows=100)
    axes = {
        CLASSES: list(range(1, 22)),
        "/is_training": [True, False],
        "/strict": [True, False, True],
    }
    body = problem(post(client, {"spec": LENET, "axes": axes}))
    assert (body["type"], body["detail"]) == (
        "/docs#problem-over-budget",
        "This sweep has 126 = 21 x 2 x 3 rows; the limit is 100 (ZOO_MAX_SWEEP_ROWS).",
    )
    capped = problem(post(client, classes(20, run_cap=5)))
    assert capped["detail"] == "This sweep has 20 rows; the limit is 5 (run_cap)."
    assert client.get("/v1/sweeps").json()["sweeps"] == []


def test_the_oldest_sweeps_make_room_for_new_ones(make_client: Make) -> None:
    client = make_client(max_sweeps_bytes=60_000)
    ids = [done(client, classes(20, seed=seed))["id"] for seed in range(8)]
    kept = [each["id"] for each in client.get("/v1/sweeps").json()["sweeps"]]
    assert 1 < len(kept) < 8
    assert kept == ids[: -len(kept) - 1 : -1]
    assert client.get(f"/v1/sweeps/{ids[0]}/rows").status_code == 404
    # Posted again, it is the newest.
    done(client, classes(20, seed=0))
    assert client.get("/v1/sweeps").json()["sweeps"][0]["id"] == ids[0]


def test_a_sweep_that_does_not_fit_stops_and_says_so(make_client: Make) -> None:
    client = make_client(max_sweeps_bytes=30_000)
    body = post(client, classes(400)).json()
    assert body["state"] == "stopped"
    total = body["reason"].split()[6]
    assert body["reason"] == (
        f"The sweeps that are running take {total} bytes; the limit is 30000 "
        "(ZOO_MAX_SWEEPS_BYTES)."
    )
    assert 0 < body["done"] == sum(body["statuses"].values()) < 400
    tiny = make_client(max_sweeps_bytes=100)
    refused = problem(post(tiny, classes(1)))
    assert refused["type"] == "/docs#problem-store-unavailable"


def test_values_that_would_fill_the_memory_are_refused(client: TestClient) -> None:
    long = [{"a": ["x" * 9_000] * 40}]
    axes = {"/weights": long, CLASSES: {"start": 1, "stop": 10_001}}
    body = problem(post(client, {"spec": LENET, "axes": axes}))
    assert body["type"] == "/docs#problem-over-budget"
    assert body["detail"] == (
        "The values of this sweep's 10000 rows take up to 3601940000 bytes as JSON; the limit is "
        "33554432. Name long ones by saved scopes."
    )


# Refusals -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def refusing(
    tmp_path_factory: pytest.TempPathFactory, new_state: Callable[[], dict[str, Any]]
) -> Iterator[TestClient]:
    """One service for all refusals, which change nothing."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), **new_state())
    app = create_app(settings, lambda *_: NoEngine())
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("name", [MISSING, "nothing", "%00", "a" * 100, "%F0%9F%92%A9", "'"])
def test_a_sweep_that_there_is_not_is_named(refusing: TestClient, method: str, name: str) -> None:
    body = problem(refusing.request(method, f"/v1/sweeps/{name}"))
    assert (body["status"], body["type"]) == (404, "/docs#problem-unknown-sweep")
    assert body["detail"].endswith(". GET /v1/sweeps lists them.")
    assert len(body["detail"]) < 130


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b'{"seed": NaN}', 400, "The JSON holds NaN, which is not a JSON number."),
        (b'{"seed": 1, "seed": 2}', 400, "The JSON repeats the key 'seed' in one object."),
        (
            b'{"seed": ' + b"9" * 5000 + b"}",
            400,
            "The JSON holds an integer of 5000 digits; the largest allowed is 64 bits, "
            "9223372036854775807.",
        ),
        (
            b'{"where": ["\\ud800"]}',
            400,
            "/where/0: a string holds a lone surrogate, which is not Unicode text.",
        ),
        (b"[" * 100, 400, "The JSON is nested deeper than 64 levels."),
        (b"\xff", 400, "The JSON is not valid UTF-8 at byte 0."),
        (b"[]", 422, "A sweep is a JSON object; received []."),
    ],
)
def test_a_malformed_body_is_refused(
    refusing: TestClient, content: bytes, status: int, detail: str
) -> None:
    body = problem(refusing.post("/v1/sweeps", content=content))
    assert (body["status"], body["detail"]) == (status, detail)


PAGES = "the rows of a sweep have pages"
ELSEWHERE = "must be taken from the `next` of another page."


@pytest.mark.parametrize(
    ("method", "query", "name", "rule"),
    [
        ("POST", "?limit=0", "limit", ": input should be greater than or equal to 1."),
        ("POST", "?limit=1001", "limit", ": input should be less than or equal to 1000."),
        ("POST", "?cursor=1", "cursor", f" has no effect without dry_run; {PAGES}."),
        ("POST", "?dry_run=true&cursor=-1", "cursor", f" {ELSEWHERE}"),
        (
            "POST",
            "?dry_run=true&fail_fast=true",
            "fail_fast",
            " has no effect with dry_run, which traces nothing.",
        ),
        (
            "POST",
            "?dry_run=true&format=ndjson",
            "format",
            " does not accept 'ndjson'. Did you mean 'json'?",
        ),
        (
            "POST",
            "?format=ndjson&limit=5",
            "limit",
            " has no effect on NDJSON, which has all rows.",
        ),
        ("POST", "?format=csv", "format", " does not accept 'csv'. Valid: 'json', 'ndjson'."),
        ("GET", "/rows?limit=0", "limit", ": input should be greater than or equal to 1."),
        ("GET", "/rows?cursor=9999999999999999999", "cursor", f" {ELSEWHERE}"),
        ("GET", "/rows?cursor=", "cursor", f" {ELSEWHERE}"),
        ("GET", "/rows?status=trace", "status", " does not accept 'trace'. Did you mean 'traced'?"),
        (
            "GET",
            "/rows?pareto=parameters:minimize",
            "pareto",
            " takes two totals or more, as parameters:minimize,multiply_adds:minimize.",
        ),
        (
            "GET",
            "/rows?include_dominated=false",
            "include_dominated",
            " has no effect without pareto.",
        ),
        ("GET", "/rows?format=csv&limit=5", "limit", " has no effect on CSV, which has all rows."),
        (
            "GET",
            "/rows?format=ndjson&cursor=5",
            "cursor",
            " has no effect on NDJSON, which has all rows.",
        ),
        (
            "GET",
            "/rows?format=csv&spec=true",
            "spec",
            " has no effect on CSV, whose columns are values.",
        ),
        ("GET", "/rows?sort=index&sort=index", "sort", " takes one value; received 2."),
    ],
)
def test_a_query_that_fits_nothing_is_refused(
    refusing: TestClient, method: str, query: str, name: str, rule: str
) -> None:
    path = "/v1/sweeps"
    if method == "GET":
        path = f"/v1/sweeps/{done(refusing, classes(2))['id']}"
    body = problem(refusing.request(method, f"{path}{query}", content=json.dumps(classes(2))))
    assert (body["type"], body["detail"]) == (
        "/docs#problem-invalid-query",
        f"Query parameter {name}{rule}",
    )
    assert [each["parameter"] for each in body["errors"]] == [name]


def test_a_query_parameter_that_there_is_not_is_refused(refusing: TestClient) -> None:
    body = problem(post(refusing, classes(2), "?dryrun=true"))
    assert body["detail"] == ("There is no query parameter 'dryrun' here. Did you mean 'dry_run'?")


def test_types_that_there_are_not_are_not_acceptable(refusing: TestClient) -> None:
    picture = {"Accept": "image/png"}
    assert post(refusing, classes(1), **picture).status_code == 406
    assert post(refusing, classes(1), "?dry_run=true", **NDJSON).status_code == 406
    path = f"/v1/sweeps/{done(refusing, classes(1))['id']}/rows"
    assert problem(refusing.get(path, headers=picture))["detail"] == (
        "Accept allows none of: application/json, application/x-ndjson, text/csv, "
        "application/vnd.apache.parquet."
    )
