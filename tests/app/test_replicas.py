"""Several replicas on one database: each answers what another has committed."""

import asyncio
import itertools
import json
import random
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from postgresql import Postgresql
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, poll

from app.engine import ModelRef, ModelState
from app.main import create_app
from app.settings import Settings
from app.store.sweeps import SweepStore

LENET = {"architecture": "lenet", "input_shape": [4, 4, 1]}
CLASSES = "/params/num_classes"


class MemoryEngine(NoEngine):
    """Remembers what is in its memory, and which of it is to stay."""

    def __init__(self) -> None:
        self.loaded: dict[str, bool] = {}

    async def load(self, model: ModelRef) -> ModelState:
        self.loaded[model.build] = model.pinned
        return self.state(model)

    async def unload(self, model: ModelRef) -> None:
        self.loaded.pop(model.build, None)

    def state(self, model: ModelRef) -> ModelState:
        is_loaded = model.build in self.loaded
        return ModelState("ready" if is_loaded else "unavailable")


class Replica:
    """One of the services on a database, in this process."""

    def __init__(self, client: TestClient, engine: MemoryEngine) -> None:
        self.client = client
        self.engine = engine

    @property
    def sweeps(self) -> SweepStore:
        store: SweepStore = self.client.app.state.services.sweeps._store
        return store


