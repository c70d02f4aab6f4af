"""The process that reads untrusted files: `python -m model_zoo.weights.reading`.

A request in JSON comes on standard input, the answer leaves on standard output. Memory, time, open
files and the sizes of files are limited before it reads any untrusted file.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import sys
from pathlib import Path

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import ImportLimits, NamedFile
from model_zoo.weights.reading.recognise import read_files
from model_zoo.weights.reading.safetensors_file import write_safetensors

# Beside what a limit allows: the header of the file that is written.
_HEADER_BYTES = 16 * 2**20
_OPEN_FILES = 256
_SPARE_SECONDS = 5
# Of what is left out: each may be long, and the header's strings may not.
_NAMED = 8


def main() -> None:
    """Answer the one request on standard input."""
    request = json.load(sys.stdin)
    _end_with(request["parent"])
    limits = ImportLimits(**request["limits"])
    error_number: int | None = None
    files = [NamedFile(name, Path(path)) for name, path in request["files"]]
    _restrict(limits, sum(file.path.stat().st_size for file in files))
    target = Path(request["target"])
    unpacked = target.with_name("unpacked")
    unpacked.mkdir()
    problems: list[str] = []
    try:
        contents = read_files(files, unpacked, limits, request["member"])
        metadata = {
            **request["metadata"],
            "format": contents.format,
            "left_out": json.dumps(contents.left_out[:_NAMED], ensure_ascii=False),
        }
        write_safetensors(target, contents.tensors, metadata)
    except WeightsError as error:
        problems = [str(problem) for problem in error.problems]
    except MemoryError:
        problems = [
            f"{files[0].name} takes more than {limits.memory_bytes} bytes of memory to read."
        ]
    except OSError as error:  # the disk is full, or gone
        error_number = error.errno or errno.EIO
    json.dump({"problems": problems, "errno": error_number}, sys.stdout)


def _end_with(parent: int) -> None:
    """End this process when its parent ends, even in the middle of a read."""
    if sys.platform == "linux":
        # By the thread that started this process, which waits for it.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            os._exit(0)


def _restrict(limits: ImportLimits, input_bytes: int) -> None:
    """Limit this process before it reads any untrusted file."""
    unpacked = limits.max_bytes + _HEADER_BYTES
    for what, limit in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        # Files are mapped, which takes addresses and no memory of its own.
        (resource.RLIMIT_AS, limits.memory_bytes + input_bytes + unpacked),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_FSIZE, unpacked),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        # Time has a signal of its own, which tells it from memory; at the hard limit it is SIGKILL.
        spare = _SPARE_SECONDS if what == resource.RLIMIT_CPU and hard != allowed else 0
        resource.setrlimit(what, (allowed, allowed + spare))


if __name__ == "__main__":
    main()
