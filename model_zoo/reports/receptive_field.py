"""Receptive fields: how much of the input a position of a tensor depends on, along each axis.

Sizes and strides are those of windows alone, whatever the padding and the size of the input, and
along each axis the largest over all paths from the input. Statistics that normalizers take of all
positions do not count.

Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill
2019.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from model_zoo.graph import Graph, Node, Tensor


class ReceptiveField(NamedTuple):
    """The size of the window and the distance between neighbours' windows, along each axis.

    Both are in positions of the input. None stands where all positions of the axis are seen.
    """

    size: tuple[int | None, ...]
    effective_stride: tuple[float | None, ...]


class _Window(NamedTuple):
    """What one position sees along one axis, by one path.

    It sees `extent` positions of a grid beyond the first, and its neighbour's window is `step`
    farther. The grid is the input, until something is upsampled: then it is the map that was, whose
    positions stand `unit` apart and see `base` positions of the input each.
    """

    base: int
    unit: int
    extent: int | Fraction
    step: int | Fraction

    @property
    def size(self) -> int:
        # Between two positions of the grid there is none to see.
        return self.base + int(self.extent) * self.unit

    @property
    def stride(self) -> float:
        stride = self.unit * self.step
        return int(stride) if stride == int(stride) else float(stride)

    def seen_by(self, reach: int, stride: int) -> "_Window":
        """Return what a window over such positions sees."""
        extent = self.extent + (reach - 1) * self.step
        return self._replace(extent=extent, step=self.step * stride)

    def resampled(self, ratio: Fraction, reach: Fraction) -> "_Window":
        """Return what a position of a map sees that has a position for each `ratio` of these.

        `reach` is how far apart these can be that one of its positions is made of.
        """
        grid = self
        if (
            ratio.denominator > 1
            and self.extent == int(self.extent)
            and self.step == int(self.step)
        ):
            grid = _Window(self.size, self.unit * int(self.step), 0, 1)
        extent = grid.extent + reach * grid.step
        return grid._replace(extent=extent, step=grid.step * ratio)


class _Axis(NamedTuple):
    """An axis of the input in a tensor: its dimension, if it still is one, and what is seen of it.

    `windows` are those of the paths from the input that can be the largest; None is the whole axis.
    """

    dimension: int | None
    windows: tuple[_Window, ...] | None


_Field = tuple[_Axis, ...]
_SEEN_BY_ITSELF = (_Window(1, 1, 0, 1),)


def receptive_fields(graph: Graph) -> Mapping[Tensor, ReceptiveField]:
    """Return the receptive field of every tensor of a graph."""
    fields: dict[Tensor, _Field] = {
        graph.input: tuple(_Axis(axis, _SEEN_BY_ITSELF) for axis in range(1, graph.input.rank - 1))
    }
    for node in graph.nodes:
        if node.inputs:
            field = _merged([fields[tensor] for tensor in node.inputs])
            rule = RULES.get(node.op)
            fields[node.output] = field if rule is None else rule(node, field)
    # Most nodes pass on the field that they read.
    known: dict[int, ReceptiveField] = {}
    return {
        tensor: known.get(id(field)) or known.setdefault(id(field), _report(field))
        for tensor, field in fields.items()
    }


def _report(field: _Field) -> ReceptiveField:
    windows = [axis.windows for axis in field]
    return ReceptiveField(
        tuple(None if each is None else max(path.size for path in each) for each in windows),
        tuple(None if each is None else max(path.stride for path in each) for each in windows),
    )


def _merged(fields: Sequence[_Field]) -> _Field:
    """Return the field of a position that is made of the same position of several tensors."""
    first = fields[0]
    if all(field == first for field in fields):
        return first
    return tuple(
        _Axis(axes[0].dimension, _largest([axis.windows for axis in axes]))
        for axes in zip(*fields, strict=True)
    )


def _largest(paths: Sequence[tuple[_Window, ...] | None]) -> tuple[_Window, ...] | None:
    """Return the windows of several paths, without those that can never be the largest."""
    windows: list[_Window] = []
    for path in paths:
        if path is None:
            return None
        for each in path:
            if not any(_contains(other, each) for other in windows):
                windows = [other for other in windows if not _contains(each, other)]
                windows.append(each)
    return tuple(windows)


def _contains(a: _Window, b: _Window) -> bool:
    """Return whether one window is at least as large as another, whatever comes after both."""
    return a.unit == b.unit and a.base >= b.base and a.extent >= b.extent and a.step >= b.step


def _slide(node: Node, field: _Field) -> _Field:
    """A convolution or a pool. An average over a whole axis is global."""
    strides: Sequence[int] = node.attributes["strides"]
    kernel: Sequence[int] = node.attributes.get("kernel") or node.variables["weights"].shape
    rates: Sequence[int] = node.attributes.get("rate", (1,) * len(strides))
    is_mean = node.op.startswith("avg_pool") and node.attributes["padding"] == "VALID"
    if not is_mean and max(strides) == max(kernel[: len(strides)]) == 1:
        return field
    axes = []
    for dimension, windows in field:
        seen = windows
        if dimension is not None and windows is not None:
            index = dimension - 1
            reach, stride = (kernel[index] - 1) * rates[index] + 1, strides[index]
            if is_mean and reach == node.inputs[0].shape[dimension]:
                seen = None
            else:
                seen = tuple(each.seen_by(reach, stride) for each in windows)
        axes.append(_Axis(dimension, seen))
    return tuple(axes)


def _transpose(node: Node, field: _Field) -> _Field:
    """A transposed convolution: each position is made of those that a kernel spreads onto it."""
    kernel = node.variables["weights"].shape

    def ratio_and_reach(dimension: int) -> tuple[Fraction, Fraction]:
        ratio = Fraction(1, node.attributes["strides"][dimension - 1])
        return ratio, (kernel[dimension - 1] - 1) * ratio

    return _resampled(field, ratio_and_reach)


def _resize(node: Node, field: _Field) -> _Field:
    """Bilinear resizing with the corners in place: between two positions, both are seen."""
    (x,) = node.inputs

    def ratio_and_reach(dimension: int) -> tuple[Fraction, Fraction]:
        before, after = x.shape[dimension] or 1, node.output.shape[dimension] or 1
        ratio = Fraction(before - 1, max(after - 1, 1))
        return ratio, 2 - Fraction(2, ratio.denominator)

    return _resampled(field, ratio_and_reach)


def _resampled(
    field: _Field, ratio_and_reach: Callable[[int], tuple[Fraction, Fraction]]
) -> _Field:
    return tuple(
        axis
        if axis.dimension is None or axis.windows is None
        else axis._replace(
            windows=tuple(each.resampled(*ratio_and_reach(axis.dimension)) for each in axis.windows)
        )
        for axis in field
    )


def _reduce(node: Node, field: _Field) -> _Field:
    reduced = node.attributes["axes"]
    return tuple(
        axis._replace(windows=None) if axis.dimension in reduced else axis for axis in field
    )


def _flatten(node: Node, field: _Field) -> _Field:
    """What was an axis is in the features, and what reads these reads all of it."""
    (x,) = node.inputs
    return tuple(
        _Axis(
            None, axis.windows if axis.dimension is None or x.shape[axis.dimension] == 1 else None
        )
        for axis in field
    )


def _squeeze(node: Node, field: _Field) -> _Field:
    dropped = node.attributes["axes"]
    return tuple(
        _Axis(None, axis.windows)
        if axis.dimension is None or axis.dimension in dropped
        else _Axis(axis.dimension - sum(each < axis.dimension for each in dropped), axis.windows)
        for axis in field
    )


# All others compute each position from the same position of what they read.
RULES: Mapping[str, Callable[[Node, _Field], _Field]] = {
    "avg_pool2d": _slide,
    "avg_pool3d": _slide,
    "conv2d": _slide,
    "conv2d_transpose": _transpose,
    "conv3d": _slide,
    "depthwise_conv2d": _slide,
    "flatten": _flatten,
    "max_pool2d": _slide,
    "max_pool3d": _slide,
    "reduce_mean": _reduce,
    "resize_bilinear": _resize,
    "squeeze": _squeeze,
}
