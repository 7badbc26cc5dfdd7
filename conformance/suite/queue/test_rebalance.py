"""Rebalances: REBALANCE-*."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import (
    ACKNOWLEDGE,
    NEGATIVE_ACKNOWLEDGE,
    SUBSCRIBE,
    UNREGISTER,
    QueueFixture,
)
from conformance.suite.queue.ownership_probe import OwnershipProbe
from conformance.suite.queue.queue_client import MARGIN
from conformance.suite.queue.rebalance_in_progress import begin_rebalance
from conformance.suite.queue.timeouts import (
    BELOW_TIMEOUT,
    ROUND_TRIPS,
    eviction_seconds,
    rebalance_seconds,
    timed,
    wait_past_deadline,
    wait_past_eviction,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.bench.bench import Bench


@clauses("REBALANCE-2", "LIVE-BEAT-1")
def test_a_record_in_flight_keeps_its_partition_from_moving(bench: Bench) -> None:
    """Let a member join while the owner holds a record of each partition; expect no record for it until the owner has
    acknowledged, also when operations of the owner are refused and others change nothing, and then only later ones.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-2", "LIVE-BEAT-1")) is None:
        return
    queue = rebalance.queue
    queue.expect_no_record(rebalance.newcomer, "REBALANCE-2", "no record: one of each partition is in flight")
    queue.expect_no_record(rebalance.owner, "ORDER-2", "no record: one of each partition is in flight")
    for path, member in (
        (ACKNOWLEDGE, {"message_id": 2**63 - 1}),
        (SUBSCRIBE, {"topic_list": bench.fresh("t")}),
    ):
        refusal = queue.call(path, {"consumer_name": rebalance.owner, **member})
        expect_refusal(bench, refusal, "REFUSE-1", "there is no such record, and no such topic")
    rebalance.change_nothing()
    why = "no record: neither what the owner was refused nor a look at the group has settled anything"
    queue.expect_no_record(rebalance.newcomer, "REBALANCE-2", why)
    for record in rebalance.held.values():
        queue.acknowledge(rebalance.owner, record.message_id)
    came = queue.poll_all(rebalance.newcomer)
    for _ in queue.retry_until_rebalanced():
        if came:
            break
        came = queue.poll_all(rebalance.newcomer)
    later = [record for _, record in came]
    again = {record.message for record in rebalance.held.values()}
    bench.judge(
        "REBALANCE-2",
        bool(later) and not again & {record.message for record in later},
        expected="records that come after the acknowledged ones",
        observed=[record.whole for record in later],
    )


