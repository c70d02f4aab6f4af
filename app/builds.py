"""Turns a client's spec into a trace and a stored build, and finds either by the id."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from app.documents import parse_document
from app.errors import ServiceError
from app.settings import Settings
from app.store.builds import Build, BuildFacts, BuildStore, is_build_id
from app.store.errors import disk_errors
from app.store.models import ModelStore
from app.store.scopes import ScopeStore
from app.store.sources import WeightSources
from app.telemetry.metrics import BuildOutcome, Metrics
from app.telemetry.timings import Timings
from app.trace_threads import TraceThreads
from app.wording import clip_warnings
from model_zoo import (
    BuildSpec,
    CheckpointStore,
    ProbeDocument,
    Problem,
    SavedScope,
    ScopeLibrary,
    SpecError,
    Trace,
    ZooError,
    describe_each,
    json_pointer,
    plan_restore,
    read_scope,
    trace,
    unknown_name,
)

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


class Builds:
    """The stored builds. Methods that are not coroutines block for milliseconds."""

    def __init__(
        self,
        settings: Settings,
        store: BuildStore,
        models: ModelStore,
        scopes: ScopeStore,
        checkpoints: CheckpointStore,
        metrics: Metrics,
    ) -> None:
        self.sources = WeightSources(checkpoints, store.spec_of)
        self._settings = settings
        self._store = store
        self._models = models
        self._scopes = scopes
        self._checkpoints = checkpoints
        self._metrics = metrics
        # Reads do not wait behind the specs that are posted, as admission counts them apart.
        self.reading = TraceThreads(settings.trace_wait)
        self.posting = TraceThreads(settings.trace_wait)
        self._budget = settings.budget

    def trace(self, spec: object, scopes: ScopeLibrary | None = None) -> Trace:
        """Return the trace of a spec as a client sends it.

        All are read here, so that each may name saved scopes, those of today or those given.

        Raises: ZooError if the spec is invalid, rejected by its network, or over the budget.
        """
        return trace(BuildSpec.read(spec, scopes or self._scopes, self._budget), self._budget)

    def trace_stored(self, spec: Mapping[str, Any]) -> Trace:
        """Return the trace of a spec as a build stores it.

        Raises: ZooError if the build is over today's budget.
        """
        return trace(BuildSpec.stored(spec), self._budget)

    def read_scope(self, name: str, body: bytes) -> SavedScope:
        """Return the levels of a JSON body, to save under a name.

        Raises: ZooError if they are not valid, or too many.
        """
        document = parse_document(body, self._settings)
        return read_scope(name, document, self._scopes, self._budget)

    def trace_body(self, body: bytes, timings: Timings) -> Trace:
        """Return the trace of a spec in a JSON body; a rejected spec is counted."""
        with timings.measure("trace"):
            return self._trace_counted(parse_document(body, self._settings))

    def trace_pair(self, body: bytes, timings: Timings) -> tuple[Trace, Trace]:
        """Return the traces of the specs `a` and `b` in a JSON body; rejected ones are counted.

        Raises: ZooError, as `trace` does; the mistakes of both specs if neither is valid.
        """
        with timings.measure("trace"):
            document = parse_document(body, self._settings)
            if not isinstance(document, dict):
                rule = 'The body must be an object with two specs: {"a": {...}, "b": {...}}.'
                raise SpecError(Problem(rule, "", document))
            names = ("a", "b")
            problems = list(
                describe_each(
                    (key for key in document if key not in names),
                    lambda key: unknown_name(
                        json_pointer(key), f"There is no key {key!r} here.", key, names
                    ),
                )
            )
            traces: list[Trace] = []
            refusals: list[ZooError] = []
            for name in names:
                if name not in document:
                    rule = f"{name} is required: a spec."
                    problems.append(Problem(rule, json_pointer(name)))
                    continue
                try:
                    traces.append(self._trace_counted(document[name]))
                except ZooError as error:
                    error.move_to(json_pointer(name))
                    if isinstance(error, SpecError):
                        problems += error.problems
                    else:
                        refusals.append(error)
            if problems:
                raise SpecError(*problems)
            if refusals:
                raise refusals[0]
            a, b = traces
            return a, b

    def _trace_counted(self, spec: object) -> Trace:
        """Return the trace of a spec from a body; a rejected spec is counted."""
        architecture = spec.get("architecture") if isinstance(spec, dict) else None
        with self._metrics.refusals(architecture):
            return self.trace(spec)

    async def keep(
        self, body: bytes, timings: Timings, report: Callable[[Trace], Made]
    ) -> tuple[Build, bool, Made]:
        """Store the spec in a JSON body as a build.

        Returns the build, whether it is new, and what `report` makes of its trace.
        Raises: ZooError, as `trace` does; WeightsError if the sources of its weights do not fit.
        """
        planned, made = await self.posting.run(self._planned_body, body, timings, report)
        ((build, is_new),) = await self.keep_planned([planned], timings)
        return build, is_new, made

    def _planned_body(
        self, body: bytes, timings: Timings, report: Callable[[Trace], Made]
    ) -> tuple[Build, Made]:
        traced = self.trace_body(body, timings)
        with timings.measure("plan"):
            planned = self.planned(traced)
        return planned, report(traced)

    async def keep_planned(
        self, builds: Sequence[Build], timings: Timings
    ) -> list[tuple[Build, bool]]:
        """Store builds, all of them or none; return each, and whether it is new.

        Raises: WeightsError if a source of weights is gone.
        """
        with timings.measure("store"):
            stored = await self._store.write(self._add, builds)
        share = {phase: seconds / max(1, len(builds)) for phase, seconds in timings.seconds.items()}
        for build, is_new in stored:
            outcome: BuildOutcome = "created" if is_new else "existing"
            self._metrics.built(build.architecture, outcome, share)
        return stored

    def _add(self, builds: Sequence[Build]) -> list[tuple[Build, bool]]:
        with self._store.adding():
            for build in builds:
                # The sources existed when the plan was made, but may have been removed since.
                with self._metrics.refusals(build.architecture):
                    self.sources.check(build.spec)
            return self._store.add(builds)

    def plan(self, traced: Trace, timings: Timings) -> Build:
        """Return the build that `keep` would store, without storing it.

        Raises: WeightsError if the sources of its weights do not fit.
        """
        with timings.measure("plan"):
            build = self.planned(traced)
        self._metrics.built(build.architecture, "traced", timings.seconds)
        return build

    def planned(self, traced: Trace) -> Build:
        """Return the build of a trace, with the facts that a listing shows without tracing again.

        Raises: WeightsError if a source of the weights does not exist, or is strict and does not
        fit.
        """
        spec, graph = traced.spec, traced.graph
        with self._metrics.refusals(spec.architecture):
            plan = plan_restore(traced, self.sources)
            plan.check()
        facts: BuildFacts = {
            "input_shape": list(spec.input_shape),
            "output_shape": list(graph.output.shape),
            "end_points": {name: list(tensor.shape) for name, tensor in graph.end_points.items()},
            "totals": traced.summary().totals,
            "restore": plan.summary() if plan.sources else None,
            "warnings": clip_warnings([*traced.warnings, *plan.warnings]),
        }
        uses = spec.saved_scopes
        return Build(spec.digest, spec.architecture, spec.normalized(), facts, uses)

    async def keep_probe(self, build_id: str, document: ProbeDocument) -> None:
        """Keep what a probe of a build found, in place of what an earlier one did.

        Its curves are not kept. If the build has been removed meanwhile, nothing is.
        """
        await self._store.write(self._store.keep_probe, build_id, {**document, "modes": []})

    async def page(
        self, *, architecture: str | None, before: int | None, limit: int
    ) -> list[Build]:
        """Return builds, newest first; `before` is the sequence number that the page follows."""
        return await asyncio.to_thread(
            self._store.list, architecture=architecture, before=before, limit=limit
        )

    def get(self, build_id: str) -> Build:
        """Return a build.

        Raises: ServiceError (unknown-build) if no build has this id.
        """
        # No other text is looked up, which may have characters that a database takes none of.
        build = self._store.get(build_id) if is_build_id(build_id) else None
        if build is None:
            shown = build_id if len(build_id) <= 64 else build_id[:64] + "..."
            raise ServiceError(
                "unknown-build", f"There is no build {shown!r}. GET /v1/builds lists them."
            )
        return build

    async def find(self, build_id: str) -> Build:
        """Return a build, read in a thread; see `get`."""
        return await asyncio.to_thread(self.get, build_id)

    async def report(
        self,
        build_id: str,
        timings: Timings,
        make: Callable[Concatenate[Trace, Arguments], Made],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Made:
        """Return what a function makes of the trace of a build.

        Tracing takes milliseconds, so traces are not cached. Nor does one wait, for a turn of its
        own, to be made something of: it would be in memory beside those of all other requests.
        """
        build = await self.find(build_id)

        def trace_and_make() -> Made:
            with timings.measure("trace"):
                traced = self.trace_stored(build.spec)
            return make(traced, *args, **kwargs)

        return await self.reading.run(trace_and_make)

    async def find_trace(self, build_id: str, timings: Timings) -> Trace:
        """Return the trace of a build, for what measures with it; otherwise see `report`."""
        return await self.report(build_id, timings, lambda traced: traced)

    # Removal ----------------------------------------------------------------------------------

    async def remove(self, build_id: str) -> None:
        """Delete a build.

        Raises: ServiceError (in-use) if another build takes weights from it, or a name refers to
        it.
        """
        await self._store.write(self._remove, build_id, self._store.remove)

    async def remove_checkpoint(self, checkpoint_id: str) -> None:
        """Delete uploaded weights.

        Raises: ServiceError (in-use) if a build takes weights from them.
        """
        await self._store.write(self._remove, checkpoint_id, self._checkpoints.remove)

    def _remove(self, source_id: str, remove: Callable[[str], object]) -> None:
        with self._store.alone():
            self._check_unused(source_id)
            with disk_errors():
                remove(source_id)

    def _check_unused(self, source_id: str) -> None:
        """Raises: ServiceError (in-use) if a build or a name uses this build or checkpoint."""
        builds = self._store.using(source_id, limit=6)
        if builds:
            raise ServiceError(
                "in-use",
                f"Builds take weights from it: {_first_five(builds)}. Remove them first.",
                builds=builds,
            )
        models = [f"{each.name} version {each.version}" for each in self._models.using(source_id)]
        if models:
            raise ServiceError(
                "in-use",
                f"Names refer to it: {_first_five(models)}. DELETE /v1/models/{{name}} first.",
                models=models[:6],
            )


def _first_five(users: list[str]) -> str:
    return ", ".join(users[:5]) + (", ..." if len(users) > 5 else "")
