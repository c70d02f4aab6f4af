"""HDF5: what Keras writes is read bit for bit; what reaches out of the file is refused."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import Contents, Limits, NamedFile
from model_zoo.weights.reading.hdf5 import read_hdf5

DAMAGED = "x.h5 is not a whole HDF5 file: it cannot be read."
Build = Callable[[h5py.File], object]


def read(path: Path, limits: Limits | None = None) -> Contents:
    return read_hdf5(NamedFile("x.h5", path), limits or Limits())


def read_all(path: Path, limits: Limits | None = None) -> dict[str, np.ndarray]:
    return {tensor.name: tensor.read() for tensor in read(path, limits).tensors}


def built(path: Path, build: Build, libver: Any = None) -> Path:
    path = path / "stored.h5"
    with h5py.File(path, "w", libver=libver) as file:
        build(file)
    return path


def refusal(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        read_all(path, limits)
    return str(caught.value)


def named_layer(file: h5py.File, path: str, name: str, *values: Any) -> None:
    group = file.create_group(f"{path}/vars")
    group.attrs["name"] = name
    for index, value in enumerate(values):
        group[str(index)] = value


@pytest.fixture(scope="module")
def keras_model() -> Iterator[Any]:
    import keras

    layers = keras.layers
    block = keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.Conv2D(4, 3, padding="same", name="inner_conv"),
            layers.BatchNormalization(name="inner_norm"),
        ],
        name="block",
    )
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(inputs)
    x = layers.Add(name="add")([x, block(x)])
    x = layers.Dropout(0.5, name="drop1")(layers.Dropout(0.5, name="drop2")(x))
    x = layers.Dense(3, name="logits")(layers.Flatten(name="flatten")(x))
    model = keras.Model(inputs, x, name="net")
    random = np.random.default_rng(0)
    model.set_weights([random.standard_normal(w.shape) for w in model.get_weights()])
    yield model
    keras.backend.clear_session()


def keras_values(model: Any) -> dict[str, np.ndarray]:
    """Return what a model's layers hold, by the names that the reader should give."""
    block = model.get_layer("block")
    layers = [model.get_layer("conv1"), *block.layers, model.get_layer("logits")]
    return {
        f"{layer.name}/vars/{index}": value
        for layer in layers
        for index, value in enumerate(layer.get_weights())
    }


def test_reads_what_keras_writes(tmp_path: Path, keras_model: Any) -> None:
    path = tmp_path / "model.weights.h5"
    keras_model.save_weights(path)
    contents = read(path)
    expected = keras_values(keras_model)
    assert (contents.format, contents.left_out) == ("hdf5", [])
    assert {tensor.name for tensor in contents.tensors} == expected.keys()
    for tensor in contents.tensors:
        value = expected[tensor.name]
        assert (tensor.dtype, tensor.shape) == (value.dtype.name, value.shape)
        assert tensor.read().dtype == value.dtype
        assert tensor.read().tobytes() == value.tobytes()


def test_variables_of_an_optimizer_keep_their_paths(tmp_path: Path, keras_model: Any) -> None:
    path = tmp_path / "model.weights.h5"
    keras_model.compile("sgd", "mse")
    keras_model.optimizer.build(keras_model.trainable_variables)
    keras_model.save_weights(path)
    found = read_all(path)
    assert found.keys() - keras_values(keras_model).keys() == {
        "optimizer/vars/0",
        "optimizer/vars/1",
    }
    assert found["optimizer/vars/1"] == np.float32(0.01)


def test_equal_layer_names_leave_all_to_their_paths(tmp_path: Path) -> None:
    def build(file: h5py.File) -> None:
        named_layer(file, "layers/conv2d", "conv", np.ones(2))
        named_layer(file, "layers/functional/layers/conv2d", "conv", np.ones(3))
        named_layer(file, "layers/dense", "logits", np.ones(4))

    assert list(read_all(built(tmp_path, build))) == [
        "layers/conv2d/vars/0",
        "layers/dense/vars/0",
        "layers/functional/layers/conv2d/vars/0",
    ]


