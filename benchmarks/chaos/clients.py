"""Hostile clients: they withhold, do not read, trickle, and send what is wrong or expensive."""

import contextlib
import io
import json
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import numpy as np

from benchmarks.chaos.scenario import MIB, Finding, Group, Scale
from benchmarks.chaos.subject import TIMEOUT_SECONDS, Subject, await_true
from benchmarks.chaos.watch import SLACK_MIB, Watch, is_later, new_weights, spell
from benchmarks.serving.exchange import Answer, http_request

_TRICKLES = 16
# Of the threads, their allocators, and of code that ran for the first time.
_KEPT_MIB = 48
_UNKNOWN = dict.fromkeys((f"activation_fm{number}" for number in range(20_000)), 1)


def withheld_bodies(subject: Subject, scale: Scale) -> Finding:
    """Let many clients send all of a body but its end."""
    size = scale.max_body_bytes - MIB
    finding = Finding(
        "Bodies without an end",
        f"{scale.withholding} clients each send {size // MIB} MiB of a body, all but its last "
        f"byte, and send it again when they are refused. ZOO_MAX_BODIES_BYTES is "
        f"{scale.max_bodies_bytes // MIB} MiB.",
    )
    head = b"POST /v1/infer HTTP/1.1\r\nHost: zoo\r\nContent-Length: %d\r\n\r\n" % size
    body = memoryview(bytes(size - 1))
    sent = threading.Semaphore(0)

    def withhold(is_over: threading.Event) -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError), _connection(subject) as line:
                try:
                    line.sendall(head)
                    line.sendall(body)
                finally:
                    sent.release()
                while not (_readable(line, 0.1) or is_over.is_set()):
                    pass

    with Watch(subject) as watch, _crowd(scale.withholding, withhold):
        for _ in range(scale.withholding):
            sent.acquire(timeout=TIMEOUT_SECONDS)
        watch.await_rounds(scale.rounds)
    watch.report(finding, grown_mib=scale.max_bodies_bytes // MIB + SLACK_MIB)
    return finding


def unread_answers(subject: Subject, scale: Scale) -> Finding:
    """Let more clients than there are places for reads ask for 13 MB, and receive nothing."""
    finding = Finding(
        "Answers that nobody receives",
        f"{scale.unread} clients ask for a file of 13 MB and receive none of it; "
        f"ZOO_MAX_CONCURRENCY is {scale.max_concurrency}, and ZOO_WRITE_TIMEOUT_S "
        f"{scale.write_timeout_s:g}.",
    )
    path = f"/v1/builds/{subject.lenet}/weights"
    subject.get(path)  # so that the file is there
    with Watch(subject) as watch, ExitStack() as stack:
        lines = []
        for _ in range(scale.unread):
            line = stack.enter_context(_connection(subject, receive_bytes=4096))
            line.sendall(http_request("GET", path))
            lines.append(line)
        limit_s = 1.25 * scale.write_timeout_s + 2
        freed_s = await_true(lambda: _count_broken(lines) >= scale.max_concurrency, 3 * limit_s)
        answered_s = await_true(
            lambda: subject.get(f"/v1/builds/{subject.lenet}").status == 200, 3 * limit_s
        )
        watch.await_rounds(scale.rounds)
        finding.fact(
            "All who had a place lose their connection",
            f"{_count_broken(lines)} of {scale.unread}, the others were refused",
            holds=_count_broken(lines) >= scale.max_concurrency,
        )
    finding.fact("Reads are answered again", f"{answered_s:.2f} s later", holds=answered_s >= 0)
    finding.within("The places are free again", freed_s, limit_s)
    watch.report(finding)
    return finding


def trickling_uploads(subject: Subject, scale: Scale) -> Finding:
    """Let as many uploads as would fill the store trickle."""
    finding = Finding(
        "Uploads that trickle",
        f"{_TRICKLES} uploads declare 2 GiB each, as much as the store takes, and send ten bytes a "
        f"second; ZOO_BODY_TIMEOUT_S is {scale.body_timeout_s:g}.",
    )
    head = b"POST /v1/weights HTTP/1.1\r\nHost: zoo\r\nContent-Length: %d\r\n\r\n" % 2**31
    answers: Counter[int] = Counter()
    limit_s = scale.body_timeout_s + 3

    def trickle(is_over: threading.Event) -> None:
        status = 0
        with contextlib.suppress(OSError), _connection(subject) as line:
            line.sendall(head)
            while not (_readable(line, 0.1) or is_over.is_set()):
                line.sendall(b"x")
            status = _status(line) if not is_over.is_set() else 0
        answers[status] += 1

    with Watch(subject) as watch:
        with _crowd(_TRICKLES, trickle) as crowd:
            await_true(
                lambda: len(json.loads(subject.get("/v1/weights").body)["uploads"]) == _TRICKLES
            )
            honest = new_weights(subject, 1)
            ended_s = await_true(lambda: all(each.done() for each in crowd), 3 * limit_s)
        watch.await_rounds(scale.rounds)
    finding.fact(
        "An honest upload is accepted meanwhile", spell(honest)[:60], holds=honest.status == 201
    )
    finding.fact(
        "All that trickle are ended with 408", _counts(answers), holds=answers[408] == _TRICKLES
    )
    finding.within("They end", ended_s, limit_s)
    watch.report(finding)
    return finding


def many_mistakes(subject: Subject, scale: Scale) -> Finding:
    """Post many specs with tens of thousands of mistakes at once."""
    body = json.dumps({"architecture": "lenet", **_UNKNOWN}).encode()
    finding = Finding(
        "Refusals of many mistakes",
        f"{scale.clients} clients at once post a spec of {len(body) // 1000} KB with "
        f"{len(_UNKNOWN)} unknown keys.",
    )
    request = http_request("POST", "/v1/builds", body=body)
    with Watch(subject) as watch:
        with ThreadPoolExecutor(scale.clients) as pool:
            answers = list(pool.map(subject.ask, [request] * scale.clients))
        watch.await_rounds(scale.rounds)
    _report_refused(finding, answers, 422)
    largest = max(len(answer.body) for answer in answers)
    finding.fact(
        "No answer is larger than its request",
        f"{largest} bytes at most",
        holds=largest <= len(body),
    )
    watch.report(finding)
    back_s = await_true(lambda: watch.kept_mib() <= _KEPT_MIB, TIMEOUT_SECONDS)
    finding.fact(
        f"All but {_KEPT_MIB} MiB goes back to the system",
        f"{watch.kept_mib():+.0f} MiB after {back_s:.0f} s",
        holds=watch.kept_mib() <= _KEPT_MIB,
    )
    return finding


def expensive_specs(subject: Subject, scale: Scale) -> Finding:
    """Post many different specs of a large network, whose levels name layers by patterns."""
    finding = Finding(
        "Specs that are expensive to trace",
        f"{scale.clients} clients at once post nasnet_large, each with 64 levels whose patterns "
        "are compared with all of its layers.",
    )
    with Watch(subject) as watch:
        with ThreadPoolExecutor(scale.clients) as pool:
            posted = [
                pool.submit(subject.post_json, "/v1/builds", _expensive(n))
                for n in range(scale.clients)
            ]
            answers = [each.result() for each in posted]
        watch.await_rounds(scale.rounds)
    _report_refused(finding, answers, 200, 201)
    finding.within("Every read is answered", watch.slowest_s.get("summary", float("nan")), 5)
    watch.report(finding)
    return finding


def _expensive(number: int) -> object:
    levels = [
        {
            "ops": ["conv2d"],
            "layers": [f"*cell_{level % 18}*conv*", f"*{level}*"],
            "args": {
                "weights_regularizer": {
                    "name": "l2_regularizer",
                    "scale": (64 * number + level + 1) / 1e7,
                }
            },
        }
        for level in range(64)
    ]
    return {"architecture": "nasnet_large", "scopes": levels}


def malformed_requests(subject: Subject, scale: Scale) -> Finding:
    """Send what is not HTTP, not for this service, or not an input."""
    finding = Finding(
        "What is malformed or foreign",
        f"{scale.rounds} times: bytes that are no HTTP, a header without a colon, a body that is "
        "longer than allowed, one that its client breaks off, an `.npy` file whose shape is "
        "`(True, 28, 28, 1)`, JSON that is nested too deeply, a POST of another origin's page, and "
        "a client that sends no more after its request.",
    )
    before = subject.get("/v1/builds").body
    wrong = []
    cases = list(_malformed(subject, scale))
    with Watch(subject) as watch:
        for _ in range(scale.rounds):
            for name, request, expected in cases:
                status = _exchange(subject, request)
                if status not in expected:
                    wrong.append(f"{name}: {status or 'no answer'}")
        watch.await_rounds(1)
    count = len(cases) * scale.rounds
    finding.fact(
        "Each gets the status that says so",
        f"{count - len(wrong)} of {count}" + "".join(f"; {each}" for each in sorted(set(wrong))),
        holds=not wrong,
    )
    finding.fact(
        "Nothing of them is kept",
        "no build is new" if subject.get("/v1/builds").body == before else "the builds differ",
        holds=subject.get("/v1/builds").body == before,
    )
    watch.report(finding)
    return finding


def _malformed(subject: Subject, scale: Scale) -> Iterator[tuple[str, bytes, tuple[int, ...]]]:
    spec = json.dumps({"architecture": "cifarnet"}).encode()
    foreign = {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}
    array, predict = _array_of_true(), f"/v1/builds/{subject.lenet}/predict"
    deep = b'{"architecture": ' + b"[" * 10_000
    yield "no HTTP", b"\x16\x03\x01\x00\r\n\r\n", (400,)
    yield "no colon", b"GET /healthz HTTP/1.1\r\nHost zoo\r\n\r\n", (400,)
    declared = b"Content-Length: %d\r\n\r\n" % (scale.max_body_bytes + 1)
    yield "too long", b"POST /v1/infer HTTP/1.1\r\nHost: zoo\r\n" + declared, (413,)
    # Nobody reads an answer to this one.
    yield "broken off", http_request("POST", "/v1/builds", body=spec)[:-5], (0, 400, 408)
    headers = {"Content-Type": "application/x-npy"}
    yield ".npy", http_request("POST", predict, body=array, headers=headers), (400, 422)
    yield "deep", http_request("POST", "/v1/builds", body=deep), (400, 422)
    yield "cross-site", http_request("POST", "/v1/builds", body=spec, headers=foreign), (403,)
    yield "half-closed", http_request("GET", f"/v1/builds/{subject.lenet}/summary"), (200,)


def _array_of_true() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros((1, 28, 28, 1), np.float32))
    return stream.getvalue().replace(b"(1, 28, 28, 1), }   ", b"(True, 28, 28, 1), }")


