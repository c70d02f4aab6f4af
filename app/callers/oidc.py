"""Bearer tokens of an OpenID Connect provider: signed by it, for this service, naming a role.

Source: RFC 9068 (JWT access tokens), RFC 8725 (what to check of a JWT).
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jwt

from app.callers.caller import Caller, Usage
from app.callers.issuer_keys import IssuerKeys
from app.callers.roles import ROLES, Role
from app.wording import escaped

_LEEWAY_S = 10
_OPTIONS: Any = {"require": ["exp", "iss", "aud", "sub"]}
# Whose requests are counted; one that has sent none for longest is forgotten.
_MOST_SUBJECTS = 10_000


class OidcTokens:
    """Finds the callers of an issuer's tokens."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        role_claim: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        requests_per_s: float | None = None,
        concurrency: int | None = None,
    ) -> None:
        """The limits are those of each subject, whatever tokens it has; None means no limit.

        Raises: ValueError for an issuer whose keys could be exchanged on the way.
        """
        self.keys = IssuerKeys(issuer, clock)
        self._issuer = issuer
        self._audience = audience
        self._role_claim = role_claim
        self._clock = clock
        self._limits = (requests_per_s, concurrency)
        self._usages: OrderedDict[str, Usage] = OrderedDict()

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
        subject: str = claims["sub"]
        role = role_of(claims, self._role_claim)
        return Caller(f"oidc:{escaped(subject)}", role, self._usage(subject))

    def _usage(self, subject: str) -> Usage | None:
        if self._limits == (None, None):
            return None
        usage = self._usages.pop(subject, None)
        if usage is None:
            usage = Usage(self._clock)
            usage.limit(*self._limits)
        self._usages[subject] = usage
        if len(self._usages) > _MOST_SUBJECTS:
            self._usages.popitem(last=False)
        return usage


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