def test_keras_2_names_lose_their_colon_zero(tmp_path: Path) -> None:
    def build(file: h5py.File) -> None:
        file.attrs["layer_names"] = [b"conv1"]
        file["conv1/conv1/kernel:0"] = np.ones((2, 2), np.float32)
        file["conv1"].attrs["weight_names"] = [b"conv1/kernel:0"]
        file["conv1/conv1/bias:0"] = np.zeros(2, np.float32)

    assert list(read_all(built(tmp_path, build))) == ["conv1/conv1/bias", "conv1/conv1/kernel"]


def test_names_that_would_be_equal_without_colon_zero_keep_it(tmp_path: Path) -> None:
    path = built(tmp_path, lambda file: file.update({"w": np.ones(1), "w:0": np.ones(2)}))
    assert list(read_all(path)) == ["w", "w:0"]


@pytest.mark.parametrize(
    "name",
    [7, np.array(["conv"], object), np.bytes_(b"x" * 600), h5py.Empty("S4"), ""],
    ids=["number", "list", "long", "empty", "blank"],
)
def test_an_attribute_that_is_no_name_is_passed_over(tmp_path: Path, name: Any) -> None:
    def build(file: h5py.File) -> None:
        file["layers/conv2d/vars/0"] = np.ones(2)
        file["layers/conv2d/vars"].attrs["name"] = name

    assert list(read_all(built(tmp_path, build))) == ["layers/conv2d/vars/0"]


def test_a_name_of_fixed_length_is_read(tmp_path: Path) -> None:
    path = built(tmp_path, lambda file: named_layer(file, "a", np.bytes_(b"conv"), np.ones(1)))
    assert list(read_all(path)) == ["conv/vars/0"]


VALUES: dict[str, np.ndarray] = {
    "float16": np.linspace(-1, 1, 5).astype(np.float16),
    "float32": np.array([[np.nan, -0.0], [np.inf, 1e-45]], np.float32),
    "big float64": np.array([np.pi, -1]).astype(">f8"),
    "big int16": np.array([-300, 300]).astype(">i2"),
    "flags": np.array([True, False]),
    "scalar": np.array(7, np.int64),
    "none": np.zeros((2, 0), np.float32),
    **{
        f"{kind}{bits}": np.array([0, 1, 100], f"{kind}{bits}")
        for kind in ("int", "uint")
        for bits in (8, 16, 32, 64)
    },
}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_reads_every_number_that_h5py_writes(tmp_path: Path, libver: str) -> None:
    def build(file: h5py.File) -> None:
        file.update(VALUES)
        file.create_dataset("chunked", data=np.arange(10), chunks=(4,))

    found = read_all(built(tmp_path, build, libver))
    assert found.pop("chunked").tolist() == list(range(10))
    assert found.keys() == VALUES.keys()
    for name, value in VALUES.items():
        native = value.dtype.newbyteorder("=")
        assert (found[name].dtype.str, found[name].shape) == (native.str, value.shape)
        assert found[name].tobytes() == value.astype(native).tobytes()


def test_strings_and_empty_values_are_left_out_by_name(tmp_path: Path) -> None:
    def build(file: h5py.File) -> None:
        file.update({"a": np.ones(1), "text": "abc", "list": np.array([b"a", b"bc"])})
        file["nothing"] = h5py.Empty("f4")

    contents = read(built(tmp_path, build))
    assert [tensor.name for tensor in contents.tensors] == ["a"]
    assert contents.left_out == ["list", "nothing", "text"]


def test_closes_the_file_with_its_last_tensor(tmp_path: Path) -> None:
    path = built(tmp_path, lambda file: file.update({"a": np.ones(1)}))
    contents = read(path)
    gc.collect()
    assert contents.tensors[0].read().tolist() == [1]
    del contents
    gc.collect()
    h5py.File(path, "r+").close()  # which is refused while the file is open for reading


