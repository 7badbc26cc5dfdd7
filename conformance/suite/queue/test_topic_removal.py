"""Removal of topics (extension topic-removal): TOPIC-REMOVE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import (
    expect_refusal,
    expect_status,
    refused,
)
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    ADD_TOPIC,
    KEY,
    NEGATIVE_ACKNOWLEDGE,
    REMOVE_TOPIC,
    SUBSCRIBE,
    UNSUBSCRIBE,
    QueueFixture,
    publish_path,
)
from conformance.suite.queue.freed_records import keep_everything
from conformance.suite.queue.removed_topics import add_again, remove_topic
from conformance.suite.queue.simultaneous import Simultaneous
from conformance.suite.queue.topic_list import read_topic_list
from conformance.suite.queue.waiting_poll import ROUND_TRIPS, WaitingPoll

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.operations import Reply


#: Removals of one moment.
AT_ONCE = 4
_STATES = ("empty", "with records", "with a reader", "with a record in flight")


@clauses("TOPIC-REMOVE-1", "TOPIC-REMOVE-2")
@pytest.mark.parametrize("state", _STATES)
def test_a_removed_topic_does_not_exist(bench: Bench, state: str) -> None:
    """Remove a topic; expect 202, and refusals of everything that names it from then on."""
    queue = QueueFixture(bench)
    topic, group = queue.new_topic(), queue.new_group()
    other = queue.new_consumer(group)
    if state != "empty":
        for number in range(5):
            queue.publish(topic, f"m{number}", key=f"k{number}")
    if state in {"with a reader", "with a record in flight"}:
        reader = queue.new_consumer(group, topic)
    if state == "with a record in flight":
        queue.poll_until_record(reader)
    remove_topic(queue, topic)
    record = {"messageID": "1", "message": "m", "key": KEY}
    for path, body in (
        (publish_path(topic), record),
        (SUBSCRIBE, {"consumer_name": other, "topic_list": topic}),
        (UNSUBSCRIBE, {"consumer_name": other, "topic_list": topic}),
        (REMOVE_TOPIC, {"topicName": topic}),
    ):
        expect_refusal(bench, queue.call(path, body), "TOPIC-REMOVE-2", f"{topic} was removed")
    if bench.declares("introspection"):
        gone = bench.http().request("GET", f"/topics/{topic}")
        expect_refusal(bench, gone, "TOPIC-REMOVE-2", f"{topic} was removed")


@clauses("TOPIC-REMOVE-2")
def test_a_removed_topic_is_listed_no_more(bench: Bench) -> None:
    """GET the list of topics before and after one was removed; expect it to go, and the others to stay."""
    if not bench.declares("introspection"):
        bench.skip("TOPIC-REMOVE-2", "the server does not list its topics (extension introspection)")
        return
    queue = QueueFixture(bench)
    names = [queue.new_topic() for _ in range(3)]
    reader = queue.new_consumer(queue.new_group(), *names)
    remove_topic(queue, names[1], reader)
    reply = read_topic_list(bench, "TOPIC-REMOVE-2")
    if reply is None:
        return
    document = reply.json()
    rows = document.get("topics") if isinstance(document, dict) else None
    listed = [row.get("topicName") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    found = [name in listed for name in names]
    bench.judge(
        "TOPIC-REMOVE-2",
        found == [True, False, True],
        expected="the topics that were not removed, and not the other",
        observed=dict(zip(names, found, strict=True)),
    )


@clauses("TOPIC-REMOVE-3", "TOPIC-REMOVE-4")
def test_a_topic_that_does_not_exist_cannot_be_removed(bench: Bench) -> None:
    """Remove a topic that was never added, and one twice; expect a refusal (4xx)."""
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    remove_topic(queue, topic)
    for name in (bench.fresh("topic"), topic):
        reply = queue.call(REMOVE_TOPIC, {"topicName": name})
        expect_refusal(bench, reply, "TOPIC-REMOVE-3", "no such topic")
        expect_status(bench, reply, 404, "TOPIC-REMOVE-4", "no such topic")


@clauses("TOPIC-REMOVE-3", "TOPIC-REMOVE-1")
def test_one_of_several_removals_wins(bench: Bench) -> None:
    """Remove a topic over several connections at the same moment; expect 202 once and refusals (4xx)."""
    queue = QueueFixture(bench)
    together = Simultaneous(bench, AT_ONCE)
    for _ in range(bench.examples(quick=3, standard=15, thorough=100)):
        topic = queue.new_topic()
        queue.publish(topic, "m")
        replies = together.perform([(REMOVE_TOPIC, {"topicName": topic})] * AT_ONCE)
        statuses = [reply.status for reply in replies]
        bench.judge("TOPIC-REMOVE-1", 202 in statuses, expected="202 for one of them", observed=statuses)
        bench.judge(
            "TOPIC-REMOVE-3",
            sum(map(refused, replies)) == AT_ONCE - 1,
            expected="202 once, and 4xx for the others: the topic was removed",
            observed=statuses,
        )


@clauses("TOPIC-REMOVE-5", "TOPIC-REMOVE-6")
@pytest.mark.parametrize("held", [False, True], ids=["free", "in flight"])
def test_no_record_of_a_removed_topic_comes(bench: Bench, held: bool) -> None:
    """Remove one of two topics of a consumer, with records that are free or in flight; expect the records of the other
    topic, and no more of the removed one, also once a topic was added under its name.
    """
    queue = QueueFixture(bench)
    gone, kept = queue.new_topic(), queue.new_topic()
    consumer = queue.new_consumer(queue.new_group(), gone, kept)
    queue.confirm_ownership(gone, consumer)
    queue.confirm_ownership(kept, consumer)
    for number in range(2):
        queue.publish(gone, f"gone {number}")
    if held:
        queue.poll_record(consumer, "POLL-OK-1")
    remove_topic(queue, gone, consumer)
    for number in range(2):
        queue.publish(kept, f"kept {number}")
    _expect_only(queue, consumer, gone, ["kept 0", "kept 1"])
    add_again(queue, gone)
    queue.publish(kept, "kept 2")
    _expect_only(queue, consumer, gone, ["kept 2"])


def _expect_only(queue: QueueFixture, consumer: str, gone: str, messages: list[str]) -> None:
    """Judge TOPIC-REMOVE-6 by these records and no others, and TOPIC-REMOVE-5 by none of the topic `gone`."""
    for message in messages:
        record = queue.poll_until_record(consumer, "TOPIC-REMOVE-6")
        queue.bench.judge(
            "TOPIC-REMOVE-5",
            record.topic != gone,
            expected="records of topics that were not removed",
            observed=record.whole,
        )
        queue.bench.judge(
            "TOPIC-REMOVE-6", record.message == message, expected=message, observed=record.whole
        )
        queue.acknowledge(consumer, record.message_id)
    reply = queue.poll(consumer)
    is_void = reply.status == 200 and queue.record_of(reply).topic == gone
    queue.bench.judge(
        "TOPIC-REMOVE-5" if is_void else "TOPIC-REMOVE-6",
        reply.status != 200,
        expected="no record: all of the other topic are acknowledged",
        observed=reply,
    )


@clauses("TOPIC-REMOVE-6")
@pytest.mark.parametrize("which", [0, 1, 2], ids=["the first topic", "the second topic", "the third topic"])
def test_members_keep_their_other_topics(bench: Bench, which: int) -> None:
    """Remove one of three topics of a group with two members and one of another group; expect every member to be
    there, what they hold of the other topics to be in flight with them, and what was committed there to stay so.
    """
    queue = QueueFixture(bench)
    topics = [queue.new_topic() for _ in range(3)]
    keep_everything(queue, *topics)
    gone, rest = topics[which], [topic for index, topic in enumerate(topics) if index != which]
    group, elsewhere = queue.new_group(), queue.new_group()
    reader = queue.new_consumer(group, *topics)
    for topic in topics:
        queue.publish(topic, f"{topic} 0")
    queue.read_and_acknowledge(reader, 3)
    for topic in topics:
        queue.publish(topic, f"{topic} 1")
    held = {}
    for _ in range(3):
        record = queue.poll_until_record(reader)
        held[record.topic] = record
    stranded = queue.new_consumer(elsewhere, gone)
    remove_topic(queue, gone, reader, stranded)
    for topic in rest:
        reply = queue.call(
            ACKNOWLEDGE, {"consumer_name": reader, "message_id": held[topic].message_id}, promise="ACK-OK-1"
        )
        expect_status(bench, reply, 202, "TOPIC-REMOVE-6", f"{held[topic].message} is in flight as before")
        queue.publish(topic, f"{topic} 2")
    got = sorted(queue.poll_until_record(reader, "TOPIC-REMOVE-6").message for _ in rest)
    expected = sorted(f"{topic} 2" for topic in rest)
    bench.judge("TOPIC-REMOVE-6", got == expected, expected=f"{expected}", observed=got)
    queue.subscribe(stranded, rest[0])
    first = queue.poll_until_record(stranded, "TOPIC-REMOVE-6")
    bench.judge(
        "TOPIC-REMOVE-6", first.message == f"{rest[0]} 0", expected=f"{rest[0]} 0", observed=first.whole
    )


@clauses("TOPIC-REMOVE-7", "TOPIC-REMOVE-8")
@pytest.mark.parametrize("again", [False, True], ids=["removed", "added again"])
def test_what_was_in_flight_is_void(bench: Bench, again: bool) -> None:
    """Remove a topic of which a consumer holds a record, and acknowledge that record; expect a refusal (4xx), and that
    nothing of a new topic of that name is settled by it.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    other = queue.new_topic()
    queue.subscribe(consumer, other)
    queue.publish(topic, "void")
    held = queue.poll_until_record(consumer)
    remove_topic(queue, topic, consumer)
    record = None
    if again:
        add_again(queue, topic)
        queue.subscribe(consumer, topic)
        queue.publish(topic, "new")
        record = queue.poll_until_record(consumer, "TOPIC-REMOVE-11")
        if str(record.message_id) == str(held.message_id):
            bench.step("the new record has the id of the old one, which is free to be used again")
            return
    paths = [ACKNOWLEDGE]
    if bench.declares("negative-acknowledgement"):
        paths.append(NEGATIVE_ACKNOWLEDGE)
    for path in paths:
        reply = queue.call(path, {"consumer_name": consumer, "message_id": held.message_id})
        expect_refusal(bench, reply, "TOPIC-REMOVE-7", "the topic of the record was removed")
        expect_status(bench, reply, 409, "TOPIC-REMOVE-8", "the record is in flight with nobody")
    if record is not None:
        queue.acknowledge(consumer, record.message_id)
    queue.expect_no_record(consumer, "TOPIC-REMOVE-5", "no record: nothing else was published")


