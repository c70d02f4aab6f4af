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


def figure(row: SweepRowDocument, name: str) -> float | None:
    """Return a figure of a row; None if it has none of this name."""
    columns: Mapping[str, Any] = {
        **(row["totals"] or {}),
        **row.get("predicted", {}),
        **row.get("measured", {}),
    }
    value = columns.get(name)
    return None if value is None else float(value)
