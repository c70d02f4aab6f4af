"""The statistics of inference count what the Open Inference Protocol says they count."""

import pytest

from app.telemetry.statistics import Statistics

NONE = {"count": 0, "ns": 0}
SECONDS = {"total": 0.010, "queue": 0.001, "input": 0.002, "compute": 0.003, "output": 0.004}
BATCH = {"input": 0.002, "compute": 0.003, "output": 0.004}


def test_a_request_is_counted_with_its_rows_and_phases() -> None:
    statistics = Statistics(clock=lambda: 1764000000.123)
    statistics.executed(("cat", "2"), 3, BATCH)
    statistics.succeeded("cat", "2", rows=3, seconds=SECONDS)
    assert statistics.model_stats() == [
        {
            "name": "cat",
            "version": "2",
            "last_inference": 1764000000123,
            "inference_count": 3,
            "execution_count": 1,
            "inference_stats": {
                "success": {"count": 1, "ns": 10_000_000},
                "fail": NONE,
                "queue": {"count": 1, "ns": 1_000_000},
                "compute_input": {"count": 1, "ns": 2_000_000},
                "compute_infer": {"count": 1, "ns": 3_000_000},
                "compute_output": {"count": 1, "ns": 4_000_000},
                "cache_hit": NONE,
                "cache_miss": NONE,
            },
            "response_stats": {},
            "batch_stats": [
                {
                    "batch_size": 3,
                    "compute_input": {"count": 1, "ns": 2_000_000},
                    "compute_infer": {"count": 1, "ns": 3_000_000},
                    "compute_output": {"count": 1, "ns": 4_000_000},
                }
            ],
            "memory_usage": [],
        }
    ]


def test_requests_that_were_batched_are_many_inferences_and_one_execution() -> None:
    statistics = Statistics()
    statistics.executed(("cat", "1"), 64, BATCH)
    for _ in range(64):
        statistics.succeeded("cat", "1", rows=1, seconds=SECONDS)
    (found,) = statistics.model_stats("cat")
    assert (found["inference_count"], found["execution_count"]) == (64, 1)
    assert [batch["batch_size"] for batch in found["batch_stats"]] == [64]
    assert statistics.batch_sizes == {64: 1}


def test_batches_are_told_by_size_the_smallest_first() -> None:
    statistics = Statistics()
    for rows in (8, 1, 8):
        statistics.executed(("cat", "1"), rows, BATCH)
    (found,) = statistics.model_stats()
    counts = [(each["batch_size"], each["compute_infer"]["count"]) for each in found["batch_stats"]]
    assert counts == [(1, 1), (8, 2)]


def test_failures_are_counted_together_and_by_reason() -> None:
    statistics = Statistics()
    statistics.failed("cat", "1", reason="REJECTED", seconds=0.001)
    statistics.failed("cat", "1", reason="BACKEND", seconds=0.002)
    (found,) = statistics.model_stats()
    assert found["inference_stats"]["fail"] == {"count": 2, "ns": 3_000_000}
    assert found["inference_count"] == 0
    (model,) = statistics
    assert {reason: each.count for reason, each in model.failures.items()} == {
        "REJECTED": 1,
        "CANCELED": 0,
        "BACKEND": 1,
        "OTHER": 0,
    }


def test_a_phase_that_did_not_happen_took_no_time() -> None:
    statistics = Statistics()
    statistics.succeeded("cat", "1", rows=1, seconds={"total": 0.5})
    (found,) = statistics.model_stats()
    assert found["inference_stats"]["queue"] == {"count": 1, "ns": 0}


def test_a_model_and_a_version_can_be_asked_for() -> None:
    statistics = Statistics()
    for name, version in (("dog", "1"), ("cat", "2"), ("cat", "1")):
        statistics.succeeded(name, version, rows=1, seconds=SECONDS)

    def found(*asked: str) -> list[tuple[str, str]]:
        return [(each["name"], each["version"]) for each in statistics.model_stats(*asked)]

    assert found() == [("cat", "1"), ("cat", "2"), ("dog", "1")]
    assert found("cat") == [("cat", "1"), ("cat", "2")]
    assert found("cat", "2") == [("cat", "2")]
    assert found("cow") == []


def test_a_version_without_requests_has_zeros_and_is_not_recorded() -> None:
    statistics = Statistics()
    (found,) = statistics.model_stats("cat", "1")
    assert (found["name"], found["version"], found["inference_count"]) == ("cat", "1", 0)
    assert found["inference_stats"]["success"] == NONE
    assert statistics.model_stats() == []


def test_a_removed_model_is_forgotten() -> None:
    statistics = Statistics()
    for name, version in (("cat", "1"), ("cat", "2"), ("dog", "1")):
        statistics.executed((name, version), 2, BATCH)
    statistics.forget("cat", "1")
    assert [each["version"] for each in statistics.model_stats("cat")] == ["2"]
    statistics.forget("cat")
    statistics.forget("cow")
    assert [each["name"] for each in statistics.model_stats()] == ["dog"]
    assert statistics.batch_sizes == {2: 3}


@pytest.mark.parametrize("named_first", [True, False])
def test_builds_without_a_name_make_room_before_models_with_one(named_first: bool) -> None:
    statistics = Statistics(max_models=3)
    builds = [f"{number:032x}" for number in range(5)]
    for name in ["cat", *builds] if named_first else [builds[0], "cat", *builds[1:]]:
        statistics.succeeded(name, "1", rows=1, seconds=SECONDS)
    assert {each["name"] for each in statistics.model_stats()} == {"cat", *builds[3:]}


def test_the_model_used_longest_ago_makes_room() -> None:
    statistics = Statistics(max_models=2)
    for name in ("cat", "dog", "cat", "cow"):
        statistics.succeeded(name, "1", rows=1, seconds=SECONDS)
    assert [each["name"] for each in statistics.model_stats()] == ["cat", "cow"]
