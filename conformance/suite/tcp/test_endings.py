"""The end of a connection: TCP-END-1, TCP-HALF-1, TCP-HALF-2, TCP-ERROR-1, TCP-IDLE-1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.stomp.loopback import Loopback
from conformance.suite.stomp.reactions import ATTEMPTS
from conformance.suite.stomp.session_end import expect_all_bodies, expect_sole_subscription
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: Seconds during which a connection without CONNECT is observed.
WATCH = 3.5
#: Messages that are sent before a half-close.
BURST = 50


@clauses("TCP-END-1")
@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_subscription_ends_with_its_connection(bench: Bench, how: str) -> None:
    """Close or reset the connection of a subscriber to a queue; expect every later message at the other subscriber."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues", True):
        bench.skip("TCP-END-1", "the server has no queues, whose messages would reach the other subscriber")
        return
    destination = fixture.queue()
    leaving, staying, sender = fixture.client(), fixture.client(), fixture.client()
    fixture.active_subscription(leaving, destination)
    left = fixture.active_subscription(staying, destination)
    _end(leaving, how)
    expect_sole_subscription(fixture, "TCP-END-1", left, sender)


@clauses("TCP-END-1")
@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_transaction_ends_with_its_connection(bench: Bench, how: str) -> None:
    """Send in a transaction and end the connection without COMMIT; expect nothing of it to be delivered."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        bench.skip("TCP-END-1", "the server has no transactions")
        return
    loopback, client = Loopback(fixture), fixture.client()
    client.begin("t")
    word = bench.fresh("aborted").encode()
    fixture.send(client, loopback.destination, word, transaction="t")
    fixture.fence(client)
    _end(client, how)
    loopback.expect_no_message("TCP-END-1", word, "nothing of the transaction that was open")


@clauses("TCP-END-1")
@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_frame_that_was_cut_off_is_not_carried_out(bench: Bench, how: str) -> None:
    """Send a SEND without its NUL and end the connection; expect no MESSAGE."""
    fixture = StompFixture(bench)
    loopback, client = Loopback(fixture), fixture.client()
    word = bench.fresh("cut-off").encode()
    octets = loopback.octets(b"SEND\n<destination>\n\n<word>\0", version=client.version, word=word)
    client.send_octets(octets[:-1])
    _end(client, how)
    loopback.expect_no_message("TCP-END-1", word, "nothing of a frame without its NUL")


def _end(client: StompClient, how: str) -> None:
    if how == "reset":
        client.link.cut()
    else:
        client.close()


@clauses("TCP-HALF-1", "TCP-HALF-2")
def test_a_client_that_ends_its_side(bench: Bench) -> None:
    """Send 50 SENDs, the last with `receipt`, and a FIN; expect all 50 MESSAGEs. Recorded: the RECEIPT."""
    fixture = StompFixture(bench)
    if bench.target.tls is not None:
        for clause in ("TCP-HALF-1", "TCP-HALF-2"):
            bench.skip(clause, "through TLS each side ends both directions as a rule")
        return
    destination, reader, client = fixture.topic(), fixture.client(), fixture.client()
    subscription = fixture.active_subscription(reader, destination)
    bodies = [b"%d" % number for number in range(BURST)]
    for body in bodies[:-1]:
        fixture.send(client, destination, body)
    fixture.send(client, destination, bodies[-1], receipt="last")
    client.link.end_sending()
    expect_all_bodies(fixture, "TCP-HALF-1", subscription, bodies)
    try:
        client.expect("RECEIPT", receipt_id="last")
        seen = "a RECEIPT comes behind the client's FIN"
    except PeerFailure as failure:
        seen = f"no RECEIPT comes behind the client's FIN, but {failure.observed}"
    bench.observe("TCP-HALF-2", seen)


@clauses("TCP-ERROR-1")
def test_an_error_is_not_lost_by_a_reset(bench: Bench) -> None:
    """Send a faulty frame and nothing more; expect the end of the connection behind the ERROR to be no reset."""
    fixture = StompFixture(bench)
    ends = []
    for octets in [b"SEND\n\nno destination\0", b"SEND\njunk\n\n\0"] * ATTEMPTS:
        client = fixture.client()
        client.send_octets(octets)
        try:
            closed = client.expect_end()
        except PeerFailure:
            continue
        if client.errors:
            ends.append("in an orderly way" if closed.orderly else "by a reset")
        if ends and closed.orderly:
            break
    if not ends:
        bench.skip("TCP-ERROR-1", "the server ended no connection behind an ERROR")
        return
    bench.judge(
        "TCP-ERROR-1",
        "in an orderly way" in ends,
        expected="a connection that ends in an orderly way behind the ERROR, in one of several attempts",
        observed=f"ends {', '.join(ends)}",
    )


@clauses("TCP-IDLE-1")
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
    bench.observe("TCP-IDLE-1", f"a connection without CONNECT: {seen}{against}")
