"""Warnings in headers of an answer whose body has no place for them."""

from collections.abc import Sequence

from starlette.responses import Response

# Of all warnings in one answer: proxies accept few kilobytes of headers.
MAX_BYTES = 2048


def add_warnings(response: Response, warnings: Sequence[str]) -> None:
    """Add a header `Warning: 299 - "..."` for each warning (RFC 7234, section 5.5).

    Those beyond `MAX_BYTES` are counted in a last one.
    """
    left = MAX_BYTES
    for index, warning in enumerate(warnings):
        value = _value(warning)
        left -= len(value)
        if left < 0:
            more = len(warnings) - index
            response.headers.append("Warning", _value(f"{more} more warnings are left out here."))
            return
        response.headers.append("Warning", value)


def _value(warning: str) -> str:
    printable = "".join(each if " " <= each <= "~" else "?" for each in warning)
    quoted = printable.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{quoted}"'
