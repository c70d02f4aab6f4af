"""Runs a comparison: one model after another, on the same input."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.arrays import OUTPUT, PROBABILITIES, RowShape
from app.body_fields import BuildId
from app.engine import Answer, DeadlineError, EngineError
from app.errors import ProblemSummary, ServiceError
from app.serving.class_names import check_names_bytes, names_bytes
from app.serving.comparison import (
    MAX_DIFFERENCES,
    AgreementBody,
    Output,
    SpecDifferenceBody,
    agreement,
    spec_differences,
)
from app.serving.exchange import ClientGoneError, Exchange
from app.serving.inference import Inference, Input, InputRows, output_bytes
from app.serving.models import ModelVersion
from app.serving.networks import Network
from app.serving.outputs import OutputsBody, Selection, describe
from model_zoo import InputError, Problem, ZooError


class ComparedBody(TypedDict):
    """A model of a comparison."""

    model: Annotated[str, Field(description="As the query names it.")]
    build: BuildId
    version: int
    architecture: str
    parameters: int
    multiply_adds: Annotated[int, Field(description="Of one row.")]
    weight_bytes: int


class ResultBody(ComparedBody, OutputsBody):
    """What a model answered, and how it was run."""

    engine: str | None
    precision: str | None
    memory_bytes: Annotated[int, Field(description="Of the network in memory.")]
    rows: int
    preprocessing: str | None
    seconds: Annotated[dict[str, float], Field(description="By phase.")]
    batch_rows: Annotated[int, Field(description="With those of other requests.")]


class AgreedResultBody(ResultBody):
    """What another model than the reference answered, and how far it agrees with the reference."""

    with_reference: AgreementBody


class FailureBody(ComparedBody):
    """A model that did not answer, and why."""

    problem: ProblemSummary


AnyResultBody = ResultBody | AgreedResultBody | FailureBody


class PairBody(AgreementBody):
    """How far two models agree."""

    models: Annotated[list[str], Field(min_length=2, max_length=2)]


class ComparisonBody(TypedDict):
    """Models on the same input: each one's result, and how far each two agree."""

    reference: Annotated[str, Field(description="The first model that answered.")]
    results: list[AnyResultBody]
    pairs: list[PairBody]
    spec_differences: list[SpecDifferenceBody]
    more_spec_differences: Annotated[int, Field(description="How many are left out.")]


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """A model as the request names it, and the part of its outputs to answer with."""

    name: str
    model: ModelVersion
    selection: Selection

    @property
    def network(self) -> Network:
        return self.model.network

    @property
    def outputs(self) -> list[str]:
        """The outputs to compute; OUTPUT is always among them, because it is compared."""
        return list(dict.fromkeys([*self.selection.outputs, OUTPUT]))

    @property
    def end_points(self) -> list[str]:
        return [name for name in self.outputs if name not in (OUTPUT, PROBABILITIES)]

    @property
    def facts(self) -> ComparedBody:
        return {
            "model": self.name,
            "build": self.model.build,
            "version": self.model.version,
            "architecture": self.network.architecture,
            "parameters": self.network.parameters,
            "multiply_adds": self.network.multiply_adds,
            "weight_bytes": self.network.weight_bytes,
        }

    def failure(self, problem: ProblemSummary) -> FailureBody:
        return {**self.facts, "problem": problem}


