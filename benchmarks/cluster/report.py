"""The page about a cluster: its cost beside the local engine, and what losses cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from benchmarks.cluster.losses import Event
from benchmarks.cluster.sweep import Swept
from benchmarks.serving.report import machine, requirement_rows
from benchmarks.serving.requirements import Requirement
from benchmarks.serving.workload import FORMS, Form

_MOST_P50, _LEAST_RATE, _LONGEST_S = 1.6, 0.65, 1.5
_MOST_DIFFERENCE = 1e-5


@dataclass(frozen=True, slots=True)
class Speed:
    """The p50 of one client and the requests/s of eight: of the local engine, and of a cluster."""

    p50_ms: Sequence[float]
    rates: Sequence[float]
    errors: int

    @property
    def p50_ratio(self) -> float:
        """How many times as long a request takes on a cluster."""
        return self.p50_ms[1] / self.p50_ms[0]

    @property
    def rate_ratio(self) -> float:
        """Which share of the local engine's requests/s a cluster reaches."""
        return self.rates[1] / self.rates[0]


@dataclass(slots=True)
class Run:
    """All that was measured; sweeps by engine, and whether the processes that trace were there."""

    rows: int
    speeds: Mapping[Form, Speed]
    difference: float = 0.0
    events: list[Event] = field(default_factory=list)
    sweeps: dict[tuple[str, str], Swept] = field(default_factory=dict)


def verdicts(run: Run) -> list[Requirement]:
    """Return the requirements, and whether they are met."""
    tensor = run.speeds["tensor"]
    errors = sum(speed.errors for speed in run.speeds.values())
    longest = max(event.watched.longest_s for event in run.events[:2])
    same = all(
        run.sweeps["local", kind].rows == run.sweeps["cluster", kind].rows
        and run.sweeps["local", kind].rows.count(b"\n") >= run.rows
        for kind in ("cold", "warm")
    )
    return [
        Requirement(
            f"p50 of one client at most {_MOST_P50:g} times the local engine's (tensor)",
            f"{tensor.p50_ratio:.2f}",
            tensor.p50_ratio <= _MOST_P50,
        ),
        Requirement(
            f"Requests/s of eight clients at least {_LEAST_RATE:g} of it (tensor)",
            f"{tensor.rate_ratio:.2f}",
            tensor.rate_ratio >= _LEAST_RATE,
        ),
        Requirement("No request of these fails", f"{errors} failed", not errors),
        Requirement(
            f"The output differs by at most {_MOST_DIFFERENCE:g} of its largest value",
            f"{run.difference:.1g}",
            run.difference <= _MOST_DIFFERENCE,
        ),
        *(
            Requirement(
                f"{event.title}: no request fails, every answer is right",
                event.spelled,
                event.holds,
            )
            for event in run.events
        ),
        Requirement(
            f"A node lost: the longest wait is at most {_LONGEST_S:g} s",
            f"{longest:.2f} s",
            longest <= _LONGEST_S,
        ),
        Requirement(
            f"A sweep of {run.rows:,} has the same rows", "the same" if same else "others", same
        ),
    ]


def page(run: Run, checked: Sequence[Requirement]) -> str:
    """Return the whole page."""
    return "\n".join(_lines(run, checked)) + "\n"


def _lines(run: Run, checked: Sequence[Requirement]) -> Iterator[str]:
    yield "# A cluster"
    yield ""
    yield (
        f"`make bench-cluster` writes this page. It ran on {machine()}, Ray {version('ray')}: two "
        "nodes, the API and the clients share the cores of one machine, so no figure here says how "
        "much faster several machines are. MobileNet v1 on ONNX Runtime. The local engine and the "
        "cluster take turns."
    )
    yield ""
    yield from requirement_rows(checked)
    yield ""
    yield "## Beside the local engine"
    yield ""
    yield "| | local, p50 at 1 | cluster | | local, requests/s at 8 | cluster | |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for form, speed in run.speeds.items():
        yield (
            f"| {FORMS[form]} | {speed.p50_ms[0]:.1f} ms | {speed.p50_ms[1]:.1f} ms | "
            f"× {speed.p50_ratio:.2f} | {speed.rates[0]:.0f} | {speed.rates[1]:.0f} | "
            f"× {speed.rate_ratio:.2f} |"
        )
    yield ""
    yield "## Losses"
    yield ""
    yield "Eight clients send tensors to a pinned network, and compare every answer."
    yield ""
    for event in run.events:
        yield f"- {event.title}: {event.spelled}. {event.note}".rstrip()
        for text in event.watched.failed[:3]:
            yield f"  - {text}"
    yield ""
    yield f"## A sweep of {run.rows:,} rows of MobileNet v2"
    yield ""
    yield "| | local | cluster |"
    yield "|---|--:|--:|"
    for kind, text in (("cold", "no process traces yet"), ("warm", "they are there")):
        cells = [run.rows / run.sweeps[name, kind].seconds for name in ("local", "cluster")]
        yield f"| {text} | {cells[0]:.0f} rows/s | {cells[1]:.0f} rows/s |"
