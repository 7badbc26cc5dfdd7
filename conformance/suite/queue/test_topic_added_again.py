"""Topics under the name of one that was removed (extension topic-removal): TOPIC-REMOVE-10, TOPIC-REMOVE-11."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import (
    expect_publish_refusal,
    expect_status,
)
from conformance.suite.queue.fixture import (
    KEY,
    QueueFixture,
    publish_path,
)
from conformance.suite.queue.listeners import ListenerSession
from conformance.suite.queue.removed_topics import add_again, remove_topic

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


#: Bound of a partition, in octets: beyond what a server may count besides the texts of one short record.
SMALL = 8_000


@clauses("TOPIC-REMOVE-10", "TOPIC-REMOVE-11")
@pytest.mark.parametrize("read", [1, 3], ids=["half read", "all read"])
def test_a_topic_of_the_same_name_is_a_new_one(bench: Bench, read: int) -> None:
    """Remove a topic that a group has read in part or to the end, with a record in flight or none, and add one under
    its name; expect it to be without subscribers, and the group to get its first record first.
    """
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"old {number}")
    queue.read_and_acknowledge(consumer, read)
    if read < 3:
        queue.poll_until_record(consumer)
    remove_topic(queue, topic, consumer)
    add_again(queue, topic)
    reply = queue.publish(topic, "new 0")
    if bench.declares("record-position"):
        position = queue.position(reply)
        bench.judge("TOPIC-REMOVE-11", position[1] == 0, expected="offset 0", observed=reply)
    queue.expect_no_record(consumer, "TOPIC-REMOVE-11", "no record: nobody is subscribed to the new topic")
    for number in (1, 2):
        queue.publish(topic, f"new {number}")
    queue.subscribe(consumer, topic)
    second = queue.new_consumer(queue.new_group(), topic)
    for name in (consumer, second):
        got = [record.message for record in queue.read_and_acknowledge(name, 3, "TOPIC-REMOVE-11")]
        bench.judge(
            "TOPIC-REMOVE-11",
            got == ["new 0", "new 1", "new 2"],
            expected="new 0, new 1, new 2",
            observed=got,
        )
        queue.expect_no_record(
            name, "TOPIC-REMOVE-11", "no further record: the others went with the old topic"
        )
    if bench.declares("introspection"):
        document = bench.http().request("GET", f"/topics/{topic}").json()
        bench.judge_schema("INTRO-TOPIC-1", "topic", document)
        ends = sum(row["endOffset"] for row in document["partitions"])
        bench.judge("TOPIC-REMOVE-11", ends == 3, expected="end offsets of three records", observed=document)
        described = bench.http().request("GET", f"/consumer-groups/{group}").json()
        bench.judge_schema("INTRO-GROUP-1", "group", described)
        lags = [row["lag"] for row in described["assignment"] if row["topicName"] == topic]
        bench.judge("TOPIC-REMOVE-11", not any(lags), expected="a lag of 0", observed=described)


@clauses("TOPIC-REMOVE-10")
@pytest.mark.parametrize(("before", "after"), [(1, 3), (5, 2)])
def test_the_new_topic_has_the_partitions_that_it_asks_for(bench: Bench, before: int, after: int) -> None:
    """Remove a topic and add one under its name with more or fewer partitions; expect as many records in flight at once
    as it has.
    """
    if not bench.declares("topic-partitions") or before > (bench.limit("partitions") or before):
        bench.skip("TOPIC-REMOVE-10", "no topic can ask for a number of partitions here")
        return
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(partitions=before), queue.new_group()
    consumer = queue.new_consumer(group, topic)
    for number in range(before):
        queue.publish(topic, f"old {number}", key=None)
    queue.read_and_acknowledge(consumer, before)
    remove_topic(queue, topic, consumer)
    add_again(queue, topic, partitions=after)
    queue.subscribe(consumer, topic)
    for number in range(2 * after):
        queue.publish(topic, f"new {number}", key=None)
    first = queue.poll_until_record(consumer, "TOPIC-REMOVE-10")
    in_flight = [first.message, *(record.message for _, record in queue.poll_all(consumer))]
    bench.judge(
        "TOPIC-REMOVE-10",
        len(in_flight) == after,
        expected=f"{after} records in flight, one of each partition",
        observed=in_flight,
    )


@clauses("TOPIC-REMOVE-11")
@pytest.mark.parametrize(
    ("before", "after"), [(SMALL, None), (None, SMALL)], ids=["bounded before", "bounded now"]
)
def test_the_new_topic_has_the_bound_that_it_asks_for(
    bench: Bench, before: int | None, after: int | None
) -> None:
    """Remove a topic and add one under its name with another bound of its partitions, or none; expect the bound of the
    new one to count.
    """
    if not bench.declares("topic-limits"):
        bench.skip("TOPIC-REMOVE-11", "no topic can ask for a bound (extension topic-limits)")
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic(**({"partition_bytes": before} if before else {}))
    queue.publish(topic, "old")
    remove_topic(queue, topic)
    add_again(queue, topic, **({"partition_bytes": after} if after else {}))
    record = {"messageID": "1", "message": "x" * (SMALL + 1), "key": KEY}
    reply = queue.call(publish_path(topic), record)
    if after:
        expect_publish_refusal(
            bench, reply, "TOPIC-REMOVE-11", f"the new topic has a bound of {after} octets"
        )
    else:
        expect_status(bench, reply, 200, "TOPIC-REMOVE-11", "the new topic has no small bound")


@clauses("PART-RR-2")
def test_the_round_of_the_new_topic_begins_anew(bench: Bench) -> None:
    """Remove a topic after one record without a key, and add one under its name; expect its first record without a key
    in partition 0.
    """
    if not bench.declares("topic-removal"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    queue.publish(topic, "old", key=None)
    remove_topic(queue, topic)
    add_again(queue, topic)
    reply = queue.publish(topic, "new", key=None)
    partition, _offset = queue.position(reply)
    bench.judge("PART-RR-2", partition == 0, expected="the first record in partition 0", observed=reply)


@clauses("PUB-ACK-1")
def test_listeners_outlive_a_topic(bench: Bench) -> None:
    """Listen to the acknowledgements of a topic, remove the topic and add one under its name; expect the ACK of its
    first record.
    """
    if not bench.declares("topic-removal"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    listener = ListenerSession(bench).listen(topic)
    queue.publish(topic, "old", label="old")
    listener.expect_acknowledgements("PUB-ACK-1", ["old"])
    remove_topic(queue, topic)
    add_again(queue, topic)
    queue.publish(topic, "new", label="new")
    listener.expect_acknowledgements("PUB-ACK-1", ["new"])


@clauses("TOPIC-REMOVE-11")
def test_a_topic_may_come_and_go_many_times(bench: Bench) -> None:
    """Add, fill, read in part and remove a topic of one name several times over; expect each to begin empty, and
    nothing of it to be left with a group that outlives it.
    """
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    consumer = queue.new_consumer(group)
    for number in range(5):
        queue.subscribe(consumer, topic)
        for index in range(3):
            queue.publish(topic, f"{number}-{index}")
        expected = [f"{number}-{index}" for index in range(number % 4)]
        got = [
            record.message
            for record in queue.read_and_acknowledge(consumer, len(expected), "TOPIC-REMOVE-11")
        ]
        bench.judge("TOPIC-REMOVE-11", got == expected, expected=f"{expected}", observed=got)
        remove_topic(queue, topic, consumer)
        queue.expect_no_record(consumer, "TOPIC-REMOVE-5", "no record: the topic was removed")
        add_again(queue, topic)
