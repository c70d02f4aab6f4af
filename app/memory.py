"""How the processes of the service allocate memory."""

import ctypes
import gc

# glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# Larger than the rows of an image, as JSON too.
_KEPT_BLOCK_BYTES = 8 * 2**20
_KEPT_BYTES = 64 * 2**20
# Between two collections of the youngest objects.
_NEW_OBJECTS = 10_000


_c_library = ctypes.CDLL(None)


def keep_freed_memory() -> None:
    """Have malloc keep freed blocks of megabytes for the next request.

    By default it gives each back to the system. To get the pages of a body of 600 KB again takes
    the system longer (0.4 ms) than the service takes to receive it.
    """
    mallopt = getattr(_c_library, "mallopt", None)
    if mallopt is not None:  # another C library than glibc has no such choice
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back_freed_memory() -> None:
    """Have malloc give all that is freed back to the system; it takes milliseconds."""
    malloc_trim = getattr(_c_library, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def spare_lasting_objects() -> None:
    """Have the collector of garbage look no more at what is there, and less often at what comes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
