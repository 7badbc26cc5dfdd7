"""Rebalances that something interrupts: the newcomer leaves, a third member comes, the holder falls silent."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses, waits
from conformance.suite.queue.expectations import expect_refusal, expect_status
from conformance.suite.queue.fixture import SUBSCRIBE, UNSUBSCRIBE, QueueFixture
from conformance.suite.queue.ownership_probe import is_fair, own_every_partition, partition_count
from conformance.suite.queue.rebalance_in_progress import begin_rebalance
from conformance.suite.queue.timeouts import (
    eviction_seconds,
    rebalance_seconds,
    timed,
    wait_past_deadline,
    wait_past_eviction,
)
from conformance.suite.queue.waiting_poll import WaitingPoll

if TYPE_CHECKING:
    from conformance.bench.bench import Bench
    from conformance.suite.queue.rebalance_in_progress import RebalanceInProgress
    from conformance.wire.operations import Reply


def _reply_while_waiting(
    rebalance: RebalanceInProgress, path: str, body: dict[str, str]
) -> tuple[Reply, bool]:
    """Reply to an operation while a rebalance waits for the owner, who stays alive, and True if it came meanwhile.

    If it does not come within half of the rebalance timeout, the owner lets go of its records, and it has to come then.
    """
    queue, bench = rebalance.queue, rebalance.queue.bench
    within = queue.timings.rebalance_timeout / 2 + bench.scheduling_delay()
    deadline = time.monotonic() + within
    pending = queue.client.start(path, body)
    while not (came := pending.has_come(min(queue.timings.heartbeat_timeout / 4, within))):
        if time.monotonic() >= deadline:
            rebalance.release()
            break
        queue.keep_alive()
    return pending.reply(bench.patience + queue.timings.rebalance_timeout), came


def _expect_answers(rebalance: RebalanceInProgress, *, is_last: bool) -> bool:
    """Judge the statuses of two subscriptions and an unsubscription, and their coming while the rebalance waits.

    Returns True if they come; False, without a judgement, if they don't and this is not the last try.
    """
    queue, bench = rebalance.queue, rebalance.queue.bench
    third = queue.new_consumer(rebalance.group)
    for name, path, status, clause in (
        (rebalance.newcomer, SUBSCRIBE, 200, "MEMBER-SUBSCRIBE-1"),
        (third, SUBSCRIBE, 200, "MEMBER-SUBSCRIBE-1"),
        (third, UNSUBSCRIBE, 202, "MEMBER-UNSUBSCRIBE-1"),
    ):
        body = {"consumer_name": name, "topic_list": rebalance.probe.topic}
        reply, came = _reply_while_waiting(rebalance, path, body)
        expect_status(bench, reply, status, clause, "the consumer and the topic exist")
        if not came and not is_last:
            return False
        bench.judge(
            clause,
            came,
            expected="an answer while another consumer holds a record of a partition that is to move",
            observed=f"{reply}, but only after that consumer had let go of its records, twice",
        )
    return True


@clauses("MEMBER-SUBSCRIBE-1", "MEMBER-UNSUBSCRIBE-1")
def test_members_come_and_go_while_a_rebalance_waits(bench: Bench) -> None:
    """Subscribe two members and unsubscribe one while another holds a record of each partition; expect 200, 200 and 202
    before that one acknowledges, in one of two tries: a slow machine is not a server that makes members wait.
    """
    for is_last in (False, True):
        rebalance = begin_rebalance(bench, "MEMBER-SUBSCRIBE-1", "MEMBER-UNSUBSCRIBE-1", subscribe=False)
        if rebalance is None or _expect_answers(rebalance, is_last=is_last):
            return


@clauses("REBALANCE-1")
@pytest.mark.parametrize("before", ["before", "after"])
def test_a_newcomer_that_leaves_early_takes_nothing_along(bench: Bench, before: str) -> None:
    """Unsubscribe the newcomer before, or between, the owner's acknowledgements; expect each partition to deliver to
    the owner again.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-1")) is None:
        return
    queue = rebalance.queue
    records = list(rebalance.held.values())
    if before == "after":
        queue.acknowledge(rebalance.owner, records.pop(0).message_id)
    queue.unsubscribe(rebalance.newcomer, rebalance.probe.topic)
    for record in records:
        queue.acknowledge(rebalance.owner, record.message_id)
    rebalance.expect_all(rebalance.owner)


