"""TensorFlow Serving's protocol: what bodies say, how numbers are written, and the routes.

The engine computes nothing: the output of a row is its first ten numbers.
"""

import base64
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_worker import in_reader
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient
from zoo_server import NoEngine, build

from app.documents import MalformedJsonError
from app.engine import Answer, ModelRef, ModelState, QueueFullError, Reply, Rows
from app.protocols.tensorflow_serving import reading, writing
from app.protocols.tensorflow_serving.paths import ModelPath, PathError, read_path
from app.tasks import DecodedInputs, ReadInputs, ReadTensorFlowServing
from model_zoo import InputError, class_probabilities

Make = Callable[..., TestClient]

SHAPE = (2, 3, 1)
ROW = [[[1], [2.5], [3]], [[-4], [5e-1], [6]]]
VALUES = [1, 2.5, 3, -4, 0.5, 6]
B64 = {"b64": base64.b64encode(b"an image").decode()}


# Bodies ---------------------------------------------------------------------------------------


EXPECTED = reading.ExpectedBody("predict", SHAPE, takes_images=True, max_rows=4, max_values=1000)


def read(document: Any, action: str = "predict", **changed: Any) -> tuple[Any, Any]:
    """Return what a body holds: rows of numbers, or image files."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    contents, buffers = reading.parse_body(body, replace(EXPECTED, action=action, **changed))
    if contents.places:
        return contents, list(buffers)
    rows = np.frombuffer(buffers[0], "<f4").reshape(contents.rows, -1)
    return contents, rows.tolist()


def refusal(document: Any, action: str = "predict", **changed: Any) -> tuple[str, str]:
    """Return where a body is refused, and why."""
    with pytest.raises(InputError) as refused:
        read(document, action, **changed)
    (problem,) = refused.value.problems
    return problem.pointer, problem.message


@pytest.mark.parametrize(
    ("document", "rows", "is_column"),
    [
        ({"instances": [ROW]}, [VALUES], False),
        ({"instances": [ROW, ROW]}, [VALUES, VALUES], False),
        ({"instances": [{"input": ROW}]}, [VALUES], False),
        ({"inputs": [ROW, ROW]}, [VALUES, VALUES], True),
        ({"inputs": {"input": [ROW], "another": 1}}, [VALUES], True),
        ({"signature_name": "serving_default", "instances": [ROW]}, [VALUES], False),
        ({"signature_name": "", "instances": [ROW], "other": {}}, [VALUES], False),
    ],
)
def test_arrays_are_read_row_by_row_or_as_one_tensor(
    document: Any, rows: Any, is_column: bool
) -> None:
    contents, found = read(document)
    assert (found, contents.is_column, contents.rows) == (rows, is_column, len(rows))


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ({"instances": [B64, B64]}, ["/instances/0", "/instances/1"]),
        ({"instances": [{"input": B64}]}, ["/instances/0/input"]),
        ({"instances": [{"image_bytes": B64}]}, ["/instances/0/image_bytes"]),
        ({"signature_name": "serving_images", "instances": [B64]}, ["/instances/0"]),
        ({"inputs": [B64]}, ["/inputs/0"]),
        (
            {"inputs": {"image_bytes": [B64, B64]}},
            ["/inputs/image_bytes/0", "/inputs/image_bytes/1"],
        ),
    ],
)
def test_images_are_read_wherever_arrays_are(document: Any, places: Sequence[str]) -> None:
    contents, found = read(document)
    assert (list(contents.places), found) == (places, [b"an image"] * len(places))


def test_nan_and_infinity_are_numbers() -> None:
    body = b'{"instances": [[[[NaN], [Infinity], [-Infinity]], [[1E2], [-0], [3.4e38]]]]}'
    _, rows = read(body)
    assert np.isnan(rows[0][0])
    assert rows[0][1:5] == [np.inf, -np.inf, 100, 0]


ROWS_HAVE = "The input has shape [-1,2,3,1]; -1 is the number of rows."


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ([], "", "The body must be a JSON object."),
        ({}, "", "Missing 'inputs' or 'instances' key"),
        (
            {"inputs": [ROW], "instances": [ROW]},
            "",
            "The body has both 'inputs' and 'instances'; it must have one of them.",
        ),
        ({"instances": []}, "/instances", "instances must be a list of at least one row."),
        ({"instances": 1}, "/instances", "instances must be a list of at least one row."),
        ({"instances": B64}, "/instances", "instances must be a list of at least one row."),
        ({"inputs": 1.5}, "/inputs", "The tensor of input must be a list of at least one row."),
        ({"inputs": B64}, "/inputs", "The tensor of input must be a list of at least one row."),
        (
            {"inputs": {"input": []}},
            "/inputs/input",
            "The tensor of input must be a list of at least one row.",
        ),
        ({"inputs": {"x": [ROW]}}, "/inputs", "Missing named input: input in 'inputs' object."),
        (
            {"signature_name": 5, "instances": [ROW]},
            "/signature_name",
            "signature_name must be a string.",
        ),
        (
            {"signature_name": None, "instances": [ROW]},
            "/signature_name",
            "signature_name must be a string.",
        ),
        (
            {"signature_name": "serving_image", "instances": [ROW]},
            "",
            'Serving signature name: "serving_image" not found in signature def',
        ),
        (
            {"instances": [{"x": ROW}]},
            "/instances/0",
            "The keys of a row must be equal to: input.",
        ),
        (
            {"instances": [{"input": ROW, "x": 1}]},
            "/instances/0",
            "The keys of a row must be equal to: input.",
        ),
        (
            {"signature_name": "serving_default", "instances": [{"image_bytes": B64}]},
            "/instances/0",
            "The keys of a row must be equal to: input.",
        ),
        (
            {"instances": [ROW, {"input": ROW}]},
            "/instances/1",
            "Row 0 is a value without a name, and so must all be.",
        ),
        (
            {"instances": [{"input": ROW}, ROW]},
            "/instances/1",
            "Row 0 is an object of inputs by name, and so must all be.",
        ),
        (
            {"instances": [ROW] * 5},
            "",
            "The request has 5 rows; the limit is 4 (ZOO_MAX_BATCH).",
        ),
        # Lists of another size, or at another level, than the input has.
        (
            {"instances": [ROW, ROW[:1]]},
            "/instances/1",
            f"At level 0, expected a list of size 2, got a list of size 1. {ROWS_HAVE}",
        ),
        (
            {"instances": [ROW, [ROW[0], [[1], [2]]]]},
            "/instances/1/1",
            f"At level 1, expected a list of size 3, got a list of size 2. {ROWS_HAVE}",
        ),
        (
            {"inputs": [ROW, [ROW[0], [[1], [2], [3, 4]]]]},
            "/inputs/1/1/2",
            f"At level 3, expected a list of size 1, got a list of size 2. {ROWS_HAVE}",
        ),
        (
            {"instances": ROW},  # one row without a batch around it
            "/instances/0",
            f"At level 0, expected a list of size 2, got a list of size 3. {ROWS_HAVE}",
        ),
        (
            {"instances": [1.0, 2.0, 5.0]},
            "/instances/0",
            f"At level 0, expected a list of size 2, got 1.0. {ROWS_HAVE}",
        ),
        (
            {"instances": [[ROW[0], [[1], [[2]], [3]]]]},
            "/instances/0/1/1/0",
            f"At level 3, expected a number (DT_FLOAT), got a list. {ROWS_HAVE}",
        ),
        # Values of another type.
        (
            {"instances": [[ROW[0], [[1], ["2"], [3]]]]},
            "/instances/0/1/1/0",
            f"At level 3, expected a number (DT_FLOAT), got '2'. {ROWS_HAVE}",
        ),
        (
            {"instances": [[ROW[0], [[1], [2], [True]]]]},
            "/instances/0/1/2/0",
            f"At level 3, expected a number (DT_FLOAT), got True. {ROWS_HAVE}",
        ),
        (
            {"instances": [[ROW[0], [[1], [2], [None]]]]},
            "/instances/0/1/2/0",
            f"At level 3, expected a number (DT_FLOAT), got None. {ROWS_HAVE}",
        ),
        (
            {"instances": [[ROW[0], [[1], [10**400], [1]]]]},
            "/instances/0/1/1/0",
            "The number is beyond DT_FLOAT, which ends at 3.4028235e+38.",
        ),
        (
            b'{"instances": [[[[1], [2], [3]], [[1], [-1e999], [1]]]]}',
            "/instances/0/1/1/0",
            "The number is beyond DT_FLOAT, which ends at 3.4028235e+38.",
        ),
        (
            {"inputs": {"input": [[ROW[0], [[1], [2], [3.5e38]]]]}},
            "/inputs/input/0/1/2/0",
            "The number is beyond DT_FLOAT, which ends at 3.4028235e+38.",
        ),
        # Images.
        (
            {"instances": [B64, ROW]},
            "/instances/1",
            'Expected an image as {"b64": "<base64>"}, alone.',
        ),
        (
            {"signature_name": "serving_images", "instances": ["aGVsbG8="]},
            "/instances/0",
            'Expected an image as {"b64": "<base64>"}, alone.',
        ),
        (
            {"instances": [{"b64": "not-base64!"}]},
            "/instances/0/b64",
            "b64 must be a string in base64: character 10 is '!', not of its alphabet.",
        ),
        (
            {"instances": [{"b64": 5}]},
            "/instances/0/b64",
            "b64 must be a string in base64: it is not a string.",
        ),
    ],
)
def test_a_body_that_does_not_fit_is_refused_where_it_does_not(
    document: Any, pointer: str, message: str
) -> None:
    assert refusal(document) == (pointer, message)


def test_a_model_that_takes_no_images_has_no_signature_for_them() -> None:
    pointer, message = refusal({"instances": [B64]}, takes_images=False)
    assert (pointer, message) == (
        "/instances/0",
        "The model takes no images; its input has shape [-1,2,3,1].",
    )
    by_image = {"signature_name": "serving_images", "instances": [B64]}
    _, message = refusal(by_image, takes_images=False)
    assert message == 'Serving signature name: "serving_images" not found in signature def'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty; it must be a JSON object."),
        (b"instances = [1, 2]", "The JSON is malformed at line 1, column 1: Expecting value."),
        (
            b'{"instances": [1]} {}',
            "The JSON is malformed at line 1, column 20: Extra data.",
        ),
        (b'{"instances": [1], "instances": [2]}', "The JSON repeats a key in one object."),
        (b"[" * 100_000, "The JSON is nested too deeply."),
        (b'{"instances": "\xff"}', "The JSON is not valid UTF-8 at byte 15."),
        (
            b'{"instances": [%s]}' % (b"1" * 5000),
            "The JSON holds an integer of thousands of digits.",
        ),
        (
            b"[%s]" % b",".join([b"1"] * 1001),
            "The JSON has more than 1000 values (ZOO_MAX_INSTANCE_NODES).",
        ),
    ],
)
def test_what_is_no_json_document_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(MalformedJsonError) as refused:
        read(body)
    assert refused.value.problems[0].message == message


@pytest.mark.parametrize(
    ("document", "rows"),
    [
        ({"examples": [{"input": VALUES}, {"input": VALUES}]}, [VALUES, VALUES]),
        ({"examples": [{"input": ROW}]}, [VALUES]),
        ({"context": {"input": VALUES}, "examples": [{}, {}]}, [VALUES, VALUES]),
        ({"examples": [{"image_bytes": B64}]}, [b"an image"]),
        ({"examples": [{"image_bytes": [B64]}]}, [b"an image"]),
        ({"examples": [{"input": B64}]}, [b"an image"]),
    ],
)
def test_examples_are_read_from_their_one_feature(document: Any, rows: Any) -> None:
    assert read(document, "classify")[1] == rows


@pytest.mark.parametrize(
    ("document", "pointer", "message"),
    [
        ({}, "/examples", "examples must be a list of at least one example."),
        ({"examples": []}, "/examples", "examples must be a list of at least one example."),
        (
            {"examples": [{}], "context": []},
            "/context",
            "context must be an object of features by name.",
        ),
        (
            {"examples": [5]},
            "/examples/0",
            "An example must be an object of features by name.",
        ),
        ({"examples": [{}]}, "/examples/0", "The example has no feature input."),
        (
            {"examples": [{"x": 1.0}]},
            "/examples/0",
            "There is no feature 'x'; the signature's is input.",
        ),
        (
            {"examples": [{"input": VALUES}], "context": {"input": VALUES}},
            "/examples/0",
            "Feature 'input' is in the context too; it must be in one of them.",
        ),
        (
            {"examples": [{"input": VALUES}, {"input": VALUES[:5]}]},
            "/examples/1/input",
            "At level 0, expected a list of size 6, got a list of size 5. The input has shape "
            "[-1,6]; -1 is the number of rows.",
        ),
        (
            {"examples": [{"input": 1.0}]},
            "/examples/0/input",
            "At level 0, expected a list of size 6, got a list of size 1. The input has shape "
            "[-1,6]; -1 is the number of rows.",
        ),
        (
            {"examples": [{"input": []}]},
            "/examples/0/input",
            "At level 0, expected a list of size 6, got a list of size 0. The input has shape "
            "[-1,6]; -1 is the number of rows.",
        ),
    ],
)
def test_examples_that_do_not_fit_are_refused(document: Any, pointer: str, message: str) -> None:
    assert refusal(document, "classify") == (pointer, message)


# Numbers --------------------------------------------------------------------------------------


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_numbers_are_written_so_that_they_read_back(values: list[float]) -> None:
    array = np.array([values], np.float32)
    text = writing.predictions(array, is_column=False)
    found = np.array(json.loads(text)["predictions"], np.float32)
    np.testing.assert_array_equal(found, array)


def test_whole_numbers_have_a_decimal_point_and_no_digit_is_noise() -> None:
    array = np.array([[[1, 0.1, -0.0], [16777216, 1e-7, 3e38]]], np.float32)
    assert writing.predictions(array, is_column=True) == (
        b'{"outputs": [[[1.0, 0.1, -0.0], [1.6777216e+07, 1e-07, 3e+38]]]}'
    )


def test_nan_and_infinity_are_written_bare() -> None:
    array = np.array([[np.nan, np.inf, -np.inf]], np.float32)
    assert writing.results(array) == (
        b'{"results": [[["0", NaN], ["1", Infinity], ["2", -Infinity]]]}'
    )


@given(st.recursive(st.floats(width=32) | st.integers(-9, 9) | st.booleans(), st.lists))
def test_no_nesting_is_read_as_something_else(value: Any) -> None:
    """What is read has the input's shape; everything else is refused, never an error of ours."""
    try:
        _, rows = read({"instances": [value]})
    except InputError:
        assert np.shape(value) != SHAPE if _is_regular(value) else True
    else:
        assert len(rows[0]) == 6


