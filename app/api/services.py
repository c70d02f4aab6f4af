"""What the routes work with: one of each, made when the application is."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Depends
from starlette.requests import Request

from app.compute.engine import Engine, Job
from app.problems import ServiceError
from app.serving.loading import Loading
from app.serving.servable import Servables
from app.serving.statistics import Statistics
from app.settings import Settings
from app.store.builds import BuildStore
from app.store.files import WeightFiles
from app.store.models import ModelStore
from app.store.sources import WeightSources
from app.telemetry.metrics import Metrics
from model_zoo import CheckpointStore

if TYPE_CHECKING:
    from app.api.uploads import Upload

# Each reads its upload with one core and the memory that a setting allows.
_IMPORTS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the service behind the routes."""

    settings: Settings
    builds: BuildStore
    files: WeightFiles
    checkpoints: CheckpointStore
    engine: Engine
    models: ModelStore
    loading: Loading
    servables: Servables = field(default_factory=Servables)
    statistics: Statistics = field(default_factory=Statistics)
    metrics: Metrics = field(default_factory=Metrics)
    # By identity: clients choose their requests' ids, and may choose one twice.
    uploads: "dict[int, Upload]" = field(default_factory=dict)
    import_slots: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_IMPORTS_AT_ONCE)
    )

    # Held while a profile is measured: two would disturb each other.
    profiling: asyncio.Lock = field(default_factory=asyncio.Lock)

    def job(
        self,
        task: Literal["save_weights", "profile"],
        spec: Mapping[str, Any],
        arguments: Mapping[str, Any],
        buffers: Sequence[bytes] = (),
    ) -> Job:
        """Return a job on a normalized spec, which takes along what the worker cannot look up.

        Raises: WeightsError if a build that the spec takes weights from does not exist.
        """
        behind = self.sources.specs_behind(spec)
        return Job(task, {"spec": spec, "builds": behind, **arguments}, buffers)

    # Held while a build is kept, and while what builds may be made of is removed.
    removals: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sources(self) -> WeightSources:
        """Where a spec's sources of weights are found."""
        return WeightSources(self.checkpoints, self.builds.spec_of)


async def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Shared = Annotated[Services, Depends(_services)]


def remove_unused(services: Services, source_id: str, remove: Callable[[str], object]) -> None:
    """Remove a checkpoint or a build, unless a build takes weights from it, or a model is it.

    Raises: ServiceError (409) if one does.
    """
    with services.removals:
        users = services.builds.using(source_id, limit=6)
        if users:
            raise ServiceError(
                "in-use",
                f"Builds take weights from it: {_first_five(users)}. Remove them first.",
                builds=users,
            )
        models = [
            f"{each.name} version {each.version}" for each in services.models.using(source_id)
        ]
        if models:
            raise ServiceError(
                "in-use",
                f"Models are this build: {_first_five(models)}. DELETE /v1/models/{{name}} first.",
                models=models[:6],
            )
        remove(source_id)


def _first_five(users: Sequence[str]) -> str:
    return ", ".join(users[:5]) + (", ..." if len(users) > 5 else "")
