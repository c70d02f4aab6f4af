"""Versions in int8: what calibrates them, what is refused, and what is left on the disk."""

import hashlib
import io
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_worker import in_reader
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, image_bytes, npy_bytes

from app import main
from app.engine import DeadlineError, ModelRef, ModelState, Quantization, Reply
from app.http.body_budget import BodyBudget
from app.settings import Limit
from app.store.calibrations import CalibrationFiles, CalibrationRows
from app.store.sqlite import FILE_NAME
from model_zoo import decode_image, preprocess

pytestmark = pytest.mark.usefixtures("file_place")

Make = Callable[..., TestClient]
ROWS = np.random.default_rng(0).uniform(-0.5, 0.5, (16, 28, 28, 1)).astype(np.float32)
FASTER = Quantization(12, 4, 0.25, 0.75, 0.002, 0.005)
SLOWER = Quantization(12, 4, 0.25, 0.75, 0.0021, 0.002)
SAME_ROWS = [npy_bytes(ROWS)]


class QuantizingEngine(NoEngine):
    """Finds for every network in int8 what a test says."""

    def __init__(self) -> None:
        self.found: Quantization | Exception = FASTER
        self.home = Path()
        self.loads: list[ModelRef] = []
        self.unloads: list[ModelRef] = []
        self.files: list[set[str]] = []  # at each load

    async def load(self, model: ModelRef) -> ModelState:
        self.loads.append(model)
        self.files.append(stored(self.home))
        if isinstance(self.found, Exception):
            raise self.found
        return self.state(model)

    async def unload(self, model: ModelRef) -> None:
        self.unloads.append(model)

    def state(self, model: ModelRef) -> ModelState:
        found = self.found if isinstance(self.found, Quantization) else None
        return ModelState(
            "ready",
            engine="onnxruntime",
            precision=model.precision,
            difference=0.01 if model.calibration else None,
            quantization=found if model.calibration else None,
        )

    async def read(self, task: Any, buffers: Any) -> Reply[Any]:
        return in_reader(task, buffers)


@pytest.fixture
def engine(tmp_path: Path, file_place: str) -> QuantizingEngine:
    engine = QuantizingEngine()
    engine.home = tmp_path / "home" if file_place == "folder" else tmp_path / "home" / "copies"
    return engine


@pytest.fixture
def client(make_client: Make, engine: QuantizingEngine) -> TestClient:
    return make_client(engine)


def stored(home: Path) -> set[str]:
    return {path.name for path in (home / "calibrations").iterdir()}


def put(
    client: TestClient, files: Sequence[bytes] = SAME_ROWS, name: str = "fast", **naming: Any
) -> Any:
    document = {"precision": "int8", **naming}
    if "build" not in document:
        document["build"] = build(client)
    fields: list[tuple[str, Any]] = [("model", (None, json.dumps(document)))]
    fields += [("calibration", ("any name", each)) for each in files]
    return client.put(f"/v1/models/{name}", files=fields)


def refusal(response: Any) -> tuple[int, str]:
    body = response.json()
    assert body["error"] == body["detail"]
    return response.status_code, body["detail"]


def test_rows_are_kept_as_the_network_takes_them(
    client: TestClient, engine: QuantizingEngine
) -> None:
    """Pictures are preprocessed, arrays taken as they are, in the order of the form."""
    picture = image_bytes("PNG")
    answer = put(client, [npy_bytes(ROWS[0]), picture, npy_bytes(ROWS[1:15])])
    assert answer.status_code == 201
    calibration = answer.json()["calibration"]
    (name,) = stored(engine.home)
    content = (engine.home / "calibrations" / name).read_bytes()
    assert name == f"{calibration['sha256']}.npy"
    assert (calibration["sha256"], calibration["rows"]) == (hashlib.sha256(content).hexdigest(), 16)
    pixels = decode_image(picture, max_pixels=10_000, channels=1)
    expected = [ROWS[0], preprocess("lenet", pixels, (28, 28, 1)), *ROWS[1:15]]
    rows = np.load(io.BytesIO(content))
    np.testing.assert_array_equal(rows, np.stack(expected))
    read = CalibrationRows(engine.home, calibration["sha256"])
    np.testing.assert_array_equal(np.stack([*read]), rows)
    np.testing.assert_array_equal(np.stack(read[2:4]), rows[2:4])
    # It was there when the worker was told to read it.
    assert (engine.files[0], engine.loads[0].calibration) == ({name}, calibration["sha256"])
    assert engine.loads[0].key == (
        f"{answer.json()['build']}-onnxruntime-int8-{calibration['sha256']}"
    )


