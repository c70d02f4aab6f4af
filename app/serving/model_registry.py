"""Gives names to builds: validates the request, and stores the version.

A version never changes: it is one build, run in one way. Only its labels move, and the names of its
classes can be replaced.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from app.builds import Builds
from app.engine import Precision, RuntimeName
from app.errors import ServiceError
from app.serving.class_names import check_count, read_class_names
from app.serving.models import MAX_VERSION, NAME, find_records, numbered
from app.settings import Settings, variable
from app.store.builds import is_build_id
from app.store.calibrations import Calibration
from app.store.models import ModelStore, VersionRecord
from app.wording import counted
from model_zoo import BUILD_ID, Problem, ZooError, describe_each, json_pointer, unknown_name

# `/v2/models/stats` answers with the statistics of all models.
_RESERVED_NAMES = ("stats",)
_MAX_LABELS = 16
_LABEL = r"^[A-Za-z0-9._-]{1,64}$"


def _not_only_digits(label: str) -> str:
    if label.isdecimal():  # it would read as a version
        raise ValueError("digits alone")
    return label


class ModelRequest(BaseModel):
    """The body of `PUT /v1/models/{name}`; the service decides what is null."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    build: Annotated[str, Field(pattern=BUILD_ID)]
    version: Annotated[
        int | None,
        Field(
            ge=1,
            le=MAX_VERSION,
            description="By default the latest if it is the same, else the next.",
        ),
    ] = None
    labels: Annotated[
        list[Annotated[str, Field(pattern=_LABEL), AfterValidator(_not_only_digits)]] | None,
        Field(max_length=_MAX_LABELS, description="All the labels that the version will have."),
    ] = None
    class_names: Annotated[
        Annotated[list[str], Field(fail_fast=True)] | str | None,
        Field(
            description="The name of every class: a list, or the text of a labels file. None: `[]`."
        ),
    ] = None
    engine: RuntimeName | None = None
    precision: Annotated[
        Precision | None, Field(description="The fields `calibration` of a form are for int8.")
    ] = None
    pinned: Annotated[
        bool | None, Field(description="Keep the model in memory, and load it at start-up.")
    ] = None


_RULES = {
    "build": "build must be the id of a build, 32 hexadecimal digits.",
    "version": f"version must be an integer from 1 to {MAX_VERSION}.",
    "labels": f"labels must be a list of at most {_MAX_LABELS} strings.",
    "class_names": "class_names must be a list of strings, or the text of a labels file.",
    "engine": f"engine must be one of {', '.join(get_args(RuntimeName))}.",
    "precision": f"precision must be one of {', '.join(get_args(Precision))}.",
    "pinned": "pinned must be true or false.",
}
_LABEL_RULE = (
    "a label has 1 to 64 letters, digits, dots, underscores and hyphens, and not only digits."
)


def read_model_request(document: object) -> ModelRequest:
    """Return the request in a document.

    Raises: ZooError, with every mistake.
    """
    if not isinstance(document, dict):
        raise ZooError(Problem('The body must be an object: {"build": "<id>"}.', "", document))
    # Without pydantic, whose errors take 600 bytes each. It sees the other keys.
    unknown = describe_each((key for key in document if key not in _RULES), _unknown_key)
    known = {key: value for key, value in document.items() if key in _RULES}
    mistakes: dict[str, ErrorDetails] = {}
    try:
        model_request = ModelRequest.model_validate(known)
    except ValidationError as error:
        for each in error.errors():  # several labels that are not strings break the same rule
            mistakes.setdefault(_pointer(each), each)
    # The rules of whole fields come before those of labels.
    ordered = sorted(mistakes.values(), key=lambda each: _pointer(each).count("/"))
    problems = [*unknown, *(_problem(each, document) for each in ordered)]
    if problems:
        raise ZooError(*problems)
    return model_request


def _pointer(error: ErrorDetails) -> str:
    is_of_item = error["type"] in ("string_pattern_mismatch", "value_error")
    return json_pointer(*(error["loc"] if is_of_item else error["loc"][:1]))


def _unknown_key(key: str) -> Problem:
    return unknown_name(json_pointer(key), f"There is no key {key!r} here.", key, _RULES)


def _problem(error: ErrorDetails, document: Mapping[str, object]) -> Problem:
    key, *index = error["loc"]
    pointer = _pointer(error)
    match error["type"]:
        case "missing":
            return Problem("build is required: the id of the build to name.", pointer)
        case "string_pattern_mismatch" | "value_error" if index:
            return Problem(_LABEL_RULE, pointer, error["input"])
        case _:
            return Problem(_RULES[str(key)], pointer, document[str(key)])


