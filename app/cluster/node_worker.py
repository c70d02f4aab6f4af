"""The worker of a node: an actor that holds a local engine, whose inputs the API has read."""

import os
import pickle
import shutil
import tempfile
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from app.cluster.messages import BatchRecord, Computed, Failure, Hello, Report
from app.compute.local_engine import LocalEngine
from app.engine import DeviceError, EngineError, ModelRef, ModelState, Reply, Rows, WorkerTask
from app.memory import keep_freed_memory
from app.settings import Settings
from app.store.errors import StoreError
from app.telemetry.logs import about_request, configure_logging
from app.version import VERSION
from model_zoo import ZooError

# In the API's home while it runs: a worker that reads the same token there sees the same home.
TOKEN_FILE = "cluster-token"
_OMP = "OMP_NUM_THREADS"
# What a method may raise; anything else is a fault of ours, which Ray reports as it is.
_ERRORS = (EngineError, ZooError, StoreError, DeviceError)

Value = TypeVar("Value")
Fields = Mapping[str, Any]


class NodeWorker:
    """What the API calls on a node; `about` are the fields of a request in the log.

    `threads` is OMP_NUM_THREADS of the API: Ray sets it to 1 in an actor without processors of
    its own, which would slow TensorFlow and ONNX Runtime.
    """

    def __init__(self, settings: Mapping[str, Any], token: str, threads: str | None) -> None:
        os.environ.pop(_OMP, None)
        if threads is not None:
            os.environ[_OMP] = threads
        read = Settings.model_validate(settings)
        configure_logging(read, process="node")
        keep_freed_memory()
        self._shares_home = _shares(read.home, token)
        self._own_home: str | None = None
        if not self._shares_home:
            self._own_home = tempfile.mkdtemp(prefix="model-zoo-worker-")
            read = read.model_copy(update={"home": Path(self._own_home)})
        self._waits = read.device == "gpu"
        self._batches: list[BatchRecord] = []
        self._engine = LocalEngine(read, self._count, has_readers=False)

    async def call(self, head: bytes, *pieces: bytes) -> bytes:
        """Call a method by its name and arguments, and return what it returns, both in a pickle.

        Ray pickles each argument by itself, in Python, but bytes not at all.
        """
        method, arguments = pickle.loads(head)
        value = await getattr(self, method)(*arguments, *pieces)
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    async def start(self) -> Hello | Failure:
        """Start the engine; with ZOO_DEVICE=gpu, wait until it has found its GPU."""
        return await _outcome(self._start())

    async def _start(self) -> Hello:
        await self._engine.start(wait_until_ready=self._waits)
        return Hello(VERSION, self._shares_home)

    async def ping(self) -> Report:
        """Return how the worker is."""
        engine = self._engine
        return Report(engine.status(), engine.figures(), engine.states(), self._take_batches())

    async def infer(
        self,
        about: Fields,
        model: ModelRef,
        outputs: Sequence[str],
        count: int,
        counted_as: tuple[str, str],
        timeout_s: float,
        wants_state: bool,
        *pieces: bytes,
    ) -> Computed | Failure:
        """Compute outputs of rows, whose bytes come in pieces."""
        rows = Rows(pieces[0] if len(pieces) == 1 else b"".join(pieces), count)
        with about_request(about):
            answer = await _outcome(
                self._engine.infer(model, rows, outputs, counted_as=counted_as, timeout_s=timeout_s)
            )
        if isinstance(answer, Failure):
            return answer
        state = self._engine.state(model) if wants_state else None
        return Computed(answer, self._take_batches(), state)

    async def load(self, about: Fields, model: ModelRef) -> ModelState | Failure:
        """Load a model into memory."""
        with about_request(about):
            return await _outcome(self._engine.load(model))

    async def unload(self, about: Fields, model: ModelRef) -> Failure | None:
        """Free a model's memory."""
        with about_request(about):
            return await _outcome(self._engine.unload(model))

    async def run(self, about: Fields, task: WorkerTask[Any]) -> Reply[Any] | Failure:
        """Do another task."""
        with about_request(about):
            return await _outcome(self._engine.run(task))

    async def close(self) -> None:
        """End the engine's processes."""
        await self._engine.close()
        if self._own_home is not None:
            shutil.rmtree(self._own_home, ignore_errors=True)

    def _count(self, counted_as: tuple[str, str], rows: int, seconds: Mapping[str, float]) -> None:
        self._batches.append(BatchRecord(counted_as, rows, seconds))

    def _take_batches(self) -> Sequence[BatchRecord]:
        batches, self._batches = self._batches, []
        return batches


async def _outcome(work: Awaitable[Value]) -> Value | Failure:
    try:
        return await work
    except _ERRORS as error:
        return Failure(error)


def _shares(home: Path, token: str) -> bool:
    """Return whether a folder is that of the API, of which another machine may have one too."""
    try:
        return (home / TOKEN_FILE).read_text(encoding="ascii") == token
    except (OSError, UnicodeDecodeError):
        return False
