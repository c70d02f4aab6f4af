"""The installed packages of architectures: each is loaded once, and none can break the others."""

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from model_zoo.errors import ZooError
from model_zoo.registries import all_or_nothing

ENTRY_POINTS = "model_zoo.architectures"
_LONGEST_REASON = 500
_MOST_NAMED = 3
_OWN_FOLDER = str(Path(__file__).parent)


class FailedPackage(NamedTuple):
    """A package whose architectures are left out: the module that it offers, and why.

    `names` are those that it had registered before it failed.
    """

    package: str
    module: str
    reason: str
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return (
            f"The package {self.package} was left out, because its module {self.module} failed: "
            f"{self.reason}"
        )


_lock = threading.RLock()
_is_loaded = False
_failed: list[FailedPackage] = []


def load_packages(check: Callable[[set[str]], None]) -> None:
    """Import what installed packages offer as entry points, once in a process.

    `check` is called with the names that a package has registered. If it or the import fails, they
    are taken back, and `failures` says why.
    """
    global _is_loaded
    if _is_loaded:
        return
    with _lock:
        if _is_loaded:  # by another thread, or by a package that asks for the catalogue
            return
        _is_loaded = True
        # Imported here: it takes as long as the rest of this package, and few processes need it.
        from importlib.metadata import entry_points

        offered = entry_points(group=ENTRY_POINTS)
        # In one order, so that every process gives a name that two packages want to the same one.
        for entry_point in sorted(offered, key=lambda each: (each.name, each.value)):
            names: set[str] = set()
            try:
                with all_or_nothing() as added:
                    try:
                        entry_point.load()
                        check(added())
                    finally:
                        names = added()
            except KeyboardInterrupt:
                _is_loaded = False
                raise
            except BaseException as error:  # a package may raise SystemExit, or its own
                package = entry_point.dist.name if entry_point.dist else entry_point.name
                reason = describe_error(error)
                _failed.append(FailedPackage(package, entry_point.value, reason, frozenset(names)))


def failures() -> tuple[FailedPackage, ...]:
    """Return the packages that could not be loaded so far."""
    return tuple(_failed)


def why_missing(name: str) -> str:
    """Return the sentences that end a message about an unknown name: it may be a failed package's.

    They begin with a space; there are none if every package was loaded. Which names a package would
    have registered is known only as far as it came.
    """
    owners = [failure for failure in _failed if name in failure.names] or _failed
    more = len(owners) - _MOST_NAMED
    sentences = "".join(f" {failure}" for failure in owners[:_MOST_NAMED])
    return f"{sentences} {more} more packages were left out." if more > 0 else sentences


def describe_error(error: BaseException) -> str:
    """Return what an error says, and where it was raised outside of this package."""
    text = str(error).split("\n")[0]
    if not isinstance(error, ZooError):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if len(text) > _LONGEST_REASON:
        text = text[:_LONGEST_REASON] + "..."
    place = None if isinstance(error, SyntaxError) else _place(error.__traceback__)
    return f"{text.removesuffix('.')}{f' ({place})' if place else ''}."


def _place(trace: TracebackType | None) -> str | None:
    import traceback  # few processes need it

    foreign = [
        frame
        for frame in traceback.extract_tb(trace)
        if not frame.filename.startswith((_OWN_FOLDER, "<frozen"))
        and "importlib" not in Path(frame.filename).parts
    ]
    return f"{Path(foreign[-1].filename).name}:{foreign[-1].lineno}" if foreign else None
