"""Files for TensorFlow: checkpoints and SavedModels open with TensorFlow and predict the same."""

import gzip
import io
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small import random_rows, small_spec

from model_zoo import (
    BuildSpec,
    Model,
    decode_image,
    materialize,
    preprocess,
    trace,
)
from model_zoo.lowering import materialize_graph
from model_zoo.verify import golden_value
from model_zoo.weights.files import write_weights

NAMES = ("lenet", "cifarnet", "mobilenet_v1_025")


def built(wire: dict[str, Any]) -> Model:
    model = materialize(trace(BuildSpec.read(wire)))
    model.assign({variable.name: golden_value(variable) for variable in model.graph.variables})
    return model


def unpacked(model: Model, format_name: str, folder: Path) -> Path:
    write_weights(model, folder / "file", format_name)
    with tarfile.open(folder / "file") as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked"


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def image_file(size: tuple[int, int], format_name: str) -> bytes:
    pixels = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format_name)
    return file.getvalue()


# Checkpoints


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_holds_every_variable_by_its_name(name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    model = built(small_spec(name))
    model.global_step = 2**40
    folder = unpacked(model, "checkpoint", tmp_path)
    assert tf.train.latest_checkpoint(folder) == str(folder / "model.ckpt")
    reader = tf.train.load_checkpoint(str(folder))
    step = reader.get_tensor("global_step")
    assert (step, step.dtype, step.shape) == (2**40, np.int64, ())
    read = {key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()}
    del read["global_step"]
    assert sorted(read) == sorted(variable.name for variable in model.graph.variables)
    other = materialize(trace(BuildSpec.read(small_spec(name))))
    other.assign(read)
    x = random_rows(2, model.graph.input.shape)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_the_global_step_is_0_unless_it_is_known(tmp_path: Path) -> None:
    import tensorflow as tf

    folder = unpacked(built(small_spec("lenet")), "checkpoint", tmp_path)
    assert tf.train.load_variable(str(folder), "global_step") == 0


def test_tensorflow_1_restores_a_checkpoint(tmp_path: Path) -> None:
    """As TF-Slim's scripts do: a Saver over the graph's variables and the global step."""
    import tensorflow as tf

    model = built(small_spec("lenet"))
    model.global_step = 7
    folder = unpacked(model, "checkpoint", tmp_path)
    weights = model.weights()
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        step = v1.train.get_or_create_global_step()
        variables = [
            v1.get_variable(name, value.shape, tf.float32, use_resource=False)
            for name, value in weights.items()
        ]
        v1.train.Saver([step, *variables]).restore(session, tf.train.latest_checkpoint(folder))
        restored = session.run([step, *variables])
    assert restored[0] == 7
    for value, found in zip(weights.values(), restored[1:], strict=True):
        np.testing.assert_array_equal(found, value)


# SavedModels


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_predicts_from_arrays_and_from_images(name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    model = built(small_spec(name))
    saved = tf.saved_model.load(unpacked(model, "savedmodel", tmp_path) / "saved_model")
    signatures = saved.signatures
    assert set(signatures) == {"serving_default", "serving_images"}
    x = random_rows(3, model.graph.input.shape)
    found = signatures["serving_default"](input=tf.constant(x))
    assert set(found) == {"output"}
    assert_close(found["output"].numpy(), model.predict(x))
    files = [image_file(size, kind) for size in ((31, 77), (200, 99)) for kind in ("PNG", "JPEG")]
    shape = tuple(size or 0 for size in model.graph.input.shape[1:])
    pixels = [decode_image(file, channels=shape[2]) for file in files]
    x = np.stack([preprocess(str(model.preprocessing), image, shape) for image in pixels])
    found = signatures["serving_images"](image_bytes=tf.constant(files))
    assert set(found) == {"output"}
    assert_close(found["output"].numpy(), model.predict(x))


def test_tensorflow_1_loads_a_saved_model(tmp_path: Path) -> None:
    """As TensorFlow Serving does: a session is fed and fetched by the signature's names."""
    import tensorflow as tf

    model = built(small_spec("lenet"))
    folder = unpacked(model, "savedmodel", tmp_path)
    x = random_rows(2, model.graph.input.shape)
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        meta = v1.saved_model.load(session, ["serve"], str(folder / "saved_model"))
        signature = meta.signature_def["serving_default"]
        assert signature.method_name == "tensorflow/serving/predict"
        fed, fetched = signature.inputs["input"].name, signature.outputs["output"].name
        found = session.run(fetched, {fed: x})
        variables = {v.op.name: session.run(v) for v in v1.global_variables()}
    assert_close(found, model.predict(x))
    weights = model.weights()
    assert list(variables) == ["LeNet/conv2/weights", "LeNet/fc3/weights"]  # the large ones
    for name, value in variables.items():
        np.testing.assert_array_equal(value, weights[name])


def test_a_network_without_preprocessing_takes_arrays_alone(tmp_path: Path) -> None:
    import tensorflow as tf

    model = materialize_graph(trace(BuildSpec.read(small_spec("lenet"))).graph)
    assert model.preprocessing is None
    saved = tf.saved_model.load(unpacked(model, "savedmodel", tmp_path) / "saved_model")
    assert set(saved.signatures) == {"serving_default"}


@pytest.mark.parametrize("seed", [None, 5])
def test_what_drops_in_prediction_drops_anew_at_each_call(seed: int | None, tmp_path: Path) -> None:
    import tensorflow as tf

    scopes = [{"ops": ["dropout"], "args": {"seed": seed}}]
    model = built({**small_spec("cifarnet"), "is_training": True, "scopes": scopes})
    folder = unpacked(model, "savedmodel", tmp_path) / "saved_model"
    x = tf.constant(random_rows(1, model.graph.input.shape))
    calls = []
    for _ in range(2):
        predict = tf.saved_model.load(folder).signatures["serving_default"]
        calls.append([predict(input=x)["output"].numpy() for _ in range(2)])
    assert not np.array_equal(calls[0][0], calls[0][1])
    assert np.array_equal(calls[0], calls[1]) == (seed is not None)


# Archives


@pytest.mark.parametrize(
    ("format_name", "names"),
    [
        ("checkpoint", ["checkpoint", "model.ckpt.data-00000-of-00001", "model.ckpt.index"]),
        (
            "savedmodel",
            [
                "saved_model/saved_model.pb",
                "saved_model/variables/variables.data-00000-of-00001",
                "saved_model/variables/variables.index",
            ],
        ),
    ],
)
def test_archives_say_nothing_of_when_and_where_they_were_made(
    format_name: str, names: list[str], tmp_path: Path
) -> None:
    write_weights(built(small_spec("lenet")), tmp_path / "file", format_name)
    with tarfile.open(tmp_path / "file", "r:gz") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == names
    for member in members:
        assert (member.mtime, member.uid, member.gid) == (0, 0, 0)
        assert (member.uname, member.gname, member.mode) == ("", "", 0o644)
    assert (tmp_path / "file").read_bytes()[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def test_gzip_reads_what_is_stored(tmp_path: Path) -> None:
    from model_zoo.weights.packing import write_tar_gz

    content = np.random.default_rng(0).bytes(200_000)
    (tmp_path / "b").write_bytes(content)
    write_tar_gz(tmp_path / "file", {"b": tmp_path / "b", "a": b"", "c": content[:65_535]})
    data = (tmp_path / "file").read_bytes()
    assert gzip.decompress(data) == zlib.decompress(data, 31)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        read = {name: archive.extractfile(name) for name in archive.getnames()}
        assert list(read) == ["a", "b", "c"]
        assert [file.read() for file in read.values() if file] == [b"", content, content[:65_535]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "file"]
