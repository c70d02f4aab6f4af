"""What was done so that tensors fit, and what was asked for and had no effect: as sentences."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from model_zoo.graph import Variable
from model_zoo.weights.names import Renames, Spelling, averaged, spellings
from model_zoo.weights.plan import Row
from model_zoo.weights.shapes import is_depthwise


def reordering_notes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a note for each way in which values are reordered."""
    transposed = [row for row in rows if row.reordering is not None and row.reordering.axes]
    reshaped = [row for row in rows if row.reordering is not None and not row.reordering.axes]
    if transposed:
        # A plain convolution shows the order best.
        row = next((row for row in transposed if not is_depthwise(row.variable)), transposed[0])
        are = _are(transposed)
        yield (
            f"{_count(transposed, 'weight')} {are} in PyTorch's order, outputs first, and {are} "
            f"transposed: {_shapes(row)}."
        )
    if reshaped:
        are = _are(reshaped)
        yield (
            f"{_count(reshaped, 'variable')} {are} stored with other sizes of 1, and {are} "
            f"reshaped: {_shapes(reshaped[0])}."
        )


def _count(rows: Sequence[Row], noun: str) -> str:
    return f"1 {noun}" if len(rows) == 1 else f"{len(rows)} {noun}s"


def _are(rows: Sequence[Row]) -> str:
    return "is" if len(rows) == 1 else "are"


def _shapes(row: Row) -> str:
    return (
        f"{row.variable.name} is {list(row.shape or ())} in the source and "
        f"{list(row.variable.shape)} in the build"
    )


def spelling_notes(spelt: Sequence[Spelling]) -> Iterator[str]:
    """Yield a note for each way in which the names of tensors that fill variables are spelt."""
    if outputs := sum(spelling.output for spelling in spelt):
        yield f"{_names(outputs)} with ':0', which is left off."
    endings = Counter(spelling.ending for spelling in spelt if spelling.ending is not None)
    for (there, here), count in endings.items():
        yield f"{_names(count)} with {there!r}, which is {here!r} here."


def _names(count: int) -> str:
    return "1 name in the source ends" if count == 1 else f"{count} names in the source end"


def average_notes(asked_for: bool, names: Iterable[str]) -> Iterator[str]:
    """Yield a note where moving averages were asked for and there are none."""
    if asked_for and not any(averaged(name) is not None for name in names):
        yield (
            "moving_averages is true, and the checkpoint has none: the variables themselves are "
            "restored."
        )


def rename_notes(
    renames: Renames,
    names: Iterable[str],
    used: Collection[str],
    variables: Iterable[Variable],
) -> Iterator[str]:
    """Yield a note for each key of `rename` that fits tensors but gives no variable's name."""
    known = {spelling.name for variable in variables for spelling in spellings(variable.name)}
    vain: dict[str, str] = {}
    useful: set[str] = set()
    for name in names:
        key, target = renames.find(name)
        if key is None or key in useful:
            continue
        if name in used or target in known or averaged(target) in known:
            useful.add(key)
        else:
            vain.setdefault(key, f"{name!r} becomes {target!r}")
    for key, example in vain.items():
        if key not in useful:
            yield f"rename {key!r} gives no name that the build has: {example}."
