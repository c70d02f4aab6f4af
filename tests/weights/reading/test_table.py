"""The sorted-string table reader: what TensorFlow writes, what LevelDB allows, and nothing else."""

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tensorflow_checkpoints import (
    MAGIC,
    Entries,
    block,
    corruptions,
    finished,
    sealed,
    snappy,
    table,
    table_of,
    truncations,
    varint,
    write,
)

from model_zoo.errors import WeightsError
from model_zoo.weights.reading import table as module
from model_zoo.weights.reading.contents import NamedFile
from model_zoo.weights.reading.table import Table, refusals, uncompress

ENTRIES: Entries = [
    (b"", b"header"),
    *((f"layer_{number:03}/weights".encode(), b"%d" % number * number) for number in range(60)),
]


def read(file: NamedFile, max_entries: int = 1000) -> list[tuple[bytes, bytes]]:
    with refusals(file):
        found = Table(file, max_entries)
        return [(key, found.value(key).tobytes()) for key in found]


def refusal(directory: Path, data: bytes, max_entries: int = 1000) -> str:
    """Return why a file is refused, without its name, which every message begins with."""
    with pytest.raises(WeightsError) as caught:
        read(write(directory, "model.index", data), max_entries)
    name, _, why = str(caught.value).partition(": ")
    assert name in (
        "model.index is not an intact TensorFlow checkpoint",
        "model.index cannot be read",
    )
    return why


@pytest.mark.parametrize("per_block", [1, 7, 1000])
@pytest.mark.parametrize("compressed", [False, True])
def test_entries_are_read_in_order(tmp_path: Path, per_block: int, compressed: bool) -> None:
    file = write(tmp_path, "model.index", table(ENTRIES, per_block, compressed))
    assert read(file) == ENTRIES


def test_value_is_read_from_any_compressed_block_at_any_time(tmp_path: Path) -> None:
    file = write(tmp_path, "model.index", table(ENTRIES, per_block=5, compressed=True))
    found = Table(file, 1000)
    for key, value in [*reversed(ENTRIES), ENTRIES[30], ENTRIES[30], ENTRIES[1]]:
        assert found.value(key).tobytes() == value
        assert found.size(key) == len(value)


def test_truncation_anywhere_is_refused(tmp_path: Path) -> None:
    """The footer is at the end, so that every cut takes something of it."""
    for data in truncations(table(ENTRIES[:6], per_block=2)):
        assert refusal(tmp_path, data)


@pytest.mark.parametrize("compressed", [False, True])
def test_corruption_anywhere_is_refused_or_of_no_matter(tmp_path: Path, compressed: bool) -> None:
    entries = [(b"", b"header"), (b"a" * 30, b"b" * 90), (b"c", b"d")]
    refused = 0
    for data in corruptions(table(entries, per_block=2, compressed=compressed)):
        file = write(tmp_path, "model.index", data)
        try:
            assert read(file) == entries
        except WeightsError:
            refused += 1
    # The metaindex, its handle and the footer's padding are not read: 13 + 2 + 36 bytes, thrice.
    assert refused >= len(data) * 3 - 3 * 51


def test_message_names_the_file_and_not_its_path(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"^theirs cannot be read: No such file or directory\.$"):
        read(NamedFile("theirs", tmp_path / "ours"))
    with pytest.raises(WeightsError, match=r"^theirs cannot be read: Is a directory\.$"):
        read(NamedFile("theirs", tmp_path))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "It has 0 bytes; a table has at least 48."),
        (b"\0" * 40 + MAGIC[:7], "It has 47 bytes; a table has at least 48."),
        (b"\0" * 48, "It does not end with the mark of a table; it may have been cut off."),
        # Both handles are (0, 0): a block of no bytes, without room for its trailer.
        (b"\0" * 40 + MAGIC, "A block of 0 bytes at 0 does not fit into 48 bytes."),
        (b"\xff" * 40 + MAGIC, "The number at 0 of 48 bytes has no end."),
    ],
)
def test_footer_that_is_none_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    assert refusal(tmp_path, data) == message


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 10**6), (10**6, 0), (2**63, 4), (0, 2**64 - 1), (3, 10)]
)
def test_block_outside_the_file_is_refused(tmp_path: Path, offset: int, size: int) -> None:
    index = sealed(block([(b"k", varint(offset) + varint(size))]))
    why = refusal(tmp_path, finished(sealed(block([(b"k", b"v")])), index))
    assert why.startswith(f"A block of {size} bytes at {offset} does not fit") or (
        why == f"The block at {offset} does not match its checksum."
    )


