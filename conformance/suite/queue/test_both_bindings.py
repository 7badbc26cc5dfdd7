"""Consumers that use both bindings: a record is in flight with a name, whatever the door it came through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ACKNOWLEDGE, NEGATIVE_ACKNOWLEDGE, QueueFixture
from conformance.suite.queue.waiting_poll import WaitingPoll
from conformance.wire.operations import HttpOperations, QueueClient, StompOperations

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


def _other_binding(bench: Bench, clause: str) -> QueueClient | None:
    """A client of the binding that is not the one of the test; None if one of them is not judged: skips the clause."""
    if not (bench.claims("queue-http") and bench.claims("queue-stomp")):
        bench.skip(clause, "the server has one binding, or one is judged")
        return None
    if bench.binding == "queue-http":
        return QueueClient(StompOperations(bench.stomp()))
    return QueueClient(HttpOperations(bench.http()))


@clauses("ACK-OK-1")
def test_a_record_may_be_settled_in_the_other_binding(bench: Bench) -> None:
    """Poll in one binding and acknowledge in the other one, both ways; expect 202, and the next record each time."""
    if (other := _other_binding(bench, "ACK-OK-1")) is None:
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    first = queue.poll_until_record(consumer)
    reply = other.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": first.message_id})
    expect_status(bench, reply, 202, "ACK-OK-1", "the consumer holds the record")
    reply = other.poll(consumer)
    expect_status(bench, reply, 200, "ACK-COMMIT-2", "a record is free for this consumer")
    second = queue.record_of(reply)
    bench.judge("ACK-COMMIT-2", second.message == "m1", expected="m1 behind m0", observed=second.whole)
    if bench.declares("negative-acknowledgement"):
        body = {"consumer_name": consumer, "message_id": second.message_id}
        expect_status(
            bench, queue.call(NEGATIVE_ACKNOWLEDGE, body), 202, "NACK-OK-1", "the consumer holds the record"
        )
        second = queue.record_of(other.poll(consumer))
    queue.acknowledge(consumer, second.message_id)
    third = queue.poll_record(consumer, "ACK-COMMIT-2")
    bench.judge("ACK-COMMIT-2", third.message == "m2", expected="m2 behind m1", observed=third.whole)


@clauses("POLL-WAIT-1")
def test_a_record_from_the_other_binding_wakes_a_poll(bench: Bench) -> None:
    """Send a long poll, and publish in the other binding while it waits; expect the record, long before the time is
    over.
    """
    if (other := _other_binding(bench, "POLL-WAIT-1")) is None:
        return
    if bench.binding == "queue-stomp" and not bench.declares("http-publish"):
        bench.skip("POLL-WAIT-1", "nothing can be published over HTTP (extension http-publish)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    waiting = WaitingPoll(queue, consumer)
    reply = other.publish(topic, bench.fresh("id"), "awaited", key="one-key")
    expect_status(bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
    waiting.expect_record("POLL-WAIT-1", "awaited")