def _is_regular(value: Any) -> bool:
    try:
        return np.array(value).dtype.kind in "fi"
    except ValueError:
        return False


# Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/models/m:predict", ModelPath("m", None, None, "predict")),
        ("POST", "/V1/MODELS/M:Classify", ModelPath("M", None, None, "classify")),
        ("POST", "/v1/models/m/versions/12:regress", ModelPath("m", 12, None, "regress")),
        ("POST", "/v1/models/m/labels/a%3Ab:predict", ModelPath("m", None, "a:b", "predict")),
        ("POST", "/v1/models/a%2Fb:predict", ModelPath("a/b", None, None, "predict")),
        ("GET", "/v1/models/m", ModelPath("m", None, None, "status")),
        ("GET", "/v1/models/m/versions/1/Metadata", ModelPath("m", 1, None, "metadata")),
        ("GET", "/v1/models/m/labels/x", ModelPath("m", None, "x", "status")),
        ("GET", "/v1/models/m/versions/0", ModelPath("m", 0, None, "status")),
    ],
)
def test_a_path_names_a_version_and_what_to_do(method: str, path: str, expected: ModelPath) -> None:
    assert read_path(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m:explain"),
        ("POST", "/v1/models/a:b:predict"),
        ("POST", "/v1/models/m:predict/"),
        ("POST", "/v1/models/m/version/50:regress"),
        ("POST", "/v1/models/m/versions/HELLO:regress"),
        ("POST", "/v1/models/m/versions/1/labels/x:regress"),
        ("POST", "/v1/models/m/metadata"),
        ("POST", "/v1/models/m/versions/\u0661:predict"),
        ("GET", "/v1/models/m:predict"),
        ("GET", "/v1/models/debug/m"),
        ("GET", "/v1/models/"),
    ],
)
def test_other_paths_are_malformed(method: str, path: str) -> None:
    with pytest.raises(PathError) as refused:
        read_path(method, path)
    assert str(refused.value) == f"Malformed request: {method} {path}"


