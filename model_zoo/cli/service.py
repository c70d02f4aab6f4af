"""The service's own modules, for the commands that work on what a service has.

It is named here and nowhere else in this package, which does without it: a module of it is imported
when such a command runs.
"""

import importlib
from typing import Any

from model_zoo.errors import ZooError

_PACKAGE = "app"


def import_service(module: str) -> Any:
    """Return a module of the service.

    Raises: ZooError if the service is not installed.
    """
    try:
        return importlib.import_module(f"{_PACKAGE}.{module}")
    except ModuleNotFoundError as error:
        raise ZooError(f"The service, whose command this is, is not installed: {error}.") from error