def _exchange(subject: Subject, request: bytes) -> int:
    """Send a request and close the sending side; return the status, or 0."""
    with contextlib.suppress(OSError), _connection(subject) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return _status(line)
    return 0


def mixed_work(subject: Subject, scale: Scale) -> Finding:
    """Ask everything from many threads at once."""
    finding = Finding(
        "Mixed work",
        f"{scale.threads} threads read summaries, make builds, and send tensors and pictures; the "
        "answers are compared with those before.",
    )
    with Watch(subject, scale.threads) as watch:
        watch.await_rounds(scale.threads * scale.rounds)
    watch.report(finding)
    return finding


def _report_refused(finding: Finding, answers: list[Answer], *expected: int) -> None:
    statuses = Counter(answer.status for answer in answers)
    finding.fact(
        f"Each gets {' or '.join(map(str, expected))}, or 429/503 with Retry-After",
        _counts(statuses),
        holds=all(answer.status in expected or is_later(answer) for answer in answers),
    )


@contextmanager
def _crowd(count: int, work: Callable[[threading.Event], None]) -> Iterator[list["Future[None]"]]:
    """Run clients in threads; they are told when it is over."""
    is_over = threading.Event()
    with ThreadPoolExecutor(count) as pool:
        try:
            yield [pool.submit(work, is_over) for _ in range(count)]
        finally:
            is_over.set()


