"""HTTP/1.1 on a socket: requests read strictly, replies written in one piece."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from tests.first_server.operations import Reply

MOST_HEAD = 64 << 10
MOST_BODY = 4 << 20
_PIECE = 64 << 10
_REQUEST_LINE = re.compile(r"([A-Z]+) (\S+) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")


class Ended(Exception):
    """The client ended the connection."""


class Malformed(Exception):
    """An unreadable request; `status` is the answer, after which the connection ends."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Incoming:
    """Octets of a connection that were received and not consumed."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self._pending = bytearray()

    def until(self, mark: bytes, most: int) -> bytes:
        """The octets up to and with the mark. Raises Malformed past so many octets, Ended."""
        searched = 0
        while (at := self._pending.find(mark, searched)) < 0:
            if len(self._pending) > most:
                raise Malformed(431, "the headers are too large")
            searched = max(0, len(self._pending) - len(mark))
            self._more()
        return self.exactly(at + len(mark))

    def exactly(self, count: int) -> bytes:
        """So many octets. Raises Ended."""
        while len(self._pending) < count:
            self._more()
        octets = bytes(self._pending[:count])
        del self._pending[:count]
        return octets

    def some(self) -> bytes:
        """The pending octets, or else the next ones that come; empty at the end of the connection."""
        octets = bytes(self._pending) or self.link.recv(_PIECE)
        self._pending.clear()
        return octets

    def _more(self) -> None:
        octets = self.link.recv(_PIECE)
        if not octets:
            raise Ended
        self._pending += octets


@dataclass(frozen=True)
class Request:
    """A request; `head` has the octets of its first line and headers, names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, list[str]]
    head: bytes
    body: bytes
    keeps_open: bool

    @property
    def is_upgrade(self) -> bool:
        """True if the client asks for a WebSocket connection."""
        wanted = ",".join(self.headers.get("upgrade", []))
        return self.method == "GET" and "websocket" in wanted.lower()


def read_request(incoming: Incoming) -> Request:
    """The next request of a connection. Raises Malformed, Ended."""
    head = incoming.until(b"\r\n\r\n", MOST_HEAD)
    first, *lines = head[:-4].decode("latin-1").lstrip("\r\n").split("\r\n")
    parts = _REQUEST_LINE.fullmatch(first)
    if parts is None:
        raise Malformed(400, "no request line of HTTP/1.1")
    method, target, minor = parts.groups()
    headers: dict[str, list[str]] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Malformed(400, "no header line")
        headers.setdefault(header[1].lower(), []).append(header[2])
    if "100-continue" in ",".join(headers.get("expect", [])).lower():
        incoming.link.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = _body(incoming, method, headers)
    options = ",".join(headers.get("connection", [])).lower()
    keeps_open = "close" not in options and (minor == "1" or "keep-alive" in options)
    return Request(method, target.partition("?")[0], headers, head, body, keeps_open)


def written(reply: Reply, *, keeps_open: bool, allow: str = "", to_head: bool = False) -> bytes:
    """The octets of a reply; one to HEAD has no body."""
    reason = "Nothing" if reply.status == 509 else HTTPStatus(reply.status).phrase
    lines = [f"HTTP/1.1 {reply.status} {reason}", f"Content-Length: {len(reply.body)}"]
    if reply.body:
        lines.append(f"Content-Type: {reply.content_type}")
    if allow:
        lines.append(f"Allow: {allow}")
    if not keeps_open:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if to_head else reply.body)


def _body(incoming: Incoming, method: str, headers: dict[str, list[str]]) -> bytes:
    """The body of a request; its length has to be told (HTTP-LENGTH-1)."""
    codings = headers.get("transfer-encoding")
    lengths = headers.get("content-length")
    if codings is not None:
        if lengths is not None or [coding.lower() for coding in codings] != ["chunked"]:
            raise Malformed(400, "chunks are the only transfer coding, and have no length besides")
        return _chunks(incoming)
    if lengths is None:
        if method == "POST":
            raise Malformed(411, "the length of the body is not told")
        return b""
    if len(set(lengths)) > 1 or not re.fullmatch(r"[0-9]{1,18}", lengths[0]):
        raise Malformed(400, "the length is no number")
    return incoming.exactly(_bounded(int(lengths[0])))


def _chunks(incoming: Incoming) -> bytes:
    body = b""
    while True:
        size, _, _extension = incoming.until(b"\r\n", MOST_HEAD)[:-2].partition(b";")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size.strip()):
            raise Malformed(400, "the size of a chunk is no number")
        count = int(size, 16)
        if count == 0:
            break
        _bounded(len(body) + count)
        body += incoming.exactly(count)
        if incoming.exactly(2) != b"\r\n":
            raise Malformed(400, "a chunk doesn't end where its size says")
    while incoming.until(b"\r\n", MOST_HEAD) != b"\r\n":
        pass
    return body


def _bounded(count: int) -> int:
    if count > MOST_BODY:
        raise Malformed(413, "the body is too large")
    return count
