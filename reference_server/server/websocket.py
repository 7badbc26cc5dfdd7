"""WebSocket without I/O: the handshake, messages to STOMP octets and back, ping, pong and close.

The octets themselves are the business of the `websockets` library (RFC 6455).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from websockets.http11 import Response
    from websockets.typing import Subprotocol

ENDPOINTS = {"/stomp": False, "/producer": True, "/consumer": True}
"""The paths, and whether the liberties of the sample clients are allowed there (QSTOMP-ENDPOINT-1)."""

SUBPROTOCOLS = ("v12.stomp", "v11.stomp", "v10.stomp")


class Control(bytes):
    """Octets that are WebSocket frames already, among STOMP frames that are to become some."""


def shake_hands(headers: Iterable[tuple[str, str]]) -> Response:
    """Answer the upgrade request: 101, or a refusal (400, 426) that says why.

    A STOMP subprotocol is selected among those offered, the highest; with none, none (STOMP-WS-001, -020;
    QSTOMP-SUBPROTOCOL-1). It binds nobody: CONNECT decides on the version (STOMP-WS-002).
    """
    handshake = ServerProtocol(select_subprotocol=_select)
    fields = Headers()
    for name, value in headers:
        fields[name] = value
    versions = fields.get_all("Sec-WebSocket-Version")
    if versions and versions != ["13"]:  # WEBSOCKET-VERSION-1, WEBSOCKET-VERSION-2
        response = handshake.reject(426, "Expected Sec-WebSocket-Version: 13.\n")
        response.headers["Sec-WebSocket-Version"] = "13"
        response.headers["Upgrade"] = "websocket"
        return response
    return handshake.accept(Request("/", fields))


def _select(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    del protocol
    return next((name for ours in SUBPROTOCOLS for name in offered if name == ours), None)


class Channel:
    """One WebSocket connection after its handshake. One thread receives; any thread may close."""

    def __init__(self, max_message: int) -> None:
        """`max_message` is the bound of one message of the client in octets (STOMP-WS-015)."""
        self._protocol = ServerProtocol(state=State.OPEN, max_size=max_message)
        self._lock = threading.Lock()
        self._parts: list[bytes] = []
        self._is_text = False
        self.is_incomplete = False
        """Whether a message has begun that is not whole yet."""

    @property
    def is_over(self) -> bool:
        """Whether the client closed or broke the rules: what it sends from now on is ignored."""
        return self._protocol.state is not State.OPEN

    @property
    def is_too_big(self) -> bool:
        """Whether it broke the bound of a message."""
        return isinstance(self._protocol.parser_exc, PayloadTooBig)

    def receive(self, data: bytes) -> bytes | None:
        """Take octets of the wire and return the STOMP octets of the messages that they complete.

        Text and binary messages are one octet stream (STOMP-WS-003 to -007). None: no message was completed.
        """
        with self._lock:
            self._protocol.receive_data(data)
            frames = self._protocol.events_received()
            # Octets that end no frame belong to one that has begun.
            has_rest = not frames or bool(self._protocol.reader.buffer)
        parts: list[bytes] = []
        for frame in frames:
            assert isinstance(frame, Frame)  # after the handshake the library knows nothing else
            opcode = frame.opcode
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
                self._is_text = opcode is Opcode.TEXT
            elif opcode is not Opcode.CONT:
                continue
            if frame.fin and not self._parts:
                message = bytes(frame.data)
            else:
                self._parts.append(bytes(frame.data))
                if not frame.fin:
                    continue
                message = b"".join(self._parts)
                self._parts = []
            if self._is_text and not _is_utf8(message):
                with self._lock:  # WEBSOCKET-UTF8-1, STOMP-WS-022
                    self._protocol.fail(CloseCode.INVALID_DATA, "a text message has to be UTF-8")
                break
            parts.append(message)
        self.is_incomplete = has_rest or bool(self._parts)
        return b"".join(parts) if parts else None

    def replies(self) -> list[bytes]:
        """Control frames that answer what was received: pongs (STOMP-WS-021), the echo of a close."""
        with self._lock:
            octets = b"".join(self._protocol.data_to_send())
        return [Control(octets)] if octets else []

    def close(self, code: int) -> list[bytes]:
        """The Close frame with which we end the connection; nothing if one was sent."""
        with self._lock:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code)
        return self.replies()


def encode(items: list[bytes]) -> bytes:
    """Make one WebSocket message of each STOMP frame or heart-beat, so that simple clients can live.

    It is text, or binary where a body is not UTF-8 (STOMP-WS-008).
    """
    octets: list[bytes] = []
    for item in items:
        if type(item) is Control:
            octets.append(item)
        else:
            opcode = Opcode.TEXT if _is_utf8(item) else Opcode.BINARY
            octets.append(Frame(opcode, item).serialize(mask=False))
    return b"".join(octets)


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
