"""Weights of half a gigabyte in and out: how long, and what the API process takes of memory."""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.service import Service, running_service

# The largest of the published checkpoints: 138 million parameters.
VGG = {"architecture": "vgg_16"}
_CHUNK_BYTES = 2**20


def bench_weights() -> list[tuple[str, str, str, str]]:
    """Download a checkpoint, upload it, and download it again from a build that took it."""
    with running_service() as service, tempfile.TemporaryDirectory() as folder:
        first, again = Path(folder, "first.ckpt.tar.gz"), Path(folder, "again.ckpt.tar.gz")
        made = _build(service, VGG)
        _fetch(service, made, first)  # the worker makes the file now
        rows = [_row("download", service, first, lambda: _fetch(service, made, first))]
        rows.append(_row("upload", service, first, lambda: _upload(service, first)))
        source = {"source": "checkpoint", "id": _upload(service, first)}
        restored = _build(service, {**VGG, "weights": source})
        _fetch(service, restored, again)
        if again.read_bytes() != first.read_bytes():
            raise AssertionError("the checkpoint came out otherwise than it went in")
    return rows


def _row(
    what: str, service: Service, path: Path, transfer: Callable[[], object]
) -> tuple[str, str, str, str]:
    before = service.forget_peak()
    start = time.perf_counter()
    transfer()
    seconds = time.perf_counter() - start
    grown = service.peak_bytes() - before
    start = time.perf_counter()
    _digest_and_copy(path)
    local = time.perf_counter() - start
    size = path.stat().st_size
    return (
        f"{what} of a checkpoint of {size / 1e6:.0f} MB",
        f"{seconds:.2f} s; the API process grows by {max(grown, 0) / 1e6:.0f} MB",
        f"to digest and copy the file in process: {local:.2f} s",
        f"{seconds / local:.1f} times its time",
    )


def _digest_and_copy(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    with copy.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")
    copy.unlink()


def _build(service: Service, spec: dict[str, object]) -> str:
    response = service.client.post("/v1/builds", json=spec)
    response.raise_for_status()
    build_id: str = response.json()["id"]
    return build_id


def _fetch(service: Service, build_id: str, path: Path) -> None:
    url = f"/v1/builds/{build_id}/weights?format=checkpoint"
    with service.client.stream("GET", url) as response, path.open("wb") as file:
        response.raise_for_status()
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            file.write(chunk)


def _upload(service: Service, path: Path) -> str:
    def pieces() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    headers = {"Content-Length": str(path.stat().st_size)}
    response = service.client.post("/v1/weights", content=pieces(), headers=headers)
    response.raise_for_status()
    weights_id: str = response.json()["id"]
    return weights_id
