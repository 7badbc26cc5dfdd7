"""One connection: HTTP requests until one of them asks for WebSocket, then a STOMP session until the end.

On a port of plain STOMP it is the session from its first octet.
"""

import contextlib

from reference_server.budget import Charge
from reference_server.queue.outcomes import Outcome
from reference_server.queue.refusal import cause_of
from reference_server.server.application import Application
from reference_server.server.clock import wall
from reference_server.server.cross_origin import leave_to_read
from reference_server.server.http import HttpBinding
from reference_server.server.outbox import Outbox
from reference_server.server.requests import Request, RequestReader
from reference_server.server.responses import write
from reference_server.server.stream import Stream
from reference_server.server.transport import Transport
from reference_server.server.websocket import Channel, shake_hands
from reference_server.stomp.outlet import TOO_SLOW

_NORMAL = 1000
_PROTOCOL_ERROR = 1002
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def serve(transport: Transport, application: Application, binding: HttpBinding) -> None:
    """Serve a connection to its end, in the thread of the caller. Raises OSError if the peer is gone or silent."""
    with contextlib.closing(RequestReader(application.settings, application.budget)) as reader:
        upgrade = _serve_http(reader, transport, application, binding)
    if upgrade is not None:
        _serve_websocket(transport, application, *upgrade)
    else:
        _drain(transport, application)


def _serve_http(
    reader: RequestReader, transport: Transport, application: Application, binding: HttpBinding
) -> tuple[Request, bytes] | None:
    """Answer requests in their order (HTTP-PIPE-1); return the first upgrade to WebSocket and the octets after it."""
    charge = Charge(application.budget)
    while True:
        try:
            data = transport.receive()
        except TimeoutError:
            refusal = reader.give_up()
            if refusal is not None:
                _note(application, refusal, transport)
                transport.send_all(write(refusal, keep_alive=False))
            return None
        requests, refusal = reader.feed(data, wall())
        for request in requests:
            response, lines = binding.guard.check_source(request), ""
            if response is None:
                lines = leave_to_read(binding.guard.foreign_page(request))
                if request.is_upgrade and request.path in application.endpoints:
                    return request, reader.rest
                response = binding.answer(request, transport)
            if response is None:
                return None
            _note(application, response, transport, request.path)
            keep_alive = request.keep_alive and not request.is_upgrade
            with_body = request.method != "HEAD"
            octets = write(response, keep_alive=keep_alive, with_body=with_body, lines=lines)
            charge.set(len(octets))
            transport.send_all(octets)
            charge.set(0)
            if not keep_alive:
                return None
        if refusal is not None:
            _note(application, refusal, transport)
            transport.send_all(write(refusal, keep_alive=False, with_body=not reader.is_head))
        if refusal is not None or not data:
            return None
        if reader.wants_continue:  # HTTP-EXPECT-1
            transport.send_all(_CONTINUE)
            reader.wants_continue = False


def _note(application: Application, response: Outcome, transport: Transport, path: str = "") -> None:
    """Count a response that is a refusal."""
    if response.status >= 400:
        cause, address = cause_of(response.body), transport.address
        application.events.refused(cause, status=response.status, address=address, path=path[:200])


def _drain(transport: Transport, application: Application) -> None:
    """End our side and read on until the peer ends or the linger time is over.

    Closing a socket with unread octets would reset the connection, and the last answer could be lost.
    """
    transport.half_close()
    application.timer.call_at(wall() + application.settings.linger, transport.cut)
    while transport.receive():
        pass


def serve_stream(transport: Transport, application: Application) -> None:
    """Serve a connection that is a STOMP session from its first octet. Raises as `serve` does."""
    StompConnection(transport, application, Stream()).serve(b"", lenient=False)


def _serve_websocket(transport: Transport, application: Application, request: Request, rest: bytes) -> None:
    response = shake_hands(request.headers)
    transport.send_all(response.serialize())
    if response.status_code != 101:
        address = transport.address
        application.events.refused("handshake-refused", status=response.status_code, address=address)
        _drain(transport, application)
        return
    # Twice the largest frame: one that is over its bound gets an ERROR about that.
    channel = Channel(2 * application.settings.frame_bytes)
    StompConnection(transport, application, channel).serve(rest, lenient=application.endpoints[request.path])


class StompConnection:
    """A STOMP session over WebSocket or TCP: its reading thread, and the calls of other threads."""

    def __init__(self, transport: Transport, application: Application, channel: Channel | Stream) -> None:
        settings = application.settings
        self._transport = transport
        self._application = application
        self._channel = channel
        bound = max(settings.outbox_bytes, settings.output_window + settings.frame_bytes)
        self._outbox = Outbox(transport, bound, channel.write, Charge(application.budget))
        self._charge = Charge(application.budget)
        self._bound = bound
        self._is_ending = False

    def serve(self, rest: bytes, *, lenient: bool) -> None:
        """Serve the session to its end; `rest` are octets of it that have come."""
        self._transport.limit_waits(0)
        self._session = self._application.open_session(lenient=lenient, address=self._transport.address)
        self._session.output_bound = self._bound
        self._application.attach(self._session, self)
        try:
            self._read(rest)
        finally:
            self._application.close_session(self._session)
            self._outbox.clear()
            self._charge.set(0)

    def _read(self, data: bytes) -> None:
        session, application, channel, outbox = self._session, self._application, self._channel, self._outbox
        data = data or self._transport.receive()
        while data:
            if not self._is_ending:
                items = session.parse(channel.receive(data) or b"")
                session.is_cut = channel.is_incomplete
                application.handle(session, items)
                self._charge.set(channel.held + session.held)
                if self._charge.octets and not application.budget.has_room():
                    application.fail(session, "server full", "Frames are kept until whole. Come back later.")
                if channel.is_too_big:
                    application.fail(session, "message too big", "Send frames in smaller WebSocket messages.")
                replies = channel.replies()
                if replies and not outbox.put(replies):
                    outbox.clear()
                    application.fail(session, *TOO_SLOW)
                if channel.is_over:
                    self._end()
                    application.close_session(session)  # STOMP-WS-014
                if replies or channel.is_over:
                    self.flush()
            data = self._transport.receive()

    # Called by other threads.

    def take_output(self) -> None:
        """Move the session's output to the outbox; called under the application lock."""
        session, outbox = self._session, self._outbox
        output = session.take_output()
        self._application.events.frames_sent += len(output) - output.count(b"\n")
        if not outbox.put(self._application.write(session, output)) and not session.closing:
            # STOMP-LIMIT-006: the ERROR replaces the undelivered output.
            outbox.clear()
            session.fail(*TOO_SLOW)
            output = session.take_output()
            outbox.put(self._application.write(session, output))
        if session.closing and not self._is_ending:
            is_error = bool(output) and output[-1].startswith(b"ERROR")
            outbox.put(self._channel.close(_PROTOCOL_ERROR if is_error else _NORMAL))  # STOMP-WS-012
            self._end()

    def cut(self) -> None:
        """End the TCP connection without a word."""
        self._transport.cut()

    def flush(self) -> None:
        """Write what waits, and have queues deliver more when all is written."""
        self._outbox.flush(self._resume)
        if self._session.stalled and self._outbox.is_empty:
            self._outbox.hand_over(self._resume)  # this thread has other work to do

    def _resume(self) -> None:
        if self._session.stalled:
            self._application.resume(self._session)

    def _end(self) -> None:
        """Close the connection after the last frame and the linger time."""
        if self._is_ending:
            return
        self._is_ending = True
        self._outbox.finish()
        self._application.timer.call_at(wall() + self._application.settings.linger, self._transport.cut)
