"""Saved scopes: levels under a name, which a spec nests among its own or starts from.

The library keeps none: whoever reads a spec passes a `ScopeLibrary`, which looks names up. A spec
takes the levels by value, so its id does not depend on what a name stands for later.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, NamedTuple, Protocol, TypeVar

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.budget import Budget
from model_zoo.errors import Problem, SpecError, ZooError, json_pointer
from model_zoo.weight_sources import Part
from model_zoo.zoo import LevelDocument

SCOPE_NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
SCOPE_DIGEST = "sha256:[0-9a-f]{8,64}"
# Part of the digest: a change of meaning gives every scope a new one.
_VERSION = 1
Reference = Annotated[
    str,
    Field(
        pattern=f"^{SCOPE_NAME}(@{SCOPE_DIGEST})?$",
        description="A saved scope by name, as it is now; or one version of it, by the beginning "
        "of its digest, of at least 8 digits.",
        examples=["house", "house@sha256:0f1e2d3c"],
    ),
]


class IncludeLevel(Part):
    """The levels of a saved scope, nested here."""

    include: Reference


class SavedLevel(Part):
    """A saved scope in place of everything outside it, as TF-Slim's `arg_scope(saved)` enters it.

    Everything outside is the architecture's default scope, and the levels before this one.
    """

    saved: Reference


class ScopeUseDocument(TypedDict):
    """A saved scope that was named, and the places of its levels."""

    name: str
    digest: str
    levels: list[str]


@dataclass(frozen=True, slots=True)
class SavedScope:
    """A version of a saved scope: levels as a normalized spec has them.

    `replaces` says that a `saved` is among what it was made of, so that even nested it replaces
    everything outside it.
    """

    name: str
    levels: tuple[LevelDocument, ...]
    replaces: bool = False
    uses: tuple[ScopeUseDocument, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The version, as a reference names it: equal for scopes that mean the same."""
        meaning = {"version": _VERSION, "levels": self.levels, "replaces": self.replaces}
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class ScopeLibrary(Protocol):
    """Where saved scopes are looked up."""

    def scope(self, name: str, digest: str | None) -> SavedScope:
        """Return the version whose digest begins so, or the current one.

        Raises: ZooError if there is none.
        """


L = TypeVar("L")


class PlacedLevel(NamedTuple, Generic[L]):
    """A level and its place: in the request, or in a saved scope that is named at `include`."""

    level: L | LevelDocument
    pointer: str
    include: str = ""


@dataclass(frozen=True, slots=True)
class ScopeUse:
    """A saved scope that a request names, and where its levels are among all levels."""

    scope: SavedScope
    levels: range

    def to_dict(self, base: str) -> ScopeUseDocument:
        """Return the use, JSON-ready; `base` is the pointer of the list of levels."""
        return {
            "name": self.scope.name,
            "digest": self.scope.digest,
            "levels": [base + json_pointer(index) for index in self.levels],
        }


@dataclass(frozen=True, slots=True)
class Flattened(Generic[L]):
    """Levels in which those of saved scopes stand in place of their names.

    `replacement` is the last scope that replaces what is outside it, with the place of its name,
    and `outside` are the request's levels that it replaces.
    """

    levels: tuple[PlacedLevel[L], ...]
    uses: tuple[ScopeUse, ...]
    replacement: tuple[SavedScope, str] | None
    outside: tuple[L | IncludeLevel | SavedLevel, ...]


def flatten(
    requested: Sequence[L | IncludeLevel | SavedLevel],
    base: str,
    library: ScopeLibrary | None,
    budget: Budget,
    what: str,
) -> Flattened[L]:
    """Return the requested levels, with those of saved scopes in place of their names.

    Raises: SpecError with a problem for each name that stands for nothing, BudgetError if there are
    too many levels.
    """
    # No list is longer than the limit, those of saved scopes included: so what names stand for has
    # at most the limit's square of levels, before it is counted.
    budget.check_scopes(len(requested), what, base)
    levels: list[PlacedLevel[L]] = []
    uses: list[ScopeUse] = []
    replacement: tuple[SavedScope, str] | None = None
    outside = 0
    scopes: dict[str, SavedScope] = {}
    problems: list[Problem] = []
    for index, level in enumerate(requested):
        pointer = base + json_pointer(index)
        if not isinstance(level, IncludeLevel | SavedLevel):
            levels.append(PlacedLevel(level, pointer))
            continue
        key, reference = next(iter(level))
        place = pointer + json_pointer(key)
        try:
            # Once for each reference: a name that moves meanwhile stands for one version.
            scope = scopes[reference] = scopes.get(reference) or look_up(reference, library)
        except ZooError as error:
            problems += [Problem(p.message, place, reference, p.suggestion) for p in error.problems]
            continue
        if key == "saved" or scope.replaces:
            replacement, outside = (scope, place), index
            levels.clear()
            uses.clear()
        uses.append(ScopeUse(scope, range(len(levels), len(levels) + len(scope.levels))))
        levels += [
            PlacedLevel(inner, json_pointer("levels", number), place)
            for number, inner in enumerate(scope.levels)
        ]
    if problems:
        raise SpecError(*problems)
    budget.check_scopes(len(levels), what, base)
    return Flattened(tuple(levels), tuple(uses), replacement, tuple(requested[:outside]))


def look_up(reference: str, library: ScopeLibrary | None) -> SavedScope:
    """Return the scope that a reference names.

    Raises: ZooError if there is none.
    """
    if library is None:
        raise ZooError(
            "Saved scopes are kept by the service, under /v1/scopes; elsewhere they are passed: "
            "BuildSpec.read(spec, scopes) in Python, --scope NAME=FILE in a terminal."
        )
    name, _, digest = reference.partition("@")
    return library.scope(name, digest or None)
