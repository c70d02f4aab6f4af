"""Hardened JSON: every refusal with its whole message."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_zoo import SpecError, read_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('ab"\\\\[]{},: é', max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text('k"\\\\[]{},é', max_size=4), inner, max_size=4)
    ),
    max_leaves=30,
)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The JSON is malformed at line 1, column 1: Expecting value."),
        (b'{"a": 1} x', "The JSON is malformed at line 1, column 10: Extra data."),
        (b'{"a": 1, "a": 2}', "The JSON repeats the key 'a' in one object."),
        (b'{"a": NaN}', "The JSON holds NaN, which is not a JSON number."),
        (b"[-Infinity]", "The JSON holds -Infinity, which is not a JSON number."),
        (b"[1e400]", "The JSON holds the number 1e400, which is beyond 64-bit floats."),
        (b"[" * 100_000, "The JSON is nested deeper than 64 levels."),
        (b'{"a":' * 100_000, "The JSON is nested deeper than 64 levels."),
        (
            b"[" + b"9" * 5000 + b"]",
            "The JSON holds an integer of 5000 digits; the largest allowed is 64 bits, "
            "9223372036854775807.",
        ),
        (
            b"[9223372036854775808]",
            "The JSON holds an integer of 19 digits; the largest allowed is 64 bits, "
            "9223372036854775807.",
        ),
        (
            b"[-9223372036854775808]",
            "The JSON holds an integer of 19 digits; the largest allowed is 64 bits, "
            "9223372036854775807.",
        ),
        (
            b'{"a": [[1e400]]}',
            "The JSON holds the number 1e400, which is beyond 64-bit floats.",
        ),
        (b'["\xff"]', "The JSON is not valid UTF-8 at byte 2."),
        (
            b"[" + b"1," * 50_000 + b"1]",
            "The JSON has more than 50000 values.",
        ),
        (
            b'{"a": ["' + b"x" * 10_001 + b'"]}',
            "/a/0: a string has at most 10000 characters; this one has 10001.",
        ),
    ],
)
def test_refuses_what_two_readers_could_read_differently(data: bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_json(data)
    assert str(caught.value) == message


def test_byte_order_mark_is_refused() -> None:
    with pytest.raises(SpecError, match="malformed"):
        read_json(b"\xef\xbb\xbf{}")


def test_lone_surrogate_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        read_json(b'["\\ud800"]')
    assert str(caught.value) == "/0: a string holds a lone surrogate, which is not Unicode text."


def test_reads_what_is_well_formed() -> None:
    text = '{"a": [1, -2.5, true, null, "[[[{{é\\""], "b": {"c": 9223372036854775807}}'
    assert read_json(text.encode()) == {
        "a": [1, -2.5, True, None, '[[[{{é"'],
        "b": {"c": 2**63 - 1},
    }


def test_a_number_beyond_64_bits_that_is_no_integer_is_read() -> None:
    assert read_json(b'[1e300, "x"]') == [1e300, "x"]
    assert read_json(b"-3.5") == -3.5


def size(value: Any) -> tuple[int, int]:
    """Return how many values there are, and how many containers stand in each other."""
    inner: list[Any] = []
    if isinstance(value, (dict, list)):
        inner = list(value.values()) if isinstance(value, dict) else value
    sizes = [size(each) for each in inner]
    depth = max((depth for _, depth in sizes), default=0) + isinstance(value, (dict, list))
    return 1 + sum(count for count, _ in sizes), depth


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_values_and_levels_are_counted_before_they_are_made(
    value: Any, indent: int | None, is_ascii: bool
) -> None:
    count, depth = size(value)
    data = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode()
    assert read_json(data, max_depth=depth, max_nodes=count) == value
    with pytest.raises(SpecError, match=f"more than {count - 1} values"):
        read_json(data, max_nodes=count - 1)
    if depth:
        with pytest.raises(SpecError, match=f"deeper than {depth - 1} levels"):
            read_json(data, max_depth=depth - 1)
