"""Processes that are killed, stopped, or out of memory."""

import contextlib
import os
import resource
import signal
import socket
from pathlib import Path

from benchmarks.chaos.scenario import MIB, Finding, Group, Scale
from benchmarks.chaos.subject import TIMEOUT_SECONDS, Subject, await_true
from benchmarks.chaos.watch import LATER, Watch, Writers, is_later, spell
from benchmarks.serving import service
from benchmarks.serving.processes import children
from benchmarks.serving.workload import tensor

_READY_LIMIT_S = 10.0
# Of address space, beside what the worker has: enough for what it does already.
_LEFT_BYTES = 96 * MIB
_LARGE = {"architecture": "resnet_v1_50"}


def killed_workers(subject: Subject, scale: Scale) -> Finding:
    """Kill the worker, again and again."""
    return _killed(subject, scale, "worker")


def killed_readers(subject: Subject, scale: Scale) -> Finding:
    """Kill a reader, again and again."""
    return _killed(subject, scale, "reader")


def _killed(subject: Subject, scale: Scale, role: str) -> Finding:
    finding = Finding(
        f"A {role} is killed", f"It gets SIGKILL {scale.kills} times, under requests and writes."
    )
    again_s = []
    writers = Writers(subject, 1000 if role == "worker" else 2000)
    with Watch(subject) as watch:
        for _ in range(scale.kills):
            watch.await_rounds(1)
            pid = _pid(subject, role)
            os.kill(pid, signal.SIGKILL)
            again_s.append(await_true(lambda gone=pid: _replaced(subject, role, gone)))  # type: ignore[misc]
            again_s[-1] += subject.await_ready()
        watch.await_rounds(scale.rounds)
    writers.stop()
    finding.fact(
        "Another one does its work",
        f"{sum(each >= 0 for each in again_s)} of {scale.kills} times",
        holds=all(each >= 0 for each in again_s),
    )
    writers.report(finding, when="then")
    finding.within("The service is ready again", max(again_s), _READY_LIMIT_S)
    watch.report(finding)
    return finding


def stalled_worker(subject: Subject, scale: Scale) -> Finding:
    """Stop the worker for a while."""
    finding = Finding(
        "The worker stalls",
        "It gets SIGSTOP, reads are asked for meanwhile, and it gets SIGCONT before any deadline.",
    )
    pid = service.worker_pid(subject.server)
    with Watch(subject) as watch:
        watch.await_rounds(1)
        os.kill(pid, signal.SIGSTOP)
        reads = [subject.get(f"/v1/builds/{subject.lenet}") for _ in range(10 * scale.rounds)]
        os.kill(pid, signal.SIGCONT)
        watch.await_rounds(scale.rounds)
    answered = sum(read.status == 200 for read in reads)
    finding.fact(
        "Reads are answered while it stands",
        f"{answered} of {len(reads)}",
        holds=answered == len(reads),
    )
    finding.fact(
        "It goes on afterwards",
        "the same process" if service.worker_pid(subject.server) == pid else "another process",
        holds=service.worker_pid(subject.server) == pid,
    )
    watch.report(finding)
    return finding


def hung_worker(subject: Subject, scale: Scale) -> Finding:
    """Stop the worker for good."""
    finding = Finding(
        "The worker hangs",
        f"It gets SIGSTOP and no SIGCONT. ZOO_REQUEST_TIMEOUT_S is {scale.request_timeout_s:g}; a "
        "request that meets it gets 504.",
    )
    pid = service.worker_pid(subject.server)
    with Watch(subject, later=(*LATER, 504)) as watch:
        watch.await_rounds(1)
        os.kill(pid, signal.SIGSTOP)
        again_s = await_true(lambda: _replaced(subject, "worker", pid))
        again_s += subject.await_ready()
        watch.await_rounds(scale.rounds)
    if again_s != again_s:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    finding.fact("It is replaced", f"after {again_s:.1f} s", holds=again_s >= 0)
    finding.within("The service is ready again", again_s, scale.request_timeout_s + _READY_LIMIT_S)
    watch.report(finding)
    return finding


def memory_limit(subject: Subject, scale: Scale) -> Finding:
    """Leave the worker too little memory for a large network."""
    finding = Finding(
        "Memory is limited",
        f"The worker may take {_LEFT_BYTES // MIB} MiB of address space more (RLIMIT_AS), and is "
        "asked for resnet_v1_50, which needs 100 MB; then the limit is lifted.",
    )
    pid = service.worker_pid(subject.server)
    build = service.make_build(subject.server, _LARGE)
    shape = service.get_json(subject.server, f"/v1/builds/{build}")["input_shape"]
    large = service.infer_request(build, tensor(tuple(shape)))
    limit = _address_space(pid) + _LEFT_BYTES
    with Watch(subject) as watch:
        watch.await_rounds(1)
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        refused = subject.ask(large)
        watch.await_rounds(scale.rounds)
    same = pid in service.roles(subject.server)
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    subject.await_ready()
    afterwards = subject.ask(large)
    finding.fact(
        "The large network gets 503 with Retry-After",
        f"{spell(refused)[:160]}; {'the worker lives on' if same else 'the worker was replaced'}",
        holds=is_later(refused),
    )
    finding.fact(
        "It is computed without the limit", spell(afterwards)[:3], holds=afterwards.status == 200
    )
    watch.report(finding)
    return finding


def killed_api(subject: Subject, scale: Scale) -> Finding:
    """Kill the process that serves HTTP in the middle of writes and of an upload."""
    finding = Finding(
        "The API process is killed",
        "It gets SIGKILL while builds are made, weights arrive, and one upload is half there; then "
        "the service starts again on its home.",
    )
    writers = Writers(subject, 3000)
    writers.await_kept(2 * scale.rounds)
    with socket.create_connection(subject.server.address, TIMEOUT_SECONDS) as line:
        line.sendall(
            b"POST /v1/weights HTTP/1.1\r\nHost: x\r\nContent-Length: 90000000\r\n\r\n"
            + bytes(4 * MIB)
        )
        await_true(lambda: bool(_scratch(subject)))
        left = children(subject.server.pid)
        subject.server.process.kill()
        subject.server.process.wait()
    ended_s = await_true(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
    writers.stop()
    # Clients of a killed server see their connection break, or find nobody.
    writers.bad = [each for each in writers.bad if "no answer" not in each]
    scratch = len(_scratch(subject))
    subject.restart()
    finding.fact(
        "Its other processes end with it",
        f"{len(left)} processes, after {ended_s:.2f} s",
        holds=ended_s >= 0 and bool(left),
    )
    finding.fact(
        "No unfinished file is left after the start",
        f"{scratch} folders before, {len(_scratch(subject))} after",
        holds=scratch > 0 and not _scratch(subject),
    )
    writers.report(finding, when="after the restart")
    wrong = subject.wrong_answers()
    finding.fact("Answers are right again", "; ".join(wrong) or "all", holds=not wrong)
    return finding


def _pid(subject: Subject, role: str) -> int:
    return next(pid for pid, each in service.roles(subject.server).items() if each == role)


def _replaced(subject: Subject, role: str, gone: int) -> bool:
    pids = [pid for pid, each in service.roles(subject.server).items() if each == role]
    return bool(pids) and gone not in pids


def _scratch(subject: Subject) -> list[Path]:
    return list(subject.home.glob("checkpoints/tmp-*"))


def _address_space(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return pages * resource.getpagesize()


KILLS = Group(
    "kills",
    (killed_workers, killed_readers, stalled_worker, hung_worker, memory_limit, killed_api),
)
