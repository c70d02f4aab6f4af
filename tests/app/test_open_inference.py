"""The Open Inference Protocol's bodies, read and written without a server."""

import json
import math
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_worker import in_reader
from hypothesis import given, settings
from hypothesis import strategies as st

from app.documents import MalformedJsonError
from app.engine import ModelState
from app.http.negotiation import chosen_encoding
from app.protocols.open_inference.classification import best_classes
from app.protocols.open_inference.compression import ENCODINGS, compress
from app.protocols.open_inference.inputs import InputTensor, tail_buffers
from app.protocols.open_inference.metadata import ModelFacts, model_config, model_metadata
from app.protocols.open_inference.request import (
    InferRequest,
    RequestedOutput,
    json_size,
    raw_request,
    read_request,
)
from app.protocols.open_inference.response import encode_response
from app.protocols.open_inference.signature import ModelSignature
from app.protocols.open_inference.tensors import bytes_tensor
from app.tasks import ReadOpenInference
from model_zoo import InputError, Problem

OUTPUTS = {"output": 10, "probabilities": 10, "conv1": 500_001}
SIGNATURE = ModelSignature("m", (2, 3), OUTPUTS, max_rows=4, max_values=1000)
ROW = [1, 2.5, -3, 0, 1e-3, 6]
TENSOR = {"name": "input", "shape": [1, 2, 3], "datatype": "FP32"}


def request(**changes: Any) -> bytes:
    """A request in JSON whose one input is changed; None leaves a member out."""
    tensor = {**TENSOR, "data": ROW, **changes}
    return json.dumps(
        {"inputs": [{key: value for key, value in tensor.items() if value is not None}]}
    ).encode()


def problem(text: bytes, tail_bytes: int = 0) -> Problem:
    with pytest.raises(InputError) as caught:
        read_request(text, tail_bytes, SIGNATURE)
    (found,) = caught.value.problems
    return found


# Data in JSON ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [ROW, [[1, 2.5, -3], [0, 1e-3, 6]], [[[1, 2.5, -3], [0, 1e-3, 6]]]],
    ids=["flat", "of a row", "nested"],
)
def test_data_is_flat_or_nested_as_the_shape_is(data: list[Any]) -> None:
    if len(data) == 2:  # nested, but not as the shape [1,2,3] is
        assert problem(request(data=data)).message == (
            "Expected a list of 1, got a list of 2: shape is [1,2,3]."
        )
        return
    found, (rows,) = read_request(request(data=data), 0, SIGNATURE)
    assert found == InferRequest(
        None, None, InputTensor("input", 1, False), (RequestedOutput("output", False),)
    )
    np.testing.assert_array_equal(np.frombuffer(rows, "<f4"), np.array(ROW, np.float32))


def test_the_tokens_of_python_s_clients_are_numbers() -> None:
    text = request(data=[math.nan, math.inf, -math.inf, 0, 1, 2])
    assert b"NaN" in text
    _, (rows,) = read_request(text, 0, SIGNATURE)
    expected = [math.nan, math.inf, -math.inf, 0, 1, 2]
    np.testing.assert_array_equal(np.frombuffer(rows, "<f4"), np.array(expected, np.float32))


@given(
    st.lists(st.floats(width=32), min_size=6, max_size=6),
)
def test_float32_numbers_survive_json_both_ways(values: list[float]) -> None:
    exact = np.array(values, np.float32)
    _, (rows,) = read_request(request(data=exact.tolist()), 0, SIGNATURE)
    np.testing.assert_array_equal(np.frombuffer(rows, "<f4"), exact)
    arrays = {"output": np.frombuffer(rows, np.float32)[np.newaxis]}
    body = encode_response("m", "1", asks(RequestedOutput("output", False)), arrays).body
    told = np.array(json.loads(body)["outputs"][0]["data"], np.float32)
    np.testing.assert_array_equal(told, exact)


