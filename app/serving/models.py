"""Finds models by the names that clients use.

A name has versions, each of which is a build; a version may have labels. A build id is also the
name of a model, whose only version is 1.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from app.engine import ModelRef, ModelState, Precision, RuntimeName
from app.errors import ServiceError
from app.serving.background_loads import BackgroundLoads
from app.serving.networks import Network, NetworkCache
from app.settings import Settings
from app.store.builds import is_build_id
from app.store.errors import StoreError
from app.store.model_records import ModelRecords
from app.store.models import ModelStore, VersionRecord
from app.telemetry.statistics import Statistics
from app.wording import clip
from model_zoo import ZooError, unknown_name

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_COMPARED = 256
# TensorFlow Serving's clients read a version as a signed 64-bit integer.
MAX_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a model, ready to run. A build is a model too, named by its id."""

    name: str
    version: int
    network: Network
    ref: ModelRef
    # A name a line.
    class_text: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def class_names(self) -> Sequence[str]:
        """The name of every class; empty if they have none."""
        return self.class_text.split("\n") if self.class_text else ()

    @property
    def build(self) -> str:
        """The id of its build."""
        return self.network.build


class Models:
    """The models that clients can name, and their state in memory."""

    def __init__(
        self,
        settings: Settings,
        records: ModelRecords,
        networks: NetworkCache,
        loads: BackgroundLoads,
        statistics: Statistics,
    ) -> None:
        self.records = records
        self._settings = settings
        self._networks = networks
        self._loads = loads
        self._statistics = statistics
        # Of the versions that are to stay in memory, and were loaded so.
        self._pinned: set[str] = set()
        self._removed: list[VersionRecord] = []
        self._settling = asyncio.Lock()

    # Versions ---------------------------------------------------------------------------------

    async def resolve(
        self, name: str, *, version: int | str | None = None, label: str | None = None
    ) -> ModelVersion:
        """Return a version of a model: the requested one, or else the highest.

        Raises: ServiceError (unknown-model) if there is none; ZooError if its build exceeds the
        limits, which may be lower than when it was posted.
        """
        if is_build_id(name):
            if label is not None or version not in (None, 1, "1"):
                missing = f"no label {clip(label)!r}" if label is not None else _no_version(version)
                raise _unknown(f"A build has version 1 and no labels; {name} has {missing}.")
            return self.of_build(await self._network(name, name))
        records = find_records(self.records, name)
        record = records[0]
        if label is not None:
            record = _labelled(name, records, label)
        elif version is not None:
            record = numbered(name, records, version)
        return self.of_record(record, await self._network(record.build, name))

    def find_build_id(self, name: str) -> str:
        """Return the id of a build that its id names, or a model: that of its highest version.

        Raises: ServiceError (unknown-model) if no model has this name; no build need have the id.
        """
        return name if is_build_id(name) else find_records(self.records, name)[0].build

    async def versions_of(self, name: str) -> list[ModelVersion]:
        """Return every version of a model, the highest first.

        Raises: ServiceError (unknown-model) if there is none.
        """
        if is_build_id(name):
            return [await self.resolve(name)]
        return [
            self.of_record(record, await self._network(record.build, name))
            for record in find_records(self.records, name)
        ]

    def of_build(self, network: Network) -> ModelVersion:
        """Return a build as the model that its id names.

        Its classes have the names that the versions which are this build agree on.
        """
        model = self.of_record(VersionRecord(network.build, 1, network.build), network)
        named = {each.class_names: each for each in self.records.using(network.build)}
        named.pop("", None)
        if len(named) > 1:
            names = " and ".join(f"{each.name} version {each.version}" for each in named.values())
            warning = (
                f"Models that are this build name its classes differently: {names}. Ask one of "
                "them, by its name, for its names."
            )
            return replace(model, warnings=(warning,))
        return replace(model, class_text=next(iter(named), ""))

    def of_record(self, record: VersionRecord, network: Network) -> ModelVersion:
        """Return a version; it is pinned if any version that runs alike is pinned."""
        options = self._run_options(record)
        pinned = any(other.pinned for other in self.running_alike(record))
        ref = network.ref(*options, pinned=pinned)
        return ModelVersion(record.name, record.version, network, ref, record.class_names)

    def running_alike(self, record: VersionRecord) -> list[VersionRecord]:
        """Return the stored versions that share memory with this one, itself included."""
        options = self._run_options(record)
        others = self.records.using(record.build)
        return [other for other in others if self._run_options(other) == options]

    def _run_options(self, record: VersionRecord) -> tuple[RuntimeName, Precision, str]:
        """Return the engine, the precision, and the digest of the calibration of int8."""
        if record.calibration is not None:  # which ONNX Runtime alone computes
            return "onnxruntime", "int8", record.calibration.digest
        return (
            cast(RuntimeName, record.engine or self._settings.engine),
            cast(Precision, record.precision or self._settings.precision),
            "",
        )

    async def _network(self, build_id: str, name: str) -> Network:
        try:
            return await self._networks.find(build_id)
        except ServiceError as error:
            if error.kind != "unknown-build":
                raise
            if build_id == name:
                raise _unknown_name(self.records, name) from error
            raise _unknown(f"Model {name!r} is build {build_id}, which does not exist.") from error

    async def find_build(self, build_id: str) -> ModelVersion:
        """Return a build as the model that it is.

        Raises: ServiceError (unknown-build) if it does not exist; ZooError, as `resolve` does.
        """
        return self.of_build(await self._networks.find(build_id))

    def cached_build(self, build_id: str) -> ModelVersion | None:
        """Return a build as the model that it is, if it was used before."""
        network = self._networks.cached(build_id)
        return self.of_build(network) if network else None

    # Memory -----------------------------------------------------------------------------------

    def state(self, ref: ModelRef) -> ModelState:
        """Return the state of a version, without waiting."""
        return self._loads.state(ref)

    def load(self, record: VersionRecord, network: Network) -> None:
        """Start to load a version."""
        ref = self.of_record(record, network).ref
        if ref.pinned:
            self._pinned.add(ref.key)
        self._loads.load(ref)

    def ref(self, record: VersionRecord) -> ModelRef:
        """Return a reference to a version in memory; without the spec, it cannot load one."""
        engine, precision, calibration = self._run_options(record)
        return ModelRef(record.build, {}, {}, engine, precision, calibration=calibration)

    def removed(self, records: Iterable[VersionRecord]) -> None:
        """Take note of versions that were removed; `settle` frees their memory."""
        for record in records:
            self._statistics.forget(record.name, str(record.version))
            self._removed.append(record)

    async def settle(self) -> None:
        """Free the memory of removed versions, and start to load pinned ones, each once.

        A model whose build is missing or exceeds the limits is skipped, with a warning in the log.
        """
        async with self._settling:
            while self._removed:
                await self._release(self._removed.pop(0))
            for record in self.records.all():
                ref = self.ref(record)
                if not record.pinned or ref.key in self._pinned:
                    continue
                self._pinned.add(ref.key)
                try:
                    self.load(record, await self._network(record.build, record.name))
                except StoreError:
                    self._pinned.discard(ref.key)
                    raise
                except (ServiceError, ZooError) as error:
                    log.warning("Model %s version %d: %s", record.name, record.version, error)

    async def _release(self, record: VersionRecord) -> None:
        """Free the memory of a removed version, unless another version runs alike."""
        others = self.running_alike(record)
        if record.pinned and not any(other.pinned for other in others):
            self._pinned.discard(self.ref(record).key)
        if not others:
            self._loads.unload(self.ref(record))
        elif record.pinned and not any(other.pinned for other in others):
            with contextlib.suppress(ServiceError):  # removed since
                self.load(others[0], await self._networks.find(record.build))  # which unpins it

    def build_removed(self, build_id: str) -> None:
        """Free the memory of a removed build."""
        self._statistics.forget(build_id)
        model = self.cached_build(build_id)
        if model is not None:  # else the build was never run
            self._loads.unload(model.ref)


