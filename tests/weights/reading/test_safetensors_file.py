"""safetensors: what its library writes is read bit for bit; a header that is untrue is refused."""

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import Contents, Limits, NamedFile, StoredTensor
from model_zoo.weights.reading.safetensors_file import (
    read_header,
    read_safetensors,
    write_safetensors,
)

TENSORS: dict[str, np.ndarray] = {
    "Net/Conv/weights": np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7,
    "Net/Conv/biases": np.array([np.nan, -0.0, np.inf, 1e-45], np.float32),
    "half": np.linspace(-1, 1, 5).astype(np.float16),
    "double": np.array([[np.pi]]),
    "step": np.array(7, np.int64),
    "none": np.zeros((0, 3), np.float32),
    "flags": np.array([True, False, True]),
    **{
        f"{kind}{bits}": np.array([0, 1, 100], f"{kind}{bits}")
        for kind in ("int", "uint")
        for bits in (8, 16, 32)
    },
    "uint64": np.array([2**64 - 1], np.uint64),
    "naïve ☃": np.ones(1, np.float32),
}


def read(path: Path, data: bytes, limits: Limits | None = None) -> Contents:
    path = path / "stored"
    path.write_bytes(data)
    return read_safetensors(NamedFile("x.safetensors", path), limits or Limits())


def read_all(path: Path, data: bytes, limits: Limits | None = None) -> dict[str, np.ndarray]:
    return {tensor.name: tensor.read() for tensor in read(path, data, limits).tensors}


def refusal(path: Path, data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        read_all(path, data, limits)
    return str(caught.value)


def built(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype: Any, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def stored(name: str, value: np.ndarray) -> StoredTensor:
    return StoredTensor(name, value.dtype.name, value.shape, lambda: value)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


def test_reads_what_the_library_writes(tmp_path: Path) -> None:
    contents = read(tmp_path, safetensors.numpy.save(TENSORS, {"made by": "the library"}))
    assert contents.format == "safetensors"
    assert contents.left_out == ()
    assert {tensor.name for tensor in contents.tensors} == TENSORS.keys()
    for tensor in contents.tensors:
        expected = TENSORS[tensor.name]
        assert (tensor.dtype, tensor.shape) == (expected.dtype.name, expected.shape)
        assert_same(tensor.read(), expected)


def test_bfloat16_is_widened_to_float32(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0], [np.inf, 3.140625]], np.float32)
    data = safetensors.numpy.save({"w": values.astype(ml_dtypes.bfloat16)})
    assert b'"BF16"' in data
    (tensor,) = read(tmp_path, data).tensors
    assert (tensor.dtype, tensor.size_bytes) == ("float32", 16)
    assert_same(tensor.read(), values)


def test_reads_tensors_that_are_not_aligned(tmp_path: Path) -> None:
    header = {"b": entry("BOOL", [1], 0, 1), "w": entry("F64", [2], 1, 17)}
    data = b"\x01" + np.array([1.25, -3.0]).tobytes()
    tensors = read(tmp_path, built(header, data)).tensors
    assert [tensor.read().tolist() for tensor in tensors] == [[True], [1.25, -3.0]]


def test_writes_the_bytes_of_the_library(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    for metadata in ({}, {"format": "é"}):
        tensors = [stored(name, value) for name, value in TENSORS.items()]
        write_safetensors(path, iter(tensors), metadata)
        assert path.read_bytes() == safetensors.numpy.save(TENSORS, metadata or None)
        for name, value in safetensors.numpy.load_file(path).items():
            assert_same(value, TENSORS[name])
        header, found = read_header(path)
        assert header == {name: (v.dtype.name, v.shape) for name, v in TENSORS.items()}
        assert found == metadata


def test_writes_transposed_and_big_endian_values(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensors = [stored("a", value.T), stored("b", value.astype(">f4"))]
    write_safetensors(path, tensors, {})
    loaded = safetensors.numpy.load_file(path)
    assert_same(loaded["a"], np.ascontiguousarray(value.T))
    assert_same(loaded["b"], value)


def test_writes_nothing_but_a_header(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    write_safetensors(path, [], {})
    assert path.read_bytes() == built(b"{}      ")
    assert read_header(path) == ({}, {})


def test_writer_holds_one_tensor_at_a_time(tmp_path: Path) -> None:
    def filled(name: str, value: int) -> StoredTensor:
        shape = (2**18,)
        return StoredTensor(name, "float32", shape, lambda: np.full(shape, value, np.float32))

    tensors = [filled(f"w{index}", index) for index in range(8)]
    tracemalloc.start()
    write_safetensors(tmp_path / "w.safetensors", tensors, {})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 2**20


def test_writer_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: sizes.append(os.fstat(number).st_size))
    path = tmp_path / "w.safetensors"
    write_safetensors(path, [stored("a", np.ones(4))], {})
    assert sizes == [path.stat().st_size]


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ([("a", np.ones(1)), ("a", np.ones(2))], {}, "w.safetensors holds 'a' twice."),
        (
            [("a", np.ones(1, "c8"))],
            {},
            "w.safetensors: 'a' has dtype complex64, which is not a number.",
        ),
        (
            [("__metadata__", np.ones(1))],
            {},
            "w.safetensors: __metadata__ must be an object of strings.",
        ),
        ([], {"a": 1}, "w.safetensors: __metadata__ must be an object of strings."),
        (
            [],
            {"a": "x" * 10_001},
            "w.safetensors has a header that is refused. /__metadata__/a: a string has at most "
            "10000 characters; this one has 10001.",
        ),
    ],
)
def test_writer_refuses_what_could_not_be_read_again(
    tmp_path: Path, tensors: list[tuple[str, np.ndarray]], metadata: dict[str, Any], message: str
) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError) as caught:
        write_safetensors(path, [stored(name, value) for name, value in tensors], metadata)
    assert str(caught.value) == message
    assert not path.exists()