class ModelRegistry:
    """Stores and removes the names of builds."""

    def __init__(self, settings: Settings, store: ModelStore, builds: Builds) -> None:
        self._limit = settings.max_named_models
        self._store = store
        self._builds = builds

    async def put(
        self,
        name: str,
        request: ModelRequest,
        classes: int | None,
        calibration: Calibration | None = None,
    ) -> tuple[VersionRecord, bool]:
        """Name a build of so many classes; return its version, and whether that is new.

        One in precision int8 has a calibration.

        Raises: ZooError if the names of the classes are not one for each; ServiceError if the build
        does not exist, if the version exists and differs, or if the store is full.
        """
        class_names = None
        if request.class_names is not None:
            class_names = await self._builds.posting.run(read_class_names, request.class_names)
            check_count(class_names, classes)
        return await self._store.write(self._put, name, request, class_names, calibration)

    def _put(
        self,
        name: str,
        request: ModelRequest,
        class_names: Sequence[str] | None,
        calibration: Calibration | None,
    ) -> tuple[VersionRecord, bool]:
        with self._store.alone():
            self._builds.get(request.build)
            versions = self._store.versions(name)
            requested = _requested(
                name, versions, request, "\n".join(class_names or ()), calibration
            )
            existing = next((v for v in versions if v.version == requested.version), None)
            if existing is None:
                self._check_room()
                return self._store.add(requested), True
            if not existing.runs_as(requested):
                raise ServiceError(
                    "conflict",
                    f"Version {existing.version} of model {name!r} is {_spell(existing)}, and "
                    "cannot change. Leave out the version to create the next one.",
                    received=_spell(requested),
                )
            if request.labels is not None and requested.labels != existing.labels:
                existing = self._store.label(existing, requested.labels)
            if class_names is not None and requested.class_names != existing.class_names:
                existing = self._store.name_classes(existing, requested.class_names)
            return existing, False

    def _check_room(self) -> None:
        if self._store.count() >= self._limit:
            raise ServiceError(
                "store-full",
                f"The store already has {counted(self._limit, 'version')} of models "
                f"({variable('max_named_models')}). DELETE /v1/models/{{name}} makes room.",
            )

    async def forget(self, name: str, version: int | None) -> list[VersionRecord]:
        """Remove a version of a model, or all of them; return what was removed.

        Raises: ServiceError (unknown-model) if there is none.
        """
        if is_build_id(name):
            rule = f"{name} is a build id, not a name. DELETE /v1/builds/{name} removes the build."
            raise ServiceError("unknown-model", rule)
        return await self._store.write(self._forget, name, version)

    def _forget(self, name: str, version: int | None) -> list[VersionRecord]:
        with self._store.alone():
            versions = find_records(self._store, name)
            if version is not None:
                versions = [numbered(name, versions, version)]
            self._store.remove(versions)
        return list(versions)


def check_name(name: str) -> None:
    """Raises: ZooError if a model cannot have this name."""
    if not NAME.fullmatch(name):
        rule = (
            "A model's name has 1 to 128 letters, digits, dots, underscores and hyphens, and "
            "begins with a letter or digit."
        )
    elif name in _RESERVED_NAMES:
        rule = f"The name {name!r} is reserved: /v2/models/{name} is a route of its own."
    elif is_build_id(name):
        rule = "A name of 32 hexadecimal digits is a build id; every build already has that name."
    else:
        return
    raise ZooError(Problem(rule, received=name))


def _requested(
    name: str,
    versions: Sequence[VersionRecord],
    request: ModelRequest,
    class_names: str,
    calibration: Calibration | None,
) -> VersionRecord:
    """Return the version to store; by default the latest if it is the same, else the next."""
    highest = versions[0].version if versions else 0
    requested = VersionRecord(
        name,
        request.version or highest,
        request.build,
        tuple(dict.fromkeys(request.labels or ())),
        request.engine,
        request.precision,
        bool(request.pinned),
        class_names=class_names,
        calibration=calibration,
    )
    if request.version is not None or (versions and requested.runs_as(versions[0])):
        return requested
    if highest == MAX_VERSION:
        raise ZooError(
            Problem(
                f"The latest version of model {name!r} is {MAX_VERSION}, the highest possible. "
                "Specify a version.",
                "/version",
            )
        )
    return replace(requested, version=highest + 1)


def _spell(version: VersionRecord) -> str:
    options = {
        "engine": version.engine,
        "precision": version.precision,
        "pinned": version.pinned or None,
        "calibration": version.calibration and version.calibration.digest,
    }
    given = "".join(f", {key} {value}" for key, value in options.items() if value is not None)
    return f"build {version.build}{given}"
