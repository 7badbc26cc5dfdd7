"""Delivery of records: DELIVER-*, and the isolation of groups and topics: ISOLATE-*."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.delivery_counts import in_words
from conformance.suite.queue.expectations import expect_publish_refusal, expect_refusal
from conformance.suite.queue.fixture import QueueFixture, publish_path
from conformance.suite.queue.timeouts import eviction_seconds, timed, wait_past_eviction
from conformance.wire.failures import Violation

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

KEYS = ["a", "b", "c", "d", "e", None, None, ""]
RECORDS = 24


def _fill(queue: QueueFixture, topic: str, stem: str = "m") -> list[str]:
    """Publish records with several keys and with none; returns their messages."""
    texts = [f"{stem}{number}" for number in range(RECORDS)]
    for number, text in enumerate(texts):
        queue.publish(topic, text, key=KEYS[number % len(KEYS)])
    return texts


@clauses("DELIVER-1", "DELIVER-3", "DELIVER-4", "ORDER-1")
def test_every_group_gets_every_record_once(bench: Bench) -> None:
    """Publish records with and without keys to a topic with three groups; expect each group to get every stored record
    once, no other record, and the records of each key in order.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    readers = [queue.new_consumer(queue.new_group(), topic) for _ in range(2)]
    texts = _fill(queue, topic)
    refused_one = queue.call(publish_path(topic), {"message": "refused", "key": "a"})
    expect_refusal(bench, refused_one, "PUB-BODY-1", "the body has no messageID")
    readers.append(queue.new_consumer(queue.new_group(), topic))
    for reader in readers:
        records = queue.read_and_acknowledge(reader, RECORDS)
        seen = Counter(record.message for record in records)
        counts = in_words(seen, texts)
        bench.judge("DELIVER-1", set(seen) >= set(texts), expected="all records", observed=counts)
        bench.judge("DELIVER-3", max(seen.values()) == 1, expected="each record once", observed=counts)
        bench.judge(
            "DELIVER-4",
            set(seen) <= set(texts),
            expected="only those that were stored",
            observed=counts,
        )
        queue.expect_no_record(reader, "DELIVER-4", "no record: all were acknowledged", records)
        for key in "abcde":
            ours = [record.message for record in records if record.key == key]
            bench.judge(
                "ORDER-1",
                ours == sorted(ours, key=texts.index),
                expected=f"those of key {key} in order",
                observed=ours,
            )


@clauses("DELIVER-1")
def test_members_of_a_group_share_all_records(bench: Bench) -> None:
    """Poll in turn with the three members of a group; expect them to get every record once between them."""
    queue = QueueFixture(bench)
    topic, _group, members = queue.topic_with_consumers(3)
    texts = _fill(queue, topic)
    seen: Counter[str] = Counter()
    for _ in queue.retry_until_rebalanced():
        while came := queue.poll_all(*members):
            for name, record in came:
                seen[record.message] += 1
                queue.acknowledge(name, record.message_id)
        if sum(seen.values()) >= len(texts):
            break
    bench.judge(
        "DELIVER-1",
        seen == Counter(texts),
        expected=f"each of {len(texts)} records once",
        observed=in_words(seen, texts),
    )


@clauses("DELIVER-1")
def test_records_published_without_a_subscriber_are_kept(bench: Bench) -> None:
    """Publish while no member of the group is subscribed; expect the records after the next subscription."""
    queue = QueueFixture(bench)
    topic, _group, (reader,) = queue.topic_with_consumers()
    queue.publish(topic, "m0")
    queue.read_and_acknowledge(reader, 1)
    queue.unsubscribe(reader, topic)
    for number in (1, 2):
        queue.publish(topic, f"m{number}")
    queue.subscribe(reader, topic)
    observed = [record.message for record in queue.read_and_acknowledge(reader, 2)]
    bench.judge("DELIVER-1", observed == ["m1", "m2"], expected="m1, then m2", observed=observed)