@clauses("REBALANCE-3", "REBALANCE-4")
def test_the_owner_reads_on_only_in_partitions_that_stay(bench: Bench) -> None:
    """Acknowledge every record that the owner holds while another member joins; expect the next records of the
    partitions that stay at once, and none of those that move.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-3", "REBALANCE-4")) is None:
        return
    came = rebalance.acknowledge_all()
    if rebalance.is_over():
        bench.skip("REBALANCE-3", "the rebalance ran into its timeout before the owner had acknowledged")
        bench.skip("REBALANCE-4", "the rebalance ran into its timeout before the owner had acknowledged")
        return
    stayed = sum(record is not None for record in came.values())
    # The last acknowledgement ends the rebalance, so the poll behind it shows nothing about the time before.
    meanwhile = sum(record is not None for record in list(came.values())[:-1])
    partitions = rebalance.probe.partitions
    seen = f"{stayed} of {partitions} partitions go on for their old owner"
    bench.judge(
        "REBALANCE-3",
        stayed <= partitions - rebalance.half,
        expected=f"nothing more of the {rebalance.half} partitions that have to move",
        observed=seen,
    )
    bench.judge(
        "REBALANCE-4",
        stayed >= rebalance.half and meanwhile >= rebalance.half - 1,
        expected=f"the next records of the {rebalance.half} partitions that stay, each when it is acknowledged",
        observed=f"{seen}, {meanwhile} of them before the last acknowledgement",
    )


@clauses("REBALANCE-3")
def test_what_the_owner_gives_back_moves(bench: Bench) -> None:
    """Give back every record that the owner holds while another member joins, and poll with the owner; expect records
    of the partitions that stay, and none of those that move.
    """
    if not bench.declares("negative-acknowledgement"):
        bench.skip("REBALANCE-3", "no record is given back (extension negative-acknowledgement)")
        return
    if (rebalance := begin_rebalance(bench, "REBALANCE-3")) is None:
        return
    queue = rebalance.queue
    for record in rebalance.held.values():
        reply = queue.call(
            NEGATIVE_ACKNOWLEDGE, {"consumer_name": rebalance.owner, "message_id": record.message_id}
        )
        expect_status(bench, reply, 202, "NACK-OK-1", "the owner holds the record")
    came = queue.poll_all(rebalance.owner)
    if rebalance.is_over():
        bench.skip("REBALANCE-3", "the rebalance ran into its timeout before the owner had given back all")
        return
    partitions = rebalance.probe.partitions
    bench.judge(
        "REBALANCE-3",
        len(came) <= partitions - rebalance.half,
        expected=f"nothing more of the {rebalance.half} of {partitions} partitions that have to move",
        observed=[record.whole for _, record in came],
    )


@clauses("REBALANCE-1")
def test_partitions_that_move_deliver_to_the_newcomer(bench: Bench) -> None:
    """Acknowledge every record that the owner holds while another member joins, and poll with both; expect the next
    record of each partition from one of them, and those of half of the partitions at least from the newcomer.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-1")) is None:
        return
    queue, probe = rebalance.queue, rebalance.probe
    came = rebalance.acknowledge_all()
    # The record of a poll need not be of the partition that was acknowledged before it.
    missing = set(came) - {probe.partition_of(record) for record in came.values() if record is not None}
    found: dict[str, set[int]] = {rebalance.owner: set(), rebalance.newcomer: set()}
    for _ in queue.retry_until_rebalanced():
        # A server may pause partitions that stay with their owner (REBALANCE-4 alone forbids it), so both poll.
        for consumer, record in queue.poll_all(*found):
            found[consumer].add(probe.partition_of(record))
        if set().union(*found.values()) >= missing and len(found[rebalance.newcomer]) >= rebalance.half:
            break
    bench.judge(
        "REBALANCE-1",
        set().union(*found.values()) >= missing and len(found[rebalance.newcomer]) >= rebalance.half,
        expected=f"records of the partitions {sorted(missing)}, of {rebalance.half} at least for the newcomer",
        observed=f"{sorted(found[rebalance.newcomer])} to the newcomer, {sorted(found[rebalance.owner])} to the owner",
    )


def _unsubscribe(queue: QueueFixture, topic: str, consumer: str) -> None:
    queue.unsubscribe(consumer, topic)


def _unregister(queue: QueueFixture, topic: str, consumer: str) -> None:
    del topic
    reply = queue.call(UNREGISTER, {"consumer_name": consumer})
    expect_status(queue.bench, reply, 202, "MEMBER-UNREGISTER-1", "the consumer is registered")


@clauses("REBALANCE-1")
@pytest.mark.parametrize("leave", [_unsubscribe, _unregister], ids=["unsubscribed", "unregistered"])
def test_remaining_members_take_over_from_leaving_ones(
    bench: Bench, leave: Callable[[QueueFixture, str, str], None]
) -> None:
    """Let members leave one after another, and one join at the end; expect each partition to have one owner and even
    shares after each step.
    """
    if leave is _unregister and not bench.declares("unregister"):
        bench.skip("REBALANCE-1", "no consumer can unregister (extension unregister)")
        return
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue), queue.new_group()
    names = [queue.new_consumer(group, probe.topic) for _ in range(3)]
    probe.settled_owners(names)
    while len(names) > 1:
        leave(queue, probe.topic, names.pop(0))
        probe.settled_owners(names)
    names.append(queue.new_consumer(group, probe.topic))
    probe.settled_owners(names)


