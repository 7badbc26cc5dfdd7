"""Octets of something else than STOMP, and STOMP where TLS belongs: TCP-FOREIGN-1, TCP-FOREIGN-2, TCP-TLS-1."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_headers
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.targets.links import new_link
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure, Violation
from conformance.wire.link import Message
from conformance.wire.stomp import StompClient

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Longest wait for a reaction that is only recorded, in seconds.
WATCH = 1.0


def _request(body: bytes) -> bytes:
    """An HTTP request as a browser sends it for a form on another site."""
    return (
        b"POST / HTTP/1.1\r\nHost: broker.example:61613\r\nOrigin: http://site.example\r\n"
        b"Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body


def _hello() -> bytes:
    """The hello of a client of TLS 1.2, with one cipher."""
    hello = b"\x03\x03" + bytes(range(32)) + b"\0" + struct.pack("!HH", 2, 0xC02F) + b"\1\0"
    handshake = b"\x01" + struct.pack("!I", len(hello))[1:] + hello
    return b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake


@clauses("TCP-FOREIGN-1")
@pytest.mark.parametrize(
    "before", [b"", b"\0", b"\n\n\0\n", b"x=\0\0"], ids=["nothing", "nul", "line-ends", "form"]
)
def test_frames_in_a_request_of_http(bench: Bench, before: bytes) -> None:
    """Send an HTTP request with CONNECT and SEND in its body; expect no MESSAGE of it."""
    fixture = StompFixture(bench)
    loopback, word = Loopback(fixture), bench.fresh("smuggled").encode()
    frames = encode("CONNECT", connect_headers(bench), b"", bench.version)
    frames += loopback.octets(b"SEND\n<destination>\n\n<word>\0", word=word)
    client = bench.stomp(connect=False)
    client.send_octets(_request(before + frames))
    _answer(client)
    loopback.expect_no_message("TCP-FOREIGN-1", word, "nothing of the body of an HTTP request carried out")


@clauses("TCP-FOREIGN-2")
@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: broker.example:61613\r\n\r\n"),
        ("the hello of TLS", _hello()),
    ],
    ids=["http", "tls"],
)
def test_octets_of_another_protocol(bench: Bench, name: str, octets: bytes) -> None:
    """Send an HTTP request, or the hello of TLS, as the first octets. Recorded: the reaction."""
    client = bench.stomp(connect=False)
    client.send_octets(octets)
    bench.observe("TCP-FOREIGN-2", f"{name}: {_answer(client)}")


def _answer(client: StompClient) -> str:
    """Reaction of the server, waited for up to WATCH seconds."""
    try:
        client.listen(WATCH)
    except (PeerFailure, Violation):
        client.link.drop()
        return "other octets than those of frames"
    told = "ERROR" if client.errors else "octets that are no frame" if client.unfinished else "no frame"
    return f"{told}, and {'the end of the connection' if client.closed else 'the connection stays open'}"


@clauses("TCP-TLS-1")
def test_stomp_without_tls_where_tls_belongs(bench: Bench) -> None:
    """Send CONNECT without TLS to the port of TLS. Recorded: CONNECTED, or a refusal."""
    if bench.target.tls is None:
        bench.skip("TCP-TLS-1", "the URL is one without TLS")
        return
    plain = dataclasses.replace(bench.target, tls=None)
    client = StompClient(new_link(plain, patience=WATCH), bench.version)
    bench.at_end(client.close)
    # Without the login: it would go over the network in the clear.
    client.frame("CONNECT", [("accept-version", bench.version), ("host", bench.target.host)])
    came = client.link.receive()
    is_stomp = isinstance(came, Message) and came.octets.lstrip(b"\r\n").startswith((b"CONNECTED", b"ERROR"))
    bench.observe("TCP-TLS-1", f"STOMP without TLS is {'answered' if is_stomp else 'not answered'}")
