"""Two real programs on one PostgreSQL database and bucket: mixed work, and a kill in the middle.

`make replicas` does it with 32 threads for three minutes.
"""

import io
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from buckets import S3Server
from safetensors.numpy import save
from small import random_rows
from zoo_server import Server, build, npy_bytes, poll

SECONDS = float(os.environ.get("REPLICAS_SECONDS", "6"))
THREADS = int(os.environ.get("REPLICAS_THREADS", "8"))
# In which a request may be answered 429 or 503 before that counts as a failure.
PATIENCE_SECONDS = 30
KINDS = {"_build", "_predict", "_name", "_upload", "_remove"}
ROW = random_rows(1, (None, 28, 28, 1))


def lenet(seed: int) -> dict[str, Any]:
    return {"architecture": "lenet", "weights": {"source": "random", "seed": seed}}


class GoneError(Exception):
    """The replica that was killed did not answer; whether it did what it was sent is not known."""


@dataclass
class Ledger:
    """What was acknowledged: what must be there, and what must not."""

    builds: dict[str, int] = field(default_factory=dict)  # their seeds
    removed: set[str] = field(default_factory=set)
    uploads: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)  # their newest builds
    done: Counter[str] = field(default_factory=Counter)
    gone: int = 0


class Work:
    """What the threads do, on replicas of which one is killed."""

    def __init__(self, servers: list[Server], clients: ExitStack, base: str) -> None:
        self.clients = [clients.enter_context(server.client()) for server in servers]
        self.base = base
        self.expected: Any = None
        self.ledger = Ledger()
        self.is_over = threading.Event()
        self.victim: httpx.Client | None = None

    def ask(self, client: httpx.Client, method: str, path: str, **options: Any) -> httpx.Response:
        """Return the answer of one replica, once it is another than 429 or 503."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = client.request(method, path, **options)
            except httpx.TransportError as error:
                if client is self.victim:
                    raise GoneError from error
                raise
            if answer.status_code not in (429, 503):
                return answer
            assert "retry-after" in answer.headers, answer.text
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.05)

    def run(self, number: int) -> None:
        """Do one thing after another until the work is over; each is right, or raises."""
        chance = random.Random(number)
        kinds: list[Callable[..., None]] = [self._build, self._predict, self._name, self._upload]
        kinds += [self._predict, self._remove]
        own: list[str] = []
        for step in range(1_000_000):
            if self.is_over.is_set():
                return
            one, other = chance.sample(self.clients, 2)
            kind = chance.choice(kinds)
            try:
                kind(one, other, own, 1_000_000 * (number + 1) + step)
            except GoneError:
                self.ledger.gone += 1
            else:
                self.ledger.done[kind.__name__] += 1

    def _build(self, one: httpx.Client, other: httpx.Client, own: list[str], number: int) -> None:
        made = self.ask(one, "POST", "/v1/builds", json=lenet(number))
        assert made.status_code == 201, made.text
        build_id = made.json()["id"]
        self.ledger.builds[build_id] = number
        own.append(build_id)
        self._check_build(other, build_id, number)

    def _check_build(self, client: httpx.Client, build_id: str, seed: int) -> None:
        answer = self.ask(client, "GET", f"/v1/builds/{build_id}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["spec"]["weights"] == {"source": "random", "seed": seed}
        assert answer.json()["totals"]["parameters"] == 3_274_634

    def _predict(self, one: httpx.Client, _other: httpx.Client, *_: Any) -> None:
        output = self.predicted(one)
        np.testing.assert_allclose(output, self.expected, rtol=0, atol=1e-5)

    def predicted(self, client: httpx.Client) -> np.ndarray:
        """Return the output of the base for a row."""
        path = f"/v1/builds/{self.base}/predict?format=npy"
        headers = {"Content-Type": "application/x-npy"}
        answer = self.ask(client, "POST", path, content=npy_bytes(ROW), headers=headers)
        assert answer.status_code == 200, answer.text
        output: np.ndarray = np.load(io.BytesIO(answer.content))
        return output

    def _name(self, one: httpx.Client, other: httpx.Client, own: list[str], number: int) -> None:
        if not own:
            return
        name, build_id = f"m{number // 1_000_000}", own[-1]
        self.ledger.names.pop(name, None)  # its next version is not known until it is acknowledged
        named = self.ask(one, "PUT", f"/v1/models/{name}", json={"build": build_id})
        assert named.status_code in (200, 201), named.text
        self.ledger.names[name] = build_id
        self._check_name(other, name, build_id)

    def _check_name(self, client: httpx.Client, name: str, build_id: str) -> None:
        answer = self.ask(client, "GET", f"/v2/models/{name}")
        assert answer.status_code == 200, answer.text
        assert build_id in answer.text

    def _upload(self, one: httpx.Client, other: httpx.Client, _own: list[str], number: int) -> None:
        content = save({"LeNet/fc4/biases": np.full(10, number, np.float32)})
        answer = self.ask(one, "POST", "/v1/weights?name=w.safetensors", content=content)
        assert answer.status_code in (200, 201), answer.text
        checkpoint = answer.json()["id"]
        self.ledger.uploads.add(checkpoint)
        assert self.ask(other, "GET", f"/v1/weights/{checkpoint}").status_code == 200

    def _remove(self, one: httpx.Client, other: httpx.Client, own: list[str], _: int) -> None:
        free = [each for each in own if each not in self.ledger.names.values()]
        if not free:
            return
        own.remove(free[0])
        del self.ledger.builds[free[0]]  # whether it is there is not known until acknowledged
        answer = self.ask(one, "DELETE", f"/v1/builds/{free[0]}")
        # An older version of a name may be this build.
        assert answer.status_code in (204, 409), answer.text
        if answer.status_code == 204:
            self.ledger.removed.add(free[0])
            assert self.ask(other, "GET", f"/v1/builds/{free[0]}").status_code == 404

    def check(self, client: httpx.Client) -> None:
        """Check that all that was acknowledged is there, and nothing that was removed."""
        for build_id, seed in self.ledger.builds.items():
            self._check_build(client, build_id, seed)
        for build_id in self.ledger.removed:
            assert self.ask(client, "GET", f"/v1/builds/{build_id}").status_code == 404
        for checkpoint in self.ledger.uploads:
            assert self.ask(client, "GET", f"/v1/weights/{checkpoint}").status_code == 200
        for name, build_id in self.ledger.names.items():
            self._check_name(client, name, build_id)


def test_two_replicas_answer_rightly_and_lose_nothing_when_one_is_killed(
    s3: S3Server, postgresql_url: str, tmp_path: Path
) -> None:
    shared = {"database_url": postgresql_url, "files_url": s3.new_url()}
    shared["max_client_concurrency"] = str(2 * THREADS)
    servers = [Server(tmp_path / name, **shared) for name in ("one", "other")]
    clients = ExitStack()
    try:
        with servers[0].client() as client:
            base = build(client, **lenet(0))
        work = Work(servers, clients, base)
        work.expected = work.predicted(work.clients[0])
        with ThreadPoolExecutor(THREADS) as threads:
            running = [threads.submit(work.run, number) for number in range(THREADS)]
            time.sleep(SECONDS / 2)
            poll(lambda: set(work.ledger.done) == KINDS)
            work.victim = work.clients[1]
            servers[1].process.kill()
            time.sleep(SECONDS / 2)
            poll(lambda: bool(work.ledger.gone))
            work.is_over.set()
            for each in running:
                each.result()
        servers[1].wait()
        servers.append(Server(tmp_path / "other", **shared))  # it comes back
        again = clients.enter_context(servers[-1].client())
        for client in (work.clients[0], again):
            work.check(client)
        print(dict(work.ledger.done), f"{work.ledger.gone} unanswered by the killed one")
    finally:
        clients.close()
        statuses = [server.end() for server in servers]
    assert statuses[0] == statuses[2] == 0
    assert not [line for line in servers[0].log + servers[2].log if "Traceback" in line]
