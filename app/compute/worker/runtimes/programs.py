"""The programs of a runtime, one for each set of outputs."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from app.arrays import OUTPUT
from app.compute.worker.runtimes import MAX_PROGRAMS

Program = TypeVar("Program")


class Programs(Generic[Program]):
    """The program for the network's own output, which stays, and the few others used last."""

    def __init__(self, make: Callable[[tuple[str, ...]], Program]) -> None:
        self._make = make
        self._main = make((OUTPUT,))
        self._others: OrderedDict[tuple[str, ...], Program] = OrderedDict()

    def get(self, outputs: Sequence[str]) -> Program:
        """Return the program for some outputs, made now if there is none."""
        names = tuple(outputs)
        if names == (OUTPUT,):
            return self._main
        program = self._others.pop(names, None) or self._make(names)
        self._others[names] = program
        while len(self._others) > MAX_PROGRAMS:
            self._others.popitem(last=False)
        return program
