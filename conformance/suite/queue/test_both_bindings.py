"""Consumers that use both bindings: a record is in flight with a name, whatever the door it came through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    NEGATIVE_ACKNOWLEDGE,
    REGISTER,
    SUBSCRIBE,
    QueueFixture,
)
from conformance.suite.queue.ownership_probe import is_fair, own_every_partition, partition_count
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


@clauses("POLL-WAIT-1")
def test_a_settlement_in_the_other_binding_wakes_a_poll(bench: Bench) -> None:
    """Hold a record, let a poll wait, and acknowledge the record in the other binding; then give the next one back
    there; expect the record that this frees each time, long before the time is over.
    """
    if (other := _other_binding(bench, "POLL-WAIT-1")) is None:
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    record = queue.poll_until_record(consumer)
    for path, clause in ((ACKNOWLEDGE, "ACK-OK-1"), (NEGATIVE_ACKNOWLEDGE, "NACK-OK-1")):
        if path == NEGATIVE_ACKNOWLEDGE and not bench.declares("negative-acknowledgement"):
            return
        waiting = WaitingPoll(queue, consumer)
        reply = other.call(path, {"consumer_name": consumer, "message_id": record.message_id})
        expect_status(bench, reply, 202, clause, "the consumer holds the record")
        answer, took = waiting.answer()
        bench.judge(
            "POLL-WAIT-1",
            answer.status == 200 and waiting.is_before_timeout(took),
            expected=f"200 with the record, before the {waiting.seconds:g} s are over",
            observed=f"{answer} after {took:.3f} s",
        )
        record = queue.record_of(answer)
        bench.judge("POLL-WAIT-1", record.message == "m1", expected="m1", observed=record.whole)


@clauses("PART-KEY-1")
def test_a_key_has_one_partition_in_both_bindings(bench: Bench) -> None:
    """Publish records of several keys in both bindings in turn; expect at most one record of a key in flight."""
    if (other := _other_binding(bench, "PART-KEY-1")) is None:
        return
    if not bench.declares("http-publish"):
        bench.skip("PART-KEY-1", "nothing can be published over HTTP (extension http-publish)")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    own_every_partition(queue, topic, consumer)
    keys = [f"key-{number}" for number in range(bench.examples(6, 20, 60))]
    for key in keys:
        for publish in (
            queue.publish(topic, key, key=key),
            other.publish(topic, bench.fresh("id"), key, key=key),
        ):
            expect_status(bench, publish, 200, "PUB-STORE-1", "the record is valid, and the topic exists")
    came = [record.key for _, record in queue.poll_all(consumer)]
    bench.judge(
        "PART-KEY-1",
        len(set(came)) == len(came),
        expected="one record of a key in flight, whichever binding it came by: its records lie in one partition",
        observed=came,
    )


@clauses("ASSIGN-2")
def test_members_of_both_bindings_share_a_topic(bench: Bench) -> None:
    """Subscribe two members to a topic, each in another binding; expect even shares of its partitions."""
    if (other := _other_binding(bench, "ASSIGN-2")) is None:
        return
    queue = QueueFixture(bench)
    topic, group, (here,) = queue.topic_with_consumers()
    there = bench.fresh("consumer")
    for path, body in (
        (REGISTER, {"consumer_group_name": group, "consumer_name": there}),
        (SUBSCRIBE, {"consumer_name": there, "topic_list": topic}),
    ):
        expect_status(bench, other.call(path, body), 200, "MEMBER-SUBSCRIBE-1", "the names are valid")
    queue.members[group].append(there)
    partitions = partition_count(queue, topic)
    for _ in queue.retry_until_rebalanced():
        for number in range(partitions):
            queue.publish(topic, f"m{number}", key=None)
        came = queue.poll_all(here, there)
        owners = dict(enumerate(name for name, _ in came))
        for name, record in came:
            queue.acknowledge(name, record.message_id)
        if len(owners) == partitions and is_fair(owners, (here, there)):
            break
    bench.judge(
        "ASSIGN-2",
        len(owners) == partitions and is_fair(owners, (here, there)),
        expected=f"{partitions} records, shared by both members",
        observed=[(name, record.message) for name, record in came],
    )
