"""Answers in JSON: the documents that the standard library writes, and no others."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

import app
from app.http.json_answer import JsonAnswer


@pytest.mark.parametrize(
    "document",
    [
        {"a": [1, 2.5, -0.0, 1e-05, 1e22, 5e-324, None, True], "é\u2028\x00</": "\U0001f600"},
        {"seed": 2**70, "shape": (None, 28, 28)},
        {"warning": "NaN and -Infinity are no numbers"},
        [],
    ],
)
def test_a_document_is_written_as_by_the_standard_library(document: Any) -> None:
    answer = JsonAnswer(document)
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.body) == json.loads(json.dumps(document))
    assert "é".encode() in JsonAnswer("é").body


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_never_sent(number: float) -> None:
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        JsonAnswer({"layers": [{"std": number}]})


def test_no_route_encodes_json_in_another_way() -> None:
    for path in Path(app.__file__).parent.rglob("*.py"):
        assert "JSONResponse" not in path.read_text(), path
