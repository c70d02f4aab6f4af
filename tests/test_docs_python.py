"""docs/python.md is one program: what it prints is what the page shows.

`python tests/test_docs_python.py` writes the output anew.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from docs_page import new_shell
from zoo_server import ROOT

PAGE = ROOT / "docs" / "python.md"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:```text\n(.*?)```)?", re.DOTALL)
END = "<end of a block>"


def printed(page: str, folder: Path) -> list[str]:
    """Return what each block of Python prints, run as one program in a folder."""
    for name in ("examples", "tests"):
        (folder / name).symlink_to(ROOT / name)
    blocks = [code for code, _ in BLOCK.findall(page)]
    done = subprocess.run(
        [sys.executable, "-c", f"print({END!r})\n".join([*blocks, ""])],
        cwd=folder,
        env={**new_shell(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(f"{END}\n")[:-1]


@pytest.mark.heavy
def test_every_block_prints_what_the_page_shows(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert printed(page, tmp_path) == [shown for _, shown in BLOCK.findall(page)]


def main() -> None:
    """Write the page's output anew."""
    page = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        outputs = iter(printed(page, Path(folder)))

    def block(match: re.Match[str]) -> str:
        output = next(outputs)
        return f"```python\n{match[1]}```\n" + (f"```text\n{output}```" if output else "")

    PAGE.write_text(BLOCK.sub(block, page), encoding="utf-8")


if __name__ == "__main__":
    main()
