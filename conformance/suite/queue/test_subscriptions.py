"""Subscriptions of consumers to topics: MEMBER-SUBSCRIBE-*, MEMBER-UNSUBSCRIBE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import ACKNOWLEDGE, SUBSCRIBE, UNSUBSCRIBE, QueueFixture
from conformance.suite.queue.generators import count_up_to
from conformance.suite.queue.ownership_probe import OwnershipProbe, own_every_partition
from conformance.suite.queue.queue_client import MARGIN
from conformance.suite.queue.timeouts import eviction_seconds, timed, wait_past_eviction

if TYPE_CHECKING:
    from conformance.bench.bench import Bench


@clauses("MEMBER-SUBSCRIBE-1")
def test_subscriptions_add_up(bench: Bench) -> None:
    """Subscribe to many topics of long names in three lists, one of them named twice; expect a record of each."""
    queue = QueueFixture(bench)
    topics = [queue.new_topic_like("topic" + 60 * "n") for _ in range(count_up_to(bench, None, 37, 69, 133))]
    consumer = queue.new_consumer(queue.new_group(), topics[0])
    queue.subscribe(consumer, topics[1], topics[2], topics[1], *topics[3:-1])
    queue.subscribe(consumer, topics[-1])
    looked_at = sorted({*topics[:5], *topics[31:]})
    for topic in looked_at:
        queue.publish(topic, "m")
    seen = sorted(
        record.topic for record in queue.read_and_acknowledge(consumer, len(looked_at), "MEMBER-SUBSCRIBE-1")
    )
    bench.judge("MEMBER-SUBSCRIBE-1", seen == looked_at, expected="one of each topic", observed=seen)


@clauses("MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3")
@pytest.mark.parametrize("position", ["alone", "first", "last"])
def test_a_list_with_an_unknown_topic_subscribes_to_none(bench: Bench, position: str) -> None:
    """Subscribe to a list with a topic that was never added; expect a refusal (4xx), and no subscription."""
    queue = QueueFixture(bench)
    topic, other, unknown = queue.new_topic(), queue.new_topic(), bench.fresh("unknown")
    consumer = queue.new_consumer(queue.new_group())
    queue.publish(topic, "m")
    names = {"alone": [unknown], "first": [unknown, topic], "last": [topic, unknown]}[position]
    reply = queue.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(names)})
    expect_refusal(bench, reply, "MEMBER-SUBSCRIBE-2", "no such topic")
    expect_status(bench, reply, 404, "MEMBER-SUBSCRIBE-3", "no such topic")
    queue.subscribe(consumer, other)
    queue.confirm_ownership(other, consumer)
    queue.expect_no_record(
        consumer, "MEMBER-SUBSCRIBE-2", f"no record of {topic}: only {other} was subscribed to"
    )
    added = queue.client.add_topic(unknown)
    expect_status(bench, added, 200, "MEMBER-SUBSCRIBE-2", "a refused list adds no topic")


@clauses("MEMBER-SUBSCRIBE-2")
@pytest.mark.parametrize("position", ["first", "last"])
def test_a_refused_list_takes_no_part_in_what_others_read(bench: Bench, position: str) -> None:
    """Subscribe to a list with an unknown topic and one that another member reads; expect a refusal (4xx), and every
    record of the topic to go to the other member, on both sides of a rebalance timeout.
    """
    queue = QueueFixture(bench)
    topic, group, (reader,) = queue.topic_with_consumers()
    partitions = own_every_partition(queue, topic, reader)
    consumer, unknown = queue.new_consumer(group), bench.fresh("unknown")
    names = [unknown, topic] if position == "first" else [topic, unknown]
    reply = queue.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(names)})
    expect_refusal(bench, reply, "MEMBER-SUBSCRIBE-2", "no such topic")
    for _ in range(2):
        for number in range(partitions):
            queue.publish(topic, f"m{number}", key=None)
        queue.expect_no_record(consumer, "MEMBER-SUBSCRIBE-2", "no record: it has no subscription")
        came = queue.poll_all(reader)
        bench.judge(
            "MEMBER-SUBSCRIBE-2",
            len(came) == partitions,
            expected=f"records of all {partitions} partitions at their only subscriber",
            observed=[record.whole for _, record in came],
        )
        for _, record in came:
            queue.acknowledge(reader, record.message_id)
        if bench.clock.is_virtual:
            queue.wait_until(group, queue.now(group) + queue.timings.rebalance_timeout + MARGIN)


@clauses("MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3", "MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3")
@pytest.mark.parametrize(
    ("path", "clause", "status_clause"),
    [
        (SUBSCRIBE, "MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3"),
        (UNSUBSCRIBE, "MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3"),
    ],
    ids=["subscribe", "unsubscribe"],
)
def test_an_unknown_consumer_has_no_subscriptions(
    bench: Bench, path: str, clause: str, status_clause: str
) -> None:
    """Subscribe or unsubscribe a consumer that was never registered; expect a refusal (4xx), and no registration."""
    queue = QueueFixture(bench)
    name = bench.fresh("nobody")
    reply = queue.call(path, {"consumer_name": name, "topic_list": queue.new_topic()})
    expect_refusal(bench, reply, clause, "no such consumer")
    expect_status(bench, reply, 404, status_clause, "no such consumer")
    beat = queue.heartbeat(name)
    expect_refusal(bench, beat, clause, "a refused request registers nobody")


@clauses("MEMBER-SUBSCRIBE-4")
@pytest.mark.parametrize("beside", ["nothing", "a new topic"])
def test_subscribing_again_changes_nothing(bench: Bench, beside: str) -> None:
    """Subscribe again to the same topic, alone or beside one that is new each time; expect 200, the record still in
    flight and the offset unchanged.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 1)
    held = queue.poll_until_record(consumer)
    for turn in range(2):
        more = [queue.new_topic()] if beside == "a new topic" else []
        topics = [topic, *more] if turn else [*more, topic]
        reply = queue.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(topics)})
        expect_status(bench, reply, 200, "MEMBER-SUBSCRIBE-4", "subscribed already")
        queue.expect_no_record(consumer, "MEMBER-SUBSCRIBE-4", "no record: m1 is in flight as before")
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": held.message_id})
    expect_status(bench, mine, 202, "MEMBER-SUBSCRIBE-4", "the consumer still holds m1")
    following = queue.poll_record(consumer, "MEMBER-SUBSCRIBE-4")
    bench.judge("MEMBER-SUBSCRIBE-4", following.message == "m2", expected="m2", observed=following.whole)