class ComparisonRun:
    """A comparison in progress; `results` and `failures` are keyed by the names of entries."""

    def __init__(self, exchange: Exchange, inference: Inference, inputs: Sequence[Input]) -> None:
        self.results: dict[str, ResultBody] = {}
        self.failures: dict[str, Exception] = {}
        self._exchange = exchange
        self._inference = inference
        self._inputs = inputs
        self._limit = inference.settings.request_time
        self._deadline = time.monotonic() + self._limit.value
        # Only the rows read last: those of 16 builds together may take too much memory.
        self._last_rows: tuple[tuple[RowShape, str], InputRows] | None = None
        self._outputs: dict[str, Output] = {}

    async def check(self, entries: Sequence[ComparedModel]) -> None:
        """Raises: InputError if the input does not fit a model, or if the answers are too large."""
        groups: dict[tuple[RowShape, str], list[ComparedModel]] = {}
        for entry in entries:
            groups.setdefault(_group(entry), []).append(entry)
        refusals: dict[str, InputError] = {}
        size = names_size = 0
        # In reverse, so that the rows of the first group are still in memory for `compute`.
        for group in reversed(groups.values()):
            try:
                rows = (await self._rows(group[0])).rows.count
            except InputError as error:
                refusals |= {entry.name: error for entry in group}
                continue
            for entry in group:
                try:
                    self._inference.check_rows(entry.network, rows)
                except InputError as error:
                    refusals[entry.name] = error
                else:
                    selection = entry.selection
                    names_size += names_bytes(selection.class_names, rows, selection.top_k or 0)
                    size += output_bytes(entry.network, rows, entry.outputs)
        if refusals:
            raise _refusal(entries, refusals)
        self._inference.check_output_bytes(size)
        check_names_bytes(names_size)

    async def _rows(self, entry: ComparedModel) -> InputRows:
        group = _group(entry)
        if self._last_rows is None or self._last_rows[0] != group:
            self._last_rows = None  # freed first, so that memory never holds two
            rows = await self._inference.read(self._exchange, entry.network, self._inputs)
            self._last_rows = group, rows
        return self._last_rows[1]

    async def compute(self, entry: ComparedModel) -> None:
        """Run one model; store its result, or the error that it failed with.

        Raises: ClientGoneError if the client disconnects.
        """
        try:
            self.results[entry.name] = await self._result(entry)
        except ClientGoneError:
            raise
        except (EngineError, ZooError, ServiceError) as error:
            self.failures[entry.name] = error

    async def _result(self, entry: ComparedModel) -> ResultBody:
        read = await self._rows(entry)
        main = [name for name in entry.outputs if name not in entry.end_points]
        answer = await self._run(entry, read, main)
        state = self._inference.engine.state(entry.model.ref)
        arrays = dict(answer.arrays)
        if entry.end_points:  # in a run of their own: the first has to make a program for them
            arrays |= (await self._run(entry, read, entry.end_points)).arrays
        self._outputs[entry.name] = Output(arrays[OUTPUT], entry.network.classes)
        warnings = [*read.warnings, *(entry.model.warnings if entry.selection.top_k else ())]
        outputs = await asyncio.to_thread(describe, entry.selection, arrays, warnings)
        return {
            **entry.facts,
            "engine": state.engine,
            "precision": state.precision,
            "memory_bytes": state.size_bytes,
            "rows": read.rows.count,
            "preprocessing": entry.network.preprocessing if read.has_images else None,
            "seconds": {"decode": read.seconds, **answer.seconds},
            "batch_rows": answer.batch_rows,
            **outputs,
        }

    async def _run(self, entry: ComparedModel, read: InputRows, outputs: Sequence[str]) -> Answer:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise DeadlineError(
                f"The models before this one used up the {self._limit.value:g} s of a request "
                f"({self._limit.setting})."
            )
        return await self._inference.infer(
            self._exchange, entry.model, read.rows, outputs, timeout_s=left_s
        )

    def comparison(
        self, entries: Sequence[ComparedModel], problems: Mapping[str, ProblemSummary]
    ) -> ComparisonBody:
        """Return the answer; at least one entry has a result, and `problems` has the others."""
        reference = next(iter(self._outputs))
        pairs: list[PairBody] = []
        agreed_results: dict[str, AgreedResultBody] = {}
        for first, second in combinations(self._outputs, 2):
            agreed = agreement(self._outputs[first], self._outputs[second])
            pairs.append({"models": [first, second], **agreed})
            if first == reference:
                agreed_results[second] = {**self.results[second], "with_reference": agreed}
        results: list[AnyResultBody] = [
            agreed_results.get(entry.name)
            or self.results.get(entry.name)
            or entry.failure(problems[entry.name])
            for entry in entries
        ]
        differences = spec_differences({each.name: each.network.spec for each in entries})
        return {
            "reference": reference,
            "results": results,
            "pairs": pairs,
            "spec_differences": differences[:MAX_DIFFERENCES],
            "more_spec_differences": max(0, len(differences) - MAX_DIFFERENCES),
        }


def _group(entry: ComparedModel) -> tuple[RowShape, str]:
    """Return what determines how inputs are read; entries that agree on it share their rows."""
    return entry.network.input_shape, entry.network.preprocessing


def _refusal(entries: Iterable[ComparedModel], refusals: dict[str, InputError]) -> InputError:
    """Return the errors of several models as one; an error that all share is stated once."""
    refused = [(entry.name, refusals.get(entry.name)) for entry in entries]
    if len({str(error) for _, error in refused}) == 1 and (shared := refused[0][1]) is not None:
        return shared
    return InputError(
        *(
            Problem(
                f"{name}: {problem.message}", problem.pointer, problem.received, problem.suggestion
            )
            for name, error in refused
            if error is not None
            for problem in error.problems
        )
    )
