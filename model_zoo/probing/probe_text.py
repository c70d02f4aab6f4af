"""A probe as text for a terminal: what is wrong, then the curves."""

from model_zoo.probing.documents import LayerProbeDocument, ProbeCurveDocument, ProbeDocument
from model_zoo.tables import aligned_table, spell_shape

_NUMBERS = ("mean", "std", "rms", "min", "max")
_SHARES = ("zero_fraction", "dead_units", "saturated")
_MORE = ("gain", "gain_from_input", "channel_squared_mean", "channel_variance")
_HEADER = (
    "layer",
    "op",
    "output",
    *_NUMBERS,
    "zero",
    "dead",
    "saturated",
    "non-finite",
    "gain",
    "from input",
    "ch. mean^2",
    "ch. var",
)


def probe_text(document: ProbeDocument) -> str:
    """Return the verdicts, what was probed, and a table for each mode."""
    faults = [f"{each['verdict']}: {each['message']}" for each in document["verdicts"]]
    parts = [
        faults or ["The signal is healthy."],
        _facts(document),
        *(_curve(mode, has_gradients=document["loss"] is not None) for mode in document["modes"]),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _facts(document: ProbeDocument) -> list[str]:
    source = {
        "normal": f"normal noise of seed {document['seed']}",
        "arrays": "the arrays given",
        "images": f"the images given, preprocessed as {document['preprocessing']}",
    }[document["input"]]
    lines = [
        f"build: {document['build']} ({document['architecture']})",
        f"input: {document['rows']} rows of {source}",
        f"dropout: {document['dropout']}",
    ]
    if document["loss"] is not None:
        lines.append(f"gradients: of {document['loss']}, at the output of each layer")
    return lines


def _curve(mode: ProbeCurveDocument, *, has_gradients: bool) -> list[str]:
    norms = mode["batch_norms"]
    uses = [
        f"{norms['batch_statistics']} by the statistics of the batch",
        f"{norms['moving_averages']} by moving averages",
    ]
    if norms["initial_moving_averages"]:
        uses[1] += f", {norms['initial_moving_averages']} of which are as initialized"
    header = (*_HEADER, "gradient") if has_gradients else _HEADER
    rows = [_cells(layer)[: len(header)] for layer in mode["layers"]]
    title = f"In {mode['mode']} mode (batch norms: {'; '.join(uses)})"
    return [title, *aligned_table(header, rows, right=range(3, len(header)))]


def _cells(layer: LayerProbeDocument) -> list[str]:
    return [
        layer["name"],
        layer["op"],
        spell_shape(layer["output_shape"]),
        *(_number(layer[name]) for name in _NUMBERS),  # type: ignore[literal-required]
        *(_share(layer[name]) for name in _SHARES),  # type: ignore[literal-required]
        str(layer["non_finite"]),
        *(_number(layer[name]) for name in _MORE),  # type: ignore[literal-required]
        _number(layer["gradient_rms"]),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
