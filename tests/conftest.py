"""`pytest --light` (`make check`) leaves out heavy tests: they use TensorFlow, a running service,
or seconds for processes of their own. Of tests over all architectures it runs those of one network
of each family.

A test is heavy if it is marked so, or if it names one of `HEAVY_NAMES`, itself or in a fixture or a
function of the tests that it uses. A module that cannot be imported without TensorFlow is left out
as a whole. A heavy test that this overlooks fails, by the guard in `light/sitecustomize.py`.
"""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
LIGHT = TESTS / "light"
# What needs TensorFlow, and what starts the program.
HEAVY_NAMES = {
    "tensorflow",
    "keras",
    "materialize",
    "materialize_graph",
    "probe",
    "Server",
    "Postgresql",
    "S3Server",
}

# HYPOTHESIS_PROFILE=fuzz (`make fuzz`) runs ten times the usual number of examples.
# None has a deadline, which would fail on a machine that does other work.
settings.register_profile("usual", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=1000)
settings.register_profile("light", deadline=None, max_examples=10)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--light", action="store_true", help="leave out TensorFlow and the service")
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="what the service of the tests keeps its builds in",
    )
    parser.addoption(
        "--files",
        choices=("folder", "s3"),
        default="folder",
        help="where the service of the tests keeps its files",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Choose the number of examples, and start the guard, in processes of tests as well."""
    gc.disable()  # until all is collected
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))
    config.addinivalue_line("markers", "heavy: TensorFlow, the service, or seconds")
    config.addinivalue_line("markers", "long: of a file that takes a minute, which starts early")
    config.addinivalue_line("markers", "sqlite: of the file of SQLite in a home")
    if config.getoption("--light"):
        settings.load_profile("light")
        inherited = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(LIGHT), *filter(None, inherited)])
        sys.path.insert(0, str(LIGHT))
        sys.modules.pop("sitecustomize", None)
        # The last two must not be refused, or every module of tests would be left out in silence.
        for module in ("sitecustomize", "model_zoo", "app.main"):
            importlib.import_module(module)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Iterator[None]:
    """Leave out a module whose imports the guard refused."""
    report = yield
    if report.failed and "pytest --light: " in str(report.longrepr):
        report.outcome = "skipped"
        report.longrepr = (str(collector.path), None, "Skipped: imports TensorFlow")
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what is heavy, and leave it out of a light run; put the files that take longest first.

    `--no-loadscope-reorder` lets pytest-xdist keep that order. It leaves short files for the end,
    when one process would else run a long file alone.
    """
    for item in items:
        if isinstance(item, pytest.Function) and is_heavy(item):
            item.add_marker("heavy")
    left_out = {item for item in items if not is_for_state(item)}
    if config.getoption("--light"):
        left_out |= {
            item for item in items if item.get_closest_marker("heavy") or is_relative(item)
        }
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))
    files = {
        mark: {item.path for item in items if item.get_closest_marker(mark)}
        for mark in ("long", "heavy")
    }
    items.sort(key=lambda item: [item.path not in marked for marked in files.values()])


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lives until the end: modules, and thousands of tests.

    A trace and a Keras model are thousands of objects, nearly all of them alive: it looks at them
    less often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


def is_for_state(item: pytest.Item) -> bool:
    """Whether a test can come out otherwise with the database and the files that it is run with.

    Without options it is run anyway. With others, what does not take its state from `new_state` is
    as it was, and so is what names another place for its files.
    """
    in_postgresql = item.config.getoption("--database") != "sqlite"
    in_bucket = item.config.getoption("--files") != "folder"
    if not in_postgresql and not in_bucket:
        return True
    if not isinstance(item, pytest.Function) or "new_state" not in item.fixturenames:
        return False
    if in_postgresql and item.get_closest_marker("sqlite"):
        return False
    place = item.callspec.params.get("file_place") if hasattr(item, "callspec") else None
    return not (in_bucket and place == "folder")


def is_relative(item: pytest.Item) -> bool:
    """Whether a test over all architectures is here about one that another stands for."""
    # Not at the top: the guard comes before.
    from small import FAMILIES

    from model_zoo import list_architectures

    return any(
        mark.args[1] == list_architectures() and item.callspec.params[mark.args[0]] not in FAMILIES
        for mark in item.iter_markers("parametrize")
    )


def is_heavy(item: pytest.Function) -> bool:
    """Whether a test, a fixture that it uses, or what these call, names what is heavy."""
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    waiting = [item.function, *(definitions[-1].func for definitions in fixtures)]
    seen = set(waiting)
    while waiting:
        names, called = names_and_calls(waiting.pop())
        if names & HEAVY_NAMES:
            return True
        waiting += called - seen
        seen |= called
    return False


@cache
def names_and_calls(function: Callable[..., object]) -> tuple[set[str], set[FunctionType]]:
    """Return the names in a function of the tests, and those of its module's functions it calls."""
    code = getattr(function, "__code__", None)
    if code is None or TESTS not in Path(code.co_filename).parents:
        return set(), set()
    names = set(names_in(code))
    values = map(function.__globals__.get, names)
    return names, {value for value in values if isinstance(value, FunctionType)}


def names_in(code: CodeType) -> Iterator[str]:
    """Return the global names and attributes of a function and of those inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)