@clauses("TOPIC-REMOVE-9")
@pytest.mark.parametrize("topics", [1, 2])
def test_polls_that_wait_for_a_removed_topic_end(bench: Bench, topics: int) -> None:
    """Remove the only topic, or both of them, of three members of two groups, whose polls wait, two of one of them;
    expect empty answers clearly before the time is over, to the owner of its partition and to those that stand by.

    A poll that reaches the server behind the removal waits in vain, and rightly: an answer that is late is tried again.
    """
    queue = QueueFixture(bench)
    for round_trips in (ROUND_TRIPS, 4 * ROUND_TRIPS, 16 * ROUND_TRIPS):
        answers = _answers_to_a_removal(queue, topics, round_trips)
        if all(is_early for _, is_early in answers):
            break
    for (reply, took), is_early in answers:
        bench.judge(
            "TOPIC-REMOVE-9",
            reply.status != 200 and is_early,
            expected="an empty answer, clearly before the time of the poll is over",
            observed=f"{reply} after {took:.3f} s",
        )
        expect_status(bench, reply, 204, "POLL-EMPTY-2", "there is nothing to hand out")


def _answers_to_a_removal(
    queue: QueueFixture, topics: int, round_trips: int
) -> list[tuple[tuple[Reply, float], bool]]:
    """Answers to the polls of three members whose topics are removed, and whether each is early."""
    names = [queue.new_topic() for _ in range(topics)]
    group = queue.new_group()
    owner, other = queue.new_consumer(group, *names), queue.new_consumer(queue.new_group(), *names)
    for name in names:
        queue.confirm_ownership(name, owner)
        queue.read_and_acknowledge(other, 1)
    members = [owner, queue.new_consumer(group, *names), other]
    waiting = [WaitingPoll(queue, name, round_trips=round_trips) for name in (*members, owner)]
    for name in names:
        remove_topic(queue, name)
    answers = [each.answer() for each in waiting]
    return [
        (answer, each.is_before_timeout(answer[1])) for each, answer in zip(waiting, answers, strict=True)
    ]


