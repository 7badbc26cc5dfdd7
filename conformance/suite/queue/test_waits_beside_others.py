"""Polls that wait beside other topics, polls and operations of their session: POLL-WAIT-1, QSTOMP-REPLY-1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import refused
from conformance.suite.queue.fixture import POLL, QueueFixture
from conformance.suite.queue.ownership_probe import own_every_partition
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.suite.queue.waiting_poll import LONGEST_WAIT, WaitingPoll
from conformance.wire.operations import REPLIES, encoded

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.wire.stomp import StompClient

#: Seconds for which a poll waits in vain.
SHORT = 0.1


@clauses("POLL-WAIT-1")
def test_a_poll_waits_for_every_topic_of_its_consumer(bench: Bench) -> None:
    """Subscribe a consumer to several topics, and publish to each of them while a poll waits; expect its record each
    time, long before the time is over.
    """
    queue = QueueFixture(bench)
    topics = [queue.new_topic() for _ in range(3)]
    consumer = queue.new_consumer(queue.new_group(), *topics)
    for topic in topics:
        queue.confirm_ownership(topic, consumer)
    for number, topic in enumerate([*topics, topics[0]]):
        waiting = WaitingPoll(queue, consumer)
        queue.publish(topic, f"m{number}")
        waiting.expect_record("POLL-WAIT-1", f"m{number}", acknowledge=consumer)


@clauses("POLL-WAIT-1")
def test_a_wait_in_vain_keeps_no_other_from_being_answered(bench: Bench) -> None:
    """Let a poll wait in vain beside a longer one of the same consumer, and publish; expect the record at the longer
    one, long before its time is over.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    for number in range(2):
        waiting = WaitingPoll(queue, consumer)
        in_vain = WaitingPoll(queue, consumer, SHORT, round_trips=0)
        in_vain.answer()
        queue.publish(topic, f"m{number}")
        waiting.expect_record("POLL-WAIT-1", f"m{number}", acknowledge=consumer)


@clauses("DELIVER-1", "DELIVER-2")
def test_what_comes_at_once_for_a_batch_that_waits_comes_whole(bench: Bench) -> None:
    """Let a batch wait while another member holds records of several partitions and unsubscribes; expect each of them
    from the batch and the polls behind it.
    """
    if not bench.declares("batch-poll"):
        bench.skip("DELIVER-1", "there are no batches (extension batch-poll)")
        return
    queue = QueueFixture(bench)
    topic, group, (holder,) = queue.topic_with_consumers()
    partitions = own_every_partition(queue, topic, holder)
    for number in range(partitions):
        queue.publish(topic, f"m{number}", key=None)
    held = sorted(record.message for _, record in queue.poll_all(holder))
    heir = queue.new_consumer(group, topic)
    most = int(min(bench.limit("poll_messages") or partitions, partitions))
    waiting = WaitingPoll(queue, heir, max_messages=most)
    queue.unsubscribe(holder, topic)
    reply, _took = waiting.answer()
    body = reply.body if isinstance(reply.body, dict) else {}
    came = [queue.parse_record(item, reply).message for item in body.get("records", ())]
    for _ in queue.retry_until_rebalanced():
        came += [record.message for _, record in queue.poll_all(heir)]
        if len(came) >= len(held):
            break
    bench.judge(
        "DELIVER-1",
        sorted(came) == held,
        expected=f"{held}, each once, from the batch that waited and from later polls",
        observed=came,
    )


@clauses("POLL-WAIT-1")
def test_the_polls_of_all_members_of_a_removed_group_are_refused(bench: Bench) -> None:
    """Let polls of several members wait, and remove their group; expect a refusal (4xx) of each, long before its time
    is over.
    """
    queue = QueueFixture(bench)
    _topic, group, consumers = queue.topic_with_consumers(3)
    polls = [WaitingPoll(queue, consumer, round_trips=1) for consumer in (*consumers, consumers[0])]
    queue.client.remove_group(group)
    del queue.members[group]
    for waiting in polls:
        reply, took = waiting.answer()
        bench.judge(
            "POLL-WAIT-1",
            refused(reply) and waiting.is_before_timeout(took),
            expected="4xx when the group is removed, long before the time of the poll is over",
            observed=f"{reply} after {took:.3f} s",
        )


@clauses("QSTOMP-REPLY-1")
def test_a_late_reply_has_the_correlation_of_its_operation(bench: Bench) -> None:
    """Let two polls of one session wait while it sends heartbeats and subscribes to its replies anew, and publish for
    the second and then for the first; expect each reply with the correlation-id of its poll, at the new subscription.
    """
    if not bench.declares("long-poll"):
        bench.skip("QSTOMP-REPLY-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    session = bench.stomp()
    first = session.subscribe(REPLIES)
    wait = min(bench.limit("wait_seconds") or LONGEST_WAIT, LONGEST_WAIT)
    polls: list[tuple[str, str]] = []

    def send(path: str, body: dict[str, object], correlation: str) -> None:
        session.send(path, encoded(body), correlation_id=correlation, content_type="application/json")

    for name in ("first", "second"):
        topic, _group, (consumer,) = queue.topic_with_consumers()
        queue.confirm_ownership(topic, consumer)
        polls.append((topic, name))
        send(POLL, {"consumer_name": consumer, "wait_seconds": wait}, name)
    for number in range(2):
        send(HEARTBEAT, {"consumer_name": consumer}, f"beat {number}")
        _expect_reply(bench, session, f"beat {number}")
        if number == 0:
            session.unsubscribe(first)
            session.subscribe(REPLIES)
    for topic, name in reversed(polls):
        queue.publish(topic, name)
        _expect_reply(bench, session, name)


def _expect_reply(bench: Bench, session: StompClient, correlation: str) -> None:
    """Judge QSTOMP-REPLY-1 by the next MESSAGE being the reply with this correlation-id."""
    reply = session.expect("MESSAGE")
    bench.judge(
        "QSTOMP-REPLY-1",
        reply.get("correlation-id") == correlation,
        expected=f"the reply to {correlation!r}, with its correlation-id",
        observed=reply,
    )
