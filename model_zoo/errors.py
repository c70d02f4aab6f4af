"""What this package raises, and the one spelling of pointers and suggestions.

::

    ZooError                every error a caller can cause; carries `problems`
    ├── ScopeError          an arg scope cannot be entered: unknown op or argument
    ├── SpecError           a build spec is not valid (one problem per mistake)
    ├── BuildError          a network refuses its configuration at one layer
    │   └── SizeError       a layer does not fit the size of its input
    ├── BudgetError         a build is larger than the limits allow
    ├── InputError          an array or image does not fit the network
    ├── WeightsError        weights do not fit the network, or a file cannot be read
    └── OptionError         an option of a report or of a file does not accept its value

A problem's message has four parts: where, the rule, what was received, and what would be valid.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Self, TypeVar

# A request of a megabyte can hold tens of thousands of mistakes, each longer in words than there.
MAX_PROBLEMS = 100
# A longer name than this is no slip of a longest one here, and to compare it takes long.
_MAX_COMPARED_CHARACTERS = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands (JSON pointer), a whole sentence, the nearest valid value.

    Or it stands for `more` mistakes, which are only counted.
    """

    message: str
    pointer: str = ""
    received: object = None
    suggestion: str | None = None
    more: int = 0

    def __str__(self) -> str:
        return f"{self.pointer}: {self.message}" if self.pointer else self.message


class ZooError(Exception):
    """An error that a caller can cause and mend.

    `problems` are the first `MAX_PROBLEMS` that were found, and one that counts the others.
    """

    def __init__(self, *problems: Problem | str) -> None:
        self.problems = _first(
            [problem if isinstance(problem, Problem) else Problem(problem) for problem in problems]
        )
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error be pickled whatever its class takes to make one."""
        return _restored, (type(self), self.args, self.__dict__)

    def move_to(self, pointer: str) -> None:
        """Put the problems where the document that has them stands in a larger one."""
        self.problems = tuple(
            problem if problem.more else replace(problem, pointer=pointer + problem.pointer)
            for problem in self.problems
        )
        self.args = ("\n".join(str(problem) for problem in self.problems),)


def _restored(kind: type[ZooError], args: tuple[Any, ...], state: dict[str, Any]) -> ZooError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def describe_each(mistakes: Iterable[T], describe: Callable[[T], Problem]) -> Iterator[Problem]:
    """Yield the problem of each mistake; after `MAX_PROBLEMS`, one that counts the others.

    To find the nearest name takes up to a millisecond, so what is only counted is not described.
    """
    rest = iter(mistakes)
    yield from map(describe, islice(rest, MAX_PROBLEMS))
    if more := sum(1 for _ in rest):
        yield _count(more)


def _first(problems: list[Problem]) -> tuple[Problem, ...]:
    described = [problem for problem in problems if not problem.more]
    shown = described[:MAX_PROBLEMS]
    more = len(described) - len(shown) + sum(problem.more for problem in problems)
    return (*shown, _count(more)) if more else tuple(shown)


def _count(more: int) -> Problem:
    return Problem("1 more problem." if more == 1 else f"{more:,} more problems.", more=more)


class ScopeError(ZooError):
    """An arg scope cannot be entered; the scope that was active stays active."""


class SpecError(ZooError):
    """A build spec is not valid; every mistake found is in `problems`."""


class BuildError(ZooError):
    """A network refuses its configuration at one layer.

    While a trace runs, `layer` and `scopes` are filled in by it: the layer that refused, and the
    scoped arguments that were active there.
    """

    def __init__(self, message: str, *, received: object = None) -> None:
        self.layer: str | None = None
        self.scopes: tuple[str, ...] = ()
        super().__init__(Problem(message, received=received))

    def with_remedy(self, remedy: str, pointer: str = "", received: object = None) -> Self:
        """Return this error with what would avoid it, and the place in the request to blame."""
        (problem,) = self.problems
        error = type(self)(self._remedied(problem.message, remedy))
        received = received if pointer else problem.received
        error.problems = (replace(error.problems[0], pointer=pointer, received=received),)
        error.layer, error.scopes = self.layer, self.scopes
        return error

    def _remedied(self, message: str, remedy: str) -> str:
        return f"{message} {remedy[0].upper()}{remedy[1:]}."

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        scopes = f"\nScopes active there: {'; '.join(self.scopes)}" if self.scopes else ""
        return f"{where}{super().__str__()}{scopes}"


class SizeError(BuildError):
    """A layer does not fit the size of its input: the rule, then after a semicolon a remedy."""

    def _remedied(self, message: str, remedy: str) -> str:
        return f"{message.partition(';')[0]}; {remedy}."


class BudgetError(ZooError):
    """A build is larger than the limits allow; nothing has been allocated for it."""


class InputError(ZooError):
    """An array or an image does not fit the network's input."""


