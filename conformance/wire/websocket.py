"""WebSocket connection for STOMP, on `websocket-client`, with ways to break the protocol on purpose."""

from __future__ import annotations

import random
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import websocket
from websocket import ABNF

from conformance.wire.access import Access
from conformance.wire.connection import ALLOWANCE, tls_context
from conformance.wire.cutting import cut, cut_repr
from conformance.wire.encoding import is_utf8
from conformance.wire.failures import NotAdmitted, PeerFailure, TooLong, UpgradeRefused, Violation
from conformance.wire.link import Closed, Link, Message
from conformance.wire.upgrade_socket import UpgradeSocket
from conformance.wire.websocket_frames import MESSAGE_LIMIT, FrameReader, MessageAssembly

if TYPE_CHECKING:
    import ssl
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from conformance.wire.link import Parts
    from conformance.wire.trace import Trace

_KINDS: dict[int, Literal["text", "binary"]] = {ABNF.OPCODE_TEXT: "text", ABNF.OPCODE_BINARY: "binary"}
_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_PONGS_KEPT = 1000
#: Longest excerpt of what the library says about a handshake, in characters.
_SHOWN = 300
_WAITING_KEPT = 20_000
#: Most pings and pongs that the server may send before a message or the end of a wait.
_CONTROL_LIMIT = 2_000
#: Longest answer to an upgrade, in octets.
_HANDSHAKE_LIMIT = 64 << 10
#: Generator of masks: of its own, since Hypothesis watches the one that all share.
_MASKS = random.Random()


