"""Timers that fire at one instant: several evictions, and an eviction at the end of a rebalance."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.ownership_probe import OwnershipProbe
from conformance.suite.queue.queue_client import MARGIN
from conformance.suite.queue.rebalance_in_progress import begin_rebalance, few_partitions
from conformance.suite.queue.timeouts import eviction_seconds, timed, wait_past_eviction

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

_SILENT = "the consumer was silent for longer than timeout and grace"


@clauses("LIVE-EVICT-1", "DELIVER-2", "REBALANCE-1")
@waits(eviction_seconds)
@pytest.mark.parametrize("count", [2, 3])
def test_members_that_expire_at_one_instant_leave_everything(bench: Bench, count: int) -> None:
    """Let several members that hold records expire at one instant; expect refusals (4xx) of their heartbeats, their
    records at the one that stays, and all partitions with it.
    """
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue, few_partitions(bench)), queue.new_group()
    survivor, *silent = (queue.new_consumer(group, probe.topic) for _ in range(count + 1))
    probe.settled_owners([survivor, *silent])
    probe.publish_round()
    held = queue.poll_all(survivor, *silent)
    for name, record in held:
        if name == survivor:
            queue.acknowledge(survivor, record.message_id)
    queue.stop_heartbeats(*silent)
    signs = [timed(queue, group, functools.partial(queue.heartbeat, name)) for name in silent]
    wait_past_eviction(queue, group, signs[-1], *silent)
    for name in silent:
        expect_refusal(bench, queue.heartbeat(name), "LIVE-EVICT-1", _SILENT)
    expected = sorted(record.message for name, record in held if name != survivor)
    came: list[str] = []
    for _ in queue.retry_until_rebalanced(*silent):
        for name, record in queue.poll_all(survivor):
            came.append(record.message)
            queue.acknowledge(name, record.message_id)
        if set(expected) <= set(came):
            break
    bench.judge(
        "DELIVER-2",
        sorted(message for message in came if message in expected) == expected,
        expected=f"what {count} evicted members held, once each: {expected}",
        observed=came,
    )
    probe.settled_owners([survivor])


@clauses("REBALANCE-1", "LIVE-EVICT-1")
@pytest.mark.parametrize("silent", ["owner", "newcomer"])
def test_an_eviction_at_the_end_of_a_rebalance(bench: Bench, silent: str) -> None:
    """Let the owner of records that are to move, or the member that is to get them, expire at the instant at which the
    rebalance ends; expect a refusal (4xx) of its heartbeat, and each partition to deliver to the other one.
    """
    timings = bench.target.timings
    early = timings.heartbeat_timeout - timings.rebalance_timeout
    why = ""
    if not bench.clock.is_virtual:
        why = "without a virtual clock two timers never end at one instant"
    elif silent == "newcomer" and early > 0:
        why = "a rebalance is over here before a newcomer can expire"
    for clause in ("REBALANCE-1", "LIVE-EVICT-1") if why else ():
        bench.skip(clause, why)
    if why or (rebalance := begin_rebalance(bench, "REBALANCE-1", "LIVE-EVICT-1", subscribe=False)) is None:
        return
    queue, group = rebalance.queue, rebalance.group
    evicted, other = rebalance.owner, rebalance.newcomer
    if silent == "newcomer":
        evicted, other = other, evicted
    if early > 0:  # the silence begins first, and the rebalance later
        queue.heartbeat(evicted)
        queue.wait_until(group, queue.now(group) + early, evicted)
    queue.subscribe(rebalance.newcomer, rebalance.probe.topic)
    if early < 0:
        queue.wait_until(group, queue.now(group) - early)
    if early <= 0:
        queue.heartbeat(evicted)
    instant = queue.now(group) + timings.rebalance_timeout + min(early, 0)
    queue.wait_until(group, instant - MARGIN, evicted)
    queue.wait_until(group, instant + timings.eviction_grace + MARGIN, evicted)
    expect_refusal(bench, queue.heartbeat(evicted), "LIVE-EVICT-1", _SILENT)
    if other == rebalance.owner:
        rebalance.release()
    rebalance.expect_all(other)
