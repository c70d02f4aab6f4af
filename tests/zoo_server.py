"""What the tests of the service share: the real program, and ways to ask it."""

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from app.compute.tracer.tracer_tasks import TracerTasks
from app.engine import Answer, EngineFigures, EngineStatus, ModelRef, ModelState, Reply, Rows
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60


class NoEngine:
    """An engine for the routes that need none."""

    async def start(self, *, wait_until_ready: bool) -> None:
        pass

    def check_admission(self) -> None:
        pass

    async def infer(self, model: ModelRef, rows: Rows, outputs: Any, **_options: Any) -> Answer:
        raise AssertionError(f"an inference of {model.build} reached the engine")

    async def load(self, model: ModelRef) -> ModelState:
        raise AssertionError(f"a load of {model.build} reached the engine")

    async def unload(self, model: ModelRef) -> None:
        raise AssertionError(f"an unload of {model.build} reached the engine")

    def state(self, model: ModelRef) -> ModelState:
        return ModelState()

    async def read(self, task: Any, buffers: Any) -> Reply[Any]:
        raise AssertionError(f"{task} reached the engine")

    async def run(self, task: Any) -> Reply[Any]:
        raise AssertionError(f"{task} reached the engine")

    tracers = 2
    rows_of_trace = 16

    async def trace(self, task: Any) -> Reply[Any]:
        """Trace as the process apart does, which needs no device."""
        return await asyncio.to_thread(TracerTasks(Settings()).run, task)

    def status(self) -> EngineStatus:
        return EngineStatus(True, "ready", "cpu", 0, 0, 0, None)

    def figures(self) -> EngineFigures:
        return EngineFigures(worker_up=True)

    def stop_accepting(self) -> None:
        pass

    async def close(self) -> None:
        pass


class IdleEngine(NoEngine):
    """Takes the loads of models, and loads nothing."""

    async def load(self, model: ModelRef) -> ModelState:
        return self.state(model)


class Server:
    """`python -m app` on a free port, its log read as it comes."""

    def __init__(self, home: Path, **settings: object) -> None:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ZOO_")},
            "ZOO_HOME": str(home),
            "ZOO_PORT": "0",
            "ZOO_DEVICE": "cpu",
            **{f"ZOO_{key.upper()}": str(value) for key, value in settings.items()},
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            cwd=ROOT,
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.log: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.log.append(line)
                self._news.notify_all()
        with self._news:
            self.log.append("<end>")
            self._news.notify_all()

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Wait until a pattern is in the log for the `count`th time, and return that match."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.log if (match := re.search(pattern, line))]

        with self._news:
            done = self._news.wait_for(
                lambda: len(found()) >= count or self.log[-1:] == ["<end>"], START_SECONDS
            )
            assert done, self.log
            assert len(found()) >= count, self.log
            return found()[count - 1]

    @property
    def url(self) -> str:
        return self.wait_for(r"Serving on (http://\S+)")[1]

    def worker_pid(self, count: int = 1) -> int:
        """The process id of the worker that became ready as the `count`th."""
        return int(self.wait_for(r"(?:Worker|Tensorflow-worker) (\d+) is ready", count)[1])

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120)

    def end(self) -> int:
        """Ask the program to end, and return its status."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(START_SECONDS)
        finally:
            self.process.kill()
            self._reader.join(5)
            assert self.process.stderr is not None
            self.process.stderr.close()


def poll(condition: Callable[[], bool]) -> None:
    """Ask until a condition holds."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def image_bytes(format_name: str = "JPEG", size: tuple[int, int] = (40, 30)) -> bytes:
    """Return a picture with some content."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 5 % 256, columns * 3 % 256, (rows + columns) % 256], -1)
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, format_name)
    return stream.getvalue()


def npy_bytes(array: np.ndarray) -> bytes:
    """Return an array as an .npy file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def build(client: Any, architecture: str = "lenet", **spec: Any) -> str:
    """Post a spec and return the build's id."""
    response = client.post("/v1/builds", content=json.dumps({"architecture": architecture, **spec}))
    assert response.status_code in (200, 201), response.text
    found: str = response.json()["id"]
    return found


def problem(response: Any) -> dict[str, Any]:
    """Return a problem without its request id, having checked what holds for all of them."""
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body.pop("request_id") == response.headers["x-request-id"]
    assert response.headers["cache-control"] == "no-store"
    return body
