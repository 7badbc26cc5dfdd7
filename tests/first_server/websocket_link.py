"""The server's end of a WebSocket connection."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import SEND_EOF, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.first_server.http_requests import Incoming

SUBPROTOCOLS = [Subprotocol(name) for name in ("v12.stomp", "v11.stomp", "v10.stomp")]
MOST_OCTETS = 1 << 20
#: Most messages in one burst.
LONGEST_BURST = 2000


class WebSocketLink:
    """An upgraded connection. `send` is safe for several threads, `bursts` is for one."""

    def __init__(self, link: socket.socket, incoming: Incoming, head: bytes) -> None:
        """Answer the upgrade whose octets are `head`; `is_open` says if it was accepted."""
        self._link = link
        self._incoming = incoming
        self._protocol = ServerProtocol(
            subprotocols=SUBPROTOCOLS, select_subprotocol=_select, max_size=MOST_OCTETS
        )
        self._lock = threading.Lock()
        self._message = b""
        with self._lock:
            self._protocol.receive_data(head)
            for request in self._protocol.events_received():
                assert isinstance(request, Request)
                self._protocol.send_response(self._protocol.accept(request))
            self._flush()

    @property
    def is_open(self) -> bool:
        """True while messages can be sent and received."""
        return self._protocol.state is State.OPEN

    def send(self, octets: bytes) -> None:
        """Send one text message. Raises OSError if the connection is gone; does nothing while it closes."""
        with self._lock:
            if self.is_open:
                self._protocol.send_text(octets)
                self._flush()

    def close(self, code: int = 1000) -> None:
        """Begin the closing handshake."""
        with self._lock:
            if self.is_open:
                self._protocol.send_close(code)
                self._flush()

    def bursts(self, gap: float = 0.0) -> Iterator[list[bytes]]:
        """Messages until the end of the connection, grouped if less than `gap` seconds apart."""
        burst: list[bytes] = []
        while octets := self._incoming.some():
            burst += self._received(octets)
            if burst and not (len(burst) < LONGEST_BURST and gap and self._has_more(gap)):
                yield burst
                burst = []
            if self._protocol.state is State.CLOSED:
                return
        if burst:
            yield burst

    def _has_more(self, gap: float) -> bool:
        return bool(select.select([self._link], [], [], gap)[0])

    def _received(self, octets: bytes) -> list[bytes]:
        """Messages that are completed by these octets; pings and closes are answered."""
        with self._lock:
            self._protocol.receive_data(octets)
            events = self._protocol.events_received()
            self._flush()
        messages = []
        for event in events:
            if isinstance(event, Frame) and event.opcode in {Opcode.TEXT, Opcode.BINARY, Opcode.CONT}:
                self._message += bytes(event.data)
                if event.fin:
                    messages.append(self._message)
                    self._message = b""
        return messages

    def _flush(self) -> None:
        try:
            for octets in self._protocol.data_to_send():
                if octets == SEND_EOF:
                    self._link.shutdown(socket.SHUT_WR)
                else:
                    self._link.sendall(octets)
        except OSError:
            # A partial frame may have been sent: no other one can follow it.
            with contextlib.suppress(OSError):
                self._link.shutdown(socket.SHUT_RDWR)
            raise


def _select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """The first known subprotocol; None if there is none, and the connection is opened all the same."""
    return next((name for name in offered if name in SUBPROTOCOLS), None)
