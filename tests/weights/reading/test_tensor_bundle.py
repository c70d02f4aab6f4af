"""V2 checkpoints are read as TensorFlow reads them, and what it would not write is refused."""

import shutil
import tarfile
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_checkpoints import (
    Values,
    bundle_entry,
    bundle_header,
    bundle_of,
    corruptions,
    exact,
    outcomes,
    read_bundle,
    slice_message,
    table,
    truncations,
    values_of,
    write,
)

from model_zoo.errors import WeightsError
from model_zoo.weights.reading import tensor_bundle as module
from model_zoo.weights.reading.contents import Limits, NamedFile
from model_zoo.weights.reading.parts import Extent, slice_key
from model_zoo.weights.reading.tensor_bundle import read_tensor_bundle

GOLDEN = Path(__file__).parents[2] / "golden/checkpoint/mobilenet_v1_0.25_128.tgz"
INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["float16", "float32", "float64", "bfloat16", "bool", *INTEGERS]


def tensors_of_every_dtype() -> dict[str, Any]:
    """Return a matrix, a scalar and an empty tensor of each dtype, the extremes among them."""
    tensors = {}
    for name in DTYPES:
        dtype = tf.as_dtype(name).as_numpy_dtype
        value = np.linspace(0, 1, 12).reshape(3, 4).astype(dtype)
        if name in INTEGERS:
            value = np.linspace(-7, 90, 12).astype("int64").astype(dtype).reshape(3, 4)
            value[0, :2] = np.iinfo(dtype).min, np.iinfo(dtype).max
        elif name != "bool":
            value[0] = np.inf, -np.inf, np.nan, -0.0
        tensors |= {name: value, f"{name}/scalar": value[1, 1], f"{name}/empty": value[:, :0]}
    return tensors


def save(stem: Path, tensors: Mapping[str, Any], slices: Sequence[str] | None = None) -> None:
    """Save tensors with TensorFlow; `slices` says of which part of which shape each is."""
    tf.raw_ops.SaveV2(
        prefix=str(stem),
        tensor_names=list(tensors),
        shape_and_slices=slices or [""] * len(tensors),
        tensors=[tf.constant(value) for value in tensors.values()],
    )


def tensorflow_reads(stem: Path) -> Values:
    """Return what TensorFlow reads; as there are no bfloat16 in numpy, those are widened."""
    reader = tf.train.load_checkpoint(str(stem))
    values = {}
    for name, dtype in reader.get_variable_to_dtype_map().items():
        if dtype not in (tf.string, tf.complex64):
            value = reader.get_tensor(name)
            values[name] = exact(value.astype(np.float32) if dtype == tf.bfloat16 else value)
    return values


def handmade(
    directory: Path,
    entries: Mapping[bytes, bytes],
    data: bytes = b"\0" * 16,
    header: bytes | None = None,
) -> Path:
    """Write a checkpoint of one shard, with these entries in its index."""
    first = {b"": bundle_header() if header is None else header}
    write(directory, "model.ckpt.index", table(dict(sorted((first | entries).items()))))
    write(directory, "model.ckpt.data-00000-of-00001", data)
    return directory / "model.ckpt"


