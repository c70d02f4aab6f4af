"""A profile as a table for people, and as CSV."""

from collections.abc import Mapping, Sequence
from typing import Any

from model_zoo import aligned_table, csv_table, spell_shape

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


def as_text(profile: Mapping[str, Any]) -> str:
    """Return a profile as an aligned table, followed by the method and the totals."""
    header = ("layer", "op", "output", "ms", "share", "multiply-adds", "Gop/s", "parameters")
    table = [_line(layer) for layer in profile["layers"]]
    table += [
        (f"other: {each['count']} {each['kernel']}", "", "", *_cells(each), "", "", "")
        for each in profile["other"]
    ]
    totals = profile["totals"]
    lines = [
        *aligned_table(header, table, right=range(3, len(header))),
        "",
        f"{profile['engine']}, {profile['precision']}, {profile['device']}; {profile['measured']}",
        f"rows: {profile['rows']}; runs: {profile['runs']} of {profile['runs_asked']}; seconds are "
        "medians of runs.",
        f"sum of the above: {_ms(totals['seconds'])} ms",
    ]
    if totals["call_seconds"] is not None:
        lines.append(
            f"of which to call a program: {_ms(totals['call_seconds'])} ms each; a smaller layer "
            "takes less than shown"
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
        spell_shape(layer["output_shape"]),
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


def as_csv(profile: Mapping[str, Any]) -> str:
    """Return the rows of a profile as CSV with a header; time of no layer is named `other`."""
    rows = [
        *(
            {**each, "output_shape": spell_shape(each["output_shape"])}
            for each in profile["layers"]
        ),
        *({**each, "name": "other", "op": each["kernel"]} for each in profile["other"]),
    ]
    return csv_table(_COLUMNS, ([row.get(column) for column in _COLUMNS] for row in rows))
