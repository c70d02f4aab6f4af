"""How often a network is run to time its layers, and how times of nodes become times of layers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.settings import variable
from app.tasks import LayerSeconds
from model_zoo import Node, Trace, ZooError

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often to run, and until when by `time.monotonic`; at least once."""

    runs: int
    layers_until: float
    network_until: float

    def check(self) -> None:
        """Raises: ZooError if there is no time for any run."""
        if time.monotonic() > self.network_until:
            raise ZooError(
                "Nothing was measured: loading the network took all the time of a request "
                f"({variable('request_timeout_s')})."
            )

    def layers(self, run: Callable[[], Result], at_most: int = 1_000_000) -> list[Result]:
        """Return the results of the runs in which layers are measured."""
        return _repeated(run, max(1, min(self.runs, at_most)), self.layers_until)

    def network(self, run: Callable[[], object]) -> list[float]:
        """Return the seconds of runs of the whole network."""
        return _repeated(lambda: _seconds(run), self.runs, self.network_until)


def _repeated(run: Callable[[], Result], times: int, until: float) -> list[Result]:
    results: list[Result] = []
    while len(results) < times:
        started = time.monotonic()
        results.append(run())
        now = time.monotonic()
        if now + (now - started) > until:  # when another run would end
            break
    return results


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def layer_seconds(
    traced: Trace, seconds_of: Callable[[Sequence[Node]], LayerSeconds]
) -> tuple[LayerSeconds, ...]:
    """Return the time of each layer, given that of its nodes that lead to the output."""
    needed = set(traced.graph.nodes_before([traced.graph.output]))
    layers = ([node for node in nodes if node in needed] for nodes in traced.layer_nodes())
    return tuple(seconds_of(nodes) if nodes else LayerSeconds(None) for nodes in layers)
