"""Patterns of names: * stands for any characters, `/` among them, and all else for itself."""

import difflib
import functools
import re
from collections.abc import Iterable, Sequence
from fnmatch import translate


def captures(name: str, pattern: str) -> tuple[str, ...] | None:
    """Return what each * of a pattern stands for in a name; None if the pattern does not fit.

    A * stands for any characters, as few as will do from the left on, and all else for itself.

    >>> captures("a/b/c", "*/*"), captures("a/b", "a*b"), captures("ab", "a?")
    (('a', 'b/c'), ('/',), None)
    """
    first, *rest = pattern.split("*")
    if not rest:
        return () if name == pattern else None
    if not name.startswith(first):
        return None
    texts, position = [], len(first)
    for literal in rest[:-1]:
        start = name.find(literal, position)
        if start < 0:
            return None
        texts.append(name[position:start])
        position = start + len(literal)
    end = len(name) - len(rest[-1])
    if end < position or not name.endswith(rest[-1]):
        return None
    return (*texts, name[position:end])


def fits(name: str, pattern: str) -> bool:
    """Return whether a pattern fits a whole name.

    >>> fits("a/b", "a*"), fits("ab", "a?"), fits("a[1]", "a[1]")
    (True, False, True)
    """
    return captures(name, pattern) is not None


def fits_any(names: Iterable[str], pattern: str) -> bool:
    """Return whether a pattern fits one of the names; for many names this is the fastest.

    >>> fits_any(["a/b", "c"], "a*"), fits_any(["a/b", "c"], "b")
    (True, False)
    """
    return any(map(_compiled((pattern,)).match, names))


def normalized_patterns(patterns: Iterable[str]) -> list[str]:
    """Return what patterns mean as a sorted set: `**` says `*`, and `*` says all that others do.

    >>> normalized_patterns(["b", "a**", "b"]), normalized_patterns(["a", "*"])
    (['a*', 'b'], ['*'])
    """
    simple = {normalized_pattern(pattern) for pattern in patterns}
    return ["*"] if "*" in simple else sorted(simple)


def normalized_pattern(pattern: str) -> str:
    """Return a pattern with one `*` where several stand together."""
    return re.sub(r"\*+", "*", pattern)


class Names:
    """The names that one of `patterns` fits, and none of `excluded`."""

    __slots__ = ("_excluded", "_known", "_patterns", "excluded", "patterns")

    def __init__(self, patterns: Sequence[str], excluded: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self.excluded = tuple(excluded)
        self._patterns = _compiled(self.patterns)
        self._excluded = _compiled(self.excluded)
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = bool(
                self._patterns.match(name) and not (self.excluded and self._excluded.match(name))
            )
        return known


# One expression for all patterns takes half the time of `fits` for each: every level with patterns
# asks it at every call of a trace.
@functools.lru_cache
def _compiled(patterns: tuple[str, ...]) -> "re.Pattern[str]":
    escaped = (pattern.replace("[", "[[]").replace("?", "[?]") for pattern in patterns)
    return re.compile("|".join(map(translate, escaped)))


def nearest_patterns(pattern: str, names: Iterable[str]) -> list[str]:
    """Return at most three patterns that fit a name, close to one that fits none, closest first.

    What is tried: the layers of a scope that the pattern names, the same at any depth, and other
    spellings of the parts that no name has.

    >>> nearest_patterns("Net/Mixed_5/*", ["Net/Mixed_5b/Conv", "Net/Logits"])
    ['Net/Mixed_5b/*']
    >>> nearest_patterns("Logits", ["Net/Mixed_5b/Conv", "Net/Logits"])
    ['*/Logits']
    >>> nearest_patterns("/net/logits/", ["Net/Mixed_5b/Conv", "Net/Logits"])
    ['Net/Logits']
    """
    known = list(dict.fromkeys(names))
    parts = sorted({part for name in known for part in name.split("/")})
    by_lower = {part.lower(): part for part in parts}
    pieces = pattern.strip("/").split("/")
    spellings = [
        [piece]
        if "*" in piece or piece in parts
        else [by_lower[piece.lower()]]
        if piece.lower() in by_lower
        else difflib.get_close_matches(piece, parts, n=3, cutoff=0.6) or [piece]
        for piece in pieces
    ]
    nearest = "/".join(spelling[0] for spelling in spellings)
    tried = [nearest, f"{nearest}/*", f"*/{nearest}", f"*/{nearest}/*"]
    for index, spelling in enumerate(spellings):
        for other in spelling[1:]:
            respelt = [each[0] for each in spellings]
            respelt[index] = other
            tried += ["/".join(respelt), "/".join([*respelt, "*"])]
    fitting = [other for other in tried if any(fits(name, other) for name in known)]
    # A pattern and what lies inside it say nearly the same.
    return [
        other
        for other in dict.fromkeys(fitting)
        if not (other.endswith("/*") and other.removesuffix("/*") in fitting)
    ][:3]


def covering_patterns(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return patterns that fit each of the names and none of the others; few, not always fewest.

    >>> covering_patterns(["a/project", "b/project", "c/d"], ["a/expand", "c/d/e"])
    ['*/project', 'c/d']
    """
    fitted: dict[str, set[str]] = {}
    for name in (*names, *others):
        parts = name.split("/")
        tails = ["*/" + "/".join(parts[cut:]) for cut in range(1, len(parts))]
        heads = ["/".join(parts[:cut]) + "/*" for cut in range(1, len(parts))]
        for pattern in (name, *tails, *heads):
            fitted.setdefault(pattern, set()).add(name)
    left = set(names)
    chosen: list[str] = []
    candidates = {pattern: those for pattern, those in fitted.items() if those <= left}
    while left:
        # The one that fits most; of equals a whole name, then the shortest.
        best = max(candidates, key=lambda p: (len(candidates[p] & left), "*" not in p, -len(p)))
        chosen.append(best)
        left -= candidates[best]
    return sorted(chosen)
