"""How a signal is spread over the positions of a map, and what windows and padding do to it.

Zeros around a map make its edges quieter, and quiet edges lose less to the zeros of the next layer:
ten convolutions of 3x3 keep 29 % of the mean square of a map of 7x7, and not 14 %, as ten times the
first one's loss would be.
"""

from collections.abc import Callable
from functools import lru_cache
from operator import mul
from typing import NamedTuple

from model_zoo.primitives import Padding, split_padding

Line = tuple[float, ...]
# Networks have few sizes of maps and windows; a line takes as many bytes as a size eightfold.
_CACHE_SIZE = 512

# Pairs of positions that are a share u of a dimension apart: Gauss's two nodes for their density,
# 2 (1 - u), and the weights of these. They stay as far apart when a window moves over both.
_APART = (0.4 - 0.06**0.5, 0.4 + 0.06**0.5)
_WEIGHTS = (0.5 + 6**0.5 / 18, 0.5 - 6**0.5 / 18)


class Profile(NamedTuple):
    """The mean square at each position of a dimension, and the mean product of pairs of positions.

    Those of pairs are lines as well, the shorter, the farther apart their positions are: of
    neighbours, and two that stand for all pairs. The means over positions, neighbours and all pairs
    are 1.
    """

    positions: Line
    neighbours: Line
    close_pairs: Line
    far_pairs: Line

    @property
    def size(self) -> int:
        """The number of positions."""
        return len(self.positions)


class Spread(NamedTuple):
    """A new profile, and the means over what it is made of.

    They are those of squares, and of products of neighbours and of all pairs. `alone` is the mean
    of 1 / the number of positions in a window.
    """

    profile: Profile
    square: float
    near: float
    far: float
    alone: float = 1.0


@lru_cache(_CACHE_SIZE)
def even(size: int) -> Profile:
    """Return the profile of a dimension whose positions are alike."""
    return Profile(*((1.0,) * count for count in _counts(size)))


def _counts(size: int) -> tuple[int, ...]:
    """Return the lengths of a profile's lines."""
    pairs = (round(size * (1 - apart)) for apart in _APART)
    return size, *(max(count, 1) for count in (size - 1, *pairs))


def _spread(profile: Profile, make: Callable[[Line, int], Line], size: int) -> Spread:
    """Return what a change of lines to given sizes makes of a profile."""
    lines = [make(line, count) for line, count in zip(profile, _counts(size), strict=True)]
    square, near, *pairs = map(_mean, lines)
    far = sum(map(mul, _WEIGHTS, pairs))
    means = (square, near, far, far)
    leveled = Profile(*(_divided(line, mean) for line, mean in zip(lines, means, strict=True)))
    return Spread(leveled, square, near, far)


def _mean(line: Line) -> float:
    return sum(line) / len(line)


def _divided(line: Line, mean: float) -> Line:
    return tuple([value / mean for value in line]) if mean else line


class _Windows(NamedTuple):
    """The windows that slide over a dimension: their number, and where the first one begins."""

    number: int
    start: int
    stride: int
    kernel: int
    rate: int


