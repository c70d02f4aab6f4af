"""What happens to requests when a node freezes, dies or comes, or a network loads meanwhile."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.wording import counted
from benchmarks.cluster.clients import Watch, Watched, watch
from benchmarks.cluster.nodes import cpu_seconds, pids, send
from benchmarks.serving import service
from benchmarks.serving.apart import Beside
from benchmarks.serving.processes import Server
from benchmarks.serving.workload import NETWORKS

_BEFORE_S = 3.0
_FREEZE_S = 5.0
_WAIT_S = 60.0
# Of a core, for which a worker that does nothing is too slow.
_WORKING_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Event:
    """One event under load: what came back, and the workers that were lost, or counted as such."""

    title: str
    watched: Watched
    lost: int
    expected: int  # workers that are lost
    note: str = ""
    is_right: bool = True

    @property
    def holds(self) -> bool:
        """Whether no request noticed it but by waiting."""
        answers = self.watched
        return (
            self.is_right
            and not (answers.failed or answers.wrong)
            and bool(answers.right)
            and self.lost == self.expected
        )

    @property
    def spelled(self) -> str:
        """What came back, in words."""
        answers = self.watched
        wrong = f", {answers.wrong} wrong" if answers.wrong else ""
        return (
            f"{len(answers.failed)} of {answers.total} failed{wrong}, longest "
            f"{answers.longest_s:.2f} s, {counted(self.lost, 'worker')} lost"
        )


def events(server: Server, cluster: Any, task: Watch) -> Iterator[Event]:
    """Yield what happens, one after the other."""
    yield frozen(server, cluster, task)
    yield killed(server, cluster, task)
    yield added(server, cluster, task)
    yield loading(server, task)


def frozen(server: Server, cluster: Any, task: Watch) -> Event:
    """Freeze a node for some seconds, as if its machine had no power, and let it go on."""
    (node,) = cluster.worker_nodes
    before = _restarts(server)
    with _load(task) as result:
        send(node, signal.SIGSTOP)
        time.sleep(_FREEZE_S)
        lost = _restarts(server) - before
        send(node, signal.SIGCONT)
        came_back_s = await_workers(server, 2)
    note = f"The worker took requests again {came_back_s:.1f} s after the node went on."
    return Event(f"SIGSTOP of a node, SIGCONT after {_FREEZE_S:g} s", result[0], lost, 1, note)


def killed(server: Server, cluster: Any, task: Watch) -> Event:
    """Kill all processes of a node."""
    (node,) = cluster.worker_nodes
    before = _restarts(server)
    with _load(task) as result:
        send(node, signal.SIGKILL)
        cluster.worker_nodes.remove(node)
        time.sleep(_FREEZE_S)
        lost = _restarts(server) - before
    return Event("SIGKILL of a node", result[0], lost, 1)


def added(server: Server, cluster: Any, task: Watch) -> Event:
    """Add a node."""
    before = _restarts(server)
    with _load(task) as result:
        node = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
        up_s = await_workers(server, 2)
        used, at = cpu_seconds(pids(node)), time.monotonic()
        time.sleep(_FREEZE_S)
        share = (cpu_seconds(pids(node)) - used) / (time.monotonic() - at)
        lost = _restarts(server) - before
    note = f"Its worker took requests after {up_s:.1f} s, and used {share:.2f} cores from then on."
    return Event("A node added", result[0], lost, 0, note, share > _WORKING_SHARE)


def loading(server: Server, task: Watch) -> Event:
    """Load a network on TensorFlow, which has to be imported first."""
    build = service.make_build(server, NETWORKS["resnet_v1_50"])
    before = _restarts(server)
    with _load(task) as result:
        service.send_json(
            server, "PUT", "/v1/models/slow", {"build": build, "engine": "tensorflow"}
        )
        began = time.monotonic()
        service.send_json(server, "POST", "/v2/repository/models/slow/load", {})
        took_s = time.monotonic() - began
        lost = _restarts(server) - before
    note = f"It took {took_s:.1f} s."
    return Event("ResNet-50 loaded on TensorFlow meanwhile", result[0], lost, 0, note)


@contextmanager
def _load(task: Watch) -> Iterator[list[Watched]]:
    """Have clients ask, for some seconds before and after what happens inside."""
    beside = Beside(watch, task)
    results: list[Watched] = []
    try:
        time.sleep(_BEFORE_S)
        yield results
        time.sleep(_BEFORE_S)
    finally:
        results.append(beside.end())


def _restarts(server: Server) -> int:
    restarts: int = service.get_json(server, "/healthz")["worker"]["restarts"]
    return restarts


def await_workers(server: Server, count: int) -> float:
    """Wait until a number of workers is up, and return the seconds that it took."""
    began = time.monotonic()
    while _workers(server) < count:
        if time.monotonic() - began > _WAIT_S:
            raise TimeoutError(f"There are not {count} workers:\n{server.last_lines()}")
        time.sleep(0.1)
    return time.monotonic() - began


def _workers(server: Server) -> int:
    """Return how many workers have the pinned network, one each."""
    text = service.text(server, "/metrics")
    line = next(each for each in text.splitlines() if each.startswith("zoo_cache_models "))
    return round(float(line.split()[1]))
