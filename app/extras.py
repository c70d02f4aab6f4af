"""The extras of the package: what settings need, and the default install does not have."""

import contextlib
from collections.abc import Iterator

from app.settings import SettingsError

_PACKAGES = {
    "oidc": ("cryptography", "jwt"),
    "ray": ("ray",),
    "shared": ("obstore", "psycopg"),
}


@contextlib.contextmanager
def extra(name: str, setting: str) -> Iterator[None]:
    """Import packages of an extra inside the block, when a setting needs them.

    Raises: SettingsError if the extra is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES[name]:
            raise
        raise SettingsError(
            f"{setting} needs the extra {name}: pip install 'model-zoo-service[{name}]'."
        ) from error
