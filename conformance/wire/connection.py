"""One TCP or TLS connection with deadlines, read-ahead, bounds and a trace, for HTTP and WebSocket.

`Connection` has the socket methods that `websocket-client` and `http.client` use. These libraries parse the octets,
and each of their waits ends at the connection's deadline, however slowly octets arrive.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING

from conformance.wire.failures import NoTls, TooLong, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from conformance.wire.admission import Admission
    from conformance.wire.trace import Direction

READ_AHEAD = 64 << 10
#: Octets that must get through within one patience.
PIECE = 64 << 10
#: Octets that may be read for one message or reply.
ALLOWANCE = 64 << 20


def tls_context(*, verify: bool = True, ca_file: str | None = None) -> ssl.SSLContext:
    """TLS context that trusts the system's authorities or those in `ca_file`; without `verify` any certificate."""
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Connection:
    """An open connection. Raises Unreachable if none is made within `patience` seconds. One thread at a time."""

    deadline: float
    """End of the current wait, in monotonic seconds."""
    allowance: int
    """Octets that may still be read in the current wait."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        patience: float = 5.0,
        tap: Callable[[Direction, bytes], None] | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.patience = patience
        self._tap = tap
        self._admission = admission
        self.socket = self._admitted(lambda: _connected(host, port, tls, patience))
        self.begin()
        self._reader = _KeptReader(_DeadlineReader(self), READ_AHEAD)

    # Methods of a socket that the libraries call

    def recv(self, size: int) -> bytes:
        """Up to `size` octets, b"" at the end of the stream. Raises TimeoutError at the deadline, OSError, TooLong."""
        if not self._reader.peek(1):
            return b""
        return self._reader.read1(size)

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        """Stream of received octets; closing it leaves the connection open."""
        if mode != "rb":
            raise ValueError("a connection is read as octets")
        return self._reader

    def sendall(self, octets: bytes) -> None:
        """Send all octets. Raises TimeoutError at the deadline, other OSErrors if the server is gone.

        Each PIECE that gets through extends the deadline by the patience, so that a slow network doesn't look like a
        server that has stopped reading.
        """
        if self._tap:
            self._tap(">", octets)
        self._limit_wait(self.socket)
        if len(octets) <= PIECE:
            self.socket.sendall(octets)
            return
        view = memoryview(octets)
        for begin in range(0, len(view), PIECE):
            self.socket.sendall(view[begin : begin + PIECE])
            self.deadline = max(self.deadline, time.monotonic() + self.patience)
            self._limit_wait(self.socket)

    def send(self, octets: bytes) -> int:
        """Send all octets; returns their number. Raises as `sendall` does."""
        self.sendall(octets)
        return len(octets)

    def gettimeout(self) -> float:
        """Timeout in seconds; the libraries only test it for zero."""
        return self.patience

    def close(self) -> None:
        """Close the connection. May be called twice."""
        with contextlib.suppress(OSError):
            self.socket.close()
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.give_place(self)

    def _admitted(self, connect: Callable[[], socket.socket]) -> socket.socket:
        admission = self._admission
        if admission is None:
            return connect()
        admission.take_place(self)
        try:
            admission.turn()
            made = admission.reach(connect)
        except BaseException:
            admission.give_place(self)
            raise
        admission.occupy(self, made)
        return made

    # Methods for the suite

    def begin(self, deadline: float | None = None) -> None:
        """Start a wait until `deadline` (monotonic seconds; default: the patience from now), for ALLOWANCE octets.

        Without `deadline`, each PIECE received extends the wait by the patience, as each PIECE sent does.
        """
        self.deadline = time.monotonic() + self.patience if deadline is None else deadline
        self.allowance = ALLOWANCE
        self._is_patient = deadline is None
        self._of_piece = 0

    def is_stale(self) -> bool:
        """True if the server has closed the connection, or sent octets, while no request was pending."""
        self.begin(deadline=0.0)
        try:
            self._reader.peek(1)
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def stop_sending(self) -> None:
        """Shut down the sending side; reading goes on."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection as a failing host does; unsent octets are lost."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def read_into(self, buffer: WriteableBuffer) -> int:
        """Read available octets, for the reader only.

        Raises TimeoutError if none come by the deadline, TooLong beyond the allowance.
        """
        self._limit_wait(self.socket)
        try:
            size = self.socket.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError) as error:
            raise TimeoutError("nothing came by the deadline") from error
        self.allowance -= size
        self._of_piece += size
        if self._is_patient and self._of_piece >= PIECE:
            self._of_piece = 0
            self.deadline = max(self.deadline, time.monotonic() + self.patience)
        if self.allowance < 0:
            raise TooLong(f"at most {ALLOWANCE} octets for one message or reply", "more than that")
        if self._tap and size:
            self._tap("<", bytes(memoryview(buffer)[:size]))
        return size

    def _limit_wait(self, sock: socket.socket) -> None:
        # A timeout of zero never waits, but still reads octets that have arrived.
        sock.settimeout(max(0.0, self.deadline - time.monotonic()))


class _DeadlineReader(io.RawIOBase):
    """Raw reader of a connection that keeps its deadline on every wait."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._connection.read_into(buffer)


class _KeptReader(io.BufferedReader):
    """A buffered reader that outlives the HTTP responses that are read from it."""

    def close(self) -> None:
        """Do nothing: octets read ahead belong to the next response."""


def _connected(host: str, port: int, tls: ssl.SSLContext | None, patience: float) -> socket.socket:
    try:
        plain = socket.create_connection((host, port), timeout=patience)
    except OSError as error:
        raise Unreachable(f"nobody answers at {host}:{port}: {error}") from error
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tls.wrap_socket(plain, server_hostname=host) if tls else plain
    except OSError as error:
        plain.close()
        raise NoTls(host, port, error) from error
