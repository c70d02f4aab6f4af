"""Mutated safetensors, npz, HDF5 and tar files are read to something sane, or are refused."""

import contextlib
import gzip
import io
import multiprocessing
import resource
import shutil
import signal
import tarfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.archives import ArchiveLimits, expand
from model_zoo.weights.reading.contents import Contents, Limits, NamedFile, check_tensors
from model_zoo.weights.reading.hdf5 import read_hdf5
from model_zoo.weights.reading.npz import read_npz
from model_zoo.weights.reading.safetensors_file import read_safetensors

Read = Callable[[NamedFile, Limits], Contents]
Mutation = Callable[[bytes, "list[int]"], bytes]

LIMITS = Limits(max_bytes=2**20, max_tensors=60)
ARCHIVE_LIMITS = ArchiveLimits(max_bytes=2**20, max_members=20)
VALUES = {
    "Net/w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "Net/b": np.linspace(0, 1, 3).astype(">f8"),
    "half": np.ones(2, np.float16),
    "step": np.array(7),
    "flags": np.array([True, False]),
}
SECONDS = 20  # for one file: a mutation that takes more has made a reader loop
MEMORY_BYTES = 3 * 2**30


def flip(place: int, bits: int) -> Mutation:
    def flipped(data: bytes, hot: list[int]) -> bytes:
        at = _at(place, data, hot)
        return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]

    return flipped


def replace(place: int, size: int, new: bytes) -> Mutation:
    """Return what inserts, deletes, truncates and overwrites: some bytes in the place of others."""

    def replaced(data: bytes, hot: list[int]) -> bytes:
        at = _at(place, data, hot)
        return data[:at] + new + data[at + size :]

    return replaced


def splice(place: int, size: int, to: int) -> Mutation:
    """Return what copies some bytes of the file over others."""

    def spliced(data: bytes, hot: list[int]) -> bytes:
        source, target = _at(place, data, hot), _at(to, data, hot)
        piece = data[source : source + size]
        return data[:target] + piece + data[target + len(piece) :]

    return spliced