def refusal(stem: Path, limits: Limits | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        read_bundle(stem, limits)
    return str(caught.value)


INDEX = "model.ckpt.index is not an intact TensorFlow checkpoint: "
DATA = "model.ckpt.data-00000-of-00001 is not an intact TensorFlow checkpoint: "


def test_every_dtype_is_read_bit_by_bit(tmp_path: Path) -> None:
    tensors = tensors_of_every_dtype()
    save(tmp_path / "model.ckpt", tensors)
    read = read_bundle(tmp_path / "model.ckpt")
    assert read == tensorflow_reads(tmp_path / "model.ckpt")
    assert read.keys() == tensors.keys()
    assert read["int64"] == exact(tensors["int64"])
    assert read["bfloat16/scalar"][:2] == ("float32", ())


def test_published_checkpoint_is_read_bit_by_bit(tmp_path: Path) -> None:
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(tmp_path, filter="data")
    stem = tmp_path / "mobilenet_v1_0.25_128.ckpt"
    read = read_bundle(stem)
    assert len(read) == 138
    assert read == tensorflow_reads(stem)


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Values]:
    """Return a checkpoint of two shards, with partitioned variables, and what it was saved of."""
    stem = tmp_path_factory.mktemp("sharded") / "model.ckpt"
    v1 = tf.compat.v1
    config = v1.ConfigProto(device_count={"CPU": 2})
    with tf.Graph().as_default(), v1.Session(config=config) as session:
        variables = {}
        for number, axis in enumerate((0, 1)):
            partitioner = v1.fixed_size_partitioner(3, axis)
            with (
                tf.device(f"/cpu:{number}"),
                v1.variable_scope(f"part{number}", partitioner=partitioner),
            ):
                weights = v1.get_variable("w", (7, 100), initializer=v1.random_normal_initializer())
                variables[f"part{number}/w"] = weights.as_tensor()
            with tf.device(f"/cpu:{number}"):
                variables[f"step{number}"] = v1.get_variable(f"step{number}", initializer=number)
        session.run(v1.global_variables_initializer())
        v1.train.Saver(sharded=True).save(session, str(stem), write_meta_graph=False)
        return stem, {name: exact(value) for name, value in session.run(variables).items()}


def test_shards_and_partitioned_variables_are_put_together(sharded: tuple[Path, Values]) -> None:
    stem, expected = sharded
    index, shards = bundle_of(stem)
    assert [shard.name[-5:] for shard in shards] == ["00002"] * 2
    assert read_bundle(stem) == expected == tensorflow_reads(stem)
    assert values_of(read_tensor_bundle(index, shards[::-1], Limits())) == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_slices_of_both_dimensions_are_put_together(tmp_path: Path, dtype: str) -> None:
    """As a grid of four; and the same tensor of one slice, which takes all of it."""
    whole = tensors_of_every_dtype()[dtype]
    slices = {
        "3 4 0,1:0,3": whole[:1, :3],
        "3 4 1,2:0,3": whole[1:, :3],
        "3 4 0,1:3,1": whole[:1, 3:],
        "3 4 1,2:3,1": whole[1:, 3:],
    }
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt"),
        tensor_names=["grid"] * 4 + ["whole"],
        shape_and_slices=[*slices, "3 4 -:-"],
        tensors=[tf.constant(value) for value in [*slices.values(), whole]],
    )
    expected = exact(whole.astype(np.float32) if dtype == "bfloat16" else whole)
    assert read_bundle(tmp_path / "model.ckpt") == {"grid": expected, "whole": expected}


def test_slices_have_keys_as_tensorflow_spells_them(tmp_path: Path) -> None:
    """Starts and lengths of one to four bytes in the code of the keys."""
    sizes = [1, 62, 1, 64, 8000, 192, 9000, 2**21, 100]
    starts = np.cumsum([0, *sizes]).tolist()
    whole = np.arange(starts[-1], dtype=np.int32)
    pairs = list(zip(starts, sizes, strict=False))
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt"),
        tensor_names=["w"] * len(pairs),
        shape_and_slices=[f"{len(whole)} {start},{size}" for start, size in pairs],
        tensors=[tf.constant(whole[start : start + size]) for start, size in pairs],
    )
    assert read_bundle(tmp_path / "model.ckpt") == {"w": exact(whole)}


def test_index_that_is_compressed_is_read_as_tensorflow_reads_it(tmp_path: Path) -> None:
    entries, data = {b"": bundle_header()}, b""
    for number in range(300):
        value = np.full(number % 7, number, np.float32).tobytes()
        key = f"network/layer_{number:03}/weights".encode()
        entries[key] = bundle_entry(value, (number % 7,), offset=len(data))
        data += value
    write(tmp_path, "model.ckpt.index", table(entries, per_block=100, compressed=True))
    write(tmp_path, "model.ckpt.data-00000-of-00001", data)
    read = read_bundle(tmp_path / "model.ckpt")
    assert len(read) == 300
    assert read == tensorflow_reads(tmp_path / "model.ckpt")


