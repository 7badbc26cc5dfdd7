"""One TCP or TLS connection with deadlines, read-ahead, bounds and a trace, for HTTP, WebSocket and STOMP.

`Connection` has the socket methods that `websocket-client` and `http.client` use. These libraries parse the octets,
and each of their waits ends at the connection's deadline, however slowly octets arrive and however many there are.
"""

from __future__ import annotations

import contextlib
import io
import select
import socket
import ssl
import struct
import time
from typing import TYPE_CHECKING, Any

from conformance.wire.failures import NoTls, RunEnded, TooLong, Unreachable, is_about_certificates

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from conformance.wire.admission import Admission
    from conformance.wire.trace import Direction

READ_AHEAD = 64 << 10
#: Octets that must get through within one patience.
PIECE = 64 << 10
#: Octets that may be read for one message or reply.
ALLOWANCE = 64 << 20
#: Lowest throughput that a connection is assumed to have, in octets per second.
SLOWEST = 8 << 10
#: Cap on the wait for one message or reply that keeps arriving, in multiples of the patience.
ANSWER_PATIENCES = 12
#: Seconds between two looks at whether the run has ended, during a wait.
SLICE = 0.2


def tls_context(
    *,
    verify: bool = True,
    ca_file: str | None = None,
    client_cert: str | None = None,
    client_key: str | None = None,
) -> ssl.SSLContext:
    """TLS context that trusts the system's authorities or those in `ca_file`; without `verify` any certificate.

    Servers that ask for a certificate get the one in `client_cert`, whose key is in `client_key` or in the same file.
    Raises OSError for a file that can't be used; nobody is asked for the passphrase of a key.
    """
    context = ssl.create_default_context(cafile=ca_file)
    if client_cert is not None:
        context.load_cert_chain(client_cert, client_key, password="")
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Connection:
    """An open connection. Raises Unreachable if none is made within `patience` seconds. One thread at a time.

    Every wait raises RunEnded once `interrupted` is set.
    """

    deadline: float
    """End of the current wait, in monotonic seconds."""
    allowance: int
    """Octets that may still be read in the current wait."""
    _note_to: Callable[..., None] | None = None
    _interrupted: threading.Event | None = None
    _timeout: float | None = None

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        patience: float = 5.0,
        tap: Callable[[Direction, bytes], None] | None = None,
        note: Callable[..., None] | None = None,
        interrupted: threading.Event | None = None,
        admission: Admission | None = None,
    ) -> None:
        """`tap` gets the octets of both sides, `note` the other events of a `Trace`."""
        self.patience = patience
        self._tap = tap
        self._note_to = note
        self._interrupted = interrupted
        self._admission = admission
        self._address = (host, port)
        self.socket = self._admitted(lambda: _connected(host, port, tls, patience))
        self.begin()
        self._reader: io.BufferedReader = _KeptReader(_DeadlineReader(self), READ_AHEAD)

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
        """Send all octets.

        Raises TimeoutError if a PIECE doesn't get through within the patience, other OSErrors if the server is gone. A
        slow network doesn't look like a server that has stopped reading. The deadline for reading stays as it is: a
        server that sends pings without end must not put it off.
        """
        if self._tap:
            self._tap(">", octets)
        view = memoryview(octets)
        for begin in range(0, max(1, len(view)), PIECE):
            self._send_piece(view[begin : begin + PIECE])

    def _send_piece(self, piece: memoryview) -> None:
        """Send the octets of a piece. Raises TimeoutError after the patience."""
        until = time.monotonic() + self.patience
        while True:
            self._check_run()
            left = max(0.0, until - time.monotonic())
            wait = self._limit_wait(left)
            try:
                piece = piece[self.socket.send(piece) :]
            except (TimeoutError, BlockingIOError, ssl.SSLWantWriteError) as error:
                if wait == left:
                    raise TimeoutError(f"nothing was taken for {self.patience:g} s") from error
            except ssl.SSLError as error:
                raise self._broken(error) from error
            if not piece:
                return

    def send(self, octets: bytes) -> int:
        """Send all octets; returns their number. Raises as `sendall` does."""
        self.sendall(octets)
        return len(octets)

    def gettimeout(self) -> float:
        """Timeout in seconds; the libraries only test it for zero."""
        return self.patience

    def close(self) -> None:
        """Close the connection, and drop the octets that were read ahead. May be called twice."""
        self._note("close", how="close")
        self._note_to = None
        with contextlib.suppress(OSError):
            self.socket.close()
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.give_place(self)
        # The reader refers to the connection: without that circle its buffer goes as soon as the connection does.
        self._reader = io.BufferedReader(io.BytesIO())
        self._tap = None

    def _admitted(self, connect: Callable[[], socket.socket]) -> socket.socket:
        admission = self._admission
        if admission is None:
            return connect()
        admission.take_place(self)
        try:
            admission.turn()
            self._check_run()
            made = admission.reach(connect)
        except BaseException:
            admission.give_place(self)
            raise
        admission.occupy(self, made)
        return made

    # Methods for the suite

    def begin(self, deadline: float | None = None, allowance: int = ALLOWANCE) -> None:
        """Start a wait until `deadline` (monotonic seconds; default: the patience from now), for `allowance` octets.

        Without `deadline`, each PIECE received extends the wait by the patience, as each PIECE sent does: up to what
        SLOWEST needs for the octets so far, and to ANSWER_PATIENCES in all.

        Octets that have arrived by the deadline may still be read for another patience after it, and not longer, even
        if the server never pauses.
        """
        now = time.monotonic()
        self.deadline = now + self.patience if deadline is None else deadline
        self.allowance = allowance
        self._is_patient = deadline is None
        self._began = now
        self._of_piece = self._of_wait = 0

    def is_stale(self) -> bool:
        """True if the server has closed the connection, or sent octets, while no request was pending."""
        return self.is_readable(0.0)

    def is_readable(self, within: float) -> bool:
        """True as soon as the server has sent octets or closed the connection; False if not within `within` seconds."""
        self.begin(deadline=time.monotonic() + within if within else 0.0)
        try:
            self._reader.peek(1)
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def stop_sending(self) -> None:
        """Shut down the sending side; reading goes on."""
        self._note("close", how="stop")
        with contextlib.suppress(OSError):
            # Through TLS it ends TCP alone: an SSLSocket that is shut down would read the octets of TLS.
            socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def reset(self) -> None:
        """Reset the connection as a failing host does; unsent octets are lost."""
        self._note("close", how="reset")
        self._note_to = None
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def read_into(self, buffer: WriteableBuffer) -> int:
        """Read available octets, for the reader only.

        Raises TimeoutError if none come by the deadline, TooLong beyond the allowance and for a reply that takes longer
        than ANSWER_PATIENCES.
        """
        size = self._receive(buffer)
        self.allowance -= size
        self._of_piece += size
        self._of_wait += size
        if self.allowance < 0:
            raise TooLong(
                "a message or reply no longer than the suite reads", f"more than {self._of_wait} octets"
            )
        if self._is_patient and self._of_piece >= PIECE:
            self._of_piece = 0
            self._put_off()
        if self._tap and size:
            self._tap("<", bytes(memoryview(buffer)[:size]))
        if not size:
            self._note("end")
        return size

    def _receive(self, buffer: WriteableBuffer) -> int:
        """Wait for octets, and look now and then at whether the run has ended."""
        while True:
            self._check_run()
            now = time.monotonic()
            if now > max(self.deadline, self._began) + self.patience:
                raise TimeoutError("the server sends without a pause, but not what was waited for")
            left = max(0.0, self.deadline - now)
            if left == 0 and self._is_idle():
                raise self._nothing_came()
            # A timeout of zero never waits, but still reads octets that have arrived.
            wait = self._limit_wait(left)
            try:
                return self.socket.recv_into(buffer)
            except (TimeoutError, BlockingIOError, ssl.SSLWantReadError) as error:
                if wait == left:
                    raise self._nothing_came() from error
            except ssl.SSLError as error:
                self._note("end")
                raise self._broken(error) from error
            except OSError:
                self._note("end")
                raise

    def _broken(self, error: ssl.SSLError) -> OSError | NoTls:
        """The failure that an error of TLS is: a TLS 1.3 server refuses a client's certificate after the handshake."""
        if is_about_certificates(error):
            return NoTls(*self._address, error)
        return ConnectionAbortedError(f"TLS was broken off: {error}")

    def _nothing_came(self) -> TimeoutError:
        self._note("nothing", seconds=time.monotonic() - self._began)
        return TimeoutError("nothing came by the deadline")

    def _is_idle(self) -> bool:
        """True if nothing has come; False if that is unknown, as with TLS, which may have read ahead."""
        if type(self.socket) is not socket.socket or not hasattr(select, "poll") or self.socket.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)

    def _limit_wait(self, left: float) -> float:
        """Let the socket wait for `left` seconds, or for a slice of them; returns the seconds.

        It is nearly always the same slice: to set it anew at each call would hand the interpreter to other threads.
        """
        wait = left if self._interrupted is None else min(left, SLICE)
        if wait != self._timeout:
            self.socket.settimeout(wait)
            self._timeout = wait
        return wait

    def _note(self, what: str, **facts: Any) -> None:
        if self._note_to is not None:
            self._note_to(what, **facts)

    def _put_off(self) -> None:
        """Extend the deadline after a piece. Raises TooLong for a reply that has taken too long in all."""
        now = time.monotonic()
        longest = ANSWER_PATIENCES * self.patience
        if now > self._began + longest:
            raise TooLong(
                f"a whole message or reply within {longest:g} s",
                f"{self._of_wait} octets by then, and no end",
            )
        slowest = self._began + self.patience + self._of_wait / SLOWEST
        self.deadline = max(self.deadline, min(now + self.patience, slowest))

    def _check_run(self) -> None:
        if self._interrupted is not None and self._interrupted.is_set():
            raise RunEnded("the run was ended while a connection was in use")


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
        shown = f"[{host}]" if ":" in host else host
        raise Unreachable(f"nobody answers at {shown}:{port}: {error}") from error
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return tls.wrap_socket(plain, server_hostname=host) if tls else plain
    except OSError as error:
        plain.close()
        raise NoTls(host, port, error) from error
