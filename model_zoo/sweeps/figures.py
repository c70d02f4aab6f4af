"""The figures of a row, by which rows are compared: its totals, and what was measured of it."""

from collections.abc import Mapping
from typing import Any

from model_zoo.reports.summary import Totals
from model_zoo.sweeps.rows import SweepRowDocument

TOTALS = tuple(Totals.__annotations__)
MEASURED = (
    "latency_s",
    "output_mean",
    "output_std",
    "same_top_1",
    "largest_difference",
    "mean_kl_divergence",
)


def figure(row: SweepRowDocument, name: str) -> float | None:
    """Return a figure of a row; None if it has none of this name."""
    columns: Mapping[str, Any] = {**(row["totals"] or {}), **row.get("measured", {})}
    value = columns.get(name)
    return None if value is None else float(value)
