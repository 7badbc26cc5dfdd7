"""Faults in STOMP over TCP: the stream, its end, and octets of something else."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from typing import Any

from reference_server.server import connection
from reference_server.server.application import Application
from reference_server.server.stream import Stream
from reference_server.server.transport import Transport
from reference_server.stomp.session import Session
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import TCP

#: State of TCP after the peer's FIN, as TCP_INFO has it on Linux.
_CLOSE_WAIT = 8
_SOON_SECONDS = 0.01
_never = threading.Event()


@fault("TCP-SESSION-1", bindings=TCP)
def a_connect_without_a_choice_is_not_heard() -> None:
    """A CONNECT that comes first on a connection, and offers 1.2 alone, is dropped."""

    @wrap(Stream, "receive")
    def receive(original: Any, self: Stream, data: bytes) -> bytes:
        return b"" if data.startswith(b"CONNECT\naccept-version:1.2\n") else bytes(original(self, data))


@fault("TCP-SEGMENTS-1", bindings=TCP)
def a_segment_ends_a_frame() -> None:
    """The unfinished frame at the end of a segment is dropped."""

    @wrap(Stream, "receive")
    def receive(original: Any, self: Stream, data: bytes) -> bytes:
        whole: bytes = original(self, data)
        return whole[: whole.rfind(b"\0") + 1]


@fault("TCP-SEGMENTS-1", bindings=TCP)
def a_cr_and_its_lf_come_together() -> None:
    """A CR at the end of a segment is dropped."""

    @wrap(Stream, "receive")
    def receive(original: Any, self: Stream, data: bytes) -> bytes:
        whole: bytes = original(self, data)
        return whole[:-1] + b"\n" if whole.endswith(b"\r") else whole


@fault("TCP-SEGMENTS-2", bindings=TCP)
def frames_in_one_segment_are_lost() -> None:
    """Of the frames in one segment only the first is processed."""

    @wrap(Session, "parse")
    def parse(original: Any, self: Session, data: bytes) -> Any:
        items = original(self, data)
        return items[:1] if isinstance(items, list) else items


@fault("TCP-SEGMENTS-3", bindings=TCP)
def the_nul_is_processed_later() -> None:
    """The last octet of a segment is processed with the next one, if a frame has begun in it."""

    @wrap(Stream, "receive")
    def receive(original: Any, self: Stream, data: bytes) -> bytes:
        held: bytes = getattr(self, "late", b"")
        whole = held + original(self, data)
        begun = whole.rpartition(b"\0")[2].strip(b"\r\n")
        end = whole.rfind(b"\0") if begun else len(whole)
        self.late = whole[end:]  # type: ignore[attr-defined]
        return whole[:end]


@fault("TCP-END-1", bindings=TCP)
def sessions_outlive_their_connections() -> None:
    """The session of a connection that has ended stays open."""

    @replace(Application, "close_session")
    def close_session(self: Application, session: Session) -> None:
        del self, session


@fault("TCP-END-1", bindings=TCP)
def a_frame_needs_no_nul_at_the_end() -> None:
    """The end of the connection ends a frame, as a NUL does."""

    @wrap(connection.StompConnection, "_read")
    def read(original: Any, self: connection.StompConnection, data: bytes) -> None:
        try:
            original(self, data)
        finally:
            session = self._session
            self._application.handle(session, session.parse(b"\0"))


@fault("TCP-HALF-1", bindings=TCP)
def a_fin_drops_what_was_sent_before() -> None:
    """Octets that came right before the client's end are dropped."""

    @wrap(Transport, "receive")
    def receive(original: Any, self: Transport) -> bytes:
        data: bytes = original(self)
        _never.wait(_SOON_SECONDS)  # the FIN may come right behind the octets
        state = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return b"" if state == _CLOSE_WAIT else data


@fault("TCP-ERROR-1", bindings=TCP)
def an_error_is_followed_by_a_reset() -> None:
    """The connection is reset behind an ERROR."""

    @replace(Transport, "half_close")
    def half_close(self: Transport) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.shutdown(socket.SHUT_RD)  # wakes the reading thread, which closes

    @replace(socketserver.TCPServer, "shutdown_request")
    def shutdown_request(self: socketserver.TCPServer, request: socket.socket) -> None:
        self.close_request(request)


@fault("TCP-FOREIGN-1", bindings=TCP)
def what_begins_no_frame_is_skipped() -> None:
    """Octets in front of a CONNECT are skipped."""

    @wrap(Stream, "receive")
    def receive(original: Any, self: Stream, data: bytes) -> bytes:
        whole: bytes = original(self, data)
        begin = whole.find(b"CONNECT\n") if whole.startswith(b"POST ") else 0
        return whole[max(0, begin) :]
