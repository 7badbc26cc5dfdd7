"""Lengths and numbers of WebSocket frames, around the borders of the three forms of a length, each way."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.generators import KIB, lengths, many
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.websocket.links import websocket_of
from conformance.wire.cutting import cut_repr
from conformance.wire.failures import PeerFailure, Violation

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: Lengths next to the border between two and eight octets, tried with any effort.
LAST_BORDER = (65_535, 65_536, 65_537)
#: Length of a body that shows that a server takes messages beyond that border.
BEYOND = 70_000
#: Expectation of the reader that octets broke.
BROKEN = "WebSocket frames as RFC 6455 has them"
#: Close codes of an end that no limit explains: a protocol error, and text that is not UTF-8.
MISREAD = (1002, 1007)
#: Bodies around the one that makes a MESSAGE as long as wanted, as the numbers in its head vary.
NEAR = range(-2, 3)
SEND = b"SEND\n<destination>\n\n<body>\0"


def _lengths(bench: Bench, at_least: int) -> list[int]:
    """Lengths of frames, the last border only for servers that take so long ones."""
    chosen = {*lengths(bench, at_most=64 * KIB - 2), *LAST_BORDER, *lengths(bench, at_least=64 * KIB + 2)}
    return sorted(length for length in chosen if length >= at_least)


def _is_limit(client: StompClient, failure: PeerFailure | Violation) -> bool:
    """True if the server refused a message as too long for it, by an ERROR or by closing the connection."""
    if client.errors:
        return True
    return client.closed is not None and client.closed.code not in MISREAD and failure.expected != BROKEN


def _refuses_long(fixture: StompFixture) -> bool:
    """True if the server refuses a message of BEYOND octets."""
    loopback = Loopback(fixture)
    loopback.send(body=b"x" * BEYOND)
    try:
        loopback.receive(within=fixture.bench.patience_for(BEYOND))
    except (PeerFailure, Violation) as failure:
        return _is_limit(loopback.client, failure)
    return False


@clauses("STOMP-WS-005")
@pytest.mark.parametrize("fragments", [1, 2], ids=["whole", "fragments"])
def test_a_frame_of_any_length_is_read(bench: Bench, fragments: int) -> None:
    """Send WebSocket frames whose lengths lie around the borders; expect each message back."""
    fixture = StompFixture(bench)
    refuses_long = _refuses_long(fixture)
    loopback = Loopback(fixture)
    empty = len(loopback.octets(SEND, body=b""))
    for length in _lengths(bench, empty + 1):
        body = (string.ascii_lowercase.encode() * (length // 26 + 1))[: length - empty]
        octets = loopback.octets(SEND, body=body)
        parts = [octets] if fragments == 1 else [octets, b""]
        try:
            websocket_of(loopback.client).send_fragments(parts)
            came = loopback.receive(within=bench.patience_for(length)).body
        except (PeerFailure, Violation) as failure:
            is_possible = length > 16 * KIB and (refuses_long or length > BEYOND)
            if is_possible and _is_limit(loopback.client, failure):
                bench.observe("STOMP-WS-015", f"a message of {length} octets is refused")
                return
            bench.judge(
                "STOMP-WS-005", False, expected=f"a frame of {length} octets read", observed=failure.observed
            )
            return
        bench.judge(
            "STOMP-WS-005",
            came == body,
            expected=f"the body of a frame of {length} octets",
            observed=f"{len(came)} octets: {cut_repr(came, 200)}",
        )


@clauses("STOMP-WS-005")
def test_a_frame_of_any_length_is_written(bench: Bench) -> None:
    """Have the server send messages whose lengths lie around the borders; expect that each can be read."""
    fixture = StompFixture(bench)
    refuses_long = _refuses_long(fixture)
    loopback = Loopback(fixture)
    try:
        _judge_receipts(loopback)
        loopback.send(body=b"x" * 100)
        head = len(loopback.receive().octets) - 100
        for length in _lengths(bench, head + 5):
            if length > 60 * KIB and refuses_long:
                bench.observe("STOMP-WS-015", f"a body of {BEYOND} octets doesn't come back")
                return
            for near in NEAR:
                # content-length counts its own digits, of which the first body had three.
                body = b"x" * (length - head - len(str(length)) + 3 + near)
                loopback.send(body=body)
                came = loopback.receive(within=bench.patience_for(length))
                bench.judge(
                    "STOMP-WS-005",
                    came.body == body,
                    expected=f"a MESSAGE of about {length} octets",
                    observed=f"a body of {len(came.body)} octets instead of {len(body)}",
                )
    except (PeerFailure, Violation) as failure:
        if isinstance(failure, Violation) and failure.clause == "STOMP-WS-005":
            raise
        if loopback.client.errors:
            bench.observe("STOMP-WS-015", f"a message is refused: {loopback.client.errors[0].get('message')}")
            return
        bench.judge(
            "STOMP-WS-005",
            False,
            expected="frames that can be read, whatever their lengths",
            observed=failure.observed,
        )


def _judge_receipts(loopback: Loopback) -> None:
    """RECEIPTs around the first border: a MESSAGE may never be so short."""
    if not loopback.fixture.has_receipts:
        return
    for size in range(80, 130):
        value = "r" * size
        loopback.send(body=b"r", receipt=value)
        came = loopback.client.expect("RECEIPT").get("receipt-id")
        loopback.receive()
        loopback.fixture.bench.judge(
            "STOMP-WS-005",
            came == value,
            expected=f"a RECEIPT for a value of {size} octets",
            observed=came,
        )


@clauses("STOMP-WS-005")
@pytest.mark.parametrize("size", [1, 0], ids=["octets", "empty"])
def test_a_message_of_many_fragments(bench: Bench, size: int) -> None:
    """Send a message in many fragments, of an octet each or empty; expect it back whole."""
    loopback = Loopback(StompFixture(bench))
    count = many(bench)
    octets = loopback.octets(SEND, body=b"0123456789" * (count // 10 + 1))
    parts = [octets[number : number + 1] for number in range(count)] if size else [b""] * count
    with loopback.client.link.in_one_write():
        websocket_of(loopback.client).send_fragments([*parts, octets[count:] if size else octets])
    message = loopback.expect_message("STOMP-WS-005")
    bench.judge(
        "STOMP-WS-005",
        message.body == b"0123456789" * (count // 10 + 1),
        expected=f"the message that came in {count} fragments",
        observed=f"a body of {len(message.body)} octets",
    )