BAD_DATA: dict[str, tuple[Any, str, str]] = {
    "too few": (ROW[1:], "", "data has 5 values; shape [1,2,3] has 6."),
    "too many": ([*ROW, 1], "", "data has 7 values; shape [1,2,3] has 6."),
    "none": ([], "", "data has 0 values; shape [1,2,3] has 6."),
    "ragged": (
        [[[1, 2, 3], [4, 5]]],
        "/0/1",
        "Expected a list of 3, got a list of 2: shape is [1,2,3].",
    ),
    "a value for a list": (
        [[[1, 2, 3], 4]],
        "/0/1",
        "Expected a list of 3, got 4: shape is [1,2,3].",
    ),
    "too deep": ([[[1, 2, 3], [4, 5, [6]]]], "/0/1/2", "Expected a number, got [6]."),
    "a string": ([*ROW[:5], "6"], "/5", "Expected a number, got '6'."),
    "true": ([True, *ROW[1:]], "/0", "Expected a number, got True."),
    "null": ([[[1, 2, None], [4, 5, 6]]], "/0/0/2", "Expected a number, got None."),
    "beyond float32": (
        [*ROW[:3], 3.5e38, 0, 0],
        "/3",
        "The number is beyond FP32, which ends at 3.4028235e+38.",
    ),
    "an integer beyond float64": (
        [*ROW[:2], -(10**400), 0, 0, 0],
        "/2",
        "The number is beyond FP32, which ends at 3.4028235e+38.",
    ),
}


@pytest.mark.parametrize(("data", "place", "message"), BAD_DATA.values(), ids=BAD_DATA)
def test_data_that_does_not_fit_is_refused_where_it_stands(
    data: Any, place: str, message: str
) -> None:
    found = problem(request(data=data))
    assert (found.pointer, found.message) == (f"/inputs/0/data{place}", message)


def test_a_number_beyond_float64_is_not_taken_for_infinity() -> None:
    text = request(data=[7, 8, 9, 0, 0, 0]).replace(b"7, 8", b"Infinity, 1e999")
    found = problem(text)
    assert (found.pointer, found.received) == ("/inputs/0/data/1", math.inf)


# What stands beside the data ------------------------------------------------------------------

BATCH = "NOTE: the first dimension is the batch dimension, for one row it is"
BAD_TENSORS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"name": None}, "/name", "name is missing; it is a string."),
    "a name that is a number": ({"name": 3}, "/name", "name must be a string."),
    "another name": (
        {"name": "inputs"},
        "/name",
        "Model 'm' has no input 'inputs'. Did you mean 'input'?",
    ),
    "no datatype": ({"datatype": None}, "/datatype", "datatype is missing; it is a string."),
    "another datatype": (
        {"datatype": "FP16"},
        "/datatype",
        "unexpected datatype for input 'input' for model 'm'. Expected FP32, got FP16.",
    ),
    "no shape": ({"shape": None}, "/shape", "shape is missing; it is a list."),
    "a shape of floats": (
        {"shape": [1.0, 2, 3]},
        "/shape",
        "shape must be a list of integers, 0 or more each.",
    ),
    "a shape of truths": (
        {"shape": [True, 2, 3]},
        "/shape",
        "shape must be a list of integers, 0 or more each.",
    ),
    "a negative shape": (
        {"shape": [-1, 2, 3]},
        "/shape",
        "shape must be a list of integers, 0 or more each.",
    ),
    "no batch dimension": (
        {"shape": [2, 3]},
        "/shape",
        "unexpected shape for input 'input' for model 'm'. Expected [-1,2,3], got [2,3]. "
        f"{BATCH} [1,2,3].",
    ),
    "an empty shape": (
        {"shape": []},
        "/shape",
        "unexpected shape for input 'input' for model 'm'. Expected [-1,2,3], got []. "
        f"{BATCH} [1,2,3].",
    ),
    "no rows": (
        {"shape": [0, 2, 3], "data": []},
        "/shape",
        "unexpected shape for input 'input' for model 'm'. Expected [-1,2,3], got [0,2,3]. "
        f"{BATCH} [1,2,3].",
    ),
    "too many rows": (
        {"shape": [2**70, 2, 3]},
        "/shape",
        f"The request has {2**70} rows; the limit is 4 (ZOO_MAX_BATCH). Send several requests.",
    ),
    "no data": (
        {"data": None},
        "",
        "An input has data or parameters.binary_data_size; this one has neither.",
    ),
    "data twice": (
        {"parameters": {"binary_data_size": 24}},
        "",
        "An input has data or parameters.binary_data_size; this one has both.",
    ),
    "data that is no list": ({"data": 3.5}, "/data", "data must be a list."),
    "a size that is true": (
        {"data": None, "parameters": {"binary_data_size": True}},
        "/parameters",
        "Parameter 'binary_data_size' must be an integer.",
    ),
    "a negative size": (
        {"data": None, "parameters": {"binary_data_size": -24}},
        "/parameters",
        "Parameter 'binary_data_size' must be 0 or more.",
    ),
    "shared memory": (
        {"data": None, "parameters": {"shared_memory_region": "r"}},
        "/parameters",
        "Parameter 'shared_memory_region': tensors are not exchanged in shared memory here; send "
        "and request them in the body, as binary data.",
    ),
}


