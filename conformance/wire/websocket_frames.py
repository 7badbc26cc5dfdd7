"""Reader of a server's WebSocket frames and messages (RFC 6455, section 5), in the frame class of `websocket-client`.

The library's own reader unmasks the masked frames of a server, waits for as many octets as a header announces, and
copies a message at each of its fragments. Here a header alone refuses a frame, and a connection keeps one message.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import websocket
from websocket import ABNF

from conformance.wire.failures import TooLong

if TYPE_CHECKING:
    from collections.abc import Callable

#: Longest message that the suite reads, in octets, where it has sent nothing long itself.
MESSAGE_LIMIT = 4 << 20
#: Most fragments of one message, besides one for each FRAGMENT_OCTETS of it.
FRAGMENTS_LIMIT = 20_000
FRAGMENT_OCTETS = 16
_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
#: Octets of the extended length, by the value that announces it.
_EXTENDED = {126: 2, 127: 8}
_CONTROL = 0x08
_LONGEST_CONTROL = 125
_PIECE = 64 << 10


class FrameReader:
    """Reads frames through `receive`, which returns up to so many octets, and b"" at the end of the stream."""

    def __init__(self, receive: Callable[[int], bytes]) -> None:
        self._receive = receive
        self.limit = MESSAGE_LIMIT
        """Longest frame that is read, in octets."""
        self._ahead, self._at = b"", 0
        """Octets that came behind those read so far, and the position of the next of them."""
        self._head = bytearray()
        self._payload = io.BytesIO()

    def clear(self) -> None:
        """Drop what has come, whether whole frames or not."""
        self._ahead, self._at = b"", 0
        self._begin_frame()

    def read(self) -> Any:
        """Next frame, an `ABNF` of the library; a call after an exception goes on within the same frame.

        Raises WebSocketProtocolException if RFC 6455 is broken, TooLong for a frame beyond the limit, EOFError at
        the end of the stream, and as `receive` does.
        """
        self._read_head(2)
        first, second = self._head[0], self._head[1]
        _check(first, second)
        length = second & _LENGTH
        if extended := _EXTENDED.get(length):
            self._read_head(2 + extended)
            length = int.from_bytes(self._head[2 : 2 + extended], "big")
        if length > self.limit:
            raise TooLong(f"WebSocket messages of at most {self.limit} octets", f"a frame of {length}")
        while (missing := length - self._payload.tell()) > 0:
            self._payload.write(self._some(missing))
        payload = self._payload.getvalue()
        self._begin_frame()
        frame = ABNF(first >> 7, 0, 0, 0, first & _OPCODE, 0, payload)
        frame.validate(skip_utf8_validation=True)
        return frame

    def _begin_frame(self) -> None:
        self._head.clear()
        self._payload = io.BytesIO()

    def _read_head(self, size: int) -> None:
        while len(self._head) < size:
            self._head += self._some(size - len(self._head))

    def _some(self, size: int) -> bytes:
        """Up to `size` octets, at least one: most frames come whole, and several at a time."""
        if self._at == len(self._ahead):
            self._ahead, self._at = self._receive(_PIECE), 0
            if not self._ahead:
                raise EOFError("the connection ended")
        octets = self._ahead[self._at : self._at + size]
        self._at += len(octets)
        return octets


def _check(first: int, second: int) -> None:
    """Raises WebSocketProtocolException if the first two octets show that a frame is malformed."""
    wrong = ""
    if first & _RESERVED:
        wrong = "a frame with a reserved bit, but no extension was negotiated"
    elif first & _OPCODE not in ABNF.OPCODES:
        wrong = f"a frame with the opcode {first & _OPCODE}"
    elif second & _MASKED:
        wrong = "a masked frame of the server"
    elif first & _CONTROL and not (first & _FIN and second & _LENGTH <= _LONGEST_CONTROL):
        wrong = "a control frame that is fragmented or longer than 125 octets"
    if wrong:
        raise websocket.WebSocketProtocolException(wrong)


class MessageAssembly:
    """Joins the fragments of one message."""

    def __init__(self) -> None:
        self._opcode: int | None = None
        self._parts = bytearray()
        self._count = 0

    def clear(self) -> None:
        """Drop the fragments of an incomplete message."""
        self._opcode, self._parts, self._count = None, bytearray(), 0

    def add(self, frame: Any, limit: int = MESSAGE_LIMIT) -> tuple[int, bytes] | None:
        """Opcode and octets of the message that a data frame completes; None for a fragment before the last.

        Raises WebSocketProtocolException if the fragment doesn't belong there, TooLong beyond `limit` octets
        or FRAGMENTS_LIMIT.
        """
        if (self._opcode is None) == (frame.opcode == ABNF.OPCODE_CONT):
            raise websocket.WebSocketProtocolException(
                "a continuation of no message" if self._opcode is None else "a message within another"
            )
        if self._opcode is None and frame.fin:
            return frame.opcode, frame.data
        self._opcode = frame.opcode if self._opcode is None else self._opcode
        self._parts += frame.data
        self._count += 1
        if len(self._parts) > limit or self._count > FRAGMENTS_LIMIT + len(self._parts) // FRAGMENT_OCTETS:
            seen = f"{self._count} fragments of {len(self._parts)} octets, and no end"
            raise TooLong(f"WebSocket messages of at most {limit} octets", seen)
        if not frame.fin:
            return None
        opcode, octets = self._opcode, bytes(self._parts)
        self.clear()
        return opcode, octets
