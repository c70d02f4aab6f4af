"""The protocol buffers in TensorFlow's checkpoints, as far as weights need them.

They are declared in a pool of their own, so that they never meet TensorFlow's in one process.
Where a message has another type here than in TensorFlow's files, its bytes are the same:

- enumerations are `int32`, so that an unknown one is kept;
- the values of a tensor are `bytes` and not `repeated float [packed = true]`: no object is made
  for each of them. Nor are they `repeated bytes`: a file of empty ones took twenty times its size
  in memory;
- messages that are parsed one by one, once it is known how many there are, are `bytes` too.

Source: tensorflow/core/framework/{tensor,tensor_shape,tensor_slice,versions}.proto,
tensorflow/core/protobuf/{tensor_bundle,trackable_object_graph}.proto and
tensorflow/core/util/saved_tensor_slice.proto
"""

from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError

_PACKAGE = "model_zoo.checkpoints"

# Of each message: number, type, name. A type that is no scalar is the name of a message.
_DECLARED: dict[str, tuple[tuple[int, str, str], ...]] = {
    "Versions": (
        (1, "int32", "producer"),
        (2, "int32", "min_consumer"),
        (3, "repeated int32", "bad_consumers"),
    ),
    "Dimension": ((1, "int64", "size"),),
    "Shape": ((2, "repeated Dimension", "dim"), (3, "bool", "unknown_rank")),
    "Extent": ((1, "int64", "start"), (2, "optional int64", "length")),
    "Slice": ((1, "repeated Extent", "extent"),),
    "BundleHeader": (
        (1, "int32", "num_shards"),
        (2, "int32", "endianness"),
        (3, "Versions", "version"),
    ),
    "BundleEntry": (
        (1, "int32", "dtype"),
        (2, "Shape", "shape"),
        (3, "int32", "shard_id"),
        (4, "int64", "offset"),
        (5, "int64", "size"),
        (6, "fixed32", "crc32c"),
        (7, "repeated Slice", "slices"),
    ),
    "ObjectGraph": ((1, "repeated bytes", "nodes"),),
    "ObjectNode": ((2, "repeated ObjectAttribute", "attributes"),),
    "ObjectAttribute": ((2, "string", "full_name"), (3, "string", "checkpoint_key")),
    "SavedSlices": ((1, "SavedMeta", "meta"), (2, "SavedSlice", "data")),
    "SavedMeta": ((1, "repeated bytes", "tensor"), (2, "Versions", "versions")),
    "SavedSliceMeta": (
        (1, "string", "name"),
        (2, "Shape", "shape"),
        (3, "int32", "type"),
        (4, "repeated Slice", "slice"),
    ),
    "SavedSlice": ((1, "string", "name"), (2, "Slice", "slice"), (3, "Values", "data")),
    "Values": (
        (5, "bytes", "float_val"),
        (6, "bytes", "double_val"),
        (7, "bytes", "int_val"),
        (10, "bytes", "int64_val"),
        (11, "bytes", "bool_val"),
        (13, "bytes", "half_val"),
    ),
}


def _declare() -> dict[str, Any]:
    file = FileDescriptorProto(name="checkpoints.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _DECLARED.items():
        message = file.message_type.add(name=name)
        for number, type_name, field_name in fields:
            label, _, kind = type_name.rpartition(" ")
            field = message.field.add(name=field_name, number=number)
            repeated = label == "repeated"
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
            if kind in _DECLARED:
                field.type = field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
            else:
                field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
            if label == "optional":
                # That a field is there at all is known of the members of a oneof.
                message.oneof_decl.add(name=f"has_{field_name}")
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _DECLARED
    }


MESSAGES = _declare()

# The dtypes of tensorflow/core/framework/types.proto that weights are made of. Others are left
# out: strings, complex and quantized numbers, objects.
DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_MAX_RANK = 8
_VERSION = 1  # of both formats; it has never changed


def parse(name: str, data: Any) -> Any:
    """Return the message of that name in `data`, any object with a buffer. Raises: ValueError."""
    message = MESSAGES[name]()
    try:
        message.ParseFromString(memoryview(data))
    except DecodeError as exc:
        raise ValueError(f"An entry is no {name} message.") from exc
    return message


def shape_of(message: Any) -> tuple[int, ...]:
    """Return a Shape's sizes: known, and none of them negative. Raises: ValueError."""
    if message.unknown_rank or len(message.dim) > _MAX_RANK:
        rank = "unknown" if message.unknown_rank else len(message.dim)
        raise ValueError(f"A tensor's rank is {rank}; it may be 0 to {_MAX_RANK}.")
    shape = tuple(dimension.size for dimension in message.dim)
    if min(shape, default=0) < 0:
        raise ValueError(f"A tensor has the shape {list(shape)}; no size is negative.")
    return shape


def check_version(message: Any) -> None:
    """Check that a reader of today's version may read a file. Raises: ValueError."""
    if message.min_consumer > _VERSION or _VERSION in message.bad_consumers:
        raise ValueError(
            f"It asks for a reader of version {message.min_consumer}, and this one has {_VERSION}."
        )