def test_number_without_an_end_is_refused(tmp_path: Path) -> None:
    overlong = table_of([sealed(block([(b"k", b"v")]))], [b"k"], lambda *_: b"\xff" * 30)
    assert refusal(tmp_path, overlong) == "The number at 0 of 30 bytes has no end."


def test_two_blocks_in_one_place_are_refused(tmp_path: Path) -> None:
    index = sealed(block([(b"k", varint(0) + varint(12)), (b"l", varint(0) + varint(12))]))
    why = refusal(tmp_path, finished(sealed(block([(b"k", b"")])), index))
    assert why == "The block at 0 begins before the last one ends, at 17."


@pytest.mark.parametrize(
    ("entries", "per_block", "key"),
    [
        ([(b"a", b"1"), (b"a", b"2")], 2, "a"),
        ([(b"a", b"1"), (b"a", b"2")], 1, "a"),
        ([(b"b", b"1"), (b"a", b"2")], 2, "a"),
        ([(b"b", b"1"), (b"a", b"2")], 1, "a"),
        ([(b"", b"1"), (b"", b"2")], 2, ""),
    ],
)
def test_keys_are_ascending(tmp_path: Path, entries: Entries, per_block: int, key: str) -> None:
    why = refusal(tmp_path, table(entries, per_block))
    assert why == f"The key '{key}' is there twice, or out of order."


@pytest.mark.parametrize("separators", [[b"a", b"d"], [b"c", b"d"], [b"b", b"c"]])
def test_separators_lead_a_search_to_the_same_entries(
    tmp_path: Path, separators: Sequence[bytes]
) -> None:
    """TensorFlow looks for a key in the first block whose separator is not less."""
    blocks = [sealed(block([(b"b", b"1")])), sealed(block([(b"c", b""), (b"d", b"2")]))]
    refusal(tmp_path, table_of(blocks, separators))
    file = write(tmp_path, "model.index", table_of(blocks, [b"bb", b"e"]))
    assert read(file) == [(b"b", b"1"), (b"c", b""), (b"d", b"2")]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "A block of 0 bytes has 0 restart points."),
        (b"\0\0\0", "A block of 3 bytes has 0 restart points."),
        (b"\0" * 4, "A block of 4 bytes has 0 restart points."),
        (b"\xff" * 4, "A block of 4 bytes has 4294967295 restart points."),
        (block([]), "A block has 1 restart points, and 0 are at entries."),
        (
            block([(b"k", b"v")], restarts=[0, 2**32 - 1]),
            "A block has 2 restart points, and 1 are at entries.",
        ),
        (
            block([(b"k", b"v")], restarts=[1]),
            "A block has 1 restart points, and 0 are at entries.",
        ),
        (
            block([(b"ka", b"v"), (b"kb", b"v")], restarts=[0, 6]),
            "The entry at 6 of a block begins with no whole key.",
        ),
        (
            bytes([1, 1, 0]) + block([(b"k", b"v")], restarts=[4]),
            "The entry at 0 of a block has 2 bytes of key, 1 of them from the last; it has 0, and "
            "4096 are allowed.",
        ),
        (
            bytes([0, 0]) + b"\xff" * 9 + block([], restarts=[2**32 - 1]),
            "The number at 2 of 19 bytes has no end.",
        ),
        (
            bytes([0, 5, 0]) + block([], restarts=[0]),
            "The entry at 0 of a block ends after the block, at 3.",
        ),
        (
            bytes([0, 0]) + varint(2**40) + block([], restarts=[0]),
            "The entry at 0 of a block ends after the block, at 8.",
        ),
        (
            bytes([0]) + varint(2**40) + bytes([0]) + block([], restarts=[0]),
            f"The entry at 0 of a block has {2**40} bytes of key, 0 of them from the last; it "
            "has 0, and 4096 are allowed.",
        ),
    ],
)
def test_block_that_is_none_is_refused(tmp_path: Path, contents: bytes, message: str) -> None:
    assert refusal(tmp_path, table_of([sealed(contents)], [b"z"])) == message


def test_compression_that_is_unknown_is_refused(tmp_path: Path) -> None:
    data = table_of([sealed(block([(b"k", b"v")]), kind=2)], [b"k"])
    assert refusal(tmp_path, data) == "The block at 0 has compression 2; 0 and 1 are known."


def test_number_of_entries_is_limited(tmp_path: Path) -> None:
    data = table(ENTRIES)
    assert len(read(write(tmp_path, "model.index", data), len(ENTRIES))) == len(ENTRIES)
    why = refusal(tmp_path, data, len(ENTRIES) - 1)
    assert why == f"It has more than {len(ENTRIES) - 1} entries."


