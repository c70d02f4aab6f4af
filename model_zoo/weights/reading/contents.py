"""What every reader takes and returns: named files, and the tensors in them."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_zoo.errors import WeightsError

# Numbers that weights are made of. What else a file may hold (strings, objects) is left out.
_INTEGERS = (f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))
DTYPES = frozenset(("bool", "float16", "float32", "float64", *_INTEGERS))
_MAX_NAME_CHARACTERS = 512
_MAX_RANK = 8


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file as its owner calls it, and where it lies: the name is never used as a path."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of a file; `read` returns its value, of that dtype and shape, when it is needed."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]

    @property
    def size_bytes(self) -> int:
        # Python's integers do not overflow: a file may declare any shape.
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class Contents:
    """What a reader found: the format by name, the tensors, and names of what it left out."""

    format: str
    tensors: Sequence[StoredTensor]
    left_out: Sequence[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may hold: bytes of all tensors, or of an unpacked archive; how many tensors."""

    max_bytes: int = 4 * 2**30
    max_tensors: int = 20_000


@dataclass(frozen=True, slots=True)
class ImportLimits(Limits):
    """The limits of a whole import: those of a file, memory, and seconds of computing."""

    memory_bytes: int = 2 * 2**30
    seconds: int = 600


def check_tensors(where: str, tensors: Sequence[StoredTensor], limits: Limits) -> None:
    """Check what a file declares, before any of it is read; `where` names the file in messages.

    Raises: WeightsError for too many tensors, a name given twice or not printable, a dtype that is
    no number, a negative size, or more bytes than the limit.
    """
    if len(tensors) > limits.max_tensors:
        raise WeightsError(
            f"{where} declares {len(tensors)} tensors; the limit is {limits.max_tensors}."
        )
    seen: set[str] = set()
    total = 0
    for tensor in tensors:
        check_name(where, tensor.name)
        if tensor.name in seen:
            raise WeightsError(f"{where} holds {tensor.name!r} twice.")
        seen.add(tensor.name)
        if tensor.dtype not in DTYPES:
            raise WeightsError(
                f"{where}: {tensor.name!r} has dtype {tensor.dtype}, which is not a number."
            )
        if len(tensor.shape) > _MAX_RANK or min(tensor.shape, default=0) < 0:
            raise WeightsError(f"{where}: {tensor.name!r} has the shape {list(tensor.shape)[:9]}.")
        total += tensor.size_bytes
        if total > limits.max_bytes:
            raise WeightsError(
                f"{where} declares {total} bytes of tensors or more, at {tensor.name!r} of shape "
                f"{list(tensor.shape)}; the limit is {limits.max_bytes}."
            )


def check_name(where: str, name: str) -> None:
    """Check that a tensor's name can be shown: printable, not empty, and not too long.

    Raises: WeightsError if it is not.
    """
    if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
        raise WeightsError(
            f"{where} has a tensor named {name[:40]!a}{'...' if len(name) > 40 else ''}; a "
            f"name has 1 to {_MAX_NAME_CHARACTERS} printable characters."
        )


@contextmanager
def refusing_damage(file: str, kind: str) -> Iterator[None]:
    """Turn what a library raises on damaged data, of any class, into a WeightsError.

    `file` is the file's name, and `kind` what it should be: "npz file".
    """
    try:
        yield
    except (WeightsError, MemoryError):  # what is too much for the process is no damage
        raise
    except Exception as error:
        raise WeightsError(f"{file} is not a whole {kind}: it cannot be read.") from error
