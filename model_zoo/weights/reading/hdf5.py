"""HDF5 as Keras writes it: plain arrays in groups, and nothing of what else HDF5 can do.

The format can name other files, compress, and declare arrays that are stored nowhere; all of it is
refused before an array is allocated. Attributes are not read, but for the name of a Keras layer.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o, h5s, h5t
from numpy.typing import NDArray

from model_zoo.errors import WeightsError
from model_zoo.weights.reading import npy
from model_zoo.weights.reading.contents import (
    DTYPES,
    Contents,
    Limits,
    NamedFile,
    StoredTensor,
    check_name,
    check_tensors,
    refusing_damage,
)
from model_zoo.weights.reading.hdf5_heaps import SIGNATURE, check_heaps

_MAX_DEPTH = 32
_MAX_LAYER_NAME_BYTES = 512
# Keras has two groups for each layer, which has one array at least or none.
_OBJECTS_PER_TENSOR = 4
_LINKS = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}
_KINDS = {
    h5t.BITFIELD: "bit fields",
    h5t.OPAQUE: "opaque bytes",
    h5t.COMPOUND: "compounds",
    h5t.REFERENCE: "references",
    h5t.ENUM: "an enumeration",
    h5t.VLEN: "sequences of any length",
    h5t.ARRAY: "arrays",
    h5t.TIME: "times",
    h5t.INTEGER: "integers of an unusual kind",
    h5t.FLOAT: "floats of an unusual kind",
}
# The types of numbers just as h5py writes them: HDF5 has others, which it would convert.
_TYPES = [
    (h5t.py_create(np.dtype(order + np.dtype(name).str[1:]), logical=True), name)
    for name in sorted(DTYPES)
    for order in "<>"
]


def read_hdf5(file: NamedFile, limits: Limits) -> Contents:
    """Return the arrays of numbers in an HDF5 file; strings are left out, and named.

    An array of a Keras 3 layer is called by the layer's name, `conv1/vars/0`, where the file calls
    it `layers/conv2d/vars/0`; any other by its path, less the `:0` of TensorFlow's variables. If
    two would get one name, all are called by their paths.

    Raises: WeightsError if it is no HDF5 file, is damaged, exceeds the limits, or holds anything
    but groups and arrays that are stored whole, in it, without a filter.
    """
    where = file.name
    with file.path.open("rb") as stream:
        if stream.read(len(SIGNATURE)) != SIGNATURE:
            raise WeightsError(f"{where} does not begin as an HDF5 file does.")
        with refusing_damage(where, "HDF5 file"):
            check_heaps(stream)
    with refusing_damage(where, "HDF5 file"):
        # Kept open, and closed with the last of the tensors: each is read when it is needed.
        opened = h5py.File(file.path, "r", locking=False)
        try:
            walk = _Walk(where, limits, file.path.stat().st_size, opened)
            walk.run()
            tensors = walk.tensors()
            check_tensors(where, tensors, limits)
        except BaseException:
            opened.close()
            raise
    return Contents("hdf5", tensors, walk.left_out)


@dataclass(frozen=True, slots=True)
class _Array:
    """An array that was found: its path, the name it would get, and how to read it."""

    path: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    dataset: Any


@dataclass(slots=True)
class _Walk:
    """One pass over the objects of a file, which refuses what it may not hold."""

    where: str
    limits: Limits
    file_bytes: int
    file: Any
    left_out: list[str] = field(default_factory=list)
    _arrays: list[_Array] = field(default_factory=list)
    _seen: dict[int, str] = field(default_factory=dict)
    _declared_bytes: int = 0

    def run(self) -> None:
        pending = [("", self.file.id, 0)]
        self._visit("", self.file.id)
        while pending:
            path, group, depth = pending.pop()
            if depth > _MAX_DEPTH:
                raise WeightsError(
                    f"{self.where}: {path!r} is nested deeper than {_MAX_DEPTH} groups."
                )
            layer = _layer_name(group) if path.rpartition("/")[2] == "vars" else None
            for key in self._keys(group):
                text = key.decode("utf-8", "surrogateescape")
                inner = f"{path}/{text}" if path else text
                check_name(self.where, inner)
                link = group.links.get_info(key)
                if link.type != h5l.TYPE_HARD:
                    kind = _LINKS.get(link.type, "a link of an unknown kind")
                    raise WeightsError(f"{self.where}: {inner!r} is {kind}; none is followed.")
                item = h5o.open(group, key)
                self._visit(inner, item)
                if isinstance(item, h5g.GroupID):
                    pending.append((inner, item, depth + 1))
                elif isinstance(item, h5d.DatasetID):
                    self._add(inner, _name(inner, layer), item)
                else:
                    raise WeightsError(f"{self.where}: {inner!r} is neither a group nor an array.")

    def tensors(self) -> list[StoredTensor]:
        names = Counter(array.name for array in self._arrays)
        unique = len(names) == len(self._arrays)
        return [
            StoredTensor(
                name := array.name if unique else array.path,
                array.dtype,
                array.shape,
                # With the file: it would be closed with its last reference, and its arrays with it.
                partial(_read, self.where, name, self.file, array),
            )
            for array in sorted(self._arrays, key=lambda array: array.path)
        ]

    def _keys(self, group: Any) -> list[bytes]:
        keys: list[bytes] = []
        limit = _OBJECTS_PER_TENSOR * self.limits.max_tensors

        def keep(key: bytes) -> bool | None:
            keys.append(key)
            return True if len(keys) > limit else None  # anything but None ends the iteration

        group.links.iterate(keep)
        return keys

    def _visit(self, path: str, item: Any) -> None:
        address = h5o.get_info(item).addr
        if address in self._seen:
            raise WeightsError(
                f"{self.where}: {path!r} is the same object as {self._seen[address]!r}."
            )
        self._seen[address] = path
        limit = _OBJECTS_PER_TENSOR * self.limits.max_tensors
        if len(self._seen) > limit:
            raise WeightsError(f"{self.where} has more than {limit} groups and arrays.")

    def _add(self, path: str, name: str, dataset: Any) -> None:
        about = f"{self.where}: {path!r}"
        properties = dataset.get_create_plist()
        if properties.get_external_count():
            raise WeightsError(f"{about} is stored in another file.")
        layout = properties.get_layout()
        if layout == h5d.VIRTUAL:
            raise WeightsError(f"{about} is virtual, made of other arrays.")
        if properties.get_nfilters():
            raise WeightsError(f"{about} is compressed or filtered; arrays must be stored plainly.")
        stored = dataset.get_type()
        kind = stored.get_class()
        space = dataset.get_space()
        if kind == h5t.STRING or space.get_simple_extent_type() == h5s.NULL:
            self.left_out.append(path)
            return
        dtype = next((name for known, name in _TYPES if stored.equal(known)), None)
        if dtype is None:
            raise WeightsError(
                f"{about} holds {_KINDS.get(kind, 'an unknown kind')}; an array holds numbers."
            )
        shape = tuple(map(int, space.get_simple_extent_dims()))
        self._check_stored(path, dtype, shape, dataset.get_storage_size())
        self._arrays.append(_Array(path, name, dtype, shape, dataset))

    def _check_stored(
        self, path: str, dtype: str, shape: tuple[int, ...], stored_bytes: int
    ) -> None:
        declared = math.prod(shape) * np.dtype(dtype).itemsize
        about = f"{self.where}: {path!r} of {dtype} and shape {list(shape)} takes {declared} bytes"
        if stored_bytes < declared:
            raise WeightsError(f"{about}; {stored_bytes} are stored.")
        # What a file says it stores may be more than it has, or one place told of many times.
        self._declared_bytes += declared
        if self._declared_bytes > self.file_bytes:
            raise WeightsError(
                f"{about}, and all arrays up to it {self._declared_bytes}; the file has "
                f"{self.file_bytes}."
            )


def _layer_name(group: Any) -> str | None:
    """Return the attribute `name` of a group; None unless it is a single string."""
    if not h5a.exists(group, b"name"):
        return None
    attribute = h5a.open(group, b"name")
    kind = attribute.get_type()
    is_single = attribute.get_space().get_simple_extent_type() == h5s.SCALAR
    if kind.get_class() != h5t.STRING or not is_single:
        return None
    if not kind.is_variable_str() and kind.get_size() > _MAX_LAYER_NAME_BYTES:
        return None
    name = h5py.Group(group).attrs["name"]
    return name if isinstance(name, str) else bytes(name).decode("utf-8", "surrogateescape")


def _name(path: str, layer: str | None) -> str:
    if layer and not path.startswith("optimizer/"):
        return f"{layer}/vars/{path.rpartition('/')[2]}"
    return path.removesuffix(":0")


def _read(where: str, name: str, file: Any, array: _Array) -> NDArray[Any]:
    with refusing_damage(where, "HDF5 file"):
        value = np.empty(array.shape, array.dtype)
        array.dataset.read(h5s.ALL, h5s.ALL, value)
    try:
        return npy.native(value)
    except ValueError as error:
        raise WeightsError(f"{where}: {name!r} {error}") from error