def find_records(store: ModelRecords | ModelStore, name: str) -> Sequence[VersionRecord]:
    """Return the versions of a named model, the highest first.

    Raises: ServiceError (unknown-model) if there is none.
    """
    # No other text is looked up, which may have characters that a database takes none of.
    records = store.versions(name) if NAME.fullmatch(name) else ()
    if not records:
        raise _unknown_name(store, name)
    return records


def numbered(name: str, records: Sequence[VersionRecord], version: int | str) -> VersionRecord:
    """Return the version with a number.

    Raises: ServiceError (unknown-model) if there is none.
    """
    for record in records:
        if str(record.version) == str(version):
            return record
    rule = f"Model {name!r} has {_no_version(version)}."
    valid = [str(record.version) for record in records]
    raise _unknown(_with_nearest(rule, str(version)[:64], valid))


def _labelled(name: str, records: Sequence[VersionRecord], label: str) -> VersionRecord:
    for record in records:
        if label in record.labels:
            return record
    rule = f"Model {name!r} has no label {clip(label)!r}."
    valid = [each for record in records for each in record.labels]
    raise _unknown(_with_nearest(rule, label[:64], valid))


def _no_version(version: int | str | None) -> str:
    return f"no version {str(version)[:64]}"


def _unknown_name(store: ModelRecords | ModelStore, name: str) -> ServiceError:
    rule = f"There is no model {clip(name)!r}."
    message = _with_nearest(rule, name[:128], store.names())
    return _unknown(f"{message} PUT /v1/models/{{name}} names a build.")


def _with_nearest(rule: str, received: str, valid: Sequence[str]) -> str:
    """Return the rule and the nearest valid names; comparing thousands would take seconds."""
    return unknown_name("", rule, received, valid[:_MAX_COMPARED]).message


def _unknown(message: str) -> ServiceError:
    return ServiceError("unknown-model", message)
