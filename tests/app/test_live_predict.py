"""Predictions by the real program: every way to send an input, every way to ask for an answer."""

import base64
import io
import json
import pickle
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from zoo_server import build, image_bytes, npy_bytes, problem

ROW = np.linspace(-1, 1, 28 * 28, dtype=np.float32).reshape(28, 28, 1)
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture
def path(live: httpx.Client) -> str:
    return f"/v1/builds/{build(live)}/predict"


def logits(response: httpx.Response) -> np.ndarray:
    assert response.status_code == 200, response.text
    found = response.json()["outputs"]["logits"]
    array = np.array(found["data"], np.float32)
    assert list(array.shape) == found["shape"]
    return array


# Inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "content_type", ["right", "application/octet-stream", "binary/octet-stream", None]
)
def test_an_image_is_preprocessed_and_answered_with_its_top_5(
    live: httpx.Client, path: str, format_name: str, content_type: str | None
) -> None:
    if content_type == "right":
        content_type = f"image/{format_name.lower()}"
    headers = {"Content-Type": content_type} if content_type else {}
    response = live.post(path, content=image_bytes(format_name), headers=headers)
    body = response.json()
    assert response.status_code == 200, body
    assert body["architecture"] == "lenet"
    assert body["preprocessing"] == "lenet"
    assert body["warnings"] == []
    (row,) = body["predictions"]
    assert len(row) == 5
    probabilities = [item["probability"] for item in row]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({item["class"] for item in row}) == 5
    phases = [item.split(";")[0] for item in response.headers["server-timing"].split(", ")]
    # Only the first request waits for the network to come into memory.
    expected = ["decode", "load", "queue", "input", "compute", "output", "encode"]
    assert phases in (expected, [phase for phase in expected if phase != "load"])


def test_every_way_to_send_an_array_gives_the_same_answer(live: httpx.Client, path: str) -> None:
    path += "?output=logits"
    batch = ROW[np.newaxis]
    answers = [
        live.post(path, content=npy_bytes(ROW), headers={"Content-Type": "application/x-npy"}),
        live.post(path, content=npy_bytes(batch)),
        live.post(path, content=npy_bytes(np.asfortranarray(batch.astype(">f8")))),
        live.post(path, json={"instances": batch.tolist()}),
        # What `curl -d` sends when nobody tells it better.
        live.post(
            path,
            content=json.dumps({"instances": batch.tolist()}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        ),
        live.post(path, files={"array": ("row.npy", npy_bytes(ROW))}),
    ]
    for answer in answers:
        np.testing.assert_array_equal(logits(answer), logits(answers[0]))
    assert answers[0].json()["preprocessing"] is None


def test_every_way_to_send_an_image_gives_the_same_answer(live: httpx.Client, path: str) -> None:
    path += "?output=logits"
    image = image_bytes()
    text = base64.b64encode(image).decode()
    answers = [
        live.post(path, content=image, headers=JPEG),
        live.post(path, json={"b64": text}),
        live.post(path, json={"instances": [{"b64": text}]}),
        live.post(path, files={"image": ("a.jpg", image)}),
    ]
    for answer in answers:
        np.testing.assert_array_equal(logits(answer), logits(answers[0]))


def test_images_and_arrays_of_a_form_are_one_batch_in_order(live: httpx.Client, path: str) -> None:
    image = image_bytes()
    form = [
        ("image", ("a.jpg", image)),
        ("array", ("b.npy", npy_bytes(np.stack([ROW, -ROW])))),
        ("image", ("c.jpg", image)),
    ]
    response = live.post(path + "?output=logits&top_k=1", files=form)
    array = logits(response)
    assert response.json()["rows"] == 4
    assert len(response.json()["predictions"]) == 4
    np.testing.assert_allclose(array[0], array[3], atol=1e-6)
    assert not np.allclose(array[1], array[2])


def test_an_array_that_looks_like_pixels_is_taken_with_a_warning(
    live: httpx.Client, path: str
) -> None:
    pixels = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28, 1)
    assert live.post(path, content=npy_bytes(pixels)).json()["warnings"] == [
        "Array values run from 0 to 255, which looks like raw pixels. Arrays are taken as they "
        "are; the lenet preprocessing gives -1 to 0.992188. Send an image to have it applied."
    ]
    assert live.post(path, content=npy_bytes(ROW)).json()["warnings"] == []


