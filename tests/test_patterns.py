"""Patterns of names: the two ways to match them agree."""

from hypothesis import example, given
from hypothesis import strategies as st

from model_zoo.patterns import Names, fits

# Few characters, so that patterns often fit; some mean something in regular expressions.
NAMES = st.text("ab/[]?.\n", max_size=8)
PATTERNS = st.text("ab/[]?.*\n", max_size=6)


@example("a", ["?"], [])
@example("a", ["[a]"], [])
@example("a\nb", ["a*b"], [])
@example("ab", ["a*"], ["?b"])
@given(NAMES, st.lists(PATTERNS, min_size=1, max_size=4), st.lists(PATTERNS, max_size=3))
def test_names_are_those_that_a_pattern_fits_and_no_excluded_one(
    name: str, patterns: list[str], excluded: list[str]
) -> None:
    expected = any(fits(name, pattern) for pattern in patterns) and not any(
        fits(name, pattern) for pattern in excluded
    )
    assert (name in Names(patterns, excluded)) is expected
