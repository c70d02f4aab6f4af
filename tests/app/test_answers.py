"""Every operation answers, with every status that it has, as the published schema says.

Schemas are closed here: a member that is not described is a mistake, too.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import httpx
import numpy as np
import pytest
import safetensors.numpy
from fake_worker import in_reader
from jsonschema import Draft202012Validator
from operations import OPERATIONS
from starlette.testclient import TestClient
from test_probe import VERDICT, found_in
from test_profile import measured, traced
from zoo_server import NoEngine, build, image_bytes, npy_bytes

from app.api.sweeps import collection
from app.callers.access import Access
from app.callers.caller import Caller, NotKnownNowError, Usage
from app.callers.token_file import add_token
from app.engine import (
    Answer,
    DeadlineError,
    EngineError,
    EngineStatus,
    ModelRef,
    ModelState,
    ReadingTask,
    Reply,
    Result,
    Rows,
    WorkerTask,
    WorkerUnavailableError,
)
from app.main import create_app
from app.settings import Settings
from app.store.backups import back_up, restore
from app.tasks import (
    DecodedInputs,
    MeasuredSignal,
    MeasureProfile,
    MeasureSignal,
    ReadInputs,
    SavedWeights,
    SaveWeights,
)

MAX_BYTES = 64 * 1024
ROW = np.zeros((28, 28, 1), np.float32)
NPY = npy_bytes(ROW)
WEIGHTS = safetensors.numpy.save({"LeNet/conv1/biases": np.zeros(32, np.float32)})
NOTHING = {
    "a": "nothing",
    "b": "nothing",
    "build_id": "0" * 32,
    "name": "nothing",
    "sweep_id": "0" * 32,
    "version": "9",
    "weights_id": "0" * 64,
}


class AnsweringEngine(NoEngine):
    """Answers with zeros, or fails."""

    def __init__(self) -> None:
        self.error: EngineError | None = None
        self.failing_build: str | None = None
        self.ready = True
        self.is_held = False
        self.states: dict[str, ModelState] = {}

    def _check(self, build_id: str | None = None) -> None:
        if self.error is not None and self.failing_build in (None, build_id):
            raise self.error

    async def infer(self, model: ModelRef, rows: Rows, outputs: Any, **_options: Any) -> Answer:
        await self._released()
        self._check(model.build)
        shapes = {"output": (rows.count, 10), "conv1": (rows.count, 28, 28, 32)}
        arrays = {name: np.zeros(shapes[name], np.float32) for name in outputs}
        return Answer(arrays, {"queue": 0.001, "compute": 0.002}, rows.count)

    async def read(self, task: ReadingTask[Result], buffers: Any) -> Reply[Any]:
        if isinstance(task, ReadInputs):
            inputs = DecodedInputs(1, ("A warning.",), task.parts[0].kind == "image")
            return Reply(inputs, [ROW.tobytes()], {"decode": 0.001})
        return in_reader(task, buffers)

    async def run(self, task: WorkerTask[Result]) -> Reply[Any]:
        self._check()
        if isinstance(task, MeasureProfile):
            return Reply(measured(traced()), (), {"profile": 0.1})
        if isinstance(task, MeasureSignal):
            document = json.dumps(found_in(traced(), VERDICT)).encode()
            return Reply(MeasuredSignal(document), (), {"probe": 0.1})
        assert isinstance(task, SaveWeights)
        digest = hashlib.sha256(b"weights").hexdigest()
        path = Path(task.folder, f"{task.build}.{digest}.safetensors")
        path.write_bytes(b"weights")
        return Reply(SavedWeights(str(path), digest), (), {"save": 0.1})

    async def trace(self, task: Any) -> Reply[Any]:
        await self._released()
        return await super().trace(task)

    async def _released(self) -> None:
        while self.is_held:
            await asyncio.sleep(0.001)

    async def load(self, model: ModelRef) -> ModelState:
        self._check()
        self.states[model.key] = ModelState(
            "ready", "", 1000, "onnxruntime", "float32", (1, 8), difference=1e-6
        )
        return self.states[model.key]

    async def unload(self, model: ModelRef) -> None:
        self.states.pop(model.key, None)

    def state(self, model: ModelRef) -> ModelState:
        return self.states.get(model.key, ModelState())

    def status(self) -> EngineStatus:
        if self.ready:
            return EngineStatus(True, "ready", "cpu", 0, 0, 0, None)
        return EngineStatus(False, "restarting", "cpu", 1, 0, 0, "ended with signal 9")


@dataclass(frozen=True)
class Call:
    """A request to an operation; `values` stand in its path."""

    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


def as_json(document: object, **values: str) -> Call:
    return Call(json.dumps(document).encode(), {"Content-Type": "application/json"}, "", values)


def form(**fields: bytes) -> Call:
    files = {name: (name, content) for name, content in fields.items()}
    request = httpx.Request("POST", "http://zoo/", files=files)
    return Call(request.read(), {"Content-Type": request.headers["content-type"]})


def calibrated(build_id: str) -> Call:
    """Name a build in int8; the engine takes each of the files for a row."""
    naming = json.dumps({"build": build_id, "precision": "int8"}).encode()
    files = [("model", ("model", naming)), *[("calibration", ("row", b"\x93NUMPY"))] * 16]
    request = httpx.Request("POST", "http://zoo/", files=files)
    return Call(request.read(), {"Content-Type": request.headers["content-type"]})


class World(NamedTuple):
    """A service with a build, a named model and weights; `full` takes no more of them.

    `guarded` has access control.
    """

    client: TestClient
    full: TestClient
    engine: AnsweringEngine
    document: Mapping[str, Any]
    values: Mapping[str, str]
    guarded: TestClient


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, new_state: Callable[[], dict[str, Any]]
) -> Iterator[World]:
    engine, state = AnsweringEngine(), new_state()
    settings = Settings(
        home=tmp_path_factory.mktemp("home"),
        **state,
        body_timeout_s=0.2,
        max_body_bytes=MAX_BYTES,
        max_document_bytes=MAX_BYTES,
        max_upload_bytes=MAX_BYTES,
    )
    copies = tmp_path_factory.mktemp("copies")
    small = settings.model_copy(
        update={
            "home": copies / "home",
            "max_named_models": 1,
            "max_checkpoints_bytes": 1,
            "max_saved_scopes": 1,
            "max_sweeps_bytes": 1,
        }
    )
    with TestClient(create_app(settings, lambda *_: engine), follow_redirects=False) as client:
        weights = client.post("/v1/weights?name=lenet", content=WEIGHTS).json()["id"]
        source = {"source": "checkpoint", "id": weights, "policy": "skip_mismatch"}
        scopes = [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}] * 2
        assert client.put("/v1/scopes/digits", json=LEVELS).status_code == 201
        made = build(client, weights=[source], scopes=[*scopes, {"include": "digits"}])
        naming = {"build": made, "labels": ["stable"]}
        assert client.put("/v1/models/digits", json=naming).status_code == 201
        assert client.post("/v2/repository/models/digits/load").status_code == 200
        document = client.get("/openapi.json").json()
        swept = sweep(client, 1)
        assert client.post(f"/v1/sweeps/{swept}/measurements").status_code == 202
        values = {
            "a": "digits",
            "b": build(client, params={"num_classes": 7}),
            "build_id": made,
            "name": "digits",
            "sweep_id": swept,
            "version": "1",
            "weights_id": weights,
        }
        if not state:  # what is not in a home, both have
            back_up(settings.home, copies / "backup")
            restore(copies / "backup", small.home)
        guarded = guarded_client(copies / "guarded")
        app = create_app(small, lambda *_: NoEngine())
        with TestClient(app, follow_redirects=False) as full, guarded:
            yield World(client, full, engine, document, values, guarded)


def guarded_client(home: Path) -> TestClient:
    """Return a service in which no route is open."""
    add_token(home / "tokens.json", "a", "admin")
    settings = Settings(home=home, open_routes="")
    return TestClient(create_app(settings, lambda *_: NoEngine()))


def other_build(world: World, seed: int) -> str:
    return build(world.client, weights={"source": "random", "seed": seed})


def sweep(client: TestClient, seed: int) -> str:
    made: str = client.post("/v1/sweeps", json=sweep_of(seed)).json()["id"]
    return made


def sweep_of(seed: int) -> dict[str, Any]:
    axes = {"/params/num_classes": [2, "two", 2]}
    return {"spec": {"architecture": "lenet"}, "axes": axes, "seed": seed}


V2_INPUT = {"name": "input", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": [0.0] * 784}
INSTANCES = {"instances": [ROW.tolist()]}
EXAMPLES = {"examples": [{"input": ROW.ravel().tolist()}]}
LEVELS = {"levels": [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]}
SPEC = as_json({"architecture": "lenet", "weights": {"source": "random", "seed": 1}})
REPORTS = "include=layers&include=explanation&include=graph&include=code"
BUILD_QUERIES = (REPORTS, "keep=false", f"keep=false&{REPORTS}")
PAIR = as_json({"a": {"architecture": "lenet"}, "b": {"architecture": "cifarnet"}})


# Operations that need nothing but their path.
PLAIN = (
    "cancelSweepMeasurement",
    "deleteModel",
    "deleteScope",
    "deleteWeights",
    "getBuild",
    "getBuildWeights",
    "getDocs",
    "getHealth",
    "getOpenApi",
    "getPage",
    "getScope",
    "getSweep",
    "getSweepMeasurement",
    "getWeights",
    "listArchitectures",
    "listLimits",
    "listOps",
    "listPublishedWeights",
    "listWeights",
    "tfsGetModelMetadata",
    "tfsGetModelStatus",
    "v2GetLive",
    "v2GetModelConfig",
    "v2GetModelMetadata",
    "v2GetModelReady",
    "v2GetModelStatistics",
    "v2GetReady",
    "v2GetServer",
    "v2GetVersionConfig",
    "v2GetVersionMetadata",
    "v2GetVersionReady",
    "v2GetVersionStatistics",
    "v2ListModels",
    "v2ListRepository",
    "v2ListStatistics",
    "v2LoadModel",
    "v2UnloadModel",
)


def calls(world: World) -> dict[str, list[Call]]:
    """The requests of each operation that succeed."""
    first, second = world.values["build_id"], other_build(world, 1)
    spec = json.dumps({"architecture": "lenet"}).encode()
    v2 = as_json({"id": "a", "inputs": [V2_INPUT], "outputs": [{"name": "probabilities"}]})
    classification = {"name": "output", "parameters": {"classification": 3}}
    binary = {"inputs": [V2_INPUT], "parameters": {"binary_data_output": True}}
    infer = [v2, as_json({"inputs": [V2_INPUT], "outputs": [classification]}), as_json(binary)]
    picture = Call(image_bytes(), {"Content-Type": "image/jpeg"})
    array = Call(NPY, {"Content-Type": "application/x-npy"})
    reports = [Call(), Call(query="format=text")]
    queries = ("", "format=text", "format=csv", "format=dot", "same=true")
    diffs = [Call(query=query) for query in queries]
    return {
        **{name: [Call()] for name in PLAIN},
        "buildAndInfer": [form(spec=spec, array=NPY)],
        "compareModels": [replace(array, query=f"builds={first},{second}&end_points=conv1")],
        "createBuild": [SPEC, *(replace(SPEC, query=query) for query in BUILD_QUERIES)],
        "createSweep": [
            as_json(sweep_of(2)),
            replace(as_json(sweep_of(2)), query="dry_run=true"),
            replace(as_json(sweep_of(2)), query="format=ndjson"),
        ],
        "createSweepBuilds": [as_json({"rows": [0]})],
        "deleteSweep": [Call(values={"sweep_id": sweep(world.client, 3)})],
        "deleteBuild": [Call(values={"build_id": other_build(world, 2)})],
        "diffBuilds": diffs,
        "diffSpecs": [replace(PAIR, query=each.query) for each in diffs],
        "getArchitecture": [Call(values={"name": "inception_v3"})],
        "getBuildCode": [Call(), Call(query="style=tf-slim")],
        "getBuildExplanation": reports,
        "getBuildGraph": [
            Call(query=query)
            for query in ("", "depth=2", "format=dot", "format=model-explorer", "format=node-data")
        ],
        "getBuildProfile": [*reports, Call(query="format=csv")],
        "getBuildScopes": [Call(query="layer=LeNet/conv1")],
        "getBuildSummary": [*reports, Call(query="format=csv")],
        "getMetrics": [Call(), Call(headers={"Accept": "application/openmetrics-text"})],
        "getOp": [Call(values={"name": name}) for name in ("conv2d", "batch_norm")],
        "getRestorePlan": reports,
        "listBuilds": [Call(), Call(query="limit=1")],
        "listModels": [Call(), Call(query="limit=1")],
        "listScopes": [Call(), Call(query="limit=1")],
        "listSweeps": [Call(), Call(query="limit=1")],
        "listSweepRows": [
            Call(),
            Call(query="spec=true&pareto=parameters:minimize,layers:minimize"),
            *(Call(query=f"format={name}") for name in ("ndjson", "csv", "parquet")),
        ],
        "measureSweep": [Call(query="runs=1"), replace(array, query="rows=0")],
        "predict": [
            picture,
            array,
            as_json(INSTANCES),
            replace(array, query="output=logits&end_points=conv1&top_k=2"),
            replace(array, query="output=logits&format=npy"),
            replace(array, query="output=logits&format=npz"),
        ],
        "probeBuild": [picture, *reports, Call(query="format=csv"), Call(query="gradients=true")],
        "putModel": [
            as_json({"build": first, "labels": ["stable"]}),
            as_json({"build": first, "class_names": list("abcdefghij")}),
            form(model=json.dumps({"build": first}).encode(), class_names=b"a\n" * 10),
        ],
        "putScope": [as_json(LEVELS)],
        "tfsClassify": [as_json(EXAMPLES)],
        "tfsPredict": [as_json(INSTANCES), as_json({"inputs": [ROW.tolist()]})],
        "tryRestorePlan": [as_json({"source": "checkpoint", "id": world.values["weights_id"]})],
        "tfsRegress": [as_json(EXAMPLES)],
        "uploadWeights": [Call(WEIGHTS)],
        "v2Infer": infer,
        "v2InferVersion": infer,
    }


def special_calls(world: World) -> dict[tuple[str, str], Call]:
    """The requests that take something of their own to get a status."""
    first, second = world.values["build_id"], other_build(world, 3)
    spare = world.client.post("/v1/weights", content=safetensors.numpy.save({"a": ROW})).json()
    world.client.put("/v1/models/spare", json={"build": first})
    world.client.put("/v1/scopes/spare", json=LEVELS)
    config = {"parameters": {"config": "{}"}}
    return {
        ("createBuild", "201"): as_json({"architecture": "lenet", "params": {"num_classes": 9}}),
        ("createBuild", "422"): as_json({"architecture": "lenet", "params": {"classes": 9}}),
        ("createSweep", "202"): as_json(sweep_of(4)),
        ("deleteBuild", "409"): Call(),
        ("deleteModel", "204"): Call(values={"name": "spare"}),
        ("deleteWeights", "204"): Call(values={"weights_id": spare["id"]}),
        ("deleteWeights", "409"): Call(),
        ("getBuildWeights", "206"): Call(headers={"Range": "bytes=0-1"}),
        ("getBuildWeights", "304"): Call(headers={"If-None-Match": "*"}),
        ("getPage", "304"): Call(headers={"If-None-Match": "*"}),
        ("getDocs", "304"): Call(headers={"If-None-Match": "*"}),
        ("getBuildWeights", "416"): Call(headers={"Range": "bytes=1000-"}),
        ("getBuildWeights", "503"): Call(values={"build_id": second}),
        ("getBuildWeights", "504"): Call(values={"build_id": second}),
        # The last version has class names, and this one has none, which is a warning.
        ("putModel", "201"): as_json({"build": first, "version": 2}),
        ("putModel", "404"): as_json({"build": NOTHING["build_id"]}),
        ("putModel", "409"): as_json({"build": second, "version": 1}),
        ("putModel", "503"): as_json({"build": first}, name="one-more"),
        ("putModel", "504"): calibrated(first),
        ("putModel", "422"): as_json({"build": 1, "labels": ["1"]}),
        ("putScope", "201"): as_json({"levels": []}, name="new"),
        ("putScope", "503"): as_json({"levels": []}, name="one-more"),
        ("deleteScope", "204"): Call(values={"name": "spare"}),
        ("compareModels", "404"): Call(NPY, query=f"builds={first},nothing"),
        ("tfsGetModelStatus", "400"): Call(values={"name": "digits/versions/one"}),
        ("tfsGetModelMetadata", "400"): Call(values={"name": "digits/versions/one"}),
        ("uploadWeights", "201"): Call(safetensors.numpy.save({"b": ROW})),
        ("uploadWeights", "422"): Call(b"no weights"),
        ("v2LoadModel", "501"): as_json(config),
    }


def changed(call: Call, status: str) -> Call:
    """Return a request that succeeds, changed so that the answer has another status."""
    match status:
        case "400":  # neither JSON nor a form
            is_json = call.headers.get("Content-Type") == "application/json"
            headers = call.headers if is_json else {"Content-Type": "multipart/form-data"}
            return replace(call, content=b"{", headers=headers)
        case "403":
            return replace(call, headers={**call.headers, "Sec-Fetch-Site": "cross-site"})
        case "404":
            return replace(call, values=NOTHING)
        case "406":
            return replace(call, headers={**call.headers, "Accept": "image/gif"})
        case "413":
            return replace(call, content=b"x" * (MAX_BYTES + 1))
        case "415":
            return replace(call, headers={**call.headers, "Content-Encoding": "br"})
        case "422":
            return replace(call, query=f"{call.query}&nothing=1".lstrip("&"))
        case _:
            return call


def answer(world: World, place: str, status: str, call: Call) -> Any:
    """Return the answer of a service that is in the state that a status needs."""
    method, path = place.split()
    url = f"{path.format(**{**world.values, **call.values})}?{call.query}".rstrip("?")
    engine, states = world.engine, dict(world.engine.states)
    engine.is_held = status == "202" or place == OPERATIONS["measureSweep"]
    if place == OPERATIONS["measureSweep"]:
        world.client.delete(url.partition("?")[0])  # only one runs at a time
        if status == "503":
            world.client.post(url)
    if status == "408":
        portal = world.client.portal
        assert portal is not None
        return portal.call(slow, world.client.app, method, url, call.headers)
    if status in ("503", "504"):
        engine.error = DeadlineError("Late.") if status == "504" else WorkerUnavailableError("Off.")
        engine.ready = False
        engine.states.clear()
    client = world.full if status == "503" and place in FULL else world.client

    def send() -> Any:
        return client.request(method, url, content=call.content, headers=call.headers)

    try:
        if status in ("401", "429") or (status == "403" and method == "GET"):
            return refused(world, method, url, status)
        response = None if status == "503" and method == "DELETE" else send()
        if status == "503" and (response is None or response.status_code != 503):
            return refused(world, method, url, status)  # it has no 503 of its own
        return response
    finally:
        engine.error, engine.ready, engine.is_held = None, True, False
        engine.states |= states


def refused(world: World, method: str, url: str, status: str) -> Any:
    """Return the answer of a service with access control that lets a request in nowhere."""
    usage = Usage()
    usage.limit(None, 0)
    found = {
        "401": None,
        "403": Caller("oidc:nobody", None),
        "429": Caller("token:busy", "admin", usage),
        "503": NotKnownNowError("No answer."),
    }
    with mock.patch.object(Access, "find", mock.AsyncMock(side_effect=[found[status]])):
        return world.guarded.request(method, url, headers={"Authorization": "Bearer x"})


FULL = tuple(OPERATIONS[name] for name in ("createSweep", "putModel", "putScope", "uploadWeights"))


async def slow(app: Any, method: str, url: str, headers: Mapping[str, str]) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://zoo") as client:
        return await client.request(method, url, headers=headers, content=body())


def closed(node: Any) -> Any:
    """Return a schema whose objects have no members but those that are described."""
    if isinstance(node, list):
        return [closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    members = {key: closed(value) for key, value in node.items()}
    if node.get("type") == "object" and "properties" in node:
        members.setdefault("additionalProperties", False)
    return members


def check(document: Mapping[str, Any], place: str, response: Any) -> None:
    """Compare an answer with the schema of its status and type."""
    method, path = place.split()
    described = document["paths"][path][method.lower()]["responses"][str(response.status_code)]
    media_type = response.headers.get("content-type", "").partition(";")[0]
    if "content" not in described:
        assert response.content == b"" or response.status_code in (206, 304)
        return
    schema = described["content"][media_type].get("schema")
    if schema is None or not media_type.endswith("json"):
        assert response.content
        return
    components = {"components": closed(document["components"])}
    Draft202012Validator({**closed(schema), **components}).validate(response.json())


def test_every_answer_is_as_the_schema_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_WAIT_S", 1.0)
    table, special = calls(world), special_calls(world)
    assert set(table) == set(OPERATIONS)
    unused = set(special)
    for name, place in OPERATIONS.items():
        method, path = place.split()
        for status in sorted(world.document["paths"][path][method.lower()]["responses"]):
            requests = table[name] if status < "3" else [changed(table[name][0], status)]
            if (name, status) in special:
                requests = [special[name, status]]
                unused.remove((name, status))
            for call in requests:
                response = answer(world, place, status, call)
                assert str(response.status_code) == status, (name, call, response.text)
                check(world.document, place, response)
    assert not unused


def test_a_comparison_with_a_failure_is_as_the_schema_says(world: World) -> None:
    builds = [other_build(world, seed) for seed in (5, 6, 7)]
    world.engine.error, world.engine.failing_build = DeadlineError("Late."), builds[1]
    response = world.client.post(f"/v1/compare?builds={','.join(builds)}", content=NPY)
    world.engine.error = world.engine.failing_build = None
    assert ["problem" in result for result in response.json()["results"]] == [False, True, False]
    check(world.document, OPERATIONS["compareModels"], response)
