"""What is known of a tensor before there are numbers: the moments of its values."""

from collections.abc import Sequence
from typing import NamedTuple

from model_zoo.graph import Tensor
from model_zoo.predicted_signal.chance import Chance
from model_zoo.predicted_signal.functions import Function
from model_zoo.predicted_signal.normal_values import Moments, Normal, pass_through
from model_zoo.predicted_signal.profiles import Profile, Spread, even

# Of a factor or an offset.
MeanAndSquare = tuple[float, float]


class Unpredictable(Exception):  # noqa: N818 - an answer, never an error
    """Tells in a sentence why the moments of a tensor cannot be predicted."""


class Signal(NamedTuple):
    """The moments of a tensor over random weights and an input of independent normal values.

    `far` is the mean product of two values of one channel, over all pairs of positions and
    examples: the mean square of a channel's mean. What is left of `square` is the variance inside
    channels. `near` is that product for positions close to each other, which edges part less.
    Values of different channels are independent, so that their product is the square of the mean.

    Values are normal, or else `function` of normal ones, `before`. `profiles` say how each spatial
    dimension's positions differ, and `chance` how networks do. Tensors of one `source` are made of
    the same values.
    """

    mean: float
    square: float
    near: float
    far: float
    profiles: tuple[Profile, ...]
    chance: Chance
    source: Tensor
    before: Normal | None = None
    function: Function | None = None

    @property
    def moments(self) -> Moments:
        """The moments by themselves."""
        return Moments(*self[:4])

    @property
    def normal(self) -> Normal:
        """The normal values that `function` made these from; these, without a function."""
        if self.before is not None:
            return self.before
        constant = self.mean * self.mean
        variance = max(self.square - constant, 0.0)
        near = min(max(self.near - constant, 0.0), variance)
        return Normal(self.mean, variance, near, min(max(self.far - constant, 0.0), near))

    @property
    def likeness(self) -> float:
        """The squared correlation of two values of a channel, about 0."""
        return (self.far / self.square) ** 2 if self.square else 0.0

    def plain(
        self,
        moments: Moments,
        source: Tensor,
        *,
        chance: Chance | None = None,
        profiles: tuple[Profile, ...] | None = None,
    ) -> "Signal":
        """Return a signal of other moments that is like this one in what is not given."""
        return Signal(
            *moments,
            self.profiles if profiles is None else profiles,
            self.chance if chance is None else chance,
            source,
        )

    def affine(self, factor: MeanAndSquare, offset: MeanAndSquare, source: Tensor) -> "Signal":
        """Return `factor * x + offset`, of which each channel has its own."""
        mixed = 2 * factor[0] * offset[0] * self.mean + offset[1]
        scaled = factor[1] * self.square
        square = scaled + mixed
        moments = Moments(
            factor[0] * self.mean + offset[0],
            square,
            factor[1] * self.near + mixed,
            factor[1] * self.far + mixed,
        )
        chance = self.chance.damped(scaled / square) if mixed and square else self.chance
        return self.plain(moments, source, chance=chance)

    def through(self, function: Function, source: Tensor) -> "Signal":
        """Return a function of each value."""
        normal, inner = self.normal, self.function
        whole = function if inner is None else lambda x: function(inner(x))
        passed = pass_through(whole, normal, self.chance.likeness)
        chance = self.chance.damped(passed.share, passed.variation)
        return Signal(*passed.moments, self.profiles, chance, source, normal, whole)

    def spread(self, spreads: Sequence[Spread]) -> "Signal":
        """Return the same values at other positions."""
        square, near, far = self.square, self.near, self.far
        for each in spreads:
            square, near, far = square * each.square, near * each.near, far * each.far
        profiles = tuple([each.profile for each in spreads])
        return self._replace(
            square=square,
            near=min(near, square),
            far=min(far, square),
            profiles=profiles,
            before=None,
            function=None,
        )


def input_signal(tensor: Tensor) -> Signal:
    """Return the signal of an input of independent values of mean 0 and variance 1."""
    profiles = tuple([even(size or 1) for size in tensor.shape[1:-1]])
    return Signal(
        0.0, 1.0, 0.0, 0.0, profiles, Chance(channels=tensor.channels, key=object()), tensor
    )
