"""The functions of an axis: what varies, and how values are cast and put in order.

They are Hydra's. Each returns a value, or what becomes an axis of a sweep's document; a ValueError
says what is wrong with the arguments.
"""

import inspect
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from model_zoo.strict_json import MAX_INTEGER

# A range is listed to be shuffled, or as floats.
_MAX_LISTED = 100_000


class Sweeping:
    """What varies, as opposed to a value."""

    def to_axis(self) -> Any:
        """Return it as a sweep's document has it."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Choice(Sweeping):
    """Values, one after the other."""

    values: tuple[Any, ...]
    is_shuffled: bool = False

    def to_axis(self) -> Any:
        return list(self.values)


@dataclass(frozen=True, slots=True)
class Range(Sweeping):
    """The numbers from `start` to before `stop`."""

    start: int | float
    stop: int | float
    step: int | float

    def to_axis(self) -> Any:
        return {"start": self.start, "stop": self.stop, "step": self.step}

    def exactly(self) -> tuple[Fraction, Fraction, int]:
        """Return the first number, the step and how many numbers there are."""
        start, stop, step = (Fraction(repr(each)) for each in (self.start, self.stop, self.step))
        return start, step, max(0, math.ceil((stop - start) / step))

    def listed(self) -> list[int | float]:
        """Return the numbers."""
        start, step, count = self.exactly()
        if count > _MAX_LISTED:
            raise ValueError(
                f"A range of {count} numbers is too long; it has {_MAX_LISTED} at most."
            )
        return [self.typed(start + number * step) for number in range(count)]

    def typed(self, number: Fraction) -> int | float:
        """Return a number as this range has it: an integer if its start and step are."""
        is_whole = isinstance(self.start, int) and isinstance(self.step, int)
        return int(number) if is_whole else float(number)


@dataclass(frozen=True, slots=True)
class Interval(Sweeping):
    """The numbers from `start` to before `end`, to be drawn by a random sweep."""

    start: int | float
    end: int | float
    is_log: bool = False
    is_whole: bool = False

    def to_axis(self) -> Any:
        if not self.is_whole:
            name = "log_uniform_values" if self.is_log else "uniform"
            return {"distribution": name, "min": float(self.start), "max": float(self.end)}
        bounds = {"min": math.ceil(self.start), "max": math.ceil(self.end) - 1}
        if self.is_log:
            return {"distribution": "q_log_uniform_values", **bounds, "q": 1}
        return {"distribution": "int_uniform", **bounds}


@dataclass(frozen=True, slots=True)
class Names(Sweeping):
    """The architectures that one of the patterns fits, and none of the excluded ones."""

    include: tuple[str, ...]
    exclude: tuple[str, ...]

    def to_axis(self) -> Any:
        return {"glob": list(self.include), "exclude": list(self.exclude)}


@dataclass(frozen=True, slots=True)
class Group(Sweeping):
    """Several places that vary together."""

    members: Mapping[str, Sweeping]

    def to_axis(self) -> Any:
        return {"zip": {place: member.to_axis() for place, member in self.members.items()}}


def as_member(place: str, value: Any) -> Sweeping:
    """Return what varies at a place of a group, in which a list stands for its values."""
    if isinstance(value, list):
        return Choice(tuple(value))
    if isinstance(value, Group):
        raise ValueError(f"{place}: a zip stands in no other one.")
    if isinstance(value, Choice) and value.is_shuffled:
        raise ValueError(f"{place}: shuffled values would lose their partners in the group.")
    if isinstance(value, Interval):
        raise ValueError(f"{place}: an interval has no order in which it could meet the others.")
    if not isinstance(value, Sweeping):
        raise ValueError(f"{place}: give all its values, as [a,b] or choice(a,b).")
    return value


def _choice(_seed: int, *values: Any) -> Choice:
    if len(values) == 1 and isinstance(values[0], Choice):
        return values[0]
    if not values or any(isinstance(value, Sweeping) for value in values):
        raise ValueError("choice takes values, and not what varies itself.")
    return Choice(values)


def _range(_seed: int, start: Any, stop: Any = None, step: Any = 1) -> Range:
    if stop is None:
        start, stop = 0, start
    _check_numbers("range", (start, stop, step))
    if step == 0:
        raise ValueError("The step of a range must not be 0.")
    return Range(start, stop, step)


def _interval(_seed: int, start: Any, end: Any) -> Interval:
    _check_numbers("interval", (start, end))
    return Interval(start, end)


def _check_numbers(name: str, values: Sequence[Any]) -> None:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            shown = "a sweep" if isinstance(value, Sweeping) else json.dumps(value)
            raise ValueError(f"{name} takes numbers; received {shown}.")


def _glob(_seed: int, include: Any, exclude: Any = ()) -> Names:
    patterns = [(each,) if isinstance(each, str) else each for each in (include, exclude)]
    for each in patterns:
        if not isinstance(each, (list, tuple)) or not all(isinstance(p, str) for p in each):
            raise ValueError("glob takes a pattern or a list of them, and exclude= likewise.")
    return Names(tuple(patterns[0]), tuple(patterns[1]))


def _tag(_seed: int, *tags: Any, sweep: Any = None) -> Interval:
    if sweep is None and tags:
        *tags, sweep = tags  # type: ignore[assignment]
    if not isinstance(sweep, Interval) or tuple(tags) != ("log",):
        raise ValueError("The one tag with a meaning here is log, of an interval.")
    return replace(sweep, is_log=True)


def _zip(_seed: int, *values: Any, **members: Any) -> Group:
    if values or len(members) < 2:
        raise ValueError("zip takes two places or more: zip(/params/a=[1,2],/params/b=[3,4]).")
    return Group({place: as_member(place, value) for place, value in members.items()})


def _sort(_seed: int, *values: Any, reverse: Any = False, **named: Any) -> Any:
    if not isinstance(reverse, bool):
        raise ValueError(f"reverse is true or false; received {json.dumps(reverse)}.")
    subject = _subject("sort", values, named)
    if isinstance(subject, Range):
        return _sorted_range(subject, reverse)

    def ordered(items: Sequence[Any]) -> list[Any]:
        numbers = all(isinstance(e, (int, float)) and not isinstance(e, bool) for e in items)
        if not numbers and not all(isinstance(each, str) for each in items):
            raise ValueError("sort compares numbers with numbers, and texts with texts.")
        return sorted(items, reverse=reverse)

    return _reordered("sort", subject, ordered)


def _sorted_range(subject: Range, reverse: bool) -> Range:
    start, step, count = subject.exactly()
    if count == 0:  # Hydra takes range(10,1) for the numbers from 10 down to before 1
        return _sorted_range(replace(subject, step=-subject.step), reverse)
    if (step < 0) == reverse:
        return subject
    last = start + (count - 1) * step
    first = subject.typed(last)
    return Range(first, subject.typed(start - step), -subject.step)


def _shuffle(seed: int, *values: Any, **named: Any) -> Any:
    subject = _subject("shuffle", values, named)
    if isinstance(subject, Range):
        subject = Choice(tuple(subject.listed()))

    def shuffled(items: Sequence[Any]) -> list[Any]:
        return random.Random(f"{seed}:{json.dumps(items)}").sample(items, len(items))

    result = _reordered("shuffle", subject, shuffled)
    return replace(result, is_shuffled=True) if isinstance(result, Choice) else result


def _subject(name: str, values: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Return what is put in order: values, or one that is or has several."""
    given = [*values, *named.values()]
    if not named.keys() <= {"sweep", "list"} or not given or (named and len(given) > 1):
        raise ValueError(f"{name} takes values, sweep=... or list=....")
    if len(given) == 1:
        return given[0]
    return _choice(0, *given)


