"""Values that are just within a declared limit: a limit is the largest that is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ADD_TOPIC, REMOVE_TOPIC, QueueFixture

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Most partitions that are asked for: a topic of more is work for a server.
MOST_PARTITIONS = 2000
TOO_MANY = "urn:stompliance:problem:too-many"


@clauses("PART-COUNT-1")
def test_a_topic_may_have_as_many_partitions_as_the_limit_says(bench: Bench) -> None:
    """Add a topic with as many partitions as the limit `partitions` declares; expect 200 and so many, or a refusal for
    want of room for so many in all topics together.
    """
    most = bench.limit("partitions")
    if not bench.declares("topic-partitions") or not most or most > MOST_PARTITIONS:
        bench.skip(
            "PART-COUNT-1", f"no number of partitions up to {MOST_PARTITIONS} is declared as the limit"
        )
        return
    queue = QueueFixture(bench)
    name = bench.fresh("topic")
    reply = queue.call(ADD_TOPIC, {"topicName": name, "partitions": int(most)})
    if isinstance(reply.body, dict) and reply.body.get("type") == TOO_MANY:
        bench.skip("PART-COUNT-1", "the server has no room for a topic of so many partitions")
        return
    expect_status(bench, reply, 200, "PART-COUNT-1", f"{int(most)} partitions are the declared limit")
    if bench.declares("introspection"):
        told = bench.partitions_of(name)
        bench.judge("PART-COUNT-1", told == most, expected=f"{int(most)} partitions", observed=told)
    if bench.declares("topic-removal"):
        queue.call(REMOVE_TOPIC, {"topicName": name})


@clauses("POLL-BATCH-1")
def test_a_batch_may_be_as_large_as_the_limit_says(bench: Bench) -> None:
    """Poll with the declared limit as `max_messages` while one record is free; expect 200 and the record."""
    if (most := bench.limit("poll_messages")) is None:
        bench.skip("POLL-BATCH-1", "the server declares no limit poll_messages")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m")
    reply = queue.poll(consumer, max_messages=int(most))
    expect_status(bench, reply, 200, "POLL-BATCH-1", f"{int(most)} records are the declared limit")


@clauses("POLL-WAIT-1")
def test_a_poll_may_wait_as_long_as_the_limit_says(bench: Bench) -> None:
    """Poll with the declared limit as `wait_seconds` while a record is free; expect 200 and the record at once."""
    if (most := bench.limit("wait_seconds")) is None:
        bench.skip("POLL-WAIT-1", "the server declares no limit wait_seconds")
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    queue.publish(topic, "m")
    reply = queue.poll(consumer, wait_seconds=int(most) if most == int(most) else most)
    expect_status(bench, reply, 200, "POLL-WAIT-1", f"{most:g} seconds are the declared limit")
