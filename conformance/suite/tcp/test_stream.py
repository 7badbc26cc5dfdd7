"""The stream of octets: TCP-SESSION-1, TCP-SEGMENTS-1 to -3."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.attempts import connect_headers
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.encoding import encode
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: Seconds between two segments, at least, so that the server reads them one by one.
APART = 0.002
#: Characters of two, three and four octets.
CHARACTERS = "é主\U0001f600".encode()
#: Octets of a body that no buffer of usual size holds.
LONG = 200_000


def _open(bench: Bench, clause: str, pieces: int) -> StompClient:
    """A session whose CONNECT is sent in so many pieces, 0 for octet by octet."""
    client = bench.stomp(connect=False)
    octets = encode("CONNECT", connect_headers(bench), b"", bench.version)
    size = -(-len(octets) // pieces) if pieces else 1
    parts = [octets[begin : begin + size] for begin in range(0, len(octets), size)]
    client.link.send_pieces(parts, lambda: client.listen(APART))
    try:
        client.connected = client.expect("CONNECTED")
    except PeerFailure as failure:
        bench.judge(
            clause,
            False,
            expected=f"CONNECTED for a CONNECT in {len(parts)} segments",
            observed=failure.observed,
        )
        raise
    bench.judge(clause, True, expected="CONNECTED", observed=client.connected)
    return client


@clauses("TCP-SESSION-1")
def test_a_session_begins_with_its_connect(bench: Bench) -> None:
    """Send CONNECT as the first octets of a connection, in one write; expect CONNECTED."""
    _open(bench, "TCP-SESSION-1", 1)


@clauses("TCP-SEGMENTS-1")
@pytest.mark.parametrize("pieces", [0, 2, 3, 5])
def test_a_connect_in_many_segments(bench: Bench, pieces: int) -> None:
    """Send CONNECT octet by octet, or in a few segments; expect CONNECTED."""
    _open(bench, "TCP-SEGMENTS-1", pieces)


@clauses("TCP-SEGMENTS-1")
@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("eol", [b"\n", b"\r\n"], ids=["lf", "crlf"])
def test_frames_in_small_segments(bench: Bench, size: int, eol: bytes) -> None:
    """Send a SEND with a counted body and one without, in segments of a few octets; expect both bodies back."""
    loopback = Loopback(StompFixture(bench))
    if loopback.client.version != "1.2":
        eol = b"\n"
    body = b"a\0b\n\n\0" + CHARACTERS
    counted = b"SEND\nnote:<note>\ncontent-length:<length>\n<destination>\n\n<body>\0"
    octets = loopback.octets(counted, eol=eol, note=CHARACTERS, length=len(body), body=body)
    # A server that stumbles over CR LF between frames does so without cuts, too (STOMP-ABNF-005).
    octets += b"\n" + loopback.octets(b"SEND\n<destination>\n\nplain\0", eol=eol)
    parts = [octets[begin : begin + size] for begin in range(0, len(octets), size)]
    loopback.client.link.send_pieces(parts, lambda: loopback.client.listen(APART))
    messages = [
        loopback.expect_message("TCP-SEGMENTS-1", expected=f"{wanted!r}, cut after every {size} octets")
        for wanted in (body, b"plain")
    ]
    came = [message.body for message in messages]
    bench.judge(
        "TCP-SEGMENTS-1",
        messages[0].get("note") in (None, CHARACTERS.decode()),
        expected=f"the header note:{CHARACTERS.decode()}, or none",
        observed=messages[0],
    )
    bench.judge(
        "TCP-SEGMENTS-1",
        came == [body, b"plain"],
        expected=f"both bodies, cut after every {size} octets",
        observed=came,
    )


@clauses("TCP-SEGMENTS-1")
def test_a_long_frame_in_segments_of_any_size(bench: Bench) -> None:
    """Send a SEND with a body of 30,000 octets in segments of 1, 10, 100, 1,000, … octets; expect the body back."""
    loopback = Loopback(StompFixture(bench))
    body = bytes(b"0123456789" * 3000)
    template = b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0"
    octets = loopback.octets(template, length=len(body), body=body)
    places = [0, *itertools.takewhile(lambda end: end < len(octets), (10**n for n in range(6))), len(octets)]
    parts = [octets[begin:end] for begin, end in itertools.pairwise(places)]
    loopback.client.link.send_pieces(parts, lambda: loopback.client.listen(APART))
    came = loopback.expect_message("TCP-SEGMENTS-1", expected=f"the message that was cut at {places}").body
    bench.judge(
        "TCP-SEGMENTS-1",
        came == body,
        expected=f"the body, cut at {places}",
        observed=f"{len(came)} octets, {came[:40]!r}…",
    )


@clauses("TCP-SEGMENTS-2")
@pytest.mark.parametrize("count", [2, 3, 50, 400])
@pytest.mark.parametrize("between", [b"", b"\n"], ids=["nothing", "line-ends"])
def test_frames_in_one_segment(bench: Bench, count: int, between: bytes) -> None:
    """Send up to 400 SENDs in one write; expect their MESSAGEs, in order."""
    loopback = Loopback(StompFixture(bench))
    bodies = [b"m%d" % number for number in range(count)]
    frames = [loopback.octets(b"SEND\n<destination>\n\n<body>\0", body=body) for body in bodies]
    loopback.client.send_octets(between.join(frames))
    came = [
        loopback.expect_message("TCP-SEGMENTS-2", expected=f"message {number + 1} of {count}").body
        for number in range(count)
    ]
    bench.judge("TCP-SEGMENTS-2", came == bodies, expected=f"{count} messages in order", observed=came)


@clauses("TCP-SEGMENTS-2")
def test_a_long_frame_between_short_ones(bench: Bench) -> None:
    """Send a short SEND, one as long as the server takes, and a short one in one write; expect all three."""
    loopback = Loopback(StompFixture(bench))
    limit = bench.limit("body_bytes")
    # 60,000 octets fit into the frames of every server that was seen; more only where that is declared.
    size = 60_000 if limit is None else min(int(limit), LONG)
    bodies = [b"before", b"x" * size, b"behind"]
    template = b"SEND\ncontent-length:<length>\n<destination>\n\n<body>\0"
    loopback.client.send_octets(
        b"".join(loopback.octets(template, length=len(body), body=body) for body in bodies)
    )
    came = [loopback.expect_message("TCP-SEGMENTS-2").body for _ in bodies]
    bench.judge(
        "TCP-SEGMENTS-2",
        came == bodies,
        expected=f"bodies of {[len(body) for body in bodies]} octets",
        observed=f"bodies of {[len(body) for body in came]} octets",
    )


@clauses("TCP-SEGMENTS-3")
@pytest.mark.parametrize("part", [0, 1, 5, 12], ids=lambda part: f"{part}-octets")
def test_a_whole_frame_does_not_wait_for_the_next_one(bench: Bench, part: int) -> None:
    """Send a SEND and the first octets of another one; expect the MESSAGE, then send the rest and expect the other."""
    fixture = StompFixture(bench)
    loopback = Loopback(fixture)
    first = loopback.octets(b"SEND\n<destination>\n\nfirst\0")
    second = loopback.octets(b"SEND\n<destination>\n\nsecond\0")
    loopback.client.send_octets(first + second[:part])
    came = loopback.expect_message(
        "TCP-SEGMENTS-3", expected=f"the message, before more than {part} octets of the next frame are sent"
    )
    loopback.client.send_octets(second[part:])
    later = loopback.expect_message("TCP-SEGMENTS-3", expected="the message of the next frame")
    bench.judge(
        "TCP-SEGMENTS-3",
        (came.body, later.body) == (b"first", b"second"),
        expected="both messages",
        observed=[came.octets, later.octets],
    )
