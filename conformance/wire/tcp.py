"""STOMP over TCP or TLS: the octets of STOMP as they are (`spec/tcp.md`)."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conformance.wire.access import Access
from conformance.wire.connection import ALLOWANCE, tls_context
from conformance.wire.failures import TooLong
from conformance.wire.link import Closed, Link, Message

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from conformance.wire.link import Parts
    from conformance.wire.trace import Trace

#: Schemes of URLs and their ports; other tools write several of them.
PLAIN = {"stomp": 61613, "tcp": 61613}
SECURE = {"stomps": 61614, "stomp+ssl": 61614, "ssl": 61614}
PORTS = PLAIN | SECURE
_READ_OCTETS = 64 << 10


class TcpLink(Link):
    """One TCP or TLS connection to `url`, whose scheme is one of PORTS. Raises Unreachable, NoTls."""

    overhead = 0

    def __init__(
        self,
        url: str,
        trace: Trace | None = None,
        patience: float = 5.0,
        *,
        tls: ssl.SSLContext | None = None,
        interrupted: threading.Event | None = None,
        access: Access | None = None,
    ) -> None:
        """`tls` is for the secure schemes; of `access` only the admission counts."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS:
            raise ValueError(f"not a URL of STOMP over TCP: {url}")
        self._is_secure = parts.scheme in SECURE
        super().__init__(
            url,
            (parts.hostname or "", parts.port or PORTS[parts.scheme]),
            trace,
            patience,
            tls=(tls or tls_context()) if self._is_secure else None,
            interrupted=interrupted,
            admission=(access or Access()).admission,
        )
        self._is_reading = threading.Lock()
        self._note("open", transport="tcp")

    def send_octets(self, octets: bytes, *, binary: bool | None = None) -> None:
        """Send octets; they have no kind here."""
        del binary
        self._record(">", octets)
        self._write(octets)

    def wire(self, *messages: bytes) -> bytes:
        """The octets, one behind the other."""
        return b"".join(messages)

    def send_pieces(self, pieces: Sequence[bytes], pause: Callable[[], object] = lambda: None) -> None:
        """Send octets in several writes; the trace has them as one event, whose frames a replay can rename."""
        cuts = [cut for cut in itertools.accumulate(map(len, pieces[:-1])) if cut]
        self._record(">", b"".join(pieces), cuts=cuts)
        for piece in filter(None, pieces):
            self._write(piece)
            pause()

    def send_in_two(self, octets: bytes, cut: int, by: Parts, apart: float) -> bool:
        """Send a frame in two writes: TCP has segments only, and does not show what the peer has read."""
        del apart
        if by == "segments":
            self.send_pieces([octets[:cut], octets[cut:]])
        return by == "segments"

    def end_sending(self) -> None:
        """Half-close the connection."""
        self._connection.stop_sending()

    @property
    def is_ended_by_peer(self) -> bool:
        """False: no text says what a server does on a half-closed connection (TCP-HALF-2)."""
        return False

    def receive(self, deadline: float | None = None) -> Message | Closed | None:
        """Octets that have come, or the end of the connection; None if neither comes by `deadline`.

        Raises TooLong for more octets than the suite reads in one wait.
        """
        if self.closed:
            return self.closed
        if not self._is_reading.acquire(blocking=False):
            raise RuntimeError("two threads read one link: what each gets is a part of the stream")
        try:
            self._connection.begin(deadline, ALLOWANCE + 2 * self.sent)
            octets = self._connection.recv(_READ_OCTETS)
        except TimeoutError:
            return None
        except TooLong:
            self._note("end", broken=True)
            self._ended(Closed())
            raise
        except OSError:
            return self._ended(Closed())
        finally:
            self._is_reading.release()
        if not octets:
            return self._ended(Closed(orderly=True))
        self._record("<", octets)
        return Message("stream", octets)

    def close(self) -> None:
        """Close the connection: both sides at once."""
        self.drop()
