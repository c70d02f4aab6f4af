"""Formats a comparison as text tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.store.builds import is_build_id
from model_zoo import aligned_table

_ID_DIGITS = 8
_MAX_CELL_CHARACTERS = 40
Comparison = Mapping[str, Any]


def as_text(comparison: Comparison) -> str:
    """Return tables of the runs, the classes side by side, the agreement and the specs."""
    results = comparison["results"]
    names = _short_names([result["model"] for result in results])
    blocks = [
        _results(results, names),
        _predictions(results, names),
        _pairs(comparison["pairs"], names),
        _differences(comparison, names),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _short_names(models: Sequence[str]) -> dict[str, str]:
    """Return the names of models in the tables; a build id is cut to its first digits.

    >>> _short_names(["0" * 32, "mine"])
    {'00000000000000000000000000000000': '00000000', 'mine': 'mine'}
    """
    short = {name: name[:_ID_DIGITS] if is_build_id(name) else name for name in models}
    return short if len(set(short.values())) == len(short) else {name: name for name in models}


def _results(results: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[str]:
    header = (
        "model",
        "architecture",
        "parameters",
        "multiply-adds",
        "memory MB",
        "engine",
        "precision",
        "rows",
        "load ms",
        "compute ms",
    )
    table, notes = [], []
    for result in results:
        name, seconds = names[result["model"]], result.get("seconds", {})
        table.append(
            (
                name,
                result["architecture"],
                f"{result['parameters']:,}",
                f"{result['multiply_adds']:,}",
                _megabytes(result.get("memory_bytes")),
                *(str(result.get(key) or "") for key in ("engine", "precision", "rows")),
                *(_ms(seconds.get(phase)) for phase in ("load", "compute")),
            )
        )
        if "problem" in result:
            notes.append(f"{name}: {result['problem']['detail']}")
        notes += [f"{name}: {warning}" for warning in result.get("warnings", ())]
    return [*aligned_table(header, table, right=(2, 3, 4, 7, 8, 9)), *notes]


def _predictions(results: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[str]:
    """Return a line for each row and rank, a column for each model."""
    predictions = {names[result["model"]]: result.get("predictions") or [] for result in results}
    table = []
    for row in range(max(map(len, predictions.values()))):
        ranked = [rows[row] if row < len(rows) else [] for rows in predictions.values()]
        for rank in range(max(map(len, ranked))):
            cells = (_class(best[rank]) if rank < len(best) else "" for best in ranked)
            table.append((str(row), str(rank + 1), *cells))
    header = ("row", "top", *predictions)
    return aligned_table(header, table, right=range(2, len(header))) if table else []


def _class(best: Mapping[str, Any]) -> str:
    probability = best["probability"]
    name = f" {_cut(best['name'])}" if "name" in best else ""
    return f"{best['class']}{name} ({'-' if probability is None else f'{probability:.4f}'})"


def _pairs(pairs: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[str]:
    header = ("model", "and model", "same top 1", "largest difference", "mean KL (nats)")
    table = []
    for pair in pairs:
        same = pair["same_top_1"]
        table.append(
            (
                *(names[model] for model in pair["models"]),
                "-" if same is None else f"{100 * same:.1f}%",
                _number(pair["largest_difference"]),
                _number(pair["mean_kl_divergence"]),
            )
        )
    return aligned_table(header, table, right=(2, 3, 4)) if table else []


def _differences(comparison: Comparison, names: Mapping[str, str]) -> list[str]:
    table = [
        (
            each["pointer"],
            *(_cell(each["values"][name]) if name in each["values"] else "-" for name in names),
        )
        for each in comparison["spec_differences"]
    ]
    if not table:
        return ["The specs are the same."]
    header = ("spec", *names.values())
    lines = aligned_table(header, table, right=range(1, len(header)))
    more = comparison["more_spec_differences"]
    return [*lines, f"and {more} more"] if more else lines


def _cell(value: object) -> str:
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    limit = _MAX_CELL_CHARACTERS
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.1f}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
