"""Pages with blocks of commands or of Python: what these print must be what the page shows."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

# What differs from one request, or one processor, to the next.
CHANGING = (
    (r'"(created|request_id)": ?"[^"]*"', r'"\1": "..."'),
    (r"(?m)^(date|etag|x-request-id|server-timing): .*", r"\1: ..."),
    (r"\.py:\d+", ".py:N"),
    (r"(\d\.\d\d)\d{4,}(e-\d+)?", r"\1...\2"),
)

BIN = Path(sys.executable).parent

# Returns what each of the commands of a block prints.
Run = Callable[[Sequence[str]], Sequence[str]]


def rewritten(page: str, run: Run) -> str:
    """Return a page with every console block as it really goes."""

    def block(match: re.Match[str]) -> str:
        commands = re.findall(r"(?m)^\$ (.*)$", match[1])
        lines = []
        for command, printed in zip(commands, run(commands), strict=True):
            lines += [f"$ {command}", *([printed] if printed else [])]
        return "```console\n" + "\n".join(lines) + "\n```"

    return re.sub(r"```console\n(.*?)\n```", block, page, flags=re.DOTALL)


def steady(text: str, changing: Sequence[tuple[str, str]] = ()) -> str:
    """Return a text without what changes."""
    for pattern, replacement in (*CHANGING, *changing):
        text = re.sub(pattern, replacement, text)
    return text


def new_shell() -> dict[str, str]:
    """Return the environment of a shell in which this Python's environment is not active."""
    folders = os.environ["PATH"].split(os.pathsep)
    return {**os.environ, "PATH": os.pathsep.join(each for each in folders if Path(each) != BIN)}


def as_typed(command: str, address: str = "") -> str:
    """Return a command of a page for this environment and the service under test."""
    return command.replace(".venv/bin/", f"{BIN}/").replace("127.0.0.1:8000", address)
