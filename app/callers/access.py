"""Finds callers by their tokens: those of the file, and those of an OpenID Connect provider."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.callers.caller import Caller
from app.callers.token_file import FILE_NAME, PREFIX, TokensError
from app.callers.tokens import Tokens
from app.extras import extra
from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from app.callers.oidc import OidcTokens


class Access:
    """The tokens of a service."""

    def __init__(self, tokens: Tokens | None, oidc: "OidcTokens | None") -> None:
        self._tokens = tokens
        self._oidc = oidc

    async def find(self, token: str) -> Caller | None:
        """Return the caller of a token, or None if it is not valid.

        Raises: NotKnownNowError if the keys of its issuer cannot be fetched now.
        """
        if token.startswith(PREFIX):
            return self._tokens.find(token) if self._tokens else None
        if self._oidc is None:
            return None
        return await self._oidc.find(token)

    def prepare(self) -> None:
        """Begin to fetch what the first request needs."""
        if self._oidc is not None:
            self._oidc.keys.prepare()

    async def close(self) -> None:
        """End what is in progress."""
        if self._oidc is not None:
            await self._oidc.keys.close()


def has_access_control(settings: Settings) -> bool:
    """Return whether the settings name tokens; a file without any lets nobody in."""
    return _tokens_path(settings) is not None or bool(settings.oidc_issuer)


def _tokens_path(settings: Settings) -> Path | None:
    """Return the file of tokens; one that is not there where it is named cannot be used."""
    path = settings.home / FILE_NAME
    # A link that leads nowhere is a file that was meant to be there.
    return settings.tokens_file or (path if path.exists() or path.is_symlink() else None)


def access_of(settings: Settings) -> Access | None:
    """Return the tokens that the settings name, or None if there is no access control.

    Raises: SettingsError if the file of tokens cannot be used, or a package is missing.
    """
    if not has_access_control(settings):
        return None
    tokens = oidc = None
    path = _tokens_path(settings)
    if path is not None:
        try:
            tokens = Tokens(path)
        except TokensError as error:
            raise SettingsError(f"{error} (ZOO_TOKENS_FILE)") from error
    if settings.oidc_issuer:
        assert settings.oidc_audience is not None  # the settings have both or none
        with extra("oidc", "ZOO_OIDC_ISSUER"):
            from app.callers.oidc import OidcTokens
        try:
            oidc = OidcTokens(
                settings.oidc_issuer,
                settings.oidc_audience,
                settings.oidc_role_claim,
                requests_per_s=settings.oidc_requests_per_s or None,
                concurrency=settings.oidc_concurrency or None,
            )
        except ValueError as error:
            raise SettingsError(f"ZOO_OIDC_ISSUER: {error}.") from error
    return Access(tokens, oidc)
