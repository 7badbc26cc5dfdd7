"""Names that are easily taken for one another: NAME-5, and what one of them must not reach of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_GROUP,
    ADD_TOPIC,
    KEY,
    REGISTER,
    REMOVE_GROUP,
    SUBSCRIBE,
    UNREGISTER,
    QueueFixture,
    publish_path,
)
from conformance.suite.queue.generators import LITERALS, similar_names
from conformance.suite.queue.timeouts import eviction_seconds, timed, wait_past_eviction

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Attempts at a name that others may use: its holder may leave between two operations.
ATTEMPTS = 5


def _add(queue: QueueFixture, path: str, names: list[str], **more: str) -> None:
    """Add topics or groups, or register consumers; judges NAME-5 by 200 for each."""
    member = {ADD_TOPIC: "topicName", ADD_GROUP: "consumer_group_name", REGISTER: "consumer_name"}[path]
    for name in names:
        reply = queue.call(path, {**more, member: name}, promise="NAME-5")
        expect_status(queue.bench, reply, 200, "NAME-5", f"{name!r} differs from all other names")
        if path == ADD_GROUP:
            queue.members[name] = []
        elif path == REGISTER:
            queue.members[more["consumer_group_name"]].append(name)


@clauses("NAME-5")
def test_topics_of_similar_names_are_different_topics(bench: Bench) -> None:
    """Add topics whose names differ in case, in the last character or in the one that joins two words, and publish one
    record to each; expect 200, each record from its topic only, and those of the others when one topic is given up.
    """
    queue = QueueFixture(bench)
    names = similar_names(bench, "t")
    _add(queue, ADD_TOPIC, names)
    for name in names:
        body = {"messageID": "1", "message": f"of {name}", "key": KEY}
        reply = queue.call(publish_path(name), body, promise="NAME-5")
        expect_status(bench, reply, 200, "NAME-5", f"there is a topic {name!r}")
    group = queue.new_group()
    for chosen in (names[:1], names[1:]):
        consumer = queue.new_consumer(group, *chosen)
        came = {
            record.topic: record.message
            for record in queue.read_and_acknowledge(consumer, len(chosen), "NAME-5")
        }
        expected = {name: f"of {name}" for name in chosen}
        bench.judge("NAME-5", came == expected, expected=f"{expected}", observed=came)
        queue.expect_no_record(consumer, "NAME-5", f"no record but those of {chosen[0]} and its like")
    queue.subscribe(consumer, names[0])
    queue.unsubscribe(consumer, names[0])
    for name in names[1:4]:
        queue.publish(name, f"of {name}")
    left = {record.topic for record in queue.read_and_acknowledge(consumer, 3, "NAME-5")}
    expected_topics = set(names[1:4])
    bench.judge(
        "NAME-5",
        left == expected_topics,
        expected=f"records of {sorted(expected_topics)}: only {names[0]!r} was given up",
        observed=sorted(left),
    )


@clauses("NAME-5")
def test_groups_of_similar_names_are_different_groups(bench: Bench) -> None:
    """Add groups of similar names with one member each, read in each of them, and remove the first; expect each to get
    the record, and the members of the others to stay.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    queue.publish(topic, "m0")
    names = similar_names(bench, "g")
    _add(queue, ADD_GROUP, names)
    readers = [queue.new_consumer(name, topic) for name in names]
    for reader in readers:
        record = queue.poll_until_record(reader, "NAME-5")
        bench.judge("NAME-5", record.message == "m0", expected="m0 in each group", observed=record.whole)
        queue.acknowledge(reader, record.message_id)
    removed = queue.call(REMOVE_GROUP, {"consumer_group_name": names[0]}, promise="GROUP-REMOVE-1")
    expect_status(bench, removed, 202, "GROUP-REMOVE-1", "the group exists")
    del queue.members[names[0]]
    for name, reader in zip(names[1:], readers[1:], strict=True):
        beat = queue.heartbeat(reader)
        expect_status(bench, beat, 202, "NAME-5", f"{names[0]!r} was removed, and not {name!r}")


