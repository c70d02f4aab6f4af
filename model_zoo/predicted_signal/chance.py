"""How much the size of a signal differs from one draw of the weights to the next."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

Part = tuple[float, "Chance"]  # with its share in the square of a sum
NO_LOADS: Mapping[object, float] = {}


class Chance(NamedTuple):
    """How the mean square of a tensor varies over random weights.

    In wide layers it does not. In narrow ones, each channel's mean square varies by itself, and
    what is left of that in the mean over channels goes on to all layers that follow: their mean
    square is about log-normal, and its median below its mean (Hanin and Nica, arXiv:1812.05994).

    `inherited` is the variance of the logarithm that all channels share, and `loads` what it is
    made of: deviations that are independent, each from the channels of an earlier tensor, by that
    one's `key`. Branches with loads in common vary together.

    `scale` and `variation` are the relative variances of a channel's mean square: of what it was
    made of, and by its own weights. `likeness` is the mean squared correlation of two of a
    channel's values, and `channels` the number of independent ones.
    """

    inherited: float = 0.0
    scale: float = 0.0
    variation: float = 0.0
    likeness: float = 0.0
    channels: int = 1
    loads: Mapping[object, float] = NO_LOADS
    key: object = None

    @property
    def own(self) -> float:
        """The relative variance of one channel's mean square."""
        return (1.0 + self.scale) * (1.0 + self.variation) - 1.0

    @property
    def of_mean(self) -> float:
        """The variance of the logarithm of the mean over channels, but for what is inherited."""
        return math.log1p(self.own / self.channels)

    @property
    def total(self) -> float:
        """The variance of the logarithm of the mean square."""
        return self.inherited + self.of_mean

    def mixed_anew(self, likeness: float, channels: int) -> "Chance":
        """Return that of channels that are sums over all of these, with weights of their own."""
        added = self.of_mean
        loads = {**self.loads, self.key: math.sqrt(added)}
        variation = 2.0 * likeness
        return Chance(self.inherited + added, 0.0, variation, likeness, channels, loads, object())

    def weighted_anew(self, likeness: float) -> "Chance":
        """Return that of channels that are sums over windows of one of these."""
        return self._replace(
            scale=self.own, variation=2.0 * likeness, likeness=likeness, key=object()
        )

    def damped(self, passed: float, variation: float | None = None) -> "Chance":
        """Return that of a function, which passes on so much of a change of the logarithm."""
        if abs(passed - 1.0) < 1e-3:
            return self if variation is None else self._replace(variation=variation)
        square = passed * passed
        return self._replace(
            inherited=self.inherited * square,
            scale=self.scale * square,
            variation=self.variation * square if variation is None else variation,
            likeness=self.likeness * square,
            loads={key: load * passed for key, load in self.loads.items()},
        )


def summed(x: Chance, y: Chance, share: float) -> Chance:
    """Return that of `x + y`, of which x has a share in the square.

    Two terms of a channel that do not vary inside it add to its square, or take from it.
    """
    parts = ((share, x), (1.0 - share, y))
    own = sum([part * part * chance.own for part, chance in parts])
    own += 4.0 * share * (1.0 - share) * math.sqrt(x.likeness * y.likeness)
    likeness = sum([part * math.sqrt(chance.likeness) for part, chance in parts]) ** 2
    loads = _common_loads(parts)
    return Chance(_square(loads), 0.0, own, likeness, x.channels, loads, object())


def joined(chances: Sequence[Chance], shares: Sequence[float]) -> Chance:
    """Return that of tensors side by side, of which each has a share in the square."""
    parts = list(zip(shares, chances, strict=True))
    channels = sum([chance.channels for chance in chances])
    own = sum([share * share * chance.own / chance.channels for share, chance in parts]) * channels
    likeness = sum([share * chance.likeness for share, chance in parts])
    loads = _common_loads(parts)
    return Chance(_square(loads), 0.0, own, likeness, channels, loads, object())


def multiplied(x: Chance, y: Chance) -> Chance:
    """Return that of `x * y`."""
    loads = _common_loads([(1.0, x), (1.0, y)])
    return x._replace(inherited=_square(loads), scale=x.scale + y.own, loads=loads, key=object())


def _square(loads: Mapping[object, float]) -> float:
    return sum([load * load for load in loads.values()])


def _common_loads(parts: Sequence[Part]) -> dict[object, float]:
    """Return what the channels of several inherit, by their shares."""
    loads: dict[object, float] = {}
    for share, chance in parts:
        for key, load in chance.loads.items():
            loads[key] = loads.get(key, 0.0) + share * load
    # What one inherited from another's channels varies with them.
    for key, covariance in _covariances(parts):
        loads[key] = math.sqrt(max(loads[key] ** 2 + 2.0 * covariance, 0.0))
    return loads


def _covariances(parts: Sequence[Part]) -> Iterator[tuple[object, float]]:
    for (share, chance), (other_share, other) in permutations(parts, 2):
        load = other.loads.get(chance.key)
        if load is not None:
            yield chance.key, share * other_share * math.sqrt(chance.of_mean) * load
