"""Which layer of one network is which of another: by name, then by what it computes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from model_zoo.reports.subsequence import common_subsequence
from model_zoo.reports.summary import Row


@dataclass(slots=True)
class _Scope:
    """A variable scope: the rows that have its name, and the scopes in it by their own names."""

    path: str = ""
    rows: list[Row] = field(default_factory=list)
    inside: "dict[str, _Scope]" = field(default_factory=dict)

    @property
    def is_prefix(self) -> bool:
        """Whether all that it holds is in one other scope: its name is the beginning of one."""
        return not self.rows and len(self.inside) == 1 and not next(iter(self.inside.values())).rows

    def content(self) -> tuple[object, ...]:
        """Return what the scope computes: its layers' ops and shapes, or the ops inside it."""
        own = tuple((row.op, row.output_shape) for row in self.rows)
        return own or tuple(self._ops())

    def _ops(self) -> Iterator[str]:
        for inner in self.inside.values():
            yield from (row.op for row in inner.rows)
            yield from inner._ops()


class LayerPair(NamedTuple):
    """A layer in `a` and in `b`; None where it is missing."""

    a: Row | None
    b: Row | None


@dataclass(frozen=True, slots=True)
class Alignment:
    """Pairs in the order of both networks, and the paths in `b` of the scopes of `a`."""

    pairs: tuple[LayerPair, ...]
    paths: dict[str, str]

    def path_in_b(self, path: str) -> str:
        """Return where in `b` a layer or a scope of `a` stands, or would stand."""
        outer, rest = path, ""
        while outer and outer not in self.paths:
            outer, _, own = outer.rpartition("/")
            rest = f"/{own}{rest}"
        return (self.paths.get(outer, "") + rest).removeprefix("/")


def align(a: Sequence[Row], b: Sequence[Row]) -> Alignment:
    """Return the alignment of two summaries' rows.

    Scopes and layers of one name in aligned scopes are one. Of the others in these scopes, the
    longest common subsequence is renamed: layers of one op and output shape, scopes of the same
    ops. If then one scope of layers is left on each side, it is renamed too.
    """
    pairs: dict[int, LayerPair] = {}
    paths: dict[str, str] = {}
    _align(_tree(a), _tree(b), pairs, paths)
    return Alignment(tuple(_in_order(a, b, pairs)), paths)


def _tree(rows: Sequence[Row]) -> _Scope:
    root = _Scope()
    for row in rows:
        scope = root
        for part in row.name.split("/"):
            path = f"{scope.path}/{part}" if scope.path else part
            scope = scope.inside.setdefault(part, _Scope(path))
        scope.rows.append(row)
    return root


def _align(a: _Scope, b: _Scope, pairs: dict[int, LayerPair], paths: dict[str, str]) -> None:
    paths[a.path] = b.path
    if a.is_prefix != b.is_prefix and a.inside.keys().isdisjoint(b.inside):
        deeper_a, deeper_b = (
            next(iter(each.inside.values())) if each.is_prefix else each for each in (a, b)
        )
        _align(deeper_a, deeper_b, pairs, paths)
        return
    for row_a, row_b in zip(a.rows, b.rows, strict=False):  # a layer that is called twice has two
        pairs[id(row_a)] = LayerPair(row_a, row_b)
    for name, inner in a.inside.items():
        if name in b.inside:
            _align(inner, b.inside[name], pairs, paths)
    left_a = [scope for name, scope in a.inside.items() if name not in b.inside]
    left_b = [scope for name, scope in b.inside.items() if name not in a.inside]
    for inner_a, inner_b in _renamed(left_a, left_b):
        _align(inner_a, inner_b, pairs, paths)


def _renamed(a: list[_Scope], b: list[_Scope]) -> list[tuple[_Scope, _Scope]]:
    """Return the scopes that are one under two names.

    There may be several longest subsequences. The names decide, so that the answer is the same
    when the sides are swapped.
    """
    if not a or not b:
        return []
    if [scope.path for scope in a] > [scope.path for scope in b]:
        return [(inner_a, inner_b) for inner_b, inner_a in _renamed(b, a)]
    contents = [[scope.content() for scope in side] for side in (a, b)]
    places = common_subsequence(*contents)
    taken_a, taken_b = {i for i, _ in places}, {j for _, j in places}
    left_a = [scope for i, scope in enumerate(a) if i not in taken_a and not scope.rows]
    left_b = [scope for j, scope in enumerate(b) if j not in taken_b and not scope.rows]
    renamed = [(a[i], b[j]) for i, j in places]
    if len(left_a) == len(left_b) == 1:
        renamed.append((left_a[0], left_b[0]))
    return renamed


def _in_order(
    a: Sequence[Row], b: Sequence[Row], pairs: dict[int, LayerPair]
) -> Iterator[LayerPair]:
    """Yield the pairs in `a`'s order, and what only `b` has after the layer it follows there."""
    paired = {id(pair.b) for pair in pairs.values()}
    followers: dict[int, list[Row]] = {}
    before = 0
    for row in b:
        if id(row) in paired:
            before = id(row)
        else:
            followers.setdefault(before, []).append(row)
    yield from (LayerPair(None, row) for row in followers.get(0, ()))
    for row in a:
        pair = pairs.get(id(row), LayerPair(row, None))
        yield pair
        if pair.b is not None:
            yield from (LayerPair(None, other) for other in followers.get(id(pair.b), ()))
