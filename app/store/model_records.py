"""The named models as a process has them in memory, where every inference looks up a name."""

from collections.abc import Iterable, Sequence

from app.store.models import VersionRecord


class ModelRecords:
    """The versions of all names, as they were when they were read last."""

    def __init__(self, records: Iterable[VersionRecord] = ()) -> None:
        self.replace(records)

    def replace(self, records: Iterable[VersionRecord]) -> None:
        """Have these from now on: by name, the highest version first."""
        by_name: dict[str, tuple[VersionRecord, ...]] = {}
        by_build: dict[str, list[VersionRecord]] = {}
        for record in records:
            by_name[record.name] = (*by_name.get(record.name, ()), record)
            by_build.setdefault(record.build, []).append(record)
        self._by_name, self._by_build = by_name, by_build

    def versions(self, name: str) -> Sequence[VersionRecord]:
        """Return the versions of a name, highest first; empty if there is no such name."""
        return self._by_name.get(name, ())

    def names(self) -> Sequence[str]:
        """Return every name, in alphabetical order."""
        return tuple(self._by_name)

    def by_name(self) -> list[VersionRecord]:
        """Return every version of every name: by name, the highest version first."""
        return [version for versions in self._by_name.values() for version in versions]

    def all(self) -> list[VersionRecord]:
        """Return every version of every name, newest first."""
        return sorted(self.by_name(), key=lambda version: version.sequence, reverse=True)

    def using(self, build_id: str) -> list[VersionRecord]:
        """Return the versions that are a build, ordered by name."""
        return self._by_build.get(build_id, [])
