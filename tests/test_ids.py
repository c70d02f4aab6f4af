"""Ids last: stored builds, links and caches hold them."""

import json
from pathlib import Path
from typing import Any

import pytest

from model_zoo import BuildSpec, trace

# Taken with release 0.2.0, from specs that name `num_classes`.
RELEASED = json.loads((Path(__file__).parent / "ids.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "released", RELEASED, ids=lambda released: released["spec"]["architecture"]
)
def test_spec_has_the_id_that_it_was_released_with(released: dict[str, Any]) -> None:
    spec = BuildSpec.read(released["spec"])
    assert spec.digest == released["id"]
    assert BuildSpec.read(spec.normalized()).digest == released["id"]
    assert trace(spec).graph.nodes