def test_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    tensors = {"a": 1.0, "complex": np.zeros(3, np.complex64), "text": [b"some", b"words"]}
    save(tmp_path / "model.ckpt", tensors)
    contents = read_tensor_bundle(*bundle_of(tmp_path / "model.ckpt"), Limits())
    assert [tensor.name for tensor in contents.tensors] == ["a"]
    assert contents.left_out == ["complex", "text"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Values]:
    """Return a small checkpoint of TensorFlow's with a sliced tensor, and what it holds."""
    stem = tmp_path_factory.mktemp("small") / "model.ckpt"
    tf.raw_ops.SaveV2(
        prefix=str(stem),
        tensor_names=["a", "b", "c", "c"],
        shape_and_slices=["", "", "2 2 0,1:-", "2 2 1,1:-"],
        tensors=[tf.constant([[1.5, -2.0]]), tf.constant([True]), *(tf.zeros((1, 2)),) * 2],
    )
    return stem, read_bundle(stem)


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_truncation_anywhere_is_refused(small: tuple[Path, Values], suffix: str) -> None:
    stem, expected = small
    path = stem.with_name(stem.name + suffix)
    counts = outcomes(path, truncations(path.read_bytes()), lambda: read_bundle(stem), expected)
    assert counts == {"refused": path.stat().st_size, "right": 0, "wrong": 0}


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_corruption_anywhere_is_never_read_wrongly(small: tuple[Path, Values], suffix: str) -> None:
    stem, expected = small
    path = stem.with_name(stem.name + suffix)
    counts = outcomes(path, corruptions(path.read_bytes()), lambda: read_bundle(stem), expected)
    assert counts["wrong"] == 0
    # What is not read in a table: the metaindex, its place, and padding.
    assert counts["right"] <= (3 * 51 if suffix == ".index" else 0)


def test_without_checksums_corruption_would_be_read(
    small: tuple[Path, Values], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Agreeing(int):
        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    stem, expected = small
    path = bundle_of(stem)[1][0].path
    monkeypatch.setattr(module, "masked_crc32c", lambda _: Agreeing())
    counts = outcomes(path, corruptions(path.read_bytes()), lambda: read_bundle(stem), expected)
    # Of a bool, any byte but zero is True.
    assert counts == {"refused": 0, "right": 2, "wrong": 3 * path.stat().st_size - 2}


def test_file_that_was_cut_since_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "model.ckpt", {"a": [1.0, 2.0]})
    index, [shard] = bundle_of(tmp_path / "model.ckpt")
    [tensor] = read_tensor_bundle(index, [shard], Limits()).tensors
    shard.path.write_bytes(b"\0" * 5)
    with pytest.raises(WeightsError, match=f"^{DATA}It ends before 8 bytes\\.$"):
        tensor.read()
    shard.path.unlink()
    with pytest.raises(WeightsError, match=r"^model\.ckpt\.data-.* cannot be read: No such file"):
        tensor.read()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "model.index was given without the data files it is the index of."),
        (
            ["m.data-00001-of-00003", "m.data-00000-of-00003"],
            "m.data-00002-of-00003 is missing; 2 of 3 files were given.",
        ),
        (["m.data-00001-of-00002"], "m.data-00000-of-00002 is missing; 1 of 2 files were given."),
        (
            ["m.data-00001-of-00001"],
            "m.data-00001-of-00001 is there twice, or has no number from 0 to 0.",
        ),
        (
            ["m.data-00000-of-00002"] * 2,
            "m.data-00000-of-00002 is there twice, or has no number from 0 to 1.",
        ),
        (
            ["m.data-00000-of-00002", "n.data-00001-of-00002"],
            "n.data-00001-of-00002 is not a shard of the same checkpoint as m.data-00000-of-00002.",
        ),
        (
            ["m.data-00000-of-00002", "m.data-00001-of-00003"],
            "m.data-00001-of-00003 is not a shard of the same checkpoint as m.data-00000-of-00002.",
        ),
        (
            ["m.data-00000-of-00002", "b"],
            "b is not a shard of the same checkpoint as m.data-00000-of-00002.",
        ),
        (
            ["a", "b"],
            "a is one of 2 files, and its name has no number at the end, as in '-00000-of-00002'.",
        ),
        (
            ["m.data-00000-of-999999999"],
            "m.data-00001-of-999999999 is missing; 1 of 999999999 files were given.",
        ),
        (
            ["m.data-00000-of-00000"],
            "m.data-00000-of-00000 is there twice, or has no number from 0 to -1.",
        ),
    ],
)
def test_shards_are_of_one_checkpoint_and_complete(names: list[str], message: str) -> None:
    nowhere = Path("nowhere")
    with pytest.raises(WeightsError) as caught:
        read_tensor_bundle(
            NamedFile("model.index", nowhere),
            [NamedFile(name, nowhere) for name in names],
            Limits(),
        )
    assert str(caught.value) == message


