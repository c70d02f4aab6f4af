"""The networks that a worker holds: the longest unused go when the bytes run out."""

from pathlib import Path

import pytest

from app.compute import models
from app.compute.models import Models
from model_zoo import CheckpointStore

LENET_BYTES = 13_098_536 + 10 * 128 * 1024  # weights, and the layers' objects


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the networks made, in order; nothing is really made."""
    seeds: list[int] = []
    monkeypatch.setattr(models, "materialize", lambda t, _: seeds.append(t.spec.weights.seed))
    return seeds


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path)


def lenet(seed: int) -> dict[str, object]:
    return {"architecture": "lenet", "weights": {"source": "random", "seed": seed}}


def test_a_network_is_made_once_while_it_is_held(made: list[int], store: CheckpointStore) -> None:
    held = Models(2 * LENET_BYTES, store)
    assert held.get(lenet(0), {}) is held.get(lenet(0), {})
    assert made == [0]


def test_the_longest_unused_network_is_forgotten_first(
    made: list[int], store: CheckpointStore
) -> None:
    held = Models(2 * LENET_BYTES, store)
    for seed in (0, 1, 0, 2, 0, 1):  # 2 puts 1 out, and 1 puts 2 out
        held.get(lenet(seed), {})
    assert made == [0, 1, 2, 1]


def test_a_network_larger_than_the_limit_is_held_alone(
    made: list[int], store: CheckpointStore
) -> None:
    held = Models(1, store)
    for seed in (0, 0, 1, 0):
        held.get(lenet(seed), {})
    assert made == [0, 1, 0]
