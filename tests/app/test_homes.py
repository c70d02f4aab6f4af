"""A home that an earlier release wrote: today's service reads it, and answers as that release did.

What needs a worker is in test_live_homes.py.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import homes
import pytest
from starlette.testclient import TestClient
from zoo_server import IdleEngine

pytestmark = pytest.mark.sqlite

Make = Callable[..., TestClient]


@pytest.fixture(params=homes.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each release that left a home."""
    name: str = request.param
    return name


@pytest.fixture
def client(release: str, make_client: Make, tmp_path: Path) -> TestClient:
    """The service in this process, on a copy of the release's home."""
    shutil.copytree(homes.HOMES / release / homes.HOME, tmp_path / "home")
    return make_client(IdleEngine())


def test_the_home_of_the_first_release_is_kept() -> None:
    assert "release_0_1_0" in homes.RELEASES


def test_builds_models_and_weights_are_listed_as_before(client: TestClient, release: str) -> None:
    assert homes.listings(client) == homes.expected_answers(release)["listings"]


def test_each_build_answers_as_before(client: TestClient, release: str) -> None:
    expected = homes.expected_answers(release)["answers"]
    assert {build_id: homes.build_answers(client, build_id) for build_id in expected} == expected


def test_models_have_the_same_metadata_as_before(client: TestClient, release: str) -> None:
    expected = homes.expected_answers(release)["metadata"]
    assert {name: homes.model_metadata(client, name) for name in expected} == expected


def test_saved_scopes_and_sweeps_are_as_before(client: TestClient, release: str) -> None:
    expected = homes.expected_answers(release).get("saved", {"scopes": {}, "sweeps": []})
    assert homes.saved(client) == expected


def assert_same_build(posted: dict[str, Any], build: dict[str, Any]) -> None:
    """Compare what a request that posts a build answers today with what it answered then."""
    body = homes.without_wording(homes.without_later_links(posted))
    build = homes.without_wording(build)
    # A later release may warn of more.
    body["warnings"] = [each for each in body["warnings"] if each in build["warnings"]]
    assert body == build


def test_a_spec_posted_again_is_the_same_build(client: TestClient, release: str) -> None:
    """As the client wrote it, and as the build's answer has it with every default filled in."""
    expected = homes.expected_answers(release)
    for build_id, posted in expected["posted"].items():
        build = expected["answers"][build_id]["build"]
        for spec in (posted, build["spec"]):
            response = client.post("/v1/builds", json=spec)
            assert response.status_code == 200
            assert_same_build(response.json(), build)


def test_a_spec_posted_to_an_empty_database_is_the_same_build(
    release: str, make_client: Make, tmp_path: Path
) -> None:
    """Nothing is read from the home but the weights: id, totals and end points are computed."""
    checkpoints = homes.HOMES / release / homes.HOME / "checkpoints"
    shutil.copytree(checkpoints, tmp_path / "home" / "checkpoints")
    client = make_client()
    expected = homes.expected_answers(release)
    for build_id, posted in expected["posted"].items():
        build = expected["answers"][build_id]["build"]
        response = client.post("/v1/builds", json=posted)
        assert response.status_code == 201
        assert_same_build({**response.json(), "created": build["created"]}, build)


def test_a_weight_file_in_the_home_is_sent_without_a_worker(
    client: TestClient, release: str
) -> None:
    (file,) = (homes.HOMES / release / homes.HOME / "weights").iterdir()
    build_id, sha256 = file.name.split(".")[:2]
    response = client.get(f"/v1/builds/{build_id}/weights?format=safetensors")
    assert response.status_code == 200
    assert response.content == file.read_bytes()
    assert response.headers["etag"] == f'"{sha256}"'
    expected = homes.expected_answers(release)["weight-digests"]
    assert expected[build_id]["safetensors"] == sha256


def test_a_sweep_is_traced_and_kept_beside_what_was_there(client: TestClient, release: str) -> None:
    """Of the specs that the release's clients posted: their builds keep their ids."""
    expected = homes.expected_answers(release)
    for build_id, posted in expected["posted"].items():
        body = client.post("/v1/sweeps", json={"spec": posted}).json()
        (row,) = body["rows"]
        build = expected["answers"][build_id]["build"]
        assert (row["build"], row["totals"]) == (build_id, build["totals"])
        assert client.get(f"/v1/sweeps/{body['id']}").json() == body
    assert homes.listings(client) == expected["listings"]
