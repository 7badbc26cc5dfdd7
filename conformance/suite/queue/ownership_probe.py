"""Owners of partitions, derived from the records that polls return. It works on servers without introspection.

Records without a key go round: if a topic gets no other records, numbers j and j + N lie in one partition, where N is
the number of partitions (PART-RR-1). So `j mod N` identifies a partition, and the numbers 0 to N - 1 reach all of them.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.suite.queue.fixture import DeliveredRecord, QueueFixture

#: Records that are published to count the partitions of a topic on a server that does not declare them.
MOST_PARTITIONS = 64
#: Rounds in a row with the same owners, for a rebalance to count as settled.
STEADY_ROUNDS = 2

Owners = dict[int, str]


def partition_count(queue: QueueFixture, topic: str) -> int:
    """Number of partitions of a topic that was added without `partitions`.

    If the server does not declare it, it is the number of records that can be in flight at once in another topic, so
    that no record is published to this one.
    """
    told = queue.bench.partitions_of(topic)
    if told is not None:
        return told
    other, _group, (reader,) = queue.topic_with_consumers()
    queue.confirm_ownership(other, reader)
    for number in range(MOST_PARTITIONS):
        queue.publish(other, f"m{number}", key=None)
    return len(queue.poll_all(reader))


def own_every_partition(queue: QueueFixture, topic: str, consumer: str, partitions: int | None = None) -> int:
    """Have the only consumer of a topic read a record of each partition; returns the number of partitions.

    `partitions` is that number, if it is known. From then on every free record comes to the consumer at once
    (REBALANCE-1).
    """
    partitions = partitions or partition_count(queue, topic)
    for number in range(partitions):
        queue.publish(topic, f"warm-up {number}", key=None)
    queue.read_and_acknowledge(consumer, partitions, "POLL-OK-1")
    return partitions


class OwnershipProbe:
    """Publishes records without a key to one topic, in rounds: one record in each partition."""

    def __init__(self, queue: QueueFixture, partitions: int | None = None) -> None:
        """Add a topic with `partitions` partitions (extension topic-partitions), by default as many as the server gives
        it.
        """
        self.queue = queue
        self.topic = queue.new_topic(**({} if partitions is None else {"partitions": partitions}))
        self.partitions = partitions or partition_count(queue, self.topic)
        self._published = 0

    def publish_round(self) -> None:
        """Publish one more record in each partition."""
        for _ in range(self.partitions):
            self.publish_next()

    def publish_next(self) -> int:
        """Publish the next record of a round; returns its partition, as `partition_of` tells it."""
        self.queue.publish(self.topic, f"{self._published}", key=None)
        self._published += 1
        return (self._published - 1) % self.partitions

    def partition_of(self, record: DeliveredRecord) -> int:
        """Partition of a record, from 0. Its number may differ from the index that the server gives it."""
        self.queue.bench.judge(
            "DELIVER-4",
            record.message.isdecimal() and int(record.message) < self._published,
            expected="a record that was published",
            observed=record.whole,
        )
        return int(record.message) % self.partitions

    def owners(self, members: Sequence[str]) -> Owners:
        """Owner of each partition now: publishes a round, polls all members and acknowledges the records.

        A partition that delivered no record is missing. Judges ORDER-2 by at most one record of a partition in flight.
        """
        self.publish_round()
        found: Owners = {}
        ours = [
            (name, record) for name, record in self.queue.poll_all(*members) if record.topic == self.topic
        ]
        for name, record in ours:
            partition = self.partition_of(record)
            self.queue.bench.judge(
                "ORDER-2",
                partition not in found,
                expected="one record of a partition in flight at a time",
                observed=f"{record.whole} for {name}, beside one of the same partition for {found.get(partition)}",
            )
            found[partition] = name
            self.queue.acknowledge(name, record.message_id)
        return found

    def settled_owners(self, members: Sequence[str], *, fair: bool = True) -> Owners:
        """Owner of each partition once every rebalance is settled.

        Judges REBALANCE-1 by each partition having an owner by then, ASSIGN-1 by the owners staying the same and, if
        `fair`, ASSIGN-2 by shares that differ by at most one. Members poll in the opposite order in every other round:
        a record that is offered to several members goes to the first one that polls.
        """
        judge = self.queue.bench.judge
        orders = itertools.cycle([members, members[::-1]])
        for _ in self.queue.retry_until_rebalanced():
            rounds = [self.owners(next(orders)) for _ in range(STEADY_ROUNDS)]
            complete = all(len(owners) == self.partitions for owners in rounds)
            steady = all(owners == rounds[0] for owners in rounds)
            if complete and steady and (not fair or is_fair(rounds[0], members)):
                break
        judge(
            "REBALANCE-1",
            complete,
            expected=f"a record of each of {self.partitions} partitions for one of the members",
            observed=rounds,
        )
        judge("ASSIGN-1", steady, expected="the same owner of a partition in each round", observed=rounds)
        if fair:
            judge(
                "ASSIGN-2",
                is_fair(rounds[0], members),
                expected=f"numbers of partitions that differ by one at most, for {len(members)} members",
                observed=partitions_by_member(rounds[0], members),
            )
        return rounds[0]


def partitions_by_member(owners: Mapping[int, str], members: Sequence[str]) -> dict[str, int]:
    """Number of partitions that each member owns."""
    return {member: sum(owner == member for owner in owners.values()) for member in members}


def is_fair(owners: Mapping[int, str], members: Sequence[str]) -> bool:
    """True if the members' numbers of partitions differ by at most one (ASSIGN-2)."""
    counts = partitions_by_member(owners, members).values()
    return max(counts) - min(counts) <= 1


def fewest_moves(before: Mapping[int, str], members: Sequence[str]) -> int:
    """Smallest number of partitions that have to change owners for even shares (ASSIGN-4).

    Members that own most keep the larger shares.
    """
    fewest, larger = divmod(len(before), len(members))
    owned = sorted(partitions_by_member(before, members).values(), reverse=True)
    kept = sum(min(count, fewest + (rank < larger)) for rank, count in enumerate(owned))
    return len(before) - kept
