"""Oddities in the stream of STOMP over TCP, in its end, and in the reaction to octets of something else."""

from __future__ import annotations

from typing import Any

from reference_server.server import connection
from reference_server.server.outbox import Outbox
from reference_server.server.stream import Stream
from reference_server.server.transport import Transport
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import variant
from tests.mutants.stomp_editing import TCP, V10, V11, V12

#: Octets of each segment of a server that sends small ones.
_SMALL = 3
_HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@variant("Segments mean nothing (chapter on TCP).", bindings=(*V12, *TCP))
def segments_of_three_octets() -> None:
    """Octets to a client leave in segments of three at most."""

    @wrap(Transport, "send_some")
    def send_some(original: Any, self: Transport, sealed: bytes | memoryview) -> int:
        return sum(original(self, sealed[at : at + _SMALL]) for at in range(0, min(300, len(sealed)), _SMALL))


@variant("Segments mean nothing (chapter on TCP).", bindings=(*V11, *TCP))
def line_ends_in_segments_of_their_own() -> None:
    """Behind each frame a line end follows in a segment of its own."""

    @wrap(Outbox, "_write_some")
    def write_some(original: Any, self: Outbox) -> bool:
        had = bool(self._items)
        whole = bool(original(self))
        if had and whole and not self._tail and not self._finishing:
            self._transport.send_some(self._transport.seal(b"\n"))
        return whole


@variant("A half-closed connection may be ended at once (TCP-HALF-2).", bindings=(*V10, *TCP))
def nothing_is_answered_behind_a_fin() -> None:
    """The connection is reset at the client's FIN, once its frames are processed."""

    @wrap(connection.StompConnection, "_read")
    def read(original: Any, self: connection.StompConnection, data: bytes) -> None:
        try:
            original(self, data)
        finally:
            self._outbox.clear()
            self._transport.cut()


@variant("One port may speak several protocols (TCP-FOREIGN-2).", bindings=TCP)
def http_is_answered_at_the_port() -> None:
    """An HTTP request is answered as such, and the connection stays open."""

    @wrap(connection.StompConnection, "_read")
    def read(original: Any, self: connection.StompConnection, data: bytes) -> None:
        data = data or self._transport.receive()
        if data.startswith((b"GET ", b"POST ")):
            self._transport.send_all(_HTTP)
            while self._transport.receive():
                pass
            return
        original(self, data)


@variant("Octets of another protocol may be met by silence (TCP-FOREIGN-2).", bindings=TCP)
def what_is_foreign_is_ignored() -> None:
    """From octets on that begin no frame, all octets are dropped, and the connection stays open."""

    @replace(Stream, "receive")
    def receive(self: Stream, data: bytes) -> bytes:
        is_foreign = getattr(self, "is_foreign", False) or data.startswith((b"GET ", b"POST ", b"\x16"))
        self.is_foreign = is_foreign  # type: ignore[attr-defined]
        return b"" if is_foreign else data