@clauses("MEMBER-UNSUBSCRIBE-1")
def test_an_unsubscribed_consumer_gets_no_more_of_the_topic(bench: Bench) -> None:
    """Unsubscribe from one of two topics; expect 202, no more of its records, and those of the other topic."""
    queue = QueueFixture(bench)
    given_up, kept = queue.new_topic(), queue.new_topic()
    consumer = queue.new_consumer(queue.new_group(), given_up, kept)
    queue.confirm_ownership(given_up, consumer)
    for number in range(2):
        queue.publish(given_up, f"m{number}")
    queue.unsubscribe(consumer, given_up)
    queue.expect_no_record(consumer, "MEMBER-UNSUBSCRIBE-1", f"no record of {given_up}")
    queue.publish(kept, "kept")
    record = queue.poll_until_record(consumer, "MEMBER-UNSUBSCRIBE-1")
    bench.judge(
        "MEMBER-UNSUBSCRIBE-1", record.topic == kept, expected=f"a record of {kept}", observed=record.whole
    )


@clauses("MEMBER-UNSUBSCRIBE-1")
@pytest.mark.parametrize("heir_comes", ["before", "after"])
def test_a_list_is_given_up_whole(bench: Bench, heir_comes: str) -> None:
    """Unsubscribe from all but one of several topics by one list that names one of them twice, while records of all are
    held; expect 202, the held ones of these topics at another member, which subscribes before or after that, and
    records of the kept topic only.
    """
    queue = QueueFixture(bench)
    topics, group = [queue.new_topic() for _ in range(4)], queue.new_group()
    consumer = queue.new_consumer(group, *topics)
    *given_up, kept = topics
    for topic in given_up:
        queue.publish(topic, f"held of {topic}")
    held = sorted(queue.poll_until_record(consumer).message for _ in given_up)
    if heir_comes == "before":
        heir = queue.new_consumer(group, *given_up)
    queue.unsubscribe(consumer, *given_up, given_up[0])
    if heir_comes == "after":
        heir = queue.new_consumer(group, *given_up)
    freed = sorted(record.message for record in queue.read_and_acknowledge(heir, 3, "MEMBER-UNSUBSCRIBE-1"))
    bench.judge("MEMBER-UNSUBSCRIBE-1", freed == held, expected=f"{held}, which are free", observed=freed)
    for topic in topics:
        queue.publish(topic, f"of {topic}")
    record = queue.poll_until_record(consumer, "MEMBER-UNSUBSCRIBE-1")
    bench.judge(
        "MEMBER-UNSUBSCRIBE-1", record.topic == kept, expected=f"a record of {kept}", observed=record.whole
    )
    queue.expect_no_record(consumer, "MEMBER-UNSUBSCRIBE-1", f"no record of {', '.join(given_up)}")


