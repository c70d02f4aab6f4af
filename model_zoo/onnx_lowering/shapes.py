"""Everything else without weights: dropout, arithmetic, and changes of shape."""

from model_zoo.errors import WeightsError
from model_zoo.graph import Node
from model_zoo.onnx_lowering.layout import axis_channels_first, example_shape, order
from model_zoo.onnx_lowering.rules import Lowering, rule
from model_zoo.resizing import bilinear_weights


@rule("dropout")
def dropout(lowering: Lowering, node: Node) -> str:
    if node.is_random:
        raise WeightsError(
            f"{node.name} has is_training true, so it drops at random, which an ONNX model cannot "
            "do as TensorFlow does; export the network with is_training false."
        )
    return lowering.value(node.inputs[0])


@rule("softmax")
def softmax(lowering: Lowering, node: Node) -> str:
    return lowering.emit("Softmax", [lowering.value(node.inputs[0])], axis=1)


@rule("flatten")
def flatten(lowering: Lowering, node: Node) -> str:
    (x,) = node.inputs
    # With one position there is nothing to put in order.
    value = lowering.value(x, "channels_first" if x.size == x.channels else "channels_last")
    return lowering.emit("Flatten", [value], axis=1)


@rule("squeeze")
def squeeze(lowering: Lowering, node: Node) -> str:
    (x,), axes, rank = node.inputs, node.attributes["axes"], node.output.rank
    if x.rank - 1 in axes and rank > 2:
        # Without the channels the last dimension that is left counts as theirs.
        squeezed = lowering.emit_over("Squeeze", lowering.value(x, "channels_last"), axes)
        return lowering.emit("Transpose", [squeezed], perm=order("channels_first", rank))
    return _over(lowering, node, "Squeeze")


@rule("reduce_mean")
def reduce_mean(lowering: Lowering, node: Node) -> str:
    return _over(lowering, node, "ReduceMean")


def _over(lowering: Lowering, node: Node, op: str) -> str:
    (x,) = node.inputs
    axes = sorted(axis_channels_first(axis, x.rank) for axis in node.attributes["axes"])
    if not axes:
        return lowering.value(x)  # to ONNX no axes means all of them
    return lowering.emit_over(op, lowering.value(x), axes)


@rule("concat")
def concat(lowering: Lowering, node: Node) -> str:
    values = [lowering.value(tensor) for tensor in node.inputs]
    return values[0] if len(values) == 1 else lowering.emit("Concat", values, axis=1)


@rule("pad")
def pad(lowering: Lowering, node: Node) -> str:
    before, after = node.attributes["before"], node.attributes["after"]
    sides = lowering.integers([0, 0, *before, 0, 0, *after])
    return lowering.emit("Pad", [lowering.value(node.inputs[0]), sides])


@rule("crop")
def crop(lowering: Lowering, node: Node) -> str:
    (x,), before = node.inputs, node.attributes["before"]
    left = example_shape(node.output)[:-1]
    ends = [start + size for start, size in zip(before, left, strict=True)]
    bounds = [lowering.integers(values) for values in (before, ends, (2, 3))]
    return lowering.emit("Slice", [lowering.value(x), *bounds])


@rule("resize_bilinear")
def resize_bilinear(lowering: Lowering, node: Node) -> str:
    (x,), (height, width) = node.inputs, node.attributes["size"]
    rows, columns, _ = example_shape(x)
    across = lowering.floats(bilinear_weights(columns, width).T)
    wide = lowering.emit("MatMul", [lowering.value(x), across])
    return lowering.emit("MatMul", [lowering.floats(bilinear_weights(rows, height)), wide])


@rule("slice_channels")
def slice_channels(lowering: Lowering, node: Node) -> str:
    start, size = node.attributes["start"], node.attributes["size"]
    bounds = [lowering.integers([value]) for value in (start, start + size, 1)]
    return lowering.emit("Slice", [lowering.value(node.inputs[0]), *bounds])


@rule("add")
def add(lowering: Lowering, node: Node) -> str:
    return lowering.emit("Add", [lowering.value(tensor) for tensor in node.inputs])


@rule("multiply")
def multiply(lowering: Lowering, node: Node) -> str:
    return lowering.emit("Mul", [lowering.value(tensor) for tensor in node.inputs])


@rule("rescale")
def rescale(lowering: Lowering, node: Node) -> str:
    scale, offset = node.attributes["scale"], node.attributes["offset"]
    scaled = lowering.emit("Mul", [lowering.value(node.inputs[0]), lowering.floats(scale)])
    return lowering.emit("Add", [scaled, lowering.floats(offset)]) if offset else scaled


@rule("clip")
def clip(lowering: Lowering, node: Node) -> str:
    bounds = [lowering.floats(node.attributes[bound]) for bound in ("low", "high")]
    return lowering.emit("Clip", [lowering.value(node.inputs[0]), *bounds])
