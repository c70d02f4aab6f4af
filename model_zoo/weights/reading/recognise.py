"""Recognises weight files by their content, and explains what is missing or was meant instead."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from model_zoo.errors import WeightsError, suggest
from model_zoo.weights.reading import compressed, npy
from model_zoo.weights.reading.archives import ArchiveLimits, expand
from model_zoo.weights.reading.contents import Contents, Limits, NamedFile
from model_zoo.weights.reading.hdf5 import read_hdf5
from model_zoo.weights.reading.npz import read_npz, zip_entries
from model_zoo.weights.reading.pickles import WINDOW_BYTES, is_pickle
from model_zoo.weights.reading.safetensors_file import read_safetensors
from model_zoo.weights.reading.table import Table, refusals
from model_zoo.weights.reading.tensor_bundle import read_tensor_bundle
from model_zoo.weights.reading.tensor_slices import read_tensor_slices

ACCEPTED = (
    "a TensorFlow checkpoint (V2: index and data files, or V1), alone or in a tar or tar.gz; "
    "safetensors; npz; Keras's .weights.h5"
)
_TABLE_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_TAR_MAGIC = (257, b"ustar")
_DATA = re.compile(r"(.*)\.data-\d{5}-of-(\d{5})")
_SHARD = re.compile(r"(.*)-\d{5}-of-\d{5}")
_STATE = re.compile(rb'model_checkpoint_path: "([^"\n]{1,200})"')
_HEAD_BYTES = 512
# What is no weight file, and what to give instead, by the first bytes or by the name.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file: git lfs pull fetches it"),
    (b"<!DOCTYPE", "is a web page: its download went wrong"),
    (b"<html", "is a web page: its download went wrong"),
    (b"\x93NUMPY", "is a single array: numpy.savez writes several by name"),
    (b"PK\x05\x06", "is an empty zip archive"),
)
_PICKLE = "is a pickle, which runs code when it is read: save it as safetensors"
_SUFFIXES: tuple[tuple[str, str], ...] = (
    (".meta", "holds a checkpoint's graph and no weights: give its .index and .data files"),
    (".pb", "holds a graph, which is a program: give the checkpoint it was frozen from"),
    (".pbtxt", "holds a graph, which is a program: give the checkpoint it was frozen from"),
    (".tflite", "is a TensorFlow Lite model: give the checkpoint it was converted from"),
    (".onnx", "is an ONNX model, which is a program: give its weights as safetensors or npz"),
    (".json", "is JSON: give the weights it belongs to"),
)


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A whole checkpoint among the files: its name, and how it is read."""

    name: str
    read: Callable[[Limits], Contents]


def read_files(
    files: Sequence[NamedFile], scratch: Path, limits: Limits, member: str | None = None
) -> Contents:
    """Return the contents of the one checkpoint that is among the files, or in the one archive.

    `member` names it where there are several: a V2 checkpoint by its prefix, others by the file.
    Raises: WeightsError if there is none, or several and no member, or it cannot be read.
    """
    where = files[0].name
    if len(files) == 1 and _is_archive(files[0]):
        files = expand(files[0], scratch, ArchiveLimits(limits.max_bytes))
    checkpoints = _checkpoints(files, limits)
    if member is not None:
        names = [checkpoint.name for checkpoint in checkpoints]
        if member not in names:
            raise WeightsError(f"{where} has no member {member!r}. {suggest(member, names)}")
        checkpoints = [checkpoints[names.index(member)]]
    if len(checkpoints) > 1:
        names = sorted(checkpoint.name for checkpoint in checkpoints)
        raise WeightsError(
            f"{where} holds {len(checkpoints)} checkpoints; name one of them as member: "
            f"{', '.join(map(repr, names[:12]))}{', ...' if len(names) > 12 else '.'}"
        )
    if not checkpoints:
        raise WeightsError(_meant(where, files, limits))
    return checkpoints[0].read(limits)


def _head(file: NamedFile) -> bytes:
    with file.path.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _is_archive(file: NamedFile) -> bool:
    offset, magic = _TAR_MAGIC
    return _head(file)[offset:].startswith(magic) or compressed.is_compressed_tar(file)


def _is_table(file: NamedFile) -> bool:
    with file.path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - len(_TABLE_MAGIC)))
        return stream.read() == _TABLE_MAGIC


def _is_v1(file: NamedFile, limits: Limits) -> bool:
    """Return whether a table is a V1 checkpoint, which lists its tensors first, and no V2 index."""
    with refusals(file):
        table = Table(file, 4 * limits.max_tensors)
        first = bytes(table.value(b"")[:1]) if b"" in table else b""
    # The tags of the list, and of a V2 header's number of shards: wire types 2 and 0 of field 1.
    return first == b"\x0a"


