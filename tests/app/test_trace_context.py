"""W3C Trace Context: what counts as a parent, and what the answer and the log say of it."""

import logging
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from app.telemetry.trace_context import TraceContext, read_trace_context

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (PARENT, 1),
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),  # what version 00 does not define is not passed on
        (f"cc-{TRACE}-{SPAN}-01", 1),  # a later version, which may say more
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", 1),
    ],
)
def test_a_valid_parent_is_read(header: str, flags: int) -> None:
    assert read_trace_context(header) == TraceContext(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"{PARENT},{PARENT}",
        f" {PARENT}",
        f"{PARENT}\n",
    ],
)
def test_an_invalid_parent_counts_as_none(header: str) -> None:
    assert read_trace_context(header, "a=1") is None


def test_a_state_is_passed_on_unless_it_has_too_many_members() -> None:
    longest = ",".join(f"k{number}=v" for number in range(32))
    for state in ("a=1,b=2", "a=1,,b=2", longest):
        found = read_trace_context(PARENT, state)
        assert found is not None
        assert found.child().tracestate == state
    found = read_trace_context(PARENT, f"{longest},one=more")
    assert found is not None
    assert found.tracestate == ""


def test_a_child_is_another_span_of_the_same_trace() -> None:
    parent = TraceContext(TRACE, SPAN, 1)
    first, second = parent.child(), parent.child()
    assert first.trace_id == second.trace_id == TRACE
    assert len({SPAN, first.span_id, second.span_id}) == 3
    assert re.fullmatch("[0-9a-f]{16}", first.span_id)


def test_the_answer_names_the_span_that_served_the_request(client: TestClient) -> None:
    response = client.get("/v1/limits", headers={"traceparent": PARENT})
    found = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-01", response.headers["traceresponse"])
    assert found is not None
    assert found[1] == TRACE
    assert found[2] != SPAN


def test_an_error_names_the_trace_beside_the_request(client: TestClient) -> None:
    for path in ("/nope", "/v2/nope"):
        response = client.get(path, headers={"traceparent": PARENT})
        members = list(response.json())
        assert response.json()["trace_id"] == TRACE
        assert members.index("trace_id") == members.index("request_id") + 1
        assert response.headers["traceresponse"].startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    "headers",
    [{}, {"traceparent": "00-nonsense"}, {"traceparent": PARENT.replace("00-", "ff-", 1)}],
)
def test_where_no_trace_leads_anywhere_none_is_named(
    client: TestClient, headers: dict[str, str]
) -> None:
    response = client.get("/nope", headers=headers)
    assert "traceresponse" not in response.headers
    assert "trace_id" not in response.json()


def test_two_parents_are_none(client: TestClient) -> None:
    response = client.get("/healthz", headers=[("traceparent", PARENT), ("traceparent", PARENT)])
    assert "traceresponse" not in response.headers


def test_a_parent_may_come_with_a_split_state(client: TestClient) -> None:
    headers = [("tracestate", "a=1"), ("traceparent", PARENT), ("tracestate", "b=2")]
    assert client.get("/healthz", headers=headers).status_code == 200


def test_the_request_id_is_the_first_of_several(client: TestClient) -> None:
    response = client.get("/healthz", headers=[("X-Request-ID", "one"), ("X-Request-ID", "two")])
    assert response.headers["x-request-id"] == "one"


def test_the_log_of_a_failure_has_the_trace(
    make_client: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    make_client().get("/nope", headers={"traceparent": PARENT, "X-Request-ID": "mine"})
    (record,) = [record for record in caplog.records if record.name == "app.access"]
    assert record.getMessage().endswith("id=mine")
