"""Renames of a source's names that would fill more variables, as a spec would write them."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.graph import Variable
from model_zoo.weight_sources import MAX_NAME_CHARACTERS
from model_zoo.weights.causes import Shaped, unused_kind
from model_zoo.weights.names import OTHER_ENDINGS, OUTPUT, Renames, averaged
from model_zoo.weights.shapes import Shape, sizes

_MAX_SUGGESTIONS = 10


class SuggestionDocument(TypedDict):
    """A rename as a spec writes it, and how many more variables it would fill."""

    rename: dict[str, str]
    variables: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A rename of the source's names that would fill more variables."""

    name: str
    target: str
    variables: int

    def to_dict(self) -> SuggestionDocument:
        """Return the suggestion as a spec would say it, JSON-ready."""
        return {"rename": {self.name: self.target}, "variables": self.variables}

    def __str__(self) -> str:
        what = "1 more variable" if self.variables == 1 else f"{self.variables} more variables"
        rename = json.dumps({self.name: self.target}, ensure_ascii=False)
        return f'"rename": {rename} would fill {what}.'


def suggestions(
    missing: Sequence[Variable],
    unused: Mapping[str, Shaped],
    used: Collection[str],
    *,
    moving_averages: bool = False,
) -> list[Suggestion]:
    """Return renames of scopes, or of single names, that would fill missing variables.

    A tensor stands for the one missing variable with whose name its own has the most last parts in
    common, if their sizes are equal. The widest scope that no used tensor is in is renamed, so one
    rename serves for a whole network under another prefix.
    """
    search = _Search(missing)
    offered: dict[str, Shape] = {}
    for name, tensor in unused.items():
        kind = unused_kind(name)
        if kind == "variable" or (moving_averages and kind == "moving_average"):
            offered.setdefault(averaged(name) or name.removesuffix(OUTPUT), tensor.shape)
    candidates: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, shape in offered.items():
        if likeness := search.likest(name, shape):
            candidates[likeness[0]].append((name, likeness[1]))
    taken = set(_scopes(used))
    renames: dict[tuple[str, str], None] = {}
    for variable, likest in candidates.items():
        common = max(shared for _, shared in likest)
        names = sorted(name for name, shared in likest if shared == common)
        # Of towers, each of which holds the whole name, the first.
        if len(names) == 1 or common == len(variable.split("/")):
            rename = _rename(names[0], variable, common, taken)
            if rename is not None:
                renames[rename] = None
    counted = [Suggestion(*pair, search.filled(pair, offered)) for pair in renames]
    # Equal ones in the order of the network.
    counted.sort(key=lambda suggestion: -suggestion.variables)
    return counted[:_MAX_SUGGESTIONS]


class _Search:
    """Missing variables by the last parts of their names, and by their sizes."""

    def __init__(self, missing: Sequence[Variable]) -> None:
        self._by_end: defaultdict[tuple[str, Shape], list[str]] = defaultdict(list)
        self._longest = max((len(variable.name.split("/")) for variable in missing), default=0)
        for variable in missing:
            parts = variable.name.split("/")
            for count in range(1, len(parts) + 1):
                self._by_end["/".join(parts[-count:]), sizes(variable.shape)].append(variable.name)

    def likest(self, name: str, shape: Shape) -> tuple[str, int] | None:
        """Return the variable with most last parts in common, and how many; None if several are."""
        for ending in _respelt(name):
            parts = ending.split("/")
            for count in range(min(len(parts), self._longest), 0, -1):
                variables = self._by_end.get(("/".join(parts[-count:]), sizes(shape)), ())
                if len(variables) == 1:
                    return variables[0], count
                if variables:
                    # A variable whose whole name this is counts before longer names that end so.
                    whole = "/".join(parts[-count:])
                    if whole in variables:
                        return whole, count
                    break
        return None

    def filled(self, rename: tuple[str, str], offered: Mapping[str, Shape]) -> int:
        """Return how many missing variables a rename of the tensors would fill."""
        renames = Renames(dict([rename]))
        filled: set[str] = set()
        for name, shape in offered.items():
            key, target = renames.find(name)
            if key is not None:
                filled.update(
                    variable
                    for variable in _respelt(target)
                    if variable in self._by_end.get((variable, sizes(shape)), ())
                )
        return len(filled)


def _respelt(name: str) -> Iterator[str]:
    """Yield a name, and the variables that other programs call so."""
    yield name
    scope, slash, last = name.rpartition("/")
    for ending, others in OTHER_ENDINGS.items():
        if last in others:
            yield scope + slash + ending


def _scopes(names: Collection[str]) -> Iterator[str]:
    for name in names:
        parts = name.split("/")
        for count in range(len(parts)):
            yield "".join(part + "/" for part in parts[:count])


def _rename(
    name: str, variable: str, common: int, taken: Collection[str]
) -> tuple[str, str] | None:
    """Return the rename of the widest scope by which two names differ, or else of the whole name.

    >>> _rename("net/a/weights", "Net/a/weights", 2, ())
    ('net/*', 'Net/*')
    >>> _rename("a/weights", "Net/a/weights", 2, ())
    ('*', 'Net/*')
    >>> _rename("a/weights", "Net/a/weights", 2, {""})
    ('a/*', 'Net/a/*')
    """
    there, here = name.split("/"), variable.split("/")
    for depth in range(common):
        scope = "".join(part + "/" for part in there[: len(there) - common + depth])
        if scope not in taken:
            target = "".join(part + "/" for part in here[: len(here) - common + depth])
            rename = (scope + "*", target + "*")
            break
    else:
        rename = (name, variable)
    limit = MAX_NAME_CHARACTERS
    can_be_said = "*" not in name and len(rename[0]) <= limit and len(rename[1]) <= limit
    return rename if can_be_said and rename[0] != rename[1] else None
