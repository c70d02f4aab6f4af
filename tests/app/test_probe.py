"""`POST /v1/builds/{id}/probe`: what the worker is told, what is kept, and what is refused."""

import asyncio
import csv
import io
import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import homes
import numpy as np
import pytest
from fake_worker import in_reader
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, image_bytes, npy_bytes, problem

from app.engine import Reply
from app.settings import Settings
from app.store.builds import BuildStore
from app.store.sqlite import SqliteDatabase
from app.tasks import MeasuredSignal, MeasureSignal
from model_zoo import BuildSpec, ProbeDocument, Trace, VerdictDocument, trace

Make = Callable[..., TestClient]

MESSAGE = "LeNet/conv1: in inference mode the signal vanishes."
VERDICT: VerdictDocument = {
    "mode": "inference",
    "verdict": "vanishing",
    "layer": "LeNet/conv1",
    "op": "conv2d",
    "figure": "gain_from_input",
    "number": 1e-9,
    "limit": 1e-3,
    "layers": 5,
    "reaches_output": True,
    "causes": [
        {
            "argument": "weights_initializer",
            "value": "zeros_initializer",
            "kind": "scope",
            "written_at": "/scopes/0/args/weights_initializer",
            "level": "request",
            "ops": ["conv2d"],
            "layers": 1,
            "first_layer": "LeNet/conv1",
            "gain": 1e-9,
            "share": 1.0,
        }
    ],
    "other_share": 0.0,
    "message": MESSAGE,
}


def found_in(network: Trace, *verdicts: VerdictDocument, **others: Any) -> ProbeDocument:
    """Return the probe of a network in inference mode, with the same numbers at each layer."""
    numbers = dict.fromkeys(
        ("mean", "std", "rms", "min", "max", "gain", "gain_from_input"), 0.5
    ) | {"channel_squared_mean": 0.25, "channel_variance": None, "gradient_rms": None}
    layers: list[Any] = [
        {
            "name": row.name,
            "op": row.op,
            "output_shape": list(row.output_shape),
            "zero_fraction": 0.0,
            "dead_units": 0.0,
            "saturated": None,
            "non_finite": 0,
            **numbers,
        }
        for row in network.summary().rows
    ]
    document = {
        "build": network.spec.digest,
        "architecture": network.spec.architecture,
        "input": "normal",
        "preprocessing": None,
        "rows": 8,
        "seed": 0,
        "dropout": "off",
        "loss": None,
        "limits": {
            "vanishing_std": 1e-4,
            "vanishing_gain": 1e-3,
            "exploding_gain": 1e3,
            "dead_units": 0.5,
        },
        "healthy": not verdicts,
        "verdicts": list(verdicts),
        "modes": [
            {
                "mode": "inference",
                "batch_norms": {
                    "batch_statistics": 0,
                    "moving_averages": 0,
                    "initial_moving_averages": 0,
                },
                "layers": layers,
            }
        ],
        **others,
    }
    return cast(ProbeDocument, document)


class MeasuringEngine(NoEngine):
    """Keeps the tasks that it is given, and answers with what it is told to find."""

    def __init__(self, *verdicts: VerdictDocument) -> None:
        self.tasks: list[MeasureSignal] = []
        self.verdicts = verdicts

    async def run(self, task: Any) -> Reply[Any]:
        self.tasks.append(task)
        network = trace(BuildSpec.stored(task.specs.spec))
        document = found_in(network, *self.verdicts, rows=task.rows)
        return Reply(MeasuredSignal(json.dumps(document).encode()), (), {"probe": 0.1})

    async def read(self, task: Any, buffers: Any) -> Reply[Any]:
        return in_reader(task, buffers)


def warnings(client: TestClient, build_id: str) -> list[str]:
    body = client.get(f"/v1/builds/{build_id}").json()
    (item,) = (e for e in client.get("/v1/builds").json()["builds"] if e["id"] == build_id)
    assert item["warnings"] == len(body["warnings"])
    found: list[str] = body["warnings"]
    return found


def test_without_a_body_and_a_query_noise_is_probed_in_both_modes(make_client: Make) -> None:
    engine = MeasuringEngine()
    client = make_client(engine, request_timeout_s=100)
    build_id = build(client)
    response = client.post(f"/v1/builds/{build_id}/probe")
    assert response.status_code == 200
    body = response.json()
    assert (body["build"], body["architecture"], body["healthy"]) == (build_id, "lenet", True)
    assert (body["rows"], body["warnings"]) == (8, [])
    assert "probe" in response.headers["server-timing"]
    (task,) = engine.tasks
    assert (task.batch, task.are_images, task.rows, task.seed) == (None, False, 8, 0)
    assert (task.gradients, task.modes) == (False, ("inference", "training"))
    assert task.seconds_left == 75


