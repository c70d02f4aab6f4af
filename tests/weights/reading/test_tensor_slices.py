"""V1 checkpoints are read as TensorFlow reads them, and what it would not write is refused."""

import doctest
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_checkpoints import (
    Values,
    bundle_entry,
    bundle_header,
    corruptions,
    exact,
    field,
    outcomes,
    read_slices,
    saved_meta,
    saved_slice,
    saved_tensor,
    slice_message,
    table,
    truncations,
    values_of,
    varint,
    write,
)

from model_zoo.errors import WeightsError
from model_zoo.weights.reading import parts
from model_zoo.weights.reading import table as table_module
from model_zoo.weights.reading.contents import Limits, NamedFile
from model_zoo.weights.reading.parts import Extent, slice_key
from model_zoo.weights.reading.tensor_slices import read_tensor_slices, unpacked

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16"]
DTYPES = ["float16", "float32", "float64", "bool", *INTEGERS]
FULL = slice_message([None])
FILE = "model.ckpt is not an intact TensorFlow checkpoint: "


def tensors_of_every_dtype() -> dict[str, Any]:
    """Return a matrix, a scalar and an empty tensor of each dtype, the extremes among them."""
    tensors = {}
    for name in DTYPES:
        value = np.linspace(-7, 90, 12).astype(name).reshape(3, 4)
        if name in INTEGERS:
            value[0, :2] = np.iinfo(name).min, np.iinfo(name).max
        elif name == "bool":
            value = np.arange(12).reshape(3, 4) % 3 == 0
        else:
            value[0] = np.inf, -np.inf, np.nan, -0.0
        tensors |= {name: value, f"{name}/scalar": value[1, 1], f"{name}/empty": value[:, :0]}
    return tensors


def save(path: Path, tensors: Mapping[str, Any], slices: Iterable[str] = ()) -> NamedFile:
    """Save tensors with TensorFlow; `slices` says of which part of which shape each is."""
    tf.raw_ops.SaveSlices(
        filename=str(path),
        tensor_names=list(tensors),
        shapes_and_slices=list(slices) or [""] * len(tensors),
        data=[tf.constant(value) for value in tensors.values()],
    )
    return NamedFile(path.name, path)


def tensorflow_reads(pattern: str, names: Mapping[str, str]) -> Values:
    """Return the tensors of these names and dtypes, as TensorFlow reads them."""
    restore = tf.raw_ops.Restore
    return {
        name: exact(restore(file_pattern=pattern, tensor_name=name, dt=dtype).numpy())
        for name, dtype in names.items()
    }


def dtypes_of(values: Values) -> dict[str, str]:
    return {name: dtype for name, (dtype, _, _) in values.items()}


def handmade(
    directory: Path, tensors: Iterable[bytes], slices: Mapping[bytes, bytes], **options: Any
) -> NamedFile:
    """Write a checkpoint of one file, with this list and these entries."""
    entries = {b"": saved_meta(tensors), **dict(sorted(slices.items()))}
    return write(directory, "model.ckpt", table(entries, **options))


def one_tensor(
    directory: Path,
    values: bytes,
    *,
    shape: tuple[int, ...] = (4,),
    dtype: int = 1,
    saved_as: str = "a",
    extents: bytes = FULL,
) -> NamedFile:
    """Write a checkpoint of a tensor 'a' in one slice, with `values` in its entry."""
    full = (Extent(0, -1),) * len(shape)
    entry = saved_slice(saved_as, extents, values)
    tensor = saved_tensor("a", shape, [slice_message([None] * len(shape))], dtype)
    return handmade(directory, [tensor], {slice_key("a", full): entry})


