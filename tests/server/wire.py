"""Clients that send exact octets, and read the replies strictly.

Every wait ends at a deadline that only a broken server reaches.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.stomp.peers import Received, read

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType
    from typing import Protocol, Self

    class Server(Protocol):
        """A server of this process or of another one, on the loopback interface."""

        @property
        def port(self) -> int: ...


DEADLINE = 20.0
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
UPGRADE = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


class Ended(Exception):
    """The server has ended the connection."""


def connect(
    server: Server, *, context: ssl.SSLContext | None = None, receive_buffer: int = 0
) -> socket.socket:
    """Open a TCP connection to a server, with TLS if there is a context."""
    link = socket.socket()
    if receive_buffer:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    link.settimeout(DEADLINE)
    link.connect(("127.0.0.1", server.port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link if context is None else context.wrap_socket(link, server_hostname="localhost")


@dataclass
class Wire:
    """One connection, and the received octets that are not yet consumed."""

    link: socket.socket
    _pending: bytearray = field(default_factory=bytearray)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.link.close()

    def send(self, data: bytes) -> None:
        self.link.sendall(data)

    def take(self, count: int) -> bytes:
        """Return so many octets. Raises Ended."""
        while len(self._pending) < count:
            self._more()
        octets = bytes(self._pending[:count])
        del self._pending[:count]
        return octets

    def take_until(self, mark: bytes) -> bytes:
        """Return octets up to and including the mark. Raises Ended."""
        while (at := self._pending.find(mark)) < 0:
            self._more()
        return self.take(at + len(mark))

    def wait_for_end(self) -> bytes:
        """Wait until the server ends the connection; returns the octets before the end."""
        try:
            while True:
                self._more()
        except Ended:
            return bytes(self._pending)

    def _more(self) -> None:
        try:
            data = self.link.recv(65536)
        except ConnectionResetError:
            raise Ended("by a reset") from None
        if not data:
            raise Ended
        self._pending += data


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    @property
    def cause(self) -> str:
        """The last part of the type of a problem."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = self.json
        assert problem["status"] == self.status
        assert problem["title"]
        assert problem["detail"]
        return str(problem["type"]).removeprefix("urn:stompliance:problem:")


class Http(Wire):
    """A minimal HTTP client."""

    @classmethod
    def to(cls, server: Server, context: ssl.SSLContext | None = None) -> Self:
        """Connect."""
        return cls(connect(server, context=context))

    def ask(self, path: str, /, *, method: str = "POST", **members: Any) -> Answer:
        """Send a request with a JSON body, or without one, and read the answer."""
        body = b"" if method == "GET" else json.dumps(members).encode()
        return self.exchange(request(method, path, body))

    def get(self, path: str) -> Answer:
        return self.ask(path, method="GET")

    def exchange(self, octets: bytes) -> Answer:
        """Send octets and read an answer."""
        self.send(octets)
        return self.answer()

    def answer(self, *, to_head: bool = False) -> Answer:
        """Read one response, strictly."""
        head = self.take_until(b"\r\n\r\n").decode("ascii")
        status_line, *lines = head[:-4].split("\r\n")
        version, status, reason = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        assert reason
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(": ")
            assert colon, line
            assert name.lower() not in headers, f"{name} twice"
            headers[name.lower()] = value
        if status[0] == "1" or status == "204":
            assert "content-length" not in headers
            return Answer(int(status), headers, b"")
        length = 0 if to_head else int(headers["content-length"])
        return Answer(int(status), headers, self.take(length))


