"""Protocols that a port speaks in place of HTTP, told by the first octets that it sends."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.targets.address import HttpHost

#: Longest wait for the first octets, in seconds.
ANSWER_SECONDS = 1.0
#: Beginnings of an answer in HTTP/1, and of an alert of TLS (RFC 8446 section 5.1).
HTTP, TLS_ALERT = b"HTTP/1", b"\x15\x03"
_SHOWN = 40
_BY_FIRST_OCTETS = {
    b"SSH-": "SSH",
    b"AMQP": "AMQP",
    b"-ERR": "the protocol of Redis",
    b"220": "SMTP or FTP",
    b"* OK": "IMAP",
    b"+OK": "POP3",
    b"RFB ": "VNC",
    b"INFO {": "the protocol of NATS",
}
#: Length, type and stream of the SETTINGS frame that an HTTP/2 server sends first (RFC 9113 section 3.4).
_SETTINGS, _FRAME_HEAD = 4, 9


def greeting(octets: bytes) -> str:
    """Sentence on the first octets of a port, which are not HTTP/1."""
    if len(octets) >= _FRAME_HEAD and octets[3] == _SETTINGS and octets[5:_FRAME_HEAD] == bytes(4):
        return (
            "this port speaks HTTP/2 only, as servers of gRPC do: the suite needs a port that speaks HTTP/1.1"
        )
    name = next((name for first, name in _BY_FIRST_OCTETS.items() if octets.startswith(first)), "")
    said = f"its first octets are {octets[:_SHOWN]!r}"
    return f"this port speaks {name}, not HTTP: {said}" if name else f"this port does not speak HTTP: {said}"


def request_for(where: HttpHost) -> bytes:
    """A request in HTTP/1.1 that any server of it answers."""
    return f"GET / HTTP/1.1\r\nHost: {where.authority}\r\nConnection: close\r\n\r\n".encode()


def first_octets(where: HttpHost, sent: bytes) -> bytes:
    """The first octets that come for these; empty if none come within `ANSWER_SECONDS`."""
    with contextlib.suppress(OSError):
        plain = socket.create_connection((where.host, where.port), ANSWER_SECONDS)
        with (
            plain,
            where.tls.wrap_socket(plain, server_hostname=where.host) if where.tls else plain as sock,
        ):
            sock.settimeout(ANSWER_SECONDS)
            sock.sendall(sent)
            return sock.recv(4096)
    return b""
