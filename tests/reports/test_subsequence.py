"""The longest common subsequence, against one found by trying every one."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from model_zoo.reports.subsequence import common_subsequence

LETTERS = st.lists(st.sampled_from("abc"), max_size=7)


def longest(a: list[str], b: list[str]) -> int:
    """Return the length of the longest part of `a` that is one of `b`."""
    parts = {part for size in range(len(b) + 1) for part in combinations(b, size)}
    return max(
        size for size in range(len(a) + 1) if parts.intersection(combinations(a, size)) or not size
    )


@given(LETTERS, LETTERS)
def test_it_is_common_in_order_and_the_longest(a: list[str], b: list[str]) -> None:
    pairs = common_subsequence(a, b)
    assert [a[i] for i, _ in pairs] == [b[j] for _, j in pairs]
    for places in zip(*pairs, strict=True):
        assert list(places) == sorted(set(places))
    assert len(pairs) == longest(a, b)


def test_of_sequences_too_long_the_ends_are_found() -> None:
    a = ["head", *map(str, range(20_000)), "tail"]
    b = ["head", *map(str, range(19_999, -1, -1)), "tail"]
    assert common_subsequence(a, b) == [(0, 0), (20_001, 20_001)]


def test_thousands_of_items_that_differ_are_compared() -> None:
    a, b = range(0, 10_000, 2), range(0, 10_000, 3)
    assert len(common_subsequence(a, b)) == len(set(a) & set(b))
