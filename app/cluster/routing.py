"""Decides which worker does what: one that holds the model, then the least busy."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from app.cluster.member import Member
from app.cluster.members import Members
from app.cluster.messages import WorkerLostError
from app.compute.model_loads import Changes
from app.engine import ModelRef, WorkerDiedError, WorkerTask, WorkerUnavailableError
from app.settings import Settings
from app.store.sources import checkpoint_ids
from app.tasks import MeasureProfile, MeasureSignal, SaveWeights


def choose(members: Iterable[Member], key: str, besides: Collection[Member] = ()) -> Member | None:
    """Return the worker to ask for a model, by its key; None if there is none but `besides`.

    A worker that has it ready comes first, then one that loads it, then one that is ready at all.
    """
    candidates = [member for member in members if member.is_up and member not in besides]
    return min(candidates, key=lambda member: (_distance(member, key), *busy(member)), default=None)


def busy(member: Member) -> tuple[int, int]:
    """Return how busy a worker is: our calls, then all of its work as it told last."""
    status = member.report.status
    return len(member.calls), status.in_flight + status.queued


def relief(members: Iterable[Member], member: Member, key: str, busy_from: int) -> Member | None:
    """Return a worker that should load a model too, because the one that has it is busy.

    It is one that has at most half as many calls, so that models do not spread for a moment's sake.
    """
    if len(member.calls) < busy_from:
        return None
    others = [
        other
        for other in members
        if other.is_up
        and not other.has(key)
        and not other.has_failed(key)
        and 2 * len(other.calls) <= len(member.calls)
    ]
    return min(others, key=busy, default=None)


def _distance(member: Member, key: str) -> int:
    state = member.states.get(key)
    if state is not None and state.state == "ready":
        return 0
    if member.has(key):
        return 1
    return 2 if member.report.status.ready else 3


def _needed_files(work: ModelRef | WorkerTask[Any]) -> str | None:
    """Return which files of ZOO_HOME a model or a task needs, in words; None if it needs none."""
    match work:
        case ModelRef():
            if work.calibration:
                return "the rows that calibrate it"
            specs: Sequence[Mapping[str, Any]] = (work.spec, *work.source_specs.values())
        case SaveWeights():
            return "the folder of weight files"
        case MeasureProfile() | MeasureSignal():
            specs = (work.specs.spec, *work.specs.sources.values())
        case _:
            return None
    return "a checkpoint" if any(spec and checkpoint_ids(spec) for spec in specs) else None


class Routing:
    """Waits for the worker that is to do something."""

    def __init__(self, members: Members, changes: Changes, settings: Settings) -> None:
        self._members = members
        self._changes = changes
        self._home = settings.home
        self._has_bucket = settings.files_url is not None
        self._is_closed = False

    def close(self) -> None:
        """Let nobody wait for a worker any more."""
        self._is_closed = True
        self._changes.announce()

    def needs_files(self, work: ModelRef | WorkerTask[Any]) -> str | None:
        """Return which files of ZOO_HOME work needs; None if any, or none, will do.

        From a bucket each worker fetches what it needs, and stores there what it has written.
        """
        return None if self._has_bucket else _needed_files(work)

    def able(self, files: str | None) -> list[Member]:
        """Return the workers that are up and have the files that work needs."""
        return [each for each in self._members.up if files is None or each.shares_home]

    def unreached(self) -> list[Member]:
        """Return the workers that are not up."""
        return [member for member in self._members.all if not member.is_up]

    async def member(self, key: str, files: str | None, besides: Collection[Member] = ()) -> Member:
        """Return the worker to ask about a model, as soon as one is up; not one of `besides`.

        Raises: WorkerUnavailableError if none can do it.
        """
        while True:
            member = choose(self.able(files), key, besides)
            if member is not None:
                return member
            self.refuse_hopeless()
            self._refuse_without(files)
            await self._changes.next()

    def refuse_hopeless(self) -> None:
        """Raises: WorkerUnavailableError if to wait for a worker would be in vain."""
        if self._is_closed:
            raise WorkerUnavailableError("The service is stopping.")
        if self._members.is_hopeless:
            raise WorkerUnavailableError(str(self._members.failure))

    def _refuse_without(self, files: str | None) -> None:
        """Raises: WorkerUnavailableError if all workers are up, and none has the files."""
        members = self._members.all
        if files is not None and members and all(member.is_up for member in members):
            raise WorkerUnavailableError(
                f"This needs {files}, which lies in {self._home.absolute()} (ZOO_HOME), and no "
                "worker of the cluster sees that folder. Start a node of Ray on the machine of the "
                "API, mount the folder at the same path on other nodes, or keep the files in a "
                "bucket (ZOO_FILES_URL)."
            )

    def too_late(self, limit: str) -> WorkerUnavailableError:
        """Return the error of a request for which no worker came up in time."""
        reason = self.reason()
        return WorkerUnavailableError(
            f"No worker of the cluster came up within {limit}" + (f": {reason}." if reason else ".")
        )

    def reason(self) -> str | None:
        """Return why not all workers take calls; None if they do."""
        members = self._members
        if not members.nodes:
            return "the cluster has no node that may have a worker"
        missing = [member for member in members.all if not member.is_up]
        if missing:
            reasons = (f"{each.name} {each.reason or 'starts'}" for each in missing)
            return f"{len(members.up)} of {len(members.all)} workers are up: {'; '.join(reasons)}"
        failing = (member.report.status.reason for member in members.up)
        return next(filter(None, failing), None if members.up else members.failure)


def died(member: Member, error: WorkerLostError) -> WorkerDiedError:
    """Return the error of a call whose worker is lost."""
    return WorkerDiedError(
        f"The worker on {member.name} {error} while it did this request. The request may be sent "
        "again."
    )
