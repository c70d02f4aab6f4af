"""Programs of other projects that some tests run."""

import os
import shutil
from pathlib import Path

import pytest


def find_program(name: str, package: str) -> str:
    """Return the path of a program; without it, skip the test, and fail it in CI."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        skip_or_fail(f"{name} is not installed (Debian: apt-get install {package})")
    assert path is not None
    return str(Path(path))


def skip_or_fail(reason: str) -> None:
    """Skip a test for a reason; fail it in CI, where everything is to be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
