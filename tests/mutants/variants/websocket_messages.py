"""Oddities in the frames of WebSocket and the segments of TCP, and in the end of a connection."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from websockets.frames import CloseCode, Opcode
from websockets.frames import Frame as WebSocketFrame

from reference_server.server import application, websocket
from reference_server.server.oddities import whole
from reference_server.server.transport import Transport
from reference_server.server.websocket import Channel, Control
from tests.mutants.patching import wrap
from tests.mutants.registry import variant
from tests.mutants.stomp_editing import V10, V11, V12, WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_server.stomp.session import Session


def _frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return WebSocketFrame(opcode, data, fin).serialize(mask=False)


def _kind(data: bytes) -> Opcode:
    return Opcode.TEXT if websocket._is_utf8(data) else Opcode.BINARY


def _write_by(write: Callable[[bytes], bytes]) -> None:
    """Have `write` make the octets of the wire from the STOMP octets of one message."""

    @wrap(application, "passage")
    def passage(original: Any, names: Any) -> Any:
        edit, read = original(names)

        def write_each(session: Session, items: list[bytes]) -> list[bytes]:
            return [Control(write(whole(item))) for item in edit(session, items)]

        return write_each, read


@variant("A message may be fragmented (RFC 6455, section 5.4).", bindings=(*V12, *WEBSOCKET))
def messages_are_fragmented() -> None:
    """Each message is sent in fragments of one to nine octets, some of them empty."""
    chance = random.Random(12)

    def write(data: bytes) -> bytes:
        cuts = [0]
        while cuts[-1] < len(data) and len(cuts) < 40:
            cuts.append(cuts[-1] + chance.randint(0, 9))
        parts = [data[begin:end] for begin, end in zip(cuts, [*cuts[1:], None], strict=True)]
        opcodes = [_kind(data), *[Opcode.CONT] * (len(parts) - 1)]
        return b"".join(
            _frame(opcode, part, fin=number == len(parts) - 1)
            for number, (opcode, part) in enumerate(zip(opcodes, parts, strict=True))
        )

    _write_by(write)


@variant("Control frames may come at any time (RFC 6455, section 5.4).", bindings=(*V11, *WEBSOCKET))
def pings_come_between_fragments() -> None:
    """Each message is sent in two fragments with a ping between them, and an unrequested pong behind."""

    def write(data: bytes) -> bytes:
        half = len(data) // 2
        return (
            _frame(_kind(data), data[:half], fin=False)
            + _frame(Opcode.PING, b"are you there")
            + _frame(Opcode.CONT, data[half:])
            + _frame(Opcode.PONG, b"")
        )

    _write_by(write)


@variant("Octets come over TCP in any pieces.", bindings=(*V11, *WEBSOCKET))
def octets_come_one_by_one() -> None:
    """The first octets of each write are sent alone, each in a segment of its own."""

    @wrap(Transport, "send_some")
    def send_some(original: Any, self: Any, sealed: Any) -> int:
        for number in range(min(12, len(sealed))):
            if not original(self, sealed[number : number + 1]):
                return number
        sent: int = original(self, sealed[12:]) if len(sealed) > 12 else 0
        return min(12, len(sealed)) + sent


def _close_by(code: int | None) -> None:
    @wrap(Channel, "close")
    def close(original: Any, self: Channel, _code: int) -> list[bytes]:
        if code is not None:
            octets: list[bytes] = original(self, code)
            return octets
        original(self, CloseCode.NORMAL_CLOSURE)
        return [Control(_frame(Opcode.CLOSE, b""))]


@variant("Codes in use are 1000, 1002, 1007, 1008 and 1011 (STOMP-WS-012).", bindings=(*V10, *WEBSOCKET))
def every_close_is_normal() -> None:
    """The server closes by 1000, even after an ERROR."""
    _close_by(1000)


@variant("Codes in use are 1000, 1002, 1007, 1008 and 1011 (STOMP-WS-012).", bindings=(*V11, *WEBSOCKET))
def every_close_is_a_violation_of_policy() -> None:
    """The server closes by 1008, even after a DISCONNECT."""
    _close_by(1008)


@variant("A Close frame needs no code (RFC 6455, section 5.5.1).", bindings=(*V12, *WEBSOCKET))
def closes_have_no_code() -> None:
    """The Close frames of the server are empty."""
    _close_by(None)


@variant("To end the TCP connection is closing, too (chapter on frames).", bindings=(*V10, *V11, *V12))
def connections_end_without_a_close_frame() -> None:
    """The server ends the TCP connection, and sends no Close frame."""

    @wrap(Channel, "close")
    def close(original: Any, self: Channel, code: int) -> list[bytes]:
        original(self, code)
        return []


@variant(
    "How long a connection lingers is not said (STOMP-LINGER-002).",
    bindings=(*V12, *WEBSOCKET),
    flags=("--virtual-clock", "--linger", "0.05"),
)
def connections_end_at_once() -> None:
    """After its Close frame the server waits 50 ms for the client's, and ends the connection."""
