"""What the tests of deploy/ share: the image, as the Dockerfile makes it, and settings by name."""

import re

from zoo_server import ROOT

from app.settings import Settings, variable

DOCKERFILE = (ROOT / "Dockerfile").read_text()
SETTINGS = {variable(name): name for name in Settings.model_fields}


def environment_of_image() -> dict[str, str]:
    """Return the ZOO_* variables of the image."""
    lines = DOCKERFILE.partition("AS service")[2].splitlines()
    code = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return dict(re.findall(r"(ZOO_[A-Z_]+)=([^\s\\]+)", code))


def user_of_image() -> tuple[int, int]:
    """Return the ids of the image's user and group."""
    (ids,) = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    return int(ids[0]), int(ids[1])


def tags_of_image() -> set[str]:
    """Return the tags that a VARIANT and its EXTRAS have."""
    extras = re.findall(r"requirements/(\w+)\.txt", DOCKERFILE.partition("ARG EXTRAS=")[2])
    variants = set(re.findall(r"^FROM base AS (cpu|gpu)$", DOCKERFILE, re.MULTILINE))
    return variants | {f"{variant}-{extra}" for variant in variants for extra in extras}


def check_settings(variables: dict[str, str]) -> None:
    """Check that each ZOO_* variable is a setting, with a value that it takes."""
    values = {name: value for name, value in variables.items() if name.startswith("ZOO_")}
    assert sorted(values.keys() - SETTINGS.keys()) == []
    Settings.model_validate({SETTINGS[name]: value for name, value in values.items()})