def _checkpoints(files: Sequence[NamedFile], limits: Limits) -> list[_Checkpoint]:
    checkpoints: list[_Checkpoint] = []
    shards: dict[str, list[NamedFile]] = {}
    for file in files:
        head = _head(file)
        if _DATA.fullmatch(file.name):
            continue
        if _is_table(file):
            prefix = file.name.removesuffix(".index")
            data = [other for other in files if _is_data_of(other, prefix)]
            if data:
                checkpoints.append(_Checkpoint(prefix, partial(read_tensor_bundle, file, data)))
            elif _is_v1(file, limits):
                match = _SHARD.fullmatch(file.name)
                shards.setdefault(match[1] if match else file.name, []).append(file)
        elif head.startswith(b"\x89HDF\r\n\x1a\n"):
            checkpoints.append(_Checkpoint(file.name, partial(read_hdf5, file)))
        elif head.startswith(b"PK\x03\x04"):
            if any(name.endswith(".npy") for name in _zip_names(file, limits)):
                checkpoints.append(_Checkpoint(file.name, partial(read_npz, file)))
        elif head[8:9] == b"{" and not head.startswith(b"{"):
            checkpoints.append(_Checkpoint(file.name, partial(read_safetensors, file)))
    checkpoints += [
        _Checkpoint(name, partial(read_tensor_slices, group)) for name, group in shards.items()
    ]
    return checkpoints


def _is_data_of(file: NamedFile, prefix: str) -> bool:
    match = _DATA.fullmatch(file.name)
    return match is not None and match[1] == prefix


def _zip_names(file: NamedFile, limits: Limits) -> list[str]:
    return [entry.filename for entry in zip_entries(file, limits)]


def _meant(where: str, files: Sequence[NamedFile], limits: Limits) -> str:
    """Return why there is no checkpoint among the files."""
    sentences = [sentence for file in files if (sentence := _about(file, files, limits))]
    names = ", ".join(file.name for file in files[:6]) + (", ..." if len(files) > 6 else "")
    held = f" It holds {names}." if [file.name for file in files] != [where] else ""
    return " ".join(sentences[:3]) or f"{where} holds no weights that are known: {ACCEPTED}.{held}"


def _about(file: NamedFile, files: Sequence[NamedFile], limits: Limits) -> str | None:
    name, head = file.name, _head(file)
    state = _STATE.search(head)
    if state:
        prefix = state[1].decode("utf-8", "replace").rsplit("/", 1)[-1]
        return (
            f"{name} is a state file, which names the checkpoint {prefix!r}: give "
            f"{prefix}.index and {prefix}.data-00000-of-00001."
        )
    match = _DATA.fullmatch(name)
    if match:
        return f"{name} is one half of a V2 checkpoint; the other, {match[1]}.index, is missing."
    if _is_table(file):
        prefix = name.removesuffix(".index")
        return (
            f"{name} is one half of a V2 checkpoint; the other, {prefix}.data-00000-of-00001, is "
            "missing."
        )
    if head.startswith(b"PK\x03\x04"):
        inside = _zip_names(file, limits)
        if "model.weights.h5" in inside:
            return (
                f"{name} is a Keras model, which is a program: give its weights, as "
                "model.save_weights('model.weights.h5') writes them."
            )
        if any(entry.endswith("data.pkl") for entry in inside):
            return f"{name} is a PyTorch file, a pickle, which runs code: save it as safetensors."
        if pickles := [entry for entry in inside if entry.endswith((".pkl", ".pickle"))]:
            return (
                f"{name} is a zip archive with the pickle {pickles[0]!r}, which runs code when it "
                "is read: save it as safetensors."
            )
        held = ", ".join(map(repr, inside[:3])) + (", ..." if len(inside) > 3 else ".")
        return f"{name} is a zip archive and no npz: unzip it, and give the weights in it: {held}"
    if what := compressed.describe(file):
        return f"{name} {what}."
    if what := _pickled(file):
        return f"{name} {what}."
    for magic, what in _OTHERS:
        if head.startswith(magic):
            return f"{name} {what}."
    for suffix, what in _SUFFIXES:
        if name.endswith(suffix) and len(files) == 1:
            return f"{name} {what}."
    return None


def _pickled(file: NamedFile) -> str | None:
    """Return in which form a file is a pickle; None if it is none."""
    size = file.path.stat().st_size
    with file.path.open("rb") as stream:
        head = stream.read(WINDOW_BYTES)
        if is_pickle(head, is_whole=len(head) == size):
            return _PICKLE
        stream.seek(0)
        try:
            npy.read_header(stream, size)
        except npy.PickleError:
            return (
                "is an array of Python objects, a pickle, which runs code when it is read: save "
                "its arrays by name, with numpy.savez"
            )
        except ValueError:
            pass
    return None
