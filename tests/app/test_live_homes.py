"""A home that an earlier release wrote: its builds have the same weights, and compute the same."""

import shutil
from collections.abc import Iterator

import homes
import httpx
import numpy as np
import pytest
from zoo_server import Server


@pytest.fixture(scope="module", params=homes.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each release that left a home."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def live(release: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of the real program on a copy of the release's home."""
    home = tmp_path_factory.mktemp(release) / homes.HOME
    shutil.copytree(homes.HOMES / release / homes.HOME, home)
    server = Server(home)
    with server.client() as client:
        yield client
    server.end()


def test_weights_are_the_same_bytes_in_every_format(live: httpx.Client, release: str) -> None:
    expected = homes.expected_answers(release)["weight-digests"]
    assert {build_id: homes.weight_digests(live, build_id) for build_id in expected} == expected


def test_predictions_are_the_same(live: httpx.Client, release: str) -> None:
    expected = homes.expected_answers(release)
    for build_id, values in expected["predictions"].items():
        actual = homes.prediction(live, expected["answers"][build_id]["build"])
        tolerance = 1e-5 * np.abs(values).max()
        np.testing.assert_allclose(actual, values, rtol=1e-5, atol=tolerance, err_msg=build_id)