def test_number_of_shards_is_that_of_the_header(
    sharded: tuple[Path, Values], tmp_path: Path
) -> None:
    index, shards = bundle_of(sharded[0])
    one = write(tmp_path, "model.ckpt.data-00000-of-00001", shards[0].path.read_bytes())
    with pytest.raises(WeightsError, match=f"{INDEX}It is of 2 data files; 1 were given"):
        read_tensor_bundle(index, [one], Limits())


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"", "It is of 0 data files; 1 were given."),
        (bundle_header(2), "It is of 2 data files; 1 were given."),
        (bundle_header(-1), "It is of -1 data files; 1 were given."),
        (
            bundle_header(endianness=1),
            "It was written on a big-endian machine, which is not supported.",
        ),
        (
            bundle_header(min_consumer=2),
            "It asks for a reader of version 2, and this one has 1.",
        ),
        (b"\xff", "An entry is no BundleHeader message."),
    ],
)
def test_header_is_checked(tmp_path: Path, header: bytes, why: str) -> None:
    assert refusal(handmade(tmp_path, {}, header=header)) == INDEX + why


def test_index_begins_with_a_header(tmp_path: Path) -> None:
    stem = handmade(tmp_path, {})
    write(tmp_path, "model.ckpt.index", table({b"a": bundle_entry(b"", (0,))}))
    why = "It has no header, as the index of a V2 checkpoint has."
    assert refusal(stem) == INDEX + why


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (b"\x0a", INDEX + "An entry is no BundleEntry message."),
        (
            bundle_entry(b"", (4,), size=12),
            INDEX + "'a' has 12 bytes, and 16 by its shape [4] of float32.",
        ),
        (
            bundle_entry(b"", (4,), size=-16),
            INDEX + "'a' has -16 bytes, and 16 by its shape [4] of float32.",
        ),
        (
            bundle_entry(b"", (), size=16),
            INDEX + "'a' has 16 bytes, and 4 by its shape [] of float32.",
        ),
        (
            bundle_entry(b"", (-4,), size=16),
            INDEX + "A tensor has the shape [-4]; no size is negative.",
        ),
        (
            bundle_entry(b"", (2**31, 2**31, 4), size=0),
            f"model.ckpt.index declares {2**66} bytes of tensors or more, at 'a' of shape "
            f"[{2**31}, {2**31}, 4]; the limit is {2**32}.",
        ),
        (bundle_entry(b"", (1,) * 9, size=4), INDEX + "A tensor's rank is 9; it may be 0 to 8."),
        (
            bundle_entry(b"", (1,), slices=[slice_message([None])] * 3),
            INDEX + "Its index lists more slices than the 2 entries it has.",
        ),
        (bundle_entry(b"", (4,), size=16, shard=1), INDEX + "'a' is in shard 1 of 1."),
        (bundle_entry(b"", (4,), size=16, shard=-1), INDEX + "'a' is in shard -1 of 1."),
        (
            bundle_entry(b"", (4,), size=16, offset=1),
            DATA + "It has 16 bytes, and by the index 'a' has 16 from 1 on.",
        ),
        (
            bundle_entry(b"", (4,), size=16, offset=-1),
            DATA + "It has 16 bytes, and by the index 'a' has 16 from -1 on.",
        ),
        (
            bundle_entry(b"", (4,), size=16, offset=2**63 - 8),
            DATA + f"It has 16 bytes, and by the index 'a' has 16 from {2**63 - 8} on.",
        ),
        (
            bundle_entry(b"", (0, 2**62), size=0, offset=17),
            DATA + "It has 16 bytes, and by the index 'a' has 0 from 17 on.",
        ),
        (
            bundle_entry(b"other", (4,), size=16),
            DATA + "The bytes of 'a' do not match their checksum.",
        ),
        (
            bundle_entry(b"", (4,), dtype=7, size=-1),
            DATA + "It has 16 bytes, and by the index 'a' has -1 from 0 on.",
        ),
    ],
)
def test_entry_is_checked_before_its_bytes_are_read(tmp_path: Path, entry: bytes, why: str) -> None:
    assert refusal(handmade(tmp_path, {b"a": entry})) == why