@clauses("NAME-5")
def test_consumers_of_similar_names_are_different_consumers(bench: Bench) -> None:
    """Register consumers of similar names in one group, let one hold a record, and acknowledge by the others; expect
    refusals (4xx), and the holder to keep its record when the others leave.
    """
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    queue.publish(topic, "m0")
    names = similar_names(bench, "c")
    _add(queue, REGISTER, names, consumer_group_name=group)
    holder, others = names[1], [name for name in names if name != names[1]]
    queue.subscribe(holder, topic)
    record = queue.poll_until_record(holder, "NAME-5")
    for name in others:
        queue.expect_no_record(name, "NAME-5", f"no record: only {holder!r} is subscribed")
        reply = queue.call(ACKNOWLEDGE, {"consumer_name": name, "message_id": record.message_id})
        expect_refusal(bench, reply, "NAME-5", f"{holder!r} holds the record, and not {name!r}")
    if bench.declares("unregister"):
        left = queue.call(UNREGISTER, {"consumer_name": others[0]}, promise="MEMBER-UNREGISTER-1")
        expect_status(bench, left, 202, "MEMBER-UNREGISTER-1", "the consumer is registered")
        queue.members[group].remove(others.pop(0))
    for name in others:
        beat = queue.heartbeat(name)
        expect_status(bench, beat, 202, "NAME-5", f"{name!r} is registered, whoever left")
    mine = queue.call(ACKNOWLEDGE, {"consumer_name": holder, "message_id": record.message_id})
    expect_status(bench, mine, 202, "NAME-5", f"{holder!r} holds the record as before")


@clauses("NAME-1")
def test_names_that_look_like_nothing_are_names(bench: Bench) -> None:
    """Register consumers named `null`, `0` and the like; expect 200, or that such a consumer is there already."""
    queue = QueueFixture(bench)
    for name in LITERALS:
        group = queue.new_group()
        for _ in range(ATTEMPTS):
            reply = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
            is_there = reply.status == 200 or queue.heartbeat(name).status == 202
            if is_there:
                break
        bench.judge("NAME-1", is_there, expected=f"200: {name!r} is a valid name", observed=reply)


@clauses("NAME-1")
def test_topics_and_groups_may_be_named_so_too(bench: Bench) -> None:
    """Add topics and groups named `null`, `constructor` and the like; expect 200, or that there is one already: a
    consumer of such a group can subscribe to such a topic.
    """
    queue = QueueFixture(bench)
    consumer = queue.new_consumer(queue.new_group())
    for name in LITERALS:
        added = queue.call(ADD_TOPIC, {"topicName": name})
        there = queue.call(SUBSCRIBE, {"consumer_name": consumer, "topic_list": name})
        expected = f"200, or a topic that exists: {name!r} is a valid name"
        is_there = added.status in (200, 409) and there.status == 200
        bench.judge("NAME-1", is_there, expected=expected, observed=f"{added}; subscribed to by {there}")
    for name in LITERALS:
        member = bench.fresh("consumer")
        for _ in range(ATTEMPTS):
            added = queue.call(ADD_GROUP, {"consumer_group_name": name})
            joined = queue.call(REGISTER, {"consumer_group_name": name, "consumer_name": member})
            if joined.status == 200:
                break
        expected = f"200 for both: {name!r} is a valid name"
        observed = f"{added}; a member is registered by {joined}"
        bench.judge("NAME-1", added.status == joined.status == 200, expected=expected, observed=observed)
        if bench.declares("unregister"):
            queue.call(UNREGISTER, {"consumer_name": member})


@clauses("LIVE-EVICT-1")
@waits(eviction_seconds)
def test_heartbeats_of_one_name_keep_no_other_alive(bench: Bench) -> None:
    """Register consumers of similar names, and send heartbeats of the first only, then of the last only; expect the
    others to be evicted.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    groups: list[tuple[str, str, list[str]]] = []
    for beating in (0, -1):
        group = queue.new_group()
        names = similar_names(bench, "b")
        for name in names:
            reply = queue.call(REGISTER, {"consumer_group_name": group, "consumer_name": name})
            clause = "MEMBER-REGISTER-1" if name == names[0] else "NAME-1"
            expect_status(bench, reply, 200, clause, f"no consumer is named {name!r}, a valid name")
        queue.members[group] = list(names)
        queue.subscribe(names[beating], topic)
        groups.append((group, names[beating], names))
    silent = [name for _, living, names in groups for name in names if name != living]
    signs = [timed(queue, groups[-1][0], lambda name=name: queue.heartbeat(name)) for name in silent]  # type: ignore[misc]
    wait_past_eviction(queue, groups[-1][0], signs[-1], *silent)
    for _group, living, names in groups:
        beat = queue.heartbeat(living)
        expect_status(bench, beat, 202, "LIVE-BEAT-1", "the consumer was never silent")
        for name in names:
            if name != living:
                why = f"{name} was silent for longer than timeout and grace; {living} sent heartbeats"
                reply = queue.heartbeat(name)
                expect_refusal(bench, reply, "LIVE-EVICT-1", why)
