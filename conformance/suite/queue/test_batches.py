"""Polls for several records at once: POLL-BATCH-* (extension batch-poll)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.fixture import QueueFixture
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
    while len(came) < len(topics):
        came += batch(queue, consumer, most)
    observed = sorted((record.topic, record.message) for record in came)
    bench.judge(
        "POLL-BATCH-1",
        observed == sorted((topic, "m0") for topic in topics),
        expected="the first record of each of the three topics",
        observed=observed,
    )
    empty = queue.poll(consumer, max_messages=most)
    bench.judge("POLL-BATCH-1", empty.status != 200, expected="no 200: all are in flight", observed=empty)


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
