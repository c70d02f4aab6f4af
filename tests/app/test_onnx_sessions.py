"""Sessions of one network share its weights, and compute what a session by itself does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from small import family_spec, random_rows

from app.arrays import OUTPUT
from app.compute.worker.runtimes.onnx_runtime import OnnxRuntime, lowered
from app.compute.worker.runtimes.onnx_sessions import OptimizedModel, SharedWeights, open_session
from app.store.sources import WeightSources
from model_zoo import BuildSpec, CheckpointStore, Trace, build_weights, onnx_model, trace

MEMORY_OF_A_LOADED_NETWORK = """
import sys

from app.compute.worker.runtimes.loading import load, warm_up
from app.settings import Settings
from model_zoo import BuildSpec, trace

settings = Settings()
options = {"device": "cpu", "engine": "onnxruntime", "precision": "float32", "known": None}
traced = trace(BuildSpec(architecture=sys.argv[1]))
state = warm_up(load(traced, None, settings, **options), settings).state
totals = traced.summary().totals
rows = state.lanes if state.lanes > 1 else state.warmed[-1]
least = totals["weight_bytes"] + rows * totals["peak_activation_bytes"]
print(state.size_bytes / least)
"""
MEMORY_THAT_IS_GIVEN_BACK = """
import numpy as np

from app.arrays import OUTPUT
from app.compute.worker.runtimes.memory import give_memory_back, resident_bytes, trim
from app.compute.worker.runtimes.onnx_runtime import OnnxRuntime
from model_zoo import BuildSpec, trace

traced = trace(BuildSpec(architecture="mobilenet_v1"))
runtime = OnnxRuntime(traced, None)
rows = np.zeros((8, *traced.spec.input_shape), np.float32)
give_memory_back()
before = resident_bytes()
runtime.run(rows, (OUTPUT,))
trim()
held = resident_bytes() - before
give_memory_back()
print(held / rows.nbytes, (resident_bytes() - before) / rows.nbytes)
"""


@pytest.fixture
def sources(tmp_path: Path) -> WeightSources:
    return WeightSources(CheckpointStore(tmp_path), {}.get)


def traced_build(name: str) -> Trace:
    return trace(BuildSpec.read(family_spec(name)))


def optimized(
    traced: Trace, sources: WeightSources, weights: SharedWeights, *outputs: str
) -> OptimizedModel:
    return weights.optimize(*lowered(traced, sources, outputs))


def shared(one: OptimizedModel, other: OptimizedModel) -> tuple[int, int]:
    """Return the bytes of the weights in both, and in the first."""
    mine = set(one.weights.values())
    both = mine & set(other.weights.values())
    return sum(w.array.nbytes for w in both), sum(w.array.nbytes for w in mine)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["lenet", "mobilenet_v3_small", "inception_v1", "i3d"])
def test_a_shared_session_computes_what_one_by_itself_does(
    name: str, sources: WeightSources
) -> None:
    traced = traced_build(name)
    rows = random_rows(2, traced.graph.input.shape)
    whole = onnx_model(traced.graph, build_weights(traced, sources)).SerializeToString()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    alone = ort.InferenceSession(whole, options, providers=["CPUExecutionProvider"])
    model = optimized(traced, sources, SharedWeights(), OUTPUT)
    (expected,) = alone.run([OUTPUT], {"input": rows})
    (computed,) = open_session(model, 1).run([OUTPUT], {"input": rows})
    np.testing.assert_array_equal(computed, expected)


@pytest.mark.heavy
def test_programs_for_other_outputs_share_the_weights(sources: WeightSources) -> None:
    traced, weights = traced_build("mobilenet_v1_025"), SharedWeights()
    main = optimized(traced, sources, weights, OUTPUT)
    both, all_of_them = shared(main, optimized(traced, sources, weights, OUTPUT))
    assert both == all_of_them > 0
    end = list(traced.graph.end_points)[-1]
    both, of_the_program = shared(optimized(traced, sources, weights, end), main)
    assert both == of_the_program > 0


@pytest.mark.heavy
def test_weights_that_no_program_holds_are_freed(sources: WeightSources) -> None:
    traced, weights = traced_build("mobilenet_v1_025"), SharedWeights()
    first = optimized(traced, sources, weights, OUTPUT)
    del first
    assert [len(alike) for alike in weights._known.values() if alike] == []


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v3_large", "resnet_v1_50"])
def test_a_network_takes_its_weights_once_and_its_activations(name: str) -> None:
    assert float(printed(MEMORY_OF_A_LOADED_NETWORK, name)) < 1.4


@pytest.mark.heavy
def test_the_memory_of_activations_is_held_until_it_is_given_back() -> None:
    held, left = map(float, printed(MEMORY_THAT_IS_GIVEN_BACK).split())
    assert held > 4
    assert left < 1


def printed(program: str, *arguments: str) -> str:
    """Return what a program prints, in a process of its own."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.heavy
def test_every_output_of_a_runtime_stays_the_same(sources: WeightSources) -> None:
    traced = traced_build("mobilenet_v1_025")
    runtime = OnnxRuntime(traced, sources)
    rows = random_rows(1, traced.graph.input.shape)
    (before,) = runtime.run(rows, (OUTPUT,))
    for end in list(traced.graph.end_points)[:6]:  # more than a runtime keeps programs
        runtime.run(rows, (end,))
    (after,) = runtime.run(rows, (OUTPUT,))
    np.testing.assert_array_equal(after, before)
