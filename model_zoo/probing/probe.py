"""The probe of a build: a batch through its network, measured layer by layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from model_zoo.errors import BuildError, InputError, Problem, not_accepted
from model_zoo.probing.documents import (
    DEFAULT_ROWS,
    LIMITS,
    MODES,
    InputKind,
    Mode,
    ProbeCurveDocument,
    ProbeDocument,
    VerdictDocument,
)
from model_zoo.probing.probe_csv import probe_csv
from model_zoo.probing.probe_text import probe_text
from model_zoo.spec import BuildSpec
from model_zoo.tracing import Trace, trace

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from model_zoo.weights.restore import WeightLibrary

_BYTES = 4  # of float32
_DROPOUT = (
    "off in both modes, because it draws at random; what it keeps, it scales to the same mean"
)
_LOSS = "the mean of the output times a normal tensor that the seed draws"


@dataclass(frozen=True, slots=True)
class Probe:
    """What a batch was at each layer of a build, and what is wrong with it."""

    document: ProbeDocument

    @property
    def is_healthy(self) -> bool:
        """Whether there is no verdict."""
        return self.document["healthy"]

    def to_dict(self) -> ProbeDocument:
        """Return the probe, JSON-ready."""
        return self.document

    def to_text(self) -> str:
        """Return the verdicts, then a table for each mode."""
        return probe_text(self.document)

    def to_csv(self) -> str:
        """Return a row for each layer in each mode, with a header."""
        return probe_csv(self.document)


def in_mode(traced: Trace, mode: Mode) -> Trace:
    """Return the trace of a build in a mode: its own, or that of its spec with other `is_training`.

    Raises: BuildError if the network refuses the mode.
    """
    is_training = mode == "training"
    if traced.spec.is_training == is_training:
        return traced
    spec = BuildSpec.stored({**traced.spec.normalized(), "is_training": is_training})
    try:
        return trace(spec)
    except BuildError as error:
        (problem,) = error.problems
        refused = BuildError(f"In {mode} mode, {problem.message}")
        refused.problems = (replace(problem, message=f"In {mode} mode, {problem.message}"),)
        refused.layer, refused.scopes = error.layer, error.scopes
        raise refused from error


def probe_bytes(traced: Trace, modes: Sequence[Mode] = MODES, *, gradients: bool = False) -> int:
    """Return the most bytes that the activations of one row take at once in a probe.

    Gradients need all of them, and as much again.
    """
    traces = [in_mode(traced, mode) for mode in modes]
    if not gradients:
        return max(each.summary().totals["peak_activation_bytes"] for each in traces)
    return max(2 * _BYTES * sum(n.output.size for n in each.graph.nodes) for each in traces)


def probe(
    traced: Trace,
    library: "WeightLibrary | None" = None,
    *,
    inputs: "ArrayLike | None" = None,
    are_images: bool = False,
    rows: int = DEFAULT_ROWS,
    seed: int = 0,
    gradients: bool = False,
    modes: Sequence[Mode] = MODES,
    check: Callable[[], None] = lambda: None,
) -> Probe:
    """Return what a batch is at each layer of a build, in inference and in training mode.

    The batch is `inputs`, which `are_images` preprocessed or else arrays, or `rows` of normal noise
    of a seed. The weights are the build's own. In training mode batch norm uses the statistics of
    the batch; dropout is off. With `gradients`, each layer has that of a scalar loss, which the
    answer names. `check` is called before each node, and may raise to end the probe.

    A verdict says that the signal vanishes, explodes, is not finite or that units are dead, where
    it begins, and which arguments are to blame, with who set them.

    Shape: `inputs` is (N, H, W, C), or what else the network takes
    Raises: InputError if an argument does not fit, BuildError if the network refuses a mode,
    WeightsError as `materialize`.
    """
    _check_arguments(rows, seed, modes)
    # Imported here: the documents of a probe are read where there is no Keras.
    from model_zoo.probing.measurement import Measurement

    traces = {mode: in_mode(traced, mode) for mode in dict.fromkeys(modes)}
    measurement = Measurement(traced, library, inputs, rows, seed, gradients=gradients)
    curves: list[ProbeCurveDocument] = []
    verdicts: list[VerdictDocument] = []
    for mode, each in traces.items():
        curve, faults = measurement.of_mode(mode, each, check)
        curves.append(curve)
        verdicts += faults
    kind: InputKind = "normal" if inputs is None else "images" if are_images else "arrays"
    return Probe(
        {
            "build": traced.spec.digest,
            "architecture": traced.spec.architecture,
            "input": kind,
            "preprocessing": traced.architecture.preprocessing if kind == "images" else None,
            "rows": len(measurement.batch),
            "seed": seed,
            "dropout": _DROPOUT,
            "loss": _LOSS if gradients else None,
            "limits": LIMITS,
            "healthy": not verdicts,
            "verdicts": verdicts,
            "modes": curves,
        }
    )


def _check_arguments(rows: int, seed: int, modes: Sequence[str]) -> None:
    for name, value, least in (("rows", rows, 1), ("seed", seed, 0)):
        if type(value) is not int or value < least:
            rule = f"{name} must be an integer of at least {least}; received {value!r}."
            raise InputError(Problem(rule, received=value))
    if not modes:
        raise InputError(f"modes must name one at least: {' or '.join(MODES)}.")
    for mode in modes:
        if mode not in MODES:
            raise not_accepted("modes", mode, MODES)
