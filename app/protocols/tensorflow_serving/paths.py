"""Reads the paths of the protocol; the letters of its own words may be of either case."""

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import unquote

Action = Literal["status", "metadata", "predict", "classify", "regress"]

# Names and labels hold no slash and no colon, unless percent-encoded.
_MODEL = r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?"
_POST = re.compile(_MODEL + ":(predict|classify|regress)", re.IGNORECASE)
_GET = re.compile(_MODEL + "(?:/(metadata))?", re.IGNORECASE)
_MAX_VERSION = 2**63 - 1


class PathError(Exception):
    """A path that the protocol does not have."""


@dataclass(frozen=True, slots=True)
class ModelPath:
    """The version of a model that a path names, and the action."""

    name: str
    version: int | None
    label: str | None
    action: Action


def read_path(method: str, path: str) -> ModelPath:
    """Return what a path names; it is percent-encoded.

    >>> read_path("POST", "/v1/models/half/versions/3:Predict")
    ModelPath(name='half', version=3, label=None, action='predict')

    Raises: PathError
    """
    match = (_GET if method == "GET" else _POST).fullmatch(path)
    if match is None:
        raise malformed(method, path)
    name, version, label, action = match.groups()
    if version is not None and (len(version) > 40 or int(version) > _MAX_VERSION):
        raise PathError(f"Failed to convert version: {version[:40]} to numeric.")
    return ModelPath(
        unquote(name),
        None if version is None else int(version),
        None if label is None else unquote(label),
        cast(Action, (action or "status").lower()),
    )


def malformed(method: str, path: str) -> PathError:
    """Return the error of a path that the protocol does not have."""
    return PathError(f"Malformed request: {method} {path[:200]}")
