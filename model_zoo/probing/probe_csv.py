"""A probe as a table: one row for each layer in each mode."""

from model_zoo.probing.documents import LayerProbeDocument, ProbeDocument
from model_zoo.tables import csv_table, spell_shape

_COLUMNS = tuple(LayerProbeDocument.__annotations__)


def probe_csv(document: ProbeDocument) -> str:
    """Return a row for each layer in each mode, with a header.

    `verdicts` has the kinds that begin at the layer, with spaces between.
    """
    begins: dict[tuple[str, str], list[str]] = {}
    for verdict in document["verdicts"]:
        begins.setdefault((verdict["mode"], verdict["layer"]), []).append(verdict["verdict"])
    rows = (
        (
            mode["mode"],
            *(_cell(layer, column) for column in _COLUMNS),
            " ".join(begins.get((mode["mode"], layer["name"]), ())),
        )
        for mode in document["modes"]
        for layer in mode["layers"]
    )
    return csv_table(("mode", *_COLUMNS, "verdicts"), rows)


def _cell(layer: LayerProbeDocument, column: str) -> object:
    if column == "output_shape":
        return spell_shape(layer["output_shape"])
    return layer[column]  # type: ignore[literal-required]
