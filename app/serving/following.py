"""Lets what a process has in memory follow the database, to which other replicas write too.

Each request by a name or the id of a build sees what was committed before it came. A number in the
database says whether anything has changed since it was read last; see `app.store.revision`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.engine import EngineError
from app.serving.models import Models
from app.serving.networks import NetworkCache
from app.store.builds import BuildMark, BuildStore, is_build_id
from app.store.errors import StoreError
from app.store.models import ModelStore, VersionRecord
from app.store.revision import read_revision
from app.telemetry.statistics import Statistics

log = logging.getLogger(__name__)

# Pinned models are loaded, and removed ones leave, without a request.
_LOOKED_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class _News:
    """What was read after a change."""

    revision: int
    records: Sequence[VersionRecord]
    builds: Mapping[str, BuildMark]


class Following:
    """Looks whether anything has changed; belongs to the event loop."""

    def __init__(
        self,
        builds: BuildStore,
        versions: ModelStore,
        networks: NetworkCache,
        models: Models,
        statistics: Statistics,
    ) -> None:
        self._builds = builds
        self._versions = versions
        self._networks = networks
        self._models = models
        self._statistics = statistics
        self._database = versions.database
        self._revision = -1
        self._own_changes = -1  # of this process, among what was read
        self._look: asyncio.Task[None] | None = None
        self._next_look: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read all that there is, and start to load what is pinned; look again from now on.

        Raises: StoreError.
        """
        await self.follow()
        await self._models.settle()
        if self._database.is_shared:
            self._watch = asyncio.create_task(self._watch_database())

    async def close(self) -> None:
        """Look no more."""
        tasks = [each for each in (self._watch, self._look, self._next_look) if each is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def follow(self) -> None:
        """Have in memory what was committed before this was called.

        It costs nothing where nobody else writes. Where others do, it is one small query, which
        requests that come at once share.
        Raises: StoreError.
        """
        if not self._database.is_shared and self._database.changes == self._own_changes:
            return
        if self._next_look is None:
            self._next_look = asyncio.create_task(self._look_after(self._look))
            self._next_look.add_done_callback(_retrieve)
        await asyncio.shield(self._next_look)

    async def settle(self) -> None:
        """Follow, and free or load what that entails; for who has just changed something."""
        await self.follow()
        await self._models.settle()

    async def _look_after(self, before: asyncio.Task[None] | None) -> None:
        """Look once, after the look that has begun: that may not see what was written since."""
        if before is not None:
            await asyncio.wait({before})
        self._look, self._next_look = self._next_look, None
        own_changes = self._database.changes
        used = {each.name for each in self._statistics if is_build_id(each.name)}
        builds = used.union(self._networks.builds)
        news = await asyncio.to_thread(self._read, builds)
        if news is not None:
            self._take(news, builds)
        self._own_changes = own_changes

    def _read(self, builds: set[str]) -> _News | None:
        with self._database.reading() as connection:
            revision = read_revision(connection)
            if revision == self._revision:
                return None
            return _News(revision, self._versions.all(), self._builds.marks(builds))

    def _take(self, news: _News, builds: set[str]) -> None:
        before = self._models.records.all()
        self._models.records.replace(news.records)
        now = {record.sequence for record in news.records}
        self._models.removed(record for record in before if record.sequence not in now)
        for build_id in builds.difference(news.builds):
            self._models.build_removed(build_id)
        self._networks.keep(news.builds)
        self._revision = news.revision

    async def _watch_database(self) -> None:
        while True:
            await asyncio.sleep(_LOOKED_EVERY_S)
            try:
                await self.settle()
            except StoreError:
                pass  # of which the database has said what is wrong
            except EngineError as error:  # as while too many networks are traced
                log.warning("Pinned models: %s", error)
            except Exception:
                log.exception("What other replicas have changed cannot be followed now.")


def _retrieve(look: asyncio.Task[None]) -> None:
    """Take note of an error that nobody waits for any more."""
    with contextlib.suppress(asyncio.CancelledError):
        look.exception()
