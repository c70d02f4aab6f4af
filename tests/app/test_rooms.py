"""The rooms of the service: each imports those below it, and nothing leads in a circle."""

from pathlib import Path

import pytest
from imports import circles, imports, modules

import app

ROOT = Path(app.__file__).parent
MODULES = modules(ROOT)

# The lowest first: a room may import those before it, and its own modules.
ROOMS = (
    "version",
    "wording",
    "memory",
    "reach",
    "settings",
    "extras",
    "errors",
    "documents",
    "arrays",
    "body_fields",
    "engine",
    "protocols",
    "tasks",
    "store",
    "telemetry",
    "trace_threads",
    "callers",
    "builds",
    "serving",
    "http",
    "services",
    "api",
    "compute",
    "cluster",
    "main",
    "__main__",
)


def room(module: str) -> str:
    return module.split(".")[1]


def importers_of(name: str) -> set[str]:
    """Return the rooms whose modules import a module, or one in it."""
    return {
        room(module)
        for module, path in MODULES.items()
        for imported in imports(path, MODULES)
        if f"{imported}.".startswith(f"app.{name}.") and room(module) != name
    }


def test_every_room_has_a_place_in_the_order() -> None:
    assert {room(module) for module in MODULES if module != "app"} == set(ROOMS)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "app"])
def test_imports_go_down(module: str) -> None:
    own = ROOMS.index(room(module))
    for imported in imports(MODULES[module], MODULES):
        assert ROOMS.index(room(imported)) <= own, f"{module} imports {imported}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(ROOT) == []


def test_only_the_wiring_names_the_engine_and_the_locator() -> None:
    assert importers_of("compute") == {"cluster", "main"}
    assert importers_of("cluster") == {"main"}
    assert {
        module for module, path in MODULES.items() if "app.services" in imports(path, MODULES)
    } == {"app.main", "app.api.parts"}


@pytest.mark.parametrize("name", ["builds", "callers", "engine", "protocols", "serving", "store"])
def test_what_serves_knows_no_framework(name: str) -> None:
    """What serves can stand behind anything."""
    for module, path in MODULES.items():
        if module == f"app.{name}" or module.startswith(f"app.{name}."):
            text = path.read_text()
            assert "starlette" not in text, module
            assert "fastapi" not in text, module
