"""The imports of a piece of code, collected while its lines are spelled."""

import sys
from collections.abc import Sequence

from model_zoo.reports.code.layout import import_lines


class Imports:
    """Modules, and names from modules, each under one local name."""

    def __init__(self, *taken: str) -> None:
        """Begin without imports; `taken` are names that the code itself uses."""
        self._taken = set(taken)
        self._modules: set[str] = set()
        self._local: dict[tuple[str, str], str] = {}

    def module(self, module: str, local: str | None = None) -> str:
        """Import a module, and return the name it has here."""
        self._modules.add(f"{module} as {local}" if local else module)
        self._taken.add(local or module)
        return local or module

    def member(self, module: str, name: str) -> str:
        """Import a name from a module, and return the one it has here."""
        if (module, name) not in self._local:
            local, number = name, 2
            while local in self._taken:
                local, number = f"{name}_{number}", number + 1
            self._taken.add(local)
            self._local[module, name] = local
        return self._local[module, name]

    def lines(self) -> list[str]:
        """Return the lines that import everything."""
        members: dict[str, list[str]] = {}
        for (module, name), local in self._local.items():
            as_local = name if local == name else f"{name} as {local}"
            members.setdefault(module, []).append(as_local)
        return import_lines(self._modules, members.items())


def home_of(thing: object, name: str, modules: Sequence[str]) -> str | None:
    """Return the first of the modules that has a thing under a name, if any does."""
    return next(
        (module for module in modules if getattr(sys.modules.get(module), name, None) == thing),
        None,
    )
