"""The upgrade's reply, as `websocket-client` gets it."""

from __future__ import annotations

import io
import socket
import threading
from typing import Any, cast

import pytest

from conformance.wire.failures import PeerFailure, UpgradeRefused
from conformance.wire.upgrade_socket import UpgradeSocket
from conformance.wire.websocket import WebSocketLink


class Replying:
    """A connection that has received these octets, and then the end."""

    def __init__(self, octets: bytes) -> None:
        self._reader = io.BufferedReader(cast("Any", io.BytesIO(octets)))

    def makefile(self) -> io.BufferedReader:
        return self._reader

    def recv(self, size: int) -> bytes:
        return self._reader.read1(size)


def received(octets: bytes, *sizes: int) -> list[bytes]:
    """Return what calls of `recv` for so many octets return."""
    upgrade = UpgradeSocket(cast("Any", Replying(octets)))
    return [upgrade.recv(size) for size in sizes]


def test_a_head_comes_line_by_line() -> None:
    """A line is all before its line feed, and the line feed: the library ends a line at the octet alone."""
    assert received(b"HTTP/1.1 101 OK\r\nA: b\n\r\n", *[1] * 7) == [
        b"HTTP/1.1 101 OK\r", b"\n", b"A: b", b"\n", b"\r", b"\n", b"",
    ]  # fmt: skip


def test_a_body_comes_in_the_size_that_is_asked_for() -> None:
    """After the empty line there are no lines: a body of one octet has no line feed to wait for."""
    assert received(b"A: b\n\nxyz\n", 1, 1, 1, 1, 2, 5) == [b"A: b", b"\n", b"\n", b"x", b"yz", b"\n"]


def test_a_line_that_does_not_end() -> None:
    """The end of the stream within a line is passed on."""
    assert received(b"HTTP/1.1 1", 1, 1) == [b"HTTP/1.1 1", b""]


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (b"HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx", b"x"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 16385\r\n\r\n" + b"y" * 16_385, b"y" * 16_385),
        (b"HTTP/1.1 403 No\n\n", b""),
    ],
)  # fmt: skip
def test_a_refusal_has_its_body(reply: bytes, body: bytes) -> None:
    """A refused upgrade is reported with its status and its whole body, without waiting for more."""
    with pytest.raises(UpgradeRefused) as refused:
        upgraded_by(reply, ends=False)
    assert (refused.value.status, refused.value.body) == (403, body)


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 101", b"HTTP/1.1 101 OK\r\nA: b\r\n", b"\r\n\r\n", b"\xff\n\n"]
)
def test_half_a_reply_is_no_upgrade(reply: bytes) -> None:
    """A reply that breaks off, or is none, is a failure of the server."""
    with pytest.raises(PeerFailure):
        upgraded_by(reply, ends=True)


def upgraded_by(reply: bytes, *, ends: bool) -> WebSocketLink:
    """Open a link to a server that gives this reply, then `ends` its side or not, and closes when the suite does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                connection.recv(65_536)
                connection.sendall(reply)
                if ends:
                    connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass

        server = threading.Thread(target=serve)
        server.start()
        try:
            return WebSocketLink(f"ws://127.0.0.1:{listener.getsockname()[1]}/", patience=20)
        finally:
            server.join()
