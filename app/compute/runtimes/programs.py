"""What a runtime has made for each set of outputs that was asked for."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from app.arrays import OUTPUT
from app.compute.runtimes import MAX_PROGRAMS

Program = TypeVar("Program")


class Programs(Generic[Program]):
    """The network's own output's program, which stays, and a few others, used last."""

    def __init__(self, make: Callable[[tuple[str, ...]], Program]) -> None:
        self._make = make
        self._main = make((OUTPUT,))
        self._others: OrderedDict[tuple[str, ...], Program] = OrderedDict()

    @property
    def main(self) -> Program:
        """The program for the network's own output."""
        return self._main

    def get(self, outputs: Sequence[str]) -> Program:
        """Return the program for some outputs, made now if there is none."""
        names = tuple(outputs)
        if names == (OUTPUT,):
            return self._main
        found = self._others.pop(names, None) or self._make(names)
        self._others[names] = found
        while len(self._others) > MAX_PROGRAMS:
            self._others.popitem(last=False)
        return found
