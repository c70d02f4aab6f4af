"""What computes a network in the worker: TensorFlow, or ONNX Runtime on a CPU."""

from collections.abc import Sequence
from typing import Protocol

from app.arrays import OUTPUT, Array
from app.engine import RuntimeName
from model_zoo import Tensor, Trace

# How many programs a model keeps for other outputs than the network's own.
MAX_PROGRAMS = 4


class Runtime(Protocol):
    """A network that can compute."""

    name: RuntimeName
    # How many batches may be computed side by side, and about how long a row takes then; one until
    # that is measured.
    lanes: int
    lane_seconds: float

    def choose_lanes(self) -> None:
        """Measure whether batches side by side are faster, and keep to that; others may run."""

    def run(self, rows: Array, outputs: Sequence[str], *, is_alone: bool = True) -> list[Array]:
        """Return outputs of a batch, by the names of end points or OUTPUT.

        A batch that is not alone keeps to the cores of one lane.

        Shape: (N, *input) -> (N, *output) each
        """


def tensors_of(traced: Trace, outputs: Sequence[str]) -> dict[str, Tensor]:
    """Return the tensors of the graph that outputs name."""
    graph = traced.graph
    return {name: graph.output if name == OUTPUT else graph.end_points[name] for name in outputs}
