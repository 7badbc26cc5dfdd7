"""Faults in WebSocket messages, control frames, and the end of a connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from websockets.frames import CloseCode

from reference_server.server import websocket
from reference_server.server.application import Application
from reference_server.server.connection import StompConnection
from reference_server.server.websocket import Channel, Control
from reference_server.stomp.errors import ProtocolError
from reference_server.stomp.frame import Frame, FrameReader
from reference_server.stomp.session import Session
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import fault
from tests.mutants.stomp_editing import WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH = re.compile(rb"\ncontent-length:([0-9]+)")


def _add_by(change: Callable[[Channel, bytes, bool], bytes | None]) -> None:
    """Have `change(channel, message, is_text)` choose the STOMP octets of a message; None: it is dropped."""

    @wrap(Channel, "_add")
    def add(original: Any, self: Channel, messages: list[bytes], message: bytes, *, is_text: bool) -> bool:
        changed = change(self, message, is_text)
        return True if changed is None else bool(original(self, messages, changed, is_text=is_text))


@fault("STOMP-WS-006", bindings=WEBSOCKET)
def text_is_ascii() -> None:
    """Characters outside of ASCII in a text message become question marks."""
    _add_by(
        lambda _channel, message, is_text: (
            message.decode(errors="replace").encode("ascii", "replace") if is_text else message
        )
    )


@fault("WEBSOCKET-UTF8-1", bindings=WEBSOCKET)
def what_is_not_utf_8_is_replaced() -> None:
    """Octets of a text message that are not UTF-8 become U+FFFD."""
    _add_by(
        lambda _channel, message, is_text: (
            _recounted(message.decode(errors="replace").encode()) if is_text else message
        )
    )


def _recounted(message: bytes) -> bytes:
    """Frame with its content-length, if any, corrected."""
    head, _, body = message.partition(b"\n\n")
    return _LENGTH.sub(b"\ncontent-length:%d" % (len(body) - 1), head) + _ + body


@fault("WEBSOCKET-UTF8-1", bindings=WEBSOCKET)
def surrogates_are_taken_for_utf_8() -> None:
    """A text message may hold encoded surrogates, which are not UTF-8."""
    original = websocket._is_utf8

    def is_utf8(data: bytes) -> bool:
        return original(re.sub(rb"\xed[\xa0-\xbf][\x80-\xbf]", b"", data))

    replace(websocket, "_is_utf8")(is_utf8)


@fault("STOMP-WS-022", bindings=WEBSOCKET)
def what_is_not_utf_8_breaks_the_protocol() -> None:
    """A text message that is not UTF-8 is answered by close code 1002."""

    @wrap(Channel, "_add")
    def add(original: Any, self: Channel, messages: list[bytes], message: bytes, *, is_text: bool) -> bool:
        if is_text and not websocket._is_utf8(message):
            with self._lock:
                self._protocol.fail(CloseCode.PROTOCOL_ERROR, "no UTF-8")
            return False
        return bool(original(self, messages, message, is_text=is_text))


@fault("STOMP-WS-007", bindings=WEBSOCKET)
def binary_messages_are_ignored() -> None:
    """A binary message is dropped."""
    _add_by(lambda _channel, message, is_text: message if is_text else None)


def _first_frame(message: bytes) -> bytes:
    """The part of a message that is its first frame."""
    start = len(message) - len(message.lstrip(b"\r\n"))
    head = message.find(b"\n\n", start)
    length = _LENGTH.search(message, start, max(head, start))
    end = head + 2 + int(length.group(1)) if length else message.find(b"\0", start)
    return message if end < 0 else message[: end + 1]


@fault("STOMP-WS-003", bindings=WEBSOCKET)
def only_the_first_frame_of_a_message_is_obeyed() -> None:
    """All frames of a message but the first are dropped."""
    _add_by(lambda _channel, message, _is_text: _first_frame(message))


@fault("STOMP-WS-003", bindings=WEBSOCKET)
def line_ends_between_frames_of_a_message_are_malformed() -> None:
    """Line ends between the frames of a message are malformed."""
    _add_by(
        lambda _channel, message, _is_text: (
            message if b"\ncontent-length" in message else re.sub(rb"\0\n+(?=[A-Z])", rb"\0~", message)
        )
    )


@fault("STOMP-WS-004", bindings=WEBSOCKET)
def a_frame_ends_with_its_message() -> None:
    """A message that is not one whole frame is dropped."""
    _add_by(
        lambda _channel, message, _is_text: (
            message
            if message.endswith(b"\0") or not message.strip(b"\r\n")
            else message.rstrip(b"\r\n")
            if message.rstrip(b"\r\n").endswith(b"\0")
            else None
        )
    )


@fault("STOMP-WS-004", bindings=WEBSOCKET, hard=True)
def an_empty_line_must_not_be_cut_in_two() -> None:
    """A frame that is cut between the two octets of its empty line loses the first of them."""

    @wrap(FrameReader, "_keep_head")
    def keep(original: Any, self: FrameReader, rest: bytes) -> None:
        original(self, rest[:-1] if rest.endswith(b"\n") else rest)


@fault("STOMP-WS-004", bindings=WEBSOCKET)
def a_nul_must_not_come_alone() -> None:
    """If a message begins with the NUL of a frame, that NUL is overlooked."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        is_cut = self._pending and not self._is_counted
        frames: list[Frame] = original(self, data.removeprefix(b"\0") if is_cut else data)
        return frames


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def fragments_are_messages() -> None:
    """Only the first fragment of a message is processed, and the others are dropped."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        went_on = bool(original(self, octets, messages))
        del self._fragments[1:]
        return went_on


@fault("STOMP-WS-005", bindings=WEBSOCKET)
def a_ping_ends_a_fragmented_message() -> None:
    """A ping between the fragments of a message makes the server forget the earlier ones."""

    @wrap(Channel, "_judge")
    def judge(original: Any, self: Channel, octets: bytes, messages: list[bytes]) -> bool:
        went_on = bool(original(self, octets, messages))
        if octets[:1] == b"\x89" and self._fragments:
            self._fragments[:] = [b""]
        return went_on


@fault("WEBSOCKET-MASK-1", bindings=WEBSOCKET)
def frames_need_no_mask() -> None:
    """An unmasked frame of the client is accepted."""

    @wrap(Channel, "receive")
    def receive(original: Any, self: Channel, data: bytes) -> bytes | None:
        if not self._pending and len(data) > 1 and data[0] in (0x81, 0x82) and data[1] < 126:
            data = bytes([data[0], data[1] | 0x80, 0, 0, 0, 0]) + data[2:]
        octets: bytes | None = original(self, data)
        return octets


@fault("STOMP-WS-008", bindings=WEBSOCKET)
def every_message_is_text() -> None:
    """A MESSAGE whose body is not UTF-8 is sent as text."""
    head = websocket._head
    replace(websocket, "_head")(lambda size, *, is_text: head(size, is_text=True))


def _refuse_line_ends(is_refused: Callable[[bytes], bool]) -> None:
    """Answer messages that hold only line ends by ERROR if `is_refused` says so."""

    @wrap(FrameReader, "feed")
    def feed(original: Any, self: FrameReader, data: bytes) -> list[Frame]:
        frames: list[Frame] = original(self, data)
        if data and not data.strip(b"\r\n") and is_refused(data) and self.error is None:
            self.error = ProtocolError("frame without a command", "Begin it with one.")
        return frames


@fault("STOMP-WS-009", bindings=WEBSOCKET)
def a_heart_beat_is_one_line_feed() -> None:
    """A message of several line feeds is malformed."""
    _refuse_line_ends(lambda data: data != b"\n")


@fault("STOMP-WS-009", bindings=WEBSOCKET)
def a_heart_beat_is_echoed() -> None:
    """A message of line ends is answered by a line end."""

    @wrap(Session, "handle")
    def handle(original: Any, self: Session, items: list[Any], now: float, queue_now: float) -> None:
        original(self, items, now, queue_now)
        if not items and not self._reader.incomplete and not self.closing:
            self.emit(b"RECEIPT\nreceipt-id:\n\n\0")


@fault("STOMP-WS-021", bindings=WEBSOCKET)
def a_pong_is_empty() -> None:
    """A ping is answered by a pong without data."""
    _edit_replies(lambda octets: b"\x8a\x00" if octets[:1] == b"\x8a" else octets)


@fault("STOMP-WS-021", bindings=WEBSOCKET)
def a_long_ping_is_cut() -> None:
    """A pong is cut to 64 octets of data."""
    _edit_replies(
        lambda octets: (
            b"\x8a" + bytes([min(octets[1], 64)]) + octets[2:66] if octets[:1] == b"\x8a" else octets
        )
    )


def _edit_replies(edit: Callable[[bytes], bytes]) -> None:
    @wrap(Channel, "replies")
    def replies(original: Any, self: Channel) -> list[bytes]:
        return [Control(edit(octets)) for octets in original(self)]


@fault("STOMP-WS-012", bindings=WEBSOCKET)
def an_error_is_followed_by_nothing() -> None:
    """After an ERROR the TCP connection is ended, without a Close frame."""

    @wrap(Channel, "close")
    def close(original: Any, self: Channel, code: int) -> list[bytes]:
        octets: list[bytes] = original(self, code)
        return octets if code == CloseCode.NORMAL_CLOSURE else []


@fault("STOMP-WS-013", bindings=WEBSOCKET)
def the_close_frame_overtakes_the_receipt() -> None:
    """After a DISCONNECT the Close frame is sent before the RECEIPT."""

    @wrap(StompConnection, "take_output")
    def take_output(original: Any, self: StompConnection) -> None:
        session = self._session
        if session.closing and session._output and session._output[-1].startswith(b"RECEIPT"):
            self._outbox.put(self._channel.close(CloseCode.NORMAL_CLOSURE))
        original(self)


@fault("STOMP-WS-014", bindings=WEBSOCKET)
def a_cut_connection_is_not_noticed() -> None:
    """A session whose connection is cut without a Close frame goes on."""

    @wrap(Application, "close_session")
    def close_session(original: Any, self: Application, session: Session) -> None:
        peer = self._peers.get(session)
        if session.closing or peer is None or peer._channel.is_over:  # type: ignore[attr-defined]
            original(self, session)


@fault("STOMP-WS-014", bindings=WEBSOCKET)
def a_close_frame_commits() -> None:
    """Open transactions are committed when a Close frame arrives."""

    @wrap(Session, "lost")
    def lost(original: Any, self: Session, now: float) -> None:
        if not self.closing:
            for transaction in self._transactions._open.values():
                for step in transaction.steps:
                    if isinstance(step, Frame):
                        self.hub.router.send(self, step)
        original(self, now)
