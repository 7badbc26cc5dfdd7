"""Blocking STOMP connections over WebSocket that count frames instead of parsing them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.load.frames import CLOSE, masked, stomp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

#: Seconds of silence after which a server counts as stuck.
PATIENCE = 30.0
RECEIVE_BYTES = 1 << 18
NORMAL_CLOSURE = (1000).to_bytes(2, "big")
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class LoadFailed(Exception):
    """The server refused, fell silent, or sent other than the workload must get."""


@dataclass(frozen=True)
class Server:
    """A server at a ws:// URL and how to log in there.

    Attributes:
        records: destination of records, with {name} for the topic.
        queue: destination of queues, with {name}.
        headers: headers of every SEND and SUBSCRIBE to a queue.
    """

    url: str
    login: str | None = None
    passcode: str | None = None
    host_header: str = "/"
    records: str = "/producer/publish/{name}"
    queue: str = "/queue/{name}"
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80


class Connection:
    """One connection after CONNECTED.

    Sends block. They can't block forever: a workload bounds the octets in flight to less than the buffers of a socket.
    A ping of the server is not answered; connections live for seconds.
    """

    def __init__(self, server: Server) -> None:
        """Connect; raises LoadFailed and OSError."""
        self._rest = b""
        self._url = server.url
        self._socket = socket.create_connection(server.address, timeout=PATIENCE)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._upgrade()
            login = {"login": server.login, "passcode": server.passcode}
            self.send_frame(
                "CONNECT",
                {"accept-version": "1.2", "host": server.host_header, "heart-beat": "0,0"}
                | {name: value for name, value in login.items() if value is not None},
            )
            self._connected = b"".join(self.read_past(b"CONNECTED\n")).decode(errors="replace")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(masked(NORMAL_CLOSURE, CLOSE))
        self._socket.close()

    def fileno(self) -> int:
        """The file descriptor, for selectors."""
        return self._socket.fileno()

    @property
    def server_name(self) -> str:
        """The `server` header of CONNECTED, such as "RabbitMQ 3.10.8"; the URL where there is none."""
        lines = self._connected.split("\0", 1)[0].splitlines()
        named = (line.removeprefix("server:") for line in lines if line.startswith("server:"))
        return next(named, self._url).replace("/", " ", 1)

    def send(self, octets: bytes | memoryview) -> None:
        """Send encoded messages; raises LoadFailed."""
        try:
            self._socket.sendall(octets)
        except OSError as error:
            raise LoadFailed(f"{self._url} can't be sent to: {error}") from error

    def send_frame(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Send one STOMP frame; raises LoadFailed."""
        self.send(masked(stomp(command, headers, body)))

    def receive(self) -> bytes:
        """Wait for octets, and return them up to the end of the last whole STOMP frame.

        The head of a WebSocket frame may hold a NUL too. A cut there is none inside a STOMP frame. Raises LoadFailed on
        an ERROR frame, at the end of the connection, and after PATIENCE seconds.
        """
        data = self._receive()
        whole, end, self._rest = (self._rest + data).rpartition(b"\0")
        if b"ERROR\n" in whole:
            text = whole[whole.index(b"ERROR\n") :][:400].decode(errors="replace")
            raise LoadFailed(f"{self._url} sent {text!r}")
        return whole + end

    def read_past(self, mark: bytes) -> Iterator[bytes]:
        """Receive until a frame with the mark is there, and give all that came. Raises LoadFailed."""
        octets = b""
        while mark not in octets:
            octets = self.receive()
            yield octets

    def fence(self, command: str, headers: dict[str, str]) -> int:
        """Send a frame, and wait for its RECEIPT; return how many RECEIPTs and MESSAGEs came before.

        Raises LoadFailed.
        """
        self.send_frame(command, headers | {"receipt": "fence"})
        came = self.read_past(b"receipt-id:fence\n")
        return sum(octets.count(b"RECEIPT\n") + octets.count(b"MESSAGE\n") for octets in came) - 1

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except OSError as error:
            raise LoadFailed(f"{self._url} sent nothing: {error}") from error
        if not data:
            raise LoadFailed(f"{self._url} closed the connection; its last octets: {self._rest[-200:]!r}")
        return data

    def _upgrade(self) -> None:
        parts = urlsplit(self._url)
        key = base64.b64encode(os.urandom(16))
        lines = (
            f"GET {parts.path or '/'} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key.decode()}",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: v12.stomp",
        )
        self.send("\r\n".join((*lines, "", "")).encode())
        octets = b""
        while b"\r\n\r\n" not in octets:
            octets += self._receive()
        head, _, self._rest = octets.partition(b"\r\n\r\n")
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
        if b" 101 " not in head.splitlines()[0] or accept not in head:
            raise LoadFailed(f"{self._url} refused the upgrade: {head[:200].decode(errors='replace')!r}")
