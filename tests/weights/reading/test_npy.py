"""An .npy file in memory: what NumPy writes is read as a view, and anything else is refused."""

import io
import pickle
import struct
from typing import Any

import numpy as np
import pytest

import model_zoo
from model_zoo.errors import InputError


def npy(value: Any, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(value), version)
    return stream.getvalue()


def headed(header: str, content: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        np.float64(7),
        np.zeros((0, 3), np.uint8),
    ],
    ids=["float32", "fortran, big endian", "scalar", "empty"],
)
def test_reads_what_numpy_writes(array: np.ndarray, version: tuple[int, int]) -> None:
    data = npy(array, version)
    read = model_zoo.read_npy(data)
    assert read.dtype == array.dtype
    assert np.array_equal(read, array)
    assert read.shape == array.shape
    assert np.shares_memory(read, np.frombuffer(data, np.uint8)) or not array.size


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The data is not an .npy array of version 1.0, 2.0 or 3.0."),
        (b"hello", "The data is not an .npy array of version 1.0, 2.0 or 3.0."),
        (b"\x93NUMPY\x01\x00\xff", "The data has an .npy header that is malformed."),
        (headed("1 +"), "The data has an .npy header that is malformed."),
        (
            b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1),
            "The data has an .npy header of 4294967295 bytes; the limit is 10000.",
        ),
        *(
            (
                pickle.dumps({"weights": [1.0, 2.0]}, protocol),
                "The data is a pickle, which runs code when it is read and is never loaded: save "
                "arrays of numbers instead.",
            )
            for protocol in range(6)
        ),
        (
            headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
            "The data holds a pickle of Python objects, which runs code when it is read and is "
            "never loaded: save arrays of numbers instead.",
        ),
        (
            npy(np.zeros(2, np.complex64)),
            "The array has dtype complex64; it must be a float or an integer.",
        ),
        (npy(np.zeros(2, bool)), "The array has dtype bool; it must be a float or an integer."),
        (
            headed("{'descr': '<f4', 'fortran_order': False, 'shape': (10**9, 10**9)}"),
            "The data has an .npy header that is malformed.",
        ),
        (
            headed("{'descr': '<f4', 'fortran_order': False, 'shape': (1000, 1000)}", b"1234"),
            "The data says shape [1000, 1000] of float32, which is 4000000 bytes; "
            "4 bytes follow its header.",
        ),
        (
            headed("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}", b"1234"),
            "The data has a shape that no array has.",
        ),
        (
            headed(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {2**40}, {2**40})}}"),
            "The data has a shape that no array has.",
        ),
        (
            headed("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 1)}", b"1234"),
            "The data has an .npy header that is malformed.",
        ),
    ],
)
def test_refuses_what_is_no_array_of_numbers(data: bytes, message: str) -> None:
    with pytest.raises(InputError) as caught:
        model_zoo.read_npy(data, "/array")
    (problem,) = caught.value.problems
    assert (problem.message, problem.pointer) == (message, "/array")
