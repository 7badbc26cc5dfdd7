"""The server: start, stop and address."""

import ssl
from functools import partial
from importlib import metadata
from threading import Thread
from typing import Self

from reference_server.config import ConfigError, Settings
from reference_server.server.application import Application
from reference_server.server.capabilities import describe
from reference_server.server.connection import serve, serve_stream
from reference_server.server.http import HttpBinding
from reference_server.server.listener import Listener
from reference_server.server.responses import problem, write
from reference_server.server.websocket import ENDPOINTS
from reference_server.stomp.frame import encode

NAME = "stompliance reference server"
_ACCEPT_POLL_SECONDS = 0.05


def version() -> str:
    """The version of the installed distribution; "0" in a checkout that is not installed."""
    try:
        return metadata.version("stompliance")
    except metadata.PackageNotFoundError:
        return "0"


def implementation() -> str:
    """Name and version, as the header `server` of CONNECTED has them."""
    return f"stompliance/{version()}"


class Server:
    """A reference server. `with Server(settings) as server:` starts it and stops it again."""

    goodbye_seconds = 0.5
    """Time that clients have to read their last frame when the server stops."""

    def __init__(self, settings: Settings, application: Application | None = None) -> None:
        """Bind to the address. Raises OSError if it is not available, ConfigError for bad TLS files.

        `application` is another one than that which keeps all in memory.
        """
        self.settings = settings
        application = self.application = application or Application(settings, implementation())
        document = describe(settings, name=NAME, version=version(), endpoints=[*ENDPOINTS, *settings.path])
        context = _tls_context(settings)
        full = f"{settings.connections} connections are open; come back later."
        refusal = write(problem(503, "too-many-connections", full), keep_alive=False)
        binding = HttpBinding(
            application, document, version=version(), connections=lambda: self.listener.connections
        )
        serves = partial(serve, application=application, binding=binding)
        self.listener = Listener(application, settings.port, serves, refusal, context)
        self._listeners = [self.listener]
        if settings.stomp_port is not None:
            headers = [("message", "too many connections"), ("content-length", str(len(full)))]
            refusal = encode("ERROR", headers, full.encode(), version="1.0")
            serves = partial(serve_stream, application=application)
            try:
                beside = Listener(application, settings.stomp_port, serves, refusal, context, self.listener)
            except OSError:
                self._close()
                raise
            self._listeners.append(beside)
        self._accepting = [
            Thread(target=each.serve_forever, args=(_ACCEPT_POLL_SECONDS,), name="accept", daemon=True)
            for each in self._listeners
        ]

    @property
    def port(self) -> int:
        """The TCP port, also if a free one was asked for."""
        port: int = self.listener.server_address[1]
        return port

    @property
    def url(self) -> str:
        """The WebSocket URL of the strict endpoint."""
        scheme = "wss" if self.settings.tls_cert else "ws"
        return f"{scheme}://{self._host}:{self.port}/stomp"

    @property
    def stomp_port(self) -> int | None:
        """The TCP port for STOMP without WebSocket, also if a free one was asked for; None without it."""
        return self._listeners[1].server_address[1] if len(self._listeners) > 1 else None

    @property
    def stomp_url(self) -> str | None:
        """The URL of STOMP over TCP; None without it."""
        scheme = "stomps" if self.settings.tls_cert else "stomp"
        return f"{scheme}://{self._host}:{self.stomp_port}" if self.stomp_port else None

    @property
    def _host(self) -> str:
        return f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host

    def start(self) -> None:
        """Serve from now on, in threads. Raises RuntimeError if it was started before."""
        if self._accepting[0].ident is not None:
            raise RuntimeError("This server was started before. Make another one, with the same settings.")
        self.application.timer.start()
        for thread in self._accepting:
            thread.start()

    def stop(self) -> None:
        """Send every session an ERROR, wait an instant, and end; takes less than a second.

        A server that was not started only releases its port.
        """
        if not self._accepting[0].is_alive():
            self._close()
            return
        for listener in self._listeners:
            listener.stop_accepting()
        self.application.fail_all("server is stopping", "Connect again later.")
        self.listener.wait_until_idle(self.goodbye_seconds)
        self.listener.cut_all()
        self.listener.wait_until_idle(self.goodbye_seconds / 2)
        self._close()
        self.application.timer.stop()
        self.application.close()

    def _close(self) -> None:
        for listener in self._listeners:
            listener.server_close()

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