# Answers --------------------------------------------------------------------------------------


def test_top_k_output_and_end_points_come_as_asked(live: httpx.Client, path: str) -> None:
    query = "?top_k=3&output=probabilities&end_points=conv1,Predictions"
    body = live.post(path + query, content=npy_bytes(ROW)).json()
    assert len(body["predictions"][0]) == 3
    shapes = {name: output["shape"] for name, output in body["outputs"].items()}
    assert shapes == {
        "probabilities": [1, 10],
        "conv1": [1, 28, 28, 32],
        "Predictions": [1, 10],
    }
    probabilities = body["outputs"]["probabilities"]["data"][0]
    assert abs(sum(probabilities) - 1) < 1e-6
    best = body["predictions"][0][0]
    assert best["class"] == np.argmax(probabilities)
    assert np.float32(best["probability"]) == np.float32(max(probabilities))


def test_arrays_come_as_npy_or_npz_when_asked(live: httpx.Client, path: str) -> None:
    expected = logits(live.post(path + "?output=logits", content=npy_bytes(ROW)))
    single = live.post(path, content=npy_bytes(ROW), headers={"Accept": "application/x-npy"})
    assert single.headers["content-type"] == "application/x-npy"
    np.testing.assert_array_equal(np.load(io.BytesIO(single.content)), expected)
    several = live.post(path + "?output=logits&end_points=pool1&format=npz", content=npy_bytes(ROW))
    arrays = np.load(io.BytesIO(several.content))
    assert sorted(arrays) == ["logits", "pool1"]
    np.testing.assert_array_equal(arrays["logits"], expected)
    assert arrays["pool1"].shape == (1, 14, 14, 32)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("top_k=0", "Query parameter top_k: input should be greater than or equal to 1."),
        (
            "output=logit",
            "Query parameter output does not accept 'logit'. Did you mean 'logits'?",
        ),
        (
            "end_points=conv1,conv9",
            "Query parameter end_points does not accept 'conv9'. Did you mean 'conv2' or 'conv1'?",
        ),
        (
            "top_k=5&format=npy",
            "Query parameter top_k is answered as JSON only, not as npy.",
        ),
        (
            "end_points=conv1,conv2&format=npy",
            "An .npy file holds one array, not 2; ask for npz.",
        ),
    ],
)
def test_an_answer_that_cannot_be_given_is_refused(
    live: httpx.Client, path: str, query: str, message: str
) -> None:
    body = problem(live.post(f"{path}?{query}", content=npy_bytes(ROW)))
    assert (body["type"], body["detail"]) == ("/docs#problem-invalid-query", message)


def test_a_network_without_classes_answers_with_its_raw_output(live: httpx.Client) -> None:
    path = f"/v1/builds/{build(live, params={'num_classes': 0})}/predict"
    body = live.post(path, content=npy_bytes(ROW)).json()
    assert body["outputs"]["logits"]["shape"] == [1, 1024]
    body = problem(live.post(path + "?top_k=5", content=npy_bytes(ROW)))
    assert body["detail"] == (
        "Query parameter top_k: this build has no class probabilities. "
        "Ask for output=logits or end_points."
    )


def test_a_training_build_is_not_run(live: httpx.Client) -> None:
    path = f"/v1/builds/{build(live, is_training=True)}/predict"
    assert problem(live.post(path, content=npy_bytes(ROW))) == {
        "type": "/docs#problem-unprocessable",
        "title": "The request cannot be carried out",
        "status": 422,
        "detail": "The build has is_training true, but predictions run in inference mode. Post "
        "the spec with is_training false; it has the same weights.",
        "errors": [],
    }


