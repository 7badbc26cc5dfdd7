"""Assignment of partitions to the members of a group, and the moves from one owner to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.first_server.faults import LOST_PARTITION, NEVER_TAKEN_BACK, TWO_OWNERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.first_server.groups import Group, GroupPartition, Member
    from tests.first_server.partitions import Topic


def join(group: Group, member: Member, topics: Iterable[Topic], overdue: float) -> None:
    """Subscribe a member to topics. Records that are in flight at `overdue` (monotonic seconds) are taken back."""
    for topic in topics:
        if topic.name not in member.topics:
            member.topics.add(topic.name)
            group.subscribers.setdefault(topic.name, []).append(member.name)
            for partition in group.partitions_of(topic):
                partition.former_owners.discard(member.name)
            _rebalance(group, topic.name, overdue)


def unsubscribe(group: Group, member: Member, topics: Iterable[str], overdue: float) -> None:
    """Take topics from a member that stays in its group."""
    for topic in member.topics & set(topics):
        if TWO_OWNERS in group.faults:
            _keep_as_former_owner(group.partitions[topic], member.name)
        _withdraw(group, member, topic, overdue)


def leave(group: Group, member: Member, overdue: float) -> None:
    """End a membership: free what the member holds, and give its partitions to the others."""
    del group.members[member.name]
    for partition in group.all_partitions():
        partition.former_owners.discard(member.name)
        partition.free(member.name)
    for topic in sorted(member.topics):
        _withdraw(group, member, topic, overdue)


def settle(partition: GroupPartition) -> None:
    """Let a partition move to its next owner once the old one holds no record of it (REBALANCE-2)."""
    if partition.owner is None or all(flight.holder != partition.owner for flight in partition.flights):
        partition.owner = partition.target
        partition.overdue = None


def take_back(group: Group, now: float) -> None:
    """Free the records that are still in flight at the end of a rebalance (REBALANCE-5)."""
    if NEVER_TAKEN_BACK in group.faults:
        return
    for partition in group.all_partitions():
        if partition.overdue is not None and partition.overdue <= now and partition.owner is not None:
            partition.free(partition.owner)
            settle(partition)


def _keep_as_former_owner(partitions: Iterable[GroupPartition], consumer: str) -> None:
    """J4: a consumer that unsubscribes goes on polling the partitions that it owned."""
    for partition in partitions:
        if partition.owner == consumer:
            partition.former_owners.add(consumer)


def _withdraw(group: Group, member: Member, topic: str, overdue: float) -> None:
    member.topics.discard(topic)
    group.subscribers[topic].remove(member.name)
    for partition in group.partitions[topic]:
        if member.name not in partition.former_owners:
            partition.free(member.name)
        if partition.owner == member.name:
            partition.owner = None
    _rebalance(group, topic, overdue)


def _rebalance(group: Group, topic: str, overdue: float) -> None:
    partitions, subscribers = group.partitions[topic], group.subscribers[topic]
    if LOST_PARTITION in group.faults:
        _lose_what_was_to_move(partitions, subscribers)
    _assign([partition for partition in partitions if not partition.is_lost], subscribers)
    for partition in partitions:
        settle(partition)
        if not partition.is_waiting:
            partition.overdue = None
        elif partition.overdue is None:
            partition.overdue = overdue


def _lose_what_was_to_move(partitions: Iterable[GroupPartition], subscribers: Sequence[str]) -> None:
    """J3: a partition that waits for its owner is never assigned again after its newcomer has left."""
    for partition in partitions:
        if partition.is_waiting and partition.target not in subscribers:
            partition.is_lost = True
            partition.target = None


def _assign(partitions: Sequence[GroupPartition], subscribers: Sequence[str]) -> None:
    """Set the next owner of each partition: even shares, and as few moves as they need (ASSIGN-1 to ASSIGN-4)."""
    owned: dict[str, list[GroupPartition]] = {name: [] for name in subscribers}
    for partition in partitions:
        if partition.target in owned:
            owned[partition.target].append(partition)
    fewest, larger = divmod(len(partitions), len(subscribers) or 1)
    by_share = sorted(subscribers, key=lambda name: -len(owned[name]))
    quotas = {name: fewest + (rank < larger) for rank, name in enumerate(by_share)}
    for name, theirs in owned.items():
        del theirs[quotas[name] :]
    kept = {id(partition) for theirs in owned.values() for partition in theirs}
    spare = [partition for partition in partitions if id(partition) not in kept]
    for name, theirs in owned.items():
        while len(theirs) < quotas[name]:
            theirs.append(spare.pop(0))
        for partition in theirs:
            partition.target = name
    for partition in spare:
        partition.target = None
