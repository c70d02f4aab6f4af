"""Rows of a sweep are measured one after the other; what is measured becomes columns."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from zoo_server import NoEngine, poll, problem

from app.engine import Answer, DeadlineError, ModelRef, ModelState, Reply, Rows
from app.tasks import MeasuredSignal, MeasureSignal

Make = Callable[..., TestClient]

SWEEP = {
    "spec": {"architecture": "lenet"},
    "axes": {"/weights/seed": [0, 1, "x"], "/weights/source": ["random"]},
}


class Recorder(NoEngine):
    """Answers with the seed of a network's weights as the score of class 3."""

    def __init__(self) -> None:
        self.inputs: list[bytes] = []
        self.events: list[str] = []
        self.loaded: set[str] = set()
        self.hold = False
        self.fails = False

    async def infer(self, model: ModelRef, rows: Rows, outputs: Any, **_options: Any) -> Answer:
        while self.hold:
            await asyncio.sleep(0.01)
        if self.fails:
            raise DeadlineError("The request computed for longer than 1 s.")
        self.loaded.add(model.key)
        self.inputs.append(bytes(rows.data))
        seed = model.spec["weights"]["seed"]
        self.events.append(f"infer {seed}")
        scores = np.zeros((rows.count, 10), np.float32)
        scores[:, 3 if seed == 0 else 4] = 1 + seed
        return Answer({"output": scores}, {"compute": 0.5 / len(self.events)}, rows.count)

    async def run(self, task: Any) -> Reply[Any]:
        assert isinstance(task, MeasureSignal)
        self.events.append(f"probe {task.specs.spec['weights']['seed']} on {task.rows} rows")
        layers = [{"op": "conv2d", "gain_from_input": 1e-5}, {"op": "softmax"}]
        verdict = {"mode": "inference", "verdict": "vanishing", "layer": "LeNet/fc4"}
        document = {
            "modes": [{"mode": mode, "layers": layers} for mode in task.modes],
            "verdicts": [verdict],
        }
        return Reply(MeasuredSignal(json.dumps(document).encode()))

    async def unload(self, model: ModelRef) -> None:
        self.loaded.discard(model.key)
        self.events.append("unload")

    def state(self, model: ModelRef) -> ModelState:
        if model.key in self.loaded:
            return ModelState("ready", engine="onnxruntime")
        return ModelState()


def sweep(client: TestClient) -> str:
    response = client.post("/v1/sweeps", json=SWEEP)
    assert response.status_code == 200, response.text
    assert response.json()["statuses"] == {
        "traced": 2,
        "refused": 1,
        "duplicate": 0,
        "filtered": 0,
    }
    path: str = response.json()["links"]["self"]
    return path


def measured(client: TestClient, path: str, query: str = "", **options: Any) -> dict[str, Any]:
    """Measure, and return how the measurement ended."""
    response = client.post(f"{path}/measurements{query}", **options)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"{path}/measurements"

    def progress() -> dict[str, Any]:
        body: dict[str, Any] = client.get(f"{path}/measurements").json()
        return body

    poll(lambda: progress()["state"] != "running")
    return progress()


def test_rows_have_latency_and_agreement_with_the_base(make_client: Make) -> None:
    engine = Recorder()
    client = make_client(engine)
    path = sweep(client)
    assert measured(client, path) == {
        "state": "done",
        "reason": None,
        "rows": 2,
        "done": 2,
        "base": None,
    }
    same, other, refused = client.get(f"{path}/rows").json()["rows"]
    assert same["measured"] == {
        "engine": "onnxruntime",
        "batch_rows": 1,
        "latency_s": pytest.approx(0.5 / 4),  # the base took the first run, then a load was freed
        "output_mean": pytest.approx(0.1),
        "output_std": pytest.approx(0.3),
        "same_top_1": 1.0,
        "largest_difference": 0.0,
        "mean_kl_divergence": 0.0,
    }
    assert other["measured"]["same_top_1"] == 0.0
    assert other["measured"]["largest_difference"] == 2.0
    assert other["measured"]["mean_kl_divergence"] > 0.1
    assert "measured" not in refused
    # Each network is in memory for its own runs alone.
    assert engine.events == [
        "infer 0",
        "unload",
        *["infer 0"] * 3,
        "unload",
        *["infer 1"] * 3,
        "unload",
    ]
    assert len(set(engine.inputs)) == 1


def test_what_is_measured_sorts_and_is_an_objective_and_a_column(make_client: Make) -> None:
    client = make_client(Recorder())
    path = sweep(client)
    measured(client, path)
    rows = client.get(f"{path}/rows?sort=-largest_difference").json()["rows"]
    assert [row["index"] for row in rows] == [1, 0, 2]
    query = "pareto=latency_s:minimize,same_top_1:maximize&include_dominated=false"
    rows = client.get(f"{path}/rows?{query}").json()["rows"]
    assert [row["index"] for row in rows] == [0, 1]
    header, *lines = client.get(f"{path}/rows?format=csv").text.splitlines()
    assert header.endswith(
        "problem,warnings,duplicate_of,latency_s,output_mean,output_std,same_top_1,"
        "largest_difference,mean_kl_divergence,signal_gain,training_signal_gain,verdicts,failure"
    )
    cells = lines[1].split(",")[-10:]
    assert [cells[0], *map(float, cells[1:5]), *cells[6:]] == [
        "0.0625",
        pytest.approx(0.2),
        pytest.approx(0.6),
        0.0,
        2.0,
        *[""] * 4,
    ]


