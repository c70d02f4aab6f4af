"""`make bench-cluster`: two nodes of Ray on this machine, against the local engine.

Writes `benchmarks/cluster.md`. The exit status is 1 if a requirement is not met.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from app.arrays import relative_difference
from benchmarks.cluster import losses
from benchmarks.cluster.clients import Watch
from benchmarks.cluster.nodes import ray_nodes
from benchmarks.cluster.report import Run, Speed, page, verdicts
from benchmarks.cluster.sweep import sweep
from benchmarks.serving import closed_loop, service
from benchmarks.serving.apart import apart
from benchmarks.serving.closed_loop import Load, Measured
from benchmarks.serving.processes import Server
from benchmarks.serving.workload import FORMS, NETWORKS, Form, picture, tensor

RESULTS = Path(__file__).parents[1] / "cluster.md"
_NETWORK, _MODEL = "mobilenet_v1", "bench"
_CONCURRENCIES = (1, 8)
_WARM_UP_S = 2.0


def main() -> int:
    """Run all phases and return the exit status."""
    chosen = _arguments()
    with (
        ray_nodes() as cluster,
        service.started_service(DEVICE="cpu") as local,
        service.started_service(DEVICE="cpu", RAY_ADDRESS=cluster.address) as spread,
    ):
        both = (local, spread)
        for server in both:
            service.await_ready(server)
            build = _name(server, pinned=False)  # the same on both
        run = Run(
            chosen.rows, {form: _speed(chosen, both, form, _request(build, form)) for form in FORMS}
        )
        request = _request(build, "tensor")
        outputs = [service.numbers_of(service.await_answer(each, request)) for each in both]
        run.difference = relative_difference(*outputs)
        _name(spread, pinned=True)
        losses.await_workers(spread, 2)
        task = Watch(spread.port, request, outputs[0], max(_CONCURRENCIES))
        for event in losses.events(spread, cluster, task):
            _say(f"{event.title}: {event.spelled}")
            run.events.append(event)
        for name, server in (("local", local), ("cluster", spread)):
            # The second one finds the processes that trace, and other rows.
            for kind, first in (("cold", 2), ("warm", 20_000)):
                run.sweeps[name, kind] = sweep(server, chosen.rows, first)
                _say(f"sweep, {name}, {kind}: {run.sweeps[name, kind].seconds:.1f} s")
    checked = verdicts(run)
    text = page(run, checked)
    print(text)
    chosen.output.write_text(text, encoding="utf-8")
    return 0 if all(each.holds for each in checked) else 1


def _name(server: Server, *, pinned: bool) -> str:
    build = service.make_build(server, NETWORKS[_NETWORK])
    model = {"build": build, "engine": "onnxruntime", "pinned": pinned}
    service.send_json(server, "PUT", f"/v1/models/{_MODEL}", model)
    return build


def _request(build: str, form: Form) -> bytes:
    if form == "jpeg":
        return service.picture_request(build, picture())
    return service.infer_request(_MODEL, tensor(tuple(NETWORKS[_NETWORK]["input_shape"])))


def _speed(
    chosen: argparse.Namespace, servers: Sequence[Server], form: Form, request: bytes
) -> Speed:
    """Return the medians of rounds, in which the local engine and the cluster take turns."""
    for server in servers:
        service.await_answer(server, request)
    rounds: dict[tuple[int, int], list[Measured]] = {}
    for _ in range(chosen.rounds):
        for clients in _CONCURRENCIES:
            for index, server in enumerate(servers):
                load = Load(server.port, request, clients, _WARM_UP_S, chosen.seconds)
                rounds.setdefault((index, clients), []).append(apart(closed_loop.run, load))
    few, many = _CONCURRENCIES
    speed = Speed(
        p50_ms=[median(each.percentile(0.5) for each in rounds[index, few]) for index in (0, 1)],
        rates=[median(each.rate for each in rounds[index, many]) for index in (0, 1)],
        errors=sum(each.errors for measured in rounds.values() for each in measured),
    )
    _say(f"{form}: {speed.p50_ratio:.2f} times the p50, {speed.rate_ratio:.2f} of the requests/s")
    return speed


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each load (3)")
    parser.add_argument("--seconds", type=float, default=8.0, help="seconds of each load (8)")
    parser.add_argument("--rows", type=int, default=1000, help="rows of the sweep (1000)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the page (cluster.md)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