def test_a_version_beyond_64_bits_is_refused() -> None:
    for digits in ("9223372036854775808", "9" * 5000):
        with pytest.raises(PathError) as refused:
            read_path("GET", f"/v1/models/m/versions/{digits}")
        assert str(refused.value) == f"Failed to convert version: {digits[:40]} to numeric."


# Routes ---------------------------------------------------------------------------------------


class FirstTenEngine(NoEngine):
    """Answers with the first ten numbers of each row; an image is a row of its length."""

    def __init__(self) -> None:
        self.labels: list[tuple[str, str]] = []
        self.reads: list[type] = []
        self.states: dict[str, ModelState] = {}
        self.is_full = False

    def check_admission(self) -> None:
        if self.is_full:
            raise QueueFullError("64 requests wait for the worker already.", 7)

    async def infer(self, model: ModelRef, rows: Rows, outputs: Any, **options: Any) -> Answer:
        self.labels.append(options["counted_as"])
        array = np.frombuffer(rows.data, np.float32).reshape(rows.count, -1)[:, :10]
        return Answer(dict.fromkeys(outputs, array), {"compute": 0.001}, rows.count)

    async def read(self, task: Any, buffers: Sequence[bytes]) -> Reply[Any]:
        self.reads.append(type(task))
        if isinstance(task, ReadInputs):
            rows = np.stack([np.full(784, len(image), np.float32) for image in buffers])
            decoded = DecodedInputs(len(rows), (), has_images=True)
            return Reply(decoded, [rows.tobytes()], {"decode": 0.001})
        return in_reader(task, buffers)

    async def load(self, model: ModelRef) -> ModelState:
        return self.state(model)

    def state(self, model: ModelRef) -> ModelState:
        return self.states.get(model.build, ModelState())


