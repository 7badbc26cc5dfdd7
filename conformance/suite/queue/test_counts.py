"""More of something than a small buffer, window or pool holds: partitions, records, members, polls that wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.bursts import Bursts
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import KEY, QueueFixture
from conformance.suite.queue.generators import count_up_to
from conformance.suite.queue.ownership_probe import own_every_partition
from conformance.suite.queue.waiting_poll import LONGEST_WAIT, WaitingPoll, polls_in_time

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Octets of a partition that a short record may need, a generous estimate.
ROOM = 1024
#: Seconds in which many polls have to be answered, at most.
LONG = 20.0


def _publish(queue: QueueFixture, topic: str, count: int) -> None:
    """Publish so many records of one key, `m0` and so on: those of HTTP one by one, for their order."""
    if queue.bench.binding == "queue-http" and queue.bench.declares("http-publish"):
        for number in range(count):
            queue.publish(topic, f"m{number}")
        return
    bodies = [{"messageID": number, "message": f"m{number}", "key": KEY} for number in range(count)]
    for reply in Bursts(queue).publish(topic, bodies):
        expect_status(queue.bench, reply, 200, "PUB-STORE-1", "the record is valid, and the topic exists")


@clauses("DELIVER-1", "ORDER-1", "PUB-POSITION-1")
def test_a_partition_keeps_every_record(bench: Bench) -> None:
    """Publish several hundred records of one key before a group reads any; expect the group to begin with the oldest,
    and the records to follow in order.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    room = bench.limit("partition_bytes")
    count = count_up_to(bench, room and room // ROOM, 257, 1001, 5001)
    _publish(queue, topic, count)
    reader = queue.new_consumer(queue.new_group(), topic)
    for number in range(min(count, bench.examples(5, 300, count))):
        (record,) = queue.read_and_acknowledge(reader, 1)
        bench.judge(
            "DELIVER-1",
            record.message == f"m{number}",
            expected=f"m{number} of {count} records, all of which stay",
            observed=record.whole,
        )
        if bench.declares("record-position"):
            bench.judge(
                "PUB-POSITION-1",
                record.whole.get("offset") in (number, None),
                expected=f"the offset {number}, or none: all records lie in one partition",
                observed=record.whole,
            )


@clauses("POLL-FAIR-1", "MEMBER-SUBSCRIBE-1")
@pytest.mark.parametrize("of", ["one topic", "many topics"])
def test_many_partitions_give_one_record_each(bench: Bench, of: str) -> None:
    """Poll a consumer of many partitions without acknowledging, of one topic or of many that it subscribed to one after
    another, with a record free in each; expect all of them.
    """
    queue = QueueFixture(bench)
    if of == "one topic":
        if not bench.declares("topic-partitions"):
            return
        topics = [queue.new_topic(partitions=count_up_to(bench, bench.limit("partitions"), 33, 129, 257))]
    else:
        one = {"partitions": 1} if bench.declares("topic-partitions") else {}
        topics = [queue.new_topic(**one) for _ in range(count_up_to(bench, None, 33, 129, 257))]
    consumer = queue.new_consumer(queue.new_group())
    for topic in topics:
        queue.subscribe(consumer, topic)
    expected = {
        (topic, f"m{number}")
        for topic in topics
        for number in range(own_every_partition(queue, topic, consumer))
    }
    for topic, message in sorted(expected):
        queue.publish(topic, message, key=None)
    came = [(record.topic, record.message) for _, record in queue.poll_all(consumer)]
    bench.judge(
        "POLL-FAIR-1",
        set(came) == expected and len(came) == len(expected),
        expected=f"{len(expected)} records in flight, one of each partition",
        observed=f"{len(came)}: {came[:20]}",
    )


@clauses("ASSIGN-1", "ASSIGN-3")
def test_many_members_share_few_partitions(bench: Bench) -> None:
    """Subscribe many members to one topic, and let those that get a record leave; expect a record of every partition
    at one of the members that remain, until few are left.
    """
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    first = queue.new_consumer(group, topic)
    partitions = own_every_partition(queue, topic, first)
    members = [first]
    members += [queue.new_consumer(group, topic) for _ in range(count_up_to(bench, None, 17, 65, 257) - 1)]
    for _ in range(bench.examples(1, 2, 4)):
        for number in range(partitions):
            queue.publish(topic, f"m{number}", key=None)
        owners: list[str] = []
        for _ in queue.retry_until_rebalanced():
            for name, record in queue.poll_all(*members):
                owners.append(name)
                queue.acknowledge(name, record.message_id)
            if len(owners) >= partitions:
                break
        bench.judge(
            "ASSIGN-1",
            len(owners) == partitions,
            expected=f"{partitions} records at {len(members)} members, one of each partition",
            observed=owners,
        )
        for name in set(owners):
            queue.unsubscribe(name, topic)
            members.remove(name)


@clauses("POLL-WAIT-1", "POLL-START-1")
def test_many_polls_wait_for_one_record(bench: Bench) -> None:
    """Subscribe many consumers, each in a group of its own, to a topic with a record; expect it from a poll of each.
    Send long polls of all, and publish another one; expect it from each of them. A server that has too many polls
    waiting may answer some early.
    """
    queue = QueueFixture(bench)
    open_at_once = bench.limit("connections")
    count = polls_in_time(
        bench, count_up_to(bench, open_at_once and max(2, open_at_once // 8), 33, 65, 129), LONG
    )
    topic = queue.new_topic()
    queue.publish(topic, "warm-up")
    consumers = [queue.new_consumer(queue.new_group(), topic) for _ in range(count)]
    for consumer in consumers:
        queue.read_and_acknowledge(consumer, 1, "POLL-START-1")
    if not bench.declares("long-poll"):
        return
    waiting = [WaitingPoll(queue, consumer, LONG, round_trips=0) for consumer in consumers]
    queue.heartbeat(consumers[0])
    queue.publish(topic, "awaited")
    for each in waiting:
        each.expect_time_left()
    for each in waiting:
        reply, took = each.answer()
        is_early = reply.status != 200 and took < min(0.9 * each.seconds, LONGEST_WAIT)
        bench.judge(
            "POLL-WAIT-1",
            is_early or (reply.status == 200 and each.is_before_timeout(took)),
            expected="200 with the record, before the time of the poll is over",
            observed=f"{reply} after {took:.3f} s, one of {count} polls that waited",
        )
        if reply.status == 200:
            record = queue.record_of(reply)
            bench.judge(
                "POLL-WAIT-1", record.message == "awaited", expected="`awaited`", observed=record.whole
            )