@pytest.mark.parametrize(("changes", "place", "message"), BAD_TENSORS.values(), ids=BAD_TENSORS)
def test_an_input_that_does_not_fit_the_model_is_refused(
    changes: dict[str, Any], place: str, message: str
) -> None:
    found = problem(request(**changes))
    assert (found.pointer, found.message) == (f"/inputs/0{place}", message)


BAD_DOCUMENTS: dict[str, tuple[Any, str, str]] = {
    "a list": ([], "", "this must be an object."),
    "no inputs": ({}, "/inputs", "inputs is missing; it is a list."),
    "inputs by name": ({"inputs": {}}, "/inputs", "inputs must be a list."),
    "an empty list": (
        {"inputs": []},
        "/inputs",
        "A request has one input, 'input' (FP32) or 'image_bytes' (BYTES) in its place; this one "
        "has 0.",
    ),
    "both inputs": (
        {"inputs": [TENSOR, {"name": "image_bytes"}]},
        "/inputs",
        "A request has one input, 'input' (FP32) or 'image_bytes' (BYTES) in its place; this one "
        "has 2.",
    ),
    "an input that is a string": ({"inputs": ["input"]}, "/inputs/0", "this must be an object."),
    "an id that is a number": ({"id": 7, "inputs": []}, "/id", "id must be a string."),
    "an id that is no text": (
        {"id": "\ud800", "inputs": []},
        "/id",
        "id holds a lone surrogate, which is not Unicode text.",
    ),
    "parameters in a list": ({"parameters": []}, "/parameters", "parameters must be an object."),
    "a parameter that is a list": (
        {"parameters": {"mine": [1]}},
        "/parameters",
        "Parameter 'mine' must be a string or an integer or a number or true or false.",
    ),
    "a timeout that is a string": (
        {"parameters": {"timeout": "1"}},
        "/parameters",
        "Parameter 'timeout' must be an integer.",
    ),
    "an output that is a string": (
        {"outputs": ["output"]},
        "/outputs/0",
        "this must be an object.",
    ),
    "an unknown output": (
        {"outputs": [{"name": "outputs"}]},
        "/outputs/0/name",
        "Model 'm' has no output 'outputs'. Did you mean 'output'?",
    ),
    "an output twice": (
        {"outputs": [{"name": "conv1"}, {"name": "conv1"}]},
        "/outputs/1/name",
        "Output 'conv1' is requested twice.",
    ),
    "a binary_data of 1": (
        {"outputs": [{"name": "conv1", "parameters": {"binary_data": 1}}]},
        "/outputs/0/parameters",
        "Parameter 'binary_data' must be true or false.",
    ),
}


