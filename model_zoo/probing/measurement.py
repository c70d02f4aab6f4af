"""Measures a build's network in one mode after the other. Everything here imports Keras."""

import gc
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model_zoo.errors import InputError
from model_zoo.graph import Graph, Node, Variable
from model_zoo.lowering import Model
from model_zoo.lowering.model import checked_batch
from model_zoo.probing.blame import Blame
from model_zoo.probing.curve import curve
from model_zoo.probing.documents import (
    BatchNormsDocument,
    Mode,
    ProbeCurveDocument,
    VerdictDocument,
)
from model_zoo.probing.forward_pass import run
from model_zoo.probing.verdicts import verdicts
from model_zoo.tracing import Trace
from model_zoo.weight_sources import seed as weights_seed
from model_zoo.weights.random import random_value
from model_zoo.weights.restore import BuildTensors, NoLibrary, WeightLibrary

Array = NDArray[np.float32]

# What the seed draws: the noise, and the tensor that the output is multiplied with.
_NOISE, _LOSS_WEIGHTS = 0, 1


class Measurement:
    """A batch, and the weights of the build that it goes through in each mode."""

    def __init__(
        self,
        traced: Trace,
        library: WeightLibrary | None,
        inputs: ArrayLike | None,
        rows: int,
        seed: int,
        *,
        gradients: bool,
    ) -> None:
        """Raises: InputError if inputs do not fit, WeightsError as `materialize`."""
        graph = traced.graph
        if inputs is None:
            self.batch = _normal(seed, _NOISE, rows, graph.input.shape)
        else:
            self.batch = checked_batch(graph, inputs)
            if not np.isfinite(self.batch).all():
                raise InputError("The input has values that are not finite.")
        self._seed = seed
        self._gradients = gradients
        self._tensors = BuildTensors(traced, library or NoLibrary())
        self._tensors.plan.check()

    def of_mode(
        self, mode: Mode, traced: Trace, check: Callable[[], None]
    ) -> tuple[ProbeCurveDocument, list[VerdictDocument]]:
        """Return the curve of a mode, given its trace, and what is wrong with it."""
        graph = traced.graph
        check()
        gc.collect()  # Keras's objects form cycles, and that of the mode before may be large
        model = self._model(traced)
        loss_weights = None
        if self._gradients:
            rows, shape = len(self.batch), graph.output.shape
            loss_weights = _normal(self._seed, _LOSS_WEIGHTS, rows, shape)
        measured = run(model, self.batch, loss_weights=loss_weights, check=check)
        points = curve(traced, measured.statistics, measured.gradients)

        def is_finite(variable: Variable) -> bool:
            return bool(np.isfinite(np.asarray(model.variables[variable.name])).all())

        blame = Blame(graph, measured.statistics, self._tensors.plan, is_finite)
        norms = _batch_norms(graph, model)
        faults = list(verdicts(traced, mode, points, blame, norms, len(self.batch)))
        layers = [point.to_dict() for point in points]
        return {"mode": mode, "batch_norms": norms, "layers": layers}, faults

    def _model(self, traced: Trace) -> Model:
        """Return the network of a mode with the build's weights.

        A mode may have layers that the build has not, such as NASNet's auxiliary head in training:
        their weights are random.
        """
        model = Model(traced.graph)
        seed, known = weights_seed(traced.spec.weights), self._tensors.tensors
        model.assign(
            {
                variable.name: self._tensors.read(variable.name)
                if variable.name in known
                else random_value(seed, variable)
                for variable in traced.graph.variables
            }
        )
        return model


def _normal(seed: int, stream: int, rows: int, shape: Sequence[int | None]) -> Array:
    bits = np.random.Philox(np.random.SeedSequence([seed, stream]))
    sizes = (rows, *(size or 1 for size in shape[1:]))
    return np.random.Generator(bits).standard_normal(sizes, dtype=np.float32)


def _batch_norms(graph: Graph, model: Model) -> BatchNormsDocument:
    """Return how many batch norms normalize by what."""
    norms = [node for node in graph.nodes if node.op == "batch_norm"]
    moving = [node for node in norms if not node.uses_batch_statistics]
    return {
        "batch_statistics": len(norms) - len(moving),
        "moving_averages": len(moving),
        "initial_moving_averages": sum(_is_initial(node, model) for node in moving),
    }


def _is_initial(node: Node, model: Model) -> bool:
    mean, variance = (
        np.asarray(model.variables[node.variables[role].name])
        for role in ("moving_mean", "moving_variance")
    )
    return not mean.any() and bool((variance == 1).all())
