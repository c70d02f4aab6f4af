"""Comparisons: the numbers, the differing specs, and what becomes of the builds that fail."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, npy_bytes, problem

from app.engine import (
    Answer,
    EngineError,
    ModelRef,
    ModelState,
    OutOfMemoryError,
    Reply,
    Rows,
    WorkerFaultError,
)
from app.serving import comparison_run
from app.serving.comparison import Output, agreement, spec_differences
from app.serving.comparison_text import as_text
from app.tasks import DecodedInputs

ROW = np.zeros((28, 28, 1), np.float32)
NPY = npy_bytes(ROW)


def output(*rows: Sequence[float], classes: int | None = 2) -> Output:
    return Output(np.array(rows, np.float32), classes)


# Numbers --------------------------------------------------------------------------------------


def test_equal_outputs_agree() -> None:
    one = output([1, 2], [3, 1])
    assert agreement(one, one) == {
        "same_top_1": 1.0,
        "largest_difference": 0.0,
        "mean_kl_divergence": 0.0,
    }


def test_the_top_class_is_counted_by_rows_and_the_difference_is_the_largest() -> None:
    found = agreement(output([1, 2], [3, 1]), output([1, 4], [1, 3]))
    assert (found["same_top_1"], found["largest_difference"]) == (0.5, 2.0)


def test_the_divergence_is_of_the_second_from_the_first_in_nats() -> None:
    even, uneven = output(np.log([0.5, 0.5])), output(np.log([0.25, 0.75]))
    there = agreement(even, uneven)["mean_kl_divergence"]
    back = agreement(uneven, even)["mean_kl_divergence"]
    assert there == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3), abs=1e-6)
    assert back == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5), abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([0.0, 1e-9, 0.0], [1e-9, 0.0, 0.0]),
        ([5.0, 5.0001, 1.0], [5.0001, 5.0, 1.0]),
        ([0.1, np.nan, 0.1 + 1e-8], [0.1 + 1e-8, np.nan, 0.1]),
        ([np.nan, np.nan], [np.nan, np.nan]),
        ([np.inf, 1, 2], [np.inf, 1, 2]),
    ],
    ids=["zero but for rounding", "a tie but for rounding", "NaN beside it", "NaN", "infinity"],
)
def test_a_row_that_agrees_with_itself_has_the_same_top_class(
    one: list[float], other: list[float]
) -> None:
    classes = len(one)
    found = agreement(output(one, classes=classes), output(other, classes=classes))
    assert found["same_top_1"] == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [([5.0, 5.01], [5.01, 5.0]), ([np.inf, 1], [1, np.inf]), ([1, 0], [0, 0.99999])],
)
def test_rows_that_differ_by_more_than_rounding_have_another_top_class(
    one: list[float], other: list[float]
) -> None:
    assert agreement(output(one), output(other))["same_top_1"] == 0.0


def test_certain_classes_diverge_finitely() -> None:
    found = agreement(output([1e4, 0]), output([0, 1e4]))
    assert found["mean_kl_divergence"] == pytest.approx(1e4)


@pytest.mark.parametrize(
    "other",
    [output([1, 2, 3], classes=3), output([1, 2], classes=None), output([1, 2], [1, 2])],
    ids=["more classes", "no classes", "more rows"],
)
def test_what_cannot_be_compared_is_none(other: Output) -> None:
    found = agreement(output([1, 2]), other)
    assert (found["same_top_1"], found["mean_kl_divergence"]) == (None, None)


def test_a_difference_needs_equal_shapes_and_no_classes() -> None:
    features = output([1, 2], classes=None)
    assert agreement(features, output([1, 5], classes=None))["largest_difference"] == 3.0
    assert agreement(features, output([1, 2, 3], classes=None))["largest_difference"] is None


def test_outputs_that_are_not_finite_have_no_distance() -> None:
    found = agreement(output([np.inf, 1]), output([np.inf, 1]))
    assert found == {"same_top_1": 1.0, "largest_difference": None, "mean_kl_divergence": None}


# Specs ----------------------------------------------------------------------------------------


def test_specs_differ_by_leaf_with_the_values_of_those_that_have_it() -> None:
    one = {"params": {"a/b": 1, "same": None}, "scopes": []}
    other = {"params": {"a/b": True, "same": None}, "scopes": [{"ops": ["conv2d"]}]}
    assert spec_differences({"x": one, "y": other}) == [
        {"pointer": "/params/a~1b", "values": {"x": 1, "y": True}},
        {"pointer": "/scopes", "values": {"x": []}},
        {"pointer": "/scopes/0/ops/0", "values": {"y": "conv2d"}},
    ]


def test_equal_specs_have_no_differences() -> None:
    assert spec_differences({"x": {"a": [1, {}]}, "y": {"a": [1, {}]}}) == []


# Text -----------------------------------------------------------------------------------------


def test_a_comparison_is_told_in_tables() -> None:
    ids = ["a" * 32, "b" * 32]
    best = [
        {"class": 3, "name": "n" * 50, "probability": 0.5},
        {"class": 1, "probability": None},
    ]
    comparison = {
        "results": [
            {
                "model": ids[0],
                "architecture": "lenet",
                "parameters": 3274634,
                "multiply_adds": 13883904,
                "memory_bytes": 14_250_000,
                "engine": "onnxruntime",
                "precision": "float32",
                "rows": 1,
                "seconds": {"load": 1.5, "compute": 0.0123},
                "predictions": [best],
                "warnings": ["It looks odd."],
            },
            {
                "model": ids[1],
                "architecture": "lenet",
                "parameters": 3274634,
                "multiply_adds": 13883904,
                "problem": {"detail": "There was not enough memory."},
            },
        ],
        "pairs": [
            {
                "models": ids,
                "same_top_1": 0.5,
                "largest_difference": 1.25e-6,
                "mean_kl_divergence": None,
            }
        ],
        "spec_differences": [{"pointer": "/weights/seed", "values": {ids[0]: 1}}],
        "more_spec_differences": 2,
    }
    assert as_text(comparison).splitlines() == [
        "model     architecture  parameters  multiply-adds  memory MB  engine       precision  "
        "rows  load ms  compute ms",
        "-" * 111,
        "aaaaaaaa  lenet          3,274,634     13,883,904       14.2  onnxruntime  float32    "
        "   1   1500.0        12.3",
        "bbbbbbbb  lenet          3,274,634     13,883,904",
        "aaaaaaaa: It looks odd.",
        "bbbbbbbb: There was not enough memory.",
        "",
        "row  top                                             aaaaaaaa  bbbbbbbb",
        "-" * 71,
        "0    1    3 nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn... (0.5000)",
        "0    2                                                  1 (-)",
        "",
        "model     and model  same top 1  largest difference  mean KL (nats)",
        "-------------------------------------------------------------------",
        "aaaaaaaa  bbbbbbbb        50.0%            1.25e-06               -",
        "",
        "spec           aaaaaaaa  bbbbbbbb",
        "---------------------------------",
        "/weights/seed         1         -",
        "and 2 more",
    ]


# Builds that fail -----------------------------------------------------------------------------


class FakeEngine(NoEngine):
    """Answers with the position of the build among those asked for, unless it is to fail."""

    def __init__(self, seconds: float = 0, **errors: EngineError) -> None:
        self.seconds = seconds
        self.errors = errors
        self.now = 0.0
        self.asked: list[str] = []

    async def read(self, task: Any, buffers: Any) -> Reply[Any]:
        return Reply(DecodedInputs(2, (), has_images=False), [b""], {"decode": 0.001})

    def state(self, model: ModelRef) -> ModelState:
        return ModelState("ready", engine="onnxruntime", precision="float32")

    async def infer(self, model: ModelRef, rows: Rows, outputs: Any, **_options: Any) -> Answer:
        seed = model.spec["weights"]["seed"]
        self.asked.append(f"{seed}: {', '.join(outputs)}")
        if error := self.errors.get(f"seed_{seed}"):
            raise error
        shapes = {"output": (2, 10), "conv1": (2, 28, 28, 32)}
        self.now += self.seconds
        arrays = {name: np.full(shapes[name], seed, np.float32) for name in outputs}
        return Answer(arrays, {"queue": 0.0, "compute": 0.002}, 2)


Make = Callable[..., TestClient]


def compared(client: TestClient, count: int = 2, query: str = "") -> Any:
    names = [build(client, weights={"source": "random", "seed": seed}) for seed in range(count)]
    return client.post(f"/v1/compare?builds={','.join(names)}{query}", content=NPY)


def test_a_build_that_fails_has_its_problem_and_the_others_their_answers(make_client: Make) -> None:
    full = OutOfMemoryError("There was not enough memory to compute this.")
    body = compared(make_client(FakeEngine(seed_0=full)), 3).json()
    first, second, third = body["results"]
    assert first["problem"] == {
        "type": "/docs#problem-out-of-memory",
        "title": "There is not enough memory",
        "status": 503,
        "detail": "There was not enough memory to compute this.",
        "errors": [],
    }
    assert "predictions" not in first
    assert len(second["predictions"]) == len(third["predictions"]) == 2
    assert body["reference"] == second["model"]
    assert [pair["models"] for pair in body["pairs"]] == [[second["model"], third["model"]]]
    assert "with_reference" not in second
    assert third["with_reference"]["largest_difference"] == 1.0


def test_if_all_builds_fail_the_first_problem_is_the_answer(make_client: Make) -> None:
    client = make_client(FakeEngine(seed_0=OutOfMemoryError("Full."), seed_1=WorkerFaultError()))
    response = compared(client)
    body = problem(response)
    assert body["type"] == "/docs#problem-out-of-memory"
    assert body["detail"].endswith(": Full.")
    assert response.headers["retry-after"] == "1"


def test_the_inside_of_a_fault_is_not_told(make_client: Make) -> None:
    client = make_client(FakeEngine(seed_1=WorkerFaultError("a secret")))
    told = compared(client).json()["results"][1]["problem"]
    assert (told["status"], told["detail"]) == (500, "internal error")


def test_end_points_are_computed_apart_so_that_times_are_of_the_output(make_client: Make) -> None:
    engine = FakeEngine()
    body = compared(make_client(engine), query="&end_points=conv1&output=probabilities").json()
    assert engine.asked == ["0: output", "0: conv1", "1: output", "1: conv1"]
    assert list(body["results"][0]["outputs"]) == ["probabilities", "conv1"]
    assert body["results"][0]["seconds"] == {"decode": 0.001, "queue": 0.0, "compute": 0.002}


def test_the_answers_of_all_builds_are_within_one_limit(make_client: Make) -> None:
    limit = 3 * 4 * 2 * 10
    client = make_client(FakeEngine(), max_output_bytes=limit)
    assert compared(client, 3, "&output=logits").status_code == 200
    assert problem(compared(client, 4, "&output=logits"))["detail"] == (
        "The answer's arrays would have 320 bytes; the limit is 240 (ZOO_MAX_OUTPUT_BYTES). Ask "
        "for fewer end points or rows."
    )


def test_a_build_that_the_time_does_not_suffice_for_says_so(
    make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine(seconds=0.1)
    monkeypatch.setattr(comparison_run, "time", SimpleNamespace(monotonic=lambda: engine.now))
    client = make_client(engine, request_timeout_s=0.05)
    first, second = compared(client).json()["results"]
    assert "predictions" in first
    assert (second["problem"]["status"], second["problem"]["detail"]) == (
        504,
        "The models before this one used up the 0.05 s of a request (ZOO_REQUEST_TIMEOUT_S).",
    )


@pytest.mark.parametrize(
    ("builds", "message"),
    [
        ("a", "Query parameter builds: 2 to 16 are compared, not 1."),
        (",".join(map(str, range(17))), "Query parameter builds: 2 to 16 are compared, not 17."),
        ("a,b,a", "Query parameter builds: a is named twice."),
        ("a,", "Query parameter builds: a name is empty; one comma stands between two names."),
    ],
)
def test_builds_are_two_to_sixteen_different_names(
    client: TestClient, builds: str, message: str
) -> None:
    body = problem(client.post(f"/v1/compare?builds={builds}", content=NPY))
    assert (body["type"], body["detail"]) == ("/docs#problem-invalid-query", message)


def test_a_build_that_there_is_not_is_named(client: TestClient) -> None:
    body = problem(client.post(f"/v1/compare?builds={build(client)},other", content=NPY))
    assert body["type"] == "/docs#problem-unknown-model"
    assert body["detail"].startswith("There is no model 'other'.")


def test_what_a_build_cannot_answer_is_refused_with_its_name(client: TestClient) -> None:
    features = build(client, params={"num_classes": 0})
    builds = f"{build(client)},{features}"
    body = problem(client.post(f"/v1/compare?builds={builds}&top_k=1", content=NPY))
    assert body["detail"] == (
        f"{features}: Query parameter top_k: this build has no class probabilities. Ask for "
        "output=logits or end_points."
    )
    training = build(client, is_training=True)
    body = problem(client.post(f"/v1/compare?builds={training},{features}", content=NPY))
    assert body["detail"].startswith(f"{training}: The build has is_training true")


def test_openapi_describes_the_body_and_the_answer(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/compare"]["post"]
    assert "image/jpeg" in operation["requestBody"]["content"]
    answer = operation["responses"]["200"]["content"]
    assert list(answer) == ["application/json", "text/plain"]
    assert "mean_kl_divergence" in document["components"]["schemas"]["Agreement"]["properties"]
