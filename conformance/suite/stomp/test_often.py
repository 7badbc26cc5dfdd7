"""Transactions and subscriptions that begin and end many times on one session: nothing of them adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.generators import many
from conformance.suite.stomp.accept_or_refuse import takes_frames_in_a_row
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.suite.stomp.transaction_steps import all_delivered_bodies, channel_to, send_in_transaction
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("STOMP-TX-004")
def test_many_transactions_one_after_another(bench: Bench) -> None:
    """Begin and commit many transactions in a row on one session, with a SEND in each; expect the MESSAGE of each."""
    fixture = StompFixture(bench)
    if not fixture.has_transactions:
        fixture.skip("STOMP-TX-004", "the server has no transactions")
        return
    channel = channel_to(fixture)
    bodies = [f"m{number}".encode() for number in range(many(bench))]
    stem = bench.fresh("t")
    expected = f"the message of each of {len(bodies)} transactions, committed one after another"
    try:
        for body in bodies:
            name = f"{stem}-{body.decode()}"
            channel.sender.begin(name)
            send_in_transaction(fixture, channel.sender, name, channel.destination, body)
            channel.sender.commit(name)
        fixture.fence(channel.sender)
    except PeerFailure as failure:
        if not takes_frames_in_a_row(fixture, 3 * len(bodies)):
            fixture.skip(
                "STOMP-TX-004", f"so many frames in a row end a session without transactions, too: {failure}"
            )
            return
        fixture.judge("STOMP-TX-004", False, expected=expected, observed=failure.observed)
        raise
    came = all_delivered_bodies(channel, bodies)
    missing = [body for body in bodies if body not in came]
    fixture.judge("STOMP-TX-004", not missing, expected=expected, observed=f"without {missing[:5]}")


@clauses("STOMP-SUB-001")
def test_many_subscriptions_one_after_another(bench: Bench) -> None:
    """Subscribe and unsubscribe many times in a row on one session; expect the messages of one more subscription."""
    fixture = StompFixture(bench)
    reader, sender = fixture.client(), fixture.client()
    count = many(bench)
    topics = [fixture.topic() for _ in range(3)]
    expected = f"a message for a subscription after {count} that have ended"
    try:
        for number in range(count):
            topic = topics[number % len(topics)]
            subscription = fixture.subscribe(reader, topic)
            reader.unsubscribe(subscription.id, topic.headers)
        last = fixture.active_subscription(reader, fixture.topic())
        fixture.send(sender, last.destination, "last")
        reader.expect("MESSAGE", last.owns)
    except PeerFailure as failure:
        fixture.judge("STOMP-SUB-001", False, expected=expected, observed=failure.observed)
        raise
    fixture.judge("STOMP-SUB-001", True, expected=expected, observed="its message")
