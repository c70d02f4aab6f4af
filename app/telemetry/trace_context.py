"""W3C Trace Context: reads a caller's `traceparent`, and writes the `traceresponse`.

`traceparent` is `version-trace id-parent id-flags` in lower-case hexadecimal. An invalid one counts
as not sent, and its `tracestate` with it.
"""

import random
import re
from typing import NamedTuple

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16
_MAX_STATES = 32
# Sampled, and "the trace id is random": the flags that version 00 defines.
_KNOWN_FLAGS = 0b11

_random = random.Random()  # seeded by the system; any code may seed the shared generator


def random_id(bits: int) -> str:
    """Return a unique hexadecimal id; it is no secret, so a fast generator will do."""
    return f"{_random.getrandbits(bits):0{bits // 4}x}"


class TraceContext(NamedTuple):
    """A span in a trace: the caller's, or ours."""

    trace_id: str
    span_id: str
    flags: int
    tracestate: str = ""

    def child(self) -> "TraceContext":
        """Return a new span below this one."""
        return TraceContext(self.trace_id, random_id(64), self.flags, self.tracestate)

    def header(self) -> str:
        """Return the value of `traceresponse`, which has the form of `traceparent`.

        >>> TraceContext("a" * 32, "b" * 16, 1).header()
        '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01'
        """
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def read_trace_context(traceparent: str, tracestate: str = "") -> TraceContext | None:
    """Return the caller's span, or None if `traceparent` names none.

    >>> read_trace_context("00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01").flags
    1
    """
    match = _PARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    if version == "00" and more is not None:  # only later versions may add fields after the flags
        return None
    states = [state for state in tracestate.split(",") if state.strip()]
    if len(states) > _MAX_STATES:
        tracestate = ""
    return TraceContext(trace_id, span_id, int(flags, 16) & _KNOWN_FLAGS, tracestate)
