"""Who owns which partition, concluded from what is delivered: on any server, with no word from it.

Records without a key go round: number j and number j + N of a topic that gets no other records lie in one partition,
where N is the number of partitions (PART-RR-1). So `j mod N` names a partition, and the numbers 0 to N - 1 reach all.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.suite.queue.fixture import DeliveredRecord, QueueFixture

#: Records that are published to find out how many partitions a topic has of which nobody tells.
MOST_PARTITIONS = 64
#: OwnershipProbe in a row in which nothing may change, for a rebalance to count as settled.
STEADY_ROUNDS = 2

Owners = dict[int, str]


def partition_count(queue: QueueFixture, topic: str) -> int:
    """How many partitions a topic has that was added without saying; where nobody tells, how many can be in flight.

    Judged by another topic, so that no record lies in this one.
    """
    told = queue.bench.partitions_of(topic)
    if told is not None:
        return told
    other, _group, (reader,) = queue.topic_with_consumers()
    queue.confirm_ownership(other, reader)
    for number in range(MOST_PARTITIONS):
        queue.publish(other, f"m{number}", key=None)
    return len(queue.poll_all(reader))


class OwnershipProbe:
    """Records of one topic without a key, a round of them at a time: one in each partition."""

    def __init__(self, queue: QueueFixture, partitions: int | None = None) -> None:
        """A new topic, of so many partitions (extension topic-partitions) or of the server's own number."""
        self.queue = queue
        self.topic = queue.new_topic(**({} if partitions is None else {"partitions": partitions}))
        self.partitions = partitions or partition_count(queue, self.topic)
        self._published = 0

    def publish_round(self) -> None:
        """One more record in each partition."""
        for _ in range(self.partitions):
            self.queue.publish(self.topic, f"{self._published}", key=None)
            self._published += 1

    def partition_of(self, record: DeliveredRecord) -> int:
        """The partition of a record, by a number of our own."""
        self.queue.bench.judge(
            "DELIVER-4",
            record.message.isdecimal() and int(record.message) < self._published,
            expected="a record that was published",
            observed=record.whole,
        )
        return int(record.message) % self.partitions

    def owners(self, members: Sequence[str]) -> Owners:
        """Who gets the records of which partition now: a round, handed out and acknowledged.

        A partition of which nothing came is missing.
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
        """The owners once every rebalance is settled: each partition has one, who stays the same.

        Judges REBALANCE-1 where a partition has none by then, ASSIGN-1 where its owner changes, and ASSIGN-2, if it
        is to be `fair`, where the members' shares differ by more than one. Every other round the members poll in the
        opposite order: a record that anybody could have goes to whoever asks first.
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
    """How many partitions each member owns."""
    return {member: sum(owner == member for owner in owners.values()) for member in members}


def is_fair(owners: Mapping[int, str], members: Sequence[str]) -> bool:
    """Whether the members' shares differ by at most one (ASSIGN-2)."""
    counts = partitions_by_member(owners, members).values()
    return max(counts) - min(counts) <= 1


def fewest_moves(before: Mapping[int, str], members: Sequence[str]) -> int:
    """How many partitions have to change owners for the members to have even shares (ASSIGN-4).

    The larger shares go to those who own most.
    """
    fewest, larger = divmod(len(before), len(members))
    owned = sorted(partitions_by_member(before, members).values(), reverse=True)
    kept = sum(min(count, fewest + (rank < larger)) for rank, count in enumerate(owned))
    return len(before) - kept