@clauses("TOPIC-REMOVE-6", "TOPIC-REMOVE-9")
def test_a_poll_that_waits_gets_records_of_other_topics(bench: Bench) -> None:
    """Remove one of two topics of a consumer whose poll waits, and publish to the other; expect that record, in answer
    to that poll or to the next.
    """
    if not bench.declares("long-poll"):
        return
    queue = QueueFixture(bench)
    gone, kept = queue.new_topic(), queue.new_topic()
    consumer = queue.new_consumer(queue.new_group(), gone, kept)
    queue.confirm_ownership(gone, consumer)
    queue.confirm_ownership(kept, consumer)
    waiting = WaitingPoll(queue, consumer)
    remove_topic(queue, gone)
    queue.publish(kept, "kept")
    reply, took = waiting.answer()
    bench.judge(
        "TOPIC-REMOVE-6",
        waiting.is_before_timeout(took),
        expected="the record of the other topic, or an empty answer before it was there",
        observed=f"{reply} after {took:.3f} s",
    )
    record = (
        queue.record_of(reply) if reply.status == 200 else queue.poll_until_record(consumer, "TOPIC-REMOVE-6")
    )
    bench.judge("TOPIC-REMOVE-6", record.message == "kept", expected="kept", observed=record.whole)


@clauses("NAME-5")
@pytest.mark.parametrize("like", ["{}-2", "{}.", "x{}", "swapped"])
def test_topics_of_similar_names_stay(bench: Bench, like: str) -> None:
    """Remove a topic beside one whose name begins or ends with that name, or differs in case; expect that one to be
    there with its records and its reader.
    """
    if not bench.declares("topic-removal"):
        return
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    near = topic.swapcase() if like == "swapped" else like.format(topic)
    reply = queue.call(ADD_TOPIC, {"topicName": near}, promise="TOPIC-ADD-1")
    expect_status(bench, reply, 200, "TOPIC-ADD-1", "no topic has this name")
    consumer = queue.new_consumer(queue.new_group(), near, topic)
    queue.publish(near, "kept")
    remove_topic(queue, topic, consumer)
    record = queue.poll_until_record(consumer, "NAME-5")
    bench.judge("NAME-5", record.message == "kept", expected="kept", observed=record.whole)
