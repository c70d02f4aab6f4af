"""A request in progress, as the code behind the routes sees it."""

from starlette.requests import Request

from app.http.body_budget import HeldBody
from app.telemetry.timings import Timings


def timings(request: Request) -> Timings:
    """Return the timings of a request."""
    request_timings: Timings = request.state.timings
    return request_timings


def held_body(request: Request) -> HeldBody:
    """Return the account of the bytes that a request's body holds in memory."""
    body: HeldBody = request.state.body
    return body


class HttpExchange:
    """Implements `app.serving.exchange.Exchange` for a Starlette request."""

    def __init__(self, request: Request) -> None:
        self.timings = timings(request)
        self._request = request

    def name_model(self, name: str) -> None:
        """See `Exchange.name_model`."""
        self._request.state.model = name

    async def until_disconnected(self) -> None:
        """See `Exchange.until_disconnected`."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
