"""One accepted socket, with or without TLS, for one thread that reads and one that writes."""

import contextlib
import math
import select
import socket
import ssl
import struct
import threading
import time

RECEIVE_BYTES = 64 * 1024


class Transport:
    """A blocking socket: `receive` waits, `send_some` never does."""

    def __init__(self, connection: socket.socket) -> None:
        """Raises OSError if the peer is gone."""
        self._socket = connection
        self.address: str = connection.getpeername()[0]
        """The address of the peer, without its port."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def fileno(self) -> int:
        """The descriptor, for selectors."""
        return self._socket.fileno()

    def limit_waits(self, seconds: float) -> None:
        """Let `receive` and `send_all` raise TimeoutError after that time; 0: never."""
        # Not settimeout(): that would make the socket non-blocking for the writing thread as well.
        duration = struct.pack("ll", int(seconds), math.ceil(seconds % 1 * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, duration)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, duration)

    def handshake(self, seconds: float) -> None:
        """Agree on keys, if there are any, within that time. Raises OSError (ssl.SSLError is one), TimeoutError."""

    def receive(self) -> bytes:
        """Wait for octets; empty when the peer has ended. Raises OSError, TimeoutError."""
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            raise TimeoutError("nothing came") from None

    def seal(self, octets: bytes) -> bytes:
        """Return the octets for the wire; they must be sent in the order of the calls."""
        return octets

    def send_all(self, octets: bytes) -> None:
        """Seal and send, waiting for a slow reader. Raises OSError, TimeoutError."""
        try:
            self._socket.sendall(self.seal(octets))
        except BlockingIOError:
            raise TimeoutError("the peer reads nothing") from None

    def send_some(self, sealed: bytes | memoryview) -> int:
        """Send as much as the socket takes at once; return that number of bytes. Raises OSError."""
        try:
            return self._socket.send(sealed, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def wait_until_writable(self) -> None:
        """Wait until the socket takes more octets, or the connection is over."""
        poll = select.poll()
        with contextlib.suppress(ValueError):  # it is closed
            poll.register(self._socket, select.POLLOUT)
            poll.poll()

    def has_ended(self) -> bool:
        """Return True if the peer has closed; call it when the socket is readable."""
        with contextlib.suppress(BlockingIOError):
            try:
                return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except ConnectionError:
                return True
        return False

    def half_close(self) -> None:
        """Send nothing more; the peer reads to the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """End both directions, which wakes the thread that waits in `receive`."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


class TlsTransport(Transport):
    """The same through TLS, which is kept off the socket so that two threads may read and write at once."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connection)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._lock = threading.Lock()
        self._has_ended = False

    def handshake(self, seconds: float) -> None:
        """Agree on keys within that time. Raises OSError (ssl.SSLError is one), TimeoutError."""
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._socket.sendall(self._outgoing.read())
                sealed = super().receive()
                if not sealed:
                    raise ConnectionError("the peer left in the middle of the TLS handshake") from None
                self._incoming.write(sealed)
            else:
                self._socket.sendall(self._outgoing.read())
                return
        raise TimeoutError("the TLS handshake takes too long")

    def receive(self) -> bytes:
        """Wait for octets; empty when the peer has ended. Raises OSError, TimeoutError.

        After `half_close` octets cannot be decrypted any more, and are returned as they are.
        """
        while True:
            with self._lock:
                try:
                    if not self._has_ended:
                        return self._tls.read(RECEIVE_BYTES)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError:
                    return b""
            sealed = super().receive()
            with self._lock:
                if self._has_ended or not sealed:
                    return sealed
                self._incoming.write(sealed)

    def seal(self, octets: bytes) -> bytes:
        """Encrypt octets."""
        with self._lock:
            if octets:
                self._tls.write(octets)
            return self._outgoing.read()

    def half_close(self) -> None:
        """Close TLS, then end our side of the connection."""
        with contextlib.suppress(OSError), self._lock:
            self._has_ended = True
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.unwrap()
            self.send_some(self._outgoing.read())
        super().half_close()
