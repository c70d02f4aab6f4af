"""Check, on a machine without a GPU, that TensorFlow can open every CUDA library it needs.

TensorFlow opens these libraries by name when it first looks for GPUs. If it cannot open one, it
logs a line, skips all GPUs and computes on the CPU, so an image that lacks a library looks healthy.
On a machine without a driver it stops before that step, so this script calls the step directly.

Run it inside the image:

    docker run --rm --interactive --entrypoint python IMAGE - < scripts/check_cuda_libraries.py

Exit status: 0 if all libraries open, 1 if some do not, 2 if this TensorFlow cannot be checked.
"""

import ctypes
import os
import re
import sys
import tempfile
from pathlib import Path

# TensorFlow reads these when it is loaded: log all levels, and each opened library.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
os.environ["TF_CPP_VMODULE"] = "dso_loader=1"

# absl::Status tsl::internal::DsoLoader::TryDlopenCUDALibraries() of TensorFlow 2.21. The name is
# not public; if it disappears, this script needs another way to check.
SYMBOL = "_ZN3tsl8internal9DsoLoader22TryDlopenCUDALibrariesEv"

# An absl::Status is one word. This value means no error.
STATUS_OK = 1

OPENED = re.compile(r"Successfully opened dynamic library (\S+)")
MISSING = re.compile(r"Could not load dynamic library '([^']+)'")


def open_cuda_libraries() -> tuple[bool, str]:
    """Return whether TensorFlow opened all its CUDA libraries, and its log output."""
    import tensorflow as tf

    framework = Path(tf.__file__).parent / "libtensorflow_framework.so.2"
    try:
        open_all = getattr(ctypes.CDLL(str(framework)), SYMBOL)
    except AttributeError:
        print(f"TensorFlow {tf.__version__} has no {SYMBOL}: revise this check")
        sys.exit(2)
    # The status is returned through a pointer that the caller passes as a hidden first argument.
    open_all.restype = None
    status = ctypes.c_uint64(0)

    stderr = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)  # TensorFlow logs from C++, which bypasses sys.stderr
        try:
            open_all(ctypes.byref(status))
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        log.seek(0)
        text = log.read().decode(errors="replace")
    return status.value == STATUS_OK, text


def main() -> int:
    """Print each library with its outcome and return the exit status."""
    ok, log = open_cuda_libraries()
    missing = sorted(set(MISSING.findall(log)))
    for name in sorted(set(OPENED.findall(log)) - set(missing)):
        print(f"opened   {name}")
    for name in missing:
        print(f"missing  {name}")
    if not ok and not missing:
        print(log)
    print("all CUDA libraries can be opened" if ok else "TensorFlow would skip every GPU here")
    return 0 if ok and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