def test_the_metadata_tells_what_int8_changes_and_gains(client: TestClient) -> None:
    put(client)
    properties = client.get("/v2/models/fast").json()["properties"]
    names = ("precision", "engine", "measured_difference", "measured_largest_difference")
    assert [properties[name] for name in names] == ["int8", "onnxruntime", "0.01", "0.25"]
    names = ("calibration_rows", "held_out_rows", "measured_agreement", "measured_gain")
    assert [properties[name] for name in names] == ["12", "4", "0.75", "2.5"]


def test_the_form_is_not_held_in_memory_while_it_is_tried(
    monkeypatch: pytest.MonkeyPatch, make_client: Make, engine: QuantizingEngine
) -> None:
    """Eight forms of 32 MiB would lock out all others for as long as eight loads take."""
    budgets: list[BodyBudget] = []

    def budget(limit: Limit[int]) -> BodyBudget:
        budgets.append(BodyBudget(limit))
        return budgets[-1]

    monkeypatch.setattr(main, "BodyBudget", budget)
    client = make_client(engine)
    held: list[int] = []
    read, load = engine.read, engine.load

    async def read_too(task: Any, buffers: Any) -> Reply[Any]:
        held.append(budgets[0].held_bytes)
        return await read(task, buffers)

    async def load_too(model: ModelRef) -> ModelState:
        held.append(budgets[0].held_bytes)
        return await load(model)

    monkeypatch.setattr(engine, "read", read_too)
    monkeypatch.setattr(engine, "load", load_too)
    assert put(client).status_code == 201
    reading, loading, *_ = held
    assert reading > ROWS.nbytes
    assert loading == 0


def test_what_a_picture_warns_about_is_told(client: TestClient) -> None:
    raw = npy_bytes((255 * (ROWS + 0.5)).astype(np.float32))
    (warning,) = put(client, [raw]).json()["warnings"]
    assert warning.startswith("/calibration/0: Array values run from ")


def test_rows_that_repeat_others_are_told(client: TestClient) -> None:
    assert "warnings" not in put(client).json()
    assert put(client, [*SAME_ROWS, npy_bytes(ROWS[3:5])]).json()["warnings"] == [
        "2 of the 18 calibration rows are equal to others. What is measured says little where "
        "held-out rows also calibrate."
    ]


