"""How much the size of a signal differs from one draw of the weights to the next."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple


class Chance(NamedTuple):
    """How the mean square of a tensor varies over random weights.

    In wide layers it does not. In narrow ones, each channel's mean square varies by itself, and
    what is left of that in the mean over channels goes on to all layers that follow: their mean
    square is about log-normal, and its median below its mean (Hanin and Nica, arXiv:1812.05994).

    `inherited` is the variance of the logarithm that all channels share. `scale` and `variation`
    are the relative variances of a channel's mean square: of what it was made of, and by its own
    weights. `likeness` is the mean squared correlation of two of a channel's values, and `channels`
    the number of independent ones.
    """

    inherited: float = 0.0
    scale: float = 0.0
    variation: float = 0.0
    likeness: float = 0.0
    channels: int = 1

    @property
    def own(self) -> float:
        """The relative variance of one channel's mean square."""
        return (1.0 + self.scale) * (1.0 + self.variation) - 1.0

    @property
    def total(self) -> float:
        """The variance of the logarithm of the mean square."""
        return self.inherited + math.log1p(self.own / self.channels)

    def mixed_anew(self, likeness: float, channels: int) -> "Chance":
        """Return that of channels that are sums over all of these, with weights of their own."""
        return Chance(self.total, 0.0, 2.0 * likeness, likeness, channels)

    def weighted_anew(self, likeness: float, channels: int) -> "Chance":
        """Return that of channels that are sums over windows of one of these."""
        return Chance(self.inherited, self.own, 2.0 * likeness, likeness, channels)

    def damped(self, passed: float, variation: float | None = None) -> "Chance":
        """Return that of a function, which passes on so much of a change of the logarithm."""
        square = passed * passed
        return Chance(
            self.inherited * square,
            self.scale * square,
            self.variation * square if variation is None else variation,
            self.likeness * square,
            self.channels,
        )


def summed(chances: Sequence[Chance], shares: Sequence[float]) -> Chance:
    """Return that of a sum, of which each has a share in the square.

    Two terms of a channel that do not vary inside it add to its square, or take from it.
    """
    parts = list(zip(shares, chances, strict=True))
    own = sum([share * share * chance.own for share, chance in parts])
    for (a, x), (b, y) in combinations(parts, 2):
        own += 4.0 * a * b * math.sqrt(x.likeness * y.likeness)
    likeness = sum([share * math.sqrt(chance.likeness) for share, chance in parts]) ** 2
    return Chance(_together(parts), 0.0, own, likeness, chances[0].channels)


def joined(chances: Sequence[Chance], shares: Sequence[float]) -> Chance:
    """Return that of tensors side by side, of which each has a share in the square."""
    parts = list(zip(shares, chances, strict=True))
    channels = sum([chance.channels for chance in chances])
    own = sum([share * share * chance.own / chance.channels for share, chance in parts]) * channels
    likeness = sum([share * chance.likeness for share, chance in parts])
    return Chance(_together(parts), 0.0, own, likeness, channels)


def _together(parts: Sequence[tuple[float, Chance]]) -> float:
    """Return what the channels of several inherit, by their shares.

    Two vary together as much as the less varying one's layers do, if the other comes from there.
    """
    inherited = sum([share * share * chance.inherited for share, chance in parts])
    for (a, x), (b, y) in combinations(parts, 2):
        together = max(min(x.inherited, y.total), min(x.total, y.inherited))
        inherited += 2.0 * a * b * together
    return inherited
