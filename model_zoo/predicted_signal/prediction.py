"""The size of the signal at each layer of an initialized network, without a single weight."""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple, cast

from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.graph import Graph, Node, Tensor

# Their rules are registered when they are imported.
from model_zoo.predicted_signal import convolutions, normalizations, shapes  # noqa: F401
from model_zoo.predicted_signal.rules import RULES
from model_zoo.predicted_signal.signals import Signal, Unpredictable, input_signal
from model_zoo.reports.summary import layer_inputs, layer_nodes, summarize
from model_zoo.weight_sources import Source, source_pointer, stored

# A float32 beyond its root is infinite.
_MAX_SQUARE = ((2.0 - 2.0**-23) * 2.0**127) ** 2


class PredictedLayerDocument(TypedDict):
    """A layer's output, as predicted; null where it cannot be.

    `gain` is rms out / rms in, null as well where nothing comes in. The rms of two networks of
    three is within the factor `spread` of this one, up or down.
    """

    name: str
    op: str
    mean: float | None
    std: float | None
    rms: float | None
    gain: float | None
    spread: float | None


class PredictedSignalDocument(TypedDict):
    """The signal of a network at initialization, as predicted.

    `predicted_gain` is the rms before the final softmax over that of the input; null where it
    cannot be predicted, and `reason` says why and where. `spread` is that of the gain.
    """

    predicted_gain: float | None
    spread: float | None
    reason: str | None
    layers: list[PredictedLayerDocument]


@dataclass(frozen=True, slots=True)
class PredictedLayer:
    """A layer of a predicted signal: see `PredictedLayerDocument`."""

    name: str
    op: str
    mean: float | None = None
    std: float | None = None
    rms: float | None = None
    gain: float | None = None
    spread: float | None = None

    def to_dict(self) -> PredictedLayerDocument:
        """Return the layer, JSON-ready."""
        return cast(PredictedLayerDocument, asdict(self))


class PredictedValues(NamedTuple):
    """The values of a tensor in the median network, and the spread of their rms over networks."""

    mean: float
    rms: float
    spread: float


class PredictedSignal:
    """What is predicted of each tensor of a graph, with the reason where nothing is."""

    def __init__(
        self, graph: Graph, values: Mapping[Tensor, PredictedValues], reasons: Mapping[Tensor, str]
    ) -> None:
        self.graph = graph
        self._values = values
        self._reasons = reasons

    @property
    def gain(self) -> float | None:
        """The rms of the network's scores over that of its input; None if there is a `reason`.

        Scores are the output, or what its softmax is given; without a head, they are features.
        """
        return self.rms(scores(self.graph))

    @property
    def reason(self) -> str | None:
        """Why and where `gain` cannot be predicted; None if it is."""
        return self._reasons.get(scores(self.graph))

    @property
    def spread(self) -> float | None:
        """The factor of the gain, up or down, within which two networks of three are."""
        values = self._values.get(scores(self.graph))
        return None if values is None else values.spread

    def rms(self, tensor: Tensor) -> float | None:
        """Return a tensor's root mean square; None if it cannot be predicted."""
        values = self._values.get(tensor)
        return None if values is None else values.rms

    @functools.cached_property
    def layers(self) -> tuple[PredictedLayer, ...]:
        """The layers, in the order of the summary's rows."""
        rows = zip(summarize(self.graph).rows, layer_nodes(self.graph), strict=True)
        return tuple(self._layer(row.name, row.op, nodes) for row, nodes in rows)

    def _layer(self, name: str, op: str, nodes: Sequence[Node]) -> PredictedLayer:
        values = self._values.get(nodes[-1].output)
        if values is None:
            return PredictedLayer(name, op)
        mean, rms, spread = values
        std = math.sqrt(max(rms * rms - mean * mean, 0.0))
        before = self._rms_of(layer_inputs(nodes))
        return PredictedLayer(name, op, mean, std, rms, rms / before if before else None, spread)

    def _rms_of(self, tensors: Iterable[Tensor]) -> float | None:
        """Return the root mean square of all values of tensors together."""
        pairs = [(self.rms(tensor), tensor.size) for tensor in tensors]
        known = [rms * rms * size for rms, size in pairs if rms is not None]
        if not pairs or len(known) < len(pairs):
            return None
        return math.sqrt(sum(known) / sum(size for _, size in pairs))

    def to_dict(self) -> PredictedSignalDocument:
        """Return the prediction, JSON-ready."""
        return {
            "predicted_gain": self.gain,
            "spread": self.spread,
            "reason": self.reason,
            "layers": [layer.to_dict() for layer in self.layers],
        }


