"""What a probe answers, and the limits of its verdicts."""

from typing import Literal, NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.provenance import Level
from model_zoo.setters import Kind

Mode = Literal["inference", "training"]
MODES: tuple[Mode, ...] = ("inference", "training")
InputKind = Literal["normal", "arrays", "images"]
DEFAULT_ROWS = 8
VerdictName = Literal["vanishing", "exploding", "dead", "non-finite"]
Figure = Literal["gain_from_input", "std", "dead_units", "non_finite"]

# A layer is told of below the first two, and above the others.
VANISHING_STD = 1e-4
VANISHING_GAIN = 1e-3
EXPLODING_GAIN = 1e3
DEAD_UNITS = 0.5


class LayerProbeDocument(TypedDict):
    """A layer's output over all rows; null for what values that are not finite leave undefined.

    Shares are between 0 and 1. `dead_units` is the share of channels that are zero on all rows and
    positions; `saturated` that of values at a bound of the activation, null where it has none.
    `gain` is rms out over rms in, `gain_from_input` the product of the gains on the way from the
    input. The last three are timm's averages over channels (arXiv:2101.08692), and the rms of the
    loss's gradient at the output, null if it was not asked for or the loss does not depend on it.
    """

    name: str
    op: str
    output_shape: list[int | None]
    mean: float | None
    std: float | None
    rms: float | None
    min: float | None
    max: float | None
    zero_fraction: float
    dead_units: float
    saturated: float | None
    non_finite: int
    gain: float | None
    gain_from_input: float | None
    channel_squared_mean: float | None
    channel_variance: float | None
    gradient_rms: float | None


class BatchNormsDocument(TypedDict):
    """How many batch norms normalize by what; moving averages may be as they were initialized."""

    batch_statistics: int
    moving_averages: int
    initial_moving_averages: int


class ProbeCurveDocument(TypedDict):
    """The curve of one mode: the layers in the order of the summary."""

    mode: Mode
    batch_norms: BatchNormsDocument
    layers: list[LayerProbeDocument]


class CauseDocument(TypedDict):
    """An argument that layers on the way got, who set it, and what they did to the signal.

    `share` is that of the whole loss or growth, in logarithms, up to the layer of the verdict, and
    `gain` the product over its layers; both are null where nothing is multiplied. `argument` is
    null where no argument decides, as in a sum or a pooling; `written_at` is missing for a default.
    """

    argument: str | None
    value: JsonValue
    kind: Kind | None
    written_at: NotRequired[str]
    level: NotRequired[Level]
    ops: list[str]
    layers: int
    first_layer: str
    gain: float | None
    share: float | None


class VerdictDocument(TypedDict):
    """What is wrong in a mode, the layer where it begins, its number, the limit, and the causes.

    `layers` says how many layers are so, `reaches_output` whether the network's output is one.
    """

    mode: Mode
    verdict: VerdictName
    layer: str
    op: str
    figure: Figure
    number: float
    limit: float
    layers: int
    reaches_output: bool
    causes: list[CauseDocument]
    other_share: float | None
    message: str


class ProbeLimitsDocument(TypedDict):
    """The limits of the verdicts."""

    vanishing_std: float
    vanishing_gain: float
    exploding_gain: float
    dead_units: float


class ProbeDocument(TypedDict):
    """A probe: what is wrong first, then the curve of each mode.

    `loss` says of what the gradients are, null if they were not asked for.
    """

    build: str
    architecture: str
    input: InputKind
    preprocessing: str | None
    rows: int
    seed: int
    dropout: str
    loss: str | None
    limits: ProbeLimitsDocument
    healthy: bool
    verdicts: list[VerdictDocument]
    modes: list[ProbeCurveDocument]


LIMITS: ProbeLimitsDocument = {
    "vanishing_std": VANISHING_STD,
    "vanishing_gain": VANISHING_GAIN,
    "exploding_gain": EXPLODING_GAIN,
    "dead_units": DEAD_UNITS,
}


def signal_gain(curve: ProbeCurveDocument) -> float | None:
    """Return the gain from the input to the scores, which a softmax may follow."""
    layers = [layer for layer in curve["layers"] if layer["op"] != "softmax"]
    return layers[-1]["gain_from_input"] if layers else None
