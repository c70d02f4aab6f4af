"""Honest clients that go on while a service is attacked, and what they see."""

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from safetensors.numpy import save

from benchmarks.chaos.health import Health, HealthTask, look_at_health
from benchmarks.chaos.scenario import Finding
from benchmarks.chaos.subject import TIMEOUT_SECONDS, Subject
from benchmarks.serving import service
from benchmarks.serving.apart import Beside
from benchmarks.serving.environments import PeerError
from benchmarks.serving.exchange import Answer, http_request
from benchmarks.serving.processes import resident_kib

LATER = (429, 503)
HEALTH_LIMIT_S = 1.0
# Beside what is limited: pieces that connections hold unread, and what malloc keeps.
SLACK_MIB = 160
_PAUSE_SECONDS = 0.05
_RESET_PEAK = "5"


class Watch:
    """Asks the questions, the health and the memory of a service, until its block ends."""

    def __init__(
        self, subject: Subject, clients: int = 2, *, later: tuple[int, ...] = LATER
    ) -> None:
        """Ask with so many clients; `later` is what may be answered in place of a 200."""
        self.right: Counter[str] = Counter()
        self.later: Counter[int] = Counter()
        self.bad: list[str] = []  # wrong, without an answer, or another one than it may be
        self.slowest_s: dict[str, float] = {}
        self.health = Health()
        self.grown_mib: dict[str, float] = {}
        self._subject = subject
        self._allowed = later
        self._rounds = 0
        self._changed = threading.Condition()
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=target, daemon=True)
            for target in [self._look_at_memory, *[self._ask] * clients]
        ]

    def __enter__(self) -> Self:
        self._first = {pid: resident_kib(pid) for pid in service.roles(self._subject.server)}
        for pid in self._first:
            Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
        address = self._subject.server.address
        self._look = Beside(look_at_health, HealthTask(address, TIMEOUT_SECONDS, _PAUSE_SECONDS))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_SECONDS)
        self.health = self._look.end()
        self.bad += (f"healthz: {spell(answer)}" for answer in self.health.bad)

    def await_rounds(self, count: int) -> None:
        """Wait until all questions have been asked so many times from now on."""
        with self._changed:
            target = self._rounds + count
            self._changed.wait_for(lambda: self._rounds >= target, 4 * TIMEOUT_SECONDS)

    def kept_mib(self) -> float:
        """Return how much more memory the API process has now than when the block began."""
        pid = self._subject.server.pid
        return (resident_kib(pid) - self._first[pid]) / 1024

    def report(self, finding: Finding, *, grown_mib: float = SLACK_MIB) -> None:
        """Add what must hold of every scenario."""
        later = ", ".join(f"{count} {status}" for status, count in sorted(self.later.items()))
        allowed = "/".join(map(str, self._allowed))
        finding.fact(
            f"Every honest request gets its right answer, or {allowed} with Retry-After",
            f"{self.right.total()} right, {later or 'none later'}, {len(self.bad)} bad"
            + "".join(f"; {each}" for each in self.bad[:3]),
            holds=not self.bad and bool(self.right),
        )
        finding.fact(
            f"No process grows by more than {grown_mib:g} MiB",
            ", ".join(f"{role} {grown:+.0f}" for role, grown in sorted(self.grown_mib.items())),
            holds=max(self.grown_mib.values(), default=0) <= grown_mib,
        )
        finding.within(
            "Every `/healthz` is answered",
            max(self.health.seconds, default=float("nan")),
            HEALTH_LIMIT_S,
        )

    def _ask(self) -> None:
        while not self._is_over.is_set():
            for question in self._subject.questions:
                began = time.perf_counter()
                answer = self._subject.ask(question.request)
                took = time.perf_counter() - began
                self._note(question.name, answer, took, question.is_right)
                self._is_over.wait(_PAUSE_SECONDS)
            with self._changed:
                self._rounds += 1
                self._changed.notify_all()

    def _note(self, name: str, answer: Answer, took: float, is_right: object) -> None:
        with self._changed:
            self.slowest_s[name] = max(self.slowest_s.get(name, 0), took)
            if answer.status == 200 and callable(is_right) and is_right(answer.body):
                self.right[name] += 1
            elif is_later(answer, self._allowed):
                self.later[answer.status] += 1
            else:
                self.bad.append(f"{name} after {took:.1f} s: {spell(answer)}")

    def _look_at_memory(self) -> None:
        while not self._is_over.is_set():
            with suppress(OSError, PeerError):
                for pid, role in service.roles(self._subject.server).items():
                    # A process that was replaced has nothing to be compared with.
                    if pid in self._first:
                        grown = (peak_kib(pid) - self._first[pid]) / 1024
                        self.grown_mib[role] = max(self.grown_mib.get(role, grown), grown)
            self._is_over.wait(_PAUSE_SECONDS)


