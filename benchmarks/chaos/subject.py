"""The service under attack, and questions to it whose answers are known."""

import contextlib
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import service
from benchmarks.serving.exchange import Answer, ask, http_request
from benchmarks.serving.processes import Server, free_port, running
from benchmarks.serving.workload import picture, tensor

TIMEOUT_SECONDS = 60.0
_AGREEMENT = 1e-4
_PREFIX = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
_PICTURES = {"architecture": "mobilenet_v1_025", "default_scope": {"stddev": 0.23}}


class NoDiskError(Exception):
    """No file system can be mounted here."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and whether the body of a 200 is the right one."""

    name: str
    request: bytes
    is_right: Callable[[bytes], bool]


@dataclass(slots=True)
class Subject:
    """The running service; another one after a restart."""

    folder: Path
    settings: Mapping[str, str]
    disk_mib: int
    server: Server
    stack: ExitStack
    questions: list[Question] = field(default_factory=list)
    lenet: str = ""
    log_read: int = 0  # how far the log has been looked at

    @property
    def home(self) -> Path:
        """ZOO_HOME, as this process reaches it: the service may have mounted a disk there."""
        home = self.folder / "home"
        return Path(f"/proc/{self.server.pid}/root{home}") if self.disk_mib else home

    def ask(self, request: bytes) -> Answer:
        """Return the answer; status 0 is none."""
        try:
            return ask(self.server.address, request, TIMEOUT_SECONDS)
        except OSError:
            return Answer(0)

    def get(self, path: str) -> Answer:
        """Return the answer to a read."""
        return self.ask(http_request("GET", path))

    def post_json(self, path: str, document: object) -> Answer:
        """Return the answer to a document."""
        headers = {"Content-Type": "application/json"}
        return self.ask(
            http_request("POST", path, body=json.dumps(document).encode(), headers=headers)
        )

    def health(self) -> dict[str, Any]:
        """Return what `/healthz` says, or nothing."""
        answer = self.get("/healthz")
        return json.loads(answer.body) if answer.status == 200 else {}

    def await_ready(self) -> float:
        """Return seconds until the service is ready; NaN if it is not in a minute."""
        return await_true(lambda: bool(self.health().get("ready")))

    def restart(self) -> None:
        """Start the service again on its home, when it has ended."""
        self.stack.close()
        self.server = self.stack.enter_context(_started(self.folder, self.settings, self.disk_mib))
        self.log_read = 0
        service.await_ready(self.server)

    def wrong_answers(self) -> list[str]:
        """Ask each question once; return those that are not answered rightly."""
        answers = [(each, self.ask(each.request)) for each in self.questions]
        return [
            f"{each.name}: {answer.status} {answer.body[:100]!r}"
            for each, answer in answers
            if answer.status != 200 or not each.is_right(answer.body)
        ]

    def new_tracebacks(self, *allowed: str) -> list[str]:
        """Return the log lines before each traceback since the last look.

        A line that ends with an allowed text announces its traceback: the disk's, or memory's.
        """
        lines = self.server.log.read_text(encoding="utf-8", errors="replace").splitlines()
        new, self.log_read = lines[self.log_read :], len(lines)
        return [
            before
            for before, line in zip(["", *new], new, strict=False)
            if line.startswith("Traceback") and not _without_id(before).endswith(allowed)
        ]


@contextmanager
def started_subject(
    folder: Path, settings: Mapping[str, str], disk_mib: int = 0
) -> Iterator[Subject]:
    """Start the service and ask it the questions; what it answers undisturbed is right.

    Raises: NoDiskError
    """
    with ExitStack() as stack:
        server = stack.enter_context(_started(folder, settings, disk_mib))
        subject = Subject(folder, settings, disk_mib, server, stack)
        service.await_ready(server)
        _learn(subject)
        yield subject


@contextmanager
def _started(folder: Path, settings: Mapping[str, str], disk_mib: int) -> Iterator[Server]:
    port, home = free_port(), folder / "home"
    environment = {f"ZOO_{name}": value for name, value in settings.items()}
    environment |= {"ZOO_PORT": str(port), "ZOO_HOME": str(home), "ZOO_DEVICE": "cpu"}
    command = [sys.executable, "-m", "app"]
    if disk_mib:
        home.mkdir(exist_ok=True)
        mount = f"mount -t tmpfs -o size={disk_mib}m tmpfs {shlex.quote(str(home))}"
        if subprocess.run([*_PREFIX, mount], capture_output=True, check=False).returncode:
            raise NoDiskError("no file system can be mounted here")
        command = [*_PREFIX, f"{mount} && exec {shlex.join(command)}"]
    with running(command, environment, port) as server:
        yield server


def _learn(subject: Subject) -> None:
    server = subject.server
    subject.lenet = service.make_build(server, {"architecture": "lenet"})
    pictures = service.make_build(server, _PICTURES)
    shape = service.get_json(server, f"/v1/builds/{subject.lenet}")["input_shape"]
    spec = json.dumps({"architecture": "lenet"}).encode()
    requests = {
        "summary": http_request("GET", f"/v1/builds/{subject.lenet}/summary"),
        "build": http_request("POST", "/v1/builds", body=spec),
        "tensor": service.infer_request(subject.lenet, tensor(tuple(shape))),
        "picture": service.picture_request(pictures, picture()),
    }
    for name, request in requests.items():
        body = service.await_answer(server, request).body
        read = {"tensor": _tensor, "picture": _probabilities}.get(name, json.loads)
        subject.questions.append(Question(name, request, _equals(read, body)))


def _equals(read: Callable[[bytes], Any], expected: bytes) -> Callable[[bytes], bool]:
    known = read(expected)

    def is_right(body: bytes) -> bool:
        found = read(body)
        if not isinstance(known, np.ndarray):
            return bool(found == known)
        tolerance = _AGREEMENT * np.abs(known).max()
        return found.shape == known.shape and bool(np.abs(found - known).max() <= tolerance)

    return is_right


def _tensor(body: bytes) -> Any:
    return service.numbers_of(Answer(200, body))


def _probabilities(body: bytes) -> Any:
    """Return the probability of each class that is told, at its place."""
    (row,) = json.loads(body)["predictions"]
    found = np.zeros(1001)
    for each in row:
        found[each["class"]] = each["probability"]
    return found


def await_true(condition: Callable[[], bool], timeout_s: float = TIMEOUT_SECONDS) -> float:
    """Return seconds until a condition holds, or NaN."""
    began = time.perf_counter()
    while (since := time.perf_counter() - began) < timeout_s:
        with contextlib.suppress(OSError):
            if condition():
                return since
        time.sleep(service.POLL_SECONDS)
    return float("nan")


def _without_id(line: str) -> str:
    """Return a line of the log without the id of the request that it is about."""
    return line.partition(" id=")[0]
