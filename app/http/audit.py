"""The audit: a line of the log for each request that changes something, or that would have.

Only services with access control have it: without, nobody is known.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from app.telemetry.logs import AUDIT, log_fields
from app.wording import escaped

log = logging.getLogger(AUDIT)

_UNKNOWN = "anonymous"
_MAX_LOCATION = 300


def audit(
    caller: str | None,
    method: str,
    route: str,
    ids: Mapping[str, Any],
    headers: Iterable[tuple[bytes, bytes]],
    status: int,
    request_id: str,
) -> None:
    """Write the line of a request; `headers` of the answer name what it made."""
    fields: dict[str, Any] = {
        "caller": caller or _UNKNOWN,
        "method": method,
        "route": route,
        "ids": {name: escaped(str(value)) for name, value in ids.items()},
        "status": status,
    }
    details = [f"{name}={value}" for name, value in fields["ids"].items()]
    for name, value in headers:
        if name == b"location":
            fields["location"] = escaped(value.decode("latin-1"), _MAX_LOCATION)
            details.append(f"location={fields['location']}")
    log_fields(
        log,
        "audit %s id=%s",
        (
            " ".join((fields["caller"], method, route, *details, str(status or "aborted"))),
            request_id,
        ),
        fields,
    )
