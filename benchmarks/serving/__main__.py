"""`make bench-serve`: measure this service, its peers, the least server and the call in process.

Prints the page and writes it to `benchmarks/serving.md`. The exit status is 1 if a requirement is
not met.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.serving import in_process
from benchmarks.serving.apart import apart
from benchmarks.serving.cold_start import measure_cold_start
from benchmarks.serving.compare import Plan, Result, compare
from benchmarks.serving.contestants import contestants
from benchmarks.serving.in_process import InProcess, Task
from benchmarks.serving.report import report, requirement_rows
from benchmarks.serving.requirements import Run, cold_start_requirements, requirements
from benchmarks.serving.workload import FORMS, NETWORKS

RESULTS = Path(__file__).parents[1] / "serving.md"
# How many of the fastest ways in process are measured again after the servers.
_AGAIN = 3


def main() -> int:
    """Run everything and return the exit status."""
    chosen = _arguments()
    if chosen.only_cold_start:
        met = list(cold_start_requirements(measure_cold_start()))
        print("\n".join(requirement_rows(met)))
        return 0 if all(each.holds for each in met) else 1
    plan = Plan(
        chosen.networks,
        chosen.forms,
        chosen.concurrencies,
        chosen.seconds,
        chosen.warm_up,
        chosen.rounds,
    )
    every = contestants(chosen.peer_engine)
    servers = [each for each in every if each.name == "ours" or each.name in chosen.peers]
    results = {each.title: Result() for each in servers}
    before: dict[str, InProcess] = {}
    after: dict[str, InProcess] = {}
    seconds = min(1.0, chosen.seconds / 4)
    for network in plan.networks:
        _say(f"{network} in process")
        before[network] = apart(in_process.measure, Task(network, seconds))
        compare(servers, network, before[network], plan, results)
        _say(f"{network} in process, again")
        after[network] = apart(in_process.measure, _again(network, seconds, before[network]))
    cold = None
    if not chosen.no_cold_start:
        _say("cold start")
        cold = measure_cold_start()
    run = Run(plan, before, after, results, cold)
    checked = requirements(run)
    page = report(run, checked, chosen.peer_engine)
    print(page)
    chosen.output.write_text(page, encoding="utf-8")
    return 0 if all(each.holds for each in checked) else 1


def _again(network: str, seconds: float, before: InProcess) -> Task:
    """Return a measurement of the fastest ways, which shows how much the machine has changed."""
    ways = tuple(way for form in FORMS for way in before.fastest(form)[:_AGAIN])
    return Task(network, seconds, ways)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-serve ARGS=...", description=__doc__)
    peers = list(dict.fromkeys(each.name for each in contestants() if each.name != "ours"))
    parser.add_argument("--rounds", type=int, default=3, help="of each point (default 3)")
    parser.add_argument("--seconds", type=float, default=2, help="of each round (default 2)")
    parser.add_argument("--warm-up", type=float, default=1, help="seconds before each (default 1)")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--forms", nargs="+", choices=list(FORMS), default=list(FORMS))
    parser.add_argument("--concurrencies", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--peers", nargs="*", choices=peers, default=peers)
    parser.add_argument(
        "--peer-engine",
        choices=("tensorflow", "onnxruntime"),
        help="one runtime for all peers, to compare only the servers",
    )
    parser.add_argument("--no-cold-start", action="store_true")
    parser.add_argument("--only-cold-start", action="store_true", help="and write no page")
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
