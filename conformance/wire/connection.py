"""One TCP or TLS connection, as far as both HTTP and WebSocket need it: deadlines, read-ahead, bounds, a trace.

`Connection` has the methods of a socket that `websocket-client` and `http.client` use, so that those libraries do
their octets while every wait of theirs ends at our deadline, however slowly the octets trickle in.
"""

from __future__ import annotations

import contextlib
import io
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING

from conformance.wire.failures import TooLong, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from conformance.wire.trace import Direction

READ_AHEAD = 64 << 10
#: So many octets have to get through within one patience.
PIECE = 64 << 10
#: Octets that may be read for one message or reply.
ALLOWANCE = 64 << 20


def tls_context(*, verify: bool = True, ca_file: str | None = None) -> ssl.SSLContext:
    """How to trust a server: by the system's authorities or those in `ca_file`, or blindly."""
    context = ssl.create_default_context(cafile=ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Connection:
    """A connection that was made; raises Unreachable where nobody answers within `patience` seconds."""

    deadline: float
    """When a wait ends, in monotonic seconds."""
    allowance: int
    """How many octets may still be read in it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        patience: float = 5.0,
        tap: Callable[[Direction, bytes], None] | None = None,
    ) -> None:
        self.patience = patience
        self._tap = tap
        self.begin()
        self.socket = _connected(host, port, tls, patience)
        self._reader = _KeptReader(_DeadlineReader(self), READ_AHEAD)

    # What the libraries above ask of a socket

    def recv(self, size: int) -> bytes:
        """Up to `size` octets, b"" at the end of the stream; raises TimeoutError at the deadline."""
        if not self._reader.peek(1):
            return b""
        return self._reader.read1(size)

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        """The stream of what comes in; closing it leaves the connection open."""
        if mode != "rb":
            raise ValueError("a connection is read as octets")
        return self._reader

    def sendall(self, octets: bytes) -> None:
        """Send everything; raises TimeoutError at the deadline, other OSErrors where the server is gone.

        What is long goes in pieces, and each that gets through puts the deadline off: a slow network is no server
        that doesn't read.
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
        """Send everything, and say so."""
        self.sendall(octets)
        return len(octets)

    def gettimeout(self) -> float:
        """Seconds; only whether it is zero matters to the caller."""
        return self.patience

    def close(self) -> None:
        """End the connection; may be called again."""
        with contextlib.suppress(OSError):
            self.socket.close()

    # What the suite asks beyond that

    def begin(self, deadline: float | None = None) -> None:
        """Start a wait: until `deadline` (monotonic seconds; default: the patience from now), for ALLOWANCE octets.

        By default each PIECE that comes puts the deadline off, as it does where we send: what is long takes its time.
        """
        self.deadline = time.monotonic() + self.patience if deadline is None else deadline
        self.allowance = ALLOWANCE
        self._is_patient = deadline is None
        self._of_piece = 0

    def is_stale(self) -> bool:
        """Whether the server closed the connection, or said something, while nobody asked it anything."""
        self.begin(deadline=0.0)
        try:
            self._reader.peek(1)
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def stop_sending(self) -> None:
        """Tell the server that no more will come, and go on reading."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Cut the connection as a failing host does: nothing that is under way arrives."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def read_into(self, buffer: WriteableBuffer) -> int:
        """Read what is there, waiting until the deadline; for the reader only. Raises TooLong beyond the allowance."""
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
        # At the deadline what is already there is still taken: a timeout of zero never waits.
        sock.settimeout(max(0.0, self.deadline - time.monotonic()))


class _DeadlineReader(io.RawIOBase):
    """What comes in on a connection, with its deadline on every wait."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._connection.read_into(buffer)


class _KeptReader(io.BufferedReader):
    """A buffered reader that outlives the HTTP responses that are read from it."""

    def close(self) -> None:
        """Nothing: what was read ahead belongs to the next response."""


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
        raise Unreachable(f"no TLS connection to {host}:{port}: {error}") from error