def refusal(*files: NamedFile, limits: Limits | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        values_of(read_tensor_slices(files, limits or Limits()))
    return str(caught.value)


def test_every_dtype_is_read_bit_by_bit(tmp_path: Path) -> None:
    tensors = tensors_of_every_dtype()
    read = read_slices(save(tmp_path / "model.ckpt", tensors))
    assert read == {name: exact(value) for name, value in tensors.items()}
    assert read == tensorflow_reads(str(tmp_path / "model.ckpt"), dtypes_of(read))


def test_names_and_values_are_those_of_the_checkpoint_reader(tmp_path: Path) -> None:
    tensors = {f"net/layer{number}": np.full(number, number) for number in range(1, 40)}
    file = save(tmp_path / "model.ckpt", tensors)
    reader = tf.train.load_checkpoint(str(file.path))
    names = reader.get_variable_to_shape_map()
    assert read_slices(file) == {name: exact(reader.get_tensor(name)) for name in names}


@pytest.mark.parametrize("sharded", [False, True])
def test_shards_and_partitioned_variables_are_put_together(tmp_path: Path, sharded: bool) -> None:
    v1 = tf.compat.v1
    config = v1.ConfigProto(device_count={"CPU": 2})
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        variables = {}
        partitioner = v1.fixed_size_partitioner(3, axis=1)
        for number in (0, 1):
            with (
                tf.device(f"/cpu:{number}"),
                v1.variable_scope(f"{number}", None, partitioner=partitioner),
            ):
                weights = v1.get_variable("w", (7, 100), initializer=v1.random_normal_initializer())
                variables[f"{number}/w"] = weights.as_tensor()
            with tf.device(f"/cpu:{number}"):
                variables[f"step{number}"] = v1.get_variable(f"step{number}", initializer=number)
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver(sharded=sharded, write_version=v1.train.SaverDef.V1)
        saver.save(session, str(tmp_path / "model.ckpt"), write_meta_graph=False)
        expected = {name: exact(value) for name, value in session.run(variables).items()}
    paths = sorted(tmp_path.glob("model.ckpt*"))
    suffixes = ["-00000-of-00002", "-00001-of-00002"] if sharded else [""]
    assert [path.name.removeprefix("model.ckpt") for path in paths] == suffixes
    files = [NamedFile(path.name, path) for path in paths]
    assert read_slices(*files) == read_slices(*files[::-1]) == expected
    assert tensorflow_reads(str(tmp_path / "model.ckpt*"), dtypes_of(expected)) == expected
    if sharded:
        message = "model.ckpt-00000-of-00002 is missing; 1 of 2 files were given."
        assert refusal(files[1]) == message


def test_slices_are_put_together_across_files(tmp_path: Path) -> None:
    """One tensor in two shards, in a grid; each shard lists the slices that it has."""
    whole = np.arange(24.0).reshape(4, 6)
    names = ["m-00000-of-00002", "m-00001-of-00002"]
    files = []
    for name, rows in zip(names, ("0,1", "1,3"), strict=True):
        start, size = (int(number) for number in rows.split(","))
        piece = whole[start : start + size]
        tf.raw_ops.SaveSlices(
            filename=str(tmp_path / name),
            tensor_names=["w", "w"],
            shapes_and_slices=[f"4 6 {rows}:0,2", f"4 6 {rows}:2,4"],
            data=[tf.constant(piece[:, :2]), tf.constant(piece[:, 2:])],
        )
        files.append(NamedFile(name, tmp_path / name))
    assert read_slices(*files) == {"w": exact(whole)}
    alone = NamedFile("m-00000-of-00001", tmp_path / names[1])
    assert refusal(alone) == (
        "m-00000-of-00001 is not an intact TensorFlow checkpoint: 'w' has 24 elements, and its 2 "
        "slices 18."
    )


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    tensors = {"a": 1.0, "complex": np.zeros(3, np.complex64), "text": [b"some", b"words"]}
    contents = read_tensor_slices([save(tmp_path / "model.ckpt", tensors)], Limits())
    assert contents.format == "TensorFlow V1 checkpoint"
    assert [tensor.name for tensor in contents.tensors] == ["a"]
    assert contents.left_out == ["complex", "text"]


def test_compressed_file_is_read_as_tensorflow_reads_it(tmp_path: Path) -> None:
    """As the first checkpoints published for TensorFlow were."""
    tensors, slices, expected = [], {}, {}
    for number in range(40):
        value = np.full(5 * number, number, np.float32)
        name = f"layer{number:02}"
        tensors.append(saved_tensor(name, value.shape, [FULL]))
        slices[slice_key(name, (Extent(0, -1),))] = saved_slice(
            name, FULL, field(5, value.tobytes())
        )
        expected[name] = exact(value)
    file = handmade(tmp_path, tensors, slices, per_block=7, compressed=True)
    assert read_slices(file) == expected
    assert tensorflow_reads(str(file.path), dtypes_of(expected)) == expected


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[NamedFile, Values]:
    """Return a small checkpoint of TensorFlow's with a sliced tensor, and what it holds."""
    path = tmp_path_factory.mktemp("small") / "model.ckpt"
    tf.raw_ops.SaveSlices(
        filename=str(path),
        tensor_names=["a", "b", "c", "c"],
        shapes_and_slices=["", "", "2 2 0,1:-", "2 2 1,1:-"],
        data=[tf.constant([[1.5, -2.0]]), tf.constant([300, -1]), *(tf.zeros((1, 2)),) * 2],
    )
    file = NamedFile(path.name, path)
    return file, read_slices(file)


def test_truncation_anywhere_is_refused(small: tuple[NamedFile, Values]) -> None:
    file, expected = small
    data = file.path.read_bytes()
    counts = outcomes(file.path, truncations(data), lambda: read_slices(file), expected)
    assert counts == {"refused": len(data), "right": 0, "wrong": 0}


def test_corruption_anywhere_is_never_read_wrongly(small: tuple[NamedFile, Values]) -> None:
    file, expected = small
    data = file.path.read_bytes()
    counts = outcomes(file.path, corruptions(data), lambda: read_slices(file), expected)
    assert counts["wrong"] == 0
    # What is not read in a table: the metaindex, its place, and padding.
    assert counts["right"] <= 3 * 51


def test_without_checksums_corruption_would_be_read(
    small: tuple[NamedFile, Values], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Agreeing(int):
        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    file, expected = small
    monkeypatch.setattr(table_module, "masked_crc32c", lambda _: Agreeing())
    data = file.path.read_bytes()
    counts = outcomes(file.path, corruptions(data), lambda: read_slices(file), expected)
    # Each of the values' 24 bytes, at least; and nothing raises another exception.
    assert counts["wrong"] > 3 * 24


@pytest.mark.parametrize(
    ("numbers", "dtype"),
    [
        ([], "int32"),
        ([0, 1, 127, 128, 300, 2**31 - 1, -1, -(2**31)], "int32"),
        ([2**63 - 1, -(2**63), -1, 0], "int64"),
        ([0, 127, 128, 65535], "uint16"),
    ],
)
def test_packed_numbers_are_unpacked(
    numbers: list[int], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a window ends within a number."""
    packed = b"".join(varint(number % 2**64) for number in numbers)
    for window in (10, 11, 17, 2**20):
        monkeypatch.setattr("model_zoo.weights.reading.tensor_slices._WINDOW_BYTES", window)
        assert unpacked(packed, dtype, len(numbers)).tolist() == numbers


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (b"\1", "A slice has 1 values, and 2 in its shape."),
        (b"\1\2\3", "A slice does not have the 2 values of its shape."),
        (b"\1\x80", "A slice does not have the 2 values of its shape."),
        (b"\1" + b"\x80" * 10 + b"\1", "A value takes more than 10 bytes."),
        (b"\x80" * 2**21, "A slice does not have the 2 values of its shape."),
    ],
)
def test_packed_numbers_are_as_many_as_the_shape_has(packed: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}$"):
        unpacked(packed, "int64", 2)


FOUR = np.arange(4, dtype=np.float32).tobytes()


@pytest.mark.parametrize(
    ("values", "options", "why"),
    [
        # TensorFlow repeats the last value of a TensorProto elsewhere, and not here.
        (
            field(5, FOUR[:4]),
            {"shape": (2,)},
            "A slice of 'a' has the shape [2] and 4 bytes; each value takes 4.",
        ),
        (
            field(5, FOUR + b"\0"),
            {},
            "A slice of 'a' has the shape [4] and 17 bytes; each value takes 4.",
        ),
        (
            field(5, FOUR * 2),
            {},
            "A slice of 'a' has the shape [4] and 32 bytes; each value takes 4.",
        ),
        # TensorFlow's reader does not look at tensor_content, nor at the values of other dtypes.
        (field(4, FOUR), {}, "A slice of 'a' has the shape [4] and 0 bytes; each value takes 4."),
        (field(6, FOUR), {}, "A slice of 'a' has the shape [4] and 0 bytes; each value takes 4."),
        (field(5, FOUR), {"dtype": 3}, "A slice has 0 values, and 4 in its shape."),
        (field(7, b"\1\2\3"), {"dtype": 3}, "A slice has 3 values, and 4 in its shape."),
        (field(5, FOUR), {"saved_as": "b"}, "The entry of a slice of 'a' holds another one."),
        (
            field(5, FOUR),
            {"extents": slice_message([(0, 4)])},
            "The entry of a slice of 'a' holds another one.",
        ),
        (
            field(5, FOUR),
            {"extents": slice_message([(0, 5)])},
            "A slice takes 5 of 4 elements, from 0 on.",
        ),
        (b"\x2a\xff\xff" + FOUR, {}, "An entry is no SavedSlices message."),
        (
            field(5, b""),
            {"shape": (100,)},
            "A slice of 'a' has 100 values and takes 13 bytes; they would take 400 to 4496.",
        ),
        (
            field(5, b"\0" * 5000),
            {},
            "A slice of 'a' has 4 values and takes 5016 bytes; they would take 16 to 4112.",
        ),
        (
            field(10, b"\0" * 5000),
            {"dtype": 9},
            "A slice of 'a' has 4 values and takes 5016 bytes; they would take 4 to 4136.",
        ),
        (field(5, FOUR), {"shape": (-4,)}, "A tensor has the shape [-4]; no size is negative."),
    ],
)
def test_entry_holds_what_the_list_declares(
    tmp_path: Path, values: bytes, options: dict[str, Any], why: str
) -> None:
    assert refusal(one_tensor(tmp_path, values, **options)) == FILE + why


def test_values_that_are_split_or_not_packed_are_refused(tmp_path: Path) -> None:
    """TensorFlow packs them in one field: others are not put together, however many there are."""
    split = field(5, FOUR[:8]) + field(5, FOUR[8:])
    single = b"".join(varint(5 << 3 | 5) + FOUR[start : start + 4] for start in range(0, 16, 4))
    for values, size in ((split, 8), (single, 0)):
        why = f"A slice of 'a' has the shape [4] and {size} bytes; each value takes 4."
        assert refusal(one_tensor(tmp_path, values)) == FILE + why
    assert read_slices(one_tensor(tmp_path, field(5, FOUR))) == {"a": ("float32", (4,), FOUR)}


def test_bool_is_any_number_but_zero(tmp_path: Path) -> None:
    file = one_tensor(tmp_path, field(11, b"\0\1\2\x80\2"), dtype=10)
    assert read_slices(file)["a"][2] == b"\0\1\1\1"


def test_example_of_a_key_runs() -> None:
    assert doctest.testmod(parts) == (0, 1)


KEY = slice_key("a", (Extent(0, -1),))
ENTRY = saved_slice("a", FULL, field(5, FOUR))
TENSOR = saved_tensor("a", (4,), [FULL])


@pytest.mark.parametrize(
    ("tensors", "slices", "why"),
    [
        ([TENSOR], {}, "It lists 1 slices or more, and holds 0."),
        ([TENSOR], {b"other": ENTRY}, "It lists a slice of 'a' that is not there."),
        ([], {KEY: ENTRY}, "It lists 0 slices, and holds 1."),
        ([TENSOR, TENSOR], {KEY: ENTRY}, "It lists 'a' twice."),
        ([saved_tensor("a", (4,), [])], {}, "'a' has 4 elements, and its 0 slices 0."),
        (
            [saved_tensor("a", (4,), [FULL, FULL])],
            {KEY: ENTRY},
            "It lists 2 slices or more, and holds 1.",
        ),
        (
            [saved_tensor("a", (4,), [slice_message([None, None])])],
            {KEY: ENTRY},
            "A slice of rank 2 is of the shape [4].",
        ),
        ([b"\x0a\x01\xff"], {}, "An entry is no SavedSliceMeta message."),
        ([b""] * 20_001, {}, "It lists 20001 tensors; the limit is 20000."),
    ],
)
def test_list_is_of_what_the_file_holds(
    tmp_path: Path, tensors: list[bytes], slices: dict[bytes, bytes], why: str
) -> None:
    assert refusal(handmade(tmp_path, tensors, slices)) == FILE + why


def test_number_of_slices_is_limited(tmp_path: Path) -> None:
    extents = [(number, 1) for number in range(1025)]
    tensor = saved_tensor("a", (1025,), [slice_message([extent]) for extent in extents])
    slices = {slice_key("a", (Extent(*extent),)): b"" for extent in extents}
    why = "'a' has 1025 slices; the limit is 1024."
    assert refusal(handmade(tmp_path, [tensor], slices)) == FILE + why


def test_slices_cover_their_tensor_once(tmp_path: Path) -> None:
    extents = [(0, 2), (1, 2)]
    tensor = saved_tensor("a", (4,), [slice_message([extent]) for extent in extents])
    slices = {
        slice_key("a", (Extent(*extent),)): saved_slice(
            "a", slice_message([extent]), field(5, FOUR[:8])
        )
        for extent in extents
    }
    assert refusal(handmade(tmp_path, [tensor], slices)) == FILE + "Slices of 'a' overlap."


def test_shards_agree(tmp_path: Path) -> None:
    for number, shape in enumerate(((4,), (2, 2))):
        whole = slice_message([None] * len(shape))
        key = slice_key("a", (Extent(0, -1),) * len(shape))
        file = handmade(
            tmp_path, [saved_tensor("a", shape, [whole])], {key: saved_slice("a", whole, b"")}
        )
        file.path.rename(tmp_path / f"m-0000{number}-of-00002")
    files = [NamedFile(path.name, path) for path in sorted(tmp_path.iterdir())]
    assert refusal(*files) == (
        "m-00001-of-00002 is not an intact TensorFlow checkpoint: It lists 'a' with other sizes "
        "than another shard."
    )


@pytest.mark.parametrize("first", [b"", ENTRY, bundle_header(), b"\0" * (8 * 2**20 + 1)])
def test_first_entry_is_the_list(tmp_path: Path, first: bytes) -> None:
    assert refusal(write(tmp_path, "model.ckpt", table({b"": first, KEY: ENTRY}))).startswith(FILE)
    assert refusal(write(tmp_path, "model.ckpt", table({KEY: ENTRY}))) == (
        FILE + "It has no list of tensors as its first entry, or one that is too long."
    )


def test_index_of_a_v2_checkpoint_is_no_v1_checkpoint(tmp_path: Path) -> None:
    index = table({b"": bundle_header(), b"a": bundle_entry(FOUR, (4,))})
    assert refusal(write(tmp_path, "model.ckpt", index)).startswith(FILE)


def test_newer_version_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "model.ckpt", table({b"": saved_meta([], min_consumer=2)}))
    assert refusal(file) == FILE + "It asks for a reader of version 2, and this one has 1."


def test_limits_hold(tmp_path: Path) -> None:
    file = one_tensor(tmp_path, field(5, FOUR))
    assert refusal(file, limits=Limits(max_bytes=15)) == (
        "model.ckpt declares 16 bytes of tensors or more, at 'a' of shape [4]; the limit is 15."
    )
    assert refusal(file, limits=Limits(max_tensors=0)) == FILE + "It has more than 0 entries."
    nine = one_tensor(tmp_path, field(5, FOUR), shape=(1,) * 9)
    assert refusal(nine) == FILE + "A tensor's rank is 9; it may be 0 to 8."


@pytest.mark.parametrize("name", ["", "a\n", "a" * 513])
@pytest.mark.parametrize("dtype", [1, 7])
def test_names_can_be_shown(tmp_path: Path, name: str, dtype: int) -> None:
    key = slice_key(name, (Extent(0, -1),))
    tensor = saved_tensor(name, (0,), [FULL], dtype)
    file = handmade(tmp_path, [tensor], {key: saved_slice(name, FULL, b"")})
    assert refusal(file).startswith("model.ckpt has a tensor named '")


@pytest.mark.parametrize("shape", [(10 * 2**30 // 4,), (2**20, 2560), (2**40, 2**40)])
@pytest.mark.parametrize("dtype", [1, 9, 10])
def test_declared_gigabytes_are_not_allocated(
    tmp_path: Path, shape: tuple[int, ...], dtype: int
) -> None:
    """A file of less than a kilobyte is refused when it is opened, whatever the limits are."""
    file = one_tensor(tmp_path, field(5, b"\0" * 100), shape=shape, dtype=dtype)
    assert file.path.stat().st_size < 1024
    for limits in (Limits(), Limits(max_bytes=2**90)):
        tracemalloc.start()
        try:
            with pytest.raises(WeightsError):
                read_tensor_slices([file], limits)
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()


PEAK = """
import resource, sys
from pathlib import Path
from model_zoo.weights.reading.contents import Limits, NamedFile
from model_zoo.weights.reading.tensor_slices import read_tensor_slices

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
[tensor] = read_tensor_slices([NamedFile("model.ckpt", Path(sys.argv[1]))], Limits()).tensors
tensor.read()
assert "tensorflow" not in sys.modules
print(tensor.size_bytes, peak() - before)
"""


@pytest.mark.parametrize("number", [5, 11])
def test_reading_takes_memory_of_three_tensors_at_most(tmp_path: Path, number: int) -> None:
    """The pages of the mapped file are one of them, and can be taken back at any time."""
    count = 8 * 2**20
    values, dtype = (b"\0" * 4 * count, 1) if number == 5 else (b"\1" * count, 10)
    file = one_tensor(tmp_path, field(number, values), shape=(count,), dtype=dtype)
    command = [sys.executable, "-c", PEAK, str(file.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    size, peak = (int(number) for number in done.stdout.split())
    # And the windows in which numbers are unpacked.
    assert peak < 3.1 * size + (64 * 2**20 if number == 11 else 8 * 2**20)
