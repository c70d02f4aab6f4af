"""Weight files over HTTP: made once, with strong entity tags, conditions and ranges."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import NoEngine, build, problem

from app.compute.messages import error_of, failure
from app.engine import Reply
from app.store.errors import StoreError
from app.tasks import SavedWeights
from model_zoo import find_weight_format

# Without copies of the files, all of them come out of the bucket.
pytestmark = [
    pytest.mark.usefixtures("file_place"),
    pytest.mark.parametrize(
        "file_place",
        ["folder", *(pytest.param(name, marks=pytest.mark.heavy) for name in ("s3", "s3-afar"))],
        indirect=True,
    ),
]

CONTENT = bytes(range(256)) * 4
TAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'


class Writer(NoEngine):
    """An engine that writes the same few bytes for every build."""

    tasks = 0

    async def run(self, task: Any) -> Reply[Any]:
        self.tasks += 1
        suffix = find_weight_format(task.format, task.options).suffix
        path = Path(task.folder, f"{task.build}.{TAG[1:-1]}{suffix}")
        path.write_bytes(CONTENT)
        return Reply(SavedWeights(str(path), TAG[1:-1]), (), {"save": 0.25})


@pytest.fixture
def engine() -> Writer:
    return Writer()


@pytest.fixture
def client(make_client: Callable[..., TestClient], engine: Writer) -> TestClient:
    return make_client(engine)


@pytest.fixture
def path(client: TestClient) -> str:
    return f"/v1/builds/{build(client)}/weights"


def test_the_file_is_made_once_and_sent_whole(
    client: TestClient, path: str, engine: Writer
) -> None:
    first = client.get(path)
    assert first.status_code == 200
    assert first.content == CONTENT
    assert first.headers["etag"] == TAG
    assert first.headers["accept-ranges"] == "bytes"
    assert first.headers["content-length"] == str(len(CONTENT))
    assert first.headers["content-disposition"].startswith('attachment; filename="lenet-')
    assert first.headers["server-timing"] == "save;dur=250.0"
    again = client.get(f"{path}?format=safetensors")
    assert again.content == CONTENT
    assert engine.tasks == 1


def test_a_head_has_the_headers_and_no_content(client: TestClient, path: str) -> None:
    response = client.head(path)
    assert response.content == b""
    assert response.headers["content-length"] == str(len(CONTENT))
    assert response.headers["etag"] == TAG


@pytest.mark.parametrize("field", [TAG, f"W/{TAG}", f'"other", {TAG}', "*"])
def test_a_client_that_has_the_file_is_told_so(client: TestClient, path: str, field: str) -> None:
    # The condition comes before the range.
    response = client.get(path, headers={"If-None-Match": field, "Range": "bytes=0-1"})
    assert response.status_code == 304
    assert response.headers["etag"] == TAG
    assert response.content == b""


def test_another_tag_gets_the_file(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"If-None-Match": '"other"'})
    assert (response.status_code, response.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-99999", 1000, 1024),
        ("bytes=-24", 1000, 1024),
        ("bytes=-99999", 0, 1024),
    ],
)
def test_a_range_is_answered_with_206(
    client: TestClient, path: str, field: str, start: int, stop: int
) -> None:
    response = client.get(path, headers={"Range": field})
    assert response.status_code == 206
    assert response.content == CONTENT[start:stop]
    assert response.headers["content-range"] == f"bytes {start}-{stop - 1}/1024"
    assert response.headers["content-length"] == str(stop - start)


@pytest.mark.parametrize(
    "field",
    [
        "items=0-1",
        "bytes=abc",
        "bytes=-",
        "bytes=5-2",
        "bytes=0-1,4-5",
        "bytes=" + "9" * 5000 + "-",
        "bytes",
    ],
)
def test_a_range_that_is_not_understood_is_ignored(
    client: TestClient, path: str, field: str
) -> None:
    response = client.get(path, headers={"Range": field})
    assert (response.status_code, response.content) == (200, CONTENT)


@pytest.mark.parametrize("field", ["bytes=1024-", "bytes=-0"])
def test_a_range_after_the_end_is_416(client: TestClient, path: str, field: str) -> None:
    response = client.get(path, headers={"Range": field})
    assert response.headers["content-range"] == "bytes */1024"
    assert problem(response) == {
        "type": "/docs#problem-unsatisfiable-range",
        "title": "The range starts beyond the end",
        "status": 416,
        "detail": "The range starts beyond the end; the file has 1024 bytes.",
        "errors": [],
    }


def test_a_range_holds_only_for_the_file_it_was_begun_with(client: TestClient, path: str) -> None:
    same = client.get(path, headers={"Range": "bytes=0-1", "If-Range": TAG})
    assert same.status_code == 206
    for other in (f"W/{TAG}", '"other"', "Mon, 23 Nov 2026 20:00:00 GMT"):
        changed = client.get(path, headers={"Range": "bytes=0-1", "If-Range": other})
        assert (changed.status_code, changed.content) == (200, CONTENT)


def test_an_unknown_format_is_refused_with_the_nearest(client: TestClient, path: str) -> None:
    assert problem(client.get(f"{path}?format=safetensor"))["errors"] == [
        {
            "pointer": "",
            "parameter": "format",
            "message": "Query parameter format does not accept 'safetensor'. "
            "Did you mean 'safetensors'?",
            "received": "safetensor",
            "suggestion": "safetensors",
        }
    ]


def test_options_are_files_of_their_own_and_the_defaults_are_not(
    client: TestClient, path: str, engine: Writer
) -> None:
    # The plain name ends the others', and must not find them.
    queries = ("&opset=18", "&layout=nchw", "&layout=nchw&opset=18", "")
    names = [
        client.get(f"{path}?format=onnx{query}").headers["content-disposition"][32:]
        for query in queries
    ]
    assert [name.partition(".")[2] for name in names] == [
        'opset-18.onnx"',
        'layout-nchw.onnx"',
        'opset-18.layout-nchw.onnx"',
        'onnx"',
    ]
    assert engine.tasks == 4
    for query in (*queries, "&opset=20&layout=nhwc", "&opset=18&layout=nhwc"):
        client.get(f"{path}?format=onnx{query}")
    assert engine.tasks == 4
    client.delete(path.removesuffix("/weights"))
    build(client)
    client.get(f"{path}?format=onnx&opset=18")
    assert engine.tasks == 5


@pytest.mark.parametrize(
    ("query", "parameter", "received", "message"),
    [
        (
            "format=onnx&opset=16",
            "opset",
            "16",
            "Query parameter opset does not accept '16'. Valid: '17', '18', '19', '20', '21', "
            "'22', '23', '24', '25', '26', '27', '28'.",
        ),
        (
            "format=onnx&layout=nchv",
            "layout",
            "nchv",
            "Query parameter layout does not accept 'nchv'. Did you mean 'nchw'?",
        ),
        (
            "opset=20",
            "opset",
            "20",
            "Query parameter opset is an option of format 'onnx'; format 'safetensors' does not "
            "have it. Leave it out, or choose another format.",
        ),
        (
            "format=keras&layout=nhwc",
            "layout",
            "nhwc",
            "Query parameter layout is an option of format 'onnx'; format 'keras' does not have "
            "it. Leave it out, or choose another format.",
        ),
    ],
)
def test_an_option_that_does_not_apply_is_refused(
    client: TestClient,
    path: str,
    engine: Writer,
    query: str,
    parameter: str,
    received: str,
    message: str,
) -> None:
    found = problem(client.get(f"{path}?{query}"))
    assert (found["status"], found["type"]) == (422, "/docs#problem-invalid-query")
    (item,) = found["errors"]
    assert (item["parameter"], item["received"], item["message"]) == (parameter, received, message)
    assert engine.tasks == 0


def test_a_forgotten_build_takes_its_files_along(
    client: TestClient, path: str, engine: Writer
) -> None:
    client.get(path)
    client.delete(path.removesuffix("/weights"))
    build(client)
    client.get(path)
    assert engine.tasks == 2


def test_a_file_that_is_removed_meanwhile_is_asked_for_again(
    make_client: Callable[..., TestClient],
) -> None:
    class Vanishing(Writer):
        async def run(self, task: Any) -> Reply[Any]:
            reply = await super().run(task)
            Path(reply.result.path).unlink()
            return reply

    client = make_client(Vanishing())
    found = problem(client.get(f"/v1/builds/{build(client)}/weights"))
    assert (found["status"], found["type"]) == (503, "/docs#problem-store-unavailable")
    assert found["detail"] == "The file was removed during the request; try again."


def test_a_full_disk_of_the_worker_is_the_store_s_problem(
    make_client: Callable[..., TestClient],
) -> None:
    class Full(Writer):
        async def run(self, task: Any) -> Reply[Any]:
            error = StoreError("The disk reported an error: No space left on device.")
            raise error_of(failure(1, error))

    client = make_client(Full())
    found = problem(client.get(f"/v1/builds/{build(client)}/weights"))
    assert (found["status"], found["type"]) == (503, "/docs#problem-store-unavailable")
    assert found["detail"] == "The disk reported an error: No space left on device."
