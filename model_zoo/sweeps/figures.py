"""The figures by which rows are compared: totals, the predicted gain, and what was measured."""

from collections.abc import Mapping
from typing import Any

from model_zoo.reports.summary import Totals
from model_zoo.sweeps.rows import SweepRowDocument

TOTALS = tuple(Totals.__annotations__)
PREDICTED = ("predicted_gain",)
MEASURED = (
    "latency_s",
    "output_mean",
    "output_std",
    "same_top_1",
    "largest_difference",
    "mean_kl_divergence",
    "signal_gain",
    "training_signal_gain",
)
FIGURES = (*TOTALS, *PREDICTED, *MEASURED)


def figures(row: SweepRowDocument) -> Mapping[str, Any]:
    """Return the figures of a row, with what is said beside them, by their names."""
    return {**(row["totals"] or {}), **row.get("predicted", {}), **row.get("measured", {})}


def figure(row: SweepRowDocument, name: str) -> float | None:
    """Return a figure of a row; None if it has none of this name."""
    value = figures(row).get(name)
    return None if value is None else float(value)
