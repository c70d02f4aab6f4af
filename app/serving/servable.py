"""What inference needs to know of a build: found once, and kept while the service runs."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.compute.engine import ModelRef, Precision, RuntimeName
from app.problems import unknown_build
from app.tracing import trace_spec

if TYPE_CHECKING:
    from app.api.services import Services

Shape = tuple[int, ...]

# Of Python objects beside the weights, in the worker; measured on mobilenet_v1 and inception_v3.
_BYTES_PER_LAYER = 128 * 1024


@dataclass(frozen=True, slots=True)
class Servable:
    """A build's facts; shapes are of one row."""

    build: str
    architecture: str
    spec: Mapping[str, Any]
    behind: Mapping[str, Any]
    input_shape: Shape
    preprocessing: str
    end_points: Mapping[str, Shape]
    output_shape: Shape
    classes: int | None
    is_training: bool
    weight_bytes: int
    peak_activation_bytes: int
    layers: int

    @property
    def takes_images(self) -> bool:
        """Whether image files can be sent in the place of arrays, as in our SavedModels."""
        channels = (3,) if self.preprocessing == "vgg" else (1, 3)
        return len(self.input_shape) == 3 and self.input_shape[-1] in channels

    def ref(
        self,
        engine: RuntimeName = "auto",
        precision: Precision = "float32",
        *,
        pinned: bool = False,
    ) -> ModelRef:
        """Return how the engine is asked for it."""
        estimate = self.weight_bytes + _BYTES_PER_LAYER * self.layers
        return ModelRef(self.build, self.spec, self.behind, engine, precision, pinned, estimate)


class Servables:
    """The servables that were asked for last; a trace for each request would cost milliseconds."""

    def __init__(self, capacity: int = 1024) -> None:
        self._capacity = capacity
        self.forgotten = 0  # how many builds were removed
        self._found: OrderedDict[str, Servable] = OrderedDict()

    def get(self, build_id: str) -> Servable | None:
        """Return what is known of a build, if it is."""
        found = self._found.get(build_id)
        if found is not None:
            self._found.move_to_end(build_id)
        return found

    def keep(self, servable: Servable) -> None:
        """Remember a servable, and forget the one that was used longest ago."""
        self._found[servable.build] = servable
        while len(self._found) > self._capacity:
            self._found.popitem(last=False)

    def forget(self, build_id: str) -> None:
        """Forget a build that was removed."""
        self.forgotten += 1
        self._found.pop(build_id, None)


async def find_servable(services: "Services", build_id: str) -> Servable:
    """Return what inference needs of a build.

    Raises: ServiceError (404) if there is none of this id.
    """
    found = services.servables.get(build_id)
    if found is None:
        forgotten = services.servables.forgotten
        found = await asyncio.to_thread(_servable, services, build_id)
        if services.servables.forgotten == forgotten:  # else it may have been removed meanwhile
            services.servables.keep(found)
    return found


def _servable(services: "Services", build_id: str) -> Servable:
    build = services.builds.get(build_id)
    if build is None:
        raise unknown_build(build_id)
    traced = trace_spec(build.spec, services.settings)
    graph, totals = traced.graph, traced.summary().totals
    return Servable(
        build=build.id,
        architecture=build.architecture,
        spec=build.spec,
        behind=services.sources.specs_behind(build.spec),
        input_shape=traced.spec.input_shape,
        preprocessing=traced.architecture.preprocessing,
        end_points={name: _row(tensor.shape) for name, tensor in graph.end_points.items()},
        output_shape=_row(graph.output.shape),
        classes=traced.classes,
        is_training=traced.spec.is_training,
        weight_bytes=totals["weight_bytes"],
        peak_activation_bytes=totals["peak_activation_bytes"],
        layers=totals["layers"],
    )


def _row(shape: tuple[int | None, ...]) -> Shape:
    return tuple(size for size in shape[1:] if size is not None)
