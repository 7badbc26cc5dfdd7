"""Polling, one record at a time: POLL-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.queue_client import refused
from conformance.suite.queue.scene import Scene

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("POLL-OK-1", "POLL-OK-2")
def test_a_poll_hands_out_one_record_in_the_given_shape(bench: Bench) -> None:
    """The reply is 200 with an id and the record's message, key and topic."""
    scene = Scene(bench)
    topic, _group, (consumer,) = scene.readers()
    scene.publish(topic, "hello", key="k")
    record = scene.record(consumer)
    same = (record.message, record.key, record.topic) == ("hello", "k", topic)
    bench.judge("POLL-OK-1", same, expected=f"message hello, key k, topicName {topic}", observed=record.whole)
    bench.judge_schema("POLL-OK-1", "poll-reply", record.whole)
    is_integer = isinstance(record.message_id, int) and not isinstance(record.message_id, bool)
    bench.judge("POLL-OK-2", is_integer, expected="an integer as messageId", observed=record.whole)


@clauses("POLL-OK-2")
def test_ids_in_flight_are_unique(bench: Bench) -> None:
    """Records in flight at once, also of other groups and topics, have ids that differ.

    One record that is in flight in two groups is the exception: it may have one id in both.
    """
    scene = Scene(bench)
    topics = [scene.topic() for _ in range(3)]
    both, one = scene.consumer(scene.group(), *topics[:2]), scene.consumer(scene.group(), topics[2])
    for topic in topics:
        scene.publish(topic, "m", label=1)
    ids = [scene.record(consumer).message_id for consumer in (both, both, one)]
    bench.judge("POLL-OK-2", len(set(ids)) == 3, expected="three different ids", observed=ids)


@clauses("POLL-EMPTY-1", "POLL-EMPTY-2")
@pytest.mark.parametrize("why", ["no subscription", "empty topic", "all acknowledged", "all in flight"])
def test_a_poll_with_nothing_to_give_is_no_success(bench: Bench, why: str) -> None:
    """Without a record to hand out the answer is never 200, and 204 is expected."""
    scene = Scene(bench)
    topic, group = scene.topic(), scene.group()
    consumer = scene.consumer(group)
    if why == "no subscription":
        scene.publish(topic, "not for this one")
    else:
        scene.subscribe(consumer, topic)
    if why.startswith("all"):
        scene.publish(topic, "only")
        record = scene.record(consumer)
        if why == "all acknowledged":
            scene.acknowledge(consumer, record.message_id)
    reply = scene.poll(consumer)
    bench.judge("POLL-EMPTY-1", reply.status != 200, expected="anything but 200", observed=reply)
    bench.judge("POLL-EMPTY-2", reply.status == 204, expected="204", observed=reply)


@clauses("POLL-FAIR-1")
def test_polls_without_acknowledging_return_one_of_each_partition(bench: Bench) -> None:
    """With k partitions that hold a record, k polls hand out one of each."""
    scene = Scene(bench)
    topics = [scene.topic() for _ in range(4)]
    consumer = scene.consumer(scene.group(), *topics)
    for topic in topics:
        scene.warm_up(topic, consumer)
    for topic in topics:
        for number in range(3):
            scene.publish(topic, f"m{number}")
    records = [scene.next(consumer, "POLL-FAIR-1") for _ in topics]
    observed = sorted((record.topic, record.message) for record in records)
    expected = sorted((topic, "m0") for topic in topics)
    bench.judge("POLL-FAIR-1", observed == expected, expected=f"{expected}", observed=observed)


@clauses("POLL-FAIR-1")
def test_no_partition_starves_while_another_is_consumed(bench: Bench) -> None:
    """k polls in a row, none acknowledged, reach every partition also after one of them was read for long."""
    scene = Scene(bench)
    busy, quiet = scene.topic(), scene.topic()
    consumer = scene.consumer(scene.group(), busy, quiet)
    scene.warm_up(quiet, consumer)
    for number in range(8):
        scene.publish(busy, f"busy{number}")
    for record in scene.drain(consumer, 5):
        bench.judge("POLL-FAIR-1", record.topic == busy, expected="the busy topic's", observed=record.whole)
    scene.publish(quiet, "quiet")
    pair = {scene.next(consumer, "POLL-FAIR-1").message for _ in range(2)}
    bench.judge(
        "POLL-FAIR-1",
        pair == {"busy5", "quiet"},
        expected="one record of each of the two",
        observed=sorted(pair),
    )


@clauses("POLL-START-1")
def test_a_new_group_starts_at_the_oldest_record(bench: Bench) -> None:
    """A group that comes later gets what was stored before it, also what others have acknowledged."""
    scene = Scene(bench)
    topic, _group, (early,) = scene.readers()
    texts = [f"m{number}" for number in range(4)]
    for text in texts:
        scene.publish(topic, text)
    scene.drain(early, 4)
    late = scene.consumer(scene.group(), topic)
    observed = [record.message for record in scene.drain(late, 4, "POLL-START-1")]
    bench.judge("POLL-START-1", observed == texts, expected="m0 to m3", observed=observed)


@clauses("POLL-UNKNOWN-1", "POLL-UNKNOWN-2")
def test_an_unknown_consumer_is_refused(bench: Bench) -> None:
    """A poll that names nobody is refused."""
    reply = Scene(bench).poll(bench.fresh("nobody"))
    bench.judge("POLL-UNKNOWN-1", refused(reply), expected="4xx: no such consumer", observed=reply)
    bench.judge("POLL-UNKNOWN-2", reply.status == 404, expected="404: no such consumer", observed=reply)


@clauses("POLL-NONE-1")
def test_other_topics_are_not_delivered(bench: Bench) -> None:
    """A consumer gets the records of the topics it subscribed to, and no others."""
    scene = Scene(bench)
    wanted, other = scene.topic(), scene.topic()
    group = scene.group()
    consumer = scene.consumer(group, wanted)
    scene.consumer(group, other)
    scene.publish(other, "other")
    scene.nothing(consumer, "POLL-NONE-1", "no record of a topic without a subscription")
    scene.publish(wanted, "wanted")
    record = scene.record(consumer)
    bench.judge("POLL-NONE-1", record.topic == wanted, expected="the subscribed topic", observed=record.whole)


@clauses("POLL-REDELIVERED-1")
def test_redelivered_tells_what_was_handed_out_before(bench: Bench) -> None:
    """Where the reply has `redelivered`, it is false at first and true after the holder has left the topic."""
    scene = Scene(bench)
    topic, group, (first,) = scene.readers()
    scene.publish(topic, "m0")
    before = scene.record(first)
    if "redelivered" not in before.whole:
        bench.skip("POLL-REDELIVERED-1", "the server's records have no `redelivered`")
        return
    bench.judge(
        "POLL-REDELIVERED-1",
        before.whole["redelivered"] is False,
        expected="false at first",
        observed=before.whole,
    )
    scene.unsubscribe(first, topic)
    second = scene.consumer(group, topic)
    after = scene.record(second)
    bench.judge(
        "POLL-REDELIVERED-1",
        after.whole.get("redelivered") is True,
        expected="true again",
        observed=after.whole,
    )
