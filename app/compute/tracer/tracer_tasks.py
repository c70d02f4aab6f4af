"""The tasks of a tracer: to read the specs of rows, and to trace them."""

import functools
import gc
import hashlib
import json
import logging
import os
import time
from dataclasses import asdict
from typing import Any

from app.compute.messages import AnyTracingTask
from app.engine import Reply
from app.settings import Settings
from app.tasks import TraceRows
from app.telemetry.logs import configure_logging
from model_zoo import (
    BuildSpec,
    PinnedScopes,
    RowOutcome,
    RowTracer,
    Sweep,
    identify_row,
    row_problem,
    sweep,
)

log = logging.getLogger("app.tracer")

# Sweeps that are traced side by side; each is read once.
_SWEEPS = 4
# Requests of others come first: a sweep takes what is left of the processors.
_NICENESS = 10


def begin_to_trace(settings: Settings) -> "TracerTasks":
    """Make this process one that only traces; it collects garbage between two tasks."""
    configure_logging(settings, process="tracer")
    os.nice(_NICENESS)
    tasks = TracerTasks(settings)
    # A trace makes a hundred thousand objects, which all go when it ends: looking for circles among
    # them meanwhile takes a quarter of the time.
    gc.freeze()
    gc.disable()
    return tasks


class TracerTasks:
    """Traces rows, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self._budget = settings.budget
        self._tracer = RowTracer(settings.budget)
        self._read = functools.lru_cache(_SWEEPS)(self._read_sweep)

    def run(self, task: AnyTracingTask) -> Reply[Any]:
        """Do a task, and return its result with the seconds that it took."""
        started = time.perf_counter()
        part = task.part
        rows = self._read(part.sweep, part.document_json, part.scopes_json)
        outcomes = [self._outcome(rows, row, isinstance(task, TraceRows)) for row in part.rows]
        return Reply(json.dumps(outcomes).encode(), (), {"trace": time.perf_counter() - started})

    def _read_sweep(self, _id: str, document_json: bytes, scopes_json: bytes) -> Sweep:
        scopes = PinnedScopes.stored(json.loads(scopes_json))
        return sweep(json.loads(document_json), scopes, self._budget)

    def _outcome(self, rows: Sweep, row: int, is_traced: bool) -> dict[str, Any]:
        written = rows.spec(row)
        spec: BuildSpec | None = None
        try:
            identified = identify_row(written, rows.scopes, self._budget)
            outcome, spec = identified.outcome, identified.spec
            if is_traced and spec is not None:
                outcome = self._tracer.outcome(spec, predicts=rows.predicts)
        except Exception:  # a fault of ours, or of an installed network, costs this row alone
            log.exception("Row %d of a sweep failed.", row)
            build = None if spec is None else spec.digest
            outcome = RowOutcome(build, problem=row_problem("internal error"))
        levels = json.dumps([written.get("scopes"), rows.predicts]).encode()
        return {
            "is_strict": spec is not None and spec.strict,
            "spelling": hashlib.sha256(levels).hexdigest()[:16],
            **asdict(outcome),
        }