@pytest.fixture
def replicas(postgresql_url: str, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two replicas, each with a home of its own."""
    with ExitStack() as stack:

        def start(name: str) -> Replica:
            engine = MemoryEngine()
            settings = Settings(home=tmp_path / name, database_url=postgresql_url)
            client = stack.enter_context(TestClient(create_app(settings, lambda *_: engine)))
            # FastAPI prepares the routes at the first request. Two services would do that in
            # threads here, for which it is not made.
            assert client.get("/none").status_code == 404
            return Replica(client, engine)

        yield start("one"), start("other")


@pytest.fixture
def clients(replicas: tuple[Replica, Replica]) -> tuple[TestClient, TestClient]:
    one, other = replicas
    return one.client, other.client


def status(client: TestClient, path: str, method: str = "GET") -> int:
    return client.request(method, path).status_code


# Builds and names -----------------------------------------------------------------------------


def test_a_build_that_one_deletes_is_unknown_to_the_other_at_once(
    clients: tuple[TestClient, TestClient],
) -> None:
    """In each of many tries, whoever deletes it, with its network in the memory of both."""
    for one, other in itertools.islice(itertools.cycle([clients, clients[::-1]]), 20):
        made = build(one, **LENET)
        paths = (f"/v1/builds/{made}", f"/v2/models/{made}", f"/v1/models/{made}")
        for client in clients:
            assert [status(client, path) for path in paths] == [200, 200, 200]
        assert status(one, f"/v1/builds/{made}", "DELETE") == 204
        assert [status(other, path) for path in paths] == [404, 404, 404]
        assert other.put("/v1/models/m", json={"build": made}).status_code == 404


def test_names_versions_labels_and_classes_are_those_of_the_other(
    clients: tuple[TestClient, TestClient],
) -> None:
    one, other = clients
    made = [build(one, params={"num_classes": number}) for number in (2, 3)]
    assert one.put("/v1/models/m", json={"build": made[0], "labels": ["x"]}).status_code == 201
    named = other.put(
        "/v1/models/m", json={"build": made[1], "labels": ["x"], "class_names": ["a", "b", "c"]}
    )
    assert (named.status_code, named.json()["version"]) == (201, 2)
    for client in clients:
        assert client.get("/v2/models").json() == {"models": ["m"]}
        assert client.get("/v2/models/m").json()["versions"] == ["1", "2"]
        assert client.get("/v1/models/m/labels/x/metadata").json()["model_spec"]["version"] == "2"
        listed = client.get("/v1/models").json()["models"]
        assert [(each["version"], each["labels"]) for each in listed] == [(2, ["x"]), (1, [])]
        assert [each.get("class_names") for each in listed] == [3, None]
    assert status(other, f"/v1/builds/{made[0]}", "DELETE") == 409
    assert status(other, "/v1/models/m?version=2", "DELETE") == 204
    assert one.get("/v2/models/m").json()["versions"] == ["1"]
    assert status(other, "/v1/models/m", "DELETE") == 204
    assert status(one, "/v2/models/m") == 404
    assert status(one, f"/v1/builds/{made[0]}", "DELETE") == 204


def test_a_number_of_a_version_is_given_once(clients: tuple[TestClient, TestClient]) -> None:
    made = [build(clients[0], params={"num_classes": number}) for number in range(2, 18)]
    with ThreadPoolExecutor(8) as threads:
        answers = threads.map(
            lambda client, each: client.put("/v1/models/m", json={"build": each}).json(),
            itertools.cycle(clients),
            made,
        )
        assert sorted(each["version"] for each in answers) == list(range(1, 17))


def test_a_probe_of_one_is_in_the_warnings_of_the_other(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = (each.client for each in replicas)
    made = build(one, **LENET)
    assert other.put("/v1/models/m", json={"build": made}).json().get("warnings") is None
    probe: Any = {
        "input": "normal",
        "rows": 2,
        "verdicts": [{"mode": "inference", "message": "The signal vanishes."}],
        "modes": [],
    }
    builds = replicas[0].client.app.state.services.builds._store  # type: ignore[attr-defined]
    assert builds.keep_probe(made, probe)
    warned = other.put("/v1/models/m", json={"build": made}).json()["warnings"]
    assert warned == ["Probed with 2 rows of normal noise: The signal vanishes."]


def test_scopes_are_those_of_the_other(clients: tuple[TestClient, TestClient]) -> None:
    one, other = clients
    levels = [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]
    one.put("/v1/scopes/house", json={"levels": levels}).raise_for_status()
    made = build(other, scopes=[{"include": "house"}])
    assert one.get(f"/v1/builds/{made}").json()["spec"]["scopes"] == levels
    assert status(other, "/v1/scopes/house", "DELETE") == 204
    assert status(one, "/v1/scopes/house") == 404


def test_nothing_refers_to_what_is_gone(clients: tuple[TestClient, TestClient]) -> None:
    """Builds are posted, named, taken weights from and deleted on both, all at once."""
    seeds = random.Random(0)
    choices = [seeds.random() for _ in range(120)]
    bases = [{"architecture": "lenet", "params": {"num_classes": 2 + each}} for each in range(3)]

    def one_step(number: int, chance: float) -> int:
        client, base = clients[number % 2], bases[number % 3]
        made = client.post("/v1/builds", json=base)
        if made.status_code not in (200, 201):
            return made.status_code
        made_id = made.json()["id"]
        if chance < 0.5:
            return status(client, f"/v1/builds/{made_id}", "DELETE")
        if chance < 0.7:
            heir = {**base, "weights": {"source": "build", "id": made_id}}
            answer = client.post("/v1/builds", json=heir)
            if answer.status_code in (200, 201) and chance < 0.65:
                return status(client, f"/v1/builds/{answer.json()['id']}", "DELETE")
            return answer.status_code
        if chance < 0.9:
            return client.put(f"/v1/models/m{number % 5}", json={"build": made_id}).status_code
        return status(client, f"/v1/models/m{number % 5}", "DELETE")

    with ThreadPoolExecutor(8) as threads:
        statuses = set(threads.map(one_step, range(len(choices)), choices))
    assert statuses <= {200, 201, 204, 404, 409, 422}
    for client in clients:
        listed = client.get("/v1/builds?limit=200").json()["builds"]
        specs = [client.get(f"/v1/builds/{each['id']}").json()["spec"] for each in listed]
        sources = {
            source["id"]
            for weights in (spec["weights"] for spec in specs)
            for source in (weights if isinstance(weights, list) else [weights])
            if source["source"] == "build"
        }
        named = {each["build"] for each in client.get("/v1/models?limit=200").json()["models"]}
        assert sources | named <= {each["id"] for each in listed}


# Memory ---------------------------------------------------------------------------------------


def test_pinned_models_are_in_the_memory_of_all_until_they_are_not(
    replicas: tuple[Replica, Replica],
) -> None:
    """Without any request to the other."""
    one, other = replicas
    made = build(one.client, **LENET)
    one.client.put("/v1/models/free", json={"build": made}).raise_for_status()
    one.client.put("/v1/models/held", json={"build": made, "pinned": True}).raise_for_status()
    poll(lambda: other.engine.loaded == {made: True})
    assert one.engine.loaded == {made: True}
    assert status(other.client, "/v1/models/held", "DELETE") == 204
    poll(lambda: one.engine.loaded == {made: False})  # which another name has still
    assert status(other.client, "/v1/models/free", "DELETE") == 204
    poll(lambda: one.engine.loaded == other.engine.loaded == {})


def test_a_build_that_the_other_deletes_leaves_the_memory(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = replicas
    made = build(one.client, **LENET)
    assert one.client.post(f"/v2/repository/models/{made}/load").status_code == 200
    assert one.engine.loaded == {made: False}
    assert status(other.client, f"/v1/builds/{made}", "DELETE") == 204
    poll(lambda: one.engine.loaded == {})


# Sweeps ---------------------------------------------------------------------------------------


def swept(count: int) -> dict[str, Any]:
    return {"spec": LENET, "axes": {CLASSES: {"start": 2, "stop": 2 + count}}}


def test_a_sweep_that_is_sent_to_both_is_traced_once(
    clients: tuple[TestClient, TestClient],
) -> None:
    with ThreadPoolExecutor(6) as threads:
        answers = list(
            threads.map(
                lambda client: client.post("/v1/sweeps?limit=1000", json=swept(300)).json(),
                clients * 3,
            )
        )
    assert {(each["state"], each["done"]) for each in answers} == {("done", 300)}
    for client in clients:
        rows = client.get(f"/v1/sweeps/{answers[0]['id']}?limit=1000").json()["rows"]
        assert [row["index"] for row in rows] == list(range(300))


def test_the_rows_of_a_sweep_come_from_the_replica_that_does_not_trace_it(
    clients: tuple[TestClient, TestClient],
) -> None:
    one, other = clients
    with ThreadPoolExecutor(2) as threads:
        texts = list(
            threads.map(
                lambda client: client.post("/v1/sweeps?format=ndjson", json=swept(200)).text,
                (one, other),
            )
        )
    assert texts[0] == texts[1]
    assert texts[0].count("\n") == 200


def begun_by_another(replica: Replica, document: dict[str, Any]) -> str:
    """Store the first rows of a sweep, as a replica that has died since did."""
    services = replica.client.app.state.services  # type: ignore[attr-defined]
    whole = replica.client.post("/v1/sweeps?limit=1000", json=document).json()
    rows = list(services.sweeps.rows(whole["id"]))[:64]
    services.sweeps._store.remove(whole["id"])
    dead = SweepStore(services.database, services.settings.sweeps_limit)
    read = services.sweeps.read(replica.client.build_request("POST", "/", json=document).read())
    dead.add(read.id, read.rows, json.dumps(read.document), json.dumps(read.scopes.to_dict()))
    dead.take(read.id)
    progress = {"statuses": {"traced": 64}, "warnings": [], "untold": 0}
    dead.append(read.id, rows, progress)
    return str(read.id)


def test_a_sweep_is_taken_over_once_the_lease_of_a_dead_replica_runs_out(
    replicas: tuple[Replica, Replica], postgresql: Postgresql, postgresql_url: str
) -> None:
    one, other = replicas
    sweep_id = begun_by_another(one, swept(150))
    for replica in replicas:
        body = replica.client.get(f"/v1/sweeps/{sweep_id}").json()
        assert (body["state"], body["done"]) == ("running", 64)
    (database,) = re.findall(r"@/(\w+)", postgresql_url)
    postgresql.execute("UPDATE sweep_leases SET until = 0", database)
    body = other.client.get(f"/v1/sweeps/{sweep_id}").json()
    assert (body["state"], body["reason"]) == ("stopped", "It was interrupted.")
    body = other.client.post("/v1/sweeps?limit=1000", json=swept(150)).json()
    assert (body["state"], body["done"]) == ("done", 150)
    assert [row["index"] for row in body["rows"]] == list(range(150))


def test_a_sweep_that_is_deleted_elsewhere_ends_where_it_is_traced(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = replicas
    traced, go_on = threading.Event(), threading.Event()
    trace = one.engine.trace

    async def slowly(task: Any) -> Any:
        reply = await trace(task)
        if task.part.rows[0] >= 128:
            traced.set()
            while not go_on.is_set():
                await asyncio.sleep(0.01)
        return reply

    monkeypatch.setattr(one.engine, "trace", slowly)
    with ThreadPoolExecutor(1) as threads:
        text = threads.submit(
            lambda: one.client.post("/v1/sweeps?format=ndjson", json=swept(1000)).text
        )
        assert traced.wait(30)
        (item,) = other.client.get("/v1/sweeps").json()["sweeps"]
        sweep_id = item["id"]
        assert other.client.get(f"/v1/sweeps/{sweep_id}").json()["state"] == "running"
        assert status(other.client, f"/v1/sweeps/{sweep_id}", "DELETE") == 204
        go_on.set()
        last = text.result().splitlines()[-1]
    assert '"reason":"The sweep was deleted."' in last
    for replica in replicas:
        assert status(replica.client, f"/v1/sweeps/{sweep_id}") == 404
    assert status(other.client, "/v1/sweeps") == 200


def test_a_run_that_stood_still_too_long_stores_nothing_beside_its_heir(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = (each.sweeps for each in replicas)
    one.add("a" * 32, 4, "{}", "{}")
    one.take("a" * 32)
    other.take("a" * 32)
    with pytest.raises(Exception, match=r"^Another replica of the service traces the sweep now\.$"):
        one.append("a" * 32, [{"index": 0}], {})  # type: ignore[list-item,typeddict-item]
    assert one.renew(["a" * 32]) == {"a" * 32}
    assert list(one.rows("a" * 32)) == []
    one.stop("a" * 32, "It was late.")
    stored = other.get("a" * 32)
    assert stored is not None
    assert (stored.owner, stored.reason) == (other.owner, None)