@pytest.mark.parametrize(
    ("document", "pointer", "message"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS
)
def test_a_request_that_says_something_wrong_is_refused(
    document: Any, pointer: str, message: str
) -> None:
    found = problem(json.dumps(document).encode())
    assert (found.pointer, found.message) == (pointer, message)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x" * 2**20},
        {"datatype": "x" * 2**20},
        {"shape": [1] * 2**16},
        {"shape": [10**4000, 2, 3]},
        {"parameters": {"x" * 2**20: []}},
        {"data": ["x" * 2**20] * 6},
    ],
)
def test_a_message_does_not_repeat_megabytes(changes: dict[str, Any]) -> None:
    text = request(**changes)
    signature = ModelSignature("m", (2, 3), OUTPUTS, max_rows=4, max_values=10**6)
    with pytest.raises(InputError) as caught:
        read_request(text, 0, signature)
    assert len(str(caught.value)) < 600


MALFORMED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "The JSON is malformed at line 1, column 1: Expecting value."),
    "text after it": (b"{} {}", "The JSON is malformed at line 1, column 4: Extra data."),
    "a key twice": (b'{"id": "a", "id": "b"}', "The JSON repeats a key in one object."),
    "no UTF-8": (b'{"id": "\xff"}', "The JSON is not valid UTF-8 at byte 8."),
    "a byte order mark": (
        b"\xef\xbb\xbf{}",
        "The JSON is malformed at line 1, column 1: Unexpected UTF-8 BOM (decode using utf-8-sig).",
    ),
    "depth": (b"[" * 100_000, "The JSON is nested too deeply."),
    "a long integer": (
        b'{"id": ' + b"9" * 5000 + b"}",
        "The JSON holds an integer of thousands of digits.",
    ),
    "too many values": (
        b"[" + b"1," * 1000 + b"1]",
        "The JSON has more than 1000 values (ZOO_MAX_INSTANCE_NODES).",
    ),
}


