"""Polls that wait beside other topics, polls and operations of their session: POLL-WAIT-1, QSTOMP-REPLY-1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import POLL, QueueFixture
from conformance.suite.queue.queue_client import HEARTBEAT
from conformance.suite.queue.waiting_poll import LONGEST_WAIT, WaitingPoll
from conformance.wire.operations import REPLIES, encoded

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

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


@clauses("QSTOMP-REPLY-1")
def test_a_late_reply_has_the_correlation_of_its_operation(bench: Bench) -> None:
    """Let two polls of one session wait while it sends heartbeats, and publish for the second and then for the first;
    expect each reply with the correlation-id of its poll.
    """
    if not bench.declares("long-poll"):
        bench.skip("QSTOMP-REPLY-1", "no poll waits (extension long-poll)")
        return
    queue = QueueFixture(bench)
    session = bench.stomp()
    session.subscribe(REPLIES)
    wait = min(bench.limit("wait_seconds") or LONGEST_WAIT, LONGEST_WAIT)
    polls: list[tuple[str, str]] = []

    def send(path: str, body: dict[str, object], correlation: str) -> None:
        session.send(path, encoded(body), correlation_id=correlation, content_type="application/json")

    for name in ("first", "second"):
        topic, _group, (consumer,) = queue.topic_with_consumers()
        queue.confirm_ownership(topic, consumer)
        polls.append((topic, name))
        send(POLL, {"consumer_name": consumer, "wait_seconds": wait}, name)
    send(HEARTBEAT, {"consumer_name": consumer}, "beat")
    for topic, name in (("", "beat"), *reversed(polls)):
        if topic:
            queue.publish(topic, name)
        reply = session.expect("MESSAGE")
        bench.judge(
            "QSTOMP-REPLY-1",
            reply.get("correlation-id") == name,
            expected=f"the reply to {name!r}, with its correlation-id",
            observed=reply,
        )
