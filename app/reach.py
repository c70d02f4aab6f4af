"""Types of the settings that say how clients reach the service: a prefix, proxies, origins."""

import re
from ipaddress import IPv4Network, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

# Every path of the service begins with one of these.
OWN_SEGMENTS = ("v1", "v2", "docs", "assets", "openapi.json", "healthz", "metrics")

_SEGMENT = re.compile(r"[A-Za-z0-9_~-]+")
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+-]*)://(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_PORTS = {"http": "80", "https": "443"}


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return value


def _check_root_path(path: str) -> str:
    if not path:
        return path
    first, *segments = path.split("/")
    if first or len(path) > 200 or not all(map(_SEGMENT.fullmatch, segments)):
        raise ValueError(
            "input should be at most 200 characters: segments of letters, digits, '_', '~' and "
            "'-', each after a slash, such as /tools/zoo"
        )
    for segment in segments:
        if segment in OWN_SEGMENTS:
            raise ValueError(f"input should not have {segment!r}, as the service's own paths do")
    return path


def _check_proxies(proxies: tuple[str, ...]) -> tuple[str, ...]:
    for proxy in proxies:
        try:
            network = ip_network(proxy)
        except ValueError as error:
            raise ValueError(
                f"each should be an address or a network, such as 10.0.0.7 or 10.0.0.0/8; {error}"
            ) from error
        if network.prefixlen == 0:
            raise ValueError(f"{proxy} is every address, so any client could name itself")
    return proxies


def _check_origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        parts = _ORIGIN.fullmatch(origin)
        if origin != "*" and (parts is None or parts["port"] == _PORTS.get(parts["scheme"], "")):
            raise ValueError(
                "each should be * or an origin as browsers send it, such as https://example.org or "
                f"http://localhost:3000 (lower case, no path, no default port); {origin!r} is none"
            )
    if "*" in origins and len(origins) > 1:
        raise ValueError("* allows every origin: name no other beside it")
    return origins


RootPath = Annotated[str, AfterValidator(_check_root_path)]
Proxies = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_proxies)
]
Origins = Annotated[
    tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_origins)
]


def as_peers(proxies: tuple[str, ...]) -> list[str]:
    """Return addresses and networks as peers have them on a socket of either family.

    A socket of IPv6 that also takes IPv4 writes 10.0.0.7 as ::ffff:10.0.0.7.

    >>> as_peers(("10.0.0.0/8", "fd00::1"))
    ['10.0.0.0/8', '::ffff:10.0.0.0/104', 'fd00::1']
    """
    peers = []
    for proxy in proxies:
        peers.append(proxy)
        network = ip_network(proxy)
        if isinstance(network, IPv4Network):
            peers.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return peers
