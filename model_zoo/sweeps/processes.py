"""Rows traced in several processes: the same rows in the same order, sooner."""

import contextlib
import gc
import itertools
import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from model_zoo.errors import ZooError
from model_zoo.sweeps.reuse import RowTracer
from model_zoo.sweeps.rows import RowKey, RowOutcome, SweepRow, identify_row
from model_zoo.sweeps.sweep import Sweep, SweepRows

# A process needs half a second to start, in which another one traces as many rows.
_FEW = 100
# Rows that a process traces at a time: enough that sending them costs nothing, and so few that the
# first come soon, and that all processes end together.
_CHUNK = 16

_Outcome = tuple[RowKey | None, RowOutcome]


def trace_in_processes(sweep: Sweep, jobs: int) -> Generator[SweepRow, None, None]:
    """Trace the rows of a sweep in processes, and yield them in order.

    Few rows, and those of one job, are traced in this process.
    Raises: ZooError if a process ends before its time.
    """
    if jobs < 2 or sweep.rows < _FEW:
        yield from sweep
        return
    rows = SweepRows(sweep)
    # Spawned: a forked process would have the locks of this one's threads.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, context, _start, (sweep,))
    chunks = (
        range(start, min(start + _CHUNK, sweep.rows)) for start in range(0, sweep.rows, _CHUNK)
    )
    pending: deque[tuple[range, Future[list[_Outcome]]]] = deque()
    try:
        while True:
            # So many wait that no process ever does, and no more: a sweep can have any number.
            with _interrupts_held():
                for numbers in itertools.islice(chunks, 4 * jobs - len(pending)):
                    pending.append((numbers, executor.submit(_trace, numbers)))
            if not pending:
                return
            numbers, future = pending.popleft()
            for index, (key, outcome) in zip(numbers, future.result(), strict=True):
                yield rows.row(index, key, outcome)
    except BrokenProcessPool as error:
        raise ZooError(
            "A process that traces rows was ended from outside, as for lack of memory. Fewer jobs "
            "need less."
        ) from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold back an interrupt from the keyboard, from this process and from those started inside.

    It reaches every process; the first one ends the others, which would else tell of it each.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_of_this_process: tuple[Sweep, RowTracer] | None = None


def _start(sweep: Sweep) -> None:
    """Prepare a process to trace rows of a sweep."""
    global _of_this_process
    _of_this_process = sweep, RowTracer(sweep.budget)
    # A trace makes a hundred thousand objects, which all go when it ends. Looking for circles
    # among them meanwhile takes a quarter of the time.
    gc.freeze()
    gc.disable()


def _trace(numbers: range) -> list[_Outcome]:
    """Return the keys and outcomes of rows, in a process that was prepared."""
    assert _of_this_process is not None
    sweep, tracer = _of_this_process
    outcomes: list[_Outcome] = []
    for number in numbers:
        read = identify_row(sweep.spec(number), sweep.scopes, sweep.budget)
        outcome = (
            read.outcome
            if read.spec is None
            else tracer.outcome(read.spec, predicts=sweep.predicts)
        )
        outcomes.append((read.key, outcome))
    gc.collect()
    return outcomes