def request(method: str, path: str, body: bytes | None = None, **headers: str | None) -> bytes:
    """Write a request; underscores in header names stand for hyphens, and None leaves a header out."""
    fields: dict[str, str | None] = {"Host": "localhost"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None or "Content-Length" in fields:
        fields.setdefault("Content-Type", "application/json")
    if body is not None and "Transfer-Encoding" not in fields:
        fields.setdefault("Content-Length", str(len(body)))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


def upgrade(path: str = "/stomp", **changes: str | None) -> bytes:
    """Write the request of a WebSocket handshake; a header that is set to None is left out."""
    fields: dict[str, str | None] = {**UPGRADE, **{name.replace("_", "-"): v for name, v in changes.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """Write a WebSocket frame of a client."""
    size = len(payload)
    head = bytes([(fin << 7) | (reserved << 4) | opcode])
    flag = 0x80 if masked else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += struct.pack("!BH", flag | 126, size)
    else:
        head += struct.pack("!BQ", flag | 127, size)
    if not masked:
        return head + payload
    mask = b"\x1f\xe3\x00\x85"
    repeated = mask * (size // 4 + 1)
    octets = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:size], "big")
    return head + mask + octets.to_bytes(size, "big")


class Stomp(Wire):
    """A STOMP client over WebSocket. Each WebSocket message of the server must hold one frame or one LF."""

    version = "1.0"
    beats = 0

    @classmethod
    def to(
        cls,
        server: Server,
        path: str = "/stomp",
        *,
        context: ssl.SSLContext | None = None,
        receive_buffer: int = 0,
        **changes: str | None,
    ) -> Self:
        """Open a WebSocket connection."""
        client = cls(connect(server, context=context, receive_buffer=receive_buffer))
        client.send(upgrade(path, **changes))
        head = client.take_until(b"\r\n\r\n").decode()
        assert head.startswith("HTTP/1.1 101 "), head
        return client

    @classmethod
    def connected(cls, server: Server, version: str = "1.2", path: str = "/stomp", **headers: str) -> Self:
        """Open a session."""
        client = cls.to(server, path)
        client.connect(version, **headers)
        return client

    def connect(self, version: str = "1.2", **headers: str) -> Received:
        """CONNECT; returns CONNECTED."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.say("CONNECT", {"accept-version": version, "host": "localhost"} | named)
        self.version = version
        return self.expect("CONNECTED")

    def say(self, command: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        """Send one STOMP frame as one WebSocket message."""
        self.send(frame(TEXT if body.isascii() else BINARY, stomp_frame(command, headers, body)))

    def ask(self, path: str, /, **members: Any) -> Received:
        """SEND an operation and return its reply; needs a subscription to replies."""
        self.say("SEND", {"destination": path, "correlation-id": "ask"}, json.dumps(members).encode())
        reply = self.expect("MESSAGE")
        assert reply["correlation-id"] == "ask"
        return reply

    def subscribe(self, destination: str, identifier: str = "0", **headers: str) -> None:
        """SUBSCRIBE, and wait until the server has processed it."""
        self.say(
            "SUBSCRIBE", {"id": identifier, "destination": destination, "receipt": "subscribed"} | headers
        )
        assert self.expect("RECEIPT")["receipt-id"] == "subscribed"

    def next_of(self, destination: str) -> Received:
        """SUBSCRIBE to a queue and return the message that waits there."""
        self.say("SUBSCRIBE", {"id": "next", "destination": destination})
        return self.expect("MESSAGE")

    def fence(self) -> list[Received]:
        """Return all frames before the receipt of an empty transaction: by then the server has processed all input."""
        self.say("BEGIN", {"transaction": "fence"})
        self.say("ABORT", {"transaction": "fence", "receipt": "fence"})
        frames = []
        while (got := self.receive()).headers.get("receipt-id") != "fence":
            frames.append(got)
        return frames

    def expect(self, command: str) -> Received:
        """Read the next frame, which must be this one."""
        got = self.receive()
        assert got.command == command, got
        return got

    def receive(self) -> Received:
        """Read the next STOMP frame; heart-beats are counted."""
        while True:
            opcode, payload = self.message()
            if opcode == CLOSE:
                raise Ended(f"by Close {payload!r}")
            assert opcode in {TEXT, BINARY}
            if payload != b"\n":
                return read(payload, self.version)
            self.beats += 1

    def message(self) -> tuple[int, bytes]:
        """Read the next WebSocket frame, which must be a whole, unmasked message."""
        first, second = self.take(2)
        assert first & 0xF0 == 0x80, "reserved bits, or a fragment"
        assert second < 128, "masked"
        length = second
        if second >= 126:
            octets = self.take(2 if second == 126 else 8)
            length = int.from_bytes(octets, "big")
            assert length >= (126 if second == 126 else 65536), "not the shortest form"
        payload = self.take(length)
        if first & 15 == TEXT:
            payload.decode()
        return first & 15, payload

    def closed(self) -> int:
        """Read the Close frame and the end of the connection; return the code."""
        opcode, payload = self.message()
        assert opcode == CLOSE, (opcode, payload)
        assert self.wait_for_end() == b"", "something after Close"
        return int.from_bytes(payload[:2], "big")

    def refused(self) -> Received:
        """Read an ERROR, Close, and the end."""
        error = self.expect("ERROR")
        assert self.closed() == 1002
        return error


def stomp_frame(command: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """Write a STOMP frame without escaping its headers."""
    lines = "".join(f"{name}:{value}\n" for name, value in (headers or {}).items())
    return f"{command}\n{lines}\n".encode() + body + b"\0"


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds that no received octet shows, such as the end of a thread."""
    give_up = time.monotonic() + DEADLINE
    never = threading.Event()
    while not condition():
        assert time.monotonic() < give_up, what
        never.wait(0.002)
