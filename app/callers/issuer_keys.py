"""The public keys of an OpenID Connect provider: fetched, held, and fetched again when they change.

Sources: OpenID Connect Discovery 1.0, section 4; RFC 7517 (JSON Web Key Set).
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import jwt

from app.callers.caller import NotKnownNowError
from app.wording import escaped

log = logging.getLogger(__name__)

# A fetch is two requests.
_FETCH_S = 5.0
_MAX_BYTES = 2**20
# Between two fetches, whatever tokens are sent: each with a key that is not there asks for one.
_MIN_INTERVAL_S = 10.0
# A key that the provider has withdrawn is known for as long. Fetched anew while the old are used.
_REFRESH_S = 600.0
# If the provider cannot be reached for as long, its keys are not trusted any more.
_STALE_S = 86_400.0
_MIN_RSA_BITS = 2048

_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA",),
}


class IssuerKey(NamedTuple):
    """A public key, and the algorithms that it may verify."""

    key: Any
    algorithms: tuple[str, ...]


class IssuerKeys:
    """The keys of one issuer; it belongs to the event loop.

    A fetch runs beside the requests. Only those wait for it whose key is not there.
    """

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises: ValueError for an issuer whose keys could be exchanged on the way."""
        check_address(issuer)
        self._issuer = issuer
        self._clock = clock
        self._client = httpx.AsyncClient(timeout=_FETCH_S)  # reads certificates: takes 20 ms
        self._keys: Mapping[str | None, IssuerKey] = {}
        self._fetched = -_STALE_S * 2 + clock()
        self._next_fetch = clock()
        self._failure: str | None = "not fetched yet"
        self._fetch: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Begin to fetch the keys, so that the first request need not wait."""
        self._begin()

    async def find(self, key_id: str | None) -> IssuerKey | None:
        """Return a key by its id, or None if the issuer has no such key.

        Raises: NotKnownNowError if that cannot be known now.
        """
        age = self._clock() - self._fetched
        if age > _REFRESH_S:
            self._begin()
        if age > _STALE_S or key_id not in self._keys:
            self._begin()
            if self._fetch is not None:
                await asyncio.shield(self._fetch)
            if self._clock() - self._fetched > _STALE_S:
                self._keys = {}
        key = self._keys.get(key_id)
        if key is None and self._failure is not None:
            raise NotKnownNowError(self._failure)
        return key

    async def close(self) -> None:
        """End a fetch that is in progress."""
        if self._fetch is not None:
            self._fetch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._fetch
        await self._client.aclose()

    def _begin(self) -> None:
        if self._fetch is None and self._clock() >= self._next_fetch:
            self._next_fetch = self._clock() + _MIN_INTERVAL_S
            self._fetch = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_S):
                keys = await self._read()
        except Exception as error:  # whatever a stranger's server answers
            self._failure = f"{type(error).__name__}: {escaped(str(error), 200)}"
            log.warning("The keys of %s cannot be fetched: %s", self._issuer, self._failure)
        else:
            if keys.keys() != self._keys.keys():
                names = ", ".join(escaped(str(key_id)) for key_id in keys)
                log.info("%s signs with the keys: %s.", self._issuer, names)
            self._keys, self._fetched, self._failure = keys, self._clock(), None
        finally:
            self._fetch = None

    async def _read(self) -> dict[str | None, IssuerKey]:
        address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        configuration = await self._document(address)
        if configuration.get("issuer") != self._issuer:
            raise ValueError(f"it calls itself {configuration.get('issuer')!r}")
        keys_address = str(configuration.get("jwks_uri"))
        check_address(keys_address)
        keys: dict[str | None, IssuerKey] = {}
        for document in (await self._document(keys_address)).get("keys", ()):
            key = _usable(document)
            if key is not None:
                keys[document.get("kid")] = key
        if not keys:
            raise ValueError(f"{keys_address} has no key that can be used")
        return keys

    async def _document(self, address: str) -> dict[str, Any]:
        content = b""
        async with self._client.stream("GET", address) as response:
            if response.status_code != 200:
                raise ValueError(f"{address} answers with status {response.status_code}")
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > _MAX_BYTES:
                    raise ValueError(f"{address} has more than {_MAX_BYTES} bytes")
        document = json.loads(content)
        if not isinstance(document, dict):
            raise TypeError(f"{address} is no JSON object")
        return document


def check_address(address: str) -> None:
    """Raises: ValueError for an address whose keys somebody on the way could exchange."""
    parts = urlsplit(address)
    is_near = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not (parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and is_near))):
        raise ValueError(
            f"{escaped(address, 200)} is not https:// (http:// for this machine alone)"
        )


def _usable(document: Any) -> IssuerKey | None:
    """Return a key that verifies signatures, or None for any other: a secret, or for encryption."""
    if not isinstance(document, dict) or document.get("use", "sig") != "sig":
        return None
    kind = document.get("crv") if document.get("kty") in ("EC", "OKP") else document.get("kty")
    algorithms = _ALGORITHMS.get(str(kind), ())
    if "alg" in document:
        algorithms = tuple(each for each in algorithms if each == document["alg"])
    if not algorithms:
        return None
    try:
        key = jwt.PyJWK(document, algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if kind == "RSA" and key.key_size < _MIN_RSA_BITS:
        return None
    return IssuerKey(key, algorithms)
