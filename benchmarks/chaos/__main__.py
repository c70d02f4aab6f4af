"""`make chaos`: attack the service with hostile clients, kills, and a store that fails.

Writes `benchmarks/chaos.md`. The exit status is 1 if a requirement is not met.
"""

import argparse
import sys
import time
from pathlib import Path

from benchmarks.chaos.page import page
from benchmarks.chaos.run import GROUPS, run, skipped, unmet
from benchmarks.chaos.scenario import FULL, SHORT, Finding
from benchmarks.chaos.subject import NoDiskError

RESULTS = Path(__file__).parents[1] / "chaos.md"


def main() -> int:
    """Run the groups and return the exit status."""
    chosen = _arguments()
    settings = dict(each.split("=", 1) for each in chosen.set)
    scale = SHORT if chosen.short else FULL
    findings: list[Finding] = []
    began = time.perf_counter()
    for group in GROUPS:
        if group.name not in chosen.only:
            continue
        try:
            for finding in run(group, scale, settings):
                findings.append(finding)
                _say(finding, time.perf_counter() - began)
        except NoDiskError as error:
            findings.append(skipped(group, error))
            _say(findings[-1], time.perf_counter() - began)
    text = page(findings, time.perf_counter() - began, settings)
    print(text)
    chosen.output.write_text(text, encoding="utf-8")
    return int(bool(unmet(findings)))


def _say(finding: Finding, seconds: float) -> None:
    bad = [f"{each.text}: {each.measured}" for each in unmet([finding])]
    print(f"{seconds:.0f} s: {finding.title}: {bad or 'met'}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    names = [group.name for group in GROUPS]
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these groups")
    parser.add_argument("--short", action="store_true", help="as large as in the tests")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the service less ZOO_, for instance to see a requirement not met",
    )
    parser.add_argument("--output", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
