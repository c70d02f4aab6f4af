"""The longest common subsequence of two sequences."""

from collections.abc import Hashable, Sequence

# The table has a bit for each pair of items; beyond this it is not made.
_MAX_BITS = 200_000_000


def common_subsequence(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the places in `a` and in `b` of the items of a longest common subsequence.

    Where the sequences differ in more than ten thousand places, it is the items that both begin
    and end with: the rest of a longest one would take too much memory.

    >>> common_subsequence("abcd", "bxd")
    [(1, 0), (3, 2)]
    """
    shorter = min(len(a), len(b))
    start = next((i for i in range(shorter) if a[i] != b[i]), shorter)
    end = next((i for i in range(shorter - start) if a[-1 - i] != b[-1 - i]), shorter - start)
    middle = _of_different(a[start : len(a) - end], b[start : len(b) - end])
    return [
        *((i, i) for i in range(start)),
        *((start + i, start + j) for i, j in middle),
        *((len(a) - i, len(b) - i) for i in range(end, 0, -1)),
    ]


def _of_different(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return the places for sequences that neither begin nor end alike.

    Source: Hyyrö, Bit-parallel LCS-length computation revisited, 2004. Bit i of row j is 0 where
    the first i + 1 items of `a` have one more in common with the first j of `b` than the first i.
    """
    if not a or not b or len(a) * len(b) > _MAX_BITS:
        return []
    places: dict[Hashable, int] = {}
    for i, item in enumerate(a):
        places[item] = places.get(item, 0) | 1 << i
    every = (1 << len(a)) - 1
    rows = [every]
    for item in b:
        matched = rows[-1] & places.get(item, 0)
        rows.append(((rows[-1] + matched) | (rows[-1] - matched)) & every)
    pairs: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif rows[j] >> (i - 1) & 1:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]