@pytest.mark.parametrize(("libver", "step"), [("latest", 1), ("earliest", 7)])
def test_truncated_anywhere_is_refused(tmp_path: Path, libver: str, step: int) -> None:
    path = built(tmp_path, lambda file: file.update({"w": np.arange(3)}), libver)
    data = path.read_bytes()
    for length in range(0, len(data), step):
        path.write_bytes(data[:length])
        refusal(path)


def external_storage(file: h5py.File) -> None:
    file.create_dataset("w", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/other.h5", "w", (4,))
    file.create_virtual_dataset("w", layout)


def hard_link_to_a_group(file: h5py.File) -> None:
    file["a/b/w"] = np.ones(1)
    file["a/b/a"] = file["a"]


def hard_link_to_an_array(file: h5py.File) -> None:
    file["a"] = np.ones(1)
    file["b"] = file["a"]


def deep(file: h5py.File) -> None:
    file["/".join("g" * 34)] = np.ones(1)


def with_filter(**options: Any) -> Build:
    return lambda file: file.create_dataset("w", data=np.zeros(64), chunks=(8,), **options)


def never_written(shape: tuple[int, ...], **options: Any) -> Build:
    return lambda file: file.create_dataset("w", shape, "f4", **options)


def holding(value: Any, dtype: Any = None) -> Build:
    return lambda file: file.create_dataset("w", data=value, dtype=dtype)


def enumeration(file: h5py.File) -> None:
    file.create_dataset("w", (2,), h5py.enum_dtype({"NO": 0, "YES": 1}, "i1"))


def three_byte_integer(file: h5py.File) -> None:
    kind = h5py.h5t.STD_I32LE.copy()
    kind.set_precision(24)
    kind.set_size(3)
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(file.id, b"w", kind, space)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (external_storage, "x.h5: 'w' is stored in another file."),
        (virtual, "x.h5: 'w' is virtual, made of other arrays."),
        (
            lambda file: file.update({"w": h5py.ExternalLink("/etc/passwd", "w")}),
            "x.h5: 'w' is a link to another file; none is followed.",
        ),
        (
            lambda file: file.update({"a": np.ones(1), "w": h5py.SoftLink("/a")}),
            "x.h5: 'w' is a soft link; none is followed.",
        ),
        (
            lambda file: file.update({"w": h5py.SoftLink("/w")}),
            "x.h5: 'w' is a soft link; none is followed.",
        ),
        (hard_link_to_a_group, "x.h5: 'a/b/a' is the same object as 'a'."),
        (lambda file: file.update({"a": file["/"]}), "x.h5: 'a' is the same object as ''."),
        (hard_link_to_an_array, "x.h5: 'b' is the same object as 'a'."),
        (deep, f"x.h5: '{'/'.join('g' * 33)}' is nested deeper than 32 groups."),
        (
            with_filter(compression="gzip"),
            "x.h5: 'w' is compressed or filtered; arrays must be stored plainly.",
        ),
        (
            with_filter(compression="lzf"),
            "x.h5: 'w' is compressed or filtered; arrays must be stored plainly.",
        ),
        (
            with_filter(shuffle=True),
            "x.h5: 'w' is compressed or filtered; arrays must be stored plainly.",
        ),
        (
            with_filter(fletcher32=True),
            "x.h5: 'w' is compressed or filtered; arrays must be stored plainly.",
        ),
        (holding(np.ones(2, "c8")), "x.h5: 'w' holds compounds; an array holds numbers."),
        (
            holding(np.zeros(2, [("a", "f4")])),
            "x.h5: 'w' holds compounds; an array holds numbers.",
        ),
        (
            holding(np.zeros(2, "V4")),
            "x.h5: 'w' holds opaque bytes; an array holds numbers.",
        ),
        (
            holding([np.ones(2), np.ones(3)], h5py.vlen_dtype("f4")),
            "x.h5: 'w' holds sequences of any length; an array holds numbers.",
        ),
        (
            lambda file: file.create_dataset("w", (1,), h5py.ref_dtype),
            "x.h5: 'w' holds references; an array holds numbers.",
        ),
        (
            lambda file: file.create_dataset("w", (1,), np.dtype(("f4", (3,)))),
            "x.h5: 'w' holds arrays; an array holds numbers.",
        ),
        (enumeration, "x.h5: 'w' holds an enumeration; an array holds numbers."),
        (
            holding(np.ones(1, np.longdouble)),
            "x.h5: 'w' holds floats of an unusual kind; an array holds numbers.",
        ),
        (
            three_byte_integer,
            "x.h5: 'w' holds integers of an unusual kind; an array holds numbers.",
        ),
        (
            lambda file: file.update({"w": np.dtype("f4")}),
            "x.h5: 'w' is neither a group nor an array.",
        ),
        (
            never_written((2_500_000_000,)),
            "x.h5: 'w' of float32 and shape [2500000000] takes 10000000000 bytes; 0 are stored.",
        ),
        (
            never_written((2**40, 2**40), chunks=(16, 16)),
            "x.h5: 'w' of float32 and shape [1099511627776, 1099511627776] takes "
            "4835703278458516698824704 bytes; 0 are stored.",
        ),
        (
            never_written((2**40,), maxshape=(None,), chunks=(16,), fillvalue=1),
            "x.h5: 'w' of float32 and shape [1099511627776] takes 4398046511104 bytes; 0 are "
            "stored.",
        ),
        (
            lambda file: file.update({"w\n": np.ones(1)}),
            "x.h5 has a tensor named 'w\\n'; a name has 1 to 512 printable characters.",
        ),
        (
            lambda file: named_layer(file, "a", "conv\x1b[2J", np.ones(1)),
            "x.h5 has a tensor named 'conv\\x1b[2J/vars/0'; a name has 1 to 512 printable "
            "characters.",
        ),
    ],
)
def test_refuses_what_keras_does_not_write(tmp_path: Path, build: Build, message: str) -> None:
    assert refusal(built(tmp_path, build)) == message


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_refuses_a_bool_that_is_no_bool(tmp_path: Path, libver: str) -> None:
    path = built(tmp_path, lambda file: file.update({"w": np.array([True] * 13)}), libver)
    data = path.read_bytes()
    assert data.count(b"\x01" * 13) == 1
    path.write_bytes(data.replace(b"\x01" * 13, b"\x02" * 13))
    assert refusal(path) == "x.h5: 'w' holds a bool that is neither 0 nor 1."


