"""An explanation as a table: one row for each argument of each call."""

import json

from model_zoo.reports.explanation import Explanation
from model_zoo.tables import csv_table

_COLUMNS = ("layer", "op", "argument", "value", "kind", "written_at", "beat")


def explanation_csv(explanation: Explanation) -> str:
    """Return every argument of every call as CSV with a header; overrides have no rows.

    `value` and `beat` are JSON, as in the explanation's document. What that leaves out is empty:
    where a default was written, and what beat nothing.
    """
    rows = []
    for call in explanation.calls:
        for argument in call.arguments:
            document = argument.to_dict()
            beat: list[object] = [*document.get("beat", ())]
            if "more_beaten" in document:
                beat.append(f"and {document['more_beaten']} more")
            rows.append(
                (
                    call.layer,
                    call.op,
                    document["name"],
                    json.dumps(document["value"]),
                    document["kind"],
                    document.get("written_at", ""),
                    json.dumps(beat) if beat else "",
                )
            )
    return csv_table(_COLUMNS, rows)
