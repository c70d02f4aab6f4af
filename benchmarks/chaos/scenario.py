"""What a scenario is, how large, and what it found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.serving.requirements import Requirement

if TYPE_CHECKING:
    from benchmarks.chaos.subject import Subject

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is sent, and the settings of the service, which keep the run short."""

    rounds: int  # of an honest client's questions, while an attack lasts
    clients: int  # that post expensive or wrong specs at once
    withholding: int  # clients that withhold the end of a body
    unread: int  # clients that never read their answer
    threads: int  # of mixed work
    kills: int
    max_body_bytes: int
    max_bodies_bytes: int
    max_concurrency: int
    write_timeout_s: float
    body_timeout_s: float
    store_timeout_s: float
    request_timeout_s: float

    def settings(self) -> dict[str, str]:
        """Return the variables of the service, without `ZOO_`."""
        names = (
            "max_body_bytes",
            "max_bodies_bytes",
            "max_concurrency",
            "write_timeout_s",
            "body_timeout_s",
            "store_timeout_s",
            "request_timeout_s",
        )
        return {name.upper(): str(getattr(self, name)) for name in names}


# The service's own limits, but for times.
FULL = Scale(
    rounds=25,
    clients=100,
    withholding=60,
    unread=300,
    threads=32,
    kills=3,
    max_body_bytes=32 * MIB,
    max_bodies_bytes=256 * MIB,
    max_concurrency=256,
    write_timeout_s=4,
    body_timeout_s=5,
    store_timeout_s=3,
    request_timeout_s=15,
)
# Without a limit on all bodies, 20 of the largest would be more than a process may grow by.
SHORT = Scale(
    rounds=2,
    clients=16,
    withholding=24,
    unread=24,
    threads=32,
    kills=1,
    max_body_bytes=16 * MIB,
    max_bodies_bytes=32 * MIB,
    max_concurrency=20,
    write_timeout_s=1,
    body_timeout_s=3,
    store_timeout_s=0.5,
    request_timeout_s=6,
)


@dataclass(slots=True)
class Finding:
    """What must hold in a scenario, and whether it did."""

    title: str
    what: str  # was done, in a sentence or two
    facts: list[Requirement] = field(default_factory=list)
    # Of these, how busy the machine is decides as well.
    times: list[Requirement] = field(default_factory=list)

    def fact(self, text: str, measured: str, *, holds: bool) -> None:
        """Add what holds at any speed."""
        self.facts.append(Requirement(text, measured, holds))

    def within(self, text: str, seconds: float, limit_s: float) -> None:
        """Add a time and its bound; NaN is no time, and not within."""
        text = f"{text} within {limit_s:g} s"
        self.times.append(Requirement(text, f"{seconds:.2f} s", seconds <= limit_s))

    @property
    def requirements(self) -> list[Requirement]:
        """All of them."""
        return [*self.facts, *self.times]


@dataclass(frozen=True, slots=True)
class Group:
    """Scenarios that share one service, one after another."""

    name: str
    scenarios: Sequence[Callable[["Subject", Scale], Finding]]
    settings: Mapping[str, str] = field(default_factory=dict)
    disk_mib: int = 0  # the home is a disk of its own, so large