def test_a_probe_adds_the_gain_and_the_verdicts(make_client: Make) -> None:
    engine = Recorder()
    client = make_client(engine)
    path = sweep(client)
    measured(client, path, "?rows=1&runs=1&probe=true")
    assert engine.events[-1] == "probe 1 on 8 rows"
    (_, row, _) = client.get(f"{path}/rows").json()["rows"]
    assert row["measured"]["signal_gain"] == row["measured"]["training_signal_gain"] == 1e-5
    assert row["measured"]["verdicts"] == ["inference: vanishing from LeNet/fc4"]
    table = client.get(f"{path}/rows?format=csv").text
    assert ",1e-05,1e-05,inference: vanishing from LeNet/fc4," in table
    build = client.get(f"/v1/builds/{row['build']}")
    assert build.status_code == 404  # nothing is kept of it but the row


def test_a_model_that_is_in_memory_already_stays_there(make_client: Make) -> None:
    engine = Recorder()
    client = make_client(engine)
    path = sweep(client)
    measured(client, path, "?rows=1&runs=1")
    (first, *_) = [event for event in engine.events if event != "unload"]
    assert first == "infer 0"
    engine.events.clear()
    engine.unload = None  # type: ignore[assignment]  # any call would fail
    build = client.get(f"{path}/rows").json()["rows"][1]["build"]
    engine.loaded |= {f"{build}-auto-float32", f"{_base(client, path)}-auto-float32"}
    assert measured(client, path, "?rows=1&runs=2")["state"] == "done"
    assert engine.events == ["infer 0", "infer 1", "infer 1"]


def _base(client: TestClient, path: str) -> str:
    build: str = client.post("/v1/builds", json={"architecture": "lenet"}).json()["id"]
    return build


def test_a_network_that_fails_is_told_and_stops_no_other(make_client: Make) -> None:
    engine = Recorder()
    engine.fails = True
    client = make_client(engine)
    path = sweep(client)
    sentence = "The request computed for longer than 1 s."
    assert measured(client, path)["base"] == f"The base of the sweep has no outputs: {sentence}"
    rows = client.get(f"{path}/rows").json()["rows"]
    assert [row.get("measured") for row in rows] == [{"failure": sentence}] * 2 + [None]


def test_noise_has_a_seed_and_as_many_rows_as_asked_for(make_client: Make) -> None:
    engine = Recorder()
    client = make_client(engine)
    path = sweep(client)
    measured(client, path, "?rows=0&runs=1&batch_rows=4&seed=7")
    expected = np.random.default_rng(7).standard_normal((4, 28, 28, 1), dtype=np.float32)
    assert engine.inputs == [expected.tobytes()] * 2
    (row, *_) = client.get(f"{path}/rows").json()["rows"]
    assert row["measured"]["batch_rows"] == 4


def test_a_second_measurement_waits_and_the_first_can_be_ended(make_client: Make) -> None:
    engine = Recorder()
    engine.hold = True
    client = make_client(engine)
    path = sweep(client)
    assert client.post(f"{path}/measurements").status_code == 202
    refusal = client.post(f"{path}/measurements")
    assert refusal.status_code == 503
    assert problem(refusal)["detail"] == (
        "Another measurement of a sweep runs; only one runs at a time."
    )
    assert client.delete(f"{path}/measurements").status_code == 204
    progress = client.get(f"{path}/measurements").json()
    assert (progress["state"], progress["reason"]) == ("stopped", "It was cancelled.")
    engine.hold = False
    assert measured(client, path)["state"] == "done"


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("rows=2", "Query parameter rows: '2' is no number of a row that is traced."),
        ("rows=0,x", "Query parameter rows: 'x' is no number of a row that is traced."),
        ("batch_rows=33", "Query parameter batch_rows: at most 32 rows at once."),
        ("engine=torch", "Query parameter engine does not accept 'torch'."),
    ],
)
def test_bad_parameters_are_refused(client: TestClient, query: str, detail: str) -> None:
    refusal = problem(client.post(f"{sweep(client)}/measurements?{query}"))
    assert refusal["status"] == 422
    assert refusal["detail"].startswith(detail)


def test_what_is_not_there_is_told(client: TestClient) -> None:
    nothing = "0" * 32
    for method in ("GET", "POST", "DELETE"):
        answer = client.request(method, f"/v1/sweeps/{nothing}/measurements")
        assert problem(answer)["type"] == "/docs#problem-unknown-sweep"
    answer = client.get(f"{sweep(client)}/measurements")
    assert problem(answer)["detail"] == "Nothing measures this sweep; POST here to measure it."
