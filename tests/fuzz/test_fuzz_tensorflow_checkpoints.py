"""Mutated TensorFlow checkpoints are read to the very same values, or are refused."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorflow_checkpoints import (
    Values,
    bundle_entry,
    bundle_header,
    bundle_of,
    field,
    saved_meta,
    saved_slice,
    saved_tensor,
    slice_message,
    table,
    values_of,
    varint,
    write,
)

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import Limits, NamedFile
from model_zoo.weights.reading.parts import Extent, slice_key
from model_zoo.weights.reading.tensor_bundle import read_tensor_bundle
from model_zoo.weights.reading.tensor_slices import read_tensor_slices

LIMITS = Limits(max_bytes=2**20, max_tensors=50)
HALVES = [(0, 2), (2, 1)]
FULL = slice_message([None])
Mutation = Callable[[bytes], bytes]


def v2(directory: Path, compressed: bool) -> Path:
    """Write a V2 checkpoint: tensors of some dtypes, text, and a partitioned variable."""
    entries, data = {}, b""
    tensors = {"a/b": np.arange(3.0), "a/c": np.ones((2, 2), np.int8), "d": np.float32(7)}
    for name, value in tensors.items():
        dtype = {"float64": 2, "int8": 6, "float32": 1}[value.dtype.name]
        raw = value.tobytes()
        entries[name.encode()] = bundle_entry(raw, value.shape, dtype=dtype, offset=len(data))
        data += raw
    entries[b"text"] = bundle_entry(b"\4\0\0\0\0word", (1,), dtype=7, offset=len(data))
    data += b"\4\0\0\0\0word"
    whole = np.arange(3, dtype=np.float16).tobytes()
    slices = [slice_message([half]) for half in HALVES]
    entries[b"w"] = bundle_entry(b"", (3,), dtype=19, slices=slices)
    for start, size in HALVES:
        key = slice_key("w", (Extent(start, size),))
        raw = whole[2 * start : 2 * (start + size)]
        entries[key] = bundle_entry(raw, (size,), dtype=19, offset=len(data))
        data += raw
    index = {b"": bundle_header(), **dict(sorted(entries.items()))}
    write(directory, "v2.index", table(index, per_block=3, compressed=compressed))
    write(directory, "v2.data-00000-of-00001", data)
    return directory / "v2"


def v1(directory: Path, compressed: bool) -> NamedFile:
    """Write a V1 checkpoint: values packed in both ways, text, and a partitioned variable."""
    floats = field(5, np.arange(5, dtype=np.float32).tobytes())
    integers = field(7, b"".join(varint(number % 2**64) for number in (300, -1, 7)))
    slices = {}
    tensors = [saved_tensor("w", (3,), [slice_message([half]) for half in HALVES])]
    for name, size, dtype, values in (
        ("a", 5, 1, floats),
        ("i", 3, 3, integers),
        ("text", 1, 7, field(8, b"word")),
    ):
        tensors.append(saved_tensor(name, (size,), [FULL], dtype))
        slices[slice_key(name, (Extent(0, -1),))] = saved_slice(name, FULL, values)
    for start, size in HALVES:
        piece = np.arange(start, start + size, dtype=np.float32).tobytes()
        key = slice_key("w", (Extent(start, size),))
        slices[key] = saved_slice("w", slice_message([(start, size)]), field(5, piece))
    entries = {b"": saved_meta(tensors), **dict(sorted(slices.items()))}
    return write(directory, "v1", table(entries, per_block=2, compressed=compressed))


def flip(position: int, bits: int) -> Mutation:
    def flipped(data: bytes) -> bytes:
        at = position % len(data)
        return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]

    return flipped


def replace(start: int, size: int, new: bytes) -> Mutation:
    """Return what inserts, deletes and overwrites: some bytes in the place of others."""

    def replaced(data: bytes) -> bytes:
        at = start % (len(data) + 1)
        return data[:at] + new + data[at + size :]

    return replaced


def splice(start: int, size: int, to: int) -> Mutation:
    """Return what copies some bytes of the file over others."""

    def spliced(data: bytes) -> bytes:
        source, target = start % len(data), to % len(data)
        piece = data[source : source + size]
        return data[:target] + piece + data[target + len(piece) :]

    return spliced


POSITIONS = st.integers(0, 2**12)
SIZES = st.integers(0, 64)
MUTATIONS = st.lists(
    st.one_of(
        st.builds(flip, POSITIONS, st.integers(1, 255)),
        st.builds(replace, POSITIONS, SIZES, st.binary(max_size=64)),
        st.builds(replace, POSITIONS, st.just(0), st.binary(min_size=1, max_size=4)),
        st.builds(replace, POSITIONS, st.just(2**16), st.just(b"")),
        st.builds(splice, POSITIONS, SIZES, POSITIONS),
    ),
    min_size=1,
    max_size=4,
)


class Agreeing(int):
    """A checksum that equals every other."""

    def __ne__(self, other: object) -> bool:
        return False

    __hash__ = int.__hash__


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "compressed"])
def checkpoints(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, bytes, Values]]:
    """Return each file to be mutated, as it was written, and what its checkpoint holds."""
    directory = tmp_path_factory.mktemp("checkpoints")
    stem, file = v2(directory, request.param), v1(directory, request.param)
    bundle, slices = read_v2(stem), read_v1(file.path)
    assert len(bundle) == 4
    assert len(slices) == 3
    index, [shard] = bundle_of(stem)
    return {
        "index": (index.path, index.path.read_bytes(), bundle),
        "data": (shard.path, shard.path.read_bytes(), bundle),
        "v1": (file.path, file.path.read_bytes(), slices),
    }


def read_v2(path: Path) -> Values:
    return values_of(read_tensor_bundle(*bundle_of(path.with_name("v2")), LIMITS))


def read_v1(path: Path) -> Values:
    return values_of(read_tensor_slices([NamedFile("v1", path)], LIMITS))


def read_mutated(path: Path, original: bytes, mutations: list[Mutation]) -> Values | None:
    """Return what is read of a mutated file, or None if it is refused; others are raised."""
    data = original
    for mutation in mutations:
        data = mutation(data) if data else data
    path.write_bytes(data)
    try:
        return read_v1(path) if path.name == "v1" else read_v2(path)
    except WeightsError:
        return None
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("name", ["index", "data", "v1"])
@given(mutations=MUTATIONS)
@settings(deadline=None)
def test_mutated_file_is_read_rightly_or_refused(
    checkpoints: dict[str, tuple[Path, bytes, Values]], name: str, mutations: list[Mutation]
) -> None:
    path, original, expected = checkpoints[name]
    assert read_mutated(path, original, mutations) in (None, expected)


@pytest.mark.parametrize("name", ["index", "data", "v1"])
@given(mutations=MUTATIONS)
@settings(deadline=None)
def test_mutated_file_with_right_checksums_is_read_or_refused(
    checkpoints: dict[str, tuple[Path, bytes, Values]], name: str, mutations: list[Mutation]
) -> None:
    """As who wants to do harm would write it: it may say something else, and nothing breaks."""
    path, original, _ = checkpoints[name]
    reading = "model_zoo.weights.reading"
    with (
        mock.patch(f"{reading}.table.masked_crc32c", return_value=Agreeing()),
        mock.patch(f"{reading}.tensor_bundle.masked_crc32c", return_value=Agreeing()),
    ):
        read_mutated(path, original, mutations)
