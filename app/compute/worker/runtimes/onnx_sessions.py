"""Sessions of ONNX Runtime that share one copy of the weights.

A session by itself copies the weights when it opens, and again to reorder them for its
convolutions. So a model is optimized once, which folds and reorders them, and its sessions read the
result where it lies. The activations of all sessions come from one arena, which keeps what a run
has freed for the next one.
"""

import mmap
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from app.compute.worker.runtimes.memory import shrinks_by

# Smaller ones stay in the model.
_LEAST_SHARED_BYTES = 1024
# Operators whose weights each session packs, in a copy of its own: a batch of 4 rows takes a third
# of the time then, and a row alone the same time. Above this size, memory counts for more. Those
# in int8 are packed whatever their size: a row would take 2 to 20 times the time.
_PACKING = frozenset(("Gemm", "FusedGemm", "MatMul", "FusedMatMul", "ConvTranspose"))
_MOST_PACKED_BYTES = 16 * 1024**2
# A session only checks that the file exists, if all of its weights are given as values.
_NO_FILE = Path(os.devnull)
_FOLDER_KEY = "session.model_external_initializers_file_folder_path"
# The kernels load whole cache lines.
_ALIGNMENT = 64
# Of a tensor, to find those that may be equal.
_COMPARED_BYTES = 256

Taken = TypeVar("Taken")


@dataclass(frozen=True, eq=False)
class _Weight:
    """An initializer; the value points into the array."""

    array: NDArray[Any]
    value: ort.OrtValue


@dataclass(frozen=True, slots=True)
class OptimizedModel:
    """A model as its sessions run it, and its weights by name; both must outlive the sessions."""

    content: bytes
    weights: Mapping[str, _Weight]
    # Of the weights that a session would pack.
    packed_bytes: int


class SharedWeights:
    """The weights of a model's programs: those of equal content are in memory once.

    The programs hold them; what no program holds any more is freed.
    """

    def __init__(self) -> None:
        self._known: dict[object, WeakSet[_Weight]] = {}
        # Batches that ask for new outputs make their programs in threads of their own.
        self._lock = threading.Lock()

    def optimize(
        self, model: onnx.ModelProto, beside: Mapping[str, NDArray[Any]]
    ) -> OptimizedModel:
        """Return an optimized model; `beside` has the initializers that the model declares only."""
        level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        with _optimized(model, beside, level) as (optimized, weights_file), self._lock:
            weights = dict(_written(optimized, weights_file, self._shared))
        packed = {
            name
            for node in optimized.graph.node
            if node.op_type in _PACKING
            for name in node.input
            if name in weights
        }
        packed_bytes = sum(weights[name].array.nbytes for name in packed)
        return OptimizedModel(optimized.SerializeToString(), weights, packed_bytes)

    def _shared(self, array: NDArray[Any]) -> _Weight:
        """Return the weight with this content, a new one if there is none."""
        start = array.reshape(-1)[: _COMPARED_BYTES // array.itemsize].tobytes()
        alike = self._known.setdefault((array.shape, array.dtype.str, start), WeakSet())
        for weight in alike:
            if np.array_equal(weight.array.view(np.uint8), array.view(np.uint8)):
                return weight
        copy = _aligned_copy(array)
        weight = _Weight(copy, ort.OrtValue.ortvalue_from_numpy(copy))
        alike.add(weight)
        return weight


def folded(
    model: onnx.ModelProto, beside: Mapping[str, NDArray[Any]]
) -> tuple[onnx.ModelProto, dict[str, NDArray[Any]]]:
    """Return a model of ONNX's own operators alone, whose constants and batch norms are folded.

    Its large initializers are beside it, as those of the given model are.
    """
    level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with _optimized(model, beside, level) as (optimized, weights_file):
        return optimized, dict(_written(optimized, weights_file, _aligned_copy))


@contextmanager
def passing_session(
    model: onnx.ModelProto, beside: Mapping[str, NDArray[Any]], threads: int
) -> Iterator[ort.InferenceSession]:
    """Give a session that runs a model as it is, and reads what is beside it where it lies."""
    options = _options(threads)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry(_FOLDER_KEY, str(_NO_FILE.parent))
    # They must outlive the session.
    values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in beside.items()}
    for name, value in values.items():
        options.add_initializer(name, value)
    session = _session(model.SerializeToString(), options)
    yield session
    del session


