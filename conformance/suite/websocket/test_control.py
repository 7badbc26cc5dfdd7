"""WebSocket control frames, limits, and the end of a connection: STOMP-WS-011 to -015, -019, -021, WEBSOCKET-MASK-1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.stomp.loopback import Loopback, session_sending
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import ATTEMPTS, reaction
from conformance.suite.stomp.session_end import expect_sole_subscription
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.websocket.links import websocket_of
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.reactions import Provoke
    from conformance.wire.stomp import StompClient

KIB, MIB = 1 << 10, 1 << 20
#: Seconds during which a connection without CONNECT, or with pings only, is observed.
WATCH = 3.5


@clauses("STOMP-WS-021")
@pytest.mark.parametrize(
    "payload",
    [b"", b"ping", bytes(range(125)), bytes(range(131, 256))],
    ids=["empty", "short", "longest", "no text"],
)
def test_a_ping_gets_its_pong(bench: Bench, payload: bytes) -> None:
    """Send a ping before CONNECT and on a session; expect a pong with the same data."""
    for client in (bench.stomp(connect=False), StompFixture(bench).client()):
        bench.judge(
            "STOMP-WS-021",
            websocket_of(client).pong(payload),
            expected=f"a pong with {payload!r}",
            observed=client.closed or "no such pong",
        )


@clauses("WEBSOCKET-MASK-1")
def test_a_frame_that_is_not_masked_ends_the_connection(bench: Bench) -> None:
    """Send a frame that is not masked; expect the end of the connection."""
    client = StompFixture(bench).client()
    websocket_of(client).send_frame(b"\n", opcode=1, mask=False)
    try:
        closed = client.expect_end()
    except PeerFailure as failure:
        bench.judge(
            "WEBSOCKET-MASK-1", False, expected="the end of the connection", observed=failure.observed
        )
        raise
    bench.judge("WEBSOCKET-MASK-1", True, expected="the end of the connection", observed=closed)


@clauses("STOMP-WS-011")
@waits(lambda target: WATCH, clock="wall")
def test_pings_as_signs_of_life(bench: Bench) -> None:
    """Send only pings after promising heart-beats; record if the server drops the connection. Both are allowed."""
    fixture = StompFixture(bench)
    client = fixture.client(heart_beat="500,0")
    since, number = time.monotonic(), 0
    while time.monotonic() < since + WATCH and not client.closed:
        number += 1
        websocket_of(client).pong(b"%d" % number)
        client.listen(0.2)
    ended = time.monotonic() - since
    seen = f"dropped after {ended:.0f} to {ended + 1:.0f} s" if client.closed else f"kept for {WATCH:g} s"
    asked = client.connected.get("heart-beat") if client.connected else None
    bench.observe("STOMP-WS-011", f"a client that only pings is {seen}, CONNECTED with heart-beat:{asked}")


@clauses("STOMP-WS-012")
def test_an_error_is_followed_by_a_close_frame(bench: Bench) -> None:
    """Send faulty frames; expect a Close frame behind each ERROR. Its code is recorded."""
    fixture = StompFixture(bench)
    seen = 0
    for provoke in _faults(fixture):
        found = reaction(fixture, provoke, patience=SHORT_WAIT)
        if found.error is None:
            continue
        seen += 1
        bench.judge(
            "STOMP-WS-012",
            found.closed is not None and found.closed.orderly,
            expected="a Close frame behind the ERROR",
            observed=found,
        )
    if not seen:
        bench.skip("STOMP-WS-012", "the server sent no ERROR for any of the faults that were tried")


def _faults(fixture: StompFixture) -> Iterator[Provoke]:
    """Faulty frames, at least one of which most servers answer with an ERROR."""
    for command, headers in [("SEND", []), ("NONSENSE", []), ("COMMIT", [("transaction", "none")])]:

        def provoke(command: str = command, headers: list[tuple[str, str]] = headers) -> StompClient:
            client = fixture.client()
            client.frame(command, headers)
            return client

        yield provoke
    yield session_sending(fixture, b"SEND\njunk\n\n\0")


@clauses("STOMP-WS-013")
def test_the_receipt_of_disconnect_comes_before_the_close_frame(bench: Bench) -> None:
    """Send DISCONNECT with a receipt header; expect the RECEIPT in at least one of several attempts."""
    fixture = StompFixture(bench)
    outcomes = []
    for _ in range(ATTEMPTS):
        client = fixture.client()
        client.disconnect(receipt="bye")
        try:
            client.expect("RECEIPT", receipt_id="bye")
            outcomes.append("RECEIPT")
            break
        except PeerFailure as failure:
            outcomes.append(str(failure.observed))
    bench.judge(
        "STOMP-WS-013",
        outcomes[-1] == "RECEIPT",
        expected="the RECEIPT of the DISCONNECT",
        observed=outcomes,
    )


@clauses("STOMP-WS-014")
@pytest.mark.parametrize("how", ["close-frame", "close-frame-without-code", "between-fragments", "cut"])
def test_the_session_ends_with_the_connection(bench: Bench, how: str) -> None:
    """Send a Close frame, also without a code or between two fragments, or cut the connection, of a subscriber to a
    queue; expect every later message at the other subscriber.
    """
    fixture = StompFixture(bench)
    if not bench.target.fact("queues", True):
        bench.skip(
            "STOMP-WS-014", "the server has no queues, whose messages would reach the other subscriber"
        )
        return
    destination = fixture.queue()
    leaving, staying, sender = fixture.client(), fixture.client(), fixture.client()
    fixture.active_subscription(leaving, destination)
    left = fixture.active_subscription(staying, destination)
    _end(leaving, how)
    expect_sole_subscription(fixture, "STOMP-WS-014", left, sender)


@clauses("STOMP-WS-014")
@pytest.mark.parametrize("how", ["close-frame", "cut"])
def test_a_transaction_ends_with_the_connection(bench: Bench, how: str) -> None:
    """Send in a transaction and end the connection without COMMIT; expect nothing of it to be delivered."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        bench.skip("STOMP-WS-014", "the server has no transactions")
        return
    loopback, client, transaction = Loopback(fixture), fixture.client(), bench.fresh("transaction")
    client.begin(transaction)
    word = bench.fresh("aborted").encode()
    fixture.send(client, loopback.destination, word, transaction=transaction)
    fixture.fence(client)
    _end(client, how)
    loopback.expect_no_message("STOMP-WS-014", word, "nothing of the transaction that was open")