@clauses("DELIVER-3")
@waits(rebalance_seconds)
def test_a_rebalance_that_is_called_off_takes_nothing_back(bench: Bench) -> None:
    """Unsubscribe the newcomer, and let the time pass at which the rebalance would have ended; expect no record for the
    owner, which holds one of each partition, and 202 for its acknowledgements.
    """
    if (rebalance := begin_rebalance(bench, "DELIVER-3")) is None:
        return
    queue = rebalance.queue
    queue.unsubscribe(rebalance.newcomer, rebalance.probe.topic)
    wait_past_deadline(queue, rebalance.group, queue.now(rebalance.group) + queue.timings.rebalance_timeout)
    queue.expect_no_record(rebalance.owner, "DELIVER-3", "no record: one of each partition is in flight")
    for record in rebalance.held.values():
        queue.acknowledge(rebalance.owner, record.message_id)


@clauses("REBALANCE-1")
def test_another_topic_that_is_joined_meanwhile_has_its_owner(bench: Bench) -> None:
    """Subscribe the newcomer to a second topic while it waits for partitions of the first; expect a record of each
    partition of the second one.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-1")) is None:
        return
    queue = rebalance.queue
    second = queue.new_topic()
    queue.subscribe(rebalance.newcomer, second)
    partitions = partition_count(queue, second)
    for number in range(partitions):
        queue.publish(second, f"m{number}", key=None)
    came: set[str] = set()
    for _ in queue.retry_until_rebalanced():
        for _name, record in queue.poll_all(rebalance.newcomer):
            came |= {record.message} if record.topic == second else set()
        if len(came) == partitions:
            break
    bench.judge(
        "REBALANCE-1",
        len(came) == partitions,
        expected=f"a record of each of {partitions} partitions for the only subscriber of the topic",
        observed=sorted(came),
    )


@clauses("REBALANCE-4")
def test_another_topic_of_the_owner_goes_on_meanwhile(bench: Bench) -> None:
    """Publish to a second topic of the owner while the newcomer waits for partitions of the first; expect a record of
    each partition of the second one at once.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-4", subscribe=False)) is None:
        return
    queue = rebalance.queue
    second = queue.new_topic()
    queue.subscribe(rebalance.owner, second)
    partitions = own_every_partition(queue, second, rebalance.owner)
    rebalance.begin()
    for number in range(partitions):
        queue.publish(second, f"m{number}", key=None)
    came = [record.message for _, record in queue.poll_all(rebalance.owner)]
    if rebalance.is_over():
        bench.skip("REBALANCE-4", "the rebalance ran into its timeout before the owner had polled")
        return
    bench.judge(
        "REBALANCE-4",
        len(came) == partitions,
        expected=f"a record of each of {partitions} partitions, which stay with their only subscriber",
        observed=came,
    )


