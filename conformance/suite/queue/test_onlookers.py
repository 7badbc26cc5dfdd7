"""Bystanders: looking at a group, and the coming and going of members that own nothing, change nothing for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import ACKNOWLEDGE, UNREGISTER, QueueFixture
from conformance.suite.queue.onlookers import look_around
from conformance.suite.queue.ownership_probe import own_every_partition, partition_count
from conformance.suite.queue.queue_client import MARGIN, SLACK
from conformance.suite.queue.timeouts import (
    BELOW_TIMEOUT,
    eviction_seconds,
    expect_kept_alive,
    timed,
    wait_past_eviction,
)

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Members of a group that has one partition only.
MEMBERS = 3


@clauses("DELIVER-3", "ACK-OK-1", "ORDER-2")
def test_looking_at_a_group_changes_nothing(bench: Bench) -> None:
    """Read topics and groups between any two steps of a consumer; expect each record once, and its acknowledgement to
    commit.
    """
    if not bench.declares("introspection"):
        bench.skip("DELIVER-3", "there is nothing to look at (extension introspection)")
        return
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    for number in range(3):
        look_around(queue, topic, group)
        record = queue.poll_until_record(consumer)
        bench.judge("ORDER-2", record.message == f"m{number}", expected=f"m{number}", observed=record.whole)
        look_around(queue, topic, group)
        queue.expect_no_record(consumer, "DELIVER-3", f"no record: m{number} is in flight, whoever looks")
        queue.acknowledge(consumer, record.message_id)


@clauses("LIVE-EVICT-1")
@waits(eviction_seconds)
def test_looking_at_a_group_keeps_nobody_alive(bench: Bench) -> None:
    """Read a group often while a member is silent for longer than timeout and grace; expect a refusal (4xx) of its
    heartbeat.
    """
    if not bench.declares("introspection"):
        bench.skip("LIVE-EVICT-1", "there is nothing to look at (extension introspection)")
        return
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    timings = queue.timings
    sign = timed(queue, group, lambda: queue.heartbeat(consumer))
    queue.stop_heartbeats(consumer)
    end = sign.latest + timings.heartbeat_timeout + timings.eviction_grace
    queue.check_steps(end - queue.now(group), timings.heartbeat_timeout / 4)
    while (left := end - queue.now(group)) > MARGIN:
        look_around(queue, topic, group)
        queue.pass_time(min(left, timings.heartbeat_timeout / 4))
    wait_past_eviction(queue, group, sign, consumer)
    look_around(queue, topic, group)
    reply = queue.heartbeat(consumer)
    expect_refusal(bench, reply, "LIVE-EVICT-1", "no operation named the consumer for so long")


@clauses("LIVE-KEEP-1")
@waits(eviction_seconds)
def test_an_eviction_takes_nobody_else_along(bench: Bench) -> None:
    """Let members fall silent one after the other, so that one is evicted while others are just below the timeout, and
    let a new member subscribe meanwhile; expect 202 for the records that they hold.
    """
    queue = QueueFixture(bench)
    topics = [queue.new_topic() for _ in range(3)]
    group = queue.new_group()
    gone = queue.new_consumer(group, topics[0])
    quiet = [queue.new_consumer(group, topic) for topic in topics[1:]]
    for topic in topics[1:]:
        queue.publish(topic, "held")
    held = {name: queue.poll_until_record(name) for name in quiet}
    timings, margin = queue.timings, MARGIN
    last = timed(queue, group, lambda: queue.heartbeat(gone))
    if not bench.clock.is_virtual:
        margin = BELOW_TIMEOUT + SLACK + 4 * bench.scheduling_delay()
    if timings.heartbeat_timeout < timings.eviction_grace + 4 * margin:
        bench.skip("LIVE-KEEP-1", "the grace is as long as the timeout: no silence ends between two of them")
        return
    queue.stop_heartbeats(gone)
    queue.wait_until(group, last.latest + timings.eviction_grace + 2 * margin)
    signs = {name: timed(queue, group, lambda name=name: queue.heartbeat(name)) for name in quiet}  # type: ignore[misc]
    queue.stop_heartbeats(*quiet)
    queue.new_consumer(group, topics[0])
    queue.wait_until(group, last.latest + timings.heartbeat_timeout + timings.eviction_grace + margin)
    reply = queue.heartbeat(gone)
    if bench.clock.is_virtual:
        expect_refusal(bench, reply, "LIVE-EVICT-1", "it was silent for longer than timeout and grace")
    for name in quiet:
        body = {"consumer_name": name, "message_id": held[name].message_id}
        answer = timed(queue, group, lambda body=body: queue.call(ACKNOWLEDGE, body))  # type: ignore[misc]
        expect_kept_alive(
            queue,
            "LIVE-KEEP-1",
            signs[name],
            answer,
            expected="202 for the record that it holds",
            ok=answer.reply.status == 202,
        )


@clauses("DELIVER-3")
@waits(eviction_seconds)
@pytest.mark.parametrize("how", ["unsubscribed", "unregistered", "evicted"])
def test_a_member_that_stands_by_takes_nothing_along(bench: Bench, how: str) -> None:
    """Let members leave one by one that own nothing while another one holds a record; expect that record to stay in
    flight, and 202 for its acknowledgement.
    """
    if how == "unregistered" and not bench.declares("unregister"):
        bench.skip("DELIVER-3", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic(**({"partitions": 1} if bench.declares("topic-partitions") else {}))
    group = queue.new_group()
    members = [queue.new_consumer(group, topic) for _ in range(MEMBERS - 1 + partition_count(queue, topic))]
    # The members have settled when one of them gets the record.
    queue.publish(topic, "warm-up")
    came: list[tuple[str, object]] = []
    for _ in queue.retry_until_rebalanced():
        came += [(name, record.message_id) for name, record in queue.poll_all(*members)]
    bench.judge(
        "DELIVER-3" if len(came) > 1 else "REBALANCE-1",
        len(came) == 1,
        expected="the record, once, at one of the members",
        observed=came,
    )
    queue.acknowledge(*came[0])
    for number in range(2):
        queue.publish(topic, f"m{number}")
    flying = queue.poll_all(*members)
    bench.judge(
        "ORDER-2" if len(flying) > 1 else "POLL-OK-1",
        len(flying) == 1,
        expected="m0 at the owner of its partition, and m1 behind it",
        observed=[record.whole for _, record in flying],
    )
    holder, record = flying[0]
    leavers = [name for name in members if name != holder][: MEMBERS - 1]
    if how == "evicted":
        sign = timed(queue, group, lambda: queue.heartbeat(leavers[0]))
        wait_past_eviction(queue, group, sign, leavers[0])
        leavers = leavers[:1]
    for name in leavers:
        if how == "unsubscribed":
            queue.unsubscribe(name, topic)
        elif how == "unregistered":
            reply = queue.call(UNREGISTER, {"consumer_name": name}, promise="MEMBER-UNREGISTER-1")
            expect_status(bench, reply, 202, "MEMBER-UNREGISTER-1", "the consumer is registered")
        if how != "unsubscribed":
            queue.members[group].remove(name)
        for other in members:
            if how == "unsubscribed" or other in queue.members[group]:
                queue.expect_no_record(
                    other, "DELIVER-3", f"no record: {holder} holds m0, and {name} nothing"
                )
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": holder, "message_id": record.message_id})
    expect_status(bench, mine, 202, "DELIVER-3", f"{holder} holds the record as before")


@clauses("DELIVER-2")
@waits(eviction_seconds)
def test_all_records_of_an_evicted_consumer_come_again(bench: Bench) -> None:
    """Let a consumer be evicted that holds a record of every partition of two topics; expect all of them from the next
    owner's polls.
    """
    queue = QueueFixture(bench)
    topics, group = [queue.new_topic(), queue.new_topic()], queue.new_group()
    silent = queue.new_consumer(group, *topics)
    # A consumer that reads both owns all of both before the records of either are there.
    partitions = {topic: own_every_partition(queue, topic, silent) for topic in topics}
    expected = {(topic, f"m{number}") for topic in topics for number in range(partitions[topic])}
    for topic, message in sorted(expected):
        queue.publish(topic, message, key=None)
    held = {(record.topic, record.message) for _, record in queue.poll_all(silent)}
    bench.judge("POLL-FAIR-1", held == expected, expected=f"{sorted(expected)}", observed=sorted(held))
    sign = timed(queue, group, lambda: queue.heartbeat(silent))
    wait_past_eviction(queue, group, sign, silent)
    queue.members[group].remove(silent)
    heir = queue.new_consumer(group, *topics)
    came: set[tuple[str, str]] = set()
    for _ in queue.retry_until_rebalanced():
        came |= {(record.topic, record.message) for _, record in queue.poll_all(heir)}
        if came == expected:
            break
    bench.judge(
        "DELIVER-2", came == expected, expected=f"all that it held: {sorted(expected)}", observed=sorted(came)
    )


@clauses("DELIVER-2")
def test_a_record_changes_hands_many_times(bench: Bench) -> None:
    """Let one holder of a record after the other leave; expect the record first from each next owner's polls."""
    queue = QueueFixture(bench)
    topic, group, (holder,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    for turn in range(bench.examples(5, 12, 40)):
        record = queue.poll_until_record(holder, "DELIVER-2")
        bench.judge(
            "DELIVER-2",
            record.message == "m0",
            expected=f"m0, which {turn} holders before it have lost",
            observed=record.whole,
        )
        if turn % 2 and bench.declares("unregister"):
            queue.client.unregister(holder)
            queue.members[group].remove(holder)
        else:
            queue.unsubscribe(holder, topic)
        holder = queue.new_consumer(group, topic)
    observed = [record.message for record in queue.read_and_acknowledge(holder, 2, "DELIVER-2")]
    bench.judge("DELIVER-2", observed == ["m0", "m1"], expected="m0, then m1", observed=observed)


@clauses("ACK-COMMIT-1")
@pytest.mark.parametrize("order", ["last first", "from both ends"])
def test_acknowledgements_in_any_order_commit(bench: Bench, order: str) -> None:
    """Hold a record of every partition of two topics and acknowledge them in another order than they came; expect none
    of them again at the next owner.
    """
    queue = QueueFixture(bench)
    topics, group = [queue.new_topic(), queue.new_topic()], queue.new_group()
    consumer = queue.new_consumer(group, *topics)
    partitions = {topic: own_every_partition(queue, topic, consumer) for topic in topics}
    count = sum(partitions.values())
    for topic in topics:
        for number in range(2 * partitions[topic]):
            queue.publish(topic, f"m{number}", key=None)
    held = [record for _, record in queue.poll_all(consumer)]
    bench.judge("POLL-FAIR-1", len(held) == count, expected=f"{count} records", observed=len(held))
    chosen = held[::-1] if order == "last first" else [*held[::2][::-1], *held[1::2]]
    for record in chosen:
        queue.acknowledge(consumer, record.message_id)
    queue.unsubscribe(consumer, *topics)
    heir = queue.new_consumer(group, *topics)
    acknowledged = {(record.topic, record.message) for record in held}
    for _ in range(count):
        record = queue.poll_until_record(heir, "DELIVER-1")
        bench.judge(
            "ACK-COMMIT-1",
            (record.topic, record.message) not in acknowledged,
            expected="a record behind those that were acknowledged",
            observed=record.whole,
        )
