"""The log of every process of the service: text for people, or one JSON object per line."""

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Literal

from app.engine import ProcessRole
from app.settings import Settings

# A node is the process that holds the engine of a cluster's node.
Process = Literal["api", "node"] | ProcessRole

# The logger of the audit, which writes whatever the log level.
AUDIT = "audit"

# The fields of the request that a line is about: request_id, trace_id.
_NO_FIELDS: Mapping[str, Any] = MappingProxyType({})
_request: ContextVar[Mapping[str, Any]] = ContextVar("request", default=_NO_FIELDS)


def configure_logging(settings: Settings, process: Process = "api") -> None:
    """Log to standard error, in the format and from the level of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(JsonFormatter(process))
    else:
        handler.setFormatter(_text_formatter(process))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger(AUDIT).setLevel(logging.INFO)


def _text_formatter(process: Process) -> logging.Formatter:
    if process == "api":  # whose lines say which request they are about where that matters
        return logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    return _WorkersFormatter(f"%(levelname)s {process} %(process)d: %(message)s")


class _WorkersFormatter(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the library's name
        fields = _request.get()
        ids = [fields["request_id"]] if "request_id" in fields else fields.get("request_ids", ())
        return super().formatMessage(record) + "".join(f" id={each}" for each in ids)


def announce(message: str) -> None:
    """Print a message for the operator whatever the log level, in the format of the log."""
    handlers = logging.getLogger().handlers
    formatter = handlers[0].formatter if handlers else None
    if isinstance(formatter, JsonFormatter):
        record = logging.LogRecord("app", logging.INFO, __file__, 0, message, None, None)
        message = formatter.format(record)
    print(message, file=sys.stderr, flush=True)


def log_fields(
    logger: logging.Logger, message: str, args: tuple[Any, ...], fields: Mapping[str, Any]
) -> None:
    """Log at level info, with fields for the JSON log; to save time, without the caller's line."""
    if logger.isEnabledFor(logging.INFO):
        record = logging.LogRecord(logger.name, logging.INFO, "", 0, message, args, None)
        record.__dict__["fields"] = fields
        logger.handle(record)


@contextmanager
def about_request(fields: Mapping[str, Any]) -> Iterator[None]:
    """Add these fields to every line that is logged inside the block."""
    token = _request.set(fields)
    try:
        yield
    finally:
        _request.reset(token)


def request_fields() -> dict[str, Any]:
    """Return the fields of the request that is being worked for, to send to another process."""
    return dict(_request.get())


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON: time, level, logger, process, pid, message and fields.

    The line is ASCII, so that no text of a client can start a new line or upset a terminal.
    """

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process
        self._encode = json.JSONEncoder(default=str).encode
        self._second, self._second_text = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with its `fields` if it has any."""
        line = {
            "time": self._time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self._process,
            "pid": record.process,
            "message": record.getMessage(),
            **_request.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._encode(line)

    def _time(self, record: logging.LogRecord) -> str:
        second = int(record.created)
        if second != self._second:  # most lines share the second of the previous line
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._second_text}.{int(record.msecs):03d}Z"
