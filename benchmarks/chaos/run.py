"""Runs groups of scenarios, each against one service, which is ended at last."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.chaos.clients import CLIENTS
from benchmarks.chaos.kills import KILLS
from benchmarks.chaos.scenario import Finding, Group, Scale
from benchmarks.chaos.store import DISK, STORE
from benchmarks.chaos.subject import NoDiskError, Subject, started_subject
from benchmarks.serving.requirements import Requirement

GROUPS: Sequence[Group] = (CLIENTS, KILLS, STORE, DISK)
# What the service says before a traceback that it expects where disk or memory end.
_EXPECTED = {
    "memory_limit": ("Out of memory.",),
    "full_disk": ("The disk reported an error.",),
}
_HELD = 8
_END_LIMIT_S = 12.0


def run(group: Group, scale: Scale, settings: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what each scenario of a group finds.

    Raises: NoDiskError if the group needs a disk of its own, which cannot be mounted here.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        all_settings = {**scale.settings(), **settings}
        with started_subject(Path(name), all_settings, group.disk_mib) as subject:
            for scenario in group.scenarios:
                subject.new_tracebacks()
                finding = scenario(subject, scale)
                _report_log(finding, subject, *_EXPECTED.get(scenario.__name__, ()))
                yield finding
            yield _ended(subject, group)


def skipped(group: Group, error: NoDiskError) -> Finding:
    """Return what is known of a group that cannot run here."""
    return Finding(f"Skipped: {group.name}", f"This group was not run: {error}.")


def _report_log(finding: Finding, subject: Subject, *expected: str) -> None:
    tracebacks = subject.new_tracebacks(*expected)
    but = f" but after {' '.join(expected)!r}" if expected else ""
    finding.fact(
        f"No traceback is logged{but}",
        f"{len(tracebacks)}" + "".join(f"; after {line[:120]!r}" for line in tracebacks[:2]),
        holds=not tracebacks,
    )


def _ended(subject: Subject, group: Group) -> Finding:
    """End the service while clients hold connections with half a request."""
    finding = Finding(
        f"SIGTERM, after the group {group.name!r}",
        f"It comes while {_HELD} clients hold connections, half of them with half a request.",
    )
    server = subject.server
    with ExitStack() as stack:
        for number in range(_HELD):
            line = stack.enter_context(socket.create_connection(server.address))
            line.sendall(b"POST /v1/builds HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            if number % 2:
                line.sendall(b"        ")
        subject.health()  # the others have been read by then
        began = time.perf_counter()
        server.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(3 * _END_LIMIT_S)
        took = time.perf_counter() - began
    status = server.process.poll()
    finding.fact("It ends with status 0", f"status {status}", holds=status == 0)
    finding.within("It ends", took, _END_LIMIT_S)
    _report_log(finding, subject)
    return finding


def unmet(findings: Sequence[Finding]) -> list[Requirement]:
    """Return the requirements that do not hold."""
    return [each for finding in findings for each in finding.requirements if not each.holds]
