"""WebSocket without I/O: the handshake, messages to STOMP octets and back, ping, pong and close.

The `websockets` library does RFC 6455, but for whole unfragmented messages.
"""

import threading
from functools import lru_cache

from websockets.datastructures import Headers
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from reference_server.server.parts import add_part
from reference_server.stomp.outlet import Large, size_of

try:
    from websockets.speedups import apply_mask
except ImportError:  # where the library was built without its extension
    from websockets.utils import apply_mask

from collections.abc import Iterable, Sequence

from websockets.typing import Subprotocol

ENDPOINTS = {"/stomp": False, "/producer": True, "/consumer": True}
"""The paths, and whether each accepts the deviations of the sample clients (QSTOMP-ENDPOINT-1)."""

SUBPROTOCOLS = ("v12.stomp", "v11.stomp", "v10.stomp")


_WHOLE_TEXT = 0x81
_WHOLE = (_WHOLE_TEXT, 0x82)
"""First octets of frames that are whole messages."""
_LAST_FRAGMENT = b"\x80\x80\0\0\0\0"
_OPCODES = frozenset(Opcode)


class Control(bytes):
    """WebSocket frames among STOMP frames that are still to become some."""


def shake_hands(headers: Iterable[tuple[str, str]]) -> Response:
    """Answer a request that names WebSocket in Upgrade, among others or alone: 101, or a refusal (400, 426) why not.

    A STOMP subprotocol is selected among those offered, the highest; with none, none (STOMP-WS-001, -020;
    QSTOMP-SUBPROTOCOL-1). CONNECT decides on the version, not the subprotocol (STOMP-WS-002).
    """
    handshake = ServerProtocol(select_subprotocol=_select)
    fields = Headers([("upgrade", "websocket"), *(field for field in headers if field[0] != "upgrade")])
    versions = fields.get_all("Sec-WebSocket-Version")
    if versions and versions != ["13"]:  # WEBSOCKET-VERSION-1, WEBSOCKET-VERSION-2
        response = handshake.reject(426, "Expected Sec-WebSocket-Version: 13.\n")
        response.headers["Sec-WebSocket-Version"] = "13"
        response.headers["Upgrade"] = "websocket"
        return response
    return handshake.accept(Request("/", fields))


def _select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((name for ours in SUBPROTOCOLS for name in offered if name == ours), None)