def test_refuses_ten_gigabytes_that_a_layout_says_are_stored(tmp_path: Path) -> None:
    path = built(tmp_path, lambda file: file.create_dataset("w", data=np.arange(77.0)))
    data = path.read_bytes()
    count, size = (77).to_bytes(8, "little"), (77 * 8).to_bytes(8, "little")
    assert data.count(size) == 1
    data = data.replace(count, (125 * 10**7).to_bytes(8, "little"))
    path.write_bytes(data.replace(size, (10**10).to_bytes(8, "little")))
    assert refusal(path) == DAMAGED


def test_refuses_arrays_that_take_more_than_the_file_together(tmp_path: Path) -> None:
    def build(file: h5py.File) -> None:
        file["a"] = np.arange(1000.0)
        for name in "bcd":
            file.create_dataset(name, (1000,), "f8")

    path = built(tmp_path, build)
    with h5py.File(path) as file:
        place = file["a"].id.get_offset().to_bytes(8, "little")
    # An array never written has no address yet: all are given the one of the first.
    size = (8000).to_bytes(8, "little")
    data = path.read_bytes()
    assert data.count(b"\xff" * 8 + size) == 3
    path.write_bytes(data.replace(b"\xff" * 8 + size, place + size))
    assert refusal(path) == (
        "x.h5: 'b' of float64 and shape [1000] takes 8000 bytes, and all arrays up to it 16000; "
        f"the file has {len(data)}."
    )