def test_tensors_lie_apart(tmp_path: Path) -> None:
    """Else a small file could hold any number of large tensors."""
    entries = {
        b"a": bundle_entry(b"", (2,), size=8),
        b"b": bundle_entry(b"", (2,), size=8, offset=7),
    }
    why = "By the index a tensor begins at 7, where another has bytes."
    assert refusal(handmade(tmp_path, entries)) == DATA + why


@pytest.mark.parametrize("key", [b"a\n", b"a" * 513, "\u202e".encode()])
@pytest.mark.parametrize("dtype", [1, 7])
def test_names_can_be_shown(tmp_path: Path, key: bytes, dtype: int) -> None:
    stem = handmade(tmp_path, {key: bundle_entry(b"", (0,), dtype=dtype)})
    assert refusal(stem).startswith("model.ckpt.index has a tensor named ")


@pytest.mark.parametrize("key", [b"\xff", slice_key("a", (Extent(0, 1),))])
@pytest.mark.parametrize("slices", [[], [slice_message([None])]])
def test_slice_without_a_tensor_is_refused(tmp_path: Path, key: bytes, slices: list[bytes]) -> None:
    """As is any other key that is no text."""
    stem = handmade(tmp_path, {key: bundle_entry(b"", (0,), slices=slices)})
    shown = ascii(key.decode(errors="replace"))
    assert refusal(stem) == INDEX + f"The key {shown} is not a tensor's name in UTF-8."


PARTS = [(0, 2), (2, 2)]


@pytest.mark.parametrize(
    ("slices", "held", "why"),
    [
        (PARTS, PARTS, None),
        ([(0, 2)], PARTS[:1], "'a' has 4 elements, and its 1 slices 2."),
        ([(0, 2), (1, 2)], [(0, 2), (1, 2)], "Slices of 'a' overlap."),
        ([(0, 2), (0, 2)], PARTS[:1], "Slices of 'a' overlap."),
        ([(0, 2)] * 4, PARTS[:1], "Its index lists more slices than the 3 entries it has."),
        ([*PARTS, (1, 1)], [*PARTS, (1, 1)], "'a' has 4 elements, and its 3 slices 5."),
        (PARTS, PARTS[:1], "'a' has a slice that is not there as declared."),
        ([(0, 5)], PARTS, "A slice takes 5 of 4 elements, from 0 on."),
    ],
)
def test_slices_cover_their_tensor_once(
    tmp_path: Path,
    slices: list[tuple[int, int]],
    held: list[tuple[int, int]],
    why: str | None,
) -> None:
    data = np.arange(4, dtype=np.float32).tobytes()
    whole = bundle_entry(b"", (4,), slices=[slice_message([extent]) for extent in slices])
    entries = {b"a": whole}
    for number, (start, size) in enumerate(held):
        piece = data[4 * start : 4 * (start + size)]
        place = 4 * start if number < 2 else 16
        entries[slice_key("a", (Extent(start, size),))] = bundle_entry(piece, (size,), offset=place)
    stem = handmade(tmp_path, entries, data + data[4:8])
    if why is None:
        assert read_bundle(stem) == {"a": ("float32", (4,), data)}
    else:
        assert refusal(stem) == INDEX + why


