"""What schemathesis makes of the published document: each answer is one that the document has.

Requests are drawn from the schemas, valid ones and not, the same in every run.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from operations import OPERATIONS
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient
from test_answers import World, world  # noqa: F401  a fixture

EXAMPLES = 12
# positive_data_acceptance is left out: a spec of valid values may still build no network, any bytes
# are drawn as an image, two valid parameters may exclude each other, and a cursor or an id has its
# form, but nothing behind it. unsupported_method is `test_allow...` below: TensorFlow Serving
# answers 400 to a POST on some of its paths.
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# What it reports wrongly.
EXCLUDED: Mapping[str, tuple[list[Any], str]] = {
    "predict": ([negative_data_rejection], "the worker of this test reads no input"),
    "probeBuild": ([negative_data_rejection], "the worker of this test reads no input"),
    "compareModels": ([negative_data_rejection], "the worker of this test reads no input"),
    "measureSweep": ([negative_data_rejection], "each row reads the input, after the answer"),
    "buildAndInfer": ([negative_data_rejection], "the worker of this test reads no input"),
    "v2GetModelReady": ([not_a_server_error], "503 is what a model that is not loaded answers"),
    "v2GetVersionReady": ([not_a_server_error], "503 is what a model that is not loaded answers"),
    "tfsClassify": ([response_schema_conformance], "prefixItems is read as if it were items"),
}
# These end what the others ask for, so their ids are as drawn.
ENDING = {name for name in OPERATIONS if name.startswith(("delete", "cancel"))}


def send(client: TestClient, case: schemathesis.Case) -> httpx.Response:
    """Return the answer to a case, sent as schemathesis would send it."""
    arguments = case.as_transport_kwargs(base_url="http://testserver")
    arguments.pop("timeout", None)
    prepared = requests.Request(**arguments).prepare()
    body: Any = prepared.body
    headers = [
        (name, value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in prepared.headers.items()
    ]
    response: httpx.Response = client.request(
        str(prepared.method),
        str(prepared.url),
        content=body.read() if hasattr(body, "read") else body or b"",
        headers=[(name.encode(), value) for name, value in headers],
    )
    return response


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_answers_to_drawn_requests(world: World, name: str) -> None:  # noqa: F811
    schema = schemathesis.openapi.from_dict(dict(world.document))
    operation = schema.find_operation_by_id(name)
    checks = [each for each in CHECKS if each not in EXCLUDED.get(name, ([], ""))[0]]
    places: Iterator[bool] = iter([True, False] * EXAMPLES * 10)

    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )
    )
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(case: schemathesis.Case) -> None:
        if case.path_parameters and name not in ENDING and next(places, True):
            for key in case.path_parameters:  # what is there, every other time
                case.path_parameters[key] = world.values.get(key, case.path_parameters[key])
        case.validate_response(send(world.client, case), checks=checks)

    answers()


def test_every_exclusion_is_of_an_operation_and_has_a_reason() -> None:
    assert EXCLUDED.keys() <= OPERATIONS.keys()
    assert all(reason for _, reason in EXCLUDED.values())


def test_allow_lists_the_methods_that_the_document_has(world: World) -> None:  # noqa: F811
    for path, methods in world.document["paths"].items():
        allowed = {method.upper() for method in methods}
        allowed |= {"HEAD"} if "GET" in allowed else set()
        response = world.client.request("PATCH", re.sub(r"{[^}]*}", "x", path))
        assert response.status_code == 405
        assert response.headers["allow"] == ", ".join(sorted(allowed)), path
