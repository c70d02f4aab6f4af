"""Gives builds names: what a client may ask for, and what becomes of it.

A version never changes: it is one build, run in one way. Only its labels move.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, get_args

from app.compute.engine import Precision, RuntimeName
from app.problems import ServiceError, unknown_build
from app.serving.models import MAX_VERSION, NAME, find_versions, is_build_id, numbered
from app.settings import variable
from app.store.models import ModelVersion
from model_zoo import Problem, ZooError, unknown_name

if TYPE_CHECKING:
    from app.api.services import Services

_LABEL = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_LABELS = 16
# `/v2/models/stats` is the statistics of all models.
_TAKEN_NAMES = ("stats",)

_RULES = {
    "build": "build must be the id of a build, 32 hexadecimal digits.",
    "version": f"version must be an integer from 1 to {MAX_VERSION}.",
    "labels": f"labels must be a list of at most {_MAX_LABELS} strings.",
    "engine": f"engine must be one of {', '.join(get_args(RuntimeName))}.",
    "precision": f"precision must be one of {', '.join(get_args(Precision))}.",
    "pinned": "pinned must be true or false.",
}


@dataclass(frozen=True, slots=True)
class Naming:
    """What a client asks a name to be; None where it leaves that to the service."""

    build: str
    version: int | None = None
    labels: tuple[str, ...] | None = None
    engine: str | None = None
    precision: str | None = None
    pinned: bool = False


def check_name(name: str) -> None:
    """Raises: ZooError if a build cannot be given this name."""
    if not NAME.fullmatch(name):
        rule = (
            "A model's name has 1 to 128 letters, digits, dots, underscores and hyphens, and "
            "begins with a letter or digit."
        )
    elif name in _TAKEN_NAMES:
        rule = f"The name {name!r} is taken: /v2/models/{name} is something else."
    elif is_build_id(name):
        rule = "A name of 32 hexadecimal digits is a build's id; every build has that name already."
    else:
        return
    raise ZooError(Problem(rule, received=name))


def read_naming(document: object) -> Naming:
    """Return what a document asks for.

    Raises: ZooError, with every mistake in it.
    """
    if not isinstance(document, dict):
        raise ZooError(Problem('The body must be an object: {"build": "<id>"}.', "", document))
    # null leaves it to the service, as in the answers.
    given = {key: value for key, value in document.items() if value is not None or key == "build"}
    problems = [
        unknown_name(f"/{key}", f"There is no key {key!r} here.", key, _RULES)
        for key in document
        if key not in _RULES
    ]
    if "build" not in given:
        problems.append(Problem("build must be given: the id of the build to name.", "/build"))
    problems += [
        Problem(rule, f"/{key}", given[key])
        for key, rule in _RULES.items()
        if key in given and not _fits(key, given[key])
    ]
    problems += _label_problems(given.get("labels"))
    if problems:
        raise ZooError(*problems)
    labels = given.get("labels")
    return Naming(
        given["build"],
        given.get("version"),
        None if labels is None else tuple(dict.fromkeys(labels)),
        given.get("engine"),
        given.get("precision"),
        given.get("pinned", False),
    )


def _fits(key: str, value: Any) -> bool:
    match key:
        case "build":
            return isinstance(value, str) and is_build_id(value)
        case "version":
            return type(value) is int and 1 <= value <= MAX_VERSION
        case "labels":
            return (
                isinstance(value, list)
                and len(value) <= _MAX_LABELS
                and all(isinstance(label, str) for label in value)
            )
        case "engine":
            return value in get_args(RuntimeName)
        case "precision":
            return value in get_args(Precision)
        case _:
            return isinstance(value, bool)


def _label_problems(labels: object) -> list[Problem]:
    # A label of digits alone would read as a version.
    rule = "a label has 1 to 64 letters, digits, dots, underscores and hyphens, not digits alone."
    return [
        Problem(rule, f"/labels/{index}", label)
        for index, label in enumerate(labels if isinstance(labels, list) else ())
        if isinstance(label, str) and (not _LABEL.fullmatch(label) or label.isdecimal())
    ]


def place(services: "Services", name: str, naming: Naming) -> tuple[ModelVersion, bool]:
    """Give a build a name; return the version that it is now, and whether that is new.

    Blocks. Raises: ServiceError where the build is gone, the version is another or nothing fits in.
    """
    models, limit = services.models, services.settings.max_named_models
    with services.removals:
        if services.builds.get(naming.build) is None:
            raise unknown_build(naming.build)
        versions = models.versions(name)
        wanted = _wanted(name, versions, naming)
        found = next((each for each in versions if each.version == wanted.version), None)
        if found is None:
            if len(models.all()) >= limit:
                raise ServiceError(
                    "store-full",
                    f"{limit} versions of models are named already "
                    f"({variable('max_named_models')}). DELETE /v1/models/{{name}} makes room.",
                )
            return models.add(wanted), True
        if not found.runs_as(wanted):
            raise ServiceError(
                "conflict",
                f"Version {found.version} of model {name!r} is {_told(found)}, and stays so. "
                "Without a version, the next one is made.",
                received=_told(wanted),
            )
        if naming.labels is not None and naming.labels != found.labels:
            return models.label(found, naming.labels), False
        return found, False


def _wanted(name: str, versions: Sequence[ModelVersion], naming: Naming) -> ModelVersion:
    """Return the version asked for; where none is, the latest if it is the same, else the next."""
    highest = versions[0].version if versions else 0
    wanted = ModelVersion(
        name,
        naming.version or highest,
        naming.build,
        naming.labels or (),
        naming.engine,
        naming.precision,
        naming.pinned,
    )
    if naming.version is not None or (versions and wanted.runs_as(versions[0])):
        return wanted
    if highest == MAX_VERSION:
        raise ZooError(
            Problem(
                f"The latest version of model {name!r} is {MAX_VERSION}, and none is higher. "
                "Give the version.",
                "/version",
            )
        )
    return replace(wanted, version=highest + 1)


def _told(version: ModelVersion) -> str:
    options: Mapping[str, object] = {
        "engine": version.engine,
        "precision": version.precision,
        "pinned": version.pinned or None,
    }
    given = "".join(f", {key} {value}" for key, value in options.items() if value is not None)
    return f"build {version.build}{given}"


def forget(services: "Services", name: str, version: int | None) -> list[ModelVersion]:
    """Forget a version of a model, or all of them; return those.

    Blocks. Raises: ServiceError (404) if there is none.
    """
    if is_build_id(name):
        rule = f"{name} is no name but a build's id. DELETE /v1/builds/{name} forgets the build."
        raise ServiceError("unknown-model", rule)
    with services.removals:
        versions = find_versions(services, name)
        if version is not None:
            versions = [numbered(name, versions, version)]
        services.models.remove(versions)
    return list(versions)
