"""Imported checkpoints in a folder: one safetensors file each, named after what was imported.

The file's own header holds all metadata, so no second record can disagree with it.
"""

import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import Field
from safetensors import safe_open
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.errors import Problem, WeightsError
from model_zoo.file_locks import remove_abandoned, scratch_folder
from model_zoo.weight_sources import CHECKPOINT_ID
from model_zoo.weights.names import OUTPUT
from model_zoo.weights.plan import TensorInfo
from model_zoo.weights.reading.safetensors_file import read_header

FOLDER = "checkpoints"
GLOBAL_STEP = "global_step"
_SUFFIX = ".safetensors"


class CheckpointDocument(TypedDict):
    """An imported checkpoint, without its tensors."""

    id: Annotated[str, Field(pattern=CHECKPOINT_ID)]
    name: str
    format: str
    size_bytes: int
    created: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    tensor_count: int
    parameters: int
    global_step: int | None
    left_out: list[str]


@dataclass(frozen=True)
class Checkpoint:
    """An imported checkpoint: where it came from, and its tensors.

    `id` is the SHA-256 of what was imported, `size_bytes` its size, and `left_out` names some of
    what it holds beside numbers.
    """

    id: str
    path: Path
    name: str
    format: str
    size_bytes: int
    created: str
    left_out: tuple[str, ...]
    tensors: Mapping[str, TensorInfo]

    @property
    def parameters(self) -> int:
        """The number of values in all tensors."""
        return sum(math.prod(info.shape) for info in self.tensors.values())

    @cached_property
    def global_step(self) -> int | None:
        """The training step that it was saved at; None if it does not record one."""
        for name in (GLOBAL_STEP, GLOBAL_STEP + OUTPUT):
            info = self.tensors.get(name)
            if info is not None and not info.shape and info.dtype.startswith("int"):
                return int(self.read(name))
        return None

    def read(self, name: str) -> NDArray[Any]:
        """Return the value of a tensor.

        Raises: WeightsError if the checkpoint was removed meanwhile.
        """
        value: NDArray[Any] = self._file.get_tensor(name)
        return value

    @cached_property
    def _file(self) -> Any:
        # Opened once: the library reads the header anew each time.
        try:
            return safe_open(self.path, framework="numpy")
        except FileNotFoundError:
            raise _unknown(self.id) from None

    def to_dict(self) -> CheckpointDocument:
        """Return the metadata, JSON-ready, without the tensors."""
        return {
            "id": self.id,
            "name": self.name,
            "format": self.format,
            "size_bytes": self.size_bytes,
            "created": self.created,
            "tensor_count": len(self.tensors),
            "parameters": self.parameters,
            "global_step": self.global_step,
            "left_out": list(self.left_out),
        }


def _unknown(checkpoint_id: str) -> WeightsError:
    shown = checkpoint_id if len(checkpoint_id) <= 64 else checkpoint_id[:64] + "..."
    return WeightsError(
        Problem(f"There is no imported checkpoint {shown!r}.", received=checkpoint_id)
    )


class CheckpointStore:
    """A folder of imported checkpoints. Several processes may use one at the same time."""

    def __init__(self, home: Path, *, make: bool = True) -> None:
        """Open the folder under `home`; unless `make` is false, it is made when it is missing.

        Raises: OSError if it cannot be.
        """
        self.folder = home / FOLDER
        if make:
            self.folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(self.folder)

    def get(self, checkpoint_id: str) -> Checkpoint:
        """Return a checkpoint.

        Raises: WeightsError if there is no checkpoint with this id, OSError if the folder is gone.
        """
        path = self.path(checkpoint_id)
        try:
            return self.read(path, checkpoint_id)
        except FileNotFoundError:
            self.check_folder()
            raise self.unknown(checkpoint_id) from None

    def path(self, checkpoint_id: str) -> Path:
        """Return the path of a checkpoint, which need not be there.

        Raises: WeightsError if none can have this id.
        """
        # Ids come from clients, and this is where one becomes a part of a path.
        if not (len(checkpoint_id) == 64 and set(checkpoint_id) <= set("0123456789abcdef")):
            raise self.unknown(checkpoint_id)
        return self.folder / (checkpoint_id + _SUFFIX)

    def unknown(self, checkpoint_id: str) -> WeightsError:
        """Return the error for an id that no checkpoint has."""
        return _unknown(checkpoint_id)

    def read(self, path: Path, checkpoint_id: str) -> Checkpoint:
        """Return the checkpoint in a file that an import has written.

        Raises: OSError if it cannot be read.
        """
        header, metadata = read_header(path)
        return Checkpoint(
            checkpoint_id,
            path,
            metadata["name"],
            metadata["format"],
            int(metadata["size_bytes"]),
            metadata["created"],
            tuple(json.loads(metadata["left_out"])),
            {name: TensorInfo(dtype, shape) for name, (dtype, shape) in header.items()},
        )

    def list(self) -> "list[Checkpoint]":
        """Return all checkpoints, the newest first.

        Raises: OSError if the folder is gone.
        """
        self.check_folder()
        checkpoints = []
        for path in self.folder.glob("*" + _SUFFIX):
            with contextlib.suppress(WeightsError):  # removed meanwhile
                checkpoints.append(self.get(path.name.removesuffix(_SUFFIX)))
        return sorted(checkpoints, key=lambda checkpoint: (checkpoint.created, checkpoint.id))[::-1]

    def documents(self) -> Sequence[CheckpointDocument]:
        """Return the metadata of all checkpoints, the newest first.

        Raises: OSError if the folder is gone.
        """
        documents = []
        for checkpoint in self.list():
            with contextlib.suppress(WeightsError):  # removed meanwhile
                documents.append(checkpoint.to_dict())
        return documents

    def check_folder(self) -> None:
        """Raises: OSError if the folder is gone, with all that was in it."""
        self.folder.stat()

    def stored_bytes(self) -> int:
        """Return the bytes that the checkpoints take on disk."""
        total = 0
        for path in self.folder.glob("*" + _SUFFIX):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def remove(self, checkpoint_id: str) -> None:
        """Remove a checkpoint; processes that have it open can still read it.

        Raises: WeightsError if there is no checkpoint with this id.
        """
        self.get(checkpoint_id).path.unlink(missing_ok=True)

    def scratch(self) -> contextlib.AbstractContextManager[Path]:
        """Return a temporary folder on the store's file system, for unfinished files."""
        return scratch_folder(self.folder)

    def add(self, finished: Path, checkpoint_id: str) -> tuple[Checkpoint, bool]:
        """Move a file that an import has written into the store, in one atomic step.

        Returns the checkpoint, and whether it is new: another may have imported the same.
        """
        try:
            return self.get(checkpoint_id), False
        except WeightsError:
            finished.replace(self.folder / (checkpoint_id + _SUFFIX))
            return self.get(checkpoint_id), True


def now() -> str:
    """Return the time as a checkpoint keeps it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