def _reordered(name: str, subject: Any, order: Callable[[Sequence[Any]], list[Any]]) -> Any:
    if isinstance(subject, Choice):
        return Choice(tuple(order(list(subject.values))))
    if isinstance(subject, list):
        return order(subject)
    if isinstance(subject, Sweeping):
        raise ValueError(f"{name} puts values, a range or a list in order.")
    return subject


def _cast(to: Callable[[Any], Any]) -> Callable[..., Any]:
    def cast(_seed: int, value: Any) -> Any:
        match value:
            case Choice(values):
                return Choice(tuple(cast(_seed, each) for each in values), value.is_shuffled)
            case Range(start, stop, step) if to in (_int, float):
                return _range(_seed, to(start), to(stop), to(step))
            case Interval() if to is _int:
                return replace(value, is_whole=True)
            case Interval() if to is float:
                return replace(value, is_whole=False)
            case Sweeping():
                raise ValueError("This kind of sweep cannot be cast so.")
            case list() if to is not json.dumps:
                return [cast(_seed, each) for each in value]
            case dict() if to is not json.dumps:
                return {key: cast(_seed, each) for key, each in value.items()}
        try:
            return to(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{json.dumps(value)} cannot be cast so.") from error

    return cast


def _int(value: Any) -> int:
    number = int(value)
    if abs(number) > MAX_INTEGER:
        raise ValueError
    return number


def _bool(value: Any) -> bool:
    if value is None or (isinstance(value, str) and value.lower() not in ("true", "false")):
        raise ValueError
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _str(value: Any) -> str:
    # Constants are written as in JSON, numbers as in Python: 1000000.0.
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "choice": _choice,
    "range": _range,
    "interval": _interval,
    "glob": _glob,
    "tag": _tag,
    "zip": _zip,
    "sort": _sort,
    "shuffle": _shuffle,
    "int": _cast(_int),
    "float": _cast(float),
    "str": _cast(_str),
    "bool": _cast(_bool),
    "json_str": _cast(json.dumps),
}
FUNCTION_NAMES = tuple(_FUNCTIONS)


def call(name: str, given: Sequence[Any], named: Mapping[str, Any], seed: int) -> Any:
    """Return what a function returns for its arguments.

    Raises: ValueError if it does not take them.
    """
    function = _FUNCTIONS[name]
    signature = inspect.signature(function)
    try:
        signature.bind(seed, *given, **named)
    except TypeError as error:
        names = ", ".join(list(signature.parameters)[1:])
        raise ValueError(f"{name}({names}): {error}.") from error
    return function(seed, *given, **named)
