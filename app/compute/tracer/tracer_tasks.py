"""The tasks of a tracer: to read the specs of rows, and to trace them."""

import functools
import json
import time
from dataclasses import asdict
from typing import Any

from app.compute.messages import AnyTracingTask
from app.engine import Reply
from app.settings import Settings
from app.tasks import TraceRows
from model_zoo import PinnedScopes, RowTracer, Sweep, identify_row, sweep

# Sweeps that are traced side by side; each is read once.
_SWEEPS = 4


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
        identified = identify_row(rows.spec(row), rows.scopes, self._budget)
        outcome, spec = identified.outcome, identified.spec
        if is_traced and spec is not None:
            outcome = self._tracer.outcome(spec, predicts=rows.predicts)
        return {"is_strict": spec is not None and spec.strict, **asdict(outcome)}