def _connection(subject: Subject, receive_bytes: int = 0) -> socket.socket:
    line = socket.socket()
    if receive_bytes:  # before it connects: the window follows from it
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    line.settimeout(TIMEOUT_SECONDS)
    line.connect(subject.server.address)
    return line


def _readable(line: socket.socket, timeout_s: float) -> bool:
    return bool(select.select([line], [], [], timeout_s)[0])


def _status(line: socket.socket) -> int:
    """Return the status of what is received; answers that announce another one do not count."""
    received = b""
    with contextlib.suppress(OSError):
        while chunk := line.recv(65536):
            received += chunk
    while received.startswith(b"HTTP/1.1 100"):
        received = received.partition(b"\r\n\r\n")[2]
    return int(received[9:12] or 0)


def _count_broken(lines: list[socket.socket]) -> int:
    """Return how many connections the service has reset."""
    poller = select.poll()
    for line in lines:
        poller.register(line, 0)  # only for errors: reading would be receiving
    return len(poller.poll(0))


def _counts(statuses: Counter[int]) -> str:
    return ", ".join(f"{n} times {status or 'none'}" for status, n in sorted(statuses.items()))


CLIENTS = Group(
    "clients",
    (
        withheld_bodies,
        unread_answers,
        trickling_uploads,
        many_mistakes,
        expensive_specs,
        malformed_requests,
        mixed_work,
    ),
)
