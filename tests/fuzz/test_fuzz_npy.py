"""Headers of .npy inputs, well formed and not: read to what they say, or refused; never a crash."""

import contextlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_fuzz_weight_files import MUTATIONS, Mutation, fuzzed, mutated

from app.compute.reader.inputs import InputReader
from app.settings import Settings
from app.tasks import InputPart
from model_zoo import read_npy
from model_zoo.errors import InputError

SHAPE = (4, 4, 1)
CONTENT = np.arange(16, dtype=np.float32).tobytes()
SIZES = st.sampled_from([0, 1, 1, 2, 4, 4, 16, -1, True, False, 2**31, 2**40, 2**63, 10**30])
ODD = st.sampled_from([None, True, 0, 1.0, "x", b"4", (), [4, 4, 1], {}, ("<f4", (4,)), 4j])
SHAPES = st.one_of(
    st.just((True, *SHAPE)),
    st.just((0, 2**40, 2**40)),
    st.lists(SIZES, max_size=34).map(tuple),
    ODD,
)
DTYPES = st.one_of(
    st.sampled_from(["<f4", ">f4", "<f2", "<f8", "<f16", "<i4", "|u1", "|b1", "<c8", "<m8[s]"]),
    st.sampled_from(["<U1", "|S4", "|V4", "|V0", "|S0", "|O", "<f0", "f4,i4", "(4,)f4", "<f4, "]),
    st.just([("a", "<f4")]),
    ODD,
)
HEADERS = st.one_of(
    st.fixed_dictionaries(
        {"descr": DTYPES, "fortran_order": st.one_of(st.booleans(), ODD), "shape": SHAPES},
        optional={"more": ODD},
    ).map(repr),
    st.text(alphabet="{}()[]'\",:<f4 \n\\#-+9aTrue", max_size=80),
    st.sampled_from(["(" * 9000, "-" * 9000, "9" * 9000, "{'descr': '<f4'}"]),
)
VERSIONS = st.sampled_from([(1, 0), (2, 0), (3, 0), (4, 0)])


def npy(header: str, content: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + content


def said(shape: Any, dtype: str = "<f4") -> str:
    return repr({"descr": dtype, "fortran_order": False, "shape": shape})


@given(
    header=HEADERS,
    version=VERSIONS,
    content=st.sampled_from([CONTENT, b"", CONTENT * 2, CONTENT[:1], CONTENT[:4]]),
    mutations=st.one_of(st.just([]), MUTATIONS),
)
@example(said((True, *SHAPE)), (1, 0), CONTENT, [])
@example(said((0, 2**40, 2**40)), (1, 0), b"", [])
@example(said((0, 2**40), "<f16"), (1, 0), b"", [])
@example(said((), "|V0"), (1, 0), b"", [])
@fuzzed
# A header of Python 2 and some that are malformed have NumPy or Python warn.
@pytest.mark.filterwarnings("ignore")
def test_headers_of_inputs(
    header: str, version: tuple[int, int], content: bytes, mutations: list[Mutation]
) -> None:
    data = mutated(npy(header, content, version), mutations)
    with contextlib.suppress(InputError):
        array = read_npy(data, "/array")
        assert array.nbytes <= len(data)
        assert array.dtype.kind in "fiu"
    reader = InputReader(SHAPE, "lenet", Settings())
    with contextlib.suppress(InputError):
        rows = reader.read([InputPart("npy", "/array")], [data])
        assert (rows.dtype, rows.shape[1:]) == (np.float32, SHAPE)
        assert np.isfinite(rows).all()