def test_the_query_chooses_rows_seed_mode_and_gradients(make_client: Make) -> None:
    engine = MeasuringEngine()
    client = make_client(engine)
    query = "rows=3&seed=9223372036854775807&gradients=true&mode=training"
    assert client.post(f"/v1/builds/{build(client)}/probe?{query}").status_code == 200
    (task,) = engine.tasks
    assert (task.rows, task.seed, task.gradients, task.modes) == (3, 2**63 - 1, True, ("training",))


def test_a_body_is_read_as_that_of_a_prediction(make_client: Make) -> None:
    engine = MeasuringEngine()
    client = make_client(engine)
    path = f"/v1/builds/{build(client, 'cifarnet')}/probe"
    picture = client.post(path, content=image_bytes(), headers={"Content-Type": "image/jpeg"})
    rows = np.linspace(-1, 1, 2 * 32 * 32 * 3, dtype=np.float32).reshape(2, 32, 32, 3)
    array = client.post(path, content=npy_bytes(rows))
    assert (picture.status_code, array.status_code) == (200, 200)
    first, second = engine.tasks
    assert (first.rows, first.are_images, len(first.batch or b"")) == (1, True, 4 * 32 * 32 * 3)
    assert (second.rows, second.are_images, second.batch) == (2, False, rows.tobytes())
    pixels = client.post(path, json={"instances": (rows * 0 + 200).tolist()}).json()["warnings"]
    assert pixels[0].startswith("/instances/0, /instances/1: Array values run from 200 to 200, ")


def test_it_answers_as_text_or_a_table_with_warnings_in_headers(make_client: Make) -> None:
    client = make_client(MeasuringEngine(VERDICT), max_activation_bytes=300_000)
    path = f"/v1/builds/{build(client)}/probe"
    text = client.post(path, headers={"Accept": "text/plain"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.text.startswith(f"vanishing: {MESSAGE}\n")
    fewer = "Of the usual 8 rows, a probe of this build takes 1 at most (ZOO_MAX_ACTIVATION_BYTES)."
    assert text.headers["warning"] == f'299 - "{fewer}"'
    table = client.post(f"{path}?format=csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [(row["name"], row["verdicts"]) for row in rows][:2] == [
        ("input", ""),
        ("LeNet/conv1", "vanishing"),
    ]


# What is kept ---------------------------------------------------------------------------------


def test_a_build_warns_of_a_bad_probe_once_it_was_made(make_client: Make) -> None:
    client = make_client(MeasuringEngine(VERDICT, {**VERDICT, "message": "And more."}))
    build_id = build(client)
    assert warnings(client, build_id) == []
    assert client.post(f"/v1/builds/{build_id}/probe?rows=2").status_code == 200
    expected = [f"Probed with 2 rows of normal noise: {each}" for each in (MESSAGE, "And more.")]
    assert warnings(client, build_id) == expected
    again = client.post("/v1/builds", json={"architecture": "lenet"})
    assert (again.status_code, again.json()["warnings"]) == (200, expected)
    named = client.put("/v1/models/digits", json={"build": build_id})
    assert named.json()["warnings"] == expected


def test_its_own_warnings_stay_before_those_of_the_probe(make_client: Make) -> None:
    client = make_client(MeasuringEngine(VERDICT))
    build_id = build(client, scopes=[{"ops": ["batch_norm"], "args": {"decay": 0.5}}])
    before = warnings(client, build_id)
    assert len(before) == 1
    client.post(f"/v1/builds/{build_id}/probe")
    assert warnings(client, build_id) == [
        *before,
        f"Probed with 8 rows of normal noise: {MESSAGE}",
    ]


def test_a_later_probe_replaces_an_earlier_one(make_client: Make) -> None:
    engine = MeasuringEngine(VERDICT)
    client = make_client(engine)
    build_id = build(client)
    client.post(f"/v1/builds/{build_id}/probe")
    client.put("/v1/models/digits", json={"build": build_id})
    engine.verdicts = ()
    client.post(f"/v1/builds/{build_id}/probe")
    assert warnings(client, build_id) == []
    assert "warnings" not in client.put("/v1/models/digits", json={"build": build_id}).json()


def test_what_was_found_outlives_the_service_and_not_the_build(
    make_client: Make, tmp_path: Path
) -> None:
    client = make_client(MeasuringEngine(VERDICT))
    build_id = build(client)
    client.post(f"/v1/builds/{build_id}/probe")
    client = make_client()
    assert len(warnings(client, build_id)) == 1
    assert client.delete(f"/v1/builds/{build_id}").status_code == 204
    assert warnings(client, build(client)) == []
    database = SqliteDatabase(tmp_path / "home", Settings().store_wait)
    lenet = trace(BuildSpec.read({"architecture": "lenet"}))
    assert not BuildStore(database).keep_probe("0" * 32, found_in(lenet, VERDICT))
    database.close()


@pytest.mark.parametrize("release", homes.RELEASES)
def test_builds_of_earlier_releases_keep_their_probes_too(
    release: str, make_client: Make, tmp_path: Path
) -> None:
    shutil.copytree(homes.HOMES / release / homes.HOME, tmp_path / "home")
    client = make_client(MeasuringEngine(VERDICT))
    for item in client.get("/v1/builds?limit=200").json()["builds"]:
        path = f"/v1/builds/{item['id']}"
        before = client.get(path).json()
        assert client.post(f"{path}/probe?mode=inference&rows=1").status_code == 200
        after = client.get(path).json()
        more = [f"Probed with 1 row of normal noise: {MESSAGE}"]
        assert after == {**before, "warnings": [*before["warnings"], *more]}


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("rows=0", "Query parameter rows: input should be greater than or equal to 1."),
        (
            "rows=33",
            "Query parameter rows: a probe of this build takes 32 at most (ZOO_MAX_BATCH).",
        ),
        (
            "seed=9223372036854775808",
            "Query parameter seed: input should be less than or equal to 9223372036854775807.",
        ),
        (
            "mode=train",
            "Query parameter mode does not accept 'train'. Did you mean 'training'?",
        ),
        (
            "gradient=true",
            "There is no query parameter 'gradient' here. Did you mean 'gradients'?",
        ),
    ],
)
def test_a_query_that_does_not_fit_is_refused(make_client: Make, query: str, message: str) -> None:
    client = make_client()
    body = problem(client.post(f"/v1/builds/{build(client)}/probe?{query}"))
    assert (body["type"], body["detail"]) == ("/docs#problem-invalid-query", message)


