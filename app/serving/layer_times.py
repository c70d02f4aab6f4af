"""What a profile tells: each layer's time beside what it holds and computes."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from app.tables import aligned
from model_zoo import Trace

_METHODS = {
    "onnxruntime": "by ONNX Runtime's profiler: kernels as they run, fused, on all cores.",
    "tensorflow": "layer by layer, without fusion: each step is a program of its own, and the "
    "device is awaited after it.",
}
_COLUMNS = (
    "name",
    "op",
    "output_shape",
    "parameters",
    "multiply_adds",
    "seconds",
    "share",
    "gigaops_per_second",
    "computed_with",
)


def describe(
    traced: Trace, measured: Mapping[str, Any], *, rows: int, runs_asked: int
) -> dict[str, Any]:
    """Return the profile of a network, JSON-ready.

    A multiply-add is two operations. `seconds` of a layer are None where it does not lead to the
    output; 0 where there is nothing to compute, or another layer's kernel computes it as well.
    """
    summary, other = traced.summary(), measured["other"]
    times = [*measured["layers"], *other]
    total = sum(each["seconds"] or 0.0 for each in times)
    network = measured["network_seconds"]
    layers = [
        {
            "name": row.name,
            "op": row.op,
            "output_shape": list(row.output_shape),
            "parameters": row.parameters,
            "multiply_adds": row.multiply_adds,
            **time,
            "share": _share(time["seconds"], total),
            "gigaops_per_second": _gigaops(rows * row.multiply_adds, time["seconds"]),
        }
        for row, time in zip(summary.rows, measured["layers"], strict=True)
    ]
    return {
        "engine": measured["engine"],
        "precision": measured["precision"],
        "device": measured["device"],
        "measured": _METHODS[measured["engine"]],
        "rows": rows,
        "runs": measured["runs"],
        "runs_asked": runs_asked,
        "layers": layers,
        "other": [{**each, "share": _share(each["seconds"], total)} for each in other],
        "totals": {
            "layers": len(layers),
            "parameters": summary.totals["parameters"],
            "multiply_adds": summary.totals["multiply_adds"],
            "seconds": total,
            "other_seconds": sum(each["seconds"] for each in other),
            "call_seconds": measured["call_seconds"],
            "network_seconds": network,
            "gigaops_per_second": _gigaops(
                rows * sum(each["multiply_adds"] for each in layers if each["seconds"] is not None),
                network,
            ),
        },
    }


def _share(seconds: float | None, total: float) -> float | None:
    return None if seconds is None or not total else seconds / total


def _gigaops(multiply_adds: int, seconds: float | None) -> float | None:
    return 2 * multiply_adds / seconds / 1e9 if multiply_adds and seconds else None


def as_text(profile: Mapping[str, Any]) -> str:
    """Return a profile as an aligned table, with what was measured and the totals below."""
    header = ("layer", "op", "output", "ms", "share", "multiply-adds", "Gop/s", "parameters")
    table = [_line(layer) for layer in profile["layers"]]
    table += [
        (f"other: {each['count']} {each['kernel']}", "", "", *_cells(each), "", "", "")
        for each in profile["other"]
    ]
    totals = profile["totals"]
    lines = [
        *aligned(header, table, left=3),
        "",
        f"{profile['engine']}, {profile['precision']}, {profile['device']}; {profile['measured']}",
        f"rows: {profile['rows']}; runs: {profile['runs']} of {profile['runs_asked']}; seconds are "
        "medians of runs.",
        f"sum of the above: {_ms(totals['seconds'])} ms",
    ]
    if totals["call_seconds"] is not None:
        lines.append(
            f"of which to call a program: {_ms(totals['call_seconds'])} ms each; a smaller layer "
            "takes less than is shown"
        )
    lines.append(f"the whole network: {_ms(totals['network_seconds'])} ms")
    return "\n".join(lines) + "\n"


def _line(layer: Mapping[str, Any]) -> Sequence[str]:
    rate, host = layer["gigaops_per_second"], layer["computed_with"]
    ms, share = _cells(layer)
    if layer["seconds"] is None:
        ms, share = "unused", ""
    elif host and not layer["seconds"]:
        ms, share = "fused", ""
    return (
        layer["name"],
        layer["op"],
        _spell(layer["output_shape"]),
        ms,
        share,
        f"{layer['multiply_adds']:,}",
        "" if rate is None else f"{rate:.1f}",
        f"{layer['parameters']:,}",
    )


def _cells(times: Mapping[str, Any]) -> tuple[str, str]:
    share = times["share"]
    return _ms(times["seconds"]), "" if share is None else f"{100 * share:.1f}%"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.3f}"


def _spell(shape: Sequence[int | None]) -> str:
    return "x".join("N" if size is None else str(size) for size in shape)


def as_csv(profile: Mapping[str, Any]) -> str:
    """Return the rows of a profile as CSV with a header; what is no layer's has the name other."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for layer in profile["layers"]:
        writer.writerow({**layer, "output_shape": _spell(layer["output_shape"])})
    for each in profile["other"]:
        writer.writerow({**each, "name": "other", "op": each["kernel"]})
    return text.getvalue()
