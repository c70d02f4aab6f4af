"""`make overload`: send ten times the capacity, then kill the worker under load.

Writes `benchmarks/overload.md`. The exit status is 1 if a request is not answered, or if something
that was acknowledged is lost.
"""

import argparse
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from benchmarks.serving import closed_loop, open_loop, service
from benchmarks.serving.apart import apart
from benchmarks.serving.closed_loop import Load, Measured
from benchmarks.serving.exchange import Answer, ask, http_request
from benchmarks.serving.open_loop import Stream
from benchmarks.serving.overload_report import Killed, Overloaded, page, verdicts
from benchmarks.serving.processes import Server
from benchmarks.serving.workload import FORMS, NETWORKS, picture, tensor

RESULTS = Path(__file__).parents[1] / "overload.md"
_HEALTH_RATE = 10.0  # one every 100 ms
_HEALTH_TIMEOUT_SECONDS = 30.0
# Longer than the service's own limit, ZOO_REQUEST_TIMEOUT_S: a request that is unanswered by then
# hangs.
_TIMEOUT_SECONDS = 130.0
_CAPACITY_CONCURRENCY = 8
_KILL_FACTOR = 2.0
# Between two writes of the same kind, so that they resemble many clients and not one at full speed.
_WRITE_PAUSE_SECONDS = 0.1
_BEFORE_KILL_SHARE = 0.4


def main() -> int:
    """Run both phases and return the exit status."""
    chosen = _arguments()
    with service.started_service() as server:
        service.await_ready(server)
        request = _request(server, chosen.network, chosen.form)
        service.await_answer(server, request)
        capacity = apart(
            closed_loop.run, Load(server.port, request, _CAPACITY_CONCURRENCY, 2, chosen.capacity)
        )
        _say(f"capacity {capacity.rate:.1f}/s")
        overloaded = _overload(server, request, capacity, chosen.factor, chosen.seconds)
        _say(f"overloaded: {closed_loop.spell_statuses(overloaded.outcome.statuses)}")
        killed = _kill(server, request, capacity.rate * _KILL_FACTOR, chosen.kill_seconds)
        _say(f"killed: {closed_loop.spell_statuses(killed.outcome.statuses)}")
    checked = verdicts(overloaded, killed)
    workload = f"{FORMS[chosen.form]}s to {chosen.network}"
    text = page(workload, overloaded, killed, checked)
    print(text)
    chosen.output.write_text(text, encoding="utf-8")
    return 0 if all(each.holds for each in checked) else 1


def _request(server: Server, network: str, form: str) -> bytes:
    spec = NETWORKS[network]
    build = service.make_build(server, spec)
    if form == "jpeg":
        return service.picture_request(build, picture())
    return service.infer_request(build, tensor(tuple(spec["input_shape"])))


def _overload(
    server: Server, request: bytes, capacity: Measured, factor: float, seconds: float
) -> Overloaded:
    load = Stream(server.port, request, factor * capacity.rate, seconds, _TIMEOUT_SECONDS)
    with ThreadPoolExecutor(2) as pool:
        health = pool.submit(apart, open_loop.run, _health(server, seconds))
        outcome = pool.submit(apart, open_loop.run, load)
        return Overloaded(capacity, load.rate, outcome.result(), health.result())


def _health(server: Server, seconds: float) -> Stream:
    request = http_request("GET", "/healthz")
    return Stream(server.port, request, _HEALTH_RATE, seconds, _HEALTH_TIMEOUT_SECONDS)


def _kill(server: Server, request: bytes, rate: float, seconds: float) -> Killed:
    """Kill the worker in the middle of a load, while builds and uploads come in as well."""
    load = Stream(server.port, request, rate, seconds, _TIMEOUT_SECONDS)
    writers = [_Writer(server, kind) for kind in ("builds", "weights")]
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(apart, open_loop.run, load)
        for writer in writers:
            writer.start()
        time.sleep(_BEFORE_KILL_SHARE * seconds)
        killed_at = time.perf_counter()
        os.kill(service.worker_pid(server), signal.SIGKILL)
        ready_s = _ready_again(server, killed_at)
        outcome = sent.result()
    for writer in writers:
        writer.stop()
    acknowledged = [f"/v1/{writer.kind}/{each}" for writer in writers for each in writer.kept]
    lost = [path for path in acknowledged if _get(server, path).status != 200]
    afterwards = ask(server.address, request, _TIMEOUT_SECONDS).status
    return Killed(
        outcome,
        rate,
        killed_at - outcome.began,
        ready_s,
        {writer.kind: len(writer.kept) for writer in writers},
        [refusal for writer in writers for refusal in writer.refused],
        lost,
        afterwards,
    )


def _get(server: Server, path: str) -> Answer:
    return ask(server.address, http_request("GET", path), _TIMEOUT_SECONDS)


def _ready_again(server: Server, killed_at: float) -> float:
    """Return seconds from the kill until the service was not ready, and then was."""
    was_down = False
    while time.perf_counter() < killed_at + _TIMEOUT_SECONDS:
        is_ready = service.is_ready(server)
        if is_ready and was_down:
            return time.perf_counter() - killed_at
        was_down = was_down or not is_ready
        time.sleep(service.POLL_SECONDS)
    raise TimeoutError(f"Not ready {_TIMEOUT_SECONDS:g} s after the worker was killed.")


class _Writer(threading.Thread):
    """Makes different builds, or uploads different weights, one after another."""

    def __init__(self, server: Server, kind: str) -> None:
        super().__init__(daemon=True)
        self.kind = kind
        self.kept: list[str] = []
        self.refused: list[str] = []
        self._server = server
        self._is_over = threading.Event()

    def run(self) -> None:
        """Write until stopped."""
        number = 0
        while not self._is_over.is_set():
            number += 1
            try:
                written = self._write(number)
            except (service.ServiceError, OSError) as error:
                self.refused.append(f"{self.kind}: {error}")
            else:
                self.kept.append(written)
            time.sleep(_WRITE_PAUSE_SECONDS)

    def _write(self, number: int) -> str:
        if self.kind == "builds":
            spec = {"architecture": "mobilenet_v1", "params": {"num_classes": number}}
            return service.make_build(self._server, spec)
        numbers = np.random.default_rng(number).normal(size=1000).astype(np.float32)
        weights_id: str = service.send(
            self._server, "POST", "/v1/weights?name=weights.safetensors", save({"weights": numbers})
        )["id"]
        return weights_id

    def stop(self) -> None:
        """Finish the current write and end."""
        self._is_over.set()
        self.join(_TIMEOUT_SECONDS)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make overload ARGS=...", description=__doc__)
    parser.add_argument("--network", choices=list(NETWORKS), default="resnet_v1_50")
    parser.add_argument("--form", choices=list(FORMS), default="jpeg")
    parser.add_argument("--factor", type=float, default=10, help="of the capacity (default 10)")
    parser.add_argument("--seconds", type=float, default=60, help="of overload (default 60)")
    parser.add_argument("--capacity", type=float, default=15, help="seconds to measure it (15)")
    parser.add_argument("--kill-seconds", type=float, default=40, help="of the second load (40)")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
