"""The workers of a cluster: one a node, started when the node is seen, and pinged from then on.

A ping that is not answered within its limit means that the worker is lost: its machine has no
power, or no network, or it is frozen. Ray itself notices that after about 15 s. A limit on each
call would not do: to load a network takes longer than to see that a worker is gone.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from app.cluster.member import Member
from app.cluster.messages import BatchRecord, Cluster, Hello, Node, Report, WorkerLostError
from app.compute.model_loads import Changes
from app.engine import DeviceError, UnloadReason
from app.version import VERSION

log = logging.getLogger(__name__)

PING_EVERY_S = 0.5
PING_LIMIT_S = 1.0
# For the event loop's own delay: what came in meanwhile is not late.
_LATE_S = 0.05
_LOOK_EVERY_S = 1.0  # for nodes
_START_LIMIT_S = 180.0
# After which a worker that does not answer is replaced, if its node is alive.
_SILENCE_LIMIT_S = 30.0
_CLOSE_LIMIT_S = 5.0
_LONGEST_BACK_OFF_S = 30.0
# Fewer may be an accident; after these, requests are refused at once.
_HOPELESS_STARTS = 3


class Members:
    """Starts and ends the workers, and knows which of them can be reached.

    `on_up` is called with a worker that takes calls from now on, `on_batches` with what a ping
    brought.
    """

    def __init__(
        self,
        cluster: Cluster,
        changes: Changes,
        *,
        needs_gpu: bool,
        on_up: Callable[[Member], None],
        on_batches: Callable[[Sequence[BatchRecord]], None],
    ) -> None:
        self._cluster = cluster
        self._changes = changes
        self._needs_gpu = needs_gpu
        self._on_up = on_up
        self._on_batches = on_batches
        self._by_node: dict[str, Member] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._failures: Counter[str] = Counter()  # starts in a row that failed, by node
        self._not_before: dict[str, float] = {}
        self._past_evictions: Counter[UnloadReason] = Counter()
        self.nodes: Sequence[Node] = ()
        self.lost = 0
        self.failure: str | None = None
        self.device_failure: str | None = None

    def start(self) -> None:
        """Look for nodes from now on, and start a worker on each."""
        self._looking = asyncio.create_task(self._look())

    async def close(self) -> None:
        """End the workers."""
        tasks = [*self._tasks.values(), *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        members, self._by_node = list(self._by_node.values()), {}
        await asyncio.gather(*map(_end, members))

    @property
    def all(self) -> list[Member]:
        """All workers, those too that start or are lost."""
        return list(self._by_node.values())

    @property
    def up(self) -> list[Member]:
        """The workers that take calls."""
        return [member for member in self._by_node.values() if member.is_up]

    @property
    def is_hopeless(self) -> bool:
        """Whether no worker can be reached, and to start one has failed several times."""
        return not self.up and any(count >= _HOPELESS_STARTS for count in self._failures.values())

    @property
    def evictions(self) -> Counter[UnloadReason]:
        """The models that left the memory of all workers, of those that are gone too."""
        total = self._past_evictions.copy()
        for member in self._by_node.values():
            total.update(member.report.figures.evictions)
        return total

    # Nodes ------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Start a worker on each new node, and forget those of nodes that are gone."""
        has_failed = False
        while True:
            try:
                nodes = await self._cluster.nodes()
                has_failed = False
            except Exception as error:  # whatever it is, the workers that there are go on
                if not has_failed:
                    log.warning("The nodes of the cluster cannot be listed: %s", error)
                has_failed = True
            else:
                self._meet(nodes)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _meet(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        alive = {node.id for node in nodes}
        for node_id in self._failures.keys() - alive:
            del self._failures[node_id]
        for node_id, member in list(self._by_node.items()):
            if node_id not in alive and not member.is_up:
                self._forget(member, "its node has left the cluster")
        for node in nodes:
            if self._may_begin(node):
                self._begin(node)
        if self._needs_gpu and not any(node.gpus for node in nodes):
            self.device_failure = "no node of the cluster has a GPU that Ray knows"
        self._changes.announce()

    def _may_begin(self, node: Node) -> bool:
        now = asyncio.get_running_loop().time()
        return (
            node.id not in self._by_node
            and now >= self._not_before.get(node.id, 0.0)
            and (node.gpus > 0 or not self._needs_gpu)
        )

    def _begin(self, node: Node) -> None:
        try:
            member = Member(node, self._cluster.start_worker(node), self._lose)
        except WorkerLostError as error:
            self._start_failed(node, str(error))
            return
        self._by_node[node.id] = member
        log.info("A worker starts on %s.", member.name)
        task = asyncio.create_task(self._keep(member))
        self._tasks[node.id] = task
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _forget(self, member: Member, reason: str) -> None:
        """Give a worker up; another one may be started on its node."""
        node_id = member.node.id
        if self._by_node.get(node_id) is not member:
            return
        self._lose(member, reason)
        member.handle.kill()
        self._past_evictions.update(member.report.figures.evictions)
        del self._by_node[node_id]
        task = self._tasks.pop(node_id)
        if task is not asyncio.current_task():
            task.cancel()
        self._changes.announce()

    def _start_failed(self, node: Node, reason: str) -> None:
        self._failures[node.id] += 1
        count = self._failures[node.id]
        self.failure = f"The worker of {node.host} does not start: it {reason}."
        log.error("%s", self.failure)
        back_off = min(2.0 ** (count - 1), _LONGEST_BACK_OFF_S)
        self._not_before[node.id] = asyncio.get_running_loop().time() + back_off

    # One worker -------------------------------------------------------------------------------

    async def _keep(self, member: Member) -> None:
        """Start a worker, and ping it until it is dead or silent for too long."""
        try:
            await self._hello(member)
        except Exception as error:  # such as of an import: the node may have another installation
            reason = _reason(error)
            if isinstance(error, DeviceError):
                self.device_failure = str(error)
            self._start_failed(member.node, reason)
            self._forget(member, reason)
            return
        try:
            await self._ping_on(member)
        except Exception as error:
            if not isinstance(error, WorkerLostError):
                log.error("The worker on %s failed.", member.name, exc_info=error)
            self._forget(member, _reason(error))

    async def _hello(self, member: Member) -> None:
        async with asyncio.timeout(_START_LIMIT_S):
            hello: Hello = await member.handle.call("start")
        if hello.version != VERSION:
            raise WorkerLostError(
                f"has version {hello.version} of this service, and the API has {VERSION}"
            )
        member.shares_home = hello.shares_home

    async def _ping_on(self, member: Member) -> None:
        """Ping a worker. Raises: WorkerLostError if it does not come back."""
        loop = asyncio.get_running_loop()
        answered_at = loop.time()
        while True:
            asked_at = loop.time()
            ping = member.handle.call("ping")
            try:
                if not await _arrives(ping, PING_LIMIT_S):
                    self._lose(member, f"has not answered for {PING_LIMIT_S:g} s")
                    await asyncio.wait({ping}, timeout=_SILENCE_LIMIT_S)
                if ping.done():
                    self._take(member, ping.result(), asked_at)
                    answered_at = loop.time()
            except WorkerLostError as error:
                self._lose(member, str(error))
                if error.is_dead:
                    raise
            finally:
                ping.cancel()
            if loop.time() - answered_at > _SILENCE_LIMIT_S:
                raise WorkerLostError(f"has not answered for {_SILENCE_LIMIT_S:g} s")
            await asyncio.sleep(max(0.0, asked_at + PING_EVERY_S - loop.time()))

    def _take(self, member: Member, report: Report, asked_at: float) -> None:
        member.update(report, asked_at)
        self._on_batches(report.batches)
        if not member.is_up:
            member.state, member.reason = "ready", None
            self._failures.pop(member.node.id, None)
            self._not_before.pop(member.node.id, None)
            log.info("The worker on %s takes requests.", member.name)
            self._on_up(member)
        self._changes.announce()

    def _lose(self, member: Member, reason: str) -> None:
        if not member.is_up:
            return
        self.lost += 1
        member.state, member.reason = "restarting", reason
        log.warning(
            "The worker on %s is lost: it %s. Calls in progress: %d.",
            member.name,
            reason,
            len(member.calls),
        )
        member.fail_calls(reason)
        self._changes.announce()


def _reason(error: Exception) -> str:
    """Return a sentence without its subject."""
    match error:
        case WorkerLostError():
            return str(error)
        case TimeoutError():
            return f"did not start within {_START_LIMIT_S:g} s"
        case DeviceError():
            return f"refused to start: {error}"
    return f"failed: {type(error).__name__}: {error}"


async def _arrives(ping: "asyncio.Future[Any]", limit_s: float) -> bool:
    """Return whether an answer comes in time; time that the event loop was busy does not count."""
    loop = asyncio.get_running_loop()
    due = loop.time() + limit_s
    await asyncio.wait({ping}, timeout=limit_s)
    late = loop.time() - due
    if not ping.done() and late > _LATE_S:
        await asyncio.wait({ping}, timeout=min(late, limit_s))
    return ping.done()


async def _end(member: Member) -> None:
    was_up, member.state = member.is_up, "stopped"
    member.fail_calls("was ended: the service is stopping")
    if was_up:
        try:
            async with asyncio.timeout(_CLOSE_LIMIT_S):
                await member.handle.call("close")
        except (WorkerLostError, TimeoutError):
            pass
    member.handle.kill()
