"""The task that traces rows of sweeps, in a process of a cluster that only traces."""

import functools
import gc
import json
import pickle
import signal
from types import FrameType
from typing import Any

from app.cluster.messages import Failure
from app.compute.messages import AnyTracingTask
from app.compute.tracer.tracer_tasks import TracerTasks, begin_to_trace
from app.engine import DeadlineError, Reply
from app.settings import Limit, Settings


class _TooLongError(BaseException):
    """Ends a task; a row's own errors, which are Exceptions, cost that row alone."""


def trace_rows(settings_json: str, task: AnyTracingTask) -> bytes:
    """Trace the rows of a task, within the time of a request; return a pickle of what comes of it.

    The time that a task waits for a processor of the cluster does not count.
    """
    return pickle.dumps(_traced(settings_json, task), pickle.HIGHEST_PROTOCOL)


def _traced(settings_json: str, task: AnyTracingTask) -> Reply[Any] | Failure:
    tasks, limit = _tracer(settings_json)
    before = signal.signal(signal.SIGALRM, _end)
    signal.setitimer(signal.ITIMER_REAL, limit.value)
    try:
        return tasks.run(task)
    except _TooLongError:
        return Failure(DeadlineError(f"It was not traced within {limit.in_seconds}."))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.collect()


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise _TooLongError


@functools.cache
def _tracer(settings_json: str) -> tuple[TracerTasks, Limit[float]]:
    """Return what traces in this process from now on, and how long a task may take."""
    settings = Settings.model_validate(json.loads(settings_json))
    return begin_to_trace(settings), settings.request_time
