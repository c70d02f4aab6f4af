"""The service as a benchmark sees it: the real program, asked over HTTP."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True)
class Service:
    """A running service: a client of it, and the API's process id."""

    client: httpx.Client
    pid: int

    def peak_bytes(self) -> int:
        """Return the API process's largest memory since the last `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self) -> int:
        """Begin to look for the peak anew, and return the memory now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise ValueError(name)


@contextmanager
def running_service() -> Iterator[Service]:
    """Start the service on a free port with a home of its own; end it afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen(
            [sys.executable, "-m", "app"],
            env={**os.environ, "ZOO_HOME": home, "ZOO_PORT": str(port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as client:
                _await_ready(client)
                yield Service(client, process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _await_ready(client: httpx.Client, seconds: float = 120) -> None:
    """Wait until the service answers and its worker has stopped importing on the other core."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if client.get("/healthz").json()["ready"]:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise TimeoutError("the service did not become ready")
