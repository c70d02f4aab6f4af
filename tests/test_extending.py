"""docs/extending.md: its package is installed, listed, built, explained and served."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_page import as_typed, new_shell

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "examples" / "tiny_zoo"
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
(CONSOLE,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", CONSOLE, re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the package is installed."""
    folder = tmp_path_factory.mktemp("tiny")
    source = shutil.copytree(PACKAGE, folder / "source")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-index", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*install, *options, folder / "site", source], check=True)
    return {**new_shell(), "PYTHONPATH": str(folder / "site")}


def test_page_shows_the_package() -> None:
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert shown == (PACKAGE / "tiny_zoo.py").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown == (PACKAGE / "pyproject.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("command", "answer"), COMMANDS, ids=range(len(COMMANDS)))
def test_command_answers_as_shown(installed: dict[str, str], command: str, answer: str) -> None:
    done = subprocess.run(
        ["bash", "-c", as_typed(command)],
        env=installed,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == answer, done.stderr


@pytest.mark.heavy
def test_network_is_lowered_and_served_like_any_other(installed: dict[str, str]) -> None:
    code = """
import numpy as np, model_zoo
trace = model_zoo.trace(model_zoo.BuildSpec.read({"architecture": "tiny_net"}))
assert trace.classes == 10 and trace.warnings == ()
model = model_zoo.materialize(trace)
assert model.predict(np.zeros((2, 32, 32, 3), np.float32)).shape == (2, 10)

from starlette.testclient import TestClient
from app.main import create_app
from app.settings import Settings
import tempfile
with TestClient(create_app(Settings(home=tempfile.mkdtemp(), device="cpu"))) as client:
    listed = client.get("/v1/architectures").json()["architectures"]
    assert "tiny_net" in [row["name"] for row in listed]
    assert client.get("/v1/ops/residual_unit").status_code == 200
    form = {"spec": (None, '{"architecture": "tiny_net"}'),
            "image": open("examples/picture.jpg", "rb")}
    answer = client.post("/v1/infer", files=form)
    assert len(answer.json()["predictions"][0]) == 5, answer.text
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env=installed, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
