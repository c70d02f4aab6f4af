"""docs/capacity.md: its arithmetic is right, and its tables follow from it."""

import math
import re

import pytest
from zoo_server import ROOT

PAGE = (ROOT / "docs" / "capacity.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
# A calculation ends at two spaces, where a word or the next begins.
CALCULATION = re.compile(r"([\d(][\d(). e/×+-]*?) = ([\d.]+)(?=\s|$)")
UNITS = re.compile(r" (cores|ms)\b")
LINES = [match for block in BLOCKS for match in CALCULATION.findall(UNITS.sub("", block))]
SHARE = 0.7


def replicas(load: int, rate: float) -> int:
    """Return how many are needed, each at its share of what it can do."""
    return math.ceil(round(load / (rate * SHARE), 6))


def value(text: str) -> float:
    assert re.fullmatch(r"[\d(). e/×+-]+", text)
    return float(eval(text.replace("×", "*")))


@pytest.mark.parametrize(("left", "right"), LINES)
def test_a_calculation_is_right(left: str, right: str) -> None:
    digits = len(right.partition(".")[2])
    assert f"{value(left):.{digits}f}" == right


def test_the_calculations_are_read() -> None:
    assert len(LINES) > 30


def test_the_replicas_are_what_the_formula_gives() -> None:
    rates = (122.5, 35.5, 166.5)
    for load in (10, 1000, 100_000):
        cells = re.findall(rf"^\| {load:,} \|(.*)\|$", PAGE, re.MULTILINE)
        inference, builds, sweeps = (
            [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", row)] for row in cells
        )
        assert inference == [replicas(load, rate) + 1 for rate in rates]  # one may be lost
        assert builds == [replicas(load, 1000 / 18.6) + 1]
        assert sweeps == [replicas(load, 1000 / seconds) for seconds in (4.69, 6.72)]
