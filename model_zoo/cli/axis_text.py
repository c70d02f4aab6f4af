"""Reads the text of an axis, `PLACE=VALUES`, in Hydra's override grammar.

    >>> read_axis("/params/depth_multiplier=0.25,0.5")
    AxisText(place='/params/depth_multiplier', axis=[0.25, 0.5])
    >>> read_axis("params.num_classes=range(2,8,2)").axis
    {'start': 2, 'stop': 8, 'step': 2}

The part after `=` is Hydra's: a value, values between commas, or a function such as `range(...)`.
The place is a JSON pointer, or the same keys with dots between.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from model_zoo.cli.axis_functions import FUNCTION_NAMES, Choice, Sweeping, as_member, call
from model_zoo.errors import ZooError, json_pointer, unknown_name
from model_zoo.strict_json import MAX_DEPTH, MAX_INTEGER

T = TypeVar("T")
# What a backslash takes its meaning from, outside of quotes.
_ESCAPED = frozenset("\\()[]{}:=, \t")
_SPACE = " \t"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_CALL = re.compile(rf"({_NAME.pattern})[ \t]*\(")
_UNSIGNED = r"(?:0|[1-9](?:_?[0-9])*)"
_POINT = rf"(?:{_UNSIGNED}\.|{_UNSIGNED}?\.[0-9](?:_?[0-9])*)"
_INTEGER = re.compile(rf"[+-]?{_UNSIGNED}")
_FLOAT = re.compile(rf"[+-]?(?:{_POINT}|(?:{_UNSIGNED}|{_POINT})[eE][+-]?[0-9](?:_?[0-9])*)")
_NO_NUMBER = re.compile(r"[+-]?(?:inf|nan)", re.IGNORECASE)
_CONSTANTS: Mapping[str, Any] = {"null": None, "true": True, "false": False}


class AxisText(NamedTuple):
    """An axis: its place by JSON pointer, or the name of a group, and the axis as JSON."""

    place: str
    axis: Any


def read_axis(
    text: str, spec: Mapping[str, Any] | None = None, *, seed: int = 0, in_group: bool = False
) -> AxisText:
    """Return the axis of a text.

    `spec` is the base, in which a key with dots makes a dotted place ambiguous; `seed` decides what
    shuffle() does. In a group, a list stands for its values.

    Raises: ZooError that shows the text, and points at the character.
    """
    reader = _Reader(text, spec or {}, seed)
    place = reader.place()
    value: Any = reader.values()
    if in_group:
        value = reader.attempt(0, lambda: as_member(place, value))
    return AxisText(place, value.to_axis() if isinstance(value, Sweeping) else [value])


def dotted_place(text: str, spec: Mapping[str, Any]) -> str:
    """Return the pointer of keys with dots between.

    >>> dotted_place("params.num_classes", {})
    '/params/num_classes'

    Raises: ValueError if a key of the spec has a dot itself.
    """
    keys: list[str] = []
    rest = text
    node: Any = spec
    while rest:
        for key in node if isinstance(node, Mapping) else ():
            if "." in key and f"{rest}.".startswith(f"{key}."):
                pointer = json_pointer(*keys, key)
                message = (
                    f"{text!r} is ambiguous: the spec has the key {key!r}. Write the pointer, "
                )
                raise ValueError(f"{message}as {pointer}.")
        key, _, rest = rest.partition(".")
        keys.append(key)
        node = node.get(key, {}) if isinstance(node, Mapping) else {}
    return json_pointer(*keys)


class _Reader:
    """Reads from the first character to the last; `_at` is the next one."""

    def __init__(self, text: str, spec: Mapping[str, Any], seed: int) -> None:
        self._text = text
        self._spec = spec
        self._seed = seed
        self._at = 0
        self._depth = 0

    def place(self) -> str:
        """Return the place before the equals sign."""
        place, is_axis, _ = self._text.partition("=")
        if not is_axis:
            raise self._mistake(len(place), "An axis is PLACE=VALUES; there is no equals sign.")
        if place[:1] in ("+", "~"):
            rule = "An axis sets its place, and makes it where it is missing: it takes no"
            raise self._mistake(0, f"{rule} {place[0]!r} before it.")
        if not place:
            raise self._mistake(0, "The place before the equals sign is empty.")
        self._at = len(place) + 1
        if place.startswith("/"):
            return place
        # The name of a group has no place.
        if re.match(r"\s*zip\s*\(", self._text[self._at :]):
            return place
        return self.attempt(0, lambda: dotted_place(place, self._spec))

    def values(self) -> Any:
        """Return what stands after the equals sign: a value, or what varies."""
        self._skip()
        if self._at == len(self._text):
            return ""  # as Hydra has it
        start = self._at
        values = [self._element()]
        while self._take(","):
            values.append(self._element())
        if self._at < len(self._text):
            raise self._mistake(self._at, f"{self._text[self._at]!r} closes or follows nothing.")
        if len(values) == 1:
            return values[0]
        if any(isinstance(value, Sweeping) for value in values):
            raise self._mistake(start, "A function that varies stands alone, not between commas.")
        return Choice(tuple(values))

    def attempt(self, position: int, read: Callable[[], T]) -> T:
        """Return what a function returns; what it refuses is shown at a position."""
        try:
            return read()
        except ValueError as error:
            raise self._mistake(position, str(error)) from error

    def _mistake(self, position: int, message: str) -> ZooError:
        """Return the error that shows the text and points at a character."""
        shown = re.sub(r"\s", " ", self._text)
        return ZooError(f"{message}\n    {shown}\n    {' ' * position}^")

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> bool:
        """Go past a character and the spaces around it, if it is the next one."""
        self._skip()
        if self._next() != character:
            return False
        self._at += 1
        self._skip()
        return True

    def _element(self) -> Any:
        self._skip()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._mistake(self._at, f"This is nested deeper than {MAX_DEPTH} levels.")
        try:
            match self._next():
                case "[":
                    return self._list()
                case "{":
                    return self._object()
                case "'" | '"':
                    return self._quoted()
            return self._plain()
        finally:
            self._depth -= 1

    def _list(self) -> list[Any]:
        start = self._at
        values: list[Any] = []
        self._take("[")
        while not self._take("]"):
            self._separate(start, "]", bool(values))
            values.append(self._member())
        return values

    def _object(self) -> dict[str, Any]:
        start = self._at
        values: dict[str, Any] = {}
        self._take("{")
        while not self._take("}"):
            self._separate(start, "}", bool(values))
            position = self._at
            key = self._quoted() if self._next() in ("'", '"') else self._key()
            if key in values:
                raise self._mistake(position, f"The key {key!r} stands there twice.")
            if not self._take(":"):
                raise self._mistake(self._at, f"The key {key!r} lacks a colon and a value.")
            values[key] = self._member()
        return values

    def _separate(self, start: int, end: str, is_later: bool) -> None:
        """Go past the comma before the next member."""
        if self._at == len(self._text):
            raise self._mistake(start, f"{self._text[start]!r} lacks its {end!r}.")
        if is_later and not self._take(","):
            raise self._mistake(self._at, f"A comma or {end!r} must stand here.")

    def _member(self) -> Any:
        position = self._at
        value = self._element()
        if isinstance(value, Sweeping):
            raise self._mistake(position, "What varies cannot stand inside a list or an object.")
        return value

    def _quoted(self) -> str:
        """Return a quoted text: backslashes before a quote are doubled, all others are plain."""
        start, quote = self._at, self._text[self._at]
        characters: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            backslashes = re.compile(r"\\*").match(self._text, self._at)
            count = 0 if backslashes is None else len(backslashes[0])
            self._at += count
            if self._next() != quote:
                characters.append("\\" * count + self._next())
                self._at += 1
                continue
            self._at += 1
            characters.append("\\" * (count // 2))
            if count % 2 == 0:
                return "".join(characters)
            characters.append(quote)
        raise self._mistake(start, f"The quote {quote} is not closed.")

    def _key(self) -> str:
        return self._run(stop=":")[0]

    def _run(self, stop: str = "") -> tuple[str, bool]:
        """Return the characters up to what ends a plain text, and whether one was escaped."""
        characters: list[tuple[str, bool]] = []
        while (character := self._next()) and character not in ",)]}" + stop:
            if self._text.startswith("${", self._at):
                raise self._mistake(self._at, "There is nothing that ${...} could stand for here.")
            is_escaped = character == "\\" and self._text[self._at + 1 : self._at + 2] in _ESCAPED
            is_escaped = is_escaped and self._at + 1 < len(self._text)
            if is_escaped:
                self._at += 1
            elif character in "([{='\"":
                raise self._mistake(
                    self._at, f"{character} must be escaped by a backslash, or quoted."
                )
            characters.append((self._next(), is_escaped))
            self._at += 1
        while characters and characters[-1][0] in _SPACE and not characters[-1][1]:
            characters.pop()
        if not characters:
            raise self._mistake(self._at, "A value is missing here.")
        return "".join(each for each, _ in characters), any(escaped for _, escaped in characters)

    def _plain(self) -> Any:
        start = self._at
        if function := _CALL.match(self._text, start):
            self._at = function.end() - 1
            return self._call(function[1], start)
        text, is_escaped = self._run()
        if is_escaped:
            return text
        if text.lower() in _CONSTANTS:
            return _CONSTANTS[text.lower()]
        if _NO_NUMBER.fullmatch(text):
            raise self._mistake(start, f"{text} is not a number of JSON; a text is quoted.")
        if _INTEGER.fullmatch(text):
            digits = text.replace("_", "")
            if len(digits) > 20 or abs(int(digits)) > MAX_INTEGER:
                raise self._mistake(start, "This integer is beyond 64 bits.")
            return int(digits)
        if _FLOAT.fullmatch(text):
            number = float(text.replace("_", ""))
            if abs(number) == float("inf"):
                raise self._mistake(start, "This number is beyond 64-bit floats.")
            return number
        return text

    def _call(self, name: str, start: int) -> Any:
        """Return what a function returns for the arguments in its parentheses."""
        if name not in FUNCTION_NAMES:
            rule = f"There is no function {name!r}."
            problem = unknown_name("", rule, name, FUNCTION_NAMES)
            raise self._mistake(start, problem.message)
        opening = self._at
        given: list[Any] = []
        named: dict[str, Any] = {}
        self._take("(")
        while not self._take(")"):
            self._separate(opening, ")", bool(given or named))
            position = self._at
            key = self._argument_name(is_place=name == "zip")
            value = self._element()
            if key is None and named:
                raise self._mistake(
                    position, "An argument without a name stands before those with one."
                )
            if key in named:
                raise self._mistake(position, f"{name} gets {key} twice.")
            if key is None:
                given.append(value)
            else:
                named[key] = value
        return self.attempt(start, lambda: call(name, given, named, self._seed))

    def _argument_name(self, *, is_place: bool) -> str | None:
        pattern = r"([^=,()\[\]{}'\"]+?)\s*=" if is_place else rf"({_NAME.pattern})\s*="
        match = re.compile(pattern).match(self._text, self._at)
        if match is None:
            return None
        position = self._at
        self._at = match.end()
        self._skip()
        name = match[1]
        if not is_place or name.startswith("/"):
            return name
        return self.attempt(position, lambda: dotted_place(name, self._spec))
