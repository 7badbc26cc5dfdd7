"""The server: start, stop and address."""

import ssl
import threading
from importlib import metadata
from typing import Self

from reference_server.config import ConfigError, Settings
from reference_server.server.application import Application
from reference_server.server.capabilities import describe
from reference_server.server.http import HttpBinding
from reference_server.server.listener import Listener

NAME = "stompliance reference server"
_ACCEPT_POLL_SECONDS = 0.05


def version() -> str:
    """The version of the installed distribution; "0" in a checkout that is not installed."""
    try:
        return metadata.version("stompliance")
    except metadata.PackageNotFoundError:
        return "0"


class Server:
    """A reference server. `with Server(settings) as server:` starts it and stops it again."""

    goodbye_seconds = 0.5
    """Time that clients have to read their last frame when the server stops."""

    def __init__(self, settings: Settings) -> None:
        """Bind to the address. Raises OSError if it is not available, ConfigError for bad TLS files."""
        self.settings = settings
        self.application = Application(settings, f"stompliance/{version()}")
        document = describe(settings, name=NAME, version=version(), endpoints=self.application.endpoints)
        binding = HttpBinding(self.application, document)
        self.listener = Listener(self.application, binding, _tls_context(settings))
        self._accepting = threading.Thread(
            target=self.listener.serve_forever, args=(_ACCEPT_POLL_SECONDS,), name="accept", daemon=True
        )

    @property
    def port(self) -> int:
        """The TCP port, also if a free one was asked for."""
        port: int = self.listener.server_address[1]
        return port

    @property
    def url(self) -> str:
        """The WebSocket URL of the strict endpoint."""
        scheme = "wss" if self.settings.tls_cert else "ws"
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{scheme}://{host}:{self.port}/stomp"

    def start(self) -> None:
        """Serve from now on, in threads."""
        self.application.timer.start()
        self._accepting.start()

    def stop(self) -> None:
        """Send every session an ERROR, wait an instant, and end; takes less than a second.

        A server that was not started only releases its port.
        """
        if not self._accepting.is_alive():
            self.listener.server_close()
            return
        self.listener.stop_accepting()
        self.application.fail_all("server is stopping", "Connect again later.")
        self.listener.wait_until_idle(self.goodbye_seconds)
        self.listener.cut_all()
        self.listener.wait_until_idle(self.goodbye_seconds / 2)
        self.listener.server_close()
        self.application.timer.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except OSError as error:
        expected = "Expected a PEM file with certificate and key."
        raise ConfigError(f"tls_cert {settings.tls_cert}: {error}. {expected}") from None
    return context
