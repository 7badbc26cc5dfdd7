"""Long polls answered because a partition comes free: by an eviction, or by the end of a rebalance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.bench.marks import clauses
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.ownership_probe import OwnershipProbe
from conformance.suite.queue.rebalance_in_progress import begin_rebalance, few_partitions
from conformance.suite.queue.timeouts import timed, wait_past_deadline, wait_past_eviction
from conformance.suite.queue.waiting_poll import LONGEST_WAIT, WaitingPoll

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

_REAL_TIME = "without a virtual clock the poll's time would be over before"


def _let_rebalance_settle(queue: QueueFixture, *silent: str) -> None:
    """Let the virtual time pass in which a partition may still be on its way; the poll's real time hardly passes."""
    for _ in queue.retry_until_rebalanced(*silent):
        pass


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_answered_when_the_holder_is_evicted(bench: Bench) -> None:
    """Send a long poll while another member holds the record, and let that member fall silent until it is evicted;
    expect its record, long before the poll's time is over.
    """
    if not bench.clock.is_virtual:
        bench.skip("POLL-WAIT-1", _REAL_TIME)
        return
    queue = QueueFixture(bench)
    topic, group, (holder,) = queue.topic_with_consumers()
    queue.publish(topic, "held")
    queue.poll_until_record(holder)
    waiter = queue.new_consumer(group, topic)
    sign = timed(queue, group, lambda: queue.heartbeat(holder))
    queue.stop_heartbeats(holder)
    waiting = WaitingPoll(queue, waiter)
    wait_past_eviction(queue, group, sign, holder)
    _let_rebalance_settle(queue, holder)
    waiting.expect_record("POLL-WAIT-1", "held")


@clauses("POLL-WAIT-1")
def test_a_long_poll_is_answered_when_a_rebalance_takes_a_record_back(bench: Bench) -> None:
    """Send a long poll of a newcomer while the owner holds a record of each partition, and let the rebalance timeout
    pass; expect the record of a partition that moves, long before the poll's time is over.
    """
    if not bench.clock.is_virtual:
        bench.skip("POLL-WAIT-1", _REAL_TIME)
        return
    if (rebalance := begin_rebalance(bench, "POLL-WAIT-1")) is None:
        return
    queue = rebalance.queue
    waiting = WaitingPoll(queue, rebalance.newcomer)
    wait_past_deadline(queue, rebalance.group, rebalance.started[1] + queue.timings.rebalance_timeout)
    _let_rebalance_settle(queue)
    reply, took = waiting.answer()
    bench.judge(
        "POLL-WAIT-1",
        reply.status == 200 and waiting.is_before_timeout(took),
        expected="200 with a record that was taken back, before the poll's time is over",
        observed=f"{reply} after {took:.3f} s",
    )


@clauses("POLL-WAIT-1")
def test_every_waiting_member_is_answered_when_the_holder_leaves(bench: Bench) -> None:
    """Send long polls of two members while a third holds a record of each partition, and let that one leave; expect a
    record at both, long before the time of the polls is over.
    """
    if not bench.clock.is_virtual:
        bench.skip("POLL-WAIT-1", _REAL_TIME)
        return
    if (rebalance := begin_rebalance(bench, "POLL-WAIT-1")) is None:
        return
    queue, group, owner = rebalance.queue, rebalance.group, rebalance.owner
    third = queue.new_consumer(group, rebalance.probe.topic)
    polls = [WaitingPoll(queue, name) for name in (rebalance.newcomer, third)]
    if bench.declares("unregister"):
        queue.client.unregister(owner)
        queue.members[group].remove(owner)
    else:
        queue.unsubscribe(owner, rebalance.probe.topic)
    _let_rebalance_settle(queue)
    for waiting in polls:
        reply, took = waiting.answer()
        bench.judge(
            "POLL-WAIT-1",
            reply.status == 200 and waiting.is_before_timeout(took),
            expected="200 with a record that is free, before the poll's time is over",
            observed=f"{reply} after {took:.3f} s",
        )


@clauses("POLL-WAIT-1")
def test_a_record_wakes_the_member_that_owns_its_partition(bench: Bench) -> None:
    """Let all members of a group wait, the owner of the next partition last, and publish one record to it; expect the
    record at the owner at once. Repeat for each partition.
    """
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue, few_partitions(bench)), queue.new_group()
    if probe.partitions < 2:
        bench.skip("POLL-WAIT-1", "a topic has one partition here, so one member owns everything")
        return
    members = [queue.new_consumer(group, probe.topic) for _ in range(2)]
    owners = probe.settled_owners(members)
    waiting: dict[str, WaitingPoll] = {}
    for partition in range(probe.partitions):
        owner = owners[partition]
        for name in (*(each for each in members if each != owner), owner):
            if name not in waiting or not waiting[name].is_under_way():
                waiting[name] = WaitingPoll(queue, name)
        probe.publish_next()
        reply, took = waiting[owner].answer()
        waiting.pop(owner).expect_no_early_end(reply, took)
        bench.judge(
            "POLL-WAIT-1",
            reply.status == 200 and took < LONGEST_WAIT / 2,
            expected=f"200 at {owner}, which owns the partition, while another member waits too",
            observed=f"{reply} after {took:.3f} s",
        )
        queue.acknowledge(owner, queue.record_of(reply).message_id)
