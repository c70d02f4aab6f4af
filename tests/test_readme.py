"""README and pages of docs/ do what they say: commands run, answers compared, Python executed."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from docs_page import as_typed, new_shell
from zoo_server import ROOT, Server

README = (ROOT / "README.md").read_text(encoding="utf-8")
SCOPES = (ROOT / "docs" / "scopes.md").read_text(encoding="utf-8")
EXPERIMENTS = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")
PAGES = README + SCOPES + EXPERIMENTS + PAGE
CONSOLE = re.findall(r"```console\n(.*?)```", PAGES, re.DOTALL)
PYTHON = re.findall(r"```python\n(.*?)```", PAGES, re.DOTALL)
COMMANDS = [
    (command, answer)
    for block in CONSOLE
    for command, answer in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service, as `make run` starts it."""
    server = Server(tmp_path_factory.mktemp("readme"))
    yield str(server.client().base_url).removeprefix("http://").rstrip("/")
    server.end()


def rounded(text: str) -> str:
    """Return a text with its decimals cut to four digits: kernels differ in the last ones."""
    return re.sub(r"\d+\.\d{6,}", lambda number: f"{float(number[0]):.4g}", text)


def test_the_examples_are_found() -> None:
    assert len(COMMANDS) == PAGES.count("\n$ ")
    assert len(COMMANDS) >= 8


def test_commands_run_where_no_environment_is_active() -> None:
    assert shutil.which("model-zoo", path=new_shell()["PATH"]) is None


@pytest.mark.parametrize(("command", "answer"), COMMANDS, ids=range(len(COMMANDS)))
def test_command_answers_as_shown(address: str, command: str, answer: str) -> None:
    done = subprocess.run(
        ["bash", "-c", as_typed(command, address)],
        cwd=ROOT,
        env=new_shell(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert rounded(done.stdout) == rounded(answer), done.stderr


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


def test_files_are_the_ones_shown() -> None:
    shown = re.findall(r"```json\n(.*?)```", PAGES, re.DOTALL)
    files = [
        (ROOT / "examples" / f"{name}.json").read_text(encoding="utf-8")
        for name in ("demo", "block_without_batch_norm", "group_norm")
    ]
    assert shown == files
