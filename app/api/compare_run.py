"""A comparison while it is made: one build after the other, on the same input."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from starlette.requests import Request

from app.api.inputs import Input
from app.api.outputs import Wanted, describe
from app.api.services import Services
from app.compute.engine import DeadlineError, EngineError
from app.envelope import timings
from app.problems import KINDS, ServiceError, as_service_error, problem_document
from app.protocols.names import OUTPUT, PROBABILITIES
from app.serving.comparison import MAX_DIFFERENCES, Output, agreement, spec_differences
from app.serving.inference import (
    ReadInputs,
    check_output_bytes,
    check_rows,
    infer,
    output_bytes,
    read_inputs,
)
from app.serving.servable import Servable, Shape
from app.serving.served import Served
from app.settings import variable
from model_zoo import InputError, Problem, ZooError


@dataclass(frozen=True, slots=True)
class Entry:
    """A model as the query names it, and what is asked of it."""

    name: str
    served: Served
    wanted: Wanted

    @property
    def servable(self) -> Servable:
        return self.served.servable

    @property
    def outputs(self) -> list[str]:
        """What is kept of its answer; its output in any case, which is what is compared."""
        return list(dict.fromkeys([*self.wanted.outputs, OUTPUT]))

    @property
    def end_points(self) -> list[str]:
        return [name for name in self.outputs if name not in (OUTPUT, PROBABILITIES)]

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "model": self.name,
            "build": self.served.build,
            "version": self.served.version,
            "architecture": self.servable.architecture,
        }


class ComparisonRun:
    """A comparison while it is made."""

    def __init__(self, request: Request, services: Services, inputs: Sequence[Input]) -> None:
        self._request = request
        self._services = services
        self._inputs = inputs
        self._clock = timings(request)
        self._until = time.monotonic() + services.settings.request_timeout_s
        # The rows that were read last: those of 16 builds may be too many to keep.
        self._read: tuple[tuple[Shape, str], ReadInputs] | None = None
        self._results: dict[str, dict[str, Any]] = {}
        self._outputs: dict[str, Output] = {}
        self._errors: list[ServiceError] = []

    async def check(self, entries: Sequence[Entry]) -> None:
        """Raises: InputError if the input does not fit a build, or the answers are too large."""
        groups: dict[tuple[Shape, str], list[Entry]] = {}
        for entry in entries:
            groups.setdefault(_group(entry), []).append(entry)
        refusals: dict[str, InputError] = {}
        size = 0
        for group in reversed(groups.values()):  # so that the first is there when it is computed
            try:
                rows = (await self._rows(group[0])).rows.count
                check_rows(group[0].servable, rows, self._services.settings)
            except InputError as error:
                refusals |= {entry.name: error for entry in group}
            else:
                size += sum(output_bytes(each.servable, rows, each.outputs) for each in group)
        if refusals:
            raise _refusal(entries, refusals)
        check_output_bytes(size, self._services.settings)

    async def _rows(self, entry: Entry) -> ReadInputs:
        group = _group(entry)
        if self._read is None or self._read[0] != group:
            self._read = None  # before there are two
            read = await read_inputs(self._request, self._services, entry.servable, self._inputs)
            self._count({"decode": read.seconds})
            self._read = group, read
        return self._read[1]

    def _count(self, seconds: dict[str, float]) -> None:
        for phase, each in seconds.items():
            self._clock.seconds[phase] = self._clock.seconds.get(phase, 0.0) + each

    async def compute(self, entry: Entry) -> None:
        """Run one build; its problem is its result, where it has one.

        Raises: ServiceError if the client is gone.
        """
        try:
            self._results[entry.name] = await self._answer(entry)
        except (EngineError, ZooError, ServiceError) as error:
            told = as_service_error(error)
            if told.kind == "client-gone":
                raise
            self._errors.append(about(entry.name, told))
            problem = problem_document(told, KINDS[told.kind].status)
            self._results[entry.name] = {**entry.facts, "problem": problem}

    async def _answer(self, entry: Entry) -> dict[str, Any]:
        read = await self._rows(entry)
        main = [name for name in entry.outputs if name not in entry.end_points]
        answer = await infer(
            self._request,
            self._services,
            entry.served,
            read.rows,
            main,
            timeout_s=self._left(),
        )
        state = self._services.engine.state(entry.served.ref)
        arrays, seconds = dict(answer.arrays), {"decode": read.seconds, **answer.seconds}
        self._count(dict(answer.seconds))
        if entry.end_points:  # apart: the first time, a program is made for them
            others = await infer(
                self._request,
                self._services,
                entry.served,
                read.rows,
                entry.end_points,
                timeout_s=self._left(),
            )
            arrays |= others.arrays
        self._outputs[entry.name] = Output(arrays[OUTPUT], entry.servable.classes)
        facts = {
            **entry.facts,
            "engine": state.engine,
            "precision": state.precision,
            "rows": read.rows.count,
            "preprocessing": entry.servable.preprocessing if read.has_images else None,
            "seconds": seconds,
            "batch_rows": answer.batch_rows,
        }
        return await asyncio.to_thread(describe, entry.wanted, arrays, facts, read.warnings)

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            limit = f"{self._services.settings.request_timeout_s:g} s"
            raise DeadlineError(
                f"The builds before it took the {limit} of a request "
                f"({variable('request_timeout_s')})."
            )
        return left

    def comparison(self, entries: Sequence[Entry]) -> dict[str, Any]:
        """Return the answer.

        Raises: ServiceError, that of the first build, if all have failed.
        """
        if not self._outputs:
            raise self._errors[0]
        reference = next(iter(self._outputs))
        pairs = []
        for first, second in combinations(self._outputs, 2):
            found = agreement(self._outputs[first], self._outputs[second])
            pairs.append({"models": [first, second], **found})
            if first == reference:
                self._results[second]["with_reference"] = found
        differences = spec_differences({each.name: each.servable.spec for each in entries})
        return {
            "reference": reference,
            "results": [self._results[entry.name] for entry in entries],
            "pairs": pairs,
            "spec_differences": differences[:MAX_DIFFERENCES],
            "more_spec_differences": max(0, len(differences) - MAX_DIFFERENCES),
        }


def about(name: str, error: ServiceError) -> ServiceError:
    """Return an error that says which model it is about."""
    items = [{**item, "message": f"{name}: {item['message']}"} for item in error.errors]
    return ServiceError(
        error.kind,
        f"{name}: {error.detail}",
        errors=items,
        headers=error.headers,
        **error.members,
    )


def _group(entry: Entry) -> tuple[Shape, str]:
    """Return what decides on how inputs are read."""
    return entry.servable.input_shape, entry.servable.preprocessing


def _refusal(entries: Iterable[Entry], refusals: dict[str, InputError]) -> InputError:
    """Return one error of those of several builds; what is the same for all is told once."""
    found = [(entry.name, refusals[entry.name]) for entry in entries if entry.name in refusals]
    texts = {str(error) for _, error in found}
    if len(texts) == 1 and all(entry.name in refusals for entry in entries):
        return found[0][1]
    return InputError(
        *(
            Problem(
                f"{name}: {problem.message}", problem.pointer, problem.received, problem.suggestion
            )
            for name, error in found
            for problem in error.problems
        )
    )
