"""The diff of two builds as text for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from model_zoo.reports.diff_documents import (
    SIDES,
    DiffDocument,
    DiffTotals,
    LayerDiffDocument,
    SettingDocument,
    TotalDocument,
)
from model_zoo.reports.explanation import ArgumentDocument
from model_zoo.reports.json_patch import Operation, json_text
from model_zoo.reports.summary import LayerDocument
from model_zoo.tables import aligned_table, spell_shape


def diff_text(document: DiffDocument) -> str:
    """Return a diff for a terminal: a paragraph for each part that says something."""
    counts = ", ".join(f"{count} {status}" for status, count in document["layer_counts"].items())
    shared = document["shared_weights"]
    shares = [
        f", {share:.1%} of {side}"
        for side in SIDES
        if (share := shared[f"share_of_{side}"]) is not None  # type: ignore[literal-required]
    ]
    edges = [
        f"    {edge['status']:7}  {edge['source']} -> {edge['target']}"
        for edge in document["edges"]
    ]
    sides = [
        f"    {side}: {document[side]['build']} ({document[side]['architecture']})"
        for side in SIDES
    ]
    parts = [
        ["The builds are the same." if document["equal"] else "The builds differ.", *sides],
        _headed("Spec (JSON Patch from a to b)", [_step_line(step) for step in document["spec"]]),
        _total_lines(document["totals"]),
        [f"Layers: {counts}", *map(_layer_line, document["layers"])],
        _headed("Edges", edges),
        _headed("Settings", _setting_lines(document["settings"])),
        [
            f"Shared weights: {shared['variables']} variables, {shared['parameters']:,} parameters"
            f"{''.join(shares)}"
        ],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _headed(heading: str, lines: Sequence[str]) -> list[str]:
    return [heading, *lines] if lines else []


def _step_line(step: Operation) -> str:
    value = f" {json_text(step['value'])}" if "value" in step else ""
    return f"    {step['op']:7}  {step['path']}{value}"


def _total_lines(totals: DiffTotals) -> list[str]:
    rows = [
        (
            name.replace("_", " "),
            f"{each['a']:,}",
            f"{each['b']:,}",
            f"{each['difference']:+,}",
            "" if each["ratio"] is None else f"{each['ratio']:.3f}",
        )
        for name, each in cast(Mapping[str, TotalDocument], totals).items()
        if each["difference"]
    ]
    header = ("total", "a", "b", "difference", "ratio")
    return aligned_table(header, rows, right=(1, 2, 3, 4)) if rows else []


def _layer_line(layer: LayerDiffDocument) -> str:
    a, b = layer["a"], layer["b"]
    row = b or a
    assert row is not None
    name = (
        row["name"]
        if a is None or "name" not in layer["changes"]
        else f"{a['name']} -> {row['name']}"
    )
    if a is None or b is None:
        facts = [spell_shape(row["output_shape"]), f"{row['parameters']:,} parameters"]
    else:
        before, after = _figures(a), _figures(b)
        facts = [
            f"{change.replace('_', ' ')} {before[change]} -> {after[change]}"
            for change in layer["changes"]
            if change in before
        ]
        facts += ["arguments"] if "arguments" in layer["changes"] else []
    return f"    {layer['status']:7}  {name} ({row['op']}){': ' if facts else ''}{', '.join(facts)}"


def _figures(row: LayerDocument) -> dict[str, str]:
    return {
        "op": row["op"],
        "output_shape": spell_shape(row["output_shape"]),
        "parameters": f"{row['parameters']:,}",
        "multiply_adds": f"{row['multiply_adds']:,}",
    }


def _setting_lines(settings: Iterable[SettingDocument]) -> list[str]:
    """Return what an argument is on both sides once for all the layers where it is so."""
    layers: dict[tuple[str, str, str], list[str]] = {}
    for setting in settings:
        sides = [_value(setting[side]) for side in SIDES]
        renamed = f" (in a: {setting['renamed_from']})" if "renamed_from" in setting else ""
        key = (f"{setting['op']}.{setting['argument']}", sides[0], sides[1])
        layers.setdefault(key, []).append(setting["layer"] + renamed)
    lines = []
    for (name, a, b), names in layers.items():
        lines += [f"    {name}", f"        a: {a}", f"        b: {b}"]
        lines += [f"        in {layer}" for layer in names]
    return lines


def _value(argument: ArgumentDocument | None) -> str:
    if argument is None:
        return "not given"
    where = f" from {argument['written_at']}" if "written_at" in argument else ""
    beat = "".join(
        f"; beat {json_text(each['value'])} from {each['written_at']}"
        for each in argument.get("beat", ())
    )
    return f"{json_text(argument['value'])}  [{argument['kind']}{where}{beat}]"
