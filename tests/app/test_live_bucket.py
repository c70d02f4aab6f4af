"""Two real programs with a home each and one bucket: what one stored, the other computes with."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from buckets import FaultyProxy, S3Server, contents, proxied
from test_live_restore import CHECKPOINT, MOBILENET, difference, predicted, recorded, upload
from zoo_server import Server, build, poll

REASON = "The bucket of ZOO_FILES_URL reports an error."


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    with proxied(s3) as proxy:
        for name, value in s3.environment(proxy.port).items():
            monkeypatch.setenv(name, value)
        yield proxy


def test_a_bucket_makes_two_services_one(s3: S3Server, proxy: FaultyProxy, tmp_path: Path) -> None:
    url = s3.new_url()
    servers = [Server(tmp_path / name, files_url=url) for name in ("one", "other")]
    try:
        with servers[0].client() as one, servers[1].client() as other:
            _compute_with_what_one_stored(one, other, tmp_path, url)
            proxy.fault = 500
            assert other.get("/v1/weights").json()["detail"] == REASON
            assert other.get("/healthz").json()["files"] == {"ready": False, "reason": REASON}
            made = build(one, **MOBILENET)
            assert one.get(f"/v1/builds/{made}/weights").json()["detail"] == REASON
            proxy.fault = None
            poll(lambda: other.get("/healthz").json()["files"]["ready"])
            assert one.get(f"/v1/builds/{made}/weights").status_code == 200
    finally:
        assert [server.end() for server in servers] == [0, 0]
    assert not [line for server in servers for line in server.log if "Traceback" in line]


def _compute_with_what_one_stored(
    one: httpx.Client, other: httpx.Client, home: Path, url: str
) -> None:
    weights = upload(one, CHECKPOINT.read_bytes(), "m.tgz")
    made = build(other, **MOBILENET, weights={"source": "checkpoint", "id": weights})
    assert difference(predicted(other, made), recorded()) < 1e-4
    assert (home / "other" / "copies" / "checkpoints" / f"{weights}.safetensors").exists()
    assert build(one, **MOBILENET, weights={"source": "checkpoint", "id": weights}) == made
    np.testing.assert_array_equal(predicted(one, made), predicted(other, made))
    exported = one.get(f"/v1/builds/{made}/weights")
    sent = other.get(f"/v1/builds/{made}/weights")
    assert (sent.content, sent.headers["etag"]) == (exported.content, exported.headers["etag"])
    assert not list((home / "other" / "copies" / "weights").iterdir())
    digest = sent.headers["etag"].strip('"')
    assert contents(url)[f"weights/{made}/{digest}.safetensors"] == sent.content