@clauses("REBALANCE-1")
def test_a_third_member_that_comes_meanwhile_gets_its_share(bench: Bench) -> None:
    """Subscribe a third member while a rebalance waits for the owner, then let the owner acknowledge; expect each
    partition to have one owner, and even shares.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-1")) is None:
        return
    third = rebalance.queue.new_consumer(rebalance.group, rebalance.probe.topic)
    for record in rebalance.held.values():
        rebalance.queue.acknowledge(rebalance.owner, record.message_id)
    members = [rebalance.owner, rebalance.newcomer, third]
    _read_rest(rebalance, members)
    rebalance.probe.settled_owners(members)


@clauses("REBALANCE-4")
def test_a_member_that_leaves_and_comes_back_stops_nobody(bench: Bench) -> None:
    """Let one of two members leave, and register and subscribe it again once the other owns everything; expect records
    of the partitions that stay with that one at once.
    """
    if (rebalance := begin_rebalance(bench, "REBALANCE-4")) is None:
        return
    queue, probe, (owner, other) = rebalance.queue, rebalance.probe, (rebalance.owner, rebalance.newcomer)
    rebalance.release()
    _read_rest(rebalance, [owner, other])
    probe.settled_owners([owner, other])
    if bench.declares("unregister"):
        queue.client.unregister(other)
    else:
        queue.unsubscribe(other, probe.topic)
    probe.settled_owners([owner])
    began = queue.now(rebalance.group)
    if bench.declares("unregister"):
        again = queue.client.register(rebalance.group, other)
        expect_status(bench, again, 200, "MEMBER-REGISTER-1", "the consumer has left, and its name is free")
    queue.subscribe(other, probe.topic)
    probe.publish_round()
    came = queue.poll_all(owner)
    if queue.now(rebalance.group) - began >= queue.timings.rebalance_timeout:
        bench.skip("REBALANCE-4", "the rebalance ran into its timeout before the owner had polled")
        return
    bench.judge(
        "REBALANCE-4",
        len(came) >= rebalance.half,
        expected=f"records of {rebalance.half} of {probe.partitions} partitions at least, which stay",
        observed=[record.whole for _, record in came],
    )


@clauses("REBALANCE-1")
def test_a_member_whose_poll_waits_gives_up_its_share(bench: Bench) -> None:
    """Subscribe a second member while a poll of the first waits, and let the time of a rebalance pass; expect the
    description of the group to show even shares, though the poll waits on.
    """
    needed = ("introspection", "long-poll")
    if not bench.clock.is_virtual or not all(map(bench.declares, needed)):
        bench.skip(
            "REBALANCE-1", f"it shows by the extensions {' and '.join(needed)}, and on a virtual clock"
        )
        return
    queue = QueueFixture(bench)
    topic, group, (owner,) = queue.topic_with_consumers()
    own_every_partition(queue, topic, owner)
    waiting = WaitingPoll(queue, owner)
    newcomer = queue.new_consumer(group, topic)
    for _ in queue.retry_until_rebalanced():
        pass
    document = bench.http().request("GET", f"/consumer-groups/{group}").json()
    if not waiting.is_under_way():
        bench.skip("REBALANCE-1", "this machine was too slow: the time of the poll is over")
        return
    bench.judge_schema("INTRO-GROUP-1", "group", document)
    owners = {row["partition"]: row["consumer_name"] for row in document["assignment"]}
    bench.judge(
        "REBALANCE-1",
        is_fair(owners, (owner, newcomer)) and set(owners.values()) <= {owner, newcomer},
        expected=f"even shares of {len(owners)} partitions for both members",
        observed=document["assignment"],
    )


@clauses("LIVE-EVICT-1", "REBALANCE-1")
@waits(eviction_seconds)
def test_a_holder_that_falls_silent_ends_the_waiting(bench: Bench) -> None:
    """Let the owner fall silent while a rebalance waits for it, and a consumer of another group with it; expect both to
    be evicted (4xx for their heartbeats), and each partition to deliver to the newcomer.
    """
    if (rebalance := begin_rebalance(bench, "LIVE-EVICT-1", "REBALANCE-1")) is None:
        return
    queue = rebalance.queue
    bystander_group = queue.new_group()
    bystander = queue.new_consumer(bystander_group, rebalance.probe.topic)
    queue.stop_heartbeats(rebalance.owner, bystander)
    signs = {
        name: timed(queue, group, functools.partial(queue.heartbeat, name))
        for name, group in ((rebalance.owner, rebalance.group), (bystander, bystander_group))
    }
    wait_past_eviction(queue, rebalance.group, signs[rebalance.owner], rebalance.owner, bystander)
    wait_past_eviction(queue, bystander_group, signs[bystander], rebalance.owner, bystander)
    for name in (rebalance.owner, bystander):
        expect_refusal(
            bench,
            queue.heartbeat(name),
            "LIVE-EVICT-1",
            "the consumer was silent for longer than timeout and grace",
        )
    rebalance.expect_all(rebalance.newcomer)


def _read_rest(rebalance: RebalanceInProgress, members: list[str]) -> None:
    """Poll and acknowledge until all members get nothing more for as long as a rebalance may take."""
    queue = rebalance.queue
    for _ in queue.retry_until_rebalanced():
        for consumer, record in queue.poll_all(*members):
            queue.acknowledge(consumer, record.message_id)
