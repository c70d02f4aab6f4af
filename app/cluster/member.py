"""The worker of a node as the API knows it: its last report, and the calls in progress."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.cluster.messages import Node, Report, WorkerHandle, WorkerLostError
from app.engine import ModelRef, ModelState, WorkerState


class Member:
    """The worker of a node, and the calls that it has not answered."""

    def __init__(
        self, node: Node, handle: WorkerHandle, on_lost: "Callable[[Member, str], None]"
    ) -> None:
        self.node = node
        self.handle = handle
        self._on_lost = on_lost
        self.state: WorkerState = "starting"
        self.reason: str | None = None
        self.shares_home = False
        self.report = Report()
        self.states: Mapping[str, ModelState] = {}
        # What answers of loads said since the last ping was sent.
        self._noted: dict[str, tuple[float, ModelState]] = {}
        self.calls: dict[asyncio.Future[Any], str] = {}  # with the keys of their models
        # Models, by key, that were unpinned or unloaded while it was lost.
        self.missed: dict[str, ModelRef] = {}

    @property
    def name(self) -> str:
        """The node, in messages."""
        return f"{self.node.host} ({self.node.id[:8]})"

    @property
    def is_up(self) -> bool:
        """Whether it takes calls."""
        return self.state == "ready"

    def has(self, key: str) -> bool:
        """Return whether a model is in its memory, or on its way there."""
        state = self.states.get(key)
        if state is not None and state.state in ("ready", "loading"):
            return True
        return key in self.calls.values()

    def has_failed(self, key: str) -> bool:
        """Return whether the last load of a model failed, such as for lack of memory."""
        state = self.states.get(key)
        return state is not None and state.failed

    async def call(
        self, key: str, method: str, *arguments: Any, pieces: Sequence[bytes] = ()
    ) -> Any:
        """Return the answer to a call about a model.

        Raises: WorkerLostError as soon as the worker is lost, and what the call raises.
        """
        future = self.handle.call(method, *arguments, pieces=pieces)
        self.calls[future] = key
        try:
            return await future
        except WorkerLostError as error:
            self._on_lost(self, str(error))
            raise
        finally:
            del self.calls[future]

    def note(self, key: str, state: ModelState) -> None:
        """Keep the state of a model that has just been told, which an older ping does not know."""
        self._noted[key] = (asyncio.get_running_loop().time(), state)
        self.states = {**self.states, key: state}

    def update(self, report: Report, asked_at: float) -> None:
        """Take over the answer to a ping."""
        self._noted = {key: each for key, each in self._noted.items() if each[0] >= asked_at}
        self.report = report
        self.states = {**report.states, **{key: state for key, (_, state) in self._noted.items()}}

    def fail_calls(self, reason: str) -> None:
        """Fail all calls: nobody is to wait for what may never come."""
        for future in self.calls:
            if not future.done():
                future.set_exception(WorkerLostError(reason))
