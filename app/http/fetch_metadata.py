"""Refuses what the pages of other sites send through a user's browser.

A page may send a `text/plain` body to any address, and a service on the user's machine would read
it as JSON. Browsers tell by `Sec-Fetch-Site` where a request comes from
(https://www.w3.org/TR/fetch-metadata/); other clients do not send it, and are not affected.

`same-site` is refused like `cross-site`: a site has no port, so that is any other service on the
same machine.
"""

from app.errors import ServiceError

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_FOREIGN_SITES = ("cross-site", "same-site")


def check_fetch_site(method: str, site: str) -> None:
    """Raises: ServiceError (cross-site) if a page of another origin wants to change something."""
    if site in _FOREIGN_SITES and method not in SAFE_METHODS:
        raise ServiceError(
            "cross-site",
            f"A page of another origin sent this {method} (Sec-Fetch-Site: {site}); only pages of "
            "this service may.",
            received=site,
        )