def test_refuses_more_than_the_limits(tmp_path: Path) -> None:
    limits = Limits(max_bytes=100, max_tensors=3)
    path = built(tmp_path, lambda file: file.update({str(n): np.ones(1) for n in range(4)}))
    assert refusal(path, limits) == "x.h5 declares 4 tensors; the limit is 3."
    path = built(tmp_path, lambda file: [file.create_group(str(n)) for n in range(12)])
    assert refusal(path, limits) == "x.h5 has more than 12 groups and arrays."
    path = built(tmp_path, lambda file: file.update({"w": np.ones(20)}))
    assert refusal(path, limits) == (
        "x.h5 declares 160 bytes of tensors or more, at 'w' of shape [20]; the limit is 100."
    )


def test_refuses_what_is_no_hdf5_or_does_not_begin_with_it(tmp_path: Path) -> None:
    path = built(tmp_path, lambda file: file.update({"w": np.ones(1)}))
    data = path.read_bytes()
    # HDF5 itself looks for its signature at 512 as well, behind a block of the user's.
    for other in (b"", b"\x80\x04.", bytes(512) + data):
        path.write_bytes(other)
        assert refusal(path) == "x.h5 does not begin as an HDF5 file does."
    for place in (8, 13, 14):
        path.write_bytes(data[:place] + b"\x7f" + data[place + 1 :])
        assert refusal(path) == DAMAGED


def with_names(path: Path) -> bytearray:
    def build(file: h5py.File) -> None:
        named_layer(file, "a", "conv1", np.ones(2))

    return bytearray(built(path, build).read_bytes())


@pytest.mark.parametrize("size", [0, 2**64 - 16, 2**64 - 4096, 2**63])
@pytest.mark.parametrize("index", [0, 1])
def test_refuses_a_global_heap_that_leads_in_circles(tmp_path: Path, size: int, index: int) -> None:
    data = with_names(tmp_path)
    start = data.index(b"GCOL\x01") + 16
    data[start : start + 2] = index.to_bytes(2, "little")
    data[start + 8 : start + 16] = size.to_bytes(8, "little")
    path = tmp_path / "stored.h5"
    path.write_bytes(data)
    assert refusal(path) == DAMAGED


def test_refuses_a_global_heap_inside_another(tmp_path: Path) -> None:
    data = with_names(tmp_path)
    start = data.index(b"conv1")
    data[start : start + 5] = b"GCOL\x01"
    path = tmp_path / "stored.h5"
    path.write_bytes(data)
    assert refusal(path) == DAMAGED


def test_refuses_a_local_heap_whose_free_blocks_lead_in_circles(tmp_path: Path) -> None:
    data = with_names(tmp_path)
    start = data.index(b"HEAP\x00")
    free = int.from_bytes(data[start + 16 : start + 24], "little")
    block = int.from_bytes(data[start + 24 : start + 32], "little") + free
    assert data[block] == 1  # the last of the list
    data[block : block + 8] = free.to_bytes(8, "little")
    path = tmp_path / "stored.h5"
    path.write_bytes(data)
    assert refusal(path) == DAMAGED


def test_weights_that_look_like_a_heap_are_read(tmp_path: Path) -> None:
    looks = np.frombuffer(
        b"GCOL\x01\0\0\0" + b"\xff" * 8 + b"HEAP\0\0\0\0" + b"\xff" * 24, np.uint8
    )
    path = built(tmp_path, lambda file: file.update({"w": looks}))
    assert read_all(path)["w"].tobytes() == looks.tobytes()