FORMS: dict[str, tuple[dict[str, Any], Sequence[bytes], str]] = {
    "no rows": (
        {},
        [],
        "/precision: precision int8 is calibrated on rows of yours: send a form with this JSON in "
        "the field model, and pictures or .npy arrays such as the network will see in fields "
        "called calibration, 16 rows or more.",
    ),
    "rows for another precision": (
        {"precision": "float32"},
        SAME_ROWS,
        "/precision: The form has calibration rows, which only precision int8 uses: send precision "
        "int8 in the field model, or leave them out.",
    ),
    "rows for no precision": (
        {"precision": None},
        SAME_ROWS,
        "/precision: The form has calibration rows, which only precision int8 uses: send precision "
        "int8 in the field model, or leave them out.",
    ),
    "TensorFlow": (
        {"engine": "tensorflow"},
        SAME_ROWS,
        "/engine: precision int8 needs ONNX Runtime, and not engine tensorflow: send engine "
        "onnxruntime.",
    ),
    "few rows": (
        {},
        [npy_bytes(ROWS[:15])],
        "/calibration: The form has 15 calibration rows; precision int8 needs 16 or more, of which "
        "every fourth is held out to measure what it changes.",
    ),
    "text": (
        {},
        [*SAME_ROWS, b"no picture"],
        "/calibration/1: Calibration rows are pictures (JPEG, PNG, WebP) or .npy arrays; this file "
        "is neither.",
    ),
    "JSON": (
        {},
        [*SAME_ROWS, b'{"instances": []}'],
        "/calibration/1: Calibration rows are pictures (JPEG, PNG, WebP) or .npy arrays; this file "
        "is neither.",
    ),
    "another shape": (
        {},
        [*SAME_ROWS, npy_bytes(ROWS[:, :14])],
        "/calibration/1: The array has shape [16, 14, 28, 1]; the network takes [28, 28, 1], or a "
        "batch of n of them: [n, 28, 28, 1].",
    ),
    "not finite": (
        {},
        [npy_bytes(np.full((16, 28, 28, 1), np.inf, np.float32))],
        "/calibration/0: The array has values that are not finite float32 numbers.",
    ),
    "one array with too many": (
        {},
        [npy_bytes(np.zeros((129, 28, 28, 1), np.float32))],
        "/calibration/0: The request has 129 rows or more; the limit is 128 "
        "(ZOO_MAX_CALIBRATION_ROWS).",
    ),
    "too many in all": (
        {},
        SAME_ROWS * 9,
        "/calibration/8: The form has 144 calibration rows or more; the limit is 128 "
        "(ZOO_MAX_CALIBRATION_ROWS).",
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_what_cannot_calibrate_is_refused_and_leaves_nothing(
    client: TestClient, engine: QuantizingEngine, case: str
) -> None:
    naming, files, message = FORMS[case]
    assert refusal(put(client, files, **naming)) == (422, message)
    assert client.get("/v1/models").json()["models"] == []
    assert (stored(engine.home), engine.loads) == (set(), [])


def test_the_engine_of_the_service_counts_unless_the_version_has_its_own(
    monkeypatch: pytest.MonkeyPatch, make_client: Make, engine: QuantizingEngine
) -> None:
    monkeypatch.setenv("ZOO_ENGINE", "tensorflow")
    client = make_client(engine)
    assert refusal(put(client)) == (
        422,
        "/engine: precision int8 needs ONNX Runtime, and not ZOO_ENGINE=tensorflow: send engine "
        "onnxruntime.",
    )
    assert put(client, engine="onnxruntime").status_code == 201


def test_a_network_with_statistics_of_the_batch_is_refused(
    client: TestClient, engine: QuantizingEngine
) -> None:
    args = {"normalizer_fn": "batch_norm"}
    made = build(client, scopes=[{"ops": ["fully_connected"], "args": args}])
    assert refusal(put(client, build=made)) == (
        422,
        "LeNet/fc3/BatchNorm, LeNet/fc4/BatchNorm: is_training of batch_norm is true there, and "
        "statistics of the batch have no form in int8. Use float32.",
    )
    assert engine.loads == []


def test_a_network_with_active_dropout_is_refused_as_elsewhere(client: TestClient) -> None:
    made = build(client, is_training=True)
    status, message = refusal(put(client, build=made))
    assert (status, message.partition(",")[0]) == (422, "The build has is_training true")


def test_a_network_too_large_to_be_quantized_is_refused(
    make_client: Make, engine: QuantizingEngine
) -> None:
    client = make_client(engine, max_models_bytes=1_000_000)
    status, message = refusal(put(client))
    assert status == 422
    assert message.startswith("To compare this network in int8 with float32 takes ")
    assert message.endswith(
        " bytes of memory; the limit is 1000000 (ZOO_MAX_MODELS_BYTES). Use float32."
    )
    assert (stored(engine.home), engine.loads) == (set(), [])


def test_calibrations_have_room_in_all(make_client: Make, engine: QuantizingEngine) -> None:
    client = make_client(engine, max_calibrations_bytes=60_000)
    assert put(client).status_code == 201
    assert refusal(put(client, [npy_bytes(ROWS + 1)], name="other")) == (
        503,
        "16 calibration rows of 3136 bytes do not fit beside those that are stored; the limit is "
        "60000 bytes (ZOO_MAX_CALIBRATIONS_BYTES). DELETE /v1/models/{name} makes room.",
    )
    assert len(stored(engine.home)) == 1


def test_int8_is_refused_where_it_gains_nothing(
    client: TestClient, engine: QuantizingEngine
) -> None:
    engine.found = SLOWER
    assert refusal(put(client)) == (
        422,
        "precision int8 gains nothing here: a row takes 2.1 ms in int8 and 2 ms in float32. Use "
        "float32.",
    )
    assert client.get("/v1/models").json()["models"] == []
    assert stored(engine.home) == set()
    assert [ref.key for ref in engine.unloads] == [ref.key for ref in engine.loads]


def test_a_version_that_was_stored_loads_even_where_it_gains_nothing_any_more(
    client: TestClient, engine: QuantizingEngine
) -> None:
    made = build(client)
    assert put(client, build=made).status_code == 201
    engine.found = SLOWER
    assert put(client, [], build=made).status_code == 200
    properties = client.get("/v2/models/fast").json()["properties"]
    assert properties["measured_gain"] == "0.952"


def test_a_load_that_fails_leaves_nothing(client: TestClient, engine: QuantizingEngine) -> None:
    engine.found = DeadlineError("It took too long.")
    assert refusal(put(client)) == (504, "It took too long.")
    assert stored(engine.home) == set()


def test_a_version_that_conflicts_leaves_nothing(
    client: TestClient, engine: QuantizingEngine
) -> None:
    made = build(client)
    first = put(client, build=made).json()["calibration"]["sha256"]
    answer = put(client, [npy_bytes(ROWS + 1)], build=made, version=1)
    other = engine.loads[-1].calibration
    assert other != first
    assert refusal(answer) == (
        409,
        f"Version 1 of model 'fast' is build {made}, precision int8, calibration {first}, and "
        "cannot change. Leave out the version to create the next one.",
    )
    assert stored(engine.home) == {f"{first}.npy"}
    assert engine.unloads == [engine.loads[-1]]


def test_the_same_rows_are_the_same_version_and_others_the_next(
    client: TestClient, engine: QuantizingEngine
) -> None:
    made = build(client)
    answers = [
        put(client, files, build=made)
        for files in (SAME_ROWS, [npy_bytes(row) for row in ROWS], [npy_bytes(ROWS + 1)])
    ]
    assert [(each.status_code, each.json()["version"]) for each in answers] == [
        (201, 1),
        (200, 1),
        (201, 2),
    ]
    assert len(stored(engine.home)) == 2
    assert engine.unloads == []


def test_without_rows_the_calibration_of_the_version_is_meant(client: TestClient) -> None:
    made = build(client)
    first = put(client, build=made).json()
    naming = {"build": made, "precision": "int8", "labels": ["stable"]}
    answer = client.put("/v1/models/fast", json=naming)
    assert (answer.status_code, answer.json()) == (200, {**first, "labels": ["stable"]})
    second = put(client, [npy_bytes(ROWS + 1)], build=made).json()["calibration"]
    assert second != first["calibration"]
    answer = client.put("/v1/models/fast", json={**naming, "version": 1})
    assert answer.json()["calibration"] == first["calibration"]
    pinned = client.put("/v1/models/fast", json={**naming, "pinned": True})
    assert (pinned.status_code, pinned.json()["calibration"]) == (201, second)
    other = build(client, params={"num_classes": 9})
    assert client.put("/v1/models/fast", json={**naming, "build": other}).status_code == 422
    assert client.put("/v1/models/slow", json=naming).status_code == 422


def test_a_version_that_goes_just_before_gives_no_calibration(
    monkeypatch: pytest.MonkeyPatch, client: TestClient, engine: QuantizingEngine
) -> None:
    made = build(client)
    assert put(client, build=made).status_code == 201
    hold = CalibrationFiles.hold

    def too_late(files: CalibrationFiles, digest: str) -> None:
        services = client.app.state.services  # type: ignore[attr-defined]
        store = services.registry._store
        store.remove(store.versions("fast"))
        files.remove_unused(digest)
        hold(files, digest)

    monkeypatch.setattr(CalibrationFiles, "hold", too_late)
    naming = {"build": made, "precision": "int8", "pinned": True}
    status, message = refusal(client.put("/v1/models/fast", json=naming))
    assert (status, message) == (422, FORMS["no rows"][2])
    assert client.get("/v1/models").json()["models"] == []
    assert stored(engine.home) == set()


def test_rows_are_removed_with_the_last_version_that_has_them(
    client: TestClient, engine: QuantizingEngine
) -> None:
    made = build(client)
    for name in ("fast", "faster"):
        assert put(client, name=name, build=made).status_code == 201
    assert len(stored(engine.home)) == 1
    client.delete("/v1/models/fast")
    assert (len(stored(engine.home)), engine.unloads) == (1, [])
    client.delete("/v1/models/faster")
    assert (stored(engine.home), len(engine.unloads)) == (set(), 1)


@pytest.mark.parametrize("file_place", ["folder"], indirect=True)
def test_a_restart_keeps_the_rows_of_versions_and_nothing_else(
    make_client: Make, client: TestClient, engine: QuantizingEngine
) -> None:
    first = put(client, pinned=True).json()
    folder = engine.home / "calibrations"
    (folder / f"{'0' * 64}.npy").write_bytes(b"of a version that was never stored")
    (folder / "tmp-killed").mkdir()
    (folder / "tmp-killed" / "rows.npy").write_bytes(b"half")
    again = make_client(engine)
    assert stored(engine.home) == {f"{first['calibration']['sha256']}.npy"}
    (model,) = again.get("/v1/models").json()["models"]
    assert model["calibration"] == first["calibration"]
    # The start loads it, since it is pinned.
    assert (engine.loads[-1].precision, engine.loads[-1].calibration) == (
        "int8",
        first["calibration"]["sha256"],
    )


@pytest.mark.sqlite
def test_a_database_of_an_older_release_gains_calibrations(
    make_client: Make, client: TestClient, engine: QuantizingEngine, tmp_path: Path
) -> None:
    made = build(client)
    client.put("/v1/models/old", json={"build": made})
    with closing(sqlite3.connect(tmp_path / "home" / FILE_NAME)) as connection:
        later = ("calibrations", "zoo_schema_version", "revision", "sweep_leases", "uploads")
        for table in later:
            connection.execute(f"DROP TABLE {table}")
        connection.commit()
    again = make_client(engine)
    assert [each["name"] for each in again.get("/v1/models").json()["models"]] == ["old"]
    assert put(again, build=made).status_code == 201


@pytest.mark.parametrize("file_place", ["folder"], indirect=True)
def test_rows_that_a_request_holds_stay_when_another_version_goes(tmp_path: Path) -> None:
    files = CalibrationFiles(tmp_path, lambda digest: False)
    held = []
    for _ in range(2):
        with files.writing((28, 28, 1)) as writer:
            writer.add(ROWS.tobytes(), len(ROWS))
            assert files.stored_bytes() > 0  # before it is kept
            held.append(files.keep(writer))
    name = f"{held[0].digest}.npy"
    assert (held[0], stored(tmp_path)) == (held[1], {name})
    files.remove_unused(held[0].digest)
    files.release(held[0].digest)
    assert stored(tmp_path) == {name}
    files.release(held[1].digest)
    assert stored(tmp_path) == set()
