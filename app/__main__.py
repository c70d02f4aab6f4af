"""`python -m app`: serve until SIGTERM or Ctrl-C, then finish the requests in progress."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn
import uvloop

from app.callers.access import has_access_control
from app.engine import DeviceError
from app.http.bounded_parser import BoundedHttpProtocol
from app.main import create_app
from app.memory import keep_freed_memory, spare_lasting_objects
from app.settings import Settings, SettingsError, load_settings
from app.store.errors import StoreError
from app.telemetry.logs import announce, configure_logging

log = logging.getLogger(__name__)

# For which a thread may run before the event loop has its turn, which it needs after each read from
# a socket. With the default of 5 ms, /healthz took three times as long while documents are read.
_TURN_S = 0.0005


def main() -> int:
    """Run the service and return the exit status."""
    try:
        settings = load_settings()
        configure_logging(settings)
        keep_freed_memory()
        sys.setswitchinterval(_TURN_S)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings))
    except (SettingsError, StoreError, DeviceError, OSError) as error:
        print(f"The service cannot start: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:  # SIGTERM before the server runs
        return 0
    except KeyboardInterrupt:
        return 130
    return 0


async def _serve(settings: Settings) -> None:
    task = asyncio.current_task()
    if task is not None:  # PID 1 of a container receives SIGTERM only if it handles it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    # The port comes first: it fails at once, while everything else takes time.
    listener = _listen(settings.host, settings.port)
    with listener:
        _check_anonymous(settings, listener)
        app = create_app(settings)
        config = uvicorn.Config(
            app,
            lifespan="off",  # entered below, so that an error at start-up is raised there
            http=partial(  # type: ignore[arg-type]  # declared as a class
                BoundedHttpProtocol,
                write_timeout_s=settings.write_timeout_s,
                root_path=settings.root_path,
            ),
            proxy_headers=False,  # create_app reads those of ZOO_TRUSTED_PROXIES
            access_log=False,
            log_config=None,
            server_header=False,
            # With 0, uvicorn would not even begin to wait, and `_Server` not learn of the end.
            timeout_graceful_shutdown=settings.drain_s or 0.1,  # type: ignore[arg-type]  # seconds
        )
        async with app.router.lifespan_context(app):
            address, port = listener.getsockname()[:2]
            host = f"[{address}]" if listener.family == socket.AF_INET6 else address
            server = _Server(config, app.state.services.stop_accepting)
            # What the start made stays. A full collection that looks at it all takes 70 ms. A trace
            # has ten thousand objects, its reports as many more, and none is in a cycle: with the
            # default of 700, looking among them for cycles took a third of a request.
            spare_lasting_objects()
            announce(f"Serving on http://{host}:{port} (docs: /docs)")
            await server.serve(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises: OSError, with a message for the operator.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        raise OSError(
            f"listening on {host}:{port} failed: {error.strerror}. ZOO_HOST and ZOO_PORT set both."
        ) from error
    return listener


def _check_anonymous(settings: Settings, listener: socket.socket) -> None:
    """Raises: SettingsError if other machines can send requests, and nobody has said so."""
    if has_access_control(settings):
        if settings.anonymous == "allow":
            log.warning("ZOO_ANONYMOUS=allow has no effect, as there are tokens or an issuer.")
        return
    address, port = listener.getsockname()[:2]
    if settings.anonymous == "deny" and not ipaddress.ip_address(address).is_loopback:
        raise SettingsError(
            f"{address}:{port} can be reached from other machines, and whoever reaches it may do "
            "everything. Make a token (model-zoo token add NAME --role ROLE) or set "
            "ZOO_OIDC_ISSUER, or allow it with ZOO_ANONYMOUS=allow."
        )


class _Server(uvicorn.Server):
    """Drains on SIGTERM and SIGINT and exits with 0; uvicorn would raise the signal again."""

    def __init__(self, config: uvicorn.Config, stop_accepting: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop_accepting = stop_accepting

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        yield

    async def _wait_tasks_to_complete(self) -> None:
        """Wait for requests in progress; if that takes too long, uvicorn cancels it, and them."""
        try:
            await super()._wait_tasks_to_complete()
        except asyncio.CancelledError:
            for connection in list(self.server_state.connections):
                if isinstance(connection, BoundedHttpProtocol):
                    connection.abort_response()
            raise

    def _stop(self) -> None:
        self._stop_accepting()
        self.force_exit = self.should_exit  # on a second signal, wait no longer for requests
        self.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
