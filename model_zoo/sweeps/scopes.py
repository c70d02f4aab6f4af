"""The saved scopes that a sweep names: looked up once, so that its rows mean the same later."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from model_zoo.errors import Problem, SpecError, ZooError, json_pointer, unknown_name
from model_zoo.saved_scopes import SavedScope, ScopeLibrary, look_up

_KEYS = ("include", "saved")


class PinnedScopes:
    """Versions of saved scopes by their whole references, `name@sha256:...`."""

    def __init__(self, scopes: Mapping[str, SavedScope]) -> None:
        self._scopes = dict(scopes)

    @classmethod
    def stored(cls, documents: Mapping[str, Any]) -> "PinnedScopes":
        """Return the scopes of `to_dict`."""
        return cls(
            {
                reference: SavedScope(
                    document["name"],
                    tuple(document["levels"]),
                    document["replaces"],
                    tuple(document["uses"]),
                    tuple(document["warnings"]),
                )
                for reference, document in documents.items()
            }
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the scopes, JSON-ready."""
        return {reference: asdict(scope) for reference, scope in self._scopes.items()}

    def scope(self, name: str, digest: str | None) -> SavedScope:
        """Return a scope by its whole reference.

        Raises: ZooError if the sweep does not name it.
        """
        reference = f"{name}@{digest}"
        if reference not in self._scopes:
            rule = f"There was no saved scope {name!r} when the sweep was made."
            raise ZooError(
                unknown_name("", rule, name, [each.split("@")[0] for each in self._scopes])
            )
        return self._scopes[reference]


class ScopePinner:
    """Replaces the names of saved scopes in a sweep by whole references, which it keeps."""

    def __init__(self, library: ScopeLibrary | None) -> None:
        self._library = library
        self._scopes: dict[str, SavedScope] = {}

    @property
    def pinned(self) -> PinnedScopes:
        return PinnedScopes(self._scopes)

    def spec(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return a spec with whole references.

        Raises: SpecError for a name that stands for nothing.
        """
        problems: list[Problem] = []
        pinned = self._pin((), spec, problems)
        if problems:
            raise SpecError(*problems)
        return dict(pinned)

    def value(self, place: tuple[str, ...], value: Any) -> Any:
        """Return a value of an axis with whole references.

        A name that stands for nothing stays: the rows that have it are refused, and no others.
        """
        return self._pin(place, value, [])

    def _pin(self, place: tuple[str, ...], value: Any, problems: list[Problem]) -> Any:
        match place:
            case () | ("scopes", _) if isinstance(value, Mapping):
                return {
                    key: self._pin((*place, key), inner, problems) for key, inner in value.items()
                }
            case ("scopes",) if isinstance(value, list):
                return [
                    self._pin((*place, str(index)), level, problems)
                    for index, level in enumerate(value)
                ]
            case ("scopes", _, key) if key in _KEYS and isinstance(value, str):
                return self._reference(place, value, problems)
        return value

    def _reference(self, place: tuple[str, ...], reference: str, problems: list[Problem]) -> str:
        try:
            scope = look_up(reference, self._library)
        except ZooError as error:
            where = json_pointer(*place)
            problems += [Problem(p.message, where, reference, p.suggestion) for p in error.problems]
            return reference
        whole = f"{reference.partition('@')[0]}@{scope.digest}"
        self._scopes[whole] = scope
        return whole
