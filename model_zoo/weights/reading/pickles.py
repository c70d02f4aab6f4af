"""Tells a pickle by its bytes. None is ever loaded: a pickle is a program, and loading runs it."""

import io
import pickletools

# How much of a file is looked at: all of a small one.
WINDOW_BYTES = 2**16
_PROTOCOL = b"\x80"  # the first byte since protocol 2; the protocol follows
_PROTOCOLS = range(2, 6)
# Of a longer pickle the window holds some thousand operations; no other text or image has as many.
_MIN_OPERATIONS = 20


def is_pickle(head: bytes, *, is_whole: bool) -> bool:
    """Return whether data that begins with `head` is a pickle, of any protocol.

    `is_whole` says that nothing follows. The operations are read and none is done.
    """
    if head.startswith(_PROTOCOL):
        return head[1:2] != b"" and head[1] in _PROTOCOLS
    # Protocols 0 and 1 have no mark: their operations must make sense to the end.
    if is_whole and not head.endswith(b"."):
        return False
    count = 0
    stream = io.BytesIO(head[:WINDOW_BYTES])
    try:
        for count, (operation, _, _) in enumerate(pickletools.genops(stream), 1):
            if operation.name == "STOP":
                return count > 1 and is_whole and not stream.read(1)
    # The data ends within an operation, or is none.
    except ValueError as error:
        cut = "unknown" not in str(error)
        return cut and not is_whole and count >= _MIN_OPERATIONS
    return False