@pytest.mark.parametrize(("text", "message"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_json_is_told_as_such(text: bytes, message: str) -> None:
    with pytest.raises(MalformedJsonError) as caught:
        read_request(text, 0, SIGNATURE)
    assert str(caught.value) == message


def test_what_the_protocol_does_not_define_is_ignored_and_null_is_nothing() -> None:
    document = {
        "id": None,
        "model_name": "m",
        "parameters": {"mine": 1, "priority": 3, "sequence_id": "s", "timeout": 2_500_000},
        "inputs": [{**TENSOR, "data": ROW, "parameters": None, "note": []}],
        "outputs": [{"name": "conv1", "parameters": {"content_type": "np", "binary_data": None}}],
    }
    found, _ = read_request(json.dumps(document).encode(), 0, SIGNATURE)
    assert (found.id, found.timeout_s) == (None, 2.5)
    assert found.outputs == (RequestedOutput("conv1", False),)


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["inputs", "outputs", "id", "parameters", "name", "shape", "datatype", "data"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json_is_read_or_refused_and_never_a_fault(document: Any) -> None:
    for text in (document, {"inputs": [document]}, {"inputs": [{**TENSOR, "data": document}]}):
        try:
            read_request(json.dumps(text).encode(), 0, SIGNATURE)
        except (InputError, MalformedJsonError):
            continue


# Binary data ----------------------------------------------------------------------------------


def binary(size: int, **changes: Any) -> bytes:
    return request(data=None, parameters={"binary_data_size": size}, **changes)


def test_binary_data_stays_where_it_is() -> None:
    tail = memoryview(np.arange(12, dtype="<f4").tobytes())
    found, buffers = read_request(binary(48, shape=[2, 2, 3]), 48, SIGNATURE)
    assert (found.tensor, buffers) == (InputTensor("input", 2, True), [])
    (rows,) = tail_buffers(found.tensor, tail)
    assert rows is tail


@pytest.mark.parametrize(
    ("text", "tail_bytes", "message"),
    [
        (
            binary(24),
            20,
            "expecting 4 additional bytes for input 'input': 20 bytes follow the JSON, whose "
            "length is Inference-Header-Content-Length.",
        ),
        (
            binary(24),
            25,
            "unexpected additional input data: 25 bytes follow the JSON, and 'input' has 24 of "
            "them.",
        ),
        (binary(20), 20, "binary_data_size is 20; shape [1,2,3] of FP32 has 24 bytes."),
        (request(), 3, "unexpected additional input data: 3 bytes follow the JSON."),
    ],
)
def test_binary_data_of_another_size_is_refused(text: bytes, tail_bytes: int, message: str) -> None:
    assert problem(text, tail_bytes).message == message


@pytest.mark.parametrize("header", ["-1", "1.0", "x", "", "²", "9" * 5000])
def test_a_header_length_that_is_no_number_is_refused(header: str) -> None:
    with pytest.raises(InputError) as caught:
        json_size(header, 10)
    assert str(caught.value) == (
        "Inference-Header-Content-Length must be the JSON's length in bytes."
    )


def test_a_header_length_is_within_the_body() -> None:
    assert (json_size(None, 10), json_size("0", 10), json_size("10", 10)) == (10, 0, 10)
    with pytest.raises(InputError) as caught:
        json_size("11", 10)
    assert str(caught.value) == (
        "Inference-Header-Content-Length says that the JSON has 11 bytes, and the body has 10."
    )


def test_a_body_without_json_is_a_row_or_an_image() -> None:
    row = bytes(24)
    found, buffers = raw_request(row, SIGNATURE)
    assert found.outputs == (RequestedOutput("output", True),)
    assert (found.tensor, buffers) == (InputTensor("input", 1, False), [row])
    image = b"\x89PNG\r\n\x1a\n" + bytes(16)  # as many bytes as a row
    found, buffers = raw_request(image, SIGNATURE)
    assert (found.tensor, buffers) == (InputTensor("image_bytes", 1, False), [image])
    with pytest.raises(InputError) as caught:
        raw_request(bytes(48), SIGNATURE)
    assert str(caught.value) == (
        "A body without JSON is one row of 'input', 24 bytes for shape [1,2,3] of FP32, or an "
        "image file; this one has 48 bytes."
    )


# Images ---------------------------------------------------------------------------------------

IMAGES = {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}


def test_images_come_as_binary_elements_or_as_base64() -> None:
    tail = struct.pack("<I", 3) + b"abc" + struct.pack("<I", 0)
    found, buffers = read_request(binary(len(tail), **IMAGES), len(tail), SIGNATURE)
    assert (found.tensor, buffers) == (InputTensor("image_bytes", 2, True), [])
    assert tail_buffers(found.tensor, memoryview(tail)) == [b"abc", b""]
    found, buffers = read_request(request(**IMAGES, data=["YWJj", ""]), 0, SIGNATURE)
    assert (found.tensor, buffers) == (InputTensor("image_bytes", 2, False), [b"abc", b""])


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (
            struct.pack("<I", 3) + b"abc",
            "Element 1 of 2 ends 4 bytes after the data does. An element is its length, an "
            "unsigned 32-bit little-endian integer, and as many bytes.",
        ),
        (
            struct.pack("<I", 2**32 - 1) + b"abcd",
            "Element 0 of 2 ends 4294967291 bytes after the data does. An element is its length, "
            "an unsigned 32-bit little-endian integer, and as many bytes.",
        ),
        (struct.pack("<II", 0, 0) + b"abc", "3 bytes follow the last of 2 elements."),
    ],
)
def test_lengths_of_elements_must_add_up(tail: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        tail_buffers(InputTensor("image_bytes", 2, True), tail)
    (found,) = caught.value.problems
    assert (found.pointer, found.message) == (
        "/inputs/0/parameters/binary_data_size",
        message,
    )


@pytest.mark.parametrize(
    ("changes", "place", "message"),
    [
        (
            {"data": ["YWJj", "no+base64!"]},
            "/data/1",
            "An image in JSON must be a string in base64: character 9 is '!', not of its alphabet. "
            "Or send binary data.",
        ),
        (
            {"data": ["YWJj", 3]},
            "/data/1",
            "An image in JSON must be a string in base64: it is not a string. Or send binary data.",
        ),
        ({"data": ["YWJj"]}, "/data", "data has 1 values; shape [2] has 2."),
        (
            {"shape": [2, 1], "data": ["YWJj", "YWJj"]},
            "/shape",
            "unexpected shape for input 'image_bytes' for model 'm'. Expected [-1], got [2,1]. "
            f"{BATCH} [1].",
        ),
    ],
)
def test_images_that_do_not_fit_are_refused(
    changes: dict[str, Any], place: str, message: str
) -> None:
    found = problem(request(**{**IMAGES, **changes}))
    assert (found.pointer, found.message) == (f"/inputs/0{place}", message)


# What is asked for ----------------------------------------------------------------------------


def test_an_output_s_own_binary_data_beats_that_of_the_request() -> None:
    document = {
        "parameters": {"binary_data_output": True},
        "inputs": [{**TENSOR, "data": ROW}],
        "outputs": [
            {"name": "conv1"},
            {"name": "output", "parameters": {"binary_data": False, "classification": 3}},
        ],
    }
    found, _ = read_request(json.dumps(document).encode(), 0, SIGNATURE)
    assert found.outputs == (RequestedOutput("conv1", True), RequestedOutput("output", False, 3))
    del document["outputs"]
    found, _ = read_request(json.dumps(document).encode(), 0, SIGNATURE)
    assert found.outputs == (RequestedOutput("output", True),)


def test_a_classification_of_too_many_values_is_refused() -> None:
    document = {
        "inputs": [{**TENSOR, "shape": [2, 2, 3], "data": ROW * 2}],
        "outputs": [{"name": "conv1", "parameters": {"classification": 1}}],
    }
    found = problem(json.dumps(document).encode())
    assert (found.pointer, found.message) == (
        "/outputs",
        "Output 'conv1' has 1000002 values; classification sorts 1000000 at most.",
    )


def test_a_reader_process_reads_the_same() -> None:
    document = {
        "id": "ü",
        "parameters": {"timeout": 5},
        "inputs": [{**TENSOR, "data": ROW}],
        "outputs": [{"name": "conv1", "parameters": {"classification": 2}}],
    }
    text = json.dumps(document).encode()
    here, rows_here = read_request(text, 0, SIGNATURE)
    there = in_reader(ReadOpenInference(SIGNATURE, 0), [text])
    assert there.result == here
    assert list(there.buffers) == list(rows_here)


# Answers --------------------------------------------------------------------------------------


def asks(*outputs: RequestedOutput, request_id: str | None = None) -> InferRequest:
    return InferRequest(request_id, None, InputTensor("input", 1, False), outputs)


def test_an_answer_has_json_then_binary_data_in_its_order() -> None:
    arrays = {
        "output": np.arange(4, dtype=np.float32).reshape(2, 2),
        "conv1": np.arange(6, dtype=np.float32).reshape(2, 3, 1)[:, ::-1],
    }
    outputs = (
        RequestedOutput("conv1", True),
        RequestedOutput("output", False),
        RequestedOutput("output", True),
    )
    encoded = encode_response("m", "3", asks(*outputs, request_id="é"), arrays, ["Look."])
    assert encoded.json_bytes is not None
    assert json.loads(encoded.body[: encoded.json_bytes]) == {
        "model_name": "m",
        "model_version": "3",
        "id": "é",
        "parameters": {"warnings": "Look."},
        "outputs": [
            {
                "name": "conv1",
                "datatype": "FP32",
                "shape": [2, 3, 1],
                "parameters": {"binary_data_size": 24},
            },
            {"name": "output", "datatype": "FP32", "shape": [2, 2], "data": [0, 1, 2, 3]},
            {
                "name": "output",
                "datatype": "FP32",
                "shape": [2, 2],
                "parameters": {"binary_data_size": 16},
            },
        ],
    }
    tail = np.frombuffer(encoded.body[encoded.json_bytes :], "<f4")
    assert tail.tolist() == [2, 1, 0, 5, 4, 3, 0, 1, 2, 3]


def test_an_answer_of_json_alone_has_no_header_length() -> None:
    arrays = {"output": np.array([[math.nan, math.inf, -math.inf]], np.float32)}
    encoded = encode_response("m", "1", asks(RequestedOutput("output", False)), arrays)
    assert encoded == (
        b'{"model_name":"m","model_version":"1","outputs":[{"name":"output","datatype":"FP32",'
        b'"shape":[1,3],"data":[NaN,Infinity,-Infinity]}]}',
        None,
    )


def test_classes_are_the_best_first_the_lower_index_among_equals_and_nan_last() -> None:
    array = np.array([[1, math.nan, 3, 3, -math.inf], [0.1, 0, 0, 0, 0]], np.float32)
    shape, texts = best_classes(array, 9)
    assert shape == [2, 5]
    assert texts == [
        *("3.000000:2", "3.000000:3", "1.000000:0", "-inf:4", "nan:1"),
        *("0.100000:0", "0.000000:1", "0.000000:2", "0.000000:3", "0.000000:4"),
    ]


def test_classes_are_of_all_that_is_in_a_row() -> None:
    array = np.array([[[1, 2], [4, 3]]], np.float32)
    assert best_classes(array, 2) == ([1, 2], ["4.000000:2", "3.000000:3"])


@pytest.mark.parametrize("is_binary", [False, True])
def test_classes_are_told_as_strings(is_binary: bool) -> None:
    arrays = {"output": np.array([[0.25, 0.75]], np.float32)}
    encoded = encode_response("m", "1", asks(RequestedOutput("output", is_binary, 1)), arrays)
    (output,) = json.loads(encoded.body[: encoded.json_bytes])["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1, 1])
    if is_binary:
        assert encoded.body[encoded.json_bytes :] == bytes_tensor(["0.750000:1"])
    else:
        assert output["data"] == ["0.750000:1"]


# Encodings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "encoding"),
    [
        ("", None),
        ("*", None),
        ("br", None),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("deflate, gzip", "deflate"),
        ("gzip;q=0.5, deflate;q=0.8, identity;q=0.1", "deflate"),
        ("identity, gzip", None),
        ("gzip;q=0.5, identity", None),
        ("gzip;q=0", None),
        ("GZIP ; Q=1", "gzip"),
        ("gzip;q=x", None),
    ],
)
def test_the_encoding_of_the_highest_weight_is_chosen(accept: str, encoding: str | None) -> None:
    assert chosen_encoding(accept, ENCODINGS) == encoding


def test_encodings_are_what_the_clients_undo() -> None:
    assert zlib.decompress(compress(b"abc", "deflate")) == b"abc"
    assert zlib.decompress(compress(b"abc", "gzip"), wbits=31) == b"abc"


# Metadata -------------------------------------------------------------------------------------

FACTS = ModelFacts(
    name="m",
    build="b" * 32,
    architecture="lenet",
    spec={"architecture": "lenet", "default_scope": {"weight_decay": 0.0}, "scopes": []},
    preprocessing="lenet",
    input_shape=(28, 28, 1),
    outputs={"output": (10,), "probabilities": (10,), "conv1": (28, 28, 32)},
    max_batch=32,
    batch_delay_s=0.002,
    state=ModelState(
        "ready",
        engine="onnxruntime",
        precision="float32",
        warmed=(1, 8),
        size_bytes=13_000_000,
        difference=2e-7,
    ),
    takes_images=True,
)


def test_metadata_lists_what_a_client_that_knows_no_more_should_use() -> None:
    assert model_metadata(FACTS, [1, 2]) == {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "modelzoo_graph",
        "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 28, 28, 1]}],
        "outputs": [{"name": "output", "datatype": "FP32", "shape": [-1, 10]}],
        "properties": {
            "build": "b" * 32,
            "architecture": "lenet",
            "preprocessing": "lenet",
            "outputs": "output, probabilities, conv1",
            "state": "ready",
            "image_bytes": "May be sent instead of input: BYTES of shape [-1], JPEG, PNG or WebP "
            "files, which are given the lenet preprocessing. In JSON: base64.",
            "engine": "onnxruntime",
            "precision": "float32",
            "memory_bytes": "13000000",
            "warmed_batch_sizes": "1, 8",
            "measured_difference": "2e-07",
        },
    }


def test_a_model_that_uses_batch_statistics_says_that_it_is_not_batched() -> None:
    facts = replace(FACTS, batch_statistics=("LeNet/conv1/BatchNorm", "LeNet/conv2/BatchNorm"))
    properties = model_metadata(facts, [1])["properties"]
    assert properties["batch_statistics"] == "LeNet/conv1/BatchNorm, LeNet/conv2/BatchNorm"
    assert set(model_config(FACTS)) - set(model_config(facts)) == {"dynamic_batching"}


def test_a_configuration_has_one_input_one_output_and_the_others_in_its_parameters() -> None:
    assert model_config(FACTS) == {
        "name": "m",
        "platform": "modelzoo_graph",
        "backend": "modelzoo",
        "version_policy": {"all": {}},
        "max_batch_size": 32,
        "input": [
            {
                "name": "input",
                "data_type": "TYPE_FP32",
                "dims": [28, 28, 1],
                "format": "FORMAT_NHWC",
            }
        ],
        "output": [{"name": "output", "data_type": "TYPE_FP32", "dims": [10]}],
        "dynamic_batching": {
            "preferred_batch_size": [8],
            "max_queue_delay_microseconds": 2000,
        },
        "parameters": {
            "build": {"string_value": "b" * 32},
            "architecture": {"string_value": "lenet"},
            "preprocessing": {"string_value": "lenet"},
            "image_bytes": {
                "string_value": "May be sent instead of input: BYTES of shape [-1], JPEG, PNG or "
                "WebP files, which are given the lenet preprocessing. In JSON: base64."
            },
            "outputs": {
                "string_value": '{"output": [10], "probabilities": [10], "conv1": [28, 28, 32]}'
            },
            "spec": {
                "string_value": '{"architecture": "lenet", "default_scope": {"weight_decay": 0.0}, '
                '"scopes": []}'
            },
            "default_scope": {"string_value": '{"weight_decay": 0.0}'},
            "scopes": {"string_value": "[]"},
            "engine": {"string_value": "onnxruntime"},
            "precision": {"string_value": "float32"},
        },
    }


def test_a_configuration_of_what_takes_no_images_says_so() -> None:
    video = replace(
        FACTS, input_shape=(64, 224, 224, 3), outputs={"output": ()}, takes_images=False
    )
    config = model_config(video)
    assert [(each["format"], each["dims"]) for each in config["input"]] == [
        ("FORMAT_NONE", [64, 224, 224, 3])
    ]
    # Triton has no empty dims: one number a row is a vector of one.
    assert config["output"] == [{"name": "output", "data_type": "TYPE_FP32", "dims": [1]}]
    assert "image_bytes" not in config["parameters"]
