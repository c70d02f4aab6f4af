"""The log in its two forms, from the program and from its formatter."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from zoo_server import NoEngine, Server, build

from app.http.admission import Admission
from app.http.envelope import Envelope
from app.settings import Settings
from app.telemetry.logs import (
    JsonFormatter,
    Process,
    about_request,
    announce,
    configure_logging,
    log_fields,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    yield
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:  # not those of pytest
            root.removeHandler(handler)
    root.setLevel(level)


def configure(form: str = "json", process: Process = "api", level: str = "debug") -> None:
    logging.getLogger().handlers[:] = []  # those of pytest, which would be closed
    configure_logging(Settings.model_validate({"log_format": form, "log_level": level}), process)


def logged(capsys: pytest.CaptureFixture[str], logger: str = "app.access") -> list[dict[str, Any]]:
    """Return what a logger wrote as JSON since it was asked for last."""
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["logger"] == logger]


def formatted(message: str, *args: Any, **attributes: Any) -> dict[str, Any]:
    record = logging.LogRecord("app.access", logging.INFO, "", 0, message, args, None)
    record.__dict__.update(attributes)
    line = JsonFormatter("worker").format(record)
    assert "\n" not in line
    assert line.isascii()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_says_when_who_and_what() -> None:
    line = formatted("%s is ready.", "It", created=1764000000.25, msecs=250.0, process=7)
    assert line == {
        "time": "2025-11-24T16:00:00.250Z",
        "level": "info",
        "logger": "app.access",
        "process": "worker",
        "pid": 7,
        "message": "It is ready.",
    }


def test_a_client_s_text_stays_within_its_line() -> None:
    text = 'a\nb\r\u2028"\x1b[31m\ud800é'
    assert formatted("%s", text)["message"] == text


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("because")
    except ValueError:
        line = formatted("It failed.", exc_info=sys.exc_info())
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: because")


def test_what_is_not_json_is_told_as_text() -> None:
    assert formatted("x", fields={"home": Path("/tmp")})["home"] == "/tmp"


def test_the_access_log_has_a_field_for_each_fact(
    capsys: pytest.CaptureFixture[str], make_client: Callable[..., TestClient]
) -> None:
    client = make_client()
    build_id = build(client)
    configure()
    headers = {"X-Request-ID": "mine", "traceparent": PARENT}
    client.get(f"/v1/builds/{build_id}?x=1", headers=headers)
    (line,) = logged(capsys)
    assert line.pop("time").endswith("Z")
    assert line.pop("pid") > 0
    assert line.pop("duration_ms") > 0
    assert line.pop("message").startswith(f"GET /v1/builds/{build_id} 422 ")
    assert line == {
        "level": "info",
        "logger": "app.access",
        "process": "api",
        "request_id": "mine",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "method": "GET",
        "path": f"/v1/builds/{build_id}",
        "route": "/v1/builds/{build_id}",
        "status": 422,
        "client": "testclient",
    }


def test_a_failure_has_the_ids_of_its_request(
    capsys: pytest.CaptureFixture[str], make_client: Callable[..., TestClient]
) -> None:
    class Broken(NoEngine):
        def status(self) -> Any:
            raise RuntimeError("secret")

    client = make_client(Broken())
    configure()
    client.get("/healthz", headers={"X-Request-ID": "mine"})
    failure, access = logged(capsys)
    assert failure["request_id"] == access["request_id"] == "mine"
    assert failure["message"] == "Request mine failed."
    assert "RuntimeError: secret" in failure["exception"]
    assert access["status"] == 500


def test_the_model_of_a_request_is_a_field_once_it_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        Request(scope).state.model = "cat"
        await Response()(scope, receive, send)

    configure()
    TestClient(Envelope(application, Admission(1))).get("/v2/models/cat/infer")
    (line,) = logged(capsys)
    assert (line["model"], line["route"]) == ("cat", "")


def test_every_line_within_a_request_has_its_fields(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = logging.getLogger("app.test")

    async def work() -> None:
        with about_request({"request_id": "mine"}):
            await asyncio.gather(
                asyncio.to_thread(log.info, "in a thread"), asyncio.create_task(_in_a_task(log))
            )
        log.info("outside")

    configure()
    asyncio.run(work())
    found = {line["message"]: line.get("request_id") for line in logged(capsys, "app.test")}
    assert found == {"in a thread": "mine", "in a task": "mine", "outside": None}


async def _in_a_task(log: logging.Logger) -> None:
    log.info("in a task")


def test_fields_stay_out_of_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text")
    log_fields(logging.getLogger("app.access"), "%s ms", (3,), {"duration_ms": 3})
    log_fields(logging.getLogger("app.access"), "100 %", (), {})
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" INFO 3 ms")
    assert second.endswith(" INFO 100 %")


def test_a_level_silences_what_is_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="warning")
    log_fields(logging.getLogger("app.access"), "x", (), {})
    logging.getLogger("app").warning("y")
    announce("z")
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["level"], line["message"]) for line in found] == [("warning", "y"), ("info", "z")]


@pytest.mark.parametrize(
    ("process", "form"),
    [
        ("worker", r"INFO worker \d+: hello"),
        ("tensorflow-worker", r"INFO tensorflow-worker \d+: hello"),
        ("reader", r"INFO reader \d+: hello"),
    ],
)
def test_the_other_processes_say_who_they_are(
    capsys: pytest.CaptureFixture[str], process: Process, form: str
) -> None:
    configure("text", process)
    logging.getLogger("app.worker").info("hello")
    assert re.fullmatch(form, capsys.readouterr().err.strip())


def test_the_program_logs_json_and_nothing_else(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", log_format="json")
    try:
        with server.client() as client:
            client.get("/healthz", headers={"X-Request-ID": "mine"})
        server.wait_for('"request_id": "mine"')
        server.worker_pid()
    finally:
        assert server.end() == 0
    found = [json.loads(line) for line in server.log if line != "<end>"]
    assert {line["process"] for line in found} <= {"api", "worker", "reader"}
    assert any(line["message"].startswith("Serving on http://127.0.0.1:") for line in found)
