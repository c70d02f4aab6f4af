"""Refuses TensorFlow, Keras and the service's processes: what `pytest --light` runs without.

Python imports a module of this name when it starts, so processes that a test starts are held to it.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

MARK_IT = "pytest --light: mark this test with @pytest.mark.heavy, as it "


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise on what only heavy tests may do. Raises: ImportError, PermissionError."""
    # By the package: `importlib` reports no import of a name itself, but the package's own follow.
    if event == "import" and arguments[0].split(".")[0] in ("tensorflow", "keras"):
        raise ImportError(f"{MARK_IT}imports {arguments[0]}.")
    if event == "subprocess.Popen" and _starts_the_service(arguments[1]):
        raise PermissionError(f"{MARK_IT}starts the service or a worker.")


def _starts_the_service(command: str | Sequence[Any]) -> bool:
    words = command.split() if isinstance(command, str) else [str(word) for word in command]
    return any(
        option == "-m" and module.split(".")[0] == "app" for option, module in pairwise(words)
    )


sys.addaudithook(refuse)
