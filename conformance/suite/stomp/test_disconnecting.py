"""The end of a session, by DISCONNECT or without: STOMP-DISCONNECT-*."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import ATTEMPTS
from conformance.suite.stomp.session_end import expect_all_bodies, expect_sole_subscription
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Subscription
    from conformance.wire.stomp import StompClient

BURST = 50


@clauses("STOMP-DISCONNECT-001")
@pytest.mark.parametrize("way", ["one by one", "together"])
def test_disconnect_is_receipted_behind_all_earlier_frames(bench: Bench, way: str) -> None:
    r"""Send 50 SENDs and `DISCONNECT\nreceipt:bye\n\n\0`; expect the RECEIPT, and all 50 MESSAGEs."""
    fixture = StompFixture(bench)
    destination, reader = fixture.topic(), fixture.client()
    subscription = fixture.active_subscription(reader, destination)
    for attempt in range(1, ATTEMPTS + 1):
        client = fixture.client()
        bodies = [b"%d-%d" % (attempt, number) for number in range(BURST)]
        with client.link.in_one_write() if way == "together" else nullcontext():
            for body in bodies:
                fixture.send(client, destination, body)
            client.disconnect(receipt="bye")
        try:
            client.expect("RECEIPT", receipt_id="bye")
        except PeerFailure as failure:
            # The last frame may get lost before the close (STOMP-LINGER-002), but not every time.
            fixture.judge(
                "STOMP-DISCONNECT-001",
                attempt < ATTEMPTS,
                expected=f"the RECEIPT of the DISCONNECT, in one of {ATTEMPTS} attempts",
                observed=failure.observed,
            )
            continue
        client.link.cut()
        expect_all_bodies(fixture, "STOMP-DISCONNECT-001", subscription, bodies)
        return


@clauses("STOMP-DISCONNECT-002")
def test_the_end_of_the_connection_after_disconnect(bench: Bench) -> None:
    """Send DISCONNECT with `receipt`. Recorded: the end of the connection by the server, if any."""
    fixture = StompFixture(bench)
    client = fixture.client()
    client.disconnect(receipt="bye")
    try:
        how = str(client.expect_end(SHORT_WAIT))
    except PeerFailure:
        how = f"the connection is open {SHORT_WAIT:g} s later"
    fixture.observe("STOMP-DISCONNECT-002", how)


@clauses("STOMP-DISCONNECT-003")
def test_frames_behind_disconnect(bench: Bench) -> None:
    """Send a SEND behind DISCONNECT. Recorded: the delivery of its message."""
    fixture = StompFixture(bench)
    destination, reader = fixture.topic(), fixture.client()
    subscription = fixture.active_subscription(reader, destination)
    client = fixture.client()
    client.disconnect()
    fixture.send(client, destination, b"late")
    came = any(frame.body == b"late" for frame in fixture.messages_before_marker(subscription))
    fixture.observe("STOMP-DISCONNECT-003", "carried out" if came else "ignored")


@clauses("STOMP-DISCONNECT-004")
def test_disconnect_without_receipt_ends_the_session_in_silence(bench: Bench) -> None:
    r"""Send `DISCONNECT\n\n\0`; expect neither RECEIPT nor ERROR, and no MESSAGE for its subscriptions any more."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        client = fixture.client()
        client.disconnect()
        with suppress(PeerFailure):
            client.expect_end(SHORT_WAIT)
        if not _judge_silence(fixture, client):
            return
        bench.skip(
            "STOMP-DISCONNECT-004", "without queues no other consumer shows that a subscription has ended"
        )
        return
    leaving, staying, sender = fixture.client(), fixture.client(), fixture.client()
    left = _shared(fixture, leaving, staying)
    leaving.disconnect()
    for subscription in left:
        expect_sole_subscription(fixture, "STOMP-DISCONNECT-004", subscription, sender)
    _judge_silence(fixture, leaving)


def _judge_silence(fixture: StompFixture, client: StompClient) -> bool:
    """Judge that a DISCONNECT without receipt got no answer."""
    frames = [frame for frame in client.drain() if frame.command != "MESSAGE"]
    return fixture.judge(
        "STOMP-DISCONNECT-004",
        not frames,
        expected="neither RECEIPT nor ERROR for a DISCONNECT without receipt",
        observed=frames[0].octets if frames else "nothing",
    )


@clauses("STOMP-DISCONNECT-005")
@pytest.mark.parametrize("how", ["close-frame", "cut"])
def test_the_session_ends_with_its_connection(bench: Bench, how: str) -> None:
    """Close or cut the connection without DISCONNECT; expect all messages of its queues at another consumer."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        bench.skip(
            "STOMP-DISCONNECT-005", "without queues no other consumer shows that a subscription has ended"
        )
        return
    leaving, staying, sender = fixture.client(), fixture.client(), fixture.client()
    left = _shared(fixture, leaving, staying)
    if how == "cut":
        leaving.link.cut()
    else:
        leaving.close()
    for subscription in left:
        expect_sole_subscription(fixture, "STOMP-DISCONNECT-005", subscription, sender)


def _shared(fixture: StompFixture, leaving: StompClient, staying: StompClient) -> list[Subscription]:
    """Two queues with a subscription of both clients; the subscriptions of the client that stays."""
    destinations = [fixture.queue(), fixture.queue()]
    for destination in destinations:
        fixture.active_subscription(leaving, destination)
    return [fixture.active_subscription(staying, destination) for destination in destinations]
