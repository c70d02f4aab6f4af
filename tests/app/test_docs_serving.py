"""docs/serving.md tells the truth: its commands are run by a shell, in order, and so is its Python.

`python tests/app/test_docs_serving.py` writes the answers anew.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from docs_page import Run, as_typed, new_shell, rewritten, steady
from zoo_server import ROOT, Server

PAGE = ROOT / "docs" / "serving.md"
END = "<end of a command>"
# Which engine is the faster, and what it computes exactly, differs from processor to processor.
CHANGING = (
    (r'("engine": ?)"(onnxruntime|tensorflow)"', r'\1"..."'),
    (r'("measured_difference": ?)"[^"]*"', r'\1"..."'),
    (r'("memory_bytes": ?)"[0-9]+"', r'\1"..."'),
    (r"(\d\.\d\d)\d*(\.\.\.)?", r"\1..."),
)


def in_shell(server: Server, folder: Path) -> Run:
    """Return what runs the commands of a block in one shell, in a folder that has the examples."""
    (folder / "examples").symlink_to(ROOT / "examples")
    address = server.url.removeprefix("http://")

    def run(commands: Sequence[str]) -> Sequence[str]:
        script = "\n".join(f"{command}\nprintf '%s' '{END}'" for command in commands)
        done = subprocess.run(
            ["bash", "-c", as_typed(script, address)],
            cwd=folder,
            env=new_shell(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert not done.stderr, done.stderr
        return [printed.rstrip("\n") for printed in done.stdout.split(END)[:-1]]

    return run


def ran(server: Server, folder: Path, page: str) -> str:
    """Return the page as it really goes; its Python is run at its place, and checks itself."""
    server.worker_pid()
    run = in_shell(server, folder)
    parts = re.split(r"(?s)(```python\n.*?\n```)", page)
    for index, part in enumerate(parts):
        if part.startswith("```python"):
            code = part.removeprefix("```python\n").removesuffix("```")
            run([f".venv/bin/python - <<'CODE'\n{code}CODE"])
        else:
            parts[index] = rewritten(part, run)
    return "".join(parts)


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real program, without requests of other tests: the page counts its own."""
    server = Server(tmp_path_factory.mktemp("serving"))
    yield server
    server.end()


def test_every_answer_on_the_page_is_real(own_server: Server, tmp_path: Path) -> None:
    page = PAGE.read_text()
    assert steady(ran(own_server, tmp_path, page), CHANGING) == steady(page, CHANGING)


def main() -> int:
    """Write the page's answers anew."""
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as folder:
        server = Server(Path(home))
        PAGE.write_text(ran(server, Path(folder), PAGE.read_text()))
        return server.end()


if __name__ == "__main__":
    sys.exit(main())
