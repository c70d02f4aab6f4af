"""The sentences of a probe's verdicts."""

from model_zoo.probing.documents import BatchNormsDocument, CauseDocument, VerdictDocument
from model_zoo.reports.json_patch import json_text


def verdict_message(verdict: VerdictDocument, norms: BatchNormsDocument, values: int) -> str:
    """Return a verdict in words: where, what, the limit, and who is to blame.

    `values` says how many values each unit of the layer had.
    """
    sentences = [f"{verdict['layer']}: in {verdict['mode']} mode {_what(verdict, values)}."]
    whole = "loss" if verdict["verdict"] == "vanishing" else "growth"
    causes = [_cause(cause, whole) for cause in verdict["causes"]]
    if causes:
        sentences.append(f"To blame: {'; '.join(causes)}.")
    initial = norms["initial_moving_averages"]
    if initial and verdict["verdict"] != "dead":
        sentences.append(
            f"{initial} batch norms use moving averages as they were initialized, and so "
            "normalize nothing in this mode."
        )
    return " ".join(sentences)


def _what(verdict: VerdictDocument, values: int) -> str:
    number, limit = verdict["number"], verdict["limit"]
    match verdict["verdict"], verdict["figure"]:
        case "vanishing", "std":
            what = f"the signal vanishes: its std is {number:.3g} (limit {limit:g})"
        case "vanishing", _:
            what = f"the signal vanishes: its rms is {number:.3g} of the input's (limit {limit:g})"
        case "exploding", _:
            what = (
                f"the signal explodes: its rms is {number:.3g} times the input's (limit {limit:g})"
            )
        case "dead", _:
            each = "its value" if values == 1 else f"each of its {values:,} values"
            what = (
                f"{number:.1%} of the units are dead: a unit is zero in {each} (limit {limit:.0%})"
            )
        case _:
            what = f"{number:,} {'value is' if number == 1 else 'values are'} not finite"
    more = verdict["layers"] - 1
    if more:
        what += f"; so {'is' if more == 1 else 'are'} {more} more layer{'' if more == 1 else 's'}"
        what += ", the output among them" if verdict["reaches_output"] else ", and not the output"
    return what


def _cause(cause: CauseDocument, whole: str) -> str:
    if cause["argument"] is None:
        text = " and ".join(cause["ops"])
    elif cause["argument"] == "weights":
        text = "the restored weights"
    else:
        text = f"{cause['argument']} = {json_text(cause['value'])}"
    if "written_at" in cause:
        text += f" from {cause['written_at']}"
    elif cause["kind"] == "default":
        text += f", the default of {' and '.join(cause['ops'])}"
    if cause["share"] is not None:
        layers = "1 layer" if cause["layers"] == 1 else f"{cause['layers']} layers"
        text += f" ({cause['share']:.0%} of the {whole}, in {layers})"
    return text