class WebSocketLink(Link):
    """One WebSocket connection to `url` (ws or wss). One thread at a time.

    `patience`, in seconds, bounds every wait without a deadline of its own. Raises Unreachable if no server answers,
    UpgradeRefused if the server refuses the upgrade, NotAdmitted if its answer is malformed or missing.
    """

    overhead = 8

    def __init__(
        self,
        url: str,
        subprotocols: Sequence[str] = (),
        trace: Trace | None = None,
        patience: float = 5.0,
        *,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
        interrupted: threading.Event | None = None,
        access: Access | None = None,
    ) -> None:
        """`headers` are added to the upgrade, as `access` is; waits raise RunEnded once `interrupted` is set."""
        access = access or Access()
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS:
            raise ValueError(f"not a ws:// or wss:// URL: {url}")
        is_secure = parts.scheme == "wss"
        super().__init__(
            url,
            (parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]),
            trace,
            patience,
            tls=(tls or tls_context()) if is_secure else None,
            interrupted=interrupted,
            admission=access.admission,
        )
        self.pongs: deque[bytes] = deque(maxlen=_PONGS_KEPT)
        self._waiting: deque[Message] = deque()
        self._waiting_octets = 0
        self._control_frames = 0
        self._assembly = MessageAssembly()
        self._owed_pongs: deque[bytes] = deque()
        self._is_within_frame = False
        self._is_reading = False
        self._websocket: Any = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
        self._frames = FrameReader(self._connection.recv)
        offer = {"Sec-WebSocket-Protocol": ", ".join(subprotocols)} if subprotocols else {}
        self._upgrade(access.with_headers({**offer, **(headers or {})}))

    @property
    def subprotocol(self) -> str | None:
        """Subprotocol that the server selected, offered or not."""
        return (self._websocket.getheaders() or {}).get("sec-websocket-protocol")

    # Sending

    def send_octets(self, octets: bytes, *, binary: bool | None = None) -> None:
        """Send one message: text if the octets are UTF-8, unless `binary` is given."""
        if binary is None:
            binary = not is_utf8(octets)
        self.send_frame(octets, ABNF.OPCODE_BINARY if binary else ABNF.OPCODE_TEXT)

    def wire(self, *messages: bytes) -> bytes:
        """Octets of one frame per message: text where a message is UTF-8."""
        return b"".join(
            ABNF.create_frame(octets, ABNF.OPCODE_TEXT if is_utf8(octets) else ABNF.OPCODE_BINARY).format()
            for octets in messages
        )

    def send_pieces(self, pieces: Sequence[bytes], pause: Callable[[], object]) -> None:
        """Send octets of `wire` in several writes, the last of which ends a frame; `pause` is called after each."""
        for number, piece in enumerate(pieces, 1):
            self.send_raw(piece, whole=number == len(pieces))
            pause()

    def send_in_two(self, octets: bytes, cut: int, by: Parts, apart: float) -> bool:
        """Send a frame as two messages, two fragments with a ping between them, or one message in two writes."""
        if by == "messages":
            self.send_octets(octets[:cut])
            self.pong(b"read by %d" % cut, time.monotonic() + apart)
            self.send_octets(octets[cut:])
        elif by == "fragments":
            self.send_fragments([octets[:cut], octets[cut:]], ping=b"between %d" % cut)
        else:
            head = len(self.wire(octets)) - len(octets)
            self.send_in_pieces(octets, [head + cut])
        return True

    def end_sending(self) -> None:
        """Send a Close frame."""
        self.send_close()

    @property
    def is_ended_by_peer(self) -> bool:
        """True: a Close frame is answered by another one (RFC 6455, section 5.5.1)."""
        return True

    def send_text(self, octets: bytes) -> None:
        """Send a text message, UTF-8 or not."""
        self.send_frame(octets, ABNF.OPCODE_TEXT)

    def send_binary(self, octets: bytes) -> None:
        """Send a binary message."""
        self.send_frame(octets, ABNF.OPCODE_BINARY)

    def send_fragments(
        self,
        parts: Sequence[bytes],
        *,
        binary: bool = False,
        ping: bytes | None = None,
        pong: bytes | None = None,
    ) -> None:
        """Send one message as a fragment per part; with `ping` or `pong`, such a frame after the first fragment."""
        opcode = ABNF.OPCODE_BINARY if binary else ABNF.OPCODE_TEXT
        for number, part in enumerate(parts):
            self.send_frame(part, opcode if number == 0 else ABNF.OPCODE_CONT, fin=number == len(parts) - 1)
            if number == 0 and ping is not None:
                self.send_frame(ping, ABNF.OPCODE_PING)
            if number == 0 and pong is not None:
                self.send_frame(pong, ABNF.OPCODE_PONG)

    def send_in_pieces(self, octets: bytes, cuts: Sequence[int], *, binary: bool = False) -> None:
        """Send one message in several writes, its octets on the wire cut at the positions `cuts`."""
        frame = ABNF.create_frame(octets, ABNF.OPCODE_BINARY if binary else ABNF.OPCODE_TEXT).format()
        self._record(">", octets, binary=binary, cuts=list(cuts))
        begin = 0
        for end in [*sorted(cuts), len(frame)]:
            if end > begin:
                self._write(frame[begin:end])
                begin = end

    def send_frame(
        self, octets: bytes, opcode: int, *, fin: bool = True, mask: bool = True, key: bytes = b""
    ) -> None:
        """Send one WebSocket frame, masked by a key of four octets, by default a random one.

        `mask=False` breaks RFC 6455, as an unknown opcode does.
        """
        if opcode in _KINDS or opcode == ABNF.OPCODE_CONT:
            self._record(">", octets, opcode=opcode, fin=fin, mask=mask)
        else:
            self._record(">", octets, "ws", opcode=opcode, fin=fin, mask=mask)
        frame = ABNF(int(fin), 0, 0, 0, opcode, int(mask), octets)
        # Masks protect proxies from scripts of pages: here they need not be unpredictable, and cost no system call.
        frame.get_mask_key = (lambda _size: key) if key else _MASKS.randbytes
        self._write(frame.format())

    def send_raw(self, octets: bytes, *, whole: bool = True) -> None:
        """Send octets below the WebSocket layer; `whole=False` if they end within a frame, whose rest follows.

        Pongs are held back until the frame is whole, since they would end up inside it.
        """
        self._record(">", octets, "ws", whole=whole)
        self._write(octets)
        self._is_within_frame = not whole
        while whole and self._owed_pongs:
            self.send_frame(self._owed_pongs.popleft(), ABNF.OPCODE_PONG)

    # Receiving

    def receive(self, deadline: float | None = None) -> Message | Closed | None:
        """Next message, or the end of the connection; None if neither comes by `deadline` (monotonic seconds).

        Raises Violation at a text message that isn't UTF-8 (STOMP-WS-008), PeerFailure if RFC 6455 is broken.
        """
        if self._waiting:
            message = self._waiting.popleft()
            self._waiting_octets -= len(message.octets)
            return message
        if self.closed:
            return self.closed
        self._begin(deadline)
        while True:
            came = self._read()
            if not isinstance(came, bytes):
                return came

    def pong(self, payload: bytes, deadline: float | None = None) -> bool:
        """Send a ping; True if a pong with the same payload comes by `deadline` (STOMP-WS-021)."""
        self.send_frame(payload, ABNF.OPCODE_PING)
        if deadline is None:
            deadline = time.monotonic() + self.patience
        self._begin(deadline)
        while payload not in self.pongs:
            came = self._read()
            if isinstance(came, Message):
                self._keep(came)
            elif not isinstance(came, bytes):
                return False
        self.pongs.remove(payload)
        return True

    def _begin(self, deadline: float | None) -> None:
        """Start a wait. A server may send back what the test has sent, with escapes, and little more."""
        self._frames.limit = MESSAGE_LIMIT + 2 * self.sent
        self._control_frames = 0
        self._connection.begin(deadline, max(ALLOWANCE, 2 * self._frames.limit))

    def _read(self) -> Message | Closed | bytes | None:
        """Read one frame; returns a completed message, the end, None at the deadline, or other frames' bytes."""
        if self.closed:
            return self.closed
        if self._is_reading:
            raise RuntimeError("two threads read one link: what each gets is a part of the stream")
        self._is_reading = True
        try:
            frame = self._frames.read()
            if frame.opcode in _KINDS or frame.opcode == ABNF.OPCODE_CONT:
                return self._data(frame)
        except TimeoutError:
            return None
        except (EOFError, OSError):
            return self._ended(Closed())
        except (websocket.WebSocketException, TooLong) as error:
            self._note("end", broken=True)
            self._ended(Closed())
            if isinstance(error, TooLong):
                raise
            raise PeerFailure("WebSocket frames as RFC 6455 has them", str(error)) from error
        finally:
            self._is_reading = False
        return self._control(frame)

    def _data(self, frame: Any) -> Message | bytes:
        """Message that a data frame completes; b"" for a fragment of an incomplete one."""
        whole = self._assembly.add(frame, self._frames.limit)
        if whole is None:
            return b""
        opcode, octets = whole
        self._record("<", octets, opcode=opcode)
        if opcode == ABNF.OPCODE_TEXT and not is_utf8(octets):
            raise Violation("STOMP-WS-008", "a text message that is UTF-8", cut_repr(octets, 200))
        return Message(_KINDS[opcode], octets)

    def _keep(self, message: Message) -> None:
        """Keep a message that came while a pong was waited for."""
        self._waiting.append(message)
        self._waiting_octets += len(message.octets)
        if self._waiting_octets > self._frames.limit or len(self._waiting) > _WAITING_KEPT:
            self._ended(Closed())
            raise TooLong("a pong", f"{len(self._waiting)} messages before it")

    def _control(self, frame: Any) -> Closed | bytes:
        payload: bytes = frame.data
        self._record("<", payload, "ws", opcode=frame.opcode)
        self._control_frames += 1
        if self._control_frames > _CONTROL_LIMIT:
            self._ended(Closed())
            raise TooLong("a message, or nothing", f"{_CONTROL_LIMIT} pings and pongs without one")
        if frame.opcode == ABNF.OPCODE_CLOSE:
            code = struct.unpack("!H", payload[:2])[0] if payload else None
            self.send_frame(payload[:2], ABNF.OPCODE_CLOSE)
            return self._ended(Closed(code, payload[2:].decode("utf-8", "replace"), orderly=True))
        if frame.opcode == ABNF.OPCODE_PING and self._is_within_frame:
            self._owed_pongs.append(payload)
        elif frame.opcode == ABNF.OPCODE_PING:
            self.send_frame(payload, ABNF.OPCODE_PONG)
        else:
            self.pongs.append(payload)
        return payload

    # Ending

    def close(self, code: int = 1000, reason: bytes = b"") -> None:
        """Send a Close frame and close the connection without waiting. May be called twice."""
        if self.closed is None:
            self.send_close(code, reason)
        self._ended(self.closed or Closed())

    def send_close(self, code: int = 1000, reason: bytes = b"") -> None:
        """Send a Close frame; `receive` then returns remaining messages and the server's Close."""
        self.send_frame(struct.pack("!H", code) + reason, ABNF.OPCODE_CLOSE)

    def _ended(self, how: Closed) -> Closed:
        """End the connection, and drop what it has read of an incomplete message."""
        super()._ended(how)
        self._frames.clear()
        self._assembly.clear()
        self._owed_pongs.clear()
        return how

    # Upgrade

    def _upgrade(self, headers: Mapping[str, str]) -> None:
        self._note("open", path=self.url.partition("://")[2].partition("/")[2], headers=dict(headers))
        # Subprotocols are sent as a plain header: the library would reject a server that selects none.
        given = {name.lower(): value for name, value in headers.items()}
        self._connection.begin(allowance=_HANDSHAKE_LIMIT)
        try:
            self._websocket.connect(
                self.url,
                socket=UpgradeSocket(self._connection),
                header={name: value for name, value in headers.items() if name.lower() != "host"},
                host=given.get("host"),
                redirect_limit=0,
                suppress_origin="origin" in given,
            )
        except websocket.WebSocketBadStatusException as error:
            self._note("upgraded", status=error.status_code)
            self._connection.close()
            raise UpgradeRefused(
                error.status_code, error.resp_headers or {}, error.resp_body or b""
            ) from error
        except TooLong as error:
            self._connection.close()
            raise TooLong("a short answer to the upgrade", error.observed) from error
        except (websocket.WebSocketException, OSError, ValueError) as error:
            self._connection.close()
            answer = self._websocket.handshake_response
            if answer is not None and answer.status != 101:
                self._note("upgraded", status=answer.status)
                raise UpgradeRefused(answer.status, answer.headers, b"") from error
            self._note("upgraded", status=0)
            raise NotAdmitted("101 Switching Protocols", f"no upgrade: {_in_words(error)}") from error
        self._note("upgraded", status=101, subprotocol=self.subprotocol)


def _in_words(error: Exception) -> str:
    """Message of the library about a handshake, with a clearer one for headers that it refuses."""
    if "Invalid WebSocket Header" in str(error):
        return "its answer 101 lacks a right Upgrade, Connection or Sec-WebSocket-Accept header"
    return cut(str(error), _SHOWN)
