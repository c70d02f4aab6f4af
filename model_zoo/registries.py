"""Things by name that installed packages may add to: architectures, scoped ops, values."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

V = TypeVar("V")

_registries: "list[Registry[Any]]" = []


class Registry(dict[str, V]):
    """Things of one kind by name; `what` is one of them in words."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self._modules: dict[str, str] = {}
        _registries.append(self)

    def add(self, name: str, value: V, function: Callable[..., Any]) -> None:
        """Add what a function makes or is.

        Raises: ValueError if the name is taken.
        """
        if name in self:
            raise ValueError(f"There is already {self._what} named {name}.")
        self[name] = value
        self._modules[name] = function.__module__

    def take_back(self, name: str) -> str:
        """Remove a name, and return the module that added it."""
        del self[name]
        return self._modules.pop(name)


@contextlib.contextmanager
def all_or_nothing() -> Iterator[Callable[[], set[str]]]:
    """Yield what returns the names that were added inside; an error takes them all back."""
    before = [set(registry) for registry in _registries]
    imported = set(sys.modules)

    def added() -> Iterator[tuple[Registry[Any], str]]:
        for registry, known in zip(_registries, before, strict=True):
            yield from ((registry, name) for name in set(registry) - known)

    try:
        yield lambda: {name for _, name in added()}
    except BaseException:
        for module in {registry.take_back(name) for registry, name in added()} - imported:
            # Whoever else needs it imports it anew, and so adds the names again.
            sys.modules.pop(module, None)
        raise
