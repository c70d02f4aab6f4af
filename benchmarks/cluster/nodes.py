"""A Ray cluster on this machine: nodes that start, freeze, and die with all their processes."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.compute.usage import usage

# What a worker is called that Ray has started.
ACTOR = "ray::NodeWorker"
_MIB = 2**20


@contextmanager
def ray_nodes(count: int = 2, cpus: int = 1) -> Iterator[Any]:
    """Yield `ray.cluster_utils.Cluster` of some nodes; the first one is the head."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    options = {"num_cpus": cpus, "object_store_memory": 80 * _MIB}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    try:
        for _ in range(count - 1):
            cluster.add_node(**options)
        yield cluster
    finally:
        for node in cluster.list_all_nodes():
            send(node, signal.SIGCONT)
        cluster.shutdown()


def send(node: Any, number: int) -> None:
    """Send a signal to all processes of a node: with SIGSTOP, it is as if it had no power."""
    for pid in pids(node):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def pids(node: Any) -> list[int]:
    """Return the raylet of a node, and what it has started."""
    waiting = [each.process.pid for each in node.all_processes.get("raylet", ())]
    seen: list[int] = []
    while waiting:
        pid = waiting.pop()
        seen.append(pid)
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += map(int, children.read_text().split())
    return seen


def cpu_seconds(process_ids: list[int]) -> float:
    """Return the processor time of processes, those that have ended left out."""
    return usage(process_ids).cpu_seconds


def processes_called(name: str) -> list[int]:
    """Return the ids of the processes of this machine whose command has a name in it."""
    named = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if name in path.read_text():
                named.append(int(path.parent.name))
    return named
