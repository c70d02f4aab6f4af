"""The cluster as Ray has it. Only this module imports Ray, which takes a second."""

import asyncio
import concurrent.futures
import json
import logging
import math
import os
import pickle
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayError, RayTaskError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from app.cluster.messages import Failure, Node, WorkerHandle, WorkerLostError
from app.cluster.node_worker import NodeWorker
from app.cluster.ray_engine import RayEngine
from app.cluster.tracing import trace_rows
from app.engine import OnBatch, Reply, Result, TracingTask, WorkerDiedError
from app.settings import Settings, SettingsError

# `ray start --resources='{"zoo_worker": 1}'` says which nodes have a worker. If none says so, all
# that have processors do.
MARK = "zoo_worker"
# Calls of one worker at once; its queue has a limit of its own.
_MOST_CALLS = 100_000
_CONNECT_LIMIT_S = 10.0
# A lost node costs a task that traces no more than time.
_RETRIES = 2


def make_ray_engine(settings: Settings, on_batch: OnBatch) -> RayEngine:
    """Return an engine on the cluster that ZOO_RAY_ADDRESS names; its start joins it."""
    token = secrets.token_hex()
    return RayEngine(settings, on_batch, RayCluster(settings, token), token)


class RayCluster:
    """See `app.cluster.messages.Cluster`. This process is a driver: what it starts ends with it."""

    def __init__(self, settings: Settings, token: str) -> None:
        own = settings.model_copy(update={"home": settings.home.absolute()})
        self._settings = own.model_dump(mode="json")
        self._settings_json = json.dumps(self._settings)
        self._address = settings.ray_address
        self._token = token
        self._is_connected = False

    async def connect(self) -> None:
        """Join the cluster. Raises: SettingsError."""
        # Else Ray tells of each step, such as that it joins.
        logging.getLogger("ray").setLevel(logging.ERROR)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._is_connected = True
        try:
            await _check_there(self._address)
            # It takes a second. In a thread, it leaves the handlers of signals alone.
            await asyncio.to_thread(
                ray.init,
                address=self._address,
                log_to_driver=False,  # each node keeps the logs of its workers
                configure_logging=False,
            )
        except Exception as error:  # Ray raises plain ones, too
            reason = " ".join(str(error).split()).removesuffix(".")
            raise SettingsError(
                f"ZOO_RAY_ADDRESS={self._address}: the cluster cannot be joined: {reason}. The "
                "service runs on a node of the cluster: `ray start` makes this machine one."
            ) from error
        self._actor = ray.remote(NodeWorker)
        self._trace = ray.remote(trace_rows).options(
            num_cpus=1,
            max_retries=_RETRIES,
            enable_task_events=False,
            scheduling_strategy="SPREAD",
            # Processes of other variables are others: none that has traced becomes a worker.
            runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
        )

    async def nodes(self) -> Sequence[Node]:
        """Return the nodes that may have a worker: those that are marked, or all."""
        nodes = [_node(each) for each in await asyncio.to_thread(ray.nodes) if each["Alive"]]
        marked = [node for node in nodes if node.is_marked]
        return marked or [node for node in nodes if node.cpus or node.gpus]

    def start_worker(self, node: Node) -> WorkerHandle:
        """Start an actor on a node, which takes all of its GPUs; see `Cluster.start_worker`."""
        options: dict[str, Any] = {"resources": {MARK: 1}} if node.is_marked else {}
        if node.gpus and self._settings["device"] != "cpu":
            options["num_gpus"] = node.gpus
        try:
            actor = self._actor.options(
                num_cpus=0,
                max_concurrency=_MOST_CALLS,
                max_restarts=0,
                max_task_retries=0,
                enable_task_events=False,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
                **options,
            ).remote(self._settings, self._token, os.environ.get("OMP_NUM_THREADS"))
        except RayError as error:
            raise _lost(error) from error
        return _Actor(actor)

    async def trace(self, task: TracingTask[Result]) -> Reply[Result]:
        """Trace rows on any node; see `Cluster.trace`."""
        try:
            outcome = await _begin(self._trace.remote, self._settings_json, task)
        except WorkerLostError as error:
            text = f"The process that traces {error}. It is started again."
            raise WorkerDiedError(text) from None
        reply: Reply[Result] = outcome
        return reply

    async def close(self) -> None:
        """Leave the cluster, which ends what was started there."""
        if self._is_connected:
            self._is_connected = False
            await asyncio.to_thread(ray.shutdown)


async def _check_there(address: str) -> None:
    """Raises: ConnectionError if nothing is there, which Ray would try to reach for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(_CONNECT_LIMIT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError) as error:
        reason = os.strerror(error.errno) if error.errno else "no connection in time"
        raise ConnectionError(f"nothing answers there ({reason})") from error
    writer.close()


class _Actor:
    """See `app.cluster.messages.WorkerHandle`."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._call = actor.call.remote

    def call(
        self, method: str, *arguments: Any, pieces: Sequence[bytes] = ()
    ) -> "asyncio.Future[Any]":
        """Call a method; see `WorkerHandle.call`."""
        head = pickle.dumps((method, arguments), pickle.HIGHEST_PROTOCOL)
        return _begin(self._call, head, *pieces)

    def kill(self) -> None:
        """End the actor at once."""
        with suppress(RayError, ValueError):  # it has ended
            ray.kill(self._actor)


def _begin(remote: Callable[..., Any], *arguments: Any) -> "asyncio.Future[Any]":
    """Begin a call, and return its future, which raises what the call raises or returns."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    try:
        reference = remote(*arguments)
    except RayError as error:
        future.set_exception(_lost(error))
        return future

    def arrived(done: "concurrent.futures.Future[Any]") -> None:  # in a thread of Ray
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_deliver, done, future)

    def cancel(done: "asyncio.Future[Any]") -> None:
        if done.cancelled():
            with suppress(RayError, ValueError):
                ray.cancel(reference)

    reference.future().add_done_callback(arrived)
    future.add_done_callback(cancel)
    return future


def _deliver(done: "concurrent.futures.Future[Any]", future: "asyncio.Future[Any]") -> None:
    error = done.exception()
    if future.done():  # nobody waits any more
        return
    if error is None:
        value = pickle.loads(done.result())
        if isinstance(value, Failure):
            future.set_exception(value.error)
        else:
            future.set_result(value)
    elif isinstance(error, RayTaskError):
        future.set_exception(error.cause)
    else:
        future.set_exception(_lost(error))


def _lost(error: BaseException) -> WorkerLostError:
    if isinstance(error, ActorDiedError):
        reason = "has ended"
        if error.actor_init_failed:  # such as by an import
            reason = f"could not begin: {str(error).strip().splitlines()[-1]}"
        return WorkerLostError(reason, is_dead=True)
    if isinstance(error, WorkerCrashedError):
        return WorkerLostError("has ended")
    return WorkerLostError(f"cannot be reached ({type(error).__name__})")


def _node(described: Mapping[str, Any]) -> Node:
    resources = described["Resources"]
    return Node(
        described["NodeID"],
        described["NodeManagerHostname"],
        math.floor(resources.get("CPU", 0)),
        math.floor(resources.get("GPU", 0)),
        resources.get(MARK, 0) >= 1,
    )
