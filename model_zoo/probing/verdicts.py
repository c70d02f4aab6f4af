"""What is wrong with a curve, where it begins, and who is to blame."""

import math
from collections.abc import Callable, Iterator, Sequence

from model_zoo.graph import Node
from model_zoo.probing.blame import NORMALIZERS, Blame
from model_zoo.probing.curve import Point
from model_zoo.probing.documents import (
    DEAD_UNITS,
    EXPLODING_GAIN,
    VANISHING_GAIN,
    VANISHING_STD,
    BatchNormsDocument,
    CauseDocument,
    Figure,
    Mode,
    VerdictDocument,
    VerdictName,
)
from model_zoo.probing.messages import verdict_message
from model_zoo.tracing import Trace

# A figure that is beyond its limit: its name, the number, and the limit.
_Excess = tuple[Figure, float, float]


def verdicts(
    traced: Trace,
    mode: Mode,
    points: Sequence[Point],
    blame: Blame,
    norms: BatchNormsDocument,
    rows: int,
) -> Iterator[VerdictDocument]:
    """Yield what is wrong in a mode: each kind of fault once, where it begins.

    `points` are measured on so many rows.
    """
    # Probabilities are small by definition, and what is too small for float32 is zero.
    judged = [point for point in points if point.last.op not in ("input", "softmax")]
    for name, excess in _FAULTS.items():
        faulty = [(point, over) for point in judged if (over := excess(point)) is not None]
        if not faulty:
            continue
        point, (figure, number, limit) = faulty[0]
        causes, rest = _causes(traced, name, figure, point, blame)
        verdict: VerdictDocument = {
            "mode": mode,
            "verdict": name,
            "layer": point.row.name,
            "op": point.row.op,
            "figure": figure,
            "number": number,
            "limit": limit,
            "layers": len(faulty),
            "reaches_output": any(p.last.output is traced.graph.output for p, _ in faulty),
            "causes": causes,
            "other_share": rest,
            "message": "",
        }
        output = point.row.output_shape[1:-1]
        values = rows * math.prod(size or 1 for size in output)
        verdict["message"] = verdict_message(verdict, norms, values)
        yield verdict


def _vanishing(point: Point) -> _Excess | None:
    gain, std = point.gain_from_input, point.statistics.std
    if gain is not None and gain < VANISHING_GAIN:
        return "gain_from_input", gain, VANISHING_GAIN
    if std is not None and std < VANISHING_STD:
        return "std", std, VANISHING_STD
    return None


def _exploding(point: Point) -> _Excess | None:
    gain = point.gain_from_input
    if gain is not None and gain > EXPLODING_GAIN:
        return "gain_from_input", gain, EXPLODING_GAIN
    return None


def _dead(point: Point) -> _Excess | None:
    share = point.statistics.dead_units
    return ("dead_units", share, DEAD_UNITS) if share > DEAD_UNITS else None


def _non_finite(point: Point) -> _Excess | None:
    count = point.statistics.non_finite
    return ("non_finite", count, 0) if count else None


_FAULTS: dict[VerdictName, Callable[[Point], _Excess | None]] = {
    "vanishing": _vanishing,
    "exploding": _exploding,
    "dead": _dead,
    "non-finite": _non_finite,
}


def _causes(
    traced: Trace, name: VerdictName, figure: Figure, point: Point, blame: Blame
) -> tuple[list[CauseDocument], float | None]:
    match name:
        case "vanishing":
            return blame.of_change(point.last, "std" if figure == "std" else "rms", losses=True)
        case "exploding":
            return blame.of_change(point.last, "rms", losses=False)
        case "dead":
            return blame.of_dead_units(_with_normalizers(traced, point), DEAD_UNITS), None
        case "non-finite":
            broken = blame.of_broken_weights(_with_normalizers(traced, point))
            return (broken, None) if broken else blame.of_change(point.last, "rms", losses=False)


def _with_normalizers(traced: Trace, point: Point) -> list[Node]:
    """Return the nodes of a layer, and of the normalizer that it calls, in order."""
    call = point.last.call
    if call is None:
        return list(point.nodes)
    own = set(point.nodes)

    def is_its_normalizer(node: Node) -> bool:
        return node.op in NORMALIZERS and node.call is not None and node.call.parent is call

    return [node for node in traced.graph.nodes if node in own or is_its_normalizer(node)]
