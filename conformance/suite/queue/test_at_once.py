"""Operations at the same moment on different connections, many times: of those that exclude one another one wins.

Two wins are charged to the clause that the second one breaks, none to ATOMIC-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status, refused
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_GROUP,
    ADD_TOPIC,
    NEGATIVE_ACKNOWLEDGE,
    POLL,
    REGISTER,
    REMOVE_GROUP,
    SUBSCRIBE,
    UNREGISTER,
    QueueFixture,
    publish_path,
)
from conformance.suite.queue.ownership_probe import OwnershipProbe, own_every_partition
from conformance.suite.queue.rebalance_in_progress import few_partitions
from conformance.suite.queue.simultaneous import Simultaneous

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.operations import Reply

#: Operations of one moment.
AT_ONCE = 4
#: Partitions of topics whose additions exclude one another.
PARTITIONS = (1, 2, 3, 4)


def _rounds(bench: Bench) -> int:
    return bench.examples(quick=12, standard=60, thorough=400)


def _few_rounds(bench: Bench) -> int:
    """Rounds of a test that sends much in each."""
    return bench.examples(quick=4, standard=15, thorough=100)


def _expect_one(bench: Bench, replies: list[Reply], status: int, clause: str, what: str) -> int:
    """Judge that exactly one reply has `status` and the others are refusals; returns the index of that one."""
    winners = [number for number, reply in enumerate(replies) if reply.status == status]
    told = [str(reply) for reply in replies]
    bench.judge(clause, len(winners) <= 1, expected=f"{status} once: {what}", observed=told)
    bench.judge(
        "ATOMIC-1",
        bool(winners) and sum(map(refused, replies)) == len(replies) - 1,
        expected=f"{status} for one of them and 4xx for the others: {what}",
        observed=told,
    )
    return winners[0]


def _expect_uncommitted(bench: Bench, message: str, whole: dict[str, Any], following: int) -> None:
    """Judge that `message` is none of m0 and so on before the one numbered `following`: each was acknowledged (202)."""
    bench.judge(
        "ACK-COMMIT-1",
        message not in {f"m{number}" for number in range(following)},
        expected=f"m{following}: the records before it were acknowledged with 202",
        observed=whole,
    )


@clauses("MEMBER-REGISTER-4", "ATOMIC-1")
def test_one_of_several_registrations_of_a_name_wins(bench: Bench) -> None:
    """Register one name in several groups at the same moment; expect 200 once and refusals (4xx), and the consumer in
    the group of the one that won.
    """
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    topic = queue.new_topic()
    groups = [queue.new_group() for _ in range(AT_ONCE)]
    queue.publish(topic, "m")
    for number in range(_rounds(bench)):
        name = bench.fresh("consumer")
        body = {"consumer_name": name}
        replies = together.perform([(REGISTER, {**body, "consumer_group_name": group}) for group in groups])
        winner = groups[_expect_one(bench, replies, 200, "MEMBER-REGISTER-4", "one consumer has this name")]
        queue.members[winner].append(name)
        if number == 0:
            queue.subscribe(name, topic)
            record = queue.poll_until_record(name)
            queue.acknowledge(name, record.message_id)
            later = queue.new_consumer(winner)
            queue.unsubscribe(name, topic)
            queue.subscribe(later, topic)
            queue.expect_no_record(
                later, "ATOMIC-1", "no record: the group of the winner has acknowledged it"
            )


@clauses("TOPIC-ADD-2", "ATOMIC-1")
def test_one_of_several_additions_of_a_topic_wins(bench: Bench) -> None:
    """Add one topic with several numbers of partitions at the same moment; expect 200 once and refusals (4xx), and the
    number that the winner asked for.
    """
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    sized = bench.declares("topic-partitions") and (bench.limit("partitions") or 4) >= max(PARTITIONS)
    for number in range(_rounds(bench)):
        topic = bench.fresh("topic")
        bodies = [{"topicName": topic, **({"partitions": count} if sized else {})} for count in PARTITIONS]
        replies = together.perform([(ADD_TOPIC, body) for body in bodies])
        winner = _expect_one(bench, replies, 200, "TOPIC-ADD-2", "one topic has this name")
        if sized and number % 6 == 0:
            consumer = queue.new_consumer(queue.new_group(), topic)
            for index in range(2 * max(PARTITIONS)):
                queue.publish(topic, f"m{index}", key=None)
            in_flight = 0
            for _ in queue.retry_until_rebalanced():
                in_flight += len(queue.poll_all(consumer))
                if in_flight >= PARTITIONS[winner]:
                    break
            bench.judge(
                "TOPIC-ADD-2",
                in_flight == PARTITIONS[winner],
                expected=f"{PARTITIONS[winner]} records in flight at once, as the winner asked for",
                observed=f"{in_flight}",
            )


@clauses("ACK-UNKNOWN-1", "ACK-COMMIT-1", "ATOMIC-1")
def test_one_of_several_acknowledgements_of_a_record_wins(bench: Bench) -> None:
    """Acknowledge one record several times at the same moment; expect 202 once and refusals (4xx), and the next record
    after it.
    """
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    rounds = _rounds(bench)
    for number in range(rounds + 1):
        queue.publish(topic, f"m{number}")
    for number in range(rounds):
        record = queue.poll_until_record(consumer)
        _expect_uncommitted(bench, record.message, record.whole, number)
        bench.judge(
            "ATOMIC-1",
            record.message == f"m{number}",
            expected=f"m{number}: each record before it was acknowledged once",
            observed=record.whole,
        )
        body = {"consumer_name": consumer, "message_id": record.message_id}
        replies = together.perform([(ACKNOWLEDGE, body)] * AT_ONCE)
        _expect_one(bench, replies, 202, "ACK-UNKNOWN-1", "the record is in flight once")


@clauses("PART-RR-1")
def test_records_of_the_same_moment_take_turns(bench: Bench) -> None:
    """Publish records without a key over several connections at the same moment, at most as many as there are
    partitions; expect all of them in flight at once, since each went to another partition.
    """
    if bench.binding == "queue-http" and not bench.declares("http-publish"):
        bench.skip("PART-RR-1", "records are not published over HTTP (extension http-publish)")
        return
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    partitions = few_partitions(bench)
    topic = queue.new_topic(**({} if partitions is None else {"partitions": partitions}))
    consumer = queue.new_consumer(queue.new_group(), topic)
    count = min(AT_ONCE, own_every_partition(queue, topic, consumer, partitions))
    for _ in range(_few_rounds(bench)):
        texts = [bench.fresh("m") for _ in range(count)]
        together.perform([(publish_path(topic), {"messageID": text, "message": text}) for text in texts])
        came = queue.poll_all(consumer)
        bench.judge(
            "PART-RR-1",
            sorted(record.message for _, record in came) == sorted(texts),
            expected=f"{count} records in flight, each in another partition",
            observed=[record.whole for _, record in came],
        )
        for _, record in came:
            queue.acknowledge(consumer, record.message_id)


@clauses("PUB-POSITION-1")
def test_records_of_the_same_moment_have_different_offsets(bench: Bench) -> None:
    """Publish records of one key over several connections at the same moment; expect the offsets that follow one
    another, each in one reply.
    """
    if bench.binding == "queue-http" and not bench.declares("http-publish"):
        bench.skip("PUB-POSITION-1", "records are not published over HTTP (extension http-publish)")
        return
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    topic = queue.new_topic()
    for number in range(_few_rounds(bench)):
        replies = together.perform(
            [(publish_path(topic), {"messageID": "1", "message": "m", "key": "k"})] * AT_ONCE
        )
        offsets = sorted(queue.position(reply)[1] for reply in replies)
        expected = list(range(number * AT_ONCE, (number + 1) * AT_ONCE))
        bench.judge(
            "PUB-POSITION-1",
            offsets == expected,
            expected=f"the offsets {expected}",
            observed=[str(each) for each in replies],
        )


@clauses("ATOMIC-1")
def test_additions_of_a_group_are_one_group(bench: Bench) -> None:
    """Add a group over several connections, one right behind the other, and register a consumer when the first reply
    has come; expect 200 for all additions, and the consumer to stay registered.
    """
    queue = QueueFixture(bench)
    clients = [bench.queue() for _ in range(2 * AT_ONCE)]
    for _ in range(_few_rounds(bench)):
        group, name = bench.fresh("group"), bench.fresh("consumer")
        body = {"consumer_group_name": group}
        first, *others = [client.start(ADD_GROUP, body) for client in clients]
        added = first.reply()
        joined = queue.call(REGISTER, {**body, "consumer_name": name})
        for reply in (added, *(each.reply() for each in others)):
            expect_status(bench, reply, 200, "ATOMIC-1", "the group is added, or there")
        expect_status(bench, joined, 200, "ATOMIC-1", "the group was added before")
        expect_status(bench, queue.heartbeat(name), 202, "ATOMIC-1", "the consumer was registered by 200")
        queue.client.remove_group(group)


@clauses("ATOMIC-1", "GROUP-REMOVE-4")
def test_nobody_is_left_of_a_group_that_is_removed(bench: Bench) -> None:
    """Remove a group twice and register consumers in it at the same moment; expect 202 once, and each registration to
    be refused (4xx), or to end with the group.
    """
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    other = queue.new_group()
    for number in range(_few_rounds(bench)):
        group = bench.fresh("group")
        queue.client.add_group(group)
        names = [bench.fresh("consumer") for _ in range(AT_ONCE - 2)]
        operations = [(REGISTER, {"consumer_group_name": group, "consumer_name": name}) for name in names]
        for _ in range(2):
            operations.insert(number % (AT_ONCE - 1), (REMOVE_GROUP, {"consumer_group_name": group}))
        replies = together.perform(operations)
        removals = [
            reply for (path, _), reply in zip(operations, replies, strict=True) if path == REMOVE_GROUP
        ]
        _expect_one(bench, removals, 202, "GROUP-REMOVE-4", "the group goes once")
        for name in names:
            beat = queue.heartbeat(name)
            bench.judge("ATOMIC-1", refused(beat), expected="4xx: its group was removed", observed=beat)
            free = queue.call(REGISTER, {"consumer_group_name": other, "consumer_name": name})
            expect_status(bench, free, 200, "ATOMIC-1", "the name is free: its group was removed")
            if bench.declares("unregister"):
                queue.call(UNREGISTER, {"consumer_name": name})


@clauses("ACK-COMMIT-1", "ATOMIC-1")
def test_a_record_is_acknowledged_or_given_back(bench: Bench) -> None:
    """Acknowledge a record and give it back at the same moment; expect 202 once, and the next poll to follow it."""
    if not bench.declares("negative-acknowledgement"):
        bench.skip("ATOMIC-1", "nothing can be given back (extension negative-acknowledgement)")
        return
    queue, together = QueueFixture(bench), Simultaneous(bench, 2)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    rounds = _rounds(bench)
    for number in range(rounds + 1):
        queue.publish(topic, f"m{number}")
    expected = 0
    for number in range(rounds):
        record = queue.poll_until_record(consumer)
        _expect_uncommitted(bench, record.message, record.whole, expected)
        bench.judge(
            "ATOMIC-1", record.message == f"m{expected}", expected=f"m{expected}", observed=record.whole
        )
        body = {"consumer_name": consumer, "message_id": record.message_id}
        paths = [ACKNOWLEDGE, NEGATIVE_ACKNOWLEDGE][:: 1 if number % 2 else -1]
        replies = together.perform([(path, body) for path in paths])
        winner = _expect_one(bench, replies, 202, "ATOMIC-1", "the record is settled once")
        expected += paths[winner] == ACKNOWLEDGE


@clauses("DELIVER-3", "ATOMIC-1")
def test_polls_at_the_same_moment_bring_different_records(bench: Bench) -> None:
    """Poll with one consumer over several connections at the same moment; expect each free record once."""
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    partitions = own_every_partition(queue, topic, consumer)
    for number in range(_rounds(bench)):
        free = 1 + number % min(partitions, AT_ONCE)
        for index in range(free):
            queue.publish(topic, f"m{index}", key=None)
        replies = together.perform([(POLL, {"consumer_name": consumer})] * AT_ONCE)
        records = [queue.record_of(reply) for reply in replies if reply.status == 200]
        ids = [record.message_id for record in records]
        bench.judge("DELIVER-3", len(set(ids)) == len(ids), expected="each record once", observed=ids)
        bench.judge(
            "ATOMIC-1",
            len(ids) == free,
            expected=f"a record for {free} of the polls, since so many are free",
            observed=[str(reply) for reply in replies],
        )
        for message_id in ids:
            queue.acknowledge(consumer, message_id)


@clauses("ATOMIC-1")
def test_a_consumer_leaves_once(bench: Bench) -> None:
    """Unregister a consumer several times, and subscribe it, at the same moment; expect 202 once, and the consumer
    gone.
    """
    if not bench.declares("unregister"):
        bench.skip("ATOMIC-1", "no consumer can unregister (extension unregister)")
        return
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    topic, group = queue.new_topic(), queue.new_group()
    for number in range(_rounds(bench)):
        name = queue.new_consumer(group)
        queue.members[group].remove(name)
        body = {"consumer_name": name}
        operations = [(UNREGISTER, body), (SUBSCRIBE, {**body, "topic_list": topic})] * 2
        operations = operations[number % 2 :] + operations[: number % 2]
        replies = together.perform(operations)
        leaving = [reply for (path, _), reply in zip(operations, replies, strict=True) if path == UNREGISTER]
        _expect_one(bench, leaving, 202, "ATOMIC-1", "the consumer leaves once")
        gone = queue.heartbeat(name)
        bench.judge("ATOMIC-1", refused(gone), expected="4xx: the consumer has left", observed=gone)


@clauses("ASSIGN-1", "MEMBER-SUBSCRIBE-1", "REBALANCE-1")
@pytest.mark.parametrize("who", ["one member", "several members"])
def test_subscriptions_at_the_same_moment_all_count(bench: Bench, who: str) -> None:
    """Subscribe one member to a topic several times, or several members, at the same moment; expect 200 for each, one
    owner of each partition, and even shares.
    """
    queue, together = QueueFixture(bench), Simultaneous(bench, AT_ONCE)
    for _ in range(bench.examples(quick=2, standard=8, thorough=60)):
        probe, group = OwnershipProbe(queue, few_partitions(bench)), queue.new_group()
        members = [queue.new_consumer(group) for _ in range(1 if who == "one member" else AT_ONCE)]
        replies = together.perform(
            [
                (SUBSCRIBE, {"consumer_name": name, "topic_list": probe.topic})
                for name in (members * AT_ONCE)[:AT_ONCE]
            ]
        )
        for reply in replies:
            expect_status(bench, reply, 200, "MEMBER-SUBSCRIBE-1", "the consumer and the topic exist")
        probe.settled_owners(members)
        queue.client.remove_group(group)
        del queue.members[group]