def _end(client: StompClient, how: str) -> None:
    if how == "cut":
        client.link.cut()
        return
    websocket = websocket_of(client)
    if how == "between-fragments":
        websocket.send_frame(b"SEND\ndestination:", opcode=1, fin=False)
    if how == "close-frame-without-code":
        websocket.send_frame(b"", opcode=8)
    else:
        websocket.send_close()
    client.expect_end()


@clauses("STOMP-WS-015")
def test_the_size_of_a_message(bench: Bench) -> None:
    """Send larger and larger messages; record the size that passes. They hold only line ends, so that no limit on
    frames applies first.
    """
    fixture = StompFixture(bench)
    passed, beyond = 0, ""
    for size in (64 * KIB, MIB, bench.examples(2, 4, 16) * MIB):

        def provoke(size: int = size) -> StompClient:
            client = fixture.client()
            client.send_octets(b"\n" * size)
            return client

        found = reaction(fixture, provoke)
        if not found.served_later_frames or found.is_refusal:
            error = "an ERROR and " if found.error else ""
            beyond = f"for {size} octets {error}{found.closed or 'no answer'}"
            break
        passed = size
    bench.observe("STOMP-WS-015", f"messages of {passed} octets pass{f'; {beyond}' if beyond else ''}")


@clauses("STOMP-WS-019")
@waits(lambda target: WATCH, clock="wall")
def test_a_connection_without_connect(bench: Bench) -> None:
    """Send nothing over a connection; record if the server closes it. Both are allowed."""
    client = bench.stomp(connect=False)
    since = time.monotonic()
    client.listen(WATCH)
    ended = time.monotonic() - since
    seen = (
        f"closed after {ended:.0f} to {ended + 1:.0f} s"
        if client.closed
        else f"not closed within {WATCH:g} s"
    )
    declared = bench.target.timings.first_frame_timeout
    against = f", first_frame_timeout is {declared:g} s" if declared is not None else ""
    bench.observe("STOMP-WS-019", f"a connection without CONNECT: {seen}{against}")