@contextmanager
def _optimized(
    model: onnx.ModelProto,
    beside: Mapping[str, NDArray[Any]],
    level: ort.GraphOptimizationLevel,
) -> Iterator[tuple[onnx.ModelProto, int]]:
    """Give a model as ONNX Runtime optimizes it, and a file with its large initializers."""
    with _memory_file() as graph_file, _memory_file() as weights_file:
        options = _options(threads=1)
        options.graph_optimization_level = level
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.optimized_model_filepath = f"/proc/self/fd/{graph_file}"
        for key, value in (
            ("external_initializers_file_name", weights_file),
            ("external_initializers_min_size_in_bytes", _LEAST_SHARED_BYTES),
        ):
            options.add_session_config_entry(f"session.optimized_model_{key}", str(value))
        values = [ort.OrtValue.ortvalue_from_numpy(array) for array in beside.values()]
        options.add_external_initializers(list(beside), values)
        # The session is freed at once: it has a copy of everything.
        _session(model.SerializeToString(), options)
        content = os.pread(graph_file, os.fstat(graph_file).st_size, 0)
        yield onnx.ModelProto.FromString(content), weights_file


def _written(
    model: onnx.ModelProto, file: int, take: Callable[[NDArray[Any]], Taken]
) -> Iterator[tuple[str, Taken]]:
    """Yield what is taken of each weight in a file; the model then names one that always exists."""
    external = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    if not external:
        return
    with mmap.mmap(file, 0, prot=mmap.PROT_READ) as mapped:
        for tensor in external:
            offset = next(int(e.value) for e in tensor.external_data if e.key == "offset")
            dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
            array = np.ndarray(tuple(tensor.dims), dtype, mapped, offset)
            taken = take(array)
            del array  # which would keep the mapping open
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value=_NO_FILE.name)
            yield tensor.name, taken


def open_session(
    model: OptimizedModel, threads: int, *, profile_prefix: str | None = None
) -> ort.InferenceSession:
    """Return a session; with a prefix, it writes the time of each kernel to a file named so."""
    options = _options(threads)
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    # A pattern reserves all of a run's memory in one piece, beside the pieces of earlier runs.
    options.enable_mem_pattern = False
    if model.packed_bytes > _MOST_PACKED_BYTES:
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.add_session_config_entry(_FOLDER_KEY, str(_NO_FILE.parent))
    for name, weight in model.weights.items():
        options.add_initializer(name, weight.value)
    return _session(model.content, options)


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Threads may spin between layers; between batches, they would take the cores from the API.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _open_arena() -> None:
    """Make the arena of this process, and let it be emptied when memory is given back."""
    kind, size_needed, first_bytes, most_left_bytes = ort.OrtAllocatorType, 1, 2**20, 2**22
    info = ort.OrtMemoryInfo("Cpu", kind.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    limits = ort.OrtArenaCfg(0, size_needed, first_bytes, most_left_bytes)
    ort.create_and_register_allocator(info, limits)
    # An arena shrinks at the end of a run that asks for it: that of a model which does nothing.
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    same = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "shrink", [value], [same]),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
        ir_version=8,
    )
    session = _session(model.SerializeToString(), _options(threads=1))
    shrinking = ort.RunOptions()
    shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    nothing = np.zeros(1, np.float32)
    shrinks_by(lambda: session.run(None, {"x": nothing}, shrinking))


def _session(content: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _aligned_copy(array: NDArray[Any]) -> NDArray[Any]:
    buffer = np.empty(array.nbytes + _ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % _ALIGNMENT
    copy = buffer[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@contextmanager
def _memory_file() -> Iterator[int]:
    """Give a file without a name; ONNX Runtime writes to a path alone, which this one has too."""
    file = os.memfd_create("onnx")
    try:
        yield file
    finally:
        os.close(file)


_open_arena()