@clauses("REBALANCE-1")
@waits(eviction_seconds)
def test_remaining_members_take_over_from_an_evicted_one(bench: Bench) -> None:
    """Let one of three members be evicted; expect the two others to own its partitions."""
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue), queue.new_group()
    names = [queue.new_consumer(group, probe.topic) for _ in range(3)]
    probe.settled_owners(names)
    silent = names.pop(0)
    sign = timed(queue, group, lambda: queue.heartbeat(silent))
    queue.members[group].remove(silent)
    wait_past_eviction(queue, group, sign)
    probe.settled_owners(names)


@clauses("REBALANCE-2")
@waits(rebalance_seconds)
def test_a_held_record_is_not_taken_back_before_the_rebalance_timeout(bench: Bench) -> None:
    """Poll with the newcomer just below the rebalance timeout, and acknowledge with the owner; expect no record, and
    202. On a virtual clock the owner has held the records for a while when the newcomer comes.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-2", subscribe=False)) is None:
        return
    queue = rebalance.queue
    timeout, margin = queue.timings.rebalance_timeout, MARGIN
    if bench.clock.is_virtual:
        queue.wait_until(rebalance.group, queue.now(rebalance.group) + timeout / 2)
    rebalance.begin()
    if not bench.clock.is_virtual:
        margin = min(
            timeout / 2, BELOW_TIMEOUT + 2 * bench.scheduling_delay() + ROUND_TRIPS * bench.target.round_trip
        )
    rebalance.change_nothing()
    queue.wait_until(rebalance.group, rebalance.started[0] + timeout - margin)
    early = queue.poll(rebalance.newcomer)
    record = next(iter(rebalance.held.values()))
    body = {"consumer_name": rebalance.owner, "message_id": record.message_id}
    reply = queue.call(ACKNOWLEDGE, body)
    if rebalance.is_over():
        bench.skip("REBALANCE-2", "this machine was too slow to look just below the timeout")
        return
    bench.judge(
        "REBALANCE-2",
        early.status != 200,
        expected="no record: one of each partition is in flight",
        observed=early,
    )
    expect_status(bench, reply, 202, "REBALANCE-2", "the owner still holds the record")


@clauses("REBALANCE-5")
@waits(rebalance_seconds)
def test_a_held_record_is_taken_back_after_the_rebalance_timeout(bench: Bench) -> None:
    """Hold records beyond the rebalance timeout, in the middle of which the members subscribe once more and the group
    is added again; expect those of partitions that move at the newcomer, and a refusal (4xx) of the former holder's
    acknowledgements. The former holder stays a member.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-5")) is None:
        return
    queue, probe = rebalance.queue, rebalance.probe
    deadline = rebalance.started[1] + queue.timings.rebalance_timeout
    queue.wait_until(rebalance.group, deadline - queue.timings.rebalance_timeout / 2)
    rebalance.change_nothing()
    wait_past_deadline(queue, rebalance.group, deadline)
    taken = {probe.partition_of(record): record for _, record in queue.poll_all(rebalance.newcomer)}
    bench.judge(
        "REBALANCE-5",
        len(taken) >= rebalance.half,
        expected=f"the records of {rebalance.half} partitions that have to move, at least",
        observed=[record.whole for record in taken.values()],
    )
    for partition, record in taken.items():
        before = rebalance.held[partition]
        bench.judge(
            "REBALANCE-5",
            record.message == before.message,
            expected=f"the record {before.message} that was not acknowledged",
            observed=record.whole,
        )
        late = queue.call(ACKNOWLEDGE, {"consumer_name": rebalance.owner, "message_id": before.message_id})
        expect_refusal(bench, late, "REBALANCE-5", "the record was taken back")
    queue.expect_no_record(
        rebalance.newcomer, "REBALANCE-5", "no record: the late acknowledgements committed nothing"
    )
    beat = queue.heartbeat(rebalance.owner)
    expect_status(bench, beat, 202, "REBALANCE-5", "the former owner stays a member")
    for record in taken.values():
        mine = queue.call(ACKNOWLEDGE, {"consumer_name": rebalance.newcomer, "message_id": record.message_id})
        expect_status(bench, mine, 202, "REBALANCE-5", "the newcomer holds the record")
