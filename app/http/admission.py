"""Limits the requests in progress, in total and for each client address.

Reads and work are counted separately, so that summaries answer while every place for inference is
taken. Probes, metrics and preflights are always admitted.
"""

from collections.abc import Callable

from starlette.types import Scope

from app.http.problems import HttpError
from app.settings import variable

_READS = ("GET", "HEAD")
_ALWAYS = ("/healthz", "/metrics")
_ALWAYS_BELOW = "/v2/health/"


class Admission:
    """Counts the requests in progress; it is not thread-safe and belongs to the event loop.

    `check_admission` raises if the engine would reject an inference. It is called first, so that a
    rejected inference costs nothing: none of its body has been read.
    """

    def __init__(
        self,
        max_concurrency: int,
        max_client_concurrency: int = 0,
        check_admission: Callable[[], None] = lambda: None,
        is_inference: Callable[[Scope], bool] = lambda scope: False,
    ) -> None:
        self._check_inference = check_admission
        self._is_inference = is_inference
        self._max_concurrency = max_concurrency
        self._max_client_concurrency = max_client_concurrency  # 0 means no limit
        self._reads = 0
        self._work = 0
        self._clients: dict[str, int] = {}

    def enter(self, scope: Scope) -> None:
        """Count a request in; every request that enters must leave.

        Raises: ServiceError or EngineError if there is no place for the request, which then has
        not entered.
        """
        if self._is_inference(scope):
            self._check_inference()
        is_read = scope["method"] in _READS
        in_progress = self._reads if is_read else self._work
        if in_progress >= self._max_concurrency:
            raise HttpError(
                "overloaded",
                f"{in_progress} requests are already in progress ({variable('max_concurrency')}).",
                headers={"Retry-After": "1"},
                reason="concurrency",
            )
        if self._max_client_concurrency:
            self._enter_client(_address(scope))
        if is_read:
            self._reads += 1
        else:
            self._work += 1

    def leave(self, scope: Scope) -> None:
        """Count a request out."""
        if scope["method"] in _READS:
            self._reads -= 1
        else:
            self._work -= 1
        if self._max_client_concurrency:
            address = _address(scope)
            remaining = self._clients[address] - 1
            if remaining:
                self._clients[address] = remaining
            else:  # so that the table does not grow with every client there ever was
                del self._clients[address]

    def _enter_client(self, address: str) -> None:
        in_progress = self._clients.get(address, 0)
        if in_progress >= self._max_client_concurrency:
            raise HttpError(
                "too-many-requests",
                f"{in_progress} requests from your address are already in progress "
                f"({variable('max_client_concurrency')}).",
                headers={"Retry-After": "1"},
                reason="client-concurrency",
            )
        self._clients[address] = in_progress + 1


def is_always_admitted(scope: Scope) -> bool:
    """Return whether a request must be answered even if the service is full.

    An OPTIONS does no work. A page whose preflight is refused learns nothing, and so not that the
    service is full: the request that follows tells it.
    """
    path: str = scope["path"]
    is_probe = path in _ALWAYS or path.startswith(_ALWAYS_BELOW)
    return scope["method"] == "OPTIONS" or (is_probe and scope["method"] in _READS)


def _address(scope: Scope) -> str:
    client = scope.get("client")  # None on a Unix socket
    return client[0] if client else ""
