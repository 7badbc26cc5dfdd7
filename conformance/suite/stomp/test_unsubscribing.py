"""UNSUBSCRIBE, and the messages of a removed subscription: STOMP-UNSUB-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.stomp.channel import (
    NO_QUEUES,
    Channel,
    acknowledgement_mode,
    consume_elsewhere,
    is_refused,
    message_if_subscribed,
    new_destination,
    reaction_summary,
    session_subscribing,
    unsubscribe,
)
from conformance.suite.stomp.patience import SHORT_WAIT
from conformance.suite.stomp.reactions import expect_error_and_close, reaction
from conformance.suite.stomp.stomp_fixture import StompFixture
from conformance.wire.failures import PeerFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Subscription
    from conformance.suite.stomp.reactions import Reaction
    from conformance.wire.stomp import StompClient

    Headers = Sequence[tuple[str, str]]


@clauses("STOMP-UNSUB-001")
@pytest.mark.parametrize("by", ["id", "destination"])
@pytest.mark.parametrize("kind", ["topic", "queue"])
def test_a_removed_subscription_gets_nothing(bench: Bench, kind: str, by: str) -> None:
    """Send UNSUBSCRIBE; expect no further MESSAGE for it, while another subscription of the connection gets its own."""
    fixture = StompFixture(bench)
    by = by if bench.version == "1.0" else "id"
    reader, destination = fixture.client(), new_destination(fixture, kind)
    removed = Channel(fixture, destination, reader=reader, headers=[] if by == "id" else [("id", None)])
    kept = Channel(fixture, reader=reader, sender=removed.sender)
    removed.send_and_receive("before")
    named = [("id", removed.subscription.id)] if by == "id" else [("destination", destination.name)]
    unsubscribe(fixture, reader, [*named, *destination.headers.items()])
    word = bench.fresh("after").encode()
    removed.send(word)
    came = [
        *fixture.messages_before_marker(kept.subscription, kept.sender),
        *reader.take("MESSAGE", lambda message: message.body == word),
    ]
    bad = [message.octets for message in came if message.body == word]
    bench.judge("STOMP-UNSUB-001", not bad, expected="no MESSAGE for the removed subscription", observed=bad)


@clauses("STOMP-SEND-002", "STOMP-UNSUB-001")
def test_the_other_subscription_of_a_queue_gets_all_that_follows(bench: Bench) -> None:
    """Subscribe two sessions to a queue and unsubscribe one, and then the other way round; expect each message that is
    sent behind an UNSUBSCRIBE at the subscription that is left.
    """
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        fixture.skip("STOMP-SEND-002", NO_QUEUES)
        return
    destination, sender = fixture.queue(), fixture.client()
    readers = [fixture.client(), fixture.client()]
    subscriptions = [
        fixture.active_subscription(reader, destination, id=f"of-{number}")
        for number, reader in enumerate(readers)
    ]
    for removed in (0, 1):
        named = [("id", subscriptions[removed].id), *destination.headers.items()]
        unsubscribe(fixture, readers[removed], named)
        left, expected = subscriptions[1 - removed], "a MESSAGE for the subscription that is left"
        for _ in range(3):
            body = bench.fresh("m").encode()
            fixture.send(sender, destination, body)
            try:
                message = left.client.expect("MESSAGE", left.owns)
            except PeerFailure as failure:
                _judge_removed(fixture, readers[removed], body)
                fixture.judge("STOMP-SEND-002", False, expected=expected, observed=failure.observed)
                raise
            fixture.judge(
                "STOMP-SEND-002", message.body == body, expected=f"the body {body!r}", observed=message.octets
            )
        again = fixture.active_subscription(readers[removed], destination, id=f"again-{removed}")
        subscriptions[removed] = again


def _judge_removed(fixture: StompFixture, client: StompClient, body: bytes) -> None:
    """Judge that the client, which has no subscription any more, did not get the message."""
    fixture.fence(client)
    came = client.take("MESSAGE", lambda frame: frame.body == body)
    fixture.judge(
        "STOMP-UNSUB-001",
        not came,
        expected="no MESSAGE behind the RECEIPT of the UNSUBSCRIBE",
        observed=[frame.octets for frame in came] or "none",
    )


@clauses("STOMP-UNSUB-002")
@pytest.mark.parametrize("named", ["nothing", "destination"])
def test_an_unsubscribe_without_id(bench: Bench, named: str) -> None:
    r"""Send `UNSUBSCRIBE\nreceipt:…\n\n\0`, with and without `destination`; expect a refusal."""
    fixture = StompFixture(bench)

    def headers(subscription: Subscription) -> Headers:
        if named == "nothing":
            return []
        return [("destination", subscription.destination.name), *subscription.destination.headers.items()]

    _judge_refused_unsubscribe(fixture, "STOMP-UNSUB-002", headers, f"that names {named} instead of an id")


@clauses("STOMP-UNSUB-002")
def test_an_unsubscribe_by_destination_of_a_subscription_without_id(bench: Bench) -> None:
    """Send SUBSCRIBE without `id`, if accepted (STOMP-SUB-003), and UNSUBSCRIBE by `destination`; expect a refusal."""
    fixture = StompFixture(bench)
    destination, receipt = fixture.topic(), fixture.new_receipt()
    headers = destination.all_headers
    if is_refused(
        fixture, reaction(fixture, session_subscribing(fixture, [*headers, ("receipt", receipt)]), receipt)
    ):
        bench.skip("STOMP-UNSUB-002", "there is no subscription without id")
        return

    def provoke() -> StompClient:
        client = fixture.client()
        client.frame("SUBSCRIBE", headers)
        client.frame("UNSUBSCRIBE", [*headers, ("receipt", receipt)])
        return client

    why = "by destination, of a subscription without id,"
    _judge_unsubscribe(fixture, "STOMP-UNSUB-002", reaction(fixture, provoke, receipt), receipt, why)


@clauses("STOMP-UNSUB-003")
@pytest.mark.parametrize("again", [False, True], ids=["never-used", "removed"])
def test_an_unsubscribe_of_an_unknown_id(bench: Bench, again: bool) -> None:
    """Send UNSUBSCRIBE with an `id` that was never used or is removed; expect a refusal."""
    fixture = StompFixture(bench)

    def headers(subscription: Subscription) -> Headers:
        named = [("id", subscription.id), *subscription.destination.headers.items()]
        if not again:
            return [("id", "never-used"), *subscription.destination.headers.items()]
        unsubscribe(fixture, subscription.client, named)
        return named

    _judge_refused_unsubscribe(fixture, "STOMP-UNSUB-003", headers, "whose id names no subscription")


def _judge_refused_unsubscribe(
    fixture: StompFixture, clause: str, headers: Callable[[Subscription], Headers], why: str
) -> None:
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        subscription = fixture.active_subscription(fixture.client(), fixture.topic())
        subscription.client.frame("UNSUBSCRIBE", [*headers(subscription), ("receipt", receipt)])
        return subscription.client

    _judge_unsubscribe(fixture, clause, reaction(fixture, provoke, receipt), receipt, why)


def _judge_unsubscribe(fixture: StompFixture, clause: str, found: Reaction, receipt: str, why: str) -> None:
    fixture.judge(
        clause, is_refused(fixture, found), expected=f"an UNSUBSCRIBE {why} refused", observed=found
    )
    if is_refused(fixture, found):
        expect_error_and_close(fixture, "STOMP-ERROR-009", found, receipt, f"an UNSUBSCRIBE {why}")


@clauses("STOMP-UNSUB-004")
def test_an_id_that_is_free_again(bench: Bench) -> None:
    """Send SUBSCRIBE with the `id` of a removed subscription. Recorded: the reaction, and delivery."""
    fixture = StompFixture(bench)
    client = fixture.client()
    first = fixture.active_subscription(client, fixture.topic(), id="again")
    unsubscribe(fixture, client, [("id", first.id), *first.destination.headers.items()])
    second = fixture.topic()
    fixture.subscribe(client, second, id="again")
    came = message_if_subscribed(fixture, client, second)
    if came is not None:
        seen = "accepted, and messages come"
    else:
        seen = "refused" if client.closed or client.errors else "without effect"
    bench.observe("STOMP-UNSUB-004", f"the id of a removed subscription is {seen}")


@clauses("STOMP-UNSUB-005")
def test_an_ack_after_the_subscription(bench: Bench) -> None:
    """Send ACK for a message of a removed subscription. Recorded: the reaction."""
    fixture = StompFixture(bench)
    mode = acknowledgement_mode(bench, "client-individual")
    receipt = fixture.new_receipt()

    def provoke() -> StompClient:
        channel = Channel(fixture, fixture.queue(), headers=[("ack", mode)])
        message = channel.send_and_receive(bench.fresh("m"))
        unsubscribe(
            fixture, channel.reader, [("id", channel.subscription.id), *channel.destination.headers.items()]
        )
        channel.reader.ack(message, receipt=receipt)
        return channel.reader

    found = reaction(fixture, provoke, receipt, patience=SHORT_WAIT)
    bench.observe("STOMP-UNSUB-005", f"an ACK in mode {mode} after UNSUBSCRIBE: {reaction_summary(found)}")


@clauses("STOMP-UNSUB-005")
def test_redelivery_after_unsubscribe(bench: Bench) -> None:
    """Send UNSUBSCRIBE while a message is unacknowledged. Recorded: its redelivery to another consumer."""
    fixture = StompFixture(bench)
    if not bench.target.fact("queues"):
        bench.skip("STOMP-UNSUB-005", NO_QUEUES)
        return
    channel = Channel(fixture, fixture.queue(), headers=[("ack", "client")])
    body = channel.send_and_receive(bench.fresh("m")).body
    unsubscribe(
        fixture, channel.reader, [("id", channel.subscription.id), *channel.destination.headers.items()]
    )
    seen = "at once"
    if body not in consume_elsewhere(fixture, channel.destination, [body], SHORT_WAIT):
        channel.reader.link.cut()
        came = body in consume_elsewhere(fixture, channel.destination, [body], SHORT_WAIT)
        seen = "when the connection has ended" if came else "never"
    bench.observe(
        "STOMP-UNSUB-005",
        f"a message that was unacknowledged at UNSUBSCRIBE comes to another consumer: {seen}",
    )
