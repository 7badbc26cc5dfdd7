"""Removals of topics beside other things of theirs: bounds that were reached, moves of other topics. TOPIC-REMOVE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import ADD_TOPIC, QueueFixture, publish_path
from conformance.suite.queue.freed_records import keep_everything
from conformance.suite.queue.ownership_probe import own_every_partition
from conformance.suite.queue.rebalance_in_progress import begin_rebalance
from conformance.suite.queue.removed_topics import remove_topic
from conformance.suite.queue.timeouts import eviction_seconds, timed, wait_past_eviction

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Bound of a partition, in octets: beyond what a server may count besides the texts of some short records.
FULL = 8_000


@clauses("TOPIC-REMOVE-11")
def test_a_new_topic_is_as_empty_as_any(bench: Bench) -> None:
    """Fill a partition, remove its topic, and add one of that name with the same bound; expect it to take the records
    that the old one took.
    """
    if not bench.declares("topic-limits"):
        bench.skip("TOPIC-REMOVE-11", "no topic has a bound (extension topic-limits)")
        return
    queue = QueueFixture(bench)
    room = {"partition_bytes": FULL}
    topic = queue.new_topic(**room)
    keep_everything(queue, topic)
    body = {"messageID": "1", "message": "m" * (FULL // 4), "key": "k"}
    taken = 0
    while queue.call(publish_path(topic), body).status == 200 and taken < FULL:
        taken += 1
    remove_topic(queue, topic)
    reply = queue.call(ADD_TOPIC, {"topicName": topic, **room})
    expect_status(bench, reply, 200, "TOPIC-REMOVE-10", "the topic of this name was removed")
    for _ in range(taken):
        reply = queue.call(publish_path(topic), body)
        because = f"the new topic is empty, and one of its bound took {taken} such records"
        expect_status(bench, reply, 200, "TOPIC-REMOVE-11", because)


@clauses("TOPIC-REMOVE-11")
@waits(eviction_seconds)
@pytest.mark.parametrize("members", ["none is subscribed", "there are none"])
def test_groups_without_readers_begin_anew(bench: Bench, members: str) -> None:
    """Remove a topic that a group has read whose readers are gone, and add one of that name; expect the group to get
    its first record first.
    """
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"old {number}")
    queue.read_and_acknowledge(consumer, 2)
    if members == "none is subscribed":
        queue.unsubscribe(consumer, topic)
    else:
        sign = timed(queue, group, lambda: queue.heartbeat(consumer))
        wait_past_eviction(queue, group, sign, consumer)
    remove_topic(queue, topic)
    reply = queue.call(ADD_TOPIC, {"topicName": topic})
    expect_status(bench, reply, 200, "TOPIC-REMOVE-10", "the topic of this name was removed")
    for number in range(3):
        queue.publish(topic, f"new {number}")
    record = queue.poll_until_record(queue.new_consumer(group, topic), "TOPIC-REMOVE-11")
    bench.judge("TOPIC-REMOVE-11", record.message == "new 0", expected="new 0", observed=record.whole)


@clauses("TOPIC-REMOVE-6", "REBALANCE-1")
def test_a_removal_calls_off_no_move_of_another_topic(bench: Bench) -> None:
    """Remove another topic of the owner while a rebalance waits for it, and let it acknowledge; expect each partition
    to have one owner, and even shares.
    """
    if not bench.declares("topic-removal"):
        bench.skip("REBALANCE-1", "no topic is removed (extension topic-removal)")
        return
    if (rebalance := begin_rebalance(bench, "TOPIC-REMOVE-6", "REBALANCE-1", subscribe=False)) is None:
        return
    queue = rebalance.queue
    other = queue.new_topic()
    queue.subscribe(rebalance.owner, other)
    own_every_partition(queue, other, rebalance.owner)
    rebalance.begin()
    remove_topic(queue, other, rebalance.owner)
    members = [rebalance.owner, rebalance.newcomer]
    for record in rebalance.held.values():
        queue.client.acknowledge(rebalance.owner, record.message_id)
    for _ in queue.retry_until_rebalanced():
        for name, record in queue.poll_all(*members):
            queue.acknowledge(name, record.message_id)
    rebalance.probe.settled_owners(members)