def is_later(answer: Answer, allowed: tuple[int, ...] = LATER) -> bool:
    """Return whether an answer tells a client to try again; a deadline (504) has no time for it."""
    return answer.status in allowed and (answer.status == 504 or b"retry-after" in answer.headers)


def spell(answer: Answer) -> str:
    """Return the status and the start of an answer."""
    return f"{answer.status or 'no answer'} {answer.body[:120].decode(errors='replace')}".strip()


def peak_kib(pid: int) -> int:
    """Return the most memory a process has had in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise PeerError(f"Process {pid} has ended.")


class Writers:
    """Two clients, until told to stop: one makes different builds, one uploads weights."""

    def __init__(self, subject: Subject, first: int) -> None:
        """Start; `first` numbers what is written, and two runs must not share numbers."""
        self.kept: list[str] = []  # the paths of what was acknowledged
        self.refused = 0
        self.bad: list[str] = []
        self._subject = subject
        self._changed = threading.Condition()
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(kind, first), daemon=True)
            for kind in ("builds", "weights")
        ]
        for thread in self._threads:
            thread.start()

    def await_kept(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        with self._changed:
            target = len(self.kept) + count
            self._changed.wait_for(lambda: len(self.kept) >= target, TIMEOUT_SECONDS)

    def stop(self) -> None:
        """Finish the current writes."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_SECONDS)

    def lost(self) -> list[str]:
        """Return what was acknowledged and is not there."""
        return [path for path in self.kept if self._subject.get(path).status != 200]

    def report(self, finding: Finding, *, when: str) -> None:
        """Add that nothing acknowledged is lost."""
        lost = self.lost()
        finding.fact(
            f"Nothing that was acknowledged is lost {when}",
            f"{len(lost)} of {len(self.kept)} lost, {self.refused} refused, {len(self.bad)} bad"
            + "".join(f"; {each}" for each in self.bad[:3]),
            holds=bool(self.kept) and not lost and not self.bad,
        )

    def _write(self, kind: str, number: int) -> None:
        while not self._is_over.is_set():
            number += 1
            answer = (
                new_build(self._subject, number)
                if kind == "builds"
                else new_weights(self._subject, number)
            )
            with self._changed:
                if answer.status == 201:
                    self.kept.append(f"/v1/{kind}/{json.loads(answer.body)['id']}")
                elif is_later(answer):
                    self.refused += 1
                elif answer.status or not self._is_over.is_set():
                    self.bad.append(f"{kind}: {spell(answer)}")
                self._changed.notify_all()
            self._is_over.wait(_PAUSE_SECONDS)


def new_build(subject: Subject, number: int) -> Answer:
    """Make a build; those of other numbers are other builds."""
    return subject.post_json(
        "/v1/builds", {"architecture": "lenet", "params": {"num_classes": number}}
    )


def new_weights(subject: Subject, number: int, size: int = 1000) -> Answer:
    """Upload weights; those of other numbers are others."""
    numbers = np.random.default_rng(number).normal(size=size).astype(np.float32)
    body = save({"weights": numbers})
    return subject.ask(http_request("POST", "/v1/weights?name=w.safetensors", body=body))
