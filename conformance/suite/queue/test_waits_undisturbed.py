"""Waits that other things happen beside: these neither end a poll early nor make it last longer. POLL-WAIT-2."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.onlookers import look_around
from conformance.suite.queue.waiting_poll import WaitingPoll

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.targets.target import Target

#: Seconds that a poll waits beside publishes that bring it nothing, and seconds between two of them.
IN_VAIN = 2.0
PAUSE = 0.1
#: Seconds of a wait that a record answers at once, and after which its timer must be gone.
ANSWERED = 0.6


@clauses("POLL-WAIT-2")
def test_what_happens_beside_a_wait_does_not_end_it(bench: Bench) -> None:
    """Let a poll wait while its consumer sends heartbeats, polls and subscribes again, gives up another topic, others
    look on, join and leave, and the clock of its group moves; expect the next record at the poll.
    """
    queue = QueueFixture(bench)
    topic, other, group = queue.new_topic(), queue.new_topic(), queue.new_group()
    consumer = queue.new_consumer(group, topic, other)
    for each in (topic, other):
        queue.confirm_ownership(each, consumer)
    waiting = WaitingPoll(queue, consumer)
    queue.heartbeat(consumer)
    queue.poll(consumer)
    queue.subscribe(consumer, topic)
    if bench.declares("introspection"):
        look_around(queue, topic, group, consumer)
    if bench.clock.is_virtual:
        # On a real clock a rebalance might outlast the poll.
        bystander = queue.new_consumer(group, other)
        queue.unsubscribe(consumer, other)
        queue.unsubscribe(bystander, other)
        for _ in queue.retry_until_rebalanced():
            pass
    queue.publish(topic, "awaited")
    waiting.expect_record("POLL-WAIT-1", "awaited")


@clauses("POLL-WAIT-2")
@waits(lambda _target: IN_VAIN, clock="wall")
def test_a_wait_ends_in_time_though_records_come_that_it_cannot_have(bench: Bench) -> None:
    """Hold a record, let a poll wait, and publish behind that record again and again; expect the poll to end as an
    empty one when its time is over.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.publish(topic, "held")
    queue.poll_until_record(consumer)
    waiting = WaitingPoll(queue, consumer, IN_VAIN)
    deadline = time.monotonic() + waiting.seconds + bench.patience
    while not waiting.has_come(PAUSE) and time.monotonic() < deadline:
        queue.publish(topic, "behind it")
    came = waiting.has_come(0)
    bench.judge(
        "POLL-WAIT-2",
        came,
        expected=f"an empty reply when the {waiting.seconds:g} s are over",
        observed="a reply" if came else f"none within {waiting.seconds + bench.patience:g} s",
    )
    reply, took = waiting.answer()
    waiting.expect_no_early_end(reply, took)


def _two_waits(_target: Target) -> float:
    return 3 * ANSWERED


@clauses("POLL-WAIT-2")
@waits(_two_waits, clock="wall")
def test_the_time_of_an_answered_wait_ends_no_other(bench: Bench) -> None:
    """Let a poll wait and answer it by a record at once, let another one wait past the time of the first, and publish;
    expect the record at the second.
    """
    longest = bench.limit("wait_seconds")
    if longest is not None and longest < 3 * ANSWERED:
        bench.skip(
            "POLL-WAIT-2", f"polls wait for {longest:g} s at most, which is too short to tell two apart"
        )
        return
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    queue.confirm_ownership(topic, consumer)
    first = WaitingPoll(queue, consumer, ANSWERED, round_trips=1)
    queue.publish(topic, "first")
    reply, _took = first.answer()
    if reply.status != 200:  # on a slow machine the time is over first
        return
    queue.acknowledge(consumer, queue.record_of(reply).message_id)
    second = WaitingPoll(queue, consumer, round_trips=1)
    if not second.has_come(1.5 * ANSWERED):
        queue.publish(topic, "second")
    second.expect_record("POLL-WAIT-1", "second")
