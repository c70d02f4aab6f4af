"""NumPy's .npz: what NumPy writes is read bit for bit; bombs and pickles are refused."""

import gc
import io
import pickle
import struct
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import Contents, Limits, NamedFile
from model_zoo.weights.reading.npy import read_header
from model_zoo.weights.reading.npz import read_npz

ARRAYS: dict[str, np.ndarray] = {
    "Net/Conv/weights": np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7,
    "biases": np.array([np.nan, -0.0, np.inf, 1e-45], np.float32),
    "half": np.linspace(-1, 1, 5).astype(np.float16),
    "big endian": np.linspace(-1, 1, 6).astype(">f8").reshape(2, 3),
    "big step": np.array(7, ">i4"),
    "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
    "none": np.zeros((0, 3), np.float32),
    "flags": np.array([[True], [False]]),
    "bytes": np.arange(256, dtype=np.uint8),
    "large": np.arange(300_000, dtype=np.int32) % 1000,
    "../up": np.ones(2),
    "/absolute": np.ones(3),
}


def read(path: Path, data: bytes, limits: Limits | None = None) -> Contents:
    path = path / "stored"
    path.write_bytes(data)
    return read_npz(NamedFile("x.npz", path), limits or Limits())


def read_all(path: Path, data: bytes, limits: Limits | None = None) -> dict[str, np.ndarray]:
    return {tensor.name: tensor.read() for tensor in read(path, data, limits).tensors}


