"""Mutated files of every kind, by whatever name: recognised and read, or refused; never a crash."""

import contextlib
import io
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from test_fuzz_weight_files import MUTATIONS, Mutation, fuzzed, mutated

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import Limits, NamedFile
from model_zoo.weights.reading.recognise import read_files

LIMITS = Limits(max_bytes=2**20, max_tensors=200)
GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint" / "mobilenet_v1_0.25_128.tgz"
VALUES = {"a": np.zeros(3, np.float32)}
NAMES = ("m.index", "m.data-00000-of-00001", "m.ckpt", "m-00000-of-00002", "checkpoint", "m.meta")


def seeds() -> list[bytes]:
    """One small file of each kind; HDF5 has a fuzz of its own, in a process of its own."""
    npz, tar = io.BytesIO(), io.BytesIO()
    np.savez(npz, **VALUES)
    with tarfile.open(fileobj=tar, mode="w") as archive:
        info = tarfile.TarInfo("m.npz")
        info.size = len(npz.getvalue())
        archive.addfile(info, io.BytesIO(npz.getvalue()))
    with tarfile.open(GOLDEN) as archive:
        index = next(member for member in archive if member.name.endswith(".index"))
        table = archive.extractfile(index)
        assert table is not None
        return [
            npz.getvalue(),
            tar.getvalue(),
            table.read(),
            safetensors.numpy.save(VALUES),
            b'model_checkpoint_path: "m"\n',
        ]


SEEDS = seeds()


@given(
    chosen=st.lists(
        st.tuples(
            st.sampled_from(NAMES), st.sampled_from(SEEDS), st.one_of(st.just([]), MUTATIONS)
        ),
        min_size=1,
        max_size=3,
        unique_by=lambda file: file[0],
    ),
    member=st.sampled_from([None, None, "m", "m.npz"]),
)
@fuzzed
def test_mutated_files_together(
    chosen: list[tuple[str, bytes, list[Mutation]]], member: str | None
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, (name, data, mutations) in enumerate(chosen):
            path = Path(folder, f"upload-{number}")
            path.write_bytes(mutated(data, mutations))
            files.append(NamedFile(name, path))
        scratch = Path(folder, "unpacked")
        scratch.mkdir()
        with contextlib.suppress(WeightsError):
            for tensor in read_files(files, scratch, LIMITS, member).tensors:
                value = tensor.read()
                assert (value.dtype.name, value.shape) == (tensor.dtype, tensor.shape)
