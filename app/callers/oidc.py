"""Bearer tokens of an OpenID Connect provider: signed by it, for this service, naming a role.

Source: RFC 9068 (JWT access tokens), RFC 8725 (what to check of a JWT).
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from app.callers.caller import Caller
from app.callers.issuer_keys import IssuerKeys
from app.callers.roles import ROLES, Role
from app.wording import escaped

_LEEWAY_S = 10
_OPTIONS: Any = {"require": ["exp", "iss", "aud", "sub"]}


class OidcTokens:
    """Finds the callers of an issuer's tokens."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        role_claim: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises: ValueError for an issuer whose keys could be exchanged on the way."""
        self.keys = IssuerKeys(issuer, clock)
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim

    async def find(self, token: str) -> Caller | None:
        """Return the caller of a token, or None if the token is not valid.

        Raises: NotKnownNowError if that cannot be known now.
        """
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        key = await self.keys.find(key_id)
        if key is None:
            return None
        try:
            claims = jwt.decode(
                token,
                key.key,
                algorithms=key.algorithms,
                issuer=[self._issuer],
                audience=self._audience,
                leeway=_LEEWAY_S,
                options=_OPTIONS,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return Caller(f"oidc:{escaped(claims['sub'])}", role_of(claims, self._role_claim))


def role_of(claims: Mapping[str, Any], name: str) -> Role | None:
    """Return the highest role that a claim names, or None.

    The claim is a list, or words in one string as `scope` is. A name with dots that is no claim
    leads into objects.

    >>> role_of({"roles": ["staff", "infer", "read"]}, "roles")
    'infer'
    >>> role_of({"realm_access": {"roles": ["admin"]}}, "realm_access.roles")
    'admin'
    >>> role_of({"scope": "openid build"}, "scope"), role_of({"scope": 7}, "scope")
    ('build', None)
    """
    value: Any = claims
    for part in [name] if name in claims else name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    names = value.split() if isinstance(value, str) else value
    if not isinstance(names, list):
        return None
    return next((role for role in reversed(ROLES) if role in names), None)
