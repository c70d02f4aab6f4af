"""Whose X-Forwarded-For and X-Forwarded-Proto count (ZOO_TRUSTED_PROXIES)."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Scope
from zoo_server import NoEngine

from app.main import create_app
from app.settings import Settings

PROXY = "10.0.0.7"


def seen(tmp_path: Path, peer: str, *headers: tuple[str, str], trusted: str = PROXY) -> Scope:
    """Return a request as the routes see it, sent by a peer."""
    scopes: list[Scope] = []

    async def note(scope: Scope, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await app_of_routes(scope, receive, send)

    proxies = tuple(filter(None, trusted.split(",")))
    app = create_app(Settings(home=tmp_path, trusted_proxies=proxies), lambda *_: NoEngine())
    app_of_routes = app.router
    app.router = note  # type: ignore[assignment]

    async def ask() -> None:
        transport = httpx.ASGITransport(app, client=(peer, 50000))
        async with httpx.AsyncClient(transport=transport, base_url="http://zoo") as client:
            assert (await client.get("/v1/limits", headers=list(headers))).status_code == 200

    try:
        asyncio.run(ask())
    finally:
        app.state.services.close()
    (scope,) = scopes
    return scope


def test_a_trusted_proxy_names_the_client(tmp_path: Path) -> None:
    scope = seen(tmp_path, PROXY, ("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-Proto", "https"))
    assert (scope["client"][0], scope["scheme"]) == ("192.0.2.9", "https")


@pytest.mark.parametrize("trusted", ["", "10.0.0.8", "10.0.1.0/24", "fd00::/8"])
def test_from_anybody_else_the_headers_mean_nothing(tmp_path: Path, trusted: str) -> None:
    scope = seen(
        tmp_path,
        PROXY,
        ("X-Forwarded-For", "192.0.2.9"),
        ("X-Forwarded-Proto", "https"),
        trusted=trusted,
    )
    assert (scope["client"], scope["scheme"]) == ((PROXY, 50000), "http")


def test_not_even_this_machine_is_trusted_unless_it_is_named(tmp_path: Path) -> None:
    forged = ("X-Forwarded-For", "192.0.2.9")
    assert seen(tmp_path / "1", "127.0.0.1", forged, trusted="")["client"][0] == "127.0.0.1"
    named = seen(tmp_path / "2", "127.0.0.1", forged, trusted="127.0.0.1")
    assert named["client"][0] == "192.0.2.9"


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (("198.51.100.1, 192.0.2.9",), "192.0.2.9"),  # what the client claimed comes first
        (("198.51.100.1, 192.0.2.9, 10.0.0.7",), "192.0.2.9"),  # through two proxies
        (("198.51.100.1", "192.0.2.9"), "192.0.2.9"),  # two headers are one
        (("192.0.2.9:4711",), "192.0.2.9"),
        (("[2001:db8::9]:4711",), "2001:db8::9"),
        (("2001:db8::9",), "2001:db8::9"),
        (("",), PROXY),
    ],
)
def test_the_rightmost_hop_that_is_not_trusted_is_the_client(
    tmp_path: Path, forwarded: tuple[str, ...], client: str
) -> None:
    headers = [("X-Forwarded-For", each) for each in forwarded]
    assert seen(tmp_path, PROXY, *headers)["client"][0] == client


def test_a_proxy_of_ipv4_is_trusted_on_a_socket_of_ipv6(tmp_path: Path) -> None:
    scope = seen(
        tmp_path, f"::ffff:{PROXY}", ("X-Forwarded-For", "192.0.2.9"), trusted="10.0.0.0/8"
    )
    assert scope["client"][0] == "192.0.2.9"


@pytest.mark.parametrize("name", ["Forwarded", "X-Real-IP", "X-Forwarded-Host"])
def test_no_other_header_counts(tmp_path: Path, name: str) -> None:
    scope = seen(tmp_path, PROXY, (name, "for=192.0.2.9;proto=https"))
    assert (scope["client"], scope["scheme"]) == ((PROXY, 50000), "http")


def test_a_scheme_that_is_none_is_ignored(tmp_path: Path) -> None:
    assert seen(tmp_path, PROXY, ("X-Forwarded-Proto", "javascript"))["scheme"] == "http"