def test_keys_are_short(tmp_path: Path) -> None:
    assert read(write(tmp_path, "model.index", table([(b"k" * 4096, b"")])))
    why = refusal(tmp_path, table([(b"k" * 4097, b"")]))
    assert why.startswith("The entry at 0 of a block has 4097 bytes of key, 0 of them from the ")


def test_keys_that_unfold_do_not_fill_memory(tmp_path: Path) -> None:
    """Each of 20,000 entries of five bytes has a key of 4,000 bytes, which all but one share."""
    first = bytes([0]) + varint(3998) + bytes([0]) + b"k" * 3998
    rest = b"".join(
        varint(3998) + bytes([2, 0]) + number.to_bytes(2, "big") for number in range(20_000)
    )
    data = table_of([sealed(first + rest + block([], restarts=[0]))], [b"l"])
    assert len(data) < 130_000
    assert refusal(tmp_path, data, 80_000) == f"Its keys take more than {32 * 2**20} bytes."


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a",
        b"abcd" * 1000,
        bytes(range(256)) * 20,
        b"x" * 70,
        np.random.default_rng(0).bytes(3000) * 2,
        b"0123456789" * 500 + b"end",
    ],
)
def test_snappy_is_undone(data: bytes) -> None:
    assert bytes(uncompress(memoryview(snappy(data)))) == data


def test_snappy_literals_have_lengths_of_up_to_four_bytes() -> None:
    for extra in (1, 2, 3, 4):
        data = b"x" * min(256**extra, 70_000)
        tag = bytes([59 + extra << 2]) + (len(data) - 1).to_bytes(extra, "little")
        assert bytes(uncompress(memoryview(varint(len(data)) + tag + data))) == data


def test_snappy_copies_overlap() -> None:
    """Two bytes, then a copy of 9 from 2 back: it repeats what it has just written."""
    assert (
        bytes(uncompress(memoryview(bytes([11, 1 << 2, 97, 98, 5 << 2 | 1, 2]))))
        == b"ab" * 5 + b"a"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The number at 0 of 0 bytes has no end."),
        (varint(2**32), "A compressed block of 5 bytes declares 4294967296 bytes."),
        (varint(2**29 + 1) + b"\0" * 2**25, f"declares {2**29 + 1} bytes."),
        (varint(23) + b"", "A compressed block of 1 bytes declares 23 bytes."),
        (varint(5), "A compressed block holds 0 bytes and declares 5."),
        (bytes([1, 0]), "A compressed block does not hold the 1 bytes declared."),
        (bytes([1, 4, 97, 98]), "A compressed block does not hold the 1 bytes declared."),
        (bytes([9, 63 << 2, 0, 0]), "A compressed block does not hold the 9 bytes declared."),
        (bytes([9, 60 << 2]), "A compressed block does not hold the 9 bytes declared."),
        (bytes([5, 0, 97, 1]), "A compressed block copies from 0 before its beginning."),
        (bytes([5, 0, 97, 1, 2]), "A compressed block copies from 2 before its beginning."),
        (bytes([5, 0, 97, 1, 0]), "A compressed block copies from 0 before its beginning."),
        (bytes([5, 0, 97, 2, 1]), "A compressed block does not hold the 5 bytes declared."),
        (bytes([4, 0, 97, 1, 1]), "A compressed block does not hold the 4 bytes declared."),
        (bytes([6, 0, 97, 1, 1]), "A compressed block holds 5 bytes and declares 6."),
    ],
)
def test_snappy_that_is_none_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        uncompress(memoryview(data))


def test_snappy_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """Both declare what the file cannot hold; the second tells it in copies of 64 bytes."""
    declared = varint(2**31) + b"\0" * 100
    copies = varint(2**28) + b"\0a" + b"\xfe\1\0" * 1000
    for bomb in (declared, copies):
        data = table_of([sealed(bomb, kind=1)], [b"k"])
        file = write(tmp_path, "model.index", data)
        tracemalloc.start()
        try:
            with pytest.raises(WeightsError, match=r"A compressed block of \d+ bytes declares"):
                read(file)
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()


def test_without_checksums_corruption_would_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests of corruption can fail: they do once every checksum is taken for right."""

    class Agreeing(int):
        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    monkeypatch.setattr(module, "masked_crc32c", lambda _: Agreeing())
    entries = [(b"", b"header"), (b"a", b"value")]
    wrong = 0
    for data in corruptions(table(entries)):
        try:
            wrong += read(write(tmp_path, "model.index", data)) != entries
        except WeightsError:
            continue
    assert wrong > 20
