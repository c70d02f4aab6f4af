"""The model that a path of the Open Inference Protocol names."""

from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request

from app.api.parts import ModelsDep
from app.serving.models import ModelVersion

# The framework does not see the version: one dependency finds a model with and without it.
VERSION: dict[str, Any] = {
    "parameters": [
        {"name": "version", "in": "path", "required": True, "schema": {"type": "string"}}
    ]
}


async def _resolve(request: Request, models: ModelsDep, name: str) -> ModelVersion:
    """Return the version in the path, or the highest of the name."""
    return await models.resolve(name, version=request.path_params.get("version"))


ModelDep = Annotated[ModelVersion, Depends(_resolve)]
