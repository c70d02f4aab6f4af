"""The object graph in a checkpoint of `tf.train.Checkpoint`, which has its variables' names.

Such a checkpoint calls a tensor by the path of Python attributes that leads to its variable,
`net/layers/0/kernel/.ATTRIBUTES/VARIABLE_VALUE`. The graph, a string tensor, has the variable's own
name beside it, by which `tf.compat.v1.train.Saver` restores it.

Source: tensorflow/core/protobuf/trackable_object_graph.proto, and the format of string tensors in
tensorflow/core/util/tensor_bundle/tensor_bundle.cc
"""

import re
from collections import Counter
from collections.abc import Collection

import google_crc32c

from model_zoo.weights.reading.contents import check_name
from model_zoo.weights.reading.messages import parse
from model_zoo.weights.reading.table import Bytes, masked, varint

KEY = b"_CHECKPOINTABLE_OBJECT_GRAPH"
# A node takes some 200 bytes, and in memory some 20 times its size if it is empty.
MAX_GRAPH_BYTES = 2**24
_CHECKSUM_BYTES = 4
_UNNAMED = re.compile(r"Variable(_\d+)?")


def read_string(data: Bytes, checksum: int) -> memoryview:
    """Return the one string of a string tensor: its length, the length's checksum, its bytes.

    Raises: ValueError if a checksum or the length does not fit.
    """
    view = data.data
    length, position = varint(view, 0)
    start = position + _CHECKSUM_BYTES
    if start + length != len(view):
        raise ValueError(f"A string of {length} bytes is stored in {len(view)}.")
    crc = google_crc32c.value(length.to_bytes(4, "little"))
    if int.from_bytes(view[position:start], "little") != masked(crc):
        raise ValueError("The length of a string does not match its checksum.")
    if masked(google_crc32c.extend(crc, bytes(view[position:]))) != checksum:
        raise ValueError("The bytes of a string do not match their checksum.")
    return view[start:]


def variable_names(where: str, graph: memoryview, keys: Collection[str]) -> dict[str, str]:
    """Return the names of variables by the keys of their tensors, where the graph has them.

    A name that several have, or that is another tensor's key, is none's; nor is `Variable`, which
    TensorFlow calls what its owner did not name.
    Raises: ValueError if it is no such graph; WeightsError if a name cannot be shown.
    """
    names: dict[str, str] = {}
    for node in parse("ObjectGraph", graph).nodes:
        for attribute in parse("ObjectNode", node).attributes:
            name = attribute.full_name
            if attribute.checkpoint_key in keys and name and not _UNNAMED.fullmatch(name):
                check_name(where, name)
                names[attribute.checkpoint_key] = name
    counts = Counter(names.values()) + Counter(key for key in keys if key not in names)
    return {key: name for key, name in names.items() if counts[name] == 1}
