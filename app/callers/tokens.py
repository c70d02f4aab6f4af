"""The tokens that a running service knows: those of a file, which is read again when it changes."""

import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.callers.caller import Caller, Usage
from app.callers.token_file import TokenRecord, TokensError, Version, digest, read_tokens
from app.wording import counted

log = logging.getLogger(__name__)

_CHECK_S = 1.0
# A file that was written this long before it was read may have been written again since, and look
# the same: file systems tell times apart by milliseconds.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    digest: bytes
    expires: float | None  # seconds since 1970
    usage: Usage
    caller: Caller


class Tokens:
    """Finds the callers of tokens; it is not thread-safe and belongs to the event loop."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the file.

        Raises: TokensError if it cannot be read, or is not valid.
        """
        self._path = path
        self._clock = clock
        self._entries: dict[bytes, _Entry] = {}
        self._records: list[TokenRecord] | None = None
        self._version: Version | None = None
        self._refusal = ""
        self._read()
        self._next_check = clock() + _CHECK_S

    def find(self, token: str) -> Caller | None:
        """Return the caller of a token, or None if it is unknown, revoked or expired."""
        if self._clock() >= self._next_check:
            self._check()
        presented = digest(token)
        # How long the lookup takes depends on digests. Nobody can choose a token whose digest is
        # close to another's, so its time leads nobody to a token.
        entry = self._entries.get(presented)
        if entry is None or not hmac.compare_digest(entry.digest, presented):
            return None
        if entry.expires is not None and time.time() >= entry.expires:
            return None
        return entry.caller

    def _check(self) -> None:
        """Read the file again if it has changed; while it cannot be read, there are no tokens."""
        self._next_check = self._clock() + _CHECK_S
        try:
            if self._version != Version.of(self._path.stat()):
                self._read()
        except OSError as error:
            self._refuse(f"{self._path} cannot be read: {error.strerror}.")
        except TokensError as error:
            self._refuse(str(error))

    def _read(self) -> None:
        records, version = read_tokens(self._path)
        settled = time.time_ns() - max(version.modified_ns, version.changed_ns) > _SETTLED_NS
        entries = map(self._entry, records)
        self._entries = {entry.digest: entry for entry in entries}
        if self._refusal or records != self._records:
            log.info("Access by %s in %s.", counted(len(records), "token"), self._path)
        self._records = records
        self._version = version if settled else None
        self._refusal = ""

    def _entry(self, record: TokenRecord) -> _Entry:
        key = bytes.fromhex(record.sha256)
        known = self._entries.get(key)
        usage = known.usage if known else Usage(self._clock)
        usage.limit(record.requests_per_s, record.concurrency)
        expires = record.expires.timestamp() if record.expires else None
        return _Entry(key, expires, usage, Caller(f"token:{record.name}", record.role, usage))

    def _refuse(self, reason: str) -> None:
        self._entries, self._records, self._version = {}, None, None
        if reason != self._refusal:
            self._refusal = reason
            log.error("%s Until it can be read, every token of it is refused.", reason)