def test_writer_refuses_a_header_over_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    metadata = {str(index): "x" * 10_000 for index in range(1000)}
    with pytest.raises(WeightsError) as caught:
        write_safetensors(path, [], metadata)
    assert str(caught.value) == "w.safetensors would have a header that cannot be read again."


def test_writer_refuses_a_tensor_that_is_not_what_it_declares(tmp_path: Path) -> None:
    tensor = StoredTensor("a", "float32", (2,), lambda: np.ones(3, np.float32))
    with pytest.raises(WeightsError) as caught:
        write_safetensors(tmp_path / "w.safetensors", [tensor], {})
    assert str(caught.value) == (
        "w.safetensors: 'a' was declared as float32 of shape [2], and is float32 of shape [3]."
    )


def test_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    data = safetensors.numpy.save({"a": np.arange(3, dtype=np.float32), "b": np.ones((2, 2))})
    for length in range(len(data)):
        refusal(tmp_path, data[:length])


W = entry("F32", [2], 0, 8)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b'{"a": 1, "a": 2}', b"", " has a header that is refused. The JSON repeats the key 'a' in "
         "one object."),
        (b'{"a": {"dtype": "F32", "dtype": "F64"}}', b"", " has a header that is refused. The JSON "
         "repeats the key 'dtype' in one object."),
        (b"[[[[]]]]", b"", " has a header that is refused. The JSON is nested deeper than 3 "
         "levels."),
        (b"\xff", b"", " has a header that is refused. The JSON is not valid UTF-8 at byte 0."),
        (b"", b"", " has a header that is refused. The JSON is malformed at line 1, column 1: "
         "Expecting value."),
        (b'{"a": {"dtype": "F32", "shape": [18446744073709551616], "data_offsets": [0, 0]}}', b"",
         " has a header that is refused. The JSON holds an integer of 20 digits; the largest "
         "allowed is 64 bits, 9223372036854775807."),
        (b"[]", b"", " has a header that does not begin with a JSON object."),
        (b" {}", b"", " has a header that does not begin with a JSON object."),
        ({"__metadata__": {"a": 1}}, b"", ": __metadata__ must be an object of strings."),
        ({"__metadata__": ["a"]}, b"", ": __metadata__ must be an object of strings."),
        ({"a": []}, b"", ": 'a' must be an object of dtype, shape and data_offsets, and no more."),
        ({"a": {"dtype": "F32", "shape": []}}, b"",
         ": 'a' must be an object of dtype, shape and data_offsets, and no more."),
        ({"a": {**W, "more": 1}}, b"",
         ": 'a' must be an object of dtype, shape and data_offsets, and no more."),
        ({"a": entry("F8_E4M3", [2], 0, 2)}, b"..", ": 'a' has dtype 'F8_E4M3'; it must be one of "
         "U64, I64, F64, F32, U32, I32, BF16, F16, U16, I16, I8, U8, BOOL."),
        ({"a": entry(["F32"], [2], 0, 2)}, b"..", ": 'a' has dtype 'list'; it must be one of "
         "U64, I64, F64, F32, U32, I32, BF16, F16, U16, I16, I8, U8, BOOL."),
        ({"a": entry("F32", [-1], 0, 8)}, b"",
         ": the shape of 'a' must be a list of integers from 0 on."),
        ({"a": entry("F32", [True], 0, 4)}, b"",
         ": the shape of 'a' must be a list of integers from 0 on."),
        ({"a": entry("F32", [2.0], 0, 8)}, b"",
         ": the shape of 'a' must be a list of integers from 0 on."),
        ({"a": entry("F32", "22", 0, 8)}, b"",
         ": the shape of 'a' must be a list of integers from 0 on."),
        ({"a": entry("F32", [2], 8, 0)}, b"",
         ": the data_offsets of 'a' must be two integers, begin and end."),
        ({"a": {**W, "data_offsets": [0, 8, 16]}}, b"",
         ": the data_offsets of 'a' must be two integers, begin and end."),
        ({"a": {**W, "data_offsets": [0, "8"]}}, b"",
         ": the data_offsets of 'a' must be two integers, begin and end."),
        ({"a": W, "b": W}, b"." * 8, ": 'b' begins at byte 0 of the data; the tensor before it "
         "ends at 8, and none may overlap or leave a gap."),
        ({"a": W, "b": entry("F32", [2], 4, 12)}, b"." * 12, ": 'b' begins at byte 4 of the data; "
         "the tensor before it ends at 8, and none may overlap or leave a gap."),
        ({"a": entry("F32", [2], 4, 12)}, b"." * 12, ": 'a' begins at byte 4 of the data; the "
         "tensor before it ends at 0, and none may overlap or leave a gap."),
        ({"a": W, "b": entry("F32", [2], 12, 20)}, b"." * 20, ": 'b' begins at byte 12 of the "
         "data; the tensor before it ends at 8, and none may overlap or leave a gap."),
        ({"a": entry("F32", [3], 0, 8)}, b"." * 8, ": 'a' of F32 and shape [3] takes 12 bytes; its "
         "data_offsets are [0, 8]."),
        ({"a": entry("BF16", [3], 0, 12)}, b"." * 12, ": 'a' of BF16 and shape [3] takes 6 bytes; "
         "its data_offsets are [0, 12]."),
        ({"a": entry("F32", [0, 2**62], 0, 8)}, b"." * 8, ": 'a' of F32 and shape "
         "[0, 4611686018427387904] takes 0 bytes; its data_offsets are [0, 8]."),
        ({"a": W}, b"." * 9, ": the tensors take 8 bytes; 9 bytes follow the header."),
        ({"a": W}, b"." * 7, ": the tensors take 8 bytes; 7 bytes follow the header."),
        ({}, b".", ": the tensors take 0 bytes; 1 bytes follow the header."),
        ({"a": entry("F32", [2_500_000_000], 0, 10**10)}, b"", " declares 10000000000 bytes of "
         "tensors or more, at 'a' of shape [2500000000]; the limit is 4294967296."),
        ({"a": entry("F32", [2**31, 2**31, 2**31], 0, 4)}, b"....",
         " declares 39614081257132168796771975168 bytes of tensors or more, at 'a' of shape "
         "[2147483648, 2147483648, 2147483648]; the limit is 4294967296."),
        ({"a": entry("F32", [1] * 9, 0, 4)}, b"....",
         ": 'a' has the shape [1, 1, 1, 1, 1, 1, 1, 1, 1]."),
        ({"a\n": W}, b"." * 8, " has a tensor named 'a\\n'; a name has 1 to 512 printable "
         "characters."),
        ({"a": entry("BOOL", [2], 0, 2)}, b"\x01\x02",
         ": 'a' holds a bool that is neither 0 nor 1."),
    ],
)  # fmt: skip
def test_refuses_a_header_that_is_not_true(
    tmp_path: Path, header: Any, data: bytes, message: str
) -> None:
    assert refusal(tmp_path, built(header, data)) == f"x.safetensors{message}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"",
            " is not a safetensors file, or is truncated: it has 0 bytes, and its header should "
            "end at byte 8.",
        ),
        (
            built({}, length=2**63),
            " is not a safetensors file, or is truncated: it has 10 bytes, and its header should "
            "end at byte 9223372036854775816.",
        ),
        (
            built({}, length=2**64 - 1),
            " is not a safetensors file, or is truncated: it has 10 bytes, and its header should "
            "end at byte 18446744073709551623.",
        ),
        (
            built(b" " * 10_000_001),
            " has a header of 10000001 bytes; the limit is 10000000.",
        ),
    ],
)
def test_refuses_a_length_that_cannot_be(tmp_path: Path, data: bytes, message: str) -> None:
    assert refusal(tmp_path, data) == f"x.safetensors{message}"


def numbered(count: int, make: Callable[[int], Any]) -> dict[str, Any]:
    return {f"w{index}": make(index) for index in range(count)}


def test_refuses_more_tensors_or_values_than_the_limits(tmp_path: Path) -> None:
    limits = Limits(max_bytes=100, max_tensors=3)
    small = numbered(4, lambda index: entry("U8", [1], index, index + 1))
    assert refusal(tmp_path, built(small, b"...."), limits) == (
        "x.safetensors declares 4 tensors; the limit is 3."
    )
    large = numbered(2, lambda index: entry("U8", [60], 60 * index, 60 * index + 60))
    assert refusal(tmp_path, built(large, b"." * 120), limits) == (
        "x.safetensors declares 120 bytes of tensors or more, at 'w1' of shape [60]; the limit is "
        "100."
    )
    many = {"a": entry("U8", [1] * 20_000, 0, 1)}
    assert refusal(tmp_path, built(many, b"."), limits) == (
        "x.safetensors has a header that is refused. The JSON has more than 10042 values."
    )