def test_rows_of_noise_and_inputs_exclude_each_other(client: TestClient) -> None:
    path = f"/v1/builds/{build(client)}/probe?rows=2"
    body = problem(client.post(path, content=npy_bytes(np.zeros((28, 28, 1), np.float32))))
    assert body["detail"] == (
        "Query parameter rows counts rows of noise; each input of the body is a row."
    )


def test_memory_is_known_to_suffice_before_anything_is_computed(make_client: Make) -> None:
    engine = MeasuringEngine()
    client = make_client(engine, max_activation_bytes=300_000)
    path = f"/v1/builds/{build(client)}/probe"
    at_most = "takes 1 at most (ZOO_MAX_ACTIVATION_BYTES)."
    body = problem(client.post(f"{path}?rows=2"))
    assert body["detail"] == f"Query parameter rows: a probe of this build {at_most}"
    two = npy_bytes(np.zeros((2, 28, 28, 1), np.float32))
    body = problem(client.post(path, content=two))
    assert body["type"] == "/docs#problem-invalid-input"
    assert body["detail"] == f"The request has 2 rows; a probe of this build {at_most}"
    body = problem(client.post(f"{path}?gradients=true"))
    assert body["type"] == "/docs#problem-unprocessable"
    assert body["detail"] == (
        "The activations that a probe of one row keeps have 1042800 bytes; the limit is 300000 "
        "(ZOO_MAX_ACTIVATION_BYTES). Ask for no gradients."
    )
    assert engine.tasks == []


def test_a_mode_that_the_network_refuses_is_named(client: TestClient) -> None:
    spec = {"input_shape": [64, 64, 3]}
    body = problem(client.post(f"/v1/builds/{build(client, 'nasnet_mobile', **spec)}/probe"))
    assert body["type"] == "/docs#problem-build-refused"
    assert body["detail"] == (
        "In training mode, a window of 5 with VALID padding does not fit an input of size 4; it "
        "builds with input_shape [224, 224, 3]."
    )
    assert body["layer"] == "aux_7/aux_logits/AvgPool2D (avg_pool2d)"


class HeldEngine(MeasuringEngine):
    """Measures once it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.measuring, self.released = threading.Event(), threading.Event()

    async def run(self, task: Any) -> Reply[Any]:
        self.measuring.set()
        await asyncio.to_thread(self.released.wait)
        return await super().run(task)


@pytest.mark.parametrize(("method", "name"), [("POST", "probe"), ("GET", "profile")])
def test_one_measurement_is_made_at_a_time(make_client: Make, method: str, name: str) -> None:
    engine = HeldEngine()
    client = make_client(engine)
    path = f"/v1/builds/{build(client)}"
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, f"{path}/probe")
        assert engine.measuring.wait(10)
        response = client.request(method, f"{path}/{name}")
        engine.released.set()
        assert first.result().status_code == 200
    body = problem(response)
    assert (body["status"], body["detail"]) == (
        503,
        "Another profile or probe is being measured; only one runs at a time.",
    )