def refusal(path: Path, data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        read_all(path, data, limits)
    return str(caught.value)


def npy(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(value), **options)
    return stream.getvalue()


def headed(header: str | bytes, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """Return an .npy of any header."""
    text = header if isinstance(header, bytes) else header.encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + content


def described(descr: str, shape: str, content: bytes = b"") -> bytes:
    return headed(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n", content)


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names given twice
        for name, data in entries:
            archive.writestr(name, data)
    return stream.getvalue()


def patched(data: bytes, offset: int, form: str, value: int) -> bytes:
    """Return a zip with a field of its first directory entry replaced."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(b"PK\x01\x02") + offset, value)
    return bytes(changed)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_writes(tmp_path: Path, save: Any) -> None:
    stream = io.BytesIO()
    save(stream, **ARRAYS)
    contents = read(tmp_path, stream.getvalue())
    assert (contents.format, contents.left_out) == ("npz", [])
    assert [tensor.name for tensor in contents.tensors] == list(ARRAYS)
    for tensor in contents.tensors:
        expected = ARRAYS[tensor.name]
        found = tensor.read()
        native = expected.dtype.newbyteorder("=")
        assert (tensor.dtype, tensor.shape) == (native.name, expected.shape)
        assert (found.dtype.str, found.shape) == (native.str, expected.shape)
        assert found.tobytes() == expected.astype(native).tobytes()


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_reads_every_version_of_the_header(tmp_path: Path, version: tuple[int, int]) -> None:
    array = np.arange(3, dtype=np.float32)
    found = read_all(tmp_path, zipped(("a.npy", npy(array, version=version))))
    assert found["a"].tolist() == [0, 1, 2]


def test_reads_the_long_integers_of_python_2(tmp_path: Path) -> None:
    data = zipped(("a.npy", described("'<f4'", "(2L,)", np.ones(2, "<f4").tobytes())))
    assert read_all(tmp_path, data)["a"].tolist() == [1, 1]


def test_other_entries_are_left_out_by_name(tmp_path: Path) -> None:
    data = zipped(("a.npy", npy(np.ones(2))), ("readme.txt", b"..."), ("empty/", b""))
    contents = read(tmp_path, data)
    assert [tensor.name for tensor in contents.tensors] == ["a"]
    assert contents.left_out == ["readme.txt", "empty/"]


def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = zipped(("a.npy", npy(np.ones(2))))
    assert read(tmp_path, zipped(("b.npz", inner))).left_out == ["b.npz"]
    assert refusal(tmp_path, zipped(("b.npy", inner))) == (
        "x.npz: 'b.npy' is not an .npy array of version 1.0, 2.0 or 3.0."
    )


def test_closes_the_file_with_its_last_tensor(tmp_path: Path) -> None:
    contents = read(tmp_path, zipped(("a.npy", npy(np.ones(2)))))
    opened = [link for link in Path("/proc/self/fd").iterdir() if _is_stored(link, tmp_path)]
    assert len(opened) == 1
    del contents
    gc.collect()
    assert not any(_is_stored(link, tmp_path) for link in Path("/proc/self/fd").iterdir())


def _is_stored(link: Path, folder: Path) -> bool:
    try:
        return link.readlink() == folder / "stored"
    except FileNotFoundError:  # the directory's own, which is closed by now
        return False


def test_truncated_anywhere_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.arange(5), b=np.ones((2, 3), np.float32))
    data = stream.getvalue()
    for length in range(len(data)):
        refusal(tmp_path, data[:length])


A = ("a.npy", npy(np.arange(4, dtype=np.float32)))
NINE = ("a.npy", described("'|u1'", "(9,)", b"8 bytes."))
DEFLATED = zipped(A, method=zipfile.ZIP_DEFLATED)
BOMB = f"bytes in a file of {len(DEFLATED)}; the limit is 200 times its size."
NEVER_LOADED = (
    "which runs code when it is read and is never loaded: save arrays of numbers instead."
)
DAMAGED = "x.npz is not a whole npz file: it cannot be read."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.array([{}, None])), f"holds a pickle of Python objects, {NEVER_LOADED}"),
        (
            npy(np.zeros(1, [("a", "O"), ("b", "f4")])),
            f"holds a pickle of Python objects, {NEVER_LOADED}",
        ),
        *((pickle.dumps([1.0, 2.0], n), f"is a pickle, {NEVER_LOADED}") for n in range(6)),
        (b"", "is not an .npy array of version 1.0, 2.0 or 3.0."),
        (headed(b"", version=(4, 0)), "is not an .npy array of version 1.0, 2.0 or 3.0."),
        (b"\x93NUMPY\x01", "is not an .npy array of version 1.0, 2.0 or 3.0."),
        (
            npy(np.zeros(1, [("a", "f4"), ("b", "i4")])),
            "has dtype [('a', '<f4'), ('b', '<i4')]; an array of weights holds numbers.",
        ),
        (npy(np.array(["abc"])), "has dtype <U3; an array of weights holds numbers."),
        (npy(np.array([b"abc"])), "has dtype |S3; an array of weights holds numbers."),
        (npy(np.ones(1, "c8")), "has dtype complex64; an array of weights holds numbers."),
        (npy(np.zeros(1, "M8[s]")), "has dtype datetime64[s]; an array of weights holds numbers."),
        (npy(np.ones(1, "g")), "has dtype float128; an array of weights holds numbers."),
        (
            described("('<f4', (2,))", "(1,)", bytes(8)),
            "has dtype ('<f4', (2,)); an array of weights holds numbers.",
        ),
        (
            headed(b"{" + b" " * 10_000),
            "has an .npy header of 10001 bytes; the limit is 10000.",
        ),
        (
            b"\x93NUMPY\x02\x00" + b"\xff" * 4,
            "has an .npy header of 4294967295 bytes; the limit is 10000.",
        ),
        (headed("("), "has an .npy header that is malformed."),
        (headed("[" * 9000), "has an .npy header that is malformed."),
        (headed("-" * 9000 + "1"), "has an .npy header that is malformed."),
        (headed("1+" * 4000 + "1"), "has an .npy header that is malformed."),
        (
            headed("\udcff".encode("utf-8", "surrogatepass")),
            "has an .npy header that is malformed.",
        ),
        (headed("{[]: 1}"), "has an .npy header that is malformed."),
        (headed("__import__('os')"), "has an .npy header that is malformed."),
        (described("'<f4'", "(2.0,)", bytes(8)), "has an .npy header that is malformed."),
        (described("7", "(2,)", bytes(8)), "has an .npy header that is malformed."),
        (described("'<f4'", "9" * 5000), "has an .npy header that is malformed."),
        (described("'<f4'", "(-2, -1)", bytes(8)), "has a shape that no array has."),
        (described("'<f4'", f"({2**63},)", bytes(8)), "has a shape that no array has."),
        (described("'<f4'", f"({'9' * 4000}, {'9' * 4000})"), "has a shape that no array has."),
        (described("'<f4'", f"({'9,' * 33})"), "has a shape that no array has."),
        (
            described("'<f4'", "(3,)", bytes(8)),
            "says shape [3] of float32, which is 12 bytes; 8 bytes follow its header.",
        ),
        (
            described("'<f4'", "(1,)", bytes(8)),
            "says shape [1] of float32, which is 4 bytes; 8 bytes follow its header.",
        ),
        (
            described("'<f4'", "(2500000000,)"),
            "says shape [2500000000] of float32, which is 10000000000 bytes; 0 bytes follow its "
            "header.",
        ),
        (
            described("'>f8'", "(4294967296, 4294967296)"),
            "says shape [4294967296, 4294967296] of float64, which is 147573952589676412928 bytes; "
            "0 bytes follow its header.",
        ),
        (
            described("'|b1'", "(2,)", b"\x01\x02"),
            "holds a bool that is neither 0 nor 1.",
        ),
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_refuses_an_array_that_is_not_of_numbers_or_not_whole(
    tmp_path: Path, content: bytes, message: str, method: int
) -> None:
    data = zipped(("a.npy", content), method=method)
    assert refusal(tmp_path, data) == f"x.npz: 'a.npy' {message}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", DAMAGED),
        (pickle.dumps({"weights": [1.0]}), DAMAGED),
        (npy(np.ones(2)), DAMAGED),
        (zipped(A, A), "x.npz holds 'a' twice."),
        (
            zipped(("a\n.npy", A[1])),
            "x.npz has a tensor named 'a\\n.npy'; a name has 1 to 512 printable characters.",
        ),
        (
            zipped((".npy", A[1])),
            "x.npz has a tensor named ''; a name has 1 to 512 printable characters.",
        ),
        (patched(zipped(A), 8, "<H", 0x1), "x.npz: 'a.npy' is encrypted."),
        (patched(zipped(A), 8, "<H", 0x40), "x.npz: 'a.npy' is encrypted."),
        (
            zipped(A, method=zipfile.ZIP_BZIP2),
            "x.npz: 'a.npy' is compressed by method 12; entries are stored (0) or deflated (8).",
        ),
        (
            zipped(A, method=zipfile.ZIP_LZMA),
            "x.npz: 'a.npy' is compressed by method 14; entries are stored (0) or deflated (8).",
        ),
        # The sizes and the checksum that the directory gives, against the data.
        (
            patched(DEFLATED, 24, "<I", 10**9),
            f"x.npz declares 1000000000 {BOMB}",
        ),
        (
            patched(DEFLATED, 24, "<I", 2**32 - 2),
            f"x.npz declares 4294967294 {BOMB}",
        ),
        (
            patched(zipped(NINE), 24, "<I", len(NINE[1]) + 1),
            "x.npz: 'a.npy' ends after 8 of 9 bytes.",
        ),
        (
            patched(zipped(NINE), 24, "<I", len(NINE[1]) - 1),
            DAMAGED,  # as the checksum is then not of the whole
        ),
        (patched(zipped(A), 16, "<I", 1), DAMAGED),
        (patched(zipped(A), 20, "<I", 10**6), "x.npz has entries that overlap."),
        (patched(zipped(A), 42, "<I", 10**6), DAMAGED),
    ],
)
def test_refuses_a_zip_that_is_damaged_or_hides_something(
    tmp_path: Path, data: bytes, message: str
) -> None:
    assert refusal(tmp_path, data) == message


def test_refuses_more_than_the_limits(tmp_path: Path) -> None:
    limits = Limits(max_bytes=1000, max_tensors=3)
    many = zipped(*((f"{index}.npy", A[1]) for index in range(4)))
    assert refusal(tmp_path, many, limits) == "x.npz has 4 entries; the limit is 3."
    large = zipped(("a.npy", npy(np.zeros(200))))
    assert refusal(tmp_path, large, limits) == (
        "x.npz declares 1728 bytes of arrays; the limit is 1000."
    )


def test_refuses_ten_gigabytes_in_one_kilobyte(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", A[1])
        # A size beyond 32 bits makes zipfile write it into the entry's extra field.
        archive.infolist()[0].file_size = 10**10
    assert refusal(tmp_path, stream.getvalue()) == (
        "x.npz declares 10000000000 bytes of arrays; the limit is 4294967296."
    )


@pytest.mark.parametrize("entries", [1, 3])
def test_refuses_a_zip_bomb_before_it_unpacks(tmp_path: Path, entries: int) -> None:
    content = npy(np.zeros(10**7, np.uint8))
    data = zipped(
        *((f"{index}.npy", content) for index in range(entries)), method=zipfile.ZIP_DEFLATED
    )
    assert refusal(tmp_path, data) == (
        f"x.npz declares {entries * 10_000_128} bytes in a file of {len(data)}; the limit is 200 "
        "times its size."
    )


def test_zeros_beside_weights_are_no_bomb(tmp_path: Path) -> None:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).standard_normal(10**5)
    np.savez_compressed(stream, weights=noise, momentum=np.zeros(10**6))
    assert read_all(tmp_path, stream.getvalue())["momentum"].any() is np.False_


def test_refuses_a_directory_that_would_fill_the_memory(tmp_path: Path) -> None:
    data = zipped(*((f"{index}", b"") for index in range(5000)))
    assert refusal(tmp_path, data, Limits(max_tensors=100)) == (
        f"x.npz has a zip directory of {_directory_bytes(data)} bytes; the limit is 131072."
    )


def _directory_bytes(data: bytes) -> int:
    return int(struct.unpack_from("<I", data, len(data) - 10)[0])


def test_header_is_read_from_any_stream_and_leaves_it_at_the_content() -> None:
    array = np.arange(6, dtype=">i2").reshape(2, 3)
    data = npy(np.asfortranarray(array))
    stream = io.BytesIO(data)
    header = read_header(stream, len(data))
    assert (header.shape, header.dtype.str, header.fortran_order) == ((2, 3), ">i2", True)
    assert header.content_bytes == 12
    assert stream.read() == array.tobytes("F")


def test_reading_imports_neither_keras_nor_tensorflow() -> None:
    import subprocess

    code = (
        "import sys\n"
        "from model_zoo.weights.reading import archives, hdf5, npz, safetensors_file\n"
        "print(sorted({'keras', 'tensorflow', 'safetensors'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