class WeightsError(ZooError):
    """Weights do not fit the network, or a file of weights cannot be read."""


class OptionError(ZooError):
    """An option of a report or of a file does not accept its value; `option` names it.

    Its one message begins with the option.
    """

    def __init__(self, option: str, problem: Problem) -> None:
        super().__init__(problem)
        self.option = option


def json_pointer(*parts: str | int) -> str:
    """Return the RFC 6901 pointer of nested keys and indices.

    >>> json_pointer("scopes", 0, "args", "a/b")
    '/scopes/0/args/a~1b'
    """
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def spell_names(names: Iterable[str], most: int = 8) -> str:
    """Return names as messages list them: each once, and how many more there are.

    >>> spell_names(["conv1", "conv2", "conv1"])
    'conv1, conv2'
    >>> spell_names(["a", "b", "c"], most=1)
    'a and 2 more'
    """
    unique = list(dict.fromkeys(names))
    shown, more = ", ".join(unique[:most]), len(unique) - most
    return f"{shown} and {more} more" if more > 0 else shown


def nearest(name: str, valid: Iterable[str]) -> list[str]:
    """Return at most three of the valid names, the closest to `name` first."""
    if name.isdecimal() or len(name) > _MAX_COMPARED_CHARACTERS:
        return []  # a number with the same digits is not a near one
    return difflib.get_close_matches(name, sorted(valid), n=3, cutoff=0.6)


def suggest(name: str, valid: Iterable[str]) -> str:
    """Return the sentence that ends a message about an unknown name.

    >>> suggest("pading", ["padding", "stride"])
    "Did you mean 'padding'?"
    >>> suggest("x", ["padding", "stride"])
    "Valid: 'padding', 'stride'."
    """
    names = sorted(valid)
    return _suggestion(nearest(name, names), names)


def _suggestion(close: list[str], names: list[str]) -> str:
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return "There are none."
    if len(names) > 12:
        return f"Valid, among {len(names)}: {', '.join(map(repr, names[:12]))}, ..."
    return f"Valid: {', '.join(map(repr, names))}."


def unknown_name(
    pointer: str, rule: str, name: str, valid: Iterable[str], more: str = ""
) -> Problem:
    """Return the problem of a name that is not among the valid ones; `rule` says what is wrong.

    `more` ends the message.
    """
    names = sorted(valid)
    close = nearest(name, names)
    suggestion = _suggestion(close, names)
    return Problem(f"{rule} {suggestion}{more}", pointer, name, close[0] if close else None)


def not_accepted(option: str, value: str, valid: Iterable[str], where: str = "") -> OptionError:
    """Return the error of an option's value that is not a valid one; `where` says for what.

    >>> str(not_accepted("layout", "nchv", ["nhwc", "nchw"]))
    "layout does not accept 'nchv'. Did you mean 'nchw'?"
    >>> str(not_accepted("opset", "9", ["18", "19"], " for format 'onnx'"))
    "opset does not accept '9' for format 'onnx'. Valid: '18', '19'."
    """
    rule = f"{option} does not accept {value!r}{where}."
    return OptionError(option, unknown_name("", rule, value, valid))
