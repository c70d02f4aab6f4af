"""Windows and padding over positions that are not alike, against matrices of all pairs."""

import numpy as np
import pytest

from model_zoo.predicted_signal.profiles import Profile, convolved, even, pooled


@pytest.mark.parametrize(("size", "layers"), [(7, 12), (14, 12), (28, 4)])
def test_pairs_of_positions_lose_what_a_matrix_of_all_pairs_does(size: int, layers: int) -> None:
    """The squares are exact; 7 % of a mean product of pairs is 3 % of an rms after pooling."""
    pairs = np.ones((size, size))
    profile, square, near, far = even(size), 1.0, 1.0, 1.0
    for _ in range(layers):
        padded = np.pad(pairs, 1)
        taps = [padded[tap : tap + size, tap : tap + size] for tap in range(3)]
        pairs = sum(taps) / 3
        spread = convolved(profile, 3, 1, 1, "SAME")
        profile = spread.profile
        square, near, far = square * spread.square, near * spread.near, far * spread.far
    assert square == pytest.approx(np.diag(pairs).mean())
    assert near == pytest.approx(np.diag(pairs, 1).mean())
    assert far == pytest.approx(pairs.mean(), rel=0.07)
    np.testing.assert_allclose(np.array(profile.positions) * square, np.diag(pairs), rtol=1e-9)


def test_padding_counts_for_convolutions_and_not_for_means() -> None:
    spread = convolved(even(3), 3, 2, 1, "SAME")
    assert spread.square == pytest.approx(2 / 3)
    assert spread.profile.positions == (1.0, 1.0)
    spread = pooled(even(3), 3, 2, "SAME")
    assert (spread.square, spread.alone) == (1.0, 0.5)


def test_quiet_position_is_heard_by_the_windows_over_it() -> None:
    line = (0.0, 1.5, 1.5)
    profile = Profile(line, (1.0, 1.0), (1.0, 1.0), (1.0,))
    assert convolved(profile, 2, 1, 1, "VALID").profile.positions == pytest.approx((2 / 3, 4 / 3))
    assert convolved(profile, 3, 1, 2, "SAME").profile.positions == pytest.approx((1, 1, 1))
