"""The peers' environments: each has a folder for the packages it pins, and shares the rest.

TensorFlow, Keras, NumPy and `model_zoo` are those of the environment that runs the benchmark; what
a peer pins otherwise comes first on its path.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / ".peers"
_PINS = Path(__file__).with_name("peers")
# Sorted last of the folder's .pth files, so that its lines are at the end of the path.
_SHARED = "zz_shared.pth"


class PeerError(Exception):
    """A peer cannot be measured; says why."""


def environment(name: str) -> Path:
    """Return the folder of a peer's programs, made now if there is none of these pins.

    Raises: PeerError if the peer cannot be installed.
    """
    folder = FOLDER / name
    pins = _PINS / f"{name}.txt"
    shared = f"{sysconfig.get_path('purelib')}\n{ROOT}\n"
    wanted = shared + pins.read_text(encoding="utf-8")
    stamp = folder / ".installed"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"installing {name}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _run(name, [sys.executable, "-m", "venv", str(folder)])
        # The list is complete, so nothing is looked for beside it.
        install = "-m pip install --quiet --disable-pip-version-check --no-deps --requirement"
        _run(name, [str(folder / "bin" / "python"), *install.split(), str(pins)])
        (_packages(folder) / _SHARED).write_text(shared, encoding="utf-8")
        stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin"


def _packages(folder: Path) -> Path:
    folder: str = sysconfig.get_path(
        "purelib", scheme="venv", vars={"base": str(folder), "platbase": str(folder)}
    )
    return Path(folder)


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        # Beside them, pip tells where it looked, which is the machine's affair.
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        raise PeerError(f"{name} cannot be installed: {' '.join(errors or lines[-1:])}")
