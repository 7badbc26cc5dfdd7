"""Accepting connections: one thread for each, and no more of them than allowed."""

import contextlib
import errno
import logging
import socket
import socketserver
import ssl
import threading
import traceback
from collections.abc import Callable
from typing import Any, Self

from reference_server.events import tell
from reference_server.server.application import Application
from reference_server.server.clock import wall
from reference_server.server.threads import Threads
from reference_server.server.transport import TlsTransport, Transport

_REFUSED_AT_ONCE = 64
"""Refused connections that stay open for an instant, so that their clients can read why."""
_PAUSE_SECONDS = 0.1


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Binds to the configured address and serves each connection in a daemon thread."""

    allow_reuse_address = True
    request_queue_size = 512

    def __init__(
        self,
        application: Application,
        port: int,
        serve: Callable[[Transport], None],
        refusal: bytes,
        context: ssl.SSLContext | None,
        beside: Self | None = None,
    ) -> None:
        """Raises OSError if the address is not available. With a `context`, connections use TLS.

        `serve` serves a connection to its end; one too many gets the octets `refusal`. The connections of this
        listener and of the one `beside` it count together.
        """
        self._application = application
        self._serve = serve
        self._refusal = refusal
        self._context = context
        self._changed: threading.Condition = beside._changed if beside else threading.Condition()
        self._open: set[socket.socket] = beside._open if beside else set()
        self._refused: set[socket.socket] = beside._refused if beside else set()
        self._pool: Threads = beside._pool if beside else Threads()
        self._paused = threading.Event()  # never set
        settings = application.settings
        if ":" in settings.host:
            self.address_family = socket.AF_INET6
        super().__init__((settings.host, port), socketserver.BaseRequestHandler)

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._open)

    def stop_accepting(self) -> None:
        """Leave `serve_forever`: at once on systems where the end of a socket wakes its waiting thread."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no connection is open; return False after that time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open, seconds)

    def cut_all(self) -> None:
        """End all connections, also with octets still to be read or written."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for connection in tuple(self._refused):
                self._forget(connection)

    # Called by socketserver.

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection. Raises OSError, for which socketserver tries again."""
        try:
            return super().get_request()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}:
                tell(logging.WARNING, "no-descriptor", advice="raise the limit on open files (ulimit -n)")
                self._paused.wait(_PAUSE_SECONDS)  # the pending connection would wake us at once
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Decide whether there is room for one more (LIMIT-CONN-1)."""
        with self._changed:
            has_room = len(self._open) < self._application.settings.connections
            (self._open if has_room else self._refused).add(request)
        address, port = client_address[:2]
        if has_room:
            to = self.server_address[1]
            self._application.events.note("connection", address=address, port=port, to=to)
        else:
            self._application.events.refused("too-many-connections", address=address)
        return has_room

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand a connection to a thread."""
        self._pool.run(lambda: self.process_request_thread(request, client_address))

    def server_close(self) -> None:
        """Close the listening socket, and let the threads end."""
        super().server_close()
        self._pool.close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end, in a thread of its own."""
        began = wall()
        with contextlib.suppress(OSError):  # the peer is gone, or silent for too long
            transport = Transport(request) if self._context is None else TlsTransport(request, self._context)
            idle_timeout = self._application.settings.idle_timeout
            transport.limit_waits(idle_timeout)
            transport.handshake(idle_timeout)
            self._serve(transport)
        address, port = client_address[:2]
        tell(logging.DEBUG, "disconnection", address=address, port=port, seconds=round(wall() - began, 3))

    def shutdown_request(self, request: Any) -> None:
        """Close a served connection, or refuse one that was not."""
        if request in self._refused:
            self._turn_away(request)
            return
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a bug: it ends its own connection only."""
        del request
        tell(logging.ERROR, "failure", address=client_address[0], traceback=traceback.format_exc())

    def _turn_away(self, connection: socket.socket) -> None:
        """Say that there is no room, and close after the linger time."""
        connection.setblocking(False)
        with contextlib.suppress(OSError):
            if self._context is None:
                connection.send(self._refusal)
            connection.shutdown(socket.SHUT_WR)
        if len(self._refused) > _REFUSED_AT_ONCE:
            self._forget(connection)
        else:
            linger = self._application.settings.linger
            self._application.timer.call_at(wall() + linger, lambda: self._forget(connection))

    def _forget(self, connection: socket.socket) -> None:
        connection.close()
        self._refused.discard(connection)