class Channel:
    """One WebSocket connection after its handshake. One thread receives; any thread may close.

    Octets are cut into frames here, by the length in each head. Frames that are a whole text or binary message,
    which is nearly all of them, are unmasked here; the library gets every other frame, and every violation.
    """

    def __init__(self, max_message: int) -> None:
        """`max_message` is the bound of one message of the client in octets (STOMP-WS-015)."""
        self._protocol = ServerProtocol(state=State.OPEN, max_size=max_message)
        self._max_message = max_message
        self._lock = threading.Lock()
        self._pending = bytearray()
        """Octets of a frame that is not whole."""
        self._wanted = 0
        """Least number of octets that it needs."""
        self._fragments: list[bytes] = []
        self._is_text = False
        self.is_binary: bool | None = None
        """True if the first message was binary: some clients use nothing else, and read nothing else."""

    @property
    def is_over(self) -> bool:
        """True if the client closed or broke the protocol: further octets are ignored."""
        return self._protocol.state is not State.OPEN

    @property
    def is_too_big(self) -> bool:
        """True if a message was over the bound."""
        return isinstance(self._protocol.parser_exc, PayloadTooBig)

    @property
    def is_incomplete(self) -> bool:
        """True if the last message is incomplete."""
        return bool(self._pending or self._fragments)

    @property
    def held(self) -> int:
        """Octets that are kept of it."""
        return len(self._pending) + sum(map(len, self._fragments))

    def receive(self, data: bytes) -> bytes | None:
        """Take octets of the wire and return the STOMP octets of the messages that they complete.

        Text and binary messages are one octet stream (STOMP-WS-003 to -007). None: no message was completed.
        """
        if self._pending:
            self._pending += data
            if len(self._pending) < self._wanted:
                return None
            data = bytes(self._pending)
            self._pending.clear()
        messages: list[bytes] = []
        position = 0
        while position < len(data):
            payload, end = _extent(data, position)
            if payload > end or end - payload > self._max_message:
                end = len(data)  # a violation: the library names it
            elif end > len(data):
                self._pending += data[position:]
                self._wanted = end - position
                break
            elif data[position] in _WHOLE and not self._fragments:
                message = apply_mask(data[payload:end], data[payload - 4 : payload])
                if not self._add(messages, message, is_text=data[position] == _WHOLE_TEXT):
                    break
                position = end
                continue
            if not self._judge(data[position:end], messages):
                break
            position = end
        return b"".join(messages) if messages else None

    def _judge(self, octets: bytes, messages: list[bytes]) -> bool:
        """Pass a frame, or a violation, to the library; return whether to go on."""
        with self._lock:
            if self._fragments and octets[0] & 15 == Opcode.CLOSE:
                # RFC 6455, section 5.4, allows it between fragments, and the library does not.
                self._protocol.receive_data(_LAST_FRAGMENT)
                self._protocol.events_received()
            self._protocol.receive_data(octets)
            frames = self._protocol.events_received()
        for frame in frames:
            assert isinstance(frame, Frame)  # after the handshake the library knows nothing else
            opcode = frame.opcode
            if opcode is Opcode.TEXT or opcode is Opcode.BINARY:
                self._is_text = opcode is Opcode.TEXT
            elif opcode is not Opcode.CONT:
                continue
            add_part(self._fragments, bytes(frame.data))
            if frame.fin:
                message = b"".join(self._fragments)
                self._fragments = []
                if not self._add(messages, message, is_text=self._is_text):
                    return False
        return not self.is_over

    def _add(self, messages: list[bytes], message: bytes, *, is_text: bool) -> bool:
        """Add a message; return False for a text message that is not UTF-8 (WEBSOCKET-UTF8-1, STOMP-WS-022)."""
        if is_text and not _is_utf8(message):
            with self._lock:
                self._protocol.fail(CloseCode.INVALID_DATA, "a text message has to be UTF-8")
            return False
        if self.is_binary is None:
            self.is_binary = not is_text
        messages.append(message)
        return True

    def replies(self) -> list[bytes]:
        """Control frames that answer received ones: pongs (STOMP-WS-021), the echo of a close."""
        with self._lock:
            octets = b"".join(self._protocol.data_to_send())
        return [Control(octets)] if octets else []

    def write(self, items: list[bytes]) -> bytes:
        """Octets of messages that hold one item each, binary if the client began in binary messages."""
        return encode(items, as_binary=self.is_binary is True)

    def close(self, code: int) -> list[bytes]:
        """The Close frame with which we end the connection; nothing if one was sent."""
        with self._lock:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code)
        return self.replies()


def _extent(data: bytes, position: int) -> tuple[int, int]:
    """Return the start of a frame's payload and the end of the frame, as far as its head is known.

    While the head is incomplete, the end is the earliest possible one. An end before the start: no client may
    send such a frame.
    """
    known = len(data) - position
    if data[position] & 15 not in _OPCODES:
        return position + 1, position
    if known < 2:
        return position, position + 2
    length = data[position + 1] - 0x80
    if length < 0:
        return position + 1, position  # not masked
    if length < 126:
        return position + 6, position + 6 + length
    extended = 2 if length == 126 else 8
    payload = position + 6 + extended
    if known < 2 + extended:
        return position, payload
    return payload, payload + int.from_bytes(data[position + 2 : position + 2 + extended], "big")


def encode(items: list[bytes], *, as_binary: bool = False) -> bytes:
    """Make one WebSocket message of each STOMP frame or heart-beat, some clients assume one frame per message.

    It is text, or binary where that is wished or a body is not UTF-8 (STOMP-WS-008). A large frame is the last one,
    and its tail is left to the caller.
    """
    octets: list[bytes] = []
    for item in items:
        if type(item) is not Control:
            is_text = not as_binary and _is_utf8(item) and (type(item) is not Large or _is_utf8(item.tail))
            octets.append(_head(size_of(item), is_text=is_text))
        octets.append(item)
    return b"".join(octets)


@lru_cache(maxsize=1024)
def _head(size: int, *, is_text: bool) -> bytes:
    """The head of a frame that holds a whole message of that size."""
    opcode = Opcode.TEXT if is_text else Opcode.BINARY
    return Frame(opcode, bytes(size)).serialize(mask=False)[: -size or None]


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