@pytest.fixture
def engine() -> FirstTenEngine:
    return FirstTenEngine()


@pytest.fixture
def client(make_client: Make, engine: FirstTenEngine) -> TestClient:
    return make_client(engine)


@pytest.fixture
def digits(client: TestClient) -> str:
    """A model with two versions, the older of them stable; its path."""
    for labels, classes in (["stable"], 10), (["canary"], 7):
        made = build(client, params={"num_classes": classes})
        response = client.put("/v1/models/digits", json={"build": made, "labels": labels})
        assert response.status_code == 201
    return "/v1/models/digits"


IMAGE_ROW = np.arange(784).reshape(28, 28, 1).tolist()
FIRST_TEN = [float(number) for number in range(10)]


def error(response: Any, status: int) -> str:
    """Return what a client reads of an error."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    found: str = response.json()["error"]
    return found


def test_predict_answers_in_the_format_of_the_request(client: TestClient, digits: str) -> None:
    by_row = client.post(f"{digits}:predict", json={"instances": [IMAGE_ROW, IMAGE_ROW]})
    assert (by_row.status_code, by_row.headers["content-type"]) == (200, "application/json")
    assert by_row.json() == {"predictions": [FIRST_TEN, FIRST_TEN]}
    by_column = client.post(f"{digits}:predict", json={"inputs": [IMAGE_ROW]})
    assert by_column.text == f'{{"outputs": [{FIRST_TEN}]}}'


def test_the_version_that_answers_is_the_one_asked_for(
    client: TestClient, digits: str, engine: FirstTenEngine
) -> None:
    for where in ("", "/versions/1", "/labels/stable", "/labels/canary", "/Versions/2"):
        response = client.post(f"{digits}{where}:Predict", json={"instances": [IMAGE_ROW]})
        assert response.status_code == 200
    assert engine.labels == [("digits", version) for version in ("2", "1", "1", "2", "2")]


def test_a_build_s_id_is_a_model_s_name(client: TestClient, engine: FirstTenEngine) -> None:
    made = build(client)
    for where in ("", "/versions/1"):
        response = client.post(f"/v1/models/{made}{where}:predict", json={"inputs": [IMAGE_ROW]})
        assert response.status_code == 200
    assert engine.labels == [(made, "1")] * 2
    assert error(client.get(f"/v1/models/{made}/versions/2"), 404) == (
        f"Could not find version 2 of model {made}"
    )


@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "text/plain", "image/jpeg"]
)
def test_the_content_type_decides_nothing(
    client: TestClient, digits: str, content_type: str | None
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = json.dumps({"instances": [IMAGE_ROW]})
    response = client.post(f"{digits}:predict", content=body, headers=headers)
    assert response.json() == {"predictions": [FIRST_TEN]}


def test_a_gzipped_body_is_read_and_a_bomb_is_not(make_client: Make) -> None:
    client = make_client(FirstTenEngine(), max_body_bytes=100_000)
    path = f"/v1/models/{build(client)}:predict"
    headers = {"Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps({"instances": [IMAGE_ROW]}).encode())
    response = client.post(path, content=body, headers=headers)
    assert response.json() == {"predictions": [FIRST_TEN]}
    bomb = gzip.compress(b" " * 10_000_000)
    assert "the limit is 100000" in error(client.post(path, content=bomb, headers=headers), 413)
    refused = client.post(path, content=body, headers={"Content-Encoding": "deflate"})
    assert error(refused, 415).startswith("Content-Encoding 'deflate' is not supported")
    assert refused.headers["accept-encoding"] == "gzip"


def test_large_bodies_are_read_by_a_reader_and_small_ones_here(
    client: TestClient, digits: str, engine: FirstTenEngine
) -> None:
    body = json.dumps({"instances": [IMAGE_ROW]})
    client.post(f"{digits}:predict", content=body)
    assert engine.reads == []
    response = client.post(f"{digits}:predict", content=body + " " * 65_536)
    assert response.json() == {"predictions": [FIRST_TEN]}
    assert engine.reads == [ReadTensorFlowServing]


def test_images_are_decoded_by_a_reader(
    client: TestClient, digits: str, engine: FirstTenEngine
) -> None:
    response = client.post(f"{digits}:predict", json={"instances": [B64, B64]})
    assert response.json() == {"predictions": [[8.0] * 10] * 2}
    assert engine.reads == [ReadInputs]
    large = {"instances": [{"b64": base64.b64encode(b"x" * 100_000).decode()}]}
    assert client.post(f"{digits}:predict", json=large).json() == {"predictions": [[1e5] * 10]}
    assert engine.reads == [ReadInputs, ReadTensorFlowServing, ReadInputs]


def test_classify_answers_every_class_in_order(client: TestClient, digits: str) -> None:
    response = client.post(
        f"{digits}/versions/1:classify", json={"examples": [{"input": list(range(784))}]}
    )
    (scores,) = class_probabilities(np.array([FIRST_TEN], np.float32))
    (found,) = response.json()["results"]
    assert [label for label, _ in found] == [str(index) for index in range(10)]
    np.testing.assert_array_equal(np.array([score for _, score in found], np.float32), scores)


def test_regress_is_refused_with_what_is_offered(client: TestClient, digits: str) -> None:
    response = client.post(f"{digits}:regress", json={"examples": [{"x": 1.0}]})
    assert error(response, 400) == (
        "Model 'digits' has no signature for :regress: networks here are classifiers. "
        "Use :predict or :classify."
    )


def test_classify_is_refused_where_the_output_is_no_scores(client: TestClient) -> None:
    made = build(client, "resnet_v1_50", params={"num_classes": None})
    response = client.post(f"/v1/models/{made}:classify", json={"examples": [{}]})
    assert error(response, 400) == (
        f"Model '{made}' has no signature for :classify: its output is not class scores. "
        "Use :predict."
    )


def test_an_error_has_the_problem_s_members_beside_it(client: TestClient, digits: str) -> None:
    body = client.post(f"{digits}:predict", json={"instances": [[1]]}).json()
    assert body["status"] == 400
    assert body["error"] == (
        "/instances/0: At level 0, expected a list of size 28, got a list of size 1. The input "
        "has shape [-1,28,28,1]; -1 is the number of rows."
    )
    assert body["errors"][0]["pointer"] == "/instances/0"
    assert body["type"] == "/docs#problem-invalid-input"


def test_an_unknown_model_version_or_label_is_told_in_the_protocol_s_words(
    client: TestClient, digits: str
) -> None:
    body = {"instances": [IMAGE_ROW]}
    for path, sentence in (
        ("/v1/models/half:predict", "Servable not found for request: Latest(half)"),
        ("/v1/models/half/versions/3:predict", "Servable not found for request: Specific(half, 3)"),
        ("/v1/models/half/labels/x:predict", "Servable not found for request: Latest(half)"),
        (f"{digits}/versions/3:regress", "Servable not found for request: Specific(digits, 3)"),
    ):
        assert error(client.post(path, json=body), 404) == sentence
    refused = client.post(f"{digits}/labels/stabel:predict", json=body)
    assert error(refused, 400) == "Unrecognized servable version label: stabel"
    assert refused.json()["errors"][0]["message"] == (
        "Model 'digits' has no label 'stabel'. Did you mean 'stable'?"
    )
    for path, sentence in (
        ("/v1/models/half", "Could not find any versions of model half"),
        (f"{digits}/versions/3", "Could not find version 3 of model digits"),
        ("/v1/models/half/metadata", "Servable not found for request: Latest(half)"),
    ):
        assert error(client.get(path), 404) == sentence


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models"),
        ("POST", "/v1/models/digits"),
        ("POST", "/v1/models/a:b:predict"),
        ("POST", "/v1/models/a%2Fb/c:predict"),
        ("POST", "/V1/Models/digits:explain"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/models/digits:predict"),
        ("GET", "/v1/models/digits/config"),
    ],
)
def test_a_path_that_the_protocol_does_not_have_is_malformed(
    client: TestClient, method: str, path: str
) -> None:
    assert error(client.request(method, path), 400) == f"Malformed request: {method} {path}"


def test_letters_of_either_case_lead_to_the_same_model(client: TestClient, digits: str) -> None:
    response = client.post("/V1/Models/digits:PREDICT", json={"instances": [IMAGE_ROW]})
    assert response.json() == {"predictions": [FIRST_TEN]}
    assert client.get("/v1/MODELS/digits").status_code == 200
    assert error(client.get("/v1/MODELS/Digits"), 404) == (
        "Could not find any versions of model Digits"
    )


def test_a_full_service_refuses_before_it_reads_the_body(
    client: TestClient, digits: str, engine: FirstTenEngine
) -> None:
    engine.is_full = True
    response = client.post(f"{digits}:predict", content=b"no JSON")
    assert error(response, 503) == "64 requests wait for the worker already."
    assert response.headers["retry-after"] == "7"


def status_of(client: TestClient, path: str) -> list[tuple[str, str, str, str]]:
    return [
        (
            each["version"],
            each["state"],
            each["status"]["error_code"],
            each["status"]["error_message"],
        )
        for each in client.get(path).json()["model_version_status"]
    ]


def test_the_status_is_of_all_versions_or_of_the_one_asked_for(
    client: TestClient, digits: str
) -> None:
    both = [("2", "AVAILABLE", "OK", ""), ("1", "AVAILABLE", "OK", "")]
    assert status_of(client, digits) == both
    assert status_of(client, f"{digits}/versions/2") == both[:1]
    assert status_of(client, f"{digits}/labels/stable") == both[1:]
    assert client.get(f"{digits}/versions/1").text == (
        '{"model_version_status":[{"version":"1","state":"AVAILABLE",'
        '"status":{"error_code":"OK","error_message":""}}]}'
    )


def test_the_status_tells_of_loads_and_of_those_that_failed(
    client: TestClient, digits: str, engine: FirstTenEngine
) -> None:
    listed = client.get("/v1/models").json()["models"]
    newest, oldest = (item["build"] for item in listed)
    engine.states[newest] = ModelState("loading")
    engine.states[oldest] = ModelState("unavailable", "It is too large.", failed=True)
    assert status_of(client, digits) == [
        ("2", "LOADING", "OK", ""),
        ("1", "END", "UNKNOWN", "It is too large."),
    ]
    engine.states[newest] = ModelState("ready")
    engine.states[oldest] = ModelState("unavailable", "not loaded: its next request loads it")
    assert [state for _, state, _, _ in status_of(client, digits)] == ["AVAILABLE"] * 2


def test_the_metadata_are_the_signatures(client: TestClient, digits: str) -> None:
    found = client.get(f"{digits}/labels/stable/metadata").json()
    assert found["model_spec"] == {"name": "digits", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]["signature_def"]
    output = {
        "dtype": "DT_FLOAT",
        "tensor_shape": {
            "dim": [{"size": "-1", "name": ""}, {"size": "10", "name": ""}],
            "unknown_rank": False,
        },
        "name": "output:0",
    }
    assert signatures["serving_images"] == {
        "inputs": {
            "image_bytes": {
                "dtype": "DT_STRING",
                "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
                "name": "image_bytes:0",
            }
        },
        "outputs": {"output": output},
        "method_name": "tensorflow/serving/predict",
    }
    default = signatures["serving_default"]
    assert default["outputs"] == {"output": output}
    sizes = [dim["size"] for dim in default["inputs"]["input"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "28", "28", "1"]


def test_a_network_of_videos_has_no_signature_for_images(client: TestClient) -> None:
    made = build(client, "i3d")
    found = client.get(f"/v1/models/{made}/metadata").json()
    assert list(found["metadata"]["signature_def"]["signature_def"]) == ["serving_default"]
