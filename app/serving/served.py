"""A version of a model as a client names it."""

from dataclasses import dataclass

from app.compute.engine import ModelRef, Precision, RuntimeName
from app.serving.servable import Servable
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Options:
    """How a version is to be run; None is the service's setting."""

    engine: RuntimeName | None = None
    precision: Precision | None = None
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Served:
    """A version of a model. A build is a model too: its id is the name, and its version is 1."""

    name: str
    version: int
    labels: tuple[str, ...]
    options: Options
    servable: Servable
    ref: ModelRef

    @property
    def build(self) -> str:
        """The id of the build that it is."""
        return self.servable.build


def served(
    servable: Servable,
    settings: Settings,
    *,
    name: str | None = None,
    version: int = 1,
    labels: tuple[str, ...] = (),
    options: Options | None = None,
) -> Served:
    """Return a version of a model; without a name, the build itself."""
    options = options or Options()
    ref = servable.ref(
        options.engine or settings.engine,
        options.precision or settings.precision,
        pinned=options.pinned,
    )
    return Served(name or servable.build, version, labels, options, servable, ref)
