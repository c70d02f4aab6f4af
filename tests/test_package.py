"""What holds of the package as a whole: its public names, its direction, its messages."""

import ast
import doctest
import graphlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

import app
import model_zoo

ROOT = Path(model_zoo.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))
SOURCES = [*MODULES, *sorted(Path(str(app.__file__)).parent.rglob("*.py"))]

# Each room may import those before it, and its own modules.
DIRECTION = (
    "errors",
    "file_locks",
    "patterns",
    "strict_json",
    "tables",
    "unknown_arguments",
    "registries",
    "packages",
    "provenance",
    "setters",
    "scope_chain",
    "arg_scope",
    "values",
    "graph",
    "activations",
    "primitives",
    "bias_folding",
    "resizing",
    "layers",
    "architectures",
    "plain_values",
    "signatures",
    "mistakes",
    "zoo",
    "weight_sources",
    "budget",
    "saved_scopes",
    "level_format",
    "format_problems",
    "levels",
    "spec",
    "reports",
    "predicted_signal",
    "network_runs",
    "remedies",
    "tracing",
    "sweeps",
    "onnx_options",
    "onnx_lowering",
    "weights",
    "image_files",
    "preprocessing",
    "classification",
    "lowering",
    "probing",
    "saving",
    "verify",
    "cli",
)
# The public face re-exports from everywhere.
FACE = "__init__"


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield the modules of this package that a module imports, for types and in functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "model_zoo":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if module_path(name).is_file() else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("model_zoo"))


def module_path(name: str) -> Path:
    """Return where a module of this package stands."""
    path = ROOT.parent.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_every_room_has_a_place_in_the_direction() -> None:
    assert {room(path) for path in MODULES} == {*DIRECTION, FACE}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    if room(path) == FACE:
        return
    own = DIRECTION.index(room(path))
    for imported in map(module_path, imports(path)):
        assert DIRECTION.index(room(imported)) <= own, f"{room(path)} imports {imported}"


def test_imports_make_no_circles() -> None:
    """Of modules, not of rooms alone; a package's face may import its modules."""
    needs = {
        path: {other for other in map(module_path, imports(path)) if other.name != "__init__.py"}
        for path in MODULES
        if path.name != "__init__.py"
    }
    # Raises CycleError, which names the circle.
    assert len(list(graphlib.TopologicalSorter(needs).static_order())) == len(needs)


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


def test_the_service_is_named_in_one_place() -> None:
    """Where commands of `model-zoo` import it, late; the library works without it."""
    naming = {
        path.relative_to(ROOT).as_posix()
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.value]
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            else []
        )
        if re.fullmatch(r"app(\.\w+)*", name)
    }
    assert naming == {"cli/service.py"}


def examples(packages: Sequence[ModuleType]) -> list[str]:
    """Return the modules with examples in their docstrings."""
    paths = [Path(str(each.__file__)).parent for each in packages]
    return [
        ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")
        for root in paths
        for path in sorted(root.rglob("*.py"))
        if ">>> " in path.read_text()
    ]


@pytest.mark.parametrize("name", examples([model_zoo, app]))
def test_examples_in_docstrings_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


def messages(tree: ast.AST) -> Iterator[tuple[ast.Call, list[ast.expr]]]:
    """Yield what raises or describes an error, with the sentences among its arguments."""
    raised = {node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
        if call in raised or name in ("Problem", "unknown_name") or name.endswith("Error"):
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            yield call, [each for each in arguments if " " in literal_text(each)]


def literal_text(node: ast.expr) -> str:
    """Return what a string says by itself; what is filled in is left out."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(literal_text, node.values))
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def mistakes(source: str) -> list[str]:
    """Return what is wrong with messages: raised in pieces, or braces that are not filled in."""
    calls = list(messages(ast.parse(source)))
    pieces = [f"line {call.lineno} raises in pieces" for call, texts in calls if len(texts) > 1]
    return pieces + [
        f"line {call.lineno} is not filled in"
        for call, texts in calls
        for text in texts
        if isinstance(text, ast.Constant) and re.search(r"%[sdr]|\{\w", text.value)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_messages_are_formatted(path: Path) -> None:
    """A message is one string, with no braces that were meant to be filled in."""
    assert mistakes(path.read_text()) == []


@pytest.mark.parametrize(
    ("source", "mistake"),
    [
        ("raise ValueError('is too large', value)", None),
        ("raise ValueError('It is too', 'large by far')", "line 1 raises in pieces"),
        ("raise OwnError('kind', 'is {value}')", "line 1 is not filled in"),
        ("raise own(Problem('It is %s', '/place'))", "line 1 is not filled in"),
        ("problems.append(Problem('It is {value} now', pointer))", "line 1 is not filled in"),
        ("unknown_name(pointer, 'There is no {name!r}.', name, known)", "line 1 is not filled in"),
        ("raise errors.InputError(f'It is {value}')", None),
        ("raise InputError('The JSON must be {\"b64\": ...}')", None),
    ],
)
def test_message_that_is_not_formatted_is_seen(source: str, mistake: str | None) -> None:
    assert mistakes(source) == ([] if mistake is None else [mistake])
