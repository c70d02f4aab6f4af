"""The names in the code say what things are, in the words of `docs/terms.md`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted([*(ROOT / "model_zoo").rglob("*.py"), *(ROOT / "app").rglob("*.py")])

# They fit everything, so they name nothing.
EMPTY_WORDS = {"found", "told", "how", "asked", "wanted", "question", "kept"}
# A model, a version and a loaded model could not be told apart by these.
PARTICIPLES = {"servable", "servables", "served", "serving"}


def names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the names that a module gives, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.arg(arg=name):
                yield name, node.lineno
            case ast.Name(id=name, ctx=ast.Store()):
                yield name, node.lineno
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name, node.lineno


def empty_names(source: str) -> list[tuple[str, int]]:
    """Return the names that are an empty word, with their lines."""
    refused = EMPTY_WORDS | PARTICIPLES
    return [
        (name, line)
        for name, line in names(ast.parse(source))
        if name.strip("_").lower() in refused
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_say_what_things_are(path: Path) -> None:
    assert empty_names(path.read_text()) == []


def test_an_empty_name_is_seen() -> None:
    source = "class Asked: ...\ndef _told(how): ...\nself.found = [kept for kept in ()]\n"
    assert [name for name, _ in empty_names(source)] == ["Asked", "_told", "found", "how", "kept"]
