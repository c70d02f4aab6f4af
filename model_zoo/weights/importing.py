"""Imports untrusted weight files, in a separate process that can be killed.

The process (`python -m model_zoo.weights.reading`) reads the files once, and writes one safetensors
file that the rest of the package trusts. It ends with this one.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import ImportLimits, NamedFile
from model_zoo.weights.store import Checkpoint, CheckpointStore, now

_ROOT = str(Path(__file__).resolve().parents[2])
# For the interpreter to start, and to be ended.
_GRACE_SECONDS = 30


_DEFAULT_LIMITS = ImportLimits()
_running: set["subprocess.Popen[bytes]"] = set()


def end_imports() -> None:
    """Cancel the imports that are running in this process; their callers get an error."""
    for process in list(_running):
        process.kill()


def import_id(digests: Mapping[str, str], member: str | None = None) -> str:
    """Return the id of an import: the SHA-256 of its one file, as hexadecimal.

    Of several files it is that of the lines that `sha256sum` prints for them, sorted by name. A
    member of an archive adds a line of its name.
    """
    if len(digests) == 1 and member is None:
        return next(iter(digests.values()))
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    if member is not None:
        lines.append(f"member {member}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def import_checkpoint(
    store: CheckpointStore,
    files: Sequence[NamedFile],
    *,
    name: str | None = None,
    member: str | None = None,
    limits: ImportLimits = _DEFAULT_LIMITS,
    digests: Mapping[str, str] | None = None,
) -> tuple[Checkpoint, bool]:
    """Import the one checkpoint in the files, and return it and whether it is new to the store.

    `member` names it where an archive holds several, `digests` has the files' SHA-256 by name where
    they are known already.
    Raises: WeightsError if there is not exactly one, if it is damaged, or if reading it exceeds the
    limits; OSError if a file cannot be read or the store cannot be written.
    """
    checkpoint_id = import_id(digests or {file.name: _sha256(file.path) for file in files}, member)
    try:
        return store.get(checkpoint_id), False
    except WeightsError:
        pass
    metadata = {
        "name": name or files[0].name,
        "size_bytes": str(sum(file.path.stat().st_size for file in files)),
        "created": now(),
    }
    with store.scratch() as folder:
        target = folder / "tensors.safetensors"
        _run(files, target, metadata, limits, member)
        return store.add(target, checkpoint_id)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _run(
    files: Sequence[NamedFile],
    target: Path,
    metadata: Mapping[str, str],
    limits: ImportLimits,
    member: str | None,
) -> None:
    """Run a process that reads the files and writes `target`, whose folder it may use as well."""
    request = {
        "files": [[file.name, str(file.path.absolute())] for file in files],
        "target": str(target.absolute()),
        "metadata": dict(metadata),
        "limits": asdict(limits),
        "member": member,
        "parent": os.getpid(),
    }
    where = files[0].name
    process = subprocess.Popen(
        [sys.executable, "-m", "model_zoo.weights.reading"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
        cwd=target.parent,
        start_new_session=True,  # a terminal's Ctrl-C goes to the parent, which ends it
    )
    with process:
        _running.add(process)
        try:
            stdout, stderr = process.communicate(
                json.dumps(request).encode(), limits.seconds + _GRACE_SECONDS
            )
        except subprocess.TimeoutExpired:
            raise WeightsError(f"{where} was not read within {limits.seconds} s.") from None
        finally:
            _running.discard(process)
            process.kill()
    if process.returncode == 0:
        answer = json.loads(stdout)
        if answer["problems"]:
            raise WeightsError(*answer["problems"])
        if answer["errno"]:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return
    if process.returncode == -signal.SIGXCPU:
        raise WeightsError(f"{where} was not read within {limits.seconds} s.")
    if process.returncode < 0:
        signal_name = signal.Signals(-process.returncode).name
        raise WeightsError(
            f"{where} cannot be read: the process that tried was ended by {signal_name}, within "
            f"{limits.memory_bytes} bytes of memory."
        )
    raise RuntimeError(stderr.decode("utf-8", "replace")[-2000:])


def _environment() -> dict[str, str]:
    """Return the environment that the process needs, without our settings or secrets."""
    environment = {key: os.environ[key] for key in ("PATH", "LANG", "LC_ALL") if key in os.environ}
    return {
        **environment,
        "PYTHONPATH": _ROOT,
        "PYTHONSAFEPATH": "1",  # not the folder that it runs in, where the files are
        "PYTHONDONTWRITEBYTECODE": "1",
        # Threads of a matrix library would take address space, and nothing here multiplies.
        "OPENBLAS_NUM_THREADS": "1",
    }