def test_values_that_are_no_numbers_are_null_with_a_warning(live: httpx.Client) -> None:
    huge = {"name": "constant_initializer", "value": 1e38}
    scopes = [{"ops": ["conv2d", "fully_connected"], "args": {"weights_initializer": huge}}]
    path = f"/v1/builds/{build(live, scopes=scopes)}/predict"
    body = live.post(path + "?output=probabilities&top_k=2", content=npy_bytes(ROW * 0 + 1)).json()
    assert body["outputs"]["probabilities"]["data"] == [[None] * 10]
    assert body["predictions"] == [
        [{"class": 0, "probability": None}, {"class": 1, "probability": None}]
    ]
    assert (
        body["warnings"]
        == ["10 of 10 values of probabilities are not finite; JSON shows them as null."] * 2
    )


# Refused inputs -------------------------------------------------------------------------------


def giant_png() -> bytes:
    """A PNG whose header says 50,000 x 50,000, with no pixels behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def lying_npy(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(16)


def pickled_npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], object), allow_pickle=True)
    return stream.getvalue()


INPUTS: dict[str, tuple[bytes, str, str, str]] = {
    # body, content type, pointer, message
    "not an image": (
        b"hello",
        "image/jpeg",
        "",
        "The 5 bytes received are not an image in an accepted format: JPEG, PNG, WebP.",
    ),
    "truncated image": (
        image_bytes()[:300],
        "image/jpeg",
        "",
        "The JPEG image of 300 bytes is truncated or corrupt.",
    ),
    "giant image": (
        giant_png(),
        "image/png",
        "",
        "The PNG image is 50000 x 50000 = 2500000000 pixels large; at most 50000000 are accepted.",
    ),
    "wrong shape": (
        npy_bytes(np.zeros((3, 28, 28, 3), np.float32)),
        "application/x-npy",
        "",
        "The array has shape [3, 28, 28, 3]; the network takes [28, 28, 1], or a batch of n of "
        "them: [n, 28, 28, 1].",
    ),
    "no rows": (
        npy_bytes(np.zeros((0, 28, 28, 1), np.float32)),
        "application/x-npy",
        "",
        "The array has shape [0, 28, 28, 1]; the network takes [28, 28, 1], or a batch of n of "
        "them: [n, 28, 28, 1].",
    ),
    "no dimensions": (
        npy_bytes(np.float32(1)),
        "application/x-npy",
        "",
        "The array has shape []; the network takes [28, 28, 1], or a batch of n of them: "
        "[n, 28, 28, 1].",
    ),
    "wrong dtype": (
        npy_bytes(np.zeros((28, 28, 1), np.complex64)),
        "application/x-npy",
        "",
        "The array has dtype complex64; it must be a float or an integer.",
    ),
    "pickled": (
        pickled_npy(),
        "application/x-npy",
        "",
        "The data holds a pickle of Python objects, which runs code when it is read and is "
        "never loaded: save arrays of numbers instead.",
    ),
    "a pickle of no declared type": (
        pickle.dumps({"array": [1.0]}),
        "application/octet-stream",
        "",
        "The data is a pickle, which runs code when it is read and is never loaded: save arrays "
        "of numbers instead.",
    ),
    "header larger than the data": (
        lying_npy("(1000000000, 1000000000, 1000)"),
        "application/x-npy",
        "",
        "The data says shape [1000000000, 1000000000, 1000] of float32, which is "
        "4000000000000000000000 bytes; 16 bytes follow its header.",
    ),
    "negative shape": (
        lying_npy("(-2, -2)"),
        "application/x-npy",
        "",
        "The data has a shape that no array has.",
    ),
    "no npy": (
        b"\x93NUMPY\x01\x00\xff",
        "application/octet-stream",
        "",
        "The data has an .npy header that is malformed.",
    ),
    "not finite": (
        npy_bytes(np.full((28, 28, 1), np.inf)),
        "application/x-npy",
        "",
        "The array has values that are not finite float32 numbers.",
    ),
    "too many rows": (
        npy_bytes(np.zeros((33, 28, 28, 1), np.uint8)),
        "application/x-npy",
        "",
        "The request has 33 rows or more; the limit is 32 (ZOO_MAX_BATCH).",
    ),
    "JSON of another form": (
        b'{"inputs": []}',
        "application/json",
        "",
        'The JSON must be {"instances": [...]}, a list of arrays or of {"b64": ...} images, or '
        '{"b64": ...}, one image.',
    ),
    "JSON without rows": (
        b'{"instances": []}',
        "application/json",
        "/instances",
        "instances must be a list of at least one row.",
    ),
    "ragged JSON": (
        json.dumps({"instances": [[*ROW.tolist()[:27], [[0]] * 27]]}).encode(),
        "application/json",
        "/instances/0/27",
        "Expected a list of 28, got a list of 27: rows have shape [28, 1].",
    ),
    "flat JSON": (
        b'{"instances": [1]}',
        "application/json",
        "/instances/0",
        "Expected a list of 28, got 1.0: rows have shape [28, 28, 1].",
    ),
    "a boolean among numbers": (
        json.dumps({"instances": [[[[True]] + [[0]] * 27] * 28]}).encode(),
        "application/json",
        "/instances/0/0/0/0",
        "Expected a number.",
    ),
    "no base64": (
        b'{"instances": [{"b64": "***"}]}',
        "application/json",
        "/instances/0/b64",
        "b64 must be a string in base64: character 0 is '*', not of its alphabet.",
    ),
    "base64 of no image": (
        b'{"b64": "aGVsbG8="}',
        "application/json",
        "/b64",
        "The 5 bytes received are not an image in an accepted format: JPEG, PNG, WebP.",
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_an_input_that_does_not_fit_says_why(live: httpx.Client, path: str, case: str) -> None:
    body, content_type, pointer, message = INPUTS[case]
    answer = problem(live.post(path, content=body, headers={"Content-Type": content_type}))
    (error,) = answer.pop("errors")
    del error["received"]
    assert error == {"pointer": pointer, "message": message, "suggestion": None}
    assert answer == {
        "type": "/docs#problem-invalid-input",
        "title": "The input does not fit the network",
        "status": 422,
        "detail": f"{pointer}: {message}" if pointer else message,
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The JSON is malformed at line 1, column 2: "
         "Expecting property name enclosed in double quotes."),
        (b'{"instances": [NaN]}', "The JSON holds NaN, which is not a JSON number."),
        (b'{"b64": "", "b64": ""}', "The JSON repeats a key in one object."),
        (b"[" * 100_000, "The JSON is nested too deeply."),
        (b"[" + b"1," * 4_000_000 + b"1]", "The JSON has more than 4000000 values."),
        (b"\xff{}", "The JSON is not valid UTF-8 at byte 0."),
    ],
    ids=["half", "NaN", "a key twice", "deep", "long", "no UTF-8"],
)  # fmt: skip
def test_a_prediction_s_malformed_json_is_400(
    live: httpx.Client, path: str, body: bytes, message: str
) -> None:
    response = live.post(path, content=body, headers={"Content-Type": "application/json"})
    assert problem(response) == {
        "type": "/docs#problem-malformed-json",
        "title": "The body cannot be read as JSON",
        "status": 400,
        "detail": message,
        "errors": [{"pointer": "", "message": message, "received": None, "suggestion": None}],
    }


def test_a_huge_integer_in_a_row_is_no_float32(live: httpx.Client, path: str) -> None:
    row = "[" + ",".join(["[" + ",".join(["[0]"] * 28) + "]"] * 28) + "]"
    body = f'{{"instances": [{row.replace("[0]", "[" + "9" * 5000 + "]", 1)}]}}'
    answer = problem(live.post(path, content=body, headers={"Content-Type": "application/json"}))
    assert answer["detail"] == (
        "/instances/0: The array has values that are not finite float32 numbers."
    )


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [
        ("text/plain", "Content-Type 'text/plain'"),
        ("application/octet-stream", "Content-Type 'application/octet-stream'"),
        ("binary/octet-stream", "Content-Type 'binary/octet-stream'"),
        (None, "A body without Content-Type"),
    ],
)
def test_a_body_of_another_type_is_415(
    live: httpx.Client, path: str, content_type: str | None, shown: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert problem(live.post(path, content=b"hello", headers=headers)) == {
        "type": "/docs#problem-unsupported-type",
        "title": "The body's type is not supported",
        "status": 415,
        "detail": f"{shown} is not supported for this body. Accepted: image/jpeg, "
        "image/png, image/webp, application/x-npy, application/json and multipart/form-data.",
        "errors": [],
    }


# Build and infer ------------------------------------------------------------------------------


def spec_field(**spec: Any) -> tuple[str, tuple[None, str]]:
    return ("spec", (None, json.dumps({"architecture": "lenet", **spec})))


def test_a_jpeg_and_a_spec_in_one_request_give_the_top_5(live: httpx.Client, path: str) -> None:
    form = [spec_field(), ("image", ("a.jpg", image_bytes()))]
    body = live.post("/v1/infer", files=form).json()
    assert f"/v1/builds/{body['build']}/predict" == path
    assert len(body["predictions"][0]) == 5
    assert body == live.post(path, content=image_bytes(), headers=JPEG).json()


def test_infer_keeps_the_build_and_tells_its_warnings(live: httpx.Client) -> None:
    scopes = [{"ops": ["batch_norm"], "args": {"decay": 0.5}}]
    form = [spec_field(scopes=scopes), ("array", ("a.npy", npy_bytes(ROW)))]
    body = live.post("/v1/infer", files=form).json()
    assert body["warnings"] == [
        "/scopes/0/args/decay: this override reached no call: lenet calls no batch_norm here."
    ]
    assert live.get(f"/v1/builds/{body['build']}").json()["warnings"] == body["warnings"]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ([("image", ("a.jpg", b""))], "The form has no field called spec; it must have one."),
        ([spec_field(), spec_field()], "The form has 2 fields called spec; it must have one."),
        ([spec_field()], "The form has no field called image or array."),
        (
            [spec_field(), ("img", ("a.jpg", b""))],
            "The form does not accept a field 'img'. Did you mean 'image'?",
        ),
        (
            [spec_field()] + [("image", ("a.jpg", b""))] * 40,
            "The form has more than 40 parts; it may have ZOO_MAX_BATCH inputs and 8 other fields.",
        ),
    ],
)
def test_a_form_with_other_fields_is_refused(
    live: httpx.Client, form: list[Any], message: str
) -> None:
    assert problem(live.post("/v1/infer", files=form)) == {
        "type": "/docs#problem-malformed-body",
        "title": "The body cannot be read",
        "status": 400,
        "detail": message,
        "errors": [],
    }


def test_a_bad_image_of_a_form_is_named_by_its_place(live: httpx.Client) -> None:
    form = [spec_field(), ("image", ("a.jpg", image_bytes())), ("image", ("b.jpg", b"no"))]
    body = problem(live.post("/v1/infer", files=form))
    assert body["detail"] == (
        "/image/1: The 2 bytes received are not an image in an accepted format: JPEG, PNG, WebP."
    )


def test_infer_takes_forms_only(live: httpx.Client) -> None:
    body = problem(live.post("/v1/infer", json={"architecture": "lenet"}))
    assert (body["status"], body["detail"]) == (
        415,
        "Content-Type 'application/json' is not supported here; send multipart/form-data with the "
        "fields spec, and image or array.",
    )


def test_a_bad_spec_of_a_form_is_told_as_for_builds(live: httpx.Client) -> None:
    form = [("spec", (None, '{"architecture": "lenett"}')), ("image", ("a.jpg", image_bytes()))]
    body = problem(live.post("/v1/infer", files=form))
    assert (body["status"], body["type"]) == (422, "/docs#problem-invalid-spec")
    assert body["detail"] == (
        "/architecture: There is no architecture 'lenett'. Did you mean 'lenet' or 'alexnet_v2'?"
    )
