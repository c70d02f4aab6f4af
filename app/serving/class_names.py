"""Names of classes: read from a list or a labels file, checked, and shown beside the classes."""

import re
import unicodedata
from collections.abc import Sequence

from app.wording import counted
from model_zoo import InputError, Problem, ZooError

POINTER = "/class_names"
MAX_NAME_CHARACTERS = 128
# Of the names in one answer, as JSON may write them; a request can repeat each for every row.
_MAX_ANSWER_BYTES = 32 * 1024 * 1024
_MAX_ESCAPE_BYTES = 6  # of one character: \u0000

# A line of TF-Slim's labels.txt: the class, a colon, its name.
_NUMBERED = re.compile(r"(\d{1,9}):(.*)")
# Controls, halves of surrogate pairs, separators of lines and paragraphs: they would break a line
# of a log or a terminal, or are no text.
_REFUSED_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")


def read_class_names(value: Sequence[str] | str) -> tuple[str, ...]:
    """Return the names in a list, or in the text of a file.

    A file has a name a line, or lines `class:name` in any order as TF-Slim's `labels.txt`. Blank
    lines at its end do not count.

    >>> read_class_names("1:goldfish\\n0:tench\\n"), read_class_names("tench\\ngoldfish")
    (('tench', 'goldfish'), ('tench', 'goldfish'))

    Raises: ZooError
    """
    if isinstance(value, str):
        return _names_of_file(value)
    for index, name in enumerate(value):
        _check_name(name, f"{POINTER}/{index}", f"Class name {index}")
    return tuple(value)


def _names_of_file(text: str) -> tuple[str, ...]:
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    if not any(matches):
        for number, line in enumerate(lines, 1):
            _check_name(line, POINTER, f"Line {number} of the file")
        return tuple(lines)
    names: dict[int, str] = {}
    for number, (line, match) in enumerate(zip(lines, matches, strict=True), 1):
        if match is None:
            raise _refused(
                f"Line {number} of the file is not class:name, and others are. Write the class "
                "before every name, or before none.",
                line,
            )
        index, name = int(match[1]), match[2]
        if index in names:
            raise _refused(f"Line {number} of the file names class {index} again.", line)
        if index >= len(lines):
            raise _refused(
                f"Line {number} of the file names class {index}, but with "
                f"{counted(len(lines), 'name')} the last class is {len(lines) - 1}.",
                line,
            )
        _check_name(name, POINTER, f"Line {number} of the file")
        names[index] = name
    return tuple(names[index] for index in range(len(names)))


def _check_name(name: str, pointer: str, what: str) -> None:
    if not name.strip() or len(name) > MAX_NAME_CHARACTERS:
        message = f"{what} must have 1 to {MAX_NAME_CHARACTERS} characters, not only spaces."
        raise _refused(message, name, pointer)
    for character in name:
        if unicodedata.category(character) in _REFUSED_CATEGORIES:
            message = f"{what} must not have the control character {character!r}."
            raise _refused(message, name, pointer)


def check_count(names: Sequence[str], classes: int | None) -> None:
    """Raises: ZooError if the names are not one for each class of a network."""
    if not names or len(names) == classes:
        return
    if classes is None:
        raise _refused(
            "The build's output is not one score for each class, so its classes have no names.",
            len(names),
        )
    given = f"{counted(len(names), 'name')} {'was' if len(names) == 1 else 'were'} given"
    rule = f"The build has {counted(classes, 'class')}, and {given}."
    if len(names) == classes - 1:
        rule += (
            " If its class 0 is the background, as in networks of 1001 classes, name that first."
        )
    elif len(names) == classes + 1:
        rule += " If the first names the background, leave it out: this build has no such class."
    raise _refused(rule, len(names))


def names_bytes(names: Sequence[str], rows: int, classes: int) -> int:
    """Return how many bytes the names of the best classes of each row can have in an answer."""
    if not names:
        return 0
    longest = sorted(map(len, names), reverse=True)[:classes]
    return rows * _MAX_ESCAPE_BYTES * sum(longest)


def check_names_bytes(size: int) -> None:
    """Raises: InputError if the names in an answer exceed the limit."""
    if size > _MAX_ANSWER_BYTES:
        raise InputError(
            f"The names of the classes could have {size} bytes in the answer; the limit is "
            f"{_MAX_ANSWER_BYTES}. Ask for fewer rows or classes."
        )


def _refused(message: str, received: object, pointer: str = POINTER) -> ZooError:
    return ZooError(Problem(message, pointer, received))
