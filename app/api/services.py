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
from app.settings import Settings
from app.store.builds import BuildStore
from app.store.files import WeightFiles
from app.store.sources import WeightSources
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
    # By identity: clients choose their requests' ids, and may choose one twice.
    uploads: "dict[int, Upload]" = field(default_factory=dict)
    import_slots: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(_IMPORTS_AT_ONCE)
    )

    def job(
        self,
        task: Literal["predict", "save_weights"],
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


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Shared = Annotated[Services, Depends(_services)]


def remove_unused(services: Services, source_id: str, remove: Callable[[str], object]) -> None:
    """Remove a checkpoint or a build, unless a build takes weights from it.

    Raises: ServiceError (409) if one does.
    """
    with services.removals:
        users = services.builds.using(source_id, limit=6)
        if users:
            more = ", ..." if len(users) > 5 else ""
            raise ServiceError(
                "in-use",
                f"Builds take weights from it: {', '.join(users[:5])}{more}. Remove them first.",
                builds=users,
            )
        remove(source_id)
