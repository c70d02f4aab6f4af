"""The home of the real program: one service has it, a kill leaves nothing, a backup has it all."""

import io
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from zoo_server import ROOT, Server, build, poll


def npz(value: float) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, weights=np.full(1000, value, np.float32))
    return stream.getvalue()


def model_zoo(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `model-zoo` with arguments."""
    command = [sys.executable, "-m", "model_zoo.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_second_service_on_a_home_says_why_it_does_not_start(tmp_path: Path) -> None:
    first = Server(tmp_path)
    assert first.url
    second = Server(tmp_path)
    assert second.wait() == 1
    assert second.log == [
        f"The service cannot start: {tmp_path} is in use by process {first.process.pid}. A service "
        "needs a home of its own; ZOO_HOME sets it.\n",
        "<end>",
    ]
    # What reads a home, and what only adds to it, works beside its service.
    assert model_zoo("weights", "list", "--home", tmp_path).returncode == 0
    (tmp_path / "w.npz").write_bytes(npz(1))
    imported = model_zoo("weights", "import", tmp_path / "w.npz", "--home", tmp_path)
    assert imported.returncode == 0, imported.stderr
    with first.client() as client:
        (weights,) = client.get("/v1/weights").json()["weights"]
    removed = model_zoo("weights", "remove", weights["id"], "--home", tmp_path)
    assert removed.stderr == (
        f"model-zoo: {tmp_path} is in use by process {first.process.pid}. Ask that service, which "
        f"knows what its builds need: DELETE /v1/weights/{weights['id']}.\n"
    )
    assert first.end() == 0
    assert model_zoo("weights", "remove", weights["id"], "--home", tmp_path).returncode == 0


def test_what_a_killed_service_was_receiving_is_gone_when_the_next_one_starts(
    tmp_path: Path,
) -> None:
    server = Server(tmp_path)
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 0)) as connection:
        connection.sendall(
            b"POST /v1/weights HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n"
            + bytes(2_000_000)
        )
        poll(lambda: any(tmp_path.glob("checkpoints/tmp-*/upload-0")))
        os.kill(server.process.pid, signal.SIGKILL)
        server.wait()
    assert any(tmp_path.glob("checkpoints/tmp-*"))
    server = Server(tmp_path)
    assert server.url
    assert not any(tmp_path.glob("checkpoints/tmp-*"))
    assert server.end() == 0


def listings(client: httpx.Client) -> dict[str, Any]:
    found = {}
    for name in ("builds", "scopes", "weights"):
        limit = "" if name == "weights" else "?limit=200"
        found[name] = client.get(f"/v1/{name}{limit}").json()[name]
    return found


def test_a_backup_under_load_has_all_that_was_confirmed_before(tmp_path: Path) -> None:
    """And nothing that was deleted before; what its builds need is there, and answers are equal."""
    server = Server(tmp_path / "home")
    url = server.url
    with server.client() as client:
        kept = build(client, params={"num_classes": 3})
        deleted = build(client, params={"num_classes": 4})
        client.put("/v1/models/kept", json={"build": kept}).raise_for_status()
        client.put("/v1/scopes/kept", json={"levels": []}).raise_for_status()
        uploaded = client.post("/v1/weights?name=w.npz", content=npz(1)).json()["id"]
        assert client.delete(f"/v1/builds/{deleted}").status_code == 204
        answer = client.get(f"/v1/builds/{kept}/summary").json()

        confirmed: list[list[str]] = [[], []]
        is_copied, is_loaded = threading.Event(), threading.Semaphore(0)

        def load(worker: int) -> None:
            number = 0
            while not is_copied.is_set():
                number += 1
                with httpx.Client(base_url=url, timeout=60) as own:
                    added = build(own, params={"num_classes": 100 + 2 * number + worker})
                    confirmed[worker].append(added)
                    content = npz(2 * number + worker)
                    weights = own.post("/v1/weights?name=w.npz", content=content).json()["id"]
                    assert own.delete(f"/v1/weights/{weights}").status_code == 204
                is_loaded.release()

        with ThreadPoolExecutor(2) as workers:
            loads = [workers.submit(load, worker) for worker in range(2)]
            for _ in range(6):
                is_loaded.acquire()
            before = [build_id for builds in confirmed for build_id in builds]
            done = model_zoo("home", "backup", tmp_path / "backup", "--home", tmp_path / "home")
            is_copied.set()
            for each in loads:
                each.result()
        assert done.returncode == 0, done.stderr

    in_use = model_zoo("home", "restore", tmp_path / "backup", "--home", tmp_path / "home")
    assert in_use.returncode == 1
    assert f"is in use by process {server.process.pid}." in in_use.stderr
    assert server.end() == 0
    home = tmp_path / "restored"
    done = model_zoo("home", "restore", tmp_path / "backup", "--home", home)
    assert done.returncode == 0, done.stderr
    server = Server(home)
    with server.client() as client:
        found = listings(client)
        builds = {each["id"] for each in found["builds"]}
        assert {kept, *before} <= builds
        assert deleted not in builds
        assert uploaded in {each["id"] for each in found["weights"]}
        assert [each["name"] for each in found["scopes"]] == ["kept"]
        assert client.get("/v1/models").json()["models"][0]["build"] == kept
        assert client.get(f"/v1/builds/{kept}/summary").json() == answer
        for build_id in builds:
            client.get(f"/v1/builds/{build_id}").raise_for_status()
        assert build(client, params={"num_classes": 4}) == deleted
    assert server.end() == 0