def scores(graph: Graph) -> Tensor:
    """Return the output of a network, or what its softmax is given if that makes the output."""
    for node in reversed(graph.nodes):
        if node.output is graph.output:
            return node.inputs[0] if node.op == "softmax" else node.output
    return graph.output


def predict_signal(graph: Graph, weights: Source | list[Source] | None = None) -> PredictedSignal:
    """Return the size of the signal at each layer of a network with its initial weights.

    The input has independent values of mean 0 and variance 1. No weight is drawn: the moments of
    each output follow from those of its inputs and from the initializers, in the mode, training or
    not, in which each layer was traced. Where they do not, there is a reason instead of numbers.
    `weights` are a spec's; what they restore is not as it was initialized.
    """
    restored = {} if weights is None else _restored(graph, weights)
    used: set[str] = set()
    signals: dict[Tensor, Signal] = {}
    reasons: dict[Tensor, str] = {}
    for node in graph.nodes:
        output = node.output
        if reasons:
            earlier = next((reasons[each] for each in node.inputs if each in reasons), None)
            if earlier is not None:
                reasons[output] = earlier
                continue
        try:
            _check_variables(node, restored, used)
            signals[output] = _signal(node, signals)
        except Unpredictable as unpredictable:
            reasons[output] = f"{node.name}: {unpredictable}."
    values = {tensor: _median_values(signal) for tensor, signal in signals.items()}
    return PredictedSignal(graph, values, reasons)


def _median_values(signal: Signal) -> PredictedValues:
    deviation = math.sqrt(signal.chance.total) / 2  # of the logarithm of the rms
    scale = math.exp(-deviation * deviation)
    rms = math.sqrt(signal.square) * scale
    return PredictedValues(signal.mean * scale, rms, math.exp(deviation))


def _check_variables(node: Node, restored: Mapping[str, str], used: set[str]) -> None:
    """Raise Unpredictable unless a node's variables are as initialized, and its weights its own."""
    if restored:
        for variable in node.variables.values():
            if variable.name in restored:
                raise Unpredictable(restored[variable.name])
    weights = node.variables.get("weights")
    if weights is None:
        return
    if weights.name in used:
        raise Unpredictable(
            f"it shares {weights.name} with a layer before, so that what the two make is not "
            "independent"
        )
    used.add(weights.name)


def _signal(node: Node, signals: Mapping[Tensor, Signal]) -> Signal:
    """Return the signal of a node's output.

    Raises: Unpredictable if its rule does, if it has none, or if float32 could not hold the output.
    """
    if node.op == "input":
        return input_signal(node.output)
    rule = RULES.get(node.op)
    if rule is None:
        raise Unpredictable(f"what {node.op} makes of its inputs is not known")
    try:
        signal = rule(node, [signals[tensor] for tensor in node.inputs])
    except OverflowError:
        signal = None
    # What is not a number is not less, either.
    if signal is None or not signal.square <= _MAX_SQUARE:
        raise Unpredictable("the signal is too large for float32")
    return signal


def _restored(graph: Graph, weights: Source | list[Source]) -> dict[str, str]:
    """Return why variables are not as their initializers make them, by name."""
    return {
        variable.name: (
            f"{source_pointer(weights, index)} restores {variable.name} from a {source.source}, "
            "so that its values are not those of its initializer"
        )
        for index, source in stored(weights)
        for variable in graph.variables
        if source.selects(variable.name)
    }