@clauses("DELIVER-2")
@pytest.mark.parametrize("how", ["unsubscribed", "unregistered"])
def test_a_leaving_members_record_goes_to_the_next_owner(bench: Bench, how: str) -> None:
    """Let a member leave that holds a record; expect that record before the later ones from the next owner's polls."""
    if how == "unregistered" and not bench.declares("unregister"):
        bench.skip("DELIVER-2", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    topic, group, (leaver,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(leaver, 1)
    held = queue.poll_until_record(leaver)
    next_owner = queue.new_consumer(group, topic)
    if how == "unsubscribed":
        queue.unsubscribe(leaver, topic)
    else:
        queue.client.unregister(leaver)
        queue.members[group].remove(leaver)
    observed = [record.message for record in queue.read_and_acknowledge(next_owner, 2, "DELIVER-2")]
    bench.judge(
        "DELIVER-2", observed == [held.message, "m2"], expected=f"{held.message}, then m2", observed=observed
    )


@clauses("DELIVER-2")
@waits(eviction_seconds)
def test_an_evicted_consumers_record_goes_to_the_next_owner(bench: Bench) -> None:
    """Let a consumer that holds a record be evicted; expect that record before the later ones from the next owner's
    polls. No operation names the silent consumer, so that the server must find the eviction by itself.
    """
    queue = QueueFixture(bench)
    topic, group, (silent,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(silent, 1)
    held = queue.poll_until_record(silent)
    next_owner = queue.new_consumer(group, topic)
    sign = timed(queue, group, lambda: queue.heartbeat(silent))
    queue.members[group].remove(silent)
    wait_past_eviction(queue, group, sign)
    try:
        observed = [record.message for record in queue.read_and_acknowledge(next_owner, 2, "DELIVER-2")]
    except Violation as missing:
        if missing.clause == "DELIVER-2":
            _expect_successor(bench)
        raise
    bench.judge(
        "DELIVER-2", observed == [held.message, "m2"], expected=f"{held.message}, then m2", observed=observed
    )


def _expect_successor(bench: Bench) -> None:
    """Judge REBALANCE-1 by a member that takes over from an evicted one which held nothing."""
    queue = QueueFixture(bench)
    topic, group, (silent,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, silent)
    successor = queue.new_consumer(group, topic)
    sign = timed(queue, group, lambda: queue.heartbeat(silent))
    queue.members[group].remove(silent)
    wait_past_eviction(queue, group, sign)
    queue.publish(topic, "m")
    queue.poll_until_record(successor, "REBALANCE-1")


@clauses("DELIVER-2")
def test_the_last_members_record_waits_for_the_next_member(bench: Bench) -> None:
    """Let the only member leave while it holds a record; expect that record first when another member joins."""
    queue = QueueFixture(bench)
    topic, group, (leaver,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    queue.poll_until_record(leaver)
    queue.unsubscribe(leaver, topic)
    observed = [
        record.message
        for record in queue.read_and_acknowledge(queue.new_consumer(group, topic), 2, "DELIVER-2")
    ]
    bench.judge("DELIVER-2", observed == ["m0", "m1"], expected="m0, then m1", observed=observed)


@clauses("DELIVER-3")
def test_a_record_in_flight_is_not_delivered_again(bench: Bench) -> None:
    """Poll with the holder of a record and with a member that joins; expect neither that record nor the next one."""
    queue = QueueFixture(bench)
    topic, group, (holder,) = queue.topic_with_consumers()
    for number in range(2):
        queue.publish(topic, f"m{number}")
    queue.poll_until_record(holder)
    other = queue.new_consumer(group, topic)
    for _ in range(3):
        for consumer in (holder, other):
            queue.expect_no_record(consumer, "DELIVER-3", "no record: m0 is in flight, and m1 behind it")


@clauses("ISOLATE-1")
@pytest.mark.parametrize("what", ["acknowledges", "holds", "unsubscribes", "is removed"])
def test_one_group_does_not_affect_another(bench: Bench, what: str) -> None:
    """Acknowledge, hold, unsubscribe or remove the group in one group of a topic; expect the other group to get every
    record in order.
    """
    queue = QueueFixture(bench)
    topic, group, (busy,) = queue.topic_with_consumers()
    reader = queue.new_consumer(queue.new_group(), topic)
    texts = [f"m{number}" for number in range(5)]
    for text in texts:
        queue.publish(topic, text)
    seen = [record.message for record in queue.read_and_acknowledge(reader, 2, "ISOLATE-1")]
    held = queue.poll_until_record(reader, "ISOLATE-1")
    if what == "acknowledges":
        queue.read_and_acknowledge(busy, 4, "ISOLATE-1")
    else:
        queue.read_and_acknowledge(busy, 1, "ISOLATE-1")
        queue.poll_until_record(busy, "ISOLATE-1")
        if what == "unsubscribes":
            queue.unsubscribe(busy, topic)
        elif what == "is removed":
            queue.client.remove_group(group)
    queue.expect_no_record(reader, "ISOLATE-1", f"no record: {held.message} is in flight in this group")
    queue.acknowledge(reader, held.message_id)
    seen.append(held.message)
    while len(seen) < len(texts):
        record = queue.poll_record(reader, "ISOLATE-1")
        queue.acknowledge(reader, record.message_id)
        seen.append(record.message)
    bench.judge("ISOLATE-1", seen == texts, expected="m0 to m4", observed=seen)


@clauses("ISOLATE-1")
@waits(eviction_seconds)
def test_an_eviction_does_not_affect_another_group(bench: Bench) -> None:
    """Let a member of one group be evicted; expect the other group to keep its record in flight and to read on."""
    queue = QueueFixture(bench)
    topic, group, (silent,) = queue.topic_with_consumers()
    reader = queue.new_consumer(queue.new_group(), topic)
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.poll_until_record(silent)
    held = queue.poll_until_record(reader)
    sign = timed(queue, group, lambda: queue.heartbeat(silent))
    wait_past_eviction(queue, group, sign, silent)
    queue.expect_no_record(reader, "ISOLATE-1", f"no record: {held.message} is in flight in this group")
    queue.acknowledge(reader, held.message_id)
    following = queue.poll_record(reader, "ISOLATE-1")
    bench.judge("ISOLATE-1", following.message == "m1", expected="m1", observed=following.whole)


@clauses("ISOLATE-2")
@pytest.mark.parametrize("what", ["in flight", "acknowledged", "full"])
def test_one_topic_does_not_affect_another(bench: Bench, what: str) -> None:
    """Hold, acknowledge or refuse records in one topic; expect another topic to deliver its records in order."""
    if what == "full" and not bench.declares("topic-limits"):
        bench.skip("ISOLATE-2", "no topic can be filled (extension topic-limits)")
        return
    queue = QueueFixture(bench)
    other = queue.new_topic(partition_bytes=20_000) if what == "full" else queue.new_topic()
    topic = queue.new_topic()
    consumer = queue.new_consumer(queue.new_group(), topic)
    if what != "full":
        queue.subscribe(consumer, other)
    queue.confirm_ownership(topic, consumer)
    for number in range(3):
        queue.publish(topic, f"m{number}")
    seen = [queue.poll_record(consumer, "ISOLATE-2")]
    if what == "full":
        replies = [
            queue.call(publish_path(other), {"messageID": 1, "message": "x" * 15_000, "key": "k"})
            for _ in range(2)
        ]
        expect_publish_refusal(bench, replies[1], "PUB-FULL-1", "the partition is full")
    else:
        queue.publish(other, "other0")
        queue.publish(other, "other1")
        foreign = queue.poll_until_record(consumer)
        bench.judge(
            "ISOLATE-2", foreign.topic == other, expected=f"a record of {other}", observed=foreign.whole
        )
        if what == "acknowledged":
            queue.acknowledge(consumer, foreign.message_id)
            queue.poll_until_record(consumer)
    while len(seen) < 3:
        queue.acknowledge(consumer, seen[-1].message_id)
        queue.publish(topic, f"later{len(seen)}")
        seen.append(queue.poll_record(consumer, "ISOLATE-2"))
    observed = [record.message for record in seen]
    bench.judge("ISOLATE-2", observed == ["m0", "m1", "m2"], expected="m0, m1, m2", observed=observed)
