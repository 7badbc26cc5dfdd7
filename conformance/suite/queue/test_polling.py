"""Polls for one record at a time: POLL-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.freed_records import keep_everything
from conformance.suite.queue.generators import count_up_to

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("POLL-OK-1", "POLL-OK-2")
def test_a_poll_hands_out_one_record_in_the_given_shape(bench: Bench) -> None:
    """Poll with a record free; expect 200 with an id and the record's message, key and topic."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "hello", key="k")
    record = queue.poll_until_record(consumer)
    same = (record.message, record.key, record.topic) == ("hello", "k", topic)
    bench.judge("POLL-OK-1", same, expected=f"message hello, key k, topicName {topic}", observed=record.whole)
    bench.judge_schema("POLL-OK-1", "poll-reply", record.whole)
    is_integer = isinstance(record.message_id, int) and not isinstance(record.message_id, bool)
    bench.judge("POLL-OK-2", is_integer, expected="an integer as messageId", observed=record.whole)


@clauses("POLL-OK-2")
def test_ids_in_flight_are_unique(bench: Bench) -> None:
    """Poll records of several topics and groups without acknowledging; expect ids that differ.

    One record that is in flight in two groups may have the same id in both.
    """
    queue = QueueFixture(bench)
    topics = [queue.new_topic() for _ in range(3)]
    both, one = (
        queue.new_consumer(queue.new_group(), *topics[:2]),
        queue.new_consumer(queue.new_group(), topics[2]),
    )
    for topic in topics:
        queue.publish(topic, "m", label=1)
    ids = [queue.poll_until_record(consumer).message_id for consumer in (both, both, one)]
    bench.judge("POLL-OK-2", len(set(ids)) == 3, expected="three different ids", observed=ids)


@clauses("POLL-EMPTY-1", "POLL-EMPTY-2")
@pytest.mark.parametrize("why", ["no subscription", "empty topic", "all acknowledged", "all in flight"])
def test_a_poll_with_nothing_to_give_is_no_success(bench: Bench, why: str) -> None:
    """Poll while no record is free; expect any status but 200, and preferably 204."""
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    consumer = queue.new_consumer(group)
    if why == "no subscription":
        queue.publish(topic, "not for this one")
    else:
        queue.subscribe(consumer, topic)
    if why.startswith("all"):
        queue.publish(topic, "only")
        record = queue.poll_until_record(consumer)
        if why == "all acknowledged":
            queue.acknowledge(consumer, record.message_id)
    reply = queue.poll(consumer)
    bench.judge("POLL-EMPTY-1", reply.status != 200, expected="anything but 200", observed=reply)
    expect_status(bench, reply, 204, "POLL-EMPTY-2", "no record is free for this consumer")


@clauses("POLL-FAIR-1")
def test_polls_without_acknowledging_return_one_of_each_partition(bench: Bench) -> None:
    """Send k polls with records free in k partitions; expect one record of each partition."""
    queue = QueueFixture(bench)
    topics = [queue.new_topic() for _ in range(4)]
    consumer = queue.new_consumer(queue.new_group(), *topics)
    for topic in topics:
        queue.confirm_ownership(topic, consumer)
    for topic in topics:
        for number in range(3):
            queue.publish(topic, f"m{number}")
    records = [queue.poll_record(consumer, "POLL-FAIR-1") for _ in topics]
    observed = sorted((record.topic, record.message) for record in records)
    expected = sorted((topic, "m0") for topic in topics)
    bench.judge("POLL-FAIR-1", observed == expected, expected=f"{expected}", observed=observed)


@clauses("POLL-FAIR-1")
def test_no_partition_starves_while_another_is_consumed(bench: Bench) -> None:
    """Read for long from one of two partitions, then poll twice; expect one record of each partition."""
    queue = QueueFixture(bench)
    busy, quiet = queue.new_topic(), queue.new_topic()
    consumer = queue.new_consumer(queue.new_group(), busy, quiet)
    queue.confirm_ownership(quiet, consumer)
    for number in range(8):
        queue.publish(busy, f"busy{number}")
    for record in queue.read_and_acknowledge(consumer, 5):
        bench.judge(
            "POLL-FAIR-1", record.topic == busy, expected="a record of the busy topic", observed=record.whole
        )
    queue.publish(quiet, "quiet")
    pair = {queue.poll_record(consumer, "POLL-FAIR-1").message for _ in range(2)}
    bench.judge(
        "POLL-FAIR-1",
        pair == {"busy5", "quiet"},
        expected="one record of each of the two",
        observed=sorted(pair),
    )


