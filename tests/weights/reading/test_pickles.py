"""A pickle is told by its bytes, whatever its protocol, and is not run."""

import os
import pickle
from typing import Any

import numpy as np
import pytest

from model_zoo.weights.reading.pickles import WINDOW_BYTES, is_pickle


class Program:
    """Makes a folder when it is loaded."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        {"a": [1.0, 2.0]},
        [None, True, 2**70, "text", b"bytes"],
        np.arange(3),
        {"weights": np.zeros(100_000)},
        {str(number): float(number) for number in range(20_000)},
    ],
    ids=["dict", "list", "array", "large array", "large dict"],
)
def test_a_pickle_of_every_protocol_is_told(protocol: int, value: Any) -> None:
    data = pickle.dumps(value, protocol)
    head = data[:WINDOW_BYTES]
    assert is_pickle(head, is_whole=len(head) == len(data)) or (
        # Of a single large value in an old protocol the window holds only the beginning.
        protocol < 2 and len(data) > WINDOW_BYTES and isinstance(value, dict) and len(value) == 1
    )


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_not_run(protocol: int, tmp_path: Any) -> None:
    folder = tmp_path / "made"
    data = pickle.dumps(Program(str(folder)), protocol)
    assert is_pickle(data, is_whole=True)
    assert not folder.exists()
    pickle.loads(data)
    assert folder.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80",
        b"\x80\x06rest.",
        b"A sentence that ends.",
        b"(in brackets.",
        b"{}.",
        b"\x89PNG\r\n\x1a\n.",
        b"\x8a\xff" * 1000,
        b"X\xff\xff\xff\xff.",
        pickle.dumps({"a": 1}, 0) + b"more.",
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_what_is_no_pickle_is_not_called_one(data: bytes, is_whole: bool) -> None:
    assert not is_pickle(data, is_whole=is_whole)
