"""What processes of this machine use, as the system counts it."""

import os
import resource
from collections.abc import Iterable
from pathlib import Path

from app.engine import ProcessUsage

_PAGE_BYTES = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")


def usage(process_ids: Iterable[int]) -> ProcessUsage:
    """Return what processes use in total; one that has ended counts as zero."""
    count = pages = ticks = 0
    for process_id in process_ids:
        try:
            text = Path(f"/proc/{process_id}/stat").read_text()
        except OSError:
            continue
        # The name may contain spaces. After it come the fields from 3 on, see proc_pid_stat(5).
        fields = text.rpartition(")")[2].split()
        count += 1
        pages += int(fields[21])  # rss
        ticks += int(fields[11]) + int(fields[12])  # utime, stime
    return ProcessUsage(count, pages * _PAGE_BYTES, ticks / _TICKS)
