"""Traces the rows of a sweep for the command line: rows to a file, and how it went to people."""

import argparse
import contextlib
import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Sequence
from typing import IO, Any

from model_zoo.cli.progress_bar import ProgressBar
from model_zoo.cli.sweep_output import STREAMED, Stream, write_all
from model_zoo.sweeps.arrangement import arrange
from model_zoo.sweeps.front import Objective
from model_zoo.sweeps.processes import trace_in_processes
from model_zoo.sweeps.rows import SweepRow, SweepRowDocument
from model_zoo.sweeps.sweep import Sweep
from model_zoo.sweeps.tables import problem_text

_SOME, _NONE, _INTERRUPTED = 0, 1, 130
# How many sentences the summary has of each kind, the most frequent first.
_SENTENCES = 5
# Rows between two searches for circles of objects.
_COLLECT_EVERY = 64


class SweepRun:
    """Traces rows, writes them, and says at the end what they came to."""

    def __init__(
        self, options: argparse.Namespace, rows: Sweep, objectives: Sequence[Objective]
    ) -> None:
        self._options = options
        self._rows = rows
        self._objectives = objectives
        self._statuses: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()

    def write(self, file: IO[Any]) -> int:
        """Trace and write the rows, and return the status."""
        options, start = self._options, time.perf_counter()
        is_arranged = bool(options.sort or self._objectives)
        stream = None
        if options.format in STREAMED and not is_arranged:
            stream = Stream(self._rows, options.format, file)
        documents: list[SweepRowDocument] = []
        is_interrupted = False
        with ProgressBar(self._rows.rows) as bar, contextlib.closing(self._traced()) as traced:
            try:
                for row in traced:
                    if stream is None:
                        documents.append(row.to_dict())
                    else:
                        bar.clear()
                        stream.write(row.to_dict())
                    bar.step()
            except KeyboardInterrupt:
                is_interrupted = True
        if stream is None:
            documents = arrange(
                documents,
                self._rows.places,
                sort=options.sort,
                objectives=self._objectives,
                include_dominated=not options.only_front,
            )
            write_all(self._rows, documents, options.format, file)
        file.flush()
        self._summarize(time.perf_counter() - start)
        if is_interrupted:
            return _INTERRUPTED
        is_stopped = options.fail_fast and self._statuses["refused"]
        return _NONE if is_stopped or {*self._statuses} == {"refused"} else _SOME

    def _traced(self) -> Generator[SweepRow, None, None]:
        """Yield rows, up to the first refused one if that ends the sweep."""
        jobs = self._options.jobs or len(os.sched_getaffinity(0))
        # See model_zoo/sweeps/processes.py: this one may trace as well.
        gc.freeze()
        gc.disable()
        rows = trace_in_processes(self._rows, jobs)
        try:
            with contextlib.closing(rows):
                for row in rows:
                    self._count(row)
                    yield row
                    if row.status == "refused" and self._options.fail_fast:
                        return
                    if row.index % _COLLECT_EVERY == 0:
                        gc.collect()
        finally:
            gc.enable()
            gc.unfreeze()

    def _count(self, row: SweepRow) -> None:
        self._statuses[row.status] += 1
        if row.status != "duplicate":
            self._warnings.update(row.warnings)
            if row.problem is not None:
                self._problems[problem_text(row.problem)] += 1

    def _summarize(self, seconds: float) -> None:
        done, total = self._statuses.total(), self._rows.rows
        count = f"{done:,} rows" if done == total else f"{done:,} of {total:,} rows"
        kinds = ", ".join(
            f"{self._statuses[status]:,} {status}"
            for status in ("traced", "refused", "duplicate", "filtered")
            if self._statuses[status]
        )
        print(f"{count} in {seconds:.1f} s: {kinds or 'none'}", file=sys.stderr)
        for kind, counter in (("problem", self._problems), ("warning", self._warnings)):
            for text, times in counter.most_common(_SENTENCES):
                print(f"{kind} ({times:,} rows): {text}", file=sys.stderr)
            if (more := len(counter) - _SENTENCES) > 0:
                print(f"and {more:,} other {kind}s", file=sys.stderr)
