"""Polls for several records at once: POLL-BATCH-* (extension batch-poll)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import NEGATIVE_ACKNOWLEDGE, QueueFixture
from conformance.suite.queue.generators import beyond

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.fixture import DeliveredRecord


def batch(queue: QueueFixture, consumer: str, count: int) -> list[DeliveredRecord]:
    """Poll for up to `count` records, of which at least one is free, and return them."""
    reply = queue.poll(consumer, max_messages=count)
    records: Any = reply.body.get("records") if isinstance(reply.body, dict) else None
    queue.bench.judge(
        "POLL-BATCH-1",
        reply.status == 200 and isinstance(records, list) and 1 <= len(records) <= count,
        expected=f'200 with {{"records": […]}}, 1 to {count} of them',
        observed=reply,
    )
    queue.bench.judge_schema("POLL-BATCH-1", "batch-poll-reply", reply.body)
    return [queue.parse_record(item, reply) for item in records]


@clauses("POLL-BATCH-1")
def test_a_batch_holds_at_most_one_record_of_a_partition(bench: Bench) -> None:
    """Send batch polls with records free in three partitions; expect at most `max_messages` records, one of each
    partition, and no 200 once all of them are in flight.
    """
    queue = QueueFixture(bench)
    topics = [queue.new_topic() for _ in range(3)]
    consumer = queue.new_consumer(queue.new_group(), *topics)
    for topic in topics:
        queue.confirm_ownership(topic, consumer)
    for topic in topics:
        queue.publish(topic, "m0")
        queue.publish(topic, "m1")
    most = int(min(bench.limit("poll_messages") or 10, 10))
    came = batch(queue, consumer, min(2, most))
    while len(came) < len(topics):  # records in flight don't count for the size of a batch
        came += batch(queue, consumer, 1)
    observed = sorted((record.topic, record.message) for record in came)
    bench.judge(
        "POLL-BATCH-1",
        observed == sorted((topic, "m0") for topic in topics),
        expected="the first record of each of the three topics",
        observed=observed,
    )
    empty = queue.poll(consumer, max_messages=most)
    bench.judge("POLL-BATCH-1", empty.status != 200, expected="no 200: all are in flight", observed=empty)


@clauses("DELIVER-3", "ACK-COMMIT-1", "DELIVER-2")
def test_the_records_of_a_batch_are_settled_one_by_one(bench: Bench) -> None:
    """Hold a batch of three topics, give one record back and acknowledge another, and unsubscribe; expect the first
    alone to come again before that, and all but the acknowledged one behind it.
    """
    if not bench.declares("batch-poll"):
        for clause in ("DELIVER-3", "ACK-COMMIT-1", "DELIVER-2"):
            bench.skip(clause, "there are no batches (extension batch-poll)")
        return
    queue = QueueFixture(bench)
    topics, group = [queue.new_topic() for _ in range(3)], queue.new_group()
    consumer = queue.new_consumer(group, *topics)
    for topic in topics:
        queue.confirm_ownership(topic, consumer)
    for topic in topics:
        queue.publish(topic, topic)
    most = int(min(bench.limit("poll_messages") or 3, 3))
    held = batch(queue, consumer, most)
    while len(held) < len(topics):
        held += batch(queue, consumer, most)
    given_back, acknowledged, kept = held
    if bench.declares("negative-acknowledgement"):
        body = {"consumer_name": consumer, "message_id": given_back.message_id}
        expect_status(
            bench, queue.call(NEGATIVE_ACKNOWLEDGE, body), 202, "NACK-OK-1", "the record is in flight"
        )
        (again,) = batch(queue, consumer, 1)
        bench.judge(
            "NACK-AGAIN-1", again.topic == given_back.topic, expected=given_back.topic, observed=again.whole
        )
    queue.expect_no_record(consumer, "DELIVER-3", "no record: all three are in flight")
    queue.acknowledge(consumer, acknowledged.message_id)
    queue.unsubscribe(consumer, *topics)
    heir = queue.new_consumer(group, *topics)
    came = {queue.poll_until_record(heir, "DELIVER-2").topic for _ in range(2)}
    bench.judge(
        "ACK-COMMIT-1",
        acknowledged.topic not in came,
        expected="no record that was acknowledged",
        observed=sorted(came),
    )
    bench.judge(
        "DELIVER-2",
        came == {given_back.topic, kept.topic},
        expected=f"the records of {given_back.topic} and {kept.topic}, which were in flight",
        observed=sorted(came),
    )
    queue.expect_no_record(heir, "ACK-COMMIT-1", "no further record: one was acknowledged, two are in flight")


@clauses("POLL-BATCH-1")
def test_a_batch_of_one_is_a_list_too(bench: Bench) -> None:
    """Poll with `max_messages` of 1; expect a list with one record, which can be acknowledged like any other."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    for number in range(3):
        queue.publish(topic, f"m{number}")
    for number in range(3):
        (record,) = batch(queue, consumer, 1)
        bench.judge(
            "POLL-BATCH-1", record.message == f"m{number}", expected=f"m{number}", observed=record.whole
        )
        queue.acknowledge(consumer, record.message_id)


@clauses("POLL-BATCH-2")
def test_a_batch_of_a_bad_size_is_refused(bench: Bench) -> None:
    """Poll with a `max_messages` that is no integer from 1 to the limit; expect a refusal (4xx), and the record still
    free.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m0")
    most = bench.limit("poll_messages")
    sizes: list[object] = [0, -1, 1.5, "2", True, None, [], *beyond(most)]
    for count in sizes:
        reply = queue.poll(consumer, max_messages=count)
        expect_refusal(bench, reply, "POLL-BATCH-2", f"max_messages is {count!r}")
    record = queue.poll_record(consumer, "POLL-BATCH-2")
    bench.judge("POLL-BATCH-2", record.message == "m0", expected="m0 is still free", observed=record.whole)
