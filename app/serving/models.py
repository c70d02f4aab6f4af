"""Finds models by the names that clients have for them.

A name has versions, each of them a build; a version may have labels. A build's id is the name of a
model too, whose one version is 1.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from app.compute.engine import ModelRef, ModelState, Precision, RuntimeName
from app.problems import ServiceError
from app.serving.servable import Servable, find_servable
from app.serving.served import Options, Served, served
from app.settings import Settings
from app.store.models import ModelVersion
from app.wording import clip
from model_zoo import ZooError, unknown_name

if TYPE_CHECKING:
    from app.api.services import Services

log = logging.getLogger(__name__)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_COMPARED = 256
_BUILD_ID = re.compile(r"[0-9a-f]{32}")
# Versions are 64-bit integers to TensorFlow Serving's clients.
MAX_VERSION = 2**63 - 1


async def resolve(
    services: "Services",
    name: str,
    *,
    version: int | str | None = None,
    label: str | None = None,
) -> Served:
    """Return a version of a model: the one asked for, else the highest.

    Raises: ServiceError (404) if there is none; ZooError if its build fits the limits no more.
    """
    if is_build_id(name):
        if label is not None or version not in (None, 1, "1"):
            asked = f"no label {clip(label)!r}" if label is not None else _no_version(version)
            raise _unknown(f"A build has version 1 and no labels; {name} has {asked}.")
        return served_version(services, None, await _servable(services, name, name))
    versions = find_versions(services, name)
    found = versions[0]
    if label is not None:
        found = _labelled(name, versions, label)
    elif version is not None:
        found = numbered(name, versions, version)
    return served_version(services, found, await _servable(services, found.build, name))


async def versions_of(services: "Services", name: str) -> list[Served]:
    """Return every version of a model, the highest first.

    Raises: ServiceError (404) if there is none.
    """
    if is_build_id(name):
        return [await resolve(services, name)]
    versions = find_versions(services, name)
    return [
        served_version(services, found, await _servable(services, found.build, name))
        for found in versions
    ]


async def startup_models(services: "Services") -> list[ModelRef]:
    """Return how the pinned models are to be loaded, each once.

    Those are left out whose builds fit the limits no more.
    """
    found = {}
    for version in services.models.all():
        if not version.pinned:
            continue
        try:
            servable = await _servable(services, version.build, version.name)
        except (ServiceError, ZooError) as error:
            log.warning("Model %s version %d: %s", version.name, version.version, error)
        else:
            ref = served_version(services, version, servable).ref
            found[ref.key] = ref
    return list(found.values())


def is_build_id(name: str) -> bool:
    """Whether a name is that of a build."""
    return _BUILD_ID.fullmatch(name) is not None


def version_state(services: "Services", version: ModelVersion) -> ModelState:
    """Return where a version stands, at once."""
    return services.loading.state(version_ref(services, version))


def version_ref(services: "Services", version: ModelVersion) -> ModelRef:
    """Return what a version is found by in memory; to load it, its build must be read as well."""
    engine, precision = _how(services.settings, version)
    return ModelRef(version.build, {}, {}, engine, precision)


def running_alike(services: "Services", version: ModelVersion) -> list[ModelVersion]:
    """Return the versions that a version shares memory with, itself included if it is kept."""
    how = _how(services.settings, version)
    return [
        other
        for other in services.models.using(version.build)
        if _how(services.settings, other) == how
    ]


def _how(settings: Settings, version: ModelVersion) -> tuple[RuntimeName, Precision]:
    return (
        cast(RuntimeName, version.engine or settings.engine),
        cast(Precision, version.precision or settings.precision),
    )


async def _servable(services: "Services", build_id: str, name: str) -> Servable:
    try:
        return await find_servable(services, build_id)
    except ServiceError as error:
        if error.kind != "unknown-build":
            raise
        if build_id == name:
            raise _unknown_name(services, name) from error
        raise _unknown(f"Model {name!r} is build {build_id}, and there is none.") from error


def served_version(
    services: "Services", version: ModelVersion | None, servable: Servable
) -> Served:
    """Return a version, or a build by itself; pinned if any version that runs as it does is."""
    settings = services.settings
    asked = version or ModelVersion(servable.build, 1, servable.build)
    options = Options(
        cast(RuntimeName | None, asked.engine),
        cast(Precision | None, asked.precision),
        asked.pinned,
    )
    pinned = any(other.pinned for other in running_alike(services, asked))
    found = served(
        servable,
        settings,
        name=asked.name,
        version=asked.version,
        labels=asked.labels,
        options=replace(options, pinned=pinned),
    )
    return replace(found, options=options)


def find_versions(services: "Services", name: str) -> Sequence[ModelVersion]:
    """Return the versions of a named model, the highest first.

    Raises: ServiceError (404) if there is none.
    """
    versions = services.models.versions(name)
    if not versions:
        raise _unknown_name(services, name)
    return versions


def numbered(name: str, versions: Sequence[ModelVersion], version: int | str) -> ModelVersion:
    """Return the version of a number.

    Raises: ServiceError (404) if there is none.
    """
    for found in versions:
        if str(found.version) == str(version):
            return found
    valid = [str(found.version) for found in versions]
    rule = f"Model {name!r} has {_no_version(version)}."
    raise _unknown(_with_nearest(rule, str(version)[:64], valid))


def _labelled(name: str, versions: Sequence[ModelVersion], label: str) -> ModelVersion:
    for found in versions:
        if label in found.labels:
            return found
    valid = [each for found in versions for each in found.labels]
    rule = f"Model {name!r} has no label {clip(label)!r}."
    raise _unknown(_with_nearest(rule, label[:64], valid))


def _no_version(version: int | str | None) -> str:
    return f"no version {str(version)[:64]}"


def _unknown_name(services: "Services", name: str) -> ServiceError:
    rule = f"There is no model {clip(name)!r}."
    message = _with_nearest(rule, name[:128], services.models.names())
    return _unknown(f"{message} PUT /v1/models/{{name}} names a build.")


def _with_nearest(rule: str, received: str, valid: Sequence[str]) -> str:
    """Return a sentence with the nearest valid names; of thousands, that would take seconds."""
    return unknown_name("", rule, received, valid[:_MAX_COMPARED]).message


def _unknown(message: str) -> ServiceError:
    return ServiceError("unknown-model", message)
