"""Object-based checkpoints have the names of their variables, and a damaged graph is refused."""

from collections.abc import Sequence
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_checkpoints import (
    Values,
    bundle_entry,
    bundle_header,
    bundle_of,
    checksum,
    corruptions,
    exact,
    field,
    outcomes,
    read_bundle,
    table,
    truncations,
    varint,
    write,
)

from model_zoo.errors import WeightsError
from model_zoo.weights.reading import tensor_bundle
from model_zoo.weights.reading.contents import Contents, Limits
from model_zoo.weights.reading.table import masked
from model_zoo.weights.reading.tensor_bundle import read_tensor_bundle

OBJECTS = Path(__file__).parents[1] / "objects/objects.ckpt"
VALUE = np.float32(1.5).tobytes()
KEY = "a/.ATTRIBUTES/VARIABLE_VALUE"


def string_of(text: bytes) -> bytes:
    """Return a string tensor: a length, its checksum, and the bytes."""
    length = checksum(len(text).to_bytes(4, "little")).to_bytes(4, "little")
    return varint(len(text)) + length + text


def node_of(name: bytes, key: str = KEY) -> bytes:
    return field(1, field(2, field(2, name) + field(3, key.encode())))


def objects(
    directory: Path,
    graph: bytes,
    *,
    shape: Sequence[int] = (),
    stored: bytes | None = None,
) -> Contents:
    """Read a checkpoint of one tensor and an object graph, which lies there as `stored`."""
    data = string_of(graph) if stored is None else stored
    crc = google_crc32c.value(
        len(graph).to_bytes(4, "little") + string_of(graph)[-len(graph) - 4 :]
    )
    entry = bundle_entry(data, shape, dtype=7, offset=len(VALUE))
    entries = {
        b"": bundle_header(),
        # TensorFlow computes it as if the length had four bytes.
        b"_CHECKPOINTABLE_OBJECT_GRAPH": entry.replace(
            checksum(data).to_bytes(4, "little"), masked(crc).to_bytes(4, "little")
        ),
        KEY.encode(): bundle_entry(VALUE, ()),
    }
    index = write(directory, "m.index", table(entries))
    shard = write(directory, "m.data-00000-of-00001", VALUE + data)
    return read_tensor_bundle(index, [shard], Limits())


def test_a_checkpoint_of_objects_has_the_names_of_its_variables(tmp_path: Path) -> None:
    """Those that TensorFlow named, and those that share a name, are called by their paths."""
    names = {"one": "net/one/weights", "twin": "net/twin", "other_twin": "net/twin"}
    values = {"one": 1.0, "twin": 2.0, "other_twin": 3.0, "nameless": 4.0}
    variables = {key: tf.Variable(value, name=names.get(key)) for key, value in values.items()}
    steps = tf.Variable(7, dtype=tf.int64, name="global_step")
    stem = tf.train.Checkpoint(vars=variables, steps=steps).save(str(tmp_path / "object"))
    contents = read_tensor_bundle(*bundle_of(Path(stem)), Limits())
    assert contents.format == "TensorFlow V2 checkpoint, object-based"
    assert contents.left_out == []
    assert {tensor.name: tensor.read().item() for tensor in contents.tensors} == {
        "save_counter": 1,
        "global_step": 7,
        "net/one/weights": 1,
        "vars/twin/.ATTRIBUTES/VARIABLE_VALUE": 2,
        "vars/other_twin/.ATTRIBUTES/VARIABLE_VALUE": 3,
        "vars/nameless/.ATTRIBUTES/VARIABLE_VALUE": 4,
    }


def test_a_saved_model_has_the_names_of_its_variables(tmp_path: Path) -> None:
    module = tf.Module()
    module.one = tf.Variable([1.0, 2.0], name="net/one/weights")
    tf.saved_model.save(module, str(tmp_path / "model"))
    contents = read_tensor_bundle(*bundle_of(tmp_path / "model/variables/variables"), Limits())
    (one,) = contents.tensors
    assert (one.name, one.read().tolist()) == ("net/one/weights", [1.0, 2.0])


