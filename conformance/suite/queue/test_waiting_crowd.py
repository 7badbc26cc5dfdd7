"""Long polls among many others that wait, some of whose connections are gone: POLL-WAIT-1."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import NEGATIVE_ACKNOWLEDGE, QueueFixture
from conformance.suite.queue.generators import count_up_to
from conformance.suite.queue.ownership_probe import OwnershipProbe, own_every_partition
from conformance.suite.queue.rebalance_in_progress import few_partitions
from conformance.suite.queue.timeouts import timed, wait_past_deadline, wait_past_eviction
from conformance.suite.queue.waiting_poll import LONGEST_WAIT, WaitingPoll, polls_in_time, wait_and_leave

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Seconds that the polls of the crowd wait.
LONG = 20.0
#: Polls of one consumer that wait at the same time.
OF_ONE = 3


def _crowd(queue: QueueFixture, quick: int, standard: int, thorough: int) -> int:
    """Number of polls that may wait at once: two, or no more than an eighth of the connections of the server."""
    bench = queue.bench
    open_at_once = bench.limit("connections")
    count = count_up_to(bench, open_at_once and max(2, open_at_once // 8), quick, standard, thorough)
    return polls_in_time(bench, count, LONG)


def _expect_answers(waiting: list[WaitingPoll], queue: QueueFixture) -> list[str]:
    """Judge POLL-WAIT-1 by a record for each poll, long before its time is over; returns their texts.

    A server that has too many polls waiting may answer some at once, without a record; they are left out.
    """
    texts = []
    for each in waiting:
        each.expect_time_left()
    for each in waiting:
        reply, took = each.answer()
        if reply.status != 200 and took < min(0.9 * each.seconds, LONGEST_WAIT) and len(waiting) > OF_ONE:
            continue
        each.expect_no_early_end(reply, took)
        queue.bench.judge(
            "POLL-WAIT-1",
            reply.status == 200 and each.is_before_timeout(took),
            expected="200 with a record, before the time of the poll is over",
            observed=f"{reply} after {took:.3f} s, one of {len(waiting)} polls that waited",
        )
        if reply.status == 200:
            texts.append(queue.record_of(reply).message)
    return texts


@clauses("POLL-WAIT-1", "POLL-WAIT-6")
@pytest.mark.parametrize("place", ["first", "in the middle"])
def test_a_poll_that_is_gone_keeps_none_from_being_answered(bench: Bench, place: str) -> None:
    """Let many consumers of as many groups wait for a record, end the connection of one of them, and publish; expect
    the record at all others, and at that one by another poll.
    """
    queue = QueueFixture(bench)
    topic = queue.new_topic()
    count = _crowd(queue, 11, 41, 129)
    consumers = [queue.new_consumer(queue.new_group(), topic) for _ in range(count)]
    queue.publish(topic, "warm-up")
    for consumer in consumers:
        queue.read_and_acknowledge(consumer, 1)
    gone = 0 if place == "first" else count // 2
    waiting = []
    for number, consumer in enumerate(consumers):
        if number == gone:
            wait_and_leave(queue, consumer, "reset")
        else:
            waiting.append(WaitingPoll(queue, consumer, LONG, round_trips=0))
    queue.heartbeat(consumers[-1])
    queue.publish(topic, "awaited")
    texts = _expect_answers(waiting, queue)
    bench.judge("POLL-WAIT-1", set(texts) <= {"awaited"}, expected="`awaited` for each", observed=texts)


@clauses("POLL-WAIT-1")
def test_waiting_polls_of_one_consumer_get_a_record_each(bench: Bench) -> None:
    """Let several polls of one consumer wait, and publish as many records in different partitions; expect one of them
    for each poll.
    """
    queue = QueueFixture(bench)
    topic, _group, (consumer,) = queue.topic_with_consumers()
    count = min(OF_ONE, own_every_partition(queue, topic, consumer))
    waiting = [WaitingPoll(queue, consumer, LONG) for _ in range(count)]
    for number in range(count):
        queue.publish(topic, f"m{number}", key=None)
    texts = sorted(_expect_answers(waiting, queue))
    bench.judge(
        "POLL-WAIT-1",
        texts == [f"m{number}" for number in range(count)],
        expected=f"m0 to m{count - 1}, each at one of the polls",
        observed=texts,
    )


@clauses("POLL-WAIT-1")
def test_whatever_frees_a_record_wakes_its_poll_in_a_crowd(bench: Bench) -> None:
    """Let many polls wait in vain, one of them on a connection that is cut, and free a record by each means there is:
    publish, acknowledgement, negative acknowledgement, departure, take-back, eviction; expect it each time at the poll
    that waits for it, at once.
    """
    queue = QueueFixture(bench)
    idle = queue.new_topic()
    lonely = [queue.new_consumer(queue.new_group(), idle) for _ in range(_crowd(queue, 11, 41, 65))]
    began = time.monotonic()
    wait_and_leave(queue, lonely[0], "reset")
    queue.stop_heartbeats(*lonely)  # they live as long as their polls wait
    crowd = [WaitingPoll(queue, name, LONG, round_trips=0) for name in lonely[1:]]
    topic, group, (holder,) = queue.topic_with_consumers()
    for number in range(3):
        queue.publish(topic, f"m{number}")
    first = queue.poll_until_record(holder)
    waiting = WaitingPoll(queue, holder)
    queue.acknowledge(holder, first.message_id)
    waiting.expect_record("POLL-WAIT-1", "m1", acknowledge=holder)
    second = queue.poll_until_record(holder)
    if bench.declares("negative-acknowledgement"):
        waiting = WaitingPoll(queue, holder)
        queue.call(NEGATIVE_ACKNOWLEDGE, {"consumer_name": holder, "message_id": second.message_id})
        waiting.expect_record("POLL-WAIT-1", "m2")
    if bench.clock.is_virtual:
        _free_by_time(queue, topic, group, holder)
    if time.monotonic() - began < min(each.seconds for each in crowd) / 2:
        queue.publish(idle, "at last")
        texts = _expect_answers(crowd, queue)
        bench.judge("POLL-WAIT-1", set(texts) <= {"at last"}, expected="`at last` for each", observed=texts)


def _free_by_time(queue: QueueFixture, topic: str, group: str, holder: str) -> None:
    """Free `m2` by the departure of its holder, then by an eviction, and a record of a probe by a take-back."""
    heir = queue.new_consumer(group, topic)
    waiting = WaitingPoll(queue, heir)
    queue.unsubscribe(holder, topic)
    _settle(queue)
    waiting.expect_record("POLL-WAIT-1", "m2")
    queue.subscribe(holder, topic)
    waiting = WaitingPoll(queue, holder)
    sign = timed(queue, group, lambda: queue.heartbeat(heir))
    wait_past_eviction(queue, group, sign, heir)
    _settle(queue, heir)
    # The record may have been taken back before the eviction, at the end of the rebalance.
    waiting.expect_record("POLL-WAIT-1", "m2", acknowledge=holder)
    probe, other_group = OwnershipProbe(queue, few_partitions(queue.bench)), queue.new_group()
    if probe.partitions < 2:
        return
    owner = queue.new_consumer(other_group, probe.topic)
    probe.settled_owners([owner])
    probe.publish_round()
    queue.poll_all(owner)
    newcomer = queue.new_consumer(other_group, probe.topic)
    waiting = WaitingPoll(queue, newcomer)
    deadline = queue.now(other_group) + queue.timings.rebalance_timeout
    wait_past_deadline(queue, other_group, deadline)
    _settle(queue)
    reply, took = waiting.answer()
    queue.bench.judge(
        "POLL-WAIT-1",
        reply.status == 200 and waiting.is_before_timeout(took),
        expected="200 with a record that was taken back, before the poll's time is over",
        observed=f"{reply} after {took:.3f} s",
    )


def _settle(queue: QueueFixture, *silent: str) -> None:
    """Let the virtual time pass in which a partition may still be on its way."""
    for _ in queue.retry_until_rebalanced(*silent):
        pass
