"""SUBSCRIBE and UNSUBSCRIBE with one id on several connections at the same moment: STOMP-SUB-006."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.stomp.stomp_fixture import StompFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.stomp.destinations import Subscription
    from conformance.wire.stomp import StompClient

#: Connections that subscribe at one moment.
AT_ONCE = 4


@clauses("STOMP-SUB-006")
def test_equal_ids_at_the_same_moment(bench: Bench) -> None:
    """SUBSCRIBE with one id on several connections at the same moment, each to a topic of its own, many times, and
    UNSUBSCRIBE half of them at the same moment; expect a message to each topic at its own connection and no other.
    """
    fixture = StompFixture(bench)
    if not fixture.has_receipts:
        bench.skip("STOMP-SUB-006", "without receipts nothing shows when subscriptions are in effect")
        return
    sender = fixture.client()
    readers = [fixture.client() for _ in range(AT_ONCE)]
    for number in range(bench.examples(quick=3, standard=15, thorough=100)):
        name = f"equal-{number}"
        subscriptions: list[Subscription] = []
        receipts = [fixture.new_receipt() for _ in readers]
        for reader, receipt in zip(readers, receipts, strict=True):
            subscriptions.append(
                fixture.subscribe(reader, fixture.topic(), [("id", name), ("receipt", receipt)])
            )
        for reader, receipt in zip(readers, receipts, strict=True):
            fixture.expect_receipt(reader, receipt, "SUBSCRIBE")
        _expect_own(fixture, sender, subscriptions)
        leaving = subscriptions[:: 2 if number % 2 else -2]
        receipts = [fixture.new_receipt() for _ in leaving]
        for each, receipt in zip(leaving, receipts, strict=True):
            each.client.unsubscribe(name, [*each.destination.headers.items(), ("receipt", receipt)])
        for each, receipt in zip(leaving, receipts, strict=True):
            fixture.expect_receipt(each.client, receipt, "UNSUBSCRIBE")
        staying = [each for each in subscriptions if each not in leaving]
        _expect_own(fixture, sender, staying)
        for each in staying:
            each.client.unsubscribe(name, each.destination.headers)


def _expect_own(fixture: StompFixture, sender: StompClient, subscriptions: list[Subscription]) -> None:
    """Judge STOMP-SUB-006 by one message to each topic, which comes to its subscription and to no other connection."""
    words = [fixture.bench.fresh("word").encode() for _ in subscriptions]
    for each, word in zip(subscriptions, words, strict=True):
        fixture.send(sender, each.destination, word)
    for each, word in zip(subscriptions, words, strict=True):
        fixture.expect_message(each, "STOMP-SUB-006", lambda frame, word=word: frame.body == word)  # type: ignore[misc]
    for each, word in zip(subscriptions, words, strict=True):
        fixture.fence(each.client)
        # One that comes to its own connection twice is another matter (STOMP-SUB-008).
        more = [frame for frame in each.client.take("MESSAGE") if frame.body in words and frame.body != word]
        fixture.judge(
            "STOMP-SUB-006", not more, expected="no message of another connection's topic", observed=more
        )