def _windows(size: int, kernel: int, stride: int, rate: int, padding: Padding) -> _Windows:
    reach = rate * (kernel - 1) + 1
    if padding == "VALID":
        return _Windows((size - reach) // stride + 1, 0, stride, kernel, rate)
    count = -(-size // stride)
    before, _ = split_padding(max((count - 1) * stride + reach - size, 0))
    return _Windows(count, -before, stride, kernel, rate)


def _sums(line: Line, count: int, windows: _Windows) -> Line:
    """Return sums over windows of a line, of which fewer than the windows of the dimension fit."""
    _, start, stride, kernel, rate = windows
    size, reach = len(line), rate * (kernel - 1) + 1
    if start == 0 and size < (count - 1) * stride + reach:
        # Of windows as large as the map, one is left: its pairs are of two examples.
        return (_mean(line) * kernel,) * count
    sums = [0.0] * count
    for tap in range(start, start + reach, rate):
        first = max(-(tap // stride), 0)
        last = min((size - 1 - tap) // stride + 1, count)
        for index in range(first, last):
            sums[index] += line[tap + index * stride]
    return tuple(sums)


@lru_cache(_CACHE_SIZE)
def convolved(profile: Profile, kernel: int, stride: int, rate: int, padding: Padding) -> Spread:
    """Return what sums over windows have, each position times a weight of its own, over kernel."""
    windows = _windows(profile.size, kernel, stride, rate, padding)

    def means(line: Line, count: int) -> Line:
        return _divided(_sums(line, count, windows), kernel)

    return _spread(profile, means, windows.number)


@lru_cache(_CACHE_SIZE)
def pooled(profile: Profile, kernel: int, stride: int, padding: Padding) -> Spread:
    """Return what means over windows have, to which padding does not count."""
    windows = _windows(profile.size, kernel, stride, 1, padding)

    def means(line: Line, count: int) -> Line:
        sizes = _sums((1.0,) * len(line), count, windows)
        return tuple(
            [a / b if b else 0.0 for a, b in zip(_sums(line, count, windows), sizes, strict=True)]
        )

    sizes = _sums((1.0,) * profile.size, windows.number, windows)
    alone = sum(1.0 / size for size in sizes) / len(sizes)
    return _spread(profile, means, windows.number)._replace(alone=alone)


@lru_cache(_CACHE_SIZE)
def transposed(profile: Profile, kernel: int, stride: int, padding: Padding) -> Spread:
    """Return what a transposed convolution has, over kernel."""
    surplus = max(kernel - stride, 0)
    before, after = split_padding(surplus) if padding == "SAME" else (0, 0)

    def means(line: Line, count: int) -> Line:
        sums = [0.0] * count
        for index, value in enumerate(line):
            for place in range(index * stride - before, index * stride - before + kernel):
                if 0 <= place < count:
                    sums[place] += value / kernel
        return tuple(sums)

    spread = _spread(profile, means, profile.size * stride + surplus - before - after)
    # Pairs meet under the same weights only a multiple of the stride apart.
    return spread._replace(near=spread.near / stride, far=spread.far / stride)


@lru_cache(_CACHE_SIZE)
def padded(profile: Profile, before: int, after: int) -> Spread:
    """Return what is left on the mean when zeros come around."""

    def surrounded(line: Line, _count: int) -> Line:
        return (0.0,) * before + line + (0.0,) * after

    return _spread(profile, surrounded, profile.size + before + after)


def cropped(profile: Profile, before: int, after: int) -> Spread:
    """Return what positions between others have."""
    return centred(profile, before, after, 1)


@lru_cache(_CACHE_SIZE)
def centred(profile: Profile, before: int, after: int, stride: int) -> Spread:
    """Return what positions between others have, each a stride from the next."""

    def inside(line: Line, _count: int) -> Line:
        return line[before : len(line) - after : stride] or (_mean(line),)

    return _spread(profile, inside, -(-(profile.size - before - after) // stride))


@lru_cache(_CACHE_SIZE)
def resized(profile: Profile, size: int) -> Spread:
    """Return what linear interpolation with aligned corners has; it mixes two neighbours."""
    alone = 0.0
    for index in range(size):
        share = _place(index, profile.size, size) % 1.0
        alone += (share**2 + (1 - share) ** 2) / size

    def interpolated(line: Line, count: int) -> Line:
        values = []
        for index in range(count):
            place = _place(index, len(line), count)
            low, share = int(place), place % 1.0
            high = line[min(low + 1, len(line) - 1)]
            values.append(line[low] * (1 - share) + high * share)
        return tuple(values)

    return _spread(profile, interpolated, size)._replace(alone=alone)


def _place(index: int, size: int, resized: int) -> float:
    return index * (size - 1) / (resized - 1) if resized > 1 else 0.0