@pytest.mark.parametrize(
    "part",
    [
        bundle_entry(b"", (2,), dtype=3, size=8),
        bundle_entry(b"", (3,), size=12),
        bundle_entry(b"", (2, 1), size=8),
    ],
)
def test_slice_is_an_entry_of_its_extent_and_dtype(tmp_path: Path, part: bytes) -> None:
    whole = bundle_entry(b"", (4,), slices=[slice_message([(0, 2)])])
    stem = handmade(tmp_path, {b"a": whole, slice_key("a", (Extent(0, 2),)): part})
    assert refusal(stem) == INDEX + "'a' has a slice that is not there as declared."


def test_number_of_slices_is_limited(tmp_path: Path) -> None:
    slices = [slice_message([(number, 1)]) for number in range(1025)]
    entries = {b"a": bundle_entry(b"", (1025,), dtype=4, slices=slices)}
    for number in range(1025):
        key = slice_key("a", (Extent(number, 1),))
        entries[key] = bundle_entry(b"\0", (1,), dtype=4, offset=number)
    why = refusal(handmade(tmp_path, entries, b"\0" * 1025))
    assert why == INDEX + "'a' has 1025 slices; the limit is 1024."


def test_limits_hold(tmp_path: Path) -> None:
    entries = {
        name: bundle_entry(b"", (2,), size=8, offset=offset)
        for name, offset in ((b"a", 0), (b"b", 8))
    }
    stem = handmade(tmp_path, entries)
    assert refusal(stem, Limits(max_bytes=15)) == (
        "model.ckpt.index declares 16 bytes of tensors or more, at 'b' of shape [2]; the limit is "
        "15."
    )
    why = "model.ckpt.index declares 2 tensors; the limit is 1."
    assert refusal(stem, Limits(max_tensors=1)) == why
    assert refusal(stem, Limits(max_tensors=0)) == INDEX + "It has more than 0 entries."


def test_entries_are_small(tmp_path: Path) -> None:
    stem = handmade(tmp_path, {b"a": b"\0" * (2**18 + 1)})
    assert refusal(stem) == INDEX + "The entry of 'a' has 262145 bytes."


@pytest.mark.parametrize("shape", [(10 * 2**30 // 4,), (2**20, 2560), (2**40, 2**40)])
def test_declared_gigabytes_are_not_allocated(tmp_path: Path, shape: tuple[int, ...]) -> None:
    """In files of less than a kilobyte, with the size that they should have and a small one."""
    generous = Limits(max_bytes=2**90)
    for size in (16, min(4 * int(np.prod([float(n) for n in shape])), 2**63 - 1)):
        stem = handmade(tmp_path, {b"a": bundle_entry(b"", shape, size=size)})
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 1024
        for limits in (Limits(), generous):
            tracemalloc.start()
            try:
                refusal(stem, limits)
                assert tracemalloc.get_traced_memory()[1] < 2**20
            finally:
                tracemalloc.stop()


def test_v1_checkpoint_is_no_v2_index(tmp_path: Path) -> None:
    tf.raw_ops.SaveSlices(
        filename=str(tmp_path / "v1"),
        tensor_names=["a"],
        shapes_and_slices=[""],
        data=[tf.constant([1.0])],
    )
    stem = handmade(tmp_path, {})
    shutil.copy(tmp_path / "v1", tmp_path / "model.ckpt.index")
    assert refusal(stem).startswith(INDEX)