def _at(place: int, data: bytes, hot: list[int]) -> int:
    # Near bytes that say something: most of an HDF5 or tar file is padding.
    return min(max(0, hot[place // 4 % len(hot)] + (0, 0, 1, -4)[place % 4]), len(data) - 1)


PLACES = st.integers(0, 2**15)
SIZES = st.integers(0, 64)
NUMBERS = st.sampled_from([0, 1, 7, 2**15, 2**31, 2**32 - 1, 2**63, 2**64 - 16, 2**64 - 1])
MUTATIONS = st.lists(
    st.one_of(
        st.builds(flip, PLACES, st.integers(1, 255)),
        st.builds(replace, PLACES, SIZES, st.binary(max_size=64)),
        st.builds(replace, PLACES, st.just(0), st.binary(min_size=1, max_size=4)),
        st.builds(replace, PLACES, st.just(2**20), st.just(b"")),
        st.builds(lambda p, n: replace(p, 8, n.to_bytes(8, "little")), PLACES, NUMBERS),
        st.builds(splice, PLACES, SIZES, PLACES),
    ),
    min_size=1,
    max_size=4,
)
fuzzed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mutated(data: bytes, mutations: list[Mutation]) -> bytes:
    hot = [place for place, byte in enumerate(data) if byte]
    for mutation in mutations:
        data = mutation(data, hot) if data else data
    return data


def read_or_refuse(read: Read, path: Path) -> None:
    """Read a file wholly and check that what comes is sane, if it is not refused."""
    with contextlib.suppress(WeightsError):
        contents = read(NamedFile("x", path), LIMITS)
        check_tensors("x", contents.tensors, LIMITS)
        for tensor in contents.tensors:
            value = tensor.read()
            assert (value.dtype.name, value.shape) == (tensor.dtype, tensor.shape)
            if value.dtype == bool:
                assert value.view(np.uint8).max(initial=0) <= 1


def npz(save: Callable[..., None]) -> bytes:
    stream = io.BytesIO()
    save(stream, **VALUES)
    return stream.getvalue()


def native() -> dict[str, np.ndarray]:
    return {name: value.astype(value.dtype.newbyteorder("=")) for name, value in VALUES.items()}


@given(mutations=MUTATIONS)
@fuzzed
def test_mutated_safetensors(tmp_path: Path, mutations: list[Mutation]) -> None:
    path = tmp_path / "stored"
    path.write_bytes(mutated(safetensors.numpy.save(native(), {"format": "np"}), mutations))
    read_or_refuse(read_safetensors, path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("checked", [True, False], ids=["checksums", "no checksums"])
@given(mutations=MUTATIONS)
@fuzzed
def test_mutated_npz(
    tmp_path: Path, save: Callable[..., None], checked: bool, mutations: list[Mutation]
) -> None:
    """Without checksums: as who wants to do harm would write it, with the right ones."""
    path = tmp_path / "stored"
    path.write_bytes(mutated(npz(save), mutations))
    unchecked = mock.patch.object(zipfile.ZipExtFile, "_update_crc")
    with contextlib.nullcontext() if checked else unchecked:
        read_or_refuse(read_npz, path)


class Everything:
    """The right checksums of any header."""

    def __contains__(self, checksum: object) -> bool:
        return True


def tarred(form: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name in ("a", "./sub/b", "long/" * 30 + "c", "é" * 45):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            archive.addfile(info, io.BytesIO(name.encode()))
        folder = tarfile.TarInfo("sub")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return stream.getvalue()


def expand_or_refuse(folder: Path, data: bytes) -> None:
    path, scratch = folder / "stored", folder / "scratch"
    path.write_bytes(data)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    try:
        files = expand(NamedFile("x", path), scratch, ARCHIVE_LIMITS)
    except WeightsError:
        files = []
    assert {path.name for path in folder.iterdir()} == {"stored", "scratch"}
    written = list(scratch.iterdir())
    assert {path.name for path in written} >= {str(number) for number in range(len(files))}
    assert sum(path.stat().st_size for path in written) <= ARCHIVE_LIMITS.max_bytes
    for file in files:
        assert file.name.isprintable()
        assert not file.name.startswith("/")
        assert not {"", ".", ".."} & set(file.name.split("/"))


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("checked", [True, False], ids=["checksums", "no checksums"])
@given(mutations=MUTATIONS)
@fuzzed
def test_mutated_tar(tmp_path: Path, form: int, checked: bool, mutations: list[Mutation]) -> None:
    unchecked = mock.patch.object(tarfile, "calc_chksums", return_value=Everything())
    data = mutated(tarred(form), mutations)
    with contextlib.nullcontext() if checked else unchecked:
        expand_or_refuse(tmp_path, data)


@given(mutations=MUTATIONS, inside=st.booleans())
@fuzzed
def test_mutated_tar_gz(tmp_path: Path, mutations: list[Mutation], inside: bool) -> None:
    data = tarred(tarfile.GNU_FORMAT)
    if inside:
        packed = gzip.compress(mutated(data, mutations))
    else:
        packed = mutated(gzip.compress(data), mutations)
    expand_or_refuse(tmp_path, packed)


def hdf5(path: Path, libver: str) -> bytes:
    with h5py.File(path, "w", libver=libver) as file:
        for name in ("conv1", "conv2", "dense"):
            group = file.create_group(f"layers/{name}_1/vars")
            group.attrs["name"] = name
            group["0"] = np.arange(6, dtype=np.float32).reshape(2, 3)
            group["1"] = np.ones(3, ">f8")
        for number in range(20):  # more than a group of one level holds
            file[f"many/w{number}"] = np.full(2, number, np.float32)
        file.update({"flags": np.array([True, False]), "text": "abc"})
        file.create_dataset("chunked", data=np.arange(8), chunks=(4,))
    return path.read_bytes()


def serve_hdf5(connection: Connection) -> None:
    """Read the files whose paths come, and answer what went wrong: a process of its own.

    HDF5's library has had bugs by which such files end a process, fill the memory or never end.
    """
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        path = connection.recv()
        signal.alarm(SECONDS)
        try:
            read_or_refuse(read_hdf5, path)
        except MemoryError:
            pass
        except Exception:
            connection.send(traceback.format_exc())
            continue
        finally:
            signal.alarm(0)
        connection.send(None)


@pytest.fixture(scope="module")
def hdf5_reader() -> Iterator[Callable[[Path], str | None]]:
    context = multiprocessing.get_context("spawn")
    process: multiprocessing.process.BaseProcess | None = None
    ours, theirs = context.Pipe()

    def read(path: Path) -> str | None:
        nonlocal process, ours, theirs
        if process is None or not process.is_alive():
            ours, theirs = context.Pipe()
            process = context.Process(target=serve_hdf5, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
        ours.send(path)
        try:
            answer: str | None = ours.recv()
        except EOFError:
            process.join()
            return f"the process ended with {process.exitcode}"
        return answer

    yield read
    if process is not None:
        process.kill()
        process.join()


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@given(mutations=MUTATIONS)
@fuzzed
def test_mutated_hdf5(
    tmp_path: Path,
    hdf5_reader: Callable[[Path], str | None],
    libver: str,
    mutations: list[Mutation],
) -> None:
    original = tmp_path / "original"
    data = original.read_bytes() if original.exists() else hdf5(original, libver)
    path = tmp_path / "stored"
    path.unlink(missing_ok=True)  # HDF5 knows a file that is open again by its inode
    path.write_bytes(mutated(data, mutations))
    assert hdf5_reader(path) is None
