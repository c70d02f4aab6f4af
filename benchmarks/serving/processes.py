"""The processes of a server: started on a free port, looked at in /proc, ended together."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.environments import PeerError

_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A program that serves."""

    pid: int
    port: int
    started: float  # of time.perf_counter()
    folder: Path  # its own, gone when it ends
    log: Path
    process: "subprocess.Popen[bytes]"

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return ("127.0.0.1", self.port)

    def check(self) -> None:
        """Raises: PeerError with the end of the log if the program has ended."""
        status = self.process.poll()
        if status is not None:
            raise PeerError(f"The server ended with status {status}:\n{self.last_lines()}")

    def last_lines(self, count: int = 15) -> str:
        """Return the end of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-count:])


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], environment: Mapping[str, str], port: int) -> Iterator[Server]:
    """Start a program in a folder of its own, its home too; end it and its children afterwards."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log = folder / "log"
        with log.open("wb") as stream:
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "HOME": name, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield Server(process.pid, port, started, folder, log, process)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program's whole session: some leave children behind."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    for pid in _session(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _session(leader: int) -> list[int]:
    return [pid for pid, fields in _stats() if int(fields[3]) == leader]


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    return [child for child, fields in _stats() if int(fields[1]) == pid and fields[0] != "Z"]


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Yield every process with the fields of its `stat` from the state on."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            yield int(entry.name), stat.rpartition(")")[2].split()


def command_line(pid: int) -> list[str]:
    """Return the arguments that a process was started with."""
    data = Path(f"/proc/{pid}/cmdline").read_bytes()
    return [part.decode() for part in data.split(b"\0") if part]


def resident_kib(pid: int) -> int:
    """Return the memory of a process that is in RAM."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise PeerError(f"Process {pid} has ended.")


def proportional_kib(pid: int) -> int:
    """Return the memory of a process that is in RAM, with its share of what others use too."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise PeerError(f"Process {pid} has ended.")


def descriptors(pid: int) -> int:
    """Return how many files a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