@clauses("POLL-START-1")
def test_a_new_group_starts_at_the_oldest_record(bench: Bench) -> None:
    """Subscribe in a new group after another group has read the topic; expect every record from the oldest on."""
    queue = QueueFixture(bench)
    topic, _group, (early,) = queue.topic_with_consumers()
    keep_everything(queue, topic)
    texts = [f"m{number}" for number in range(4)]
    for text in texts:
        queue.publish(topic, text)
    queue.read_and_acknowledge(early, 4)
    late = queue.new_consumer(queue.new_group(), topic)
    observed = [record.message for record in queue.read_and_acknowledge(late, 4, "POLL-START-1")]
    bench.judge("POLL-START-1", observed == texts, expected="m0 to m3", observed=observed)


@clauses("POLL-START-1")
def test_a_new_group_starts_at_the_oldest_record_of_every_partition(bench: Bench) -> None:
    """Publish a record in each of many partitions, and subscribe a consumer of a new group that reads another topic
    already; expect all of them.
    """
    queue = QueueFixture(bench)
    count = count_up_to(bench, bench.limit("partitions"), 17, 33, 129)
    topic = queue.new_topic(**({"partitions": count} if bench.declares("topic-partitions") else {}))
    for number in range(count):
        queue.publish(topic, f"m{number}", key=None)
    late = queue.new_consumer(queue.new_group(), queue.new_topic())
    queue.subscribe(late, topic)
    texts = sorted(f"m{number}" for number in range(count))
    came = sorted(record.message for record in queue.read_and_acknowledge(late, count, "POLL-START-1"))
    bench.judge("POLL-START-1", came == texts, expected=f"m0 to m{count - 1}", observed=came)


@clauses("POLL-UNKNOWN-1", "POLL-UNKNOWN-2")
def test_an_unknown_consumer_is_refused(bench: Bench) -> None:
    """Poll with a consumer that was never registered; expect a refusal (4xx)."""
    reply = QueueFixture(bench).poll(bench.fresh("nobody"))
    expect_refusal(bench, reply, "POLL-UNKNOWN-1", "no such consumer")
    expect_status(bench, reply, 404, "POLL-UNKNOWN-2", "no such consumer")


@clauses("POLL-NONE-1")
def test_other_topics_are_not_delivered(bench: Bench) -> None:
    """Publish to a topic without a subscription of the consumer; expect its polls to return none of it."""
    queue = QueueFixture(bench)
    wanted, other = queue.new_topic(), queue.new_topic()
    group = queue.new_group()
    consumer = queue.new_consumer(group, wanted)
    queue.new_consumer(group, other)
    queue.publish(other, "other")
    queue.expect_no_record(consumer, "POLL-NONE-1", "no record of a topic without a subscription")
    queue.publish(wanted, "wanted")
    record = queue.poll_until_record(consumer)
    bench.judge("POLL-NONE-1", record.topic == wanted, expected="the subscribed topic", observed=record.whole)


@clauses("POLL-REDELIVERED-1")
def test_redelivered_tells_what_was_handed_out_before(bench: Bench) -> None:
    """Let the holder of a record unsubscribe; expect `redelivered` to be false at first and true at the next owner, if
    the server's records have it.
    """
    queue = QueueFixture(bench)
    topic, group, (first,) = queue.topic_with_consumers()
    queue.publish(topic, "m0")
    before = queue.poll_until_record(first)
    if "redelivered" not in before.whole:
        bench.skip("POLL-REDELIVERED-1", "the server's records have no `redelivered`")
        return
    bench.judge(
        "POLL-REDELIVERED-1",
        before.whole["redelivered"] is False,
        expected="false for a first delivery",
        observed=before.whole,
    )
    queue.unsubscribe(first, topic)
    second = queue.new_consumer(group, topic)
    after = queue.poll_until_record(second)
    bench.judge(
        "POLL-REDELIVERED-1",
        after.whole.get("redelivered") is True,
        expected="true for a record that was delivered before",
        observed=after.whole,
    )