def test_a_checkpoint_of_tf_slims_variables_is_read_as_tensorflows_saver_does() -> None:
    read = read_bundle(OBJECTS)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        variables = {
            name: v1.get_variable(name, value[1], tf.float32) for name, value in read.items()
        }
        v1.train.Saver(variables).restore(session, str(OBJECTS))
        restored = session.run(variables)
    assert len(read) == 137
    assert read == {name: exact(value) for name, value in restored.items()}


@pytest.mark.parametrize(
    ("graph", "name"),
    [
        (node_of(b"net/a"), "net/a"),
        (node_of(b""), KEY),
        (node_of(b"Variable"), KEY),
        (node_of(b"Variable_12"), KEY),
        (node_of(b"net/a", "b/.ATTRIBUTES/VARIABLE_VALUE"), KEY),
        (b"", KEY),
    ],
)
def test_a_name_is_taken_where_the_graph_gives_one(tmp_path: Path, graph: bytes, name: str) -> None:
    (tensor,) = objects(tmp_path, graph).tensors
    assert tensor.name == name


def test_a_name_that_cannot_be_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as refused:
        objects(tmp_path, node_of(b"a\x00b"))
    assert str(refused.value) == (
        "m.index has a tensor named 'a\\x00b'; a name has 1 to 512 printable characters."
    )


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (string_of(b"abc") + b"d", "A string of 3 bytes is stored in 9."),
        (b"\x03" + bytes(4) + b"abc", "The length of a string does not match its checksum."),
        (string_of(b"abd"), "The bytes of a string do not match their checksum."),
        (b"\xff" * 10, "The number at 0 of 10 bytes has no end."),
        (b"", "The number at 0 of 0 bytes has no end."),
    ],
)
def test_a_graph_that_is_no_whole_string_is_refused(
    tmp_path: Path, stored: bytes, message: str
) -> None:
    with pytest.raises(WeightsError) as refused:
        objects(tmp_path, b"abc", stored=stored)
    where = "m.data-00000-of-00001 is not an intact TensorFlow checkpoint: "
    assert str(refused.value) == where + message


@pytest.mark.parametrize("graph", [b"\x0a\xff", field(1, b"\x12\xff"), node_of(b"\xff")])
def test_a_graph_that_is_no_message_is_refused(tmp_path: Path, graph: bytes) -> None:
    with pytest.raises(WeightsError, match=r"An entry is no Object(Graph|Node) message\.$"):
        objects(tmp_path, graph)


def test_a_graph_beyond_the_limit_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_bundle, "MAX_GRAPH_BYTES", 20)
    with pytest.raises(WeightsError) as refused:
        objects(tmp_path, bytes(20), stored=string_of(bytes(20)))
    assert str(refused.value) == (
        "m.index is not an intact TensorFlow checkpoint: Its object graph has the shape [] and 25 "
        "bytes; it is one string of at most 20."
    )
    with pytest.raises(WeightsError, match=r"Its object graph has the shape \[2\] and 5 bytes"):
        objects(tmp_path, b"", shape=(2,))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Values]:
    """Return a small checkpoint of TensorFlow's, and what it holds."""
    one = tf.Variable([1.5, -2.0], name="net/one")
    stem = tmp_path_factory.mktemp("small") / "model.ckpt"
    tf.train.Checkpoint(one=one).write(str(stem))
    return stem, read_bundle(stem)


def test_truncation_and_corruption_of_a_graph_are_never_read_wrongly(
    small: tuple[Path, Values],
) -> None:
    stem, expected = small
    assert expected.keys() == {"net/one"}
    path = stem.with_name(stem.name + ".data-00000-of-00001")
    for damaged in (truncations, corruptions):
        counts = outcomes(path, damaged(path.read_bytes()), lambda: read_bundle(stem), expected)
        assert (counts["right"], counts["wrong"]) == (0, 0)
