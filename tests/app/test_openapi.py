"""The document of the routes: ids that clients depend on, and what reads it without a complaint."""

import compileall
from pathlib import Path
from typing import Any

import pytest
from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_spec_validator import OpenAPIV31SpecValidator
from operations import OPERATIONS
from starlette.testclient import TestClient

# The generator sends JSON, forms and `application/octet-stream`. Its clients send an image or an
# array as a field of a form, which every one of these routes takes too.
_FILES_ALONE = {"image/jpeg", "image/png", "image/webp", "application/x-npy"}
ACCEPTED_COMPLAINTS = {
    f"WARNING parsing POST {path} within {tag}.: Unsupported content type {media_type}"
    for path, tag in (
        ("/v1/compare", "predictions"),
        ("/v1/builds/{build_id}/predict", "predictions"),
        ("/v1/sweeps/{sweep_id}/measurements", "sweeps"),
        ("/v1/builds/{build_id}/probe", "measurements"),
    )
    for media_type in _FILES_ALONE
}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    body: dict[str, Any] = client.get("/openapi.json").json()
    return body


def test_every_operation_has_its_id(document: dict[str, Any]) -> None:
    operations = [
        (operation["operationId"], f"{method.upper()} {path}")
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert sorted(operations) == sorted(OPERATIONS.items())


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(document).validate()


@pytest.mark.heavy  # it takes seconds
def test_a_client_is_generated_without_a_complaint(client: TestClient, tmp_path: Path) -> None:
    source = tmp_path / "openapi.json"
    source.write_bytes(client.get("/openapi.json").content)
    folder = tmp_path / "client"
    config_file = ConfigFile(post_hooks=[])
    config = Config.from_sources(config_file, MetaType.NONE, source, "utf-8", False, folder)
    complaints = {f"{error.header}: {error.detail}" for error in generate(config=config)}
    assert complaints == ACCEPTED_COMPLAINTS
    assert compileall.compile_dir(folder, quiet=1)
    functions = {path.stem for path in folder.glob("api/*/*.py")} - {"__init__"}
    assert len(functions) == len(OPERATIONS)
    assert {"create_build", "get_build_summary", "v_2_infer"} <= functions


@pytest.mark.parametrize(
    ("path", "method", "media_type"),
    [
        ("/v1/diff", "post", "application/json"),
        ("/v1/infer", "post", "multipart/form-data"),
        ("/v1/weights", "post", "multipart/form-data"),
        ("/v1/models/{name}", "put", "multipart/form-data"),
        ("/v1/sweeps/{sweep_id}/builds", "post", "application/json"),
    ],
)
def test_a_body_that_refuses_unknown_members_says_so(
    document: dict[str, Any], path: str, method: str, media_type: str
) -> None:
    schema = document["paths"][path][method]["requestBody"]["content"][media_type]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert schema["additionalProperties"] is False
