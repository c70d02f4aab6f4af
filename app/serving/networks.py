"""What inference needs to know about a build's network: traced once, then cached."""

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.arrays import OUTPUT, PROBABILITIES, RowShape
from app.builds import Builds
from app.engine import ModelRef, Precision, RuntimeName
from app.settings import Limit, Settings, variable
from app.store.builds import BuildMark
from model_zoo import Node, SpecDocument, Trace

# Python objects beside the weights, in the worker; measured on mobilenet_v1 and inception_v3.
_BYTES_PER_LAYER = 128 * 1024


@dataclass(frozen=True)
class Network:
    """Facts about a build's network; shapes are of one row."""

    build: str
    architecture: str
    spec: Mapping[str, Any]
    source_specs: Mapping[str, Any]  # of the builds that its weights come from, by id
    input_shape: RowShape
    preprocessing: str
    end_points: Mapping[str, RowShape]
    output_shape: RowShape
    classes: int | None
    # The layers, by name, that mix the rows of a batch, and those that drop at random.
    batch_statistics: tuple[str, ...]
    random_layers: tuple[str, ...]
    # ONNX Runtime has no blocked kernel for convolutions in three dimensions. On two cores
    # TensorFlow takes 0.65 of its time for i3d and 0.83 for s3dg; for others 0.94 (nasnet_mobile)
    # to 12 (lenet).
    may_gain_by_tensorflow: bool
    parameters: int
    multiply_adds: int
    weight_bytes: int
    peak_activation_bytes: int
    layers: int
    warnings: tuple[str, ...]  # of its build

    @property
    def takes_images(self) -> bool:
        """Whether clients can send image files instead of arrays, as to our SavedModels."""
        channels = (3,) if self.preprocessing == "vgg" else (1, 3)
        return len(self.input_shape) == 3 and self.input_shape[-1] in channels

    @cached_property
    def output_shapes(self) -> dict[str, RowShape]:
        """The outputs that a request can name, with the shape of a row; the default is first."""
        shapes = {OUTPUT: self.output_shape}
        if self.classes is not None:
            shapes[PROBABILITIES] = (self.classes,)
        for name, shape in self.end_points.items():
            shapes.setdefault(name, shape)
        return shapes

    @cached_property
    def output_values(self) -> dict[str, int]:
        """How many values a row of each output has."""
        return {name: math.prod(shape) for name, shape in self.output_shapes.items()}

    def ref(
        self,
        engine: RuntimeName,
        precision: Precision,
        calibration: str = "",
        *,
        pinned: bool = False,
    ) -> ModelRef:
        """Return the reference by which the engine runs the network."""
        estimate = self.weight_bytes + _BYTES_PER_LAYER * self.layers
        if precision == "int8":
            estimate = self.quantizing_bytes
        return ModelRef(
            self.build,
            self.spec,
            self.source_specs,
            engine,
            precision,
            pinned,
            estimate,
            bool(self.batch_statistics),
            self.may_gain_by_tensorflow,
            calibration,
        )

    @property
    def quantizing_bytes(self) -> int:
        """The memory of the network in int8 beside float32, as they are compared.

        Weights in int8 take a quarter, and so does the copy that each of two sessions packs.
        """
        layers = 2 * _BYTES_PER_LAYER * self.layers
        return 2 * self.weight_bytes + 2 * self.peak_activation_bytes + layers

    def rows_at_once(self, settings: Settings) -> Limit[int]:
        """Return the most rows that may be computed together."""
        fitting = settings.max_activation_bytes // max(1, self.peak_activation_bytes)
        if fitting < settings.max_batch:
            return Limit(max(1, fitting), variable("max_activation_bytes"))
        return Limit(settings.max_batch, variable("max_batch"))

    def most_rows(self, settings: Settings) -> Limit[int]:
        """Return the most rows of a request; those of most networks are computed in parts."""
        if self.batch_statistics:
            return self.rows_at_once(settings)
        return Limit(settings.max_batch, variable("max_batch"))


class NetworkCache:
    """A cache of the networks used last; a trace for each request would take milliseconds."""

    def __init__(self, builds: Builds, capacity: int = 1024) -> None:
        self._builds = builds
        self._capacity = capacity
        self._changes = 0
        self._networks: OrderedDict[str, tuple[Network, BuildMark]] = OrderedDict()

    def cached(self, build_id: str) -> Network | None:
        """Return a network if it is in the cache."""
        entry = self._networks.get(build_id)
        if entry is None:
            return None
        self._networks.move_to_end(build_id)
        return entry[0]

    @property
    def builds(self) -> list[str]:
        """The ids of the builds whose networks are in the cache."""
        return list(self._networks)

    async def find(self, build_id: str) -> Network:
        """Return the network of a build.

        Raises: ServiceError (unknown-build) if no build has this id; ZooError if it exceeds the
        limits, which may be lower than when it was posted.
        """
        cached = self.cached(build_id)
        if cached is not None:
            return cached
        changes = self._changes
        network, mark = await self._builds.reading.run(self._read, build_id)
        if self._changes == changes:  # else the build may have been removed after it was read
            self._networks[build_id] = network, mark
            while len(self._networks) > self._capacity:
                self._networks.popitem(last=False)
        return network

    def keep(self, marks: Mapping[str, BuildMark]) -> None:
        """Drop the networks of all builds but those that have these marks still."""
        self._changes += 1
        for build_id, (_, mark) in list(self._networks.items()):
            if marks.get(build_id) != mark:
                del self._networks[build_id]

    def _read(self, build_id: str) -> tuple[Network, BuildMark]:
        build = self._builds.get(build_id)
        traced = self._builds.trace(build.spec)
        sources = self._builds.sources.specs_of_sources(build.spec)
        network = network_of(build.id, traced, build.spec, sources, build.facts["warnings"])
        return network, build.mark


def network_of(
    build_id: str,
    traced: Trace,
    spec: SpecDocument,
    source_specs: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> Network:
    """Return the network of a trace; `spec` is its normalized spec."""
    graph, totals = traced.graph, traced.summary().totals
    return Network(
        build=build_id,
        architecture=traced.spec.architecture,
        spec=spec,
        source_specs=source_specs,
        input_shape=traced.spec.input_shape,
        preprocessing=traced.architecture.preprocessing,
        end_points={name: _row(tensor.shape) for name, tensor in graph.end_points.items()},
        output_shape=_row(graph.output.shape),
        classes=traced.classes,
        batch_statistics=_names(graph.batch_statistics_nodes),
        random_layers=_names(graph.random_nodes),
        may_gain_by_tensorflow=any(node.op == "conv3d" for node in graph.nodes),
        parameters=totals["parameters"],
        multiply_adds=totals["multiply_adds"],
        weight_bytes=totals["weight_bytes"],
        peak_activation_bytes=totals["peak_activation_bytes"],
        layers=totals["layers"],
        warnings=tuple(warnings),
    )


def _names(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node.name for node in nodes))


def _row(shape: tuple[int | None, ...]) -> RowShape:
    return tuple(size for size in shape[1:] if size is not None)