@clauses("MEMBER-UNSUBSCRIBE-1")
@pytest.mark.parametrize("how", ["in one list", "in two lists"])
def test_one_unsubscription_ends_what_was_subscribed_twice(bench: Bench, how: str) -> None:
    """Subscribe to a topic twice, and unsubscribe once; expect no more of its records, which another member gets."""
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    if how == "in one list":
        queue.subscribe(consumer, topic, topic)
    else:
        for _ in range(2):
            queue.subscribe(consumer, topic)
    queue.confirm_ownership(topic, consumer)
    queue.unsubscribe(consumer, topic)
    queue.publish(topic, "later")
    queue.expect_no_record(consumer, "MEMBER-UNSUBSCRIBE-1", f"no record of {topic}")
    record = queue.poll_until_record(queue.new_consumer(group, topic), "MEMBER-UNSUBSCRIBE-1")
    bench.judge("MEMBER-UNSUBSCRIBE-1", record.message == "later", expected="`later`", observed=record.whole)


@clauses("DELIVER-3")
def test_giving_up_what_one_never_had_frees_nothing(bench: Bench) -> None:
    """Unsubscribe a consumer that holds a record from a topic to which it was never subscribed, whatever the reply;
    expect no record from its poll, and 202 for the one that it holds.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "held")
    record = queue.poll_until_record(consumer)
    queue.call(UNSUBSCRIBE, {"consumer_name": consumer, "topic_list": queue.new_topic()})
    queue.expect_no_record(consumer, "DELIVER-3", "no record: `held` is in flight as before")
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": record.message_id})
    expect_status(bench, mine, 202, "ACK-OK-1", "the record is in flight with the consumer")


@clauses("ASSIGN-2")
def test_who_unsubscribes_ends_nobody_elses_subscription(bench: Bench) -> None:
    """Unsubscribe a member from a topic that two others read and it doesn't; expect these to keep even shares of it,
    whatever the reply.
    """
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue), queue.new_group()
    readers = [queue.new_consumer(group, probe.topic) for _ in range(2)]
    probe.settled_owners(readers)
    bystander = queue.new_consumer(group, queue.new_topic())
    queue.call(UNSUBSCRIBE, {"consumer_name": bystander, "topic_list": probe.topic})
    probe.settled_owners([*readers, bystander], fair=False)
    probe.settled_owners(readers)


@clauses("ASSIGN-2")
def test_a_topic_that_is_listed_twice_is_one_subscription(bench: Bench) -> None:
    """Subscribe one of two members by a list that has the topic twice; expect even shares."""
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue), queue.new_group()
    names = [queue.new_consumer(group, probe.topic, probe.topic), queue.new_consumer(group, probe.topic)]
    probe.settled_owners(names)


@clauses("MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3")
@pytest.mark.parametrize("position", ["alone", "first", "last"])
def test_a_list_with_an_unknown_topic_unsubscribes_from_none(bench: Bench, position: str) -> None:
    """Unsubscribe from a list with a topic that was never added; expect a refusal (4xx), all subscriptions kept."""
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    idle = queue.new_topic()
    queue.subscribe(consumer, idle)
    queue.confirm_ownership(idle, consumer)
    for number in range(2):
        queue.publish(topic, f"m{number}")
    held = queue.poll_until_record(consumer)
    unknown = bench.fresh("unknown")
    names = {"alone": [unknown], "first": [unknown, topic, idle], "last": [idle, topic, unknown]}[position]
    reply = queue.call(UNSUBSCRIBE, {"consumer_name": consumer, "topic_list": ",".join(names)})
    expect_refusal(bench, reply, "MEMBER-UNSUBSCRIBE-2", "no such topic")
    expect_status(bench, reply, 404, "MEMBER-UNSUBSCRIBE-3", "no such topic")
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": consumer, "message_id": held.message_id})
    expect_status(bench, mine, 202, "MEMBER-UNSUBSCRIBE-2", "the consumer still holds m0")
    queue.publish(idle, "idle")
    came = sorted(queue.poll_record(consumer, "MEMBER-UNSUBSCRIBE-2").message for _ in range(2))
    bench.judge("MEMBER-UNSUBSCRIBE-2", came == ["idle", "m1"], expected="`idle` and m1", observed=came)


@clauses("MEMBER-UNSUBSCRIBE-4")
@pytest.mark.parametrize("how", ["unsubscribed", "unregistered"])
def test_offsets_stay_when_the_last_member_leaves(bench: Bench, how: str) -> None:
    """Let the only member leave after two of four records; expect the next subscriber to get the last two."""
    if how == "unregistered" and not bench.declares("unregister"):
        bench.skip("MEMBER-UNSUBSCRIBE-4", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    topic, group, (consumer,) = queue.topic_with_consumers()
    for number in range(4):
        queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 2)
    if how == "unsubscribed":
        queue.unsubscribe(consumer, topic)
        queue.subscribe(consumer, topic)
    else:
        queue.client.unregister(consumer)
        consumer = queue.new_consumer(group, topic)
    observed = [record.message for record in queue.read_and_acknowledge(consumer, 2, "MEMBER-UNSUBSCRIBE-4")]
    bench.judge("MEMBER-UNSUBSCRIBE-4", observed == ["m2", "m3"], expected="m2, m3", observed=observed)


@clauses("MEMBER-UNSUBSCRIBE-4")
@waits(eviction_seconds)
def test_offsets_stay_when_the_last_member_is_evicted(bench: Bench) -> None:
    """Let the only member be evicted with a record in flight in one of two topics; expect the next member to continue
    in both where the group stood.
    """
    queue = QueueFixture(bench)
    idle, busy, group = queue.new_topic(), queue.new_topic(), queue.new_group()
    consumer = queue.new_consumer(group, idle)
    for topic in (idle, busy):
        for number in range(3):
            queue.publish(topic, f"m{number}")
    queue.read_and_acknowledge(consumer, 2)
    queue.unsubscribe(consumer, idle)
    queue.subscribe(consumer, busy)
    queue.read_and_acknowledge(consumer, 2)
    queue.poll_until_record(consumer)
    queue.subscribe(consumer, idle)
    sign = timed(queue, group, lambda: queue.heartbeat(consumer))
    wait_past_eviction(queue, group, sign, consumer)
    queue.members[group].remove(consumer)
    next_owner = queue.new_consumer(group, idle, busy)
    observed = [
        (record.topic, record.message)
        for record in queue.read_and_acknowledge(next_owner, 2, "MEMBER-UNSUBSCRIBE-4")
    ]
    bench.judge(
        "MEMBER-UNSUBSCRIBE-4",
        sorted(observed) == sorted([(idle, "m2"), (busy, "m2")]),
        expected="m2 of each topic, the only one that was not acknowledged",
        observed=observed,
    )


@clauses("MEMBER-SUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-2")
@pytest.mark.parametrize(
    ("path", "clause"),
    [(SUBSCRIBE, "MEMBER-SUBSCRIBE-2"), (UNSUBSCRIBE, "MEMBER-UNSUBSCRIBE-2")],
    ids=["subscribe", "unsubscribe"],
)
def test_an_empty_name_in_a_list_is_no_topic(bench: Bench, path: str, clause: str) -> None:
    """Send a list that is empty or has an empty name; expect a refusal (4xx), and no subscription changed."""
    queue = QueueFixture(bench)
    kept, other = queue.new_topic(), queue.new_topic()
    consumer = queue.new_consumer(queue.new_group(), kept)
    queue.confirm_ownership(kept, consumer)
    queue.publish(other, "m")
    named = other if path == SUBSCRIBE else kept
    for listed in ("", ",", f",{named}", f"{named},", f"{named},,{named}"):
        reply = queue.call(path, {"consumer_name": consumer, "topic_list": listed})
        expect_refusal(bench, reply, clause, f"topic_list is {listed!r}")
    queue.expect_no_record(consumer, clause, f"no record of {other}: nothing was subscribed to")
    queue.publish(kept, "m")
    record = queue.poll_record(consumer, clause)
    bench.judge(clause, record.topic == kept, expected=f"a record of {kept}", observed=record.whole)
