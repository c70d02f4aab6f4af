"""What an engine does besides inference: a record for each task, and one for its result."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

import msgspec

from app.arrays import RowShape
from app.engine import DeviceName, Precision, ReadingTask, RuntimeName, TracingTask, WorkerTask
from app.protocols.open_inference.request import InferRequest
from app.protocols.open_inference.signature import ModelSignature
from app.protocols.tensorflow_serving.reading import BodyContents, ExpectedBody
from model_zoo import ProbeMode

InputKind = Literal["image", "npy", "json"]
RowsSetting = Literal["max_batch", "max_calibration_rows"]


class InputPart(msgspec.Struct, frozen=True):
    """What one buffer of `ReadInputs` holds, and the pointer that errors give it."""

    kind: InputKind
    pointer: str


class DecodedInputs(msgspec.Struct, frozen=True):
    """The inputs as float32 rows in one buffer, and warnings about them."""

    rows: int
    warnings: tuple[str, ...]
    has_images: bool


class ReadInputs(ReadingTask[DecodedInputs], frozen=True):
    """Read images, `.npy` arrays and JSON documents, one a buffer, as rows of a shape.

    `most_rows` is the setting that limits their number.
    """

    parts: tuple[InputPart, ...]
    shape: RowShape
    preprocessing: str
    most_rows: RowsSetting = "max_batch"


class ReadOpenInference(ReadingTask[InferRequest], frozen=True):
    """Read the JSON of an Open Inference request; `tail_bytes` of binary data follow it."""

    signature: ModelSignature
    tail_bytes: int


class ReadTensorFlowServing(ReadingTask[BodyContents], frozen=True):
    """Read the JSON of a TensorFlow Serving request."""

    expected: ExpectedBody


class Specs(msgspec.Struct, frozen=True):
    """A normalized spec, and those of the builds that its weights come from, by id; as JSON.

    A spec may hold integers of any length, and those of msgpack have 64 bits.
    """

    spec_json: bytes
    sources_json: bytes

    @classmethod
    def of(cls, spec: Mapping[str, Any], sources: Mapping[str, Any]) -> "Specs":
        """Return specs as a task carries them."""
        return cls(json.dumps(spec).encode(), json.dumps(sources).encode())

    @property
    def spec(self) -> dict[str, Any]:
        """The spec to build."""
        spec: dict[str, Any] = json.loads(self.spec_json)
        return spec

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """The specs of the other builds, by id."""
        sources: dict[str, dict[str, Any]] = json.loads(self.sources_json)
        return sources


class SweepPart(msgspec.Struct, frozen=True):
    """Rows of a sweep, by number: its document, and the saved scopes that it names, as JSON."""

    sweep: str
    document_json: bytes
    scopes_json: bytes
    rows: tuple[int, ...]


class IdentifyRows(TracingTask[bytes], frozen=True):
    """Read the specs of rows; the result is JSON, the outcome of each as far as reading tells."""

    part: SweepPart


class TraceRows(TracingTask[bytes], frozen=True):
    """Trace the specs of rows; the result is JSON, the outcome of each."""

    part: SweepPart


class SavedWeights(msgspec.Struct, frozen=True):
    """A weight file, named after its content."""

    path: str
    sha256: str


class SaveWeights(WorkerTask[SavedWeights], frozen=True):
    """Write the weights of a build to a file in a folder."""

    build: str
    specs: Specs
    format: str
    options: dict[str, str]
    folder: str


class LayerSeconds(msgspec.Struct, frozen=True):
    """The time of one layer; None if the output does not need it, or it is not seen apart.

    `kernels` are the engine's, where it names them; a layer without any may be computed in the
    kernel of another one.
    """

    seconds: float | None
    kernels: tuple[str, ...] = ()
    computed_with: str | None = None


class KernelSeconds(msgspec.Struct, frozen=True):
    """The kernels of one kind that belong to no layer: how many, and their time."""

    kernel: str
    count: int
    seconds: float


class MeasuredProfile(msgspec.Struct, frozen=True):
    """Medians of the layers, in the order of the summary, and of the whole network.

    `call_seconds` is what each layer takes besides computing, where that is much.
    """

    engine: RuntimeName
    precision: Precision
    device: DeviceName
    runs: int
    layers: tuple[LayerSeconds, ...]
    network_seconds: float
    other: tuple[KernelSeconds, ...] = ()
    call_seconds: float | None = None


class MeasuredSignal(msgspec.Struct, frozen=True):
    """A probe, as the JSON of the library's document."""

    document: bytes


class MeasureSignal(WorkerTask[MeasuredSignal], frozen=True):
    """Probe a network, whether it is in memory or not: its signal, layer by layer.

    Without a batch (float32 rows), it is rows of noise. `seconds_left` are for all of it.
    """

    specs: Specs
    batch: bytes | None
    are_images: bool
    rows: int
    seed: int
    gradients: bool
    modes: tuple[ProbeMode, ...]
    seconds_left: float

    def after(self, seconds: float) -> Self:
        """Return the task with fewer seconds left."""
        return msgspec.structs.replace(self, seconds_left=self.seconds_left - seconds)


class MeasureProfile(WorkerTask[MeasuredProfile], frozen=True):
    """Measure each layer of a network, whether it is in memory or not.

    The last two are the seconds that are left: to measure layers, and to measure anything.
    """

    model: str
    specs: Specs
    engine: RuntimeName
    precision: Precision
    rows: int
    runs: int
    layers_left: float
    network_left: float

    def after(self, seconds: float) -> Self:
        """Return the task with fewer seconds left."""
        return msgspec.structs.replace(
            self,
            layers_left=self.layers_left - seconds,
            network_left=self.network_left - seconds,
        )
