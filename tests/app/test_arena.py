"""The shared memory of waiting rows: blocks never overlap, and freed ones are used again."""

import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.compute.arena import Arena


@pytest.fixture
def arena() -> Arena:
    return Arena(4096)


def test_what_is_put_lies_where_the_other_process_reads_it(arena: Arena) -> None:
    values = np.arange(7, dtype=np.float32)
    arena.put(b"x" * 100)
    block = arena.put(values.tobytes())
    assert block is not None
    shared = mmap.mmap(arena.fd, 0, prot=mmap.PROT_READ)
    rows = np.frombuffer(shared, np.float32, 7, block.offset)
    assert rows.tolist() == values.tolist()


def test_what_does_not_fit_is_refused_until_room_is_made(arena: Arena) -> None:
    first = arena.put(b"a" * 3000)
    assert first is not None
    assert arena.put(b"b" * 2000) is None
    arena.free(first)
    assert arena.used == 0
    assert arena.put(b"b" * 2000) is not None


def test_the_lowest_gap_is_used_first(arena: Arena) -> None:
    first, second, third = (arena.put(b"a" * 1000) for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    arena.free(second)
    again = arena.put(b"c" * 900)
    assert again is not None
    assert again.offset == second.offset
    arena.free(first)
    assert arena.put(b"d" * 1024) == first


@given(st.lists(st.tuples(st.integers(1, 900), st.booleans()), max_size=40))
def test_blocks_never_overlap(steps: list[tuple[int, bool]]) -> None:
    arena, held = Arena(4096), []
    for number, (size, frees) in enumerate(steps):
        if frees and held:
            arena.free(held.pop(number % len(held))[0])
        data = bytes([number % 256]) * size
        block = arena.put(data)
        if block is not None:
            held.append((block, data))
    shared = mmap.mmap(arena.fd, 0, prot=mmap.PROT_READ)
    for block, data in held:
        assert block.end <= arena.capacity
        assert shared[block.offset : block.offset + len(data)] == data
    arena.close()


def test_an_empty_arena_gives_large_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.compute.arena._RESIDENT_BYTES", 1000)
    arena = Arena(2**22)
    block = arena.put(b"x" * 2**21)
    assert block is not None
    import os

    assert os.fstat(arena.fd).st_blocks * 512 >= 2**21
    arena.free(block)
    assert os.fstat(arena.fd).st_blocks == 0
