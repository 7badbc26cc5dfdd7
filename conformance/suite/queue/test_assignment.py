"""Ownership of partitions: ASSIGN-*. It is derived from what polls return, so that it works on any server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.bench.marks import clauses
from conformance.suite.queue.expectations import expect_status
from conformance.suite.queue.fixture import QueueFixture
from conformance.suite.queue.ownership_probe import OwnershipProbe, fewest_moves, partitions_by_member

if TYPE_CHECKING:
    from conformance.bench.bench import Bench

#: Largest number of members that are registered to outnumber the partitions of a topic.
MOST_MEMBERS = 17
#: Members that share a topic of a few partitions more, where the server lets clients choose.
MANY = 11


@clauses("ASSIGN-1", "ASSIGN-2", "REBALANCE-1")
@pytest.mark.parametrize("members", [1, 2, 3, MANY])
def test_every_partition_has_one_owner_and_shares_are_even(bench: Bench, members: int) -> None:
    """Publish to every partition while no member joins or leaves; expect each partition to deliver to one member only,
    and the members' numbers of partitions to differ by at most one.
    """
    queue = QueueFixture(bench)
    is_wide = members == MANY and bench.declares("topic-partitions")
    partitions = int(min(bench.limit("partitions") or MANY, MANY + 2)) if is_wide else None
    probe, group = OwnershipProbe(queue, partitions), queue.new_group()
    names = [queue.new_consumer(group, probe.topic) for _ in range(members)]
    probe.settled_owners(names)


@clauses("ASSIGN-1")
def test_a_member_without_a_subscription_owns_nothing(bench: Bench) -> None:
    """Poll with members that are not subscribed to the topic; expect every record to go to the subscribed one."""
    queue = QueueFixture(bench)
    probe, group = OwnershipProbe(queue), queue.new_group()
    elsewhere = queue.new_consumer(group, queue.new_topic())
    idle = queue.new_consumer(group)
    reader = queue.new_consumer(group, probe.topic)
    owners = probe.settled_owners([reader, elsewhere, idle], fair=False)
    bench.judge(
        "ASSIGN-1",
        set(owners.values()) == {reader},
        expected=f"everything for {reader}, the only one that is subscribed",
        observed=partitions_by_member(owners, [reader, elsewhere, idle]),
    )


@clauses("ASSIGN-2")
def test_each_topic_is_assigned_by_itself(bench: Bench) -> None:
    """Subscribe one member to two topics and another to one of them, both after one more of a single partition, so that
    one of them stands by there; expect even shares of the topic that both read.
    """
    queue = QueueFixture(bench)
    alone, common, group = OwnershipProbe(queue), OwnershipProbe(queue), queue.new_group()
    narrow = [queue.new_topic(partitions=1)] if bench.declares("topic-partitions") else []
    first, second = queue.new_consumer(group, *narrow), queue.new_consumer(group, *narrow)
    queue.subscribe(first, alone.topic, common.topic)
    queue.subscribe(second, common.topic)
    alone.settled_owners([first])
    common.settled_owners([first, second])


@clauses("ASSIGN-3")
def test_members_beyond_the_number_of_partitions_stand_by(bench: Bench) -> None:
    """Register one member more than the topic has partitions; expect it to own nothing, to stay a member, and to take
    over a partition when another member unsubscribes.
    """
    queue = QueueFixture(bench)
    probe = OwnershipProbe(queue, 2 if bench.declares("topic-partitions") else None)
    if probe.partitions >= MOST_MEMBERS:
        bench.skip("ASSIGN-3", f"a topic has {probe.partitions} partitions here: too many members are needed")
        return
    group = queue.new_group()
    names = [queue.new_consumer(group, probe.topic) for _ in range(probe.partitions + 1)]
    owners = probe.settled_owners(names)
    idle = [name for name in names if name not in owners.values()]
    bench.judge(
        "ASSIGN-3",
        len(idle) == 1,
        expected="one member that gets nothing",
        observed=partitions_by_member(owners, names),
    )
    beat = queue.heartbeat(idle[0])
    expect_status(bench, beat, 202, "ASSIGN-3", "a member without partitions is still a member")
    leaver = next(name for name in names if name not in idle)
    queue.unsubscribe(leaver, probe.topic)
    rest = [name for name in names if name != leaver]
    after = probe.settled_owners(rest)
    bench.judge(
        "ASSIGN-3",
        idle[0] in after.values(),
        expected=f"a partition for {idle[0]}, which stood by",
        observed=partitions_by_member(after, rest),
    )


@clauses("ASSIGN-4")
@pytest.mark.parametrize("partitions", [7, 8])
@pytest.mark.parametrize("event", ["join", "leave"])
def test_partitions_that_need_not_move_stay(bench: Bench, event: str, partitions: int) -> None:
    """Let a member join or leave; expect no more partitions to change owners than even shares need."""
    queue = QueueFixture(bench)
    is_free = bench.declares("topic-partitions") and _allows(bench, partitions)
    probe = OwnershipProbe(queue, partitions if is_free else None)
    group = queue.new_group()
    names = [queue.new_consumer(group, probe.topic) for _ in range(3 if partitions == 7 else 5)]
    before = probe.settled_owners(names)
    if event == "join":
        names.append(queue.new_consumer(group, probe.topic))
    else:
        queue.unsubscribe(names.pop(), probe.topic)
    after = probe.settled_owners(names)
    moved = sorted(partition for partition in before if before[partition] != after[partition])
    fewest = fewest_moves(before, names)
    bench.judge(
        "ASSIGN-4",
        len(moved) <= fewest,
        expected=f"{fewest} of {probe.partitions} partitions with a new owner",
        observed=f"{len(moved)} moved: {before} became {after}",
    )


def _allows(bench: Bench, partitions: int) -> bool:
    return partitions <= (bench.limit("partitions") or partitions)
