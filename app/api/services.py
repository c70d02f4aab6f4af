"""What the routes work with: one of each, made when the application is."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from app.compute.engine import Engine
from app.settings import Settings
from app.store.builds import BuildStore
from app.store.files import WeightFiles


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the service behind the routes."""

    settings: Settings
    builds: BuildStore
    files: WeightFiles
    engine: Engine


def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Shared = Annotated[Services, Depends(_services)]
