"""What holds of the package as a whole: its public names, its direction, its messages."""

import ast
import doctest
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import model_zoo

ROOT = Path(model_zoo.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))

# Each room may import those before it, and its own modules.
DIRECTION = (
    "errors",
    "strict_json",
    "tables",
    "provenance",
    "arg_scope",
    "values",
    "graph",
    "activations",
    "primitives",
    "bias_folding",
    "layers",
    "architectures",
    "plain_values",
    "signatures",
    "zoo",
    "weight_sources",
    "spec",
    "reports",
    "tracing",
    "onnx_lowering",
    "weights",
    "preprocessing",
    "classification",
    "lowering",
    "saving",
    "verify",
    "cli",
)
# The public face re-exports from everywhere.
FACE = "__init__"


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield the modules of this package that a module imports when it is imported."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("model_zoo"):
            parts = (node.module or "").split(".")[1:]
            yield from [parts[0]] if parts else [alias.name for alias in node.names]


def test_every_room_has_a_place_in_the_direction() -> None:
    assert {room(path) for path in MODULES} == {*DIRECTION, FACE}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    if room(path) == FACE:
        return
    own = DIRECTION.index(room(path))
    for imported in imports(ast.parse(path.read_text())):
        assert DIRECTION.index(imported) <= own, f"{room(path)} imports {imported}"


@pytest.mark.heavy
def test_public_names_are_sorted_and_there() -> None:
    names = model_zoo.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name.islower(), name))
    assert all(hasattr(model_zoo, name) for name in names)
    assert len(set(names)) == len(names)


def test_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'model_zoo' has no attribute 'nothing'"):
        _ = model_zoo.nothing


def test_import_is_light() -> None:
    code = "import sys, model_zoo; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["tensorflow", "keras", "numpy", "PIL", "pydantic", "fastapi", "app"]
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["model_zoo", "model_zoo.errors", "model_zoo.arg_scope"])
def test_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_messages_are_formatted(path: Path) -> None:
    """A raise has one message, and no braces that were meant to be filled in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
            continue
        texts = [arg for arg in node.exc.args if isinstance(arg, (ast.Constant, ast.JoinedStr))]
        assert len(texts) <= 1, f"{path.name}:{node.lineno} raises in pieces"
        for text in texts:
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                assert "%s" not in text.value, f"{path.name}:{node.lineno}"
                assert "{" not in text.value, f"{path.name}:{node.lineno}"
