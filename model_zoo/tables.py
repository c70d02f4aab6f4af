"""Tables of text for people, CSV for spreadsheets, and shapes as they stand in them."""

import csv
import io
import re
from collections.abc import Collection, Iterable, Sequence

# What spreadsheets take for the start of a formula, in full width as well; a number is none.
_FORMULA = re.compile(r"(?!-?[\d.]+(?:[eE][-+]?\d+)?\Z)[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def aligned_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int]
) -> list[str]:
    """Return the lines of a table in columns: header, rule, rows; `right` columns end together.

    >>> aligned_table(("name", "ms"), [("a", "1.5"), ("longer", "10.0")], right=[1])
    ['name      ms', '------------', 'a        1.5', 'longer  10.0']
    """
    table = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int]
) -> str:
    """Return a table of Markdown, with the `right` columns aligned to the right.

    >>> print(markdown_table(("name", "ms"), [("a", "1.5")], right=[1]))
    | name | ms |
    |---|--:|
    | a | 1.5 |
    """
    rule = "|".join("--:" if index in right else "---" for index in range(len(header)))
    lines = [f"| {' | '.join(line)} |" for line in (header, *rows)]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:]])


def csv_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return CSV with a header. None is an empty cell.

    Names can come from a request, and a spreadsheet computes what begins like a formula: such a
    text gets an apostrophe before it, with which spreadsheets show it as it is.

    >>> print(csv_table(("name", "value"), [("=1+1", -0.5), ("a,b", None)]), end="")
    name,value
    '=1+1,-0.5
    "a,b",
    """
    # The writer quotes the characters of its own line ending alone. All become a line feed.
    text = io.StringIO(newline=None)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def spell_shape(shape: Sequence[int | None]) -> str:
    """Return a shape as one word; the batch, which is free, is N.

    >>> spell_shape((None, 28, 28, 1))
    'Nx28x28x1'
    """
    return "x".join("N" if size is None else str(size) for size in shape)
