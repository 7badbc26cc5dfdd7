"""Consumer groups: members, committed offsets, and records in flight."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.first_server.faults import IDS_BY_CONSUMER, PAUSED_TOPIC, TWO_OWNERS
from tests.first_server.partitions import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.first_server.faults import Faults
    from tests.first_server.partitions import Record, Topic


@dataclass(frozen=True)
class Flight:
    """A record in flight: the consumer that holds it, its messageId, and its offset."""

    holder: str
    message_id: int
    offset: int


@dataclass
class GroupPartition:
    """A partition as one group sees it.

    `owner` is handed the records; `target` is the next owner. They differ while a rebalance waits for a holder.
    """

    topic: Topic
    index: int
    committed: int = 0
    owner: str | None = None
    target: str | None = None
    overdue: float | None = None
    """Monotonic time in seconds at which the record of a waiting partition is taken back."""
    last_given: int = 0
    """The number of the poll that last got a record of this partition."""
    flights: list[Flight] = field(default_factory=list)
    former_owners: set[str] = field(default_factory=set)
    """Consumers that unsubscribed and still get records (J4)."""
    is_lost: bool = False
    """True if the partition is never assigned again (J3)."""

    @property
    def is_waiting(self) -> bool:
        """True if a rebalance waits for the holder of a record."""
        return self.owner is not None and self.owner != self.target

    def has_record_for(self, consumer: str) -> bool:
        """True if the next poll of this consumer can bring a record of the partition."""
        if self.committed >= len(self.topic.logs[self.index]):
            return False
        if self.former_owners:  # J4: a record is in flight once with each of the owners
            owns = consumer == self.owner or consumer in self.former_owners
            return owns and all(flight.holder != consumer for flight in self.flights)
        return consumer == self.owner and not self.flights

    def flight_of(self, consumer: str, message_id: int) -> Flight | None:
        """The record that this consumer holds under this id."""
        for flight in self.flights:
            if flight.holder == consumer and flight.message_id == message_id:
                return flight
        return None

    def free(self, consumer: str) -> None:
        """Free the record that this consumer holds."""
        self.flights = [flight for flight in self.flights if flight.holder != consumer]


@dataclass
class Member:
    """A registered consumer. `last_sign` is its last sign of life in monotonic seconds."""

    name: str
    group: Group
    last_sign: float
    topics: set[str] = field(default_factory=set)
    given_ids: int = 0


class Group:
    """A consumer group."""

    def __init__(self, name: str, faults: Faults) -> None:
        self.name = name
        self.faults = faults
        self.members: dict[str, Member] = {}
        self.subscribers: dict[str, list[str]] = {}
        """The subscribed consumers by topic, in the order in which they subscribed."""
        self.partitions: dict[str, list[GroupPartition]] = {}
        """Partitions by topic: those of all topics to which a member was ever subscribed."""
        self._polls = 0

    def partitions_of(self, topic: Topic) -> list[GroupPartition]:
        """The group's view of a topic; a new one starts at the oldest records (POLL-START-1)."""
        if topic.name not in self.partitions:
            self.partitions[topic.name] = [GroupPartition(topic, index) for index in range(PARTITIONS)]
        return self.partitions[topic.name]

    def all_partitions(self) -> Iterator[GroupPartition]:
        """Every partition of every topic of the group."""
        for partitions in self.partitions.values():
            yield from partitions

    @property
    def is_rebalancing(self) -> bool:
        """True while a rebalance waits for a holder."""
        return any(partition.is_waiting for partition in self.all_partitions())

    def poll(self, member: Member) -> tuple[int, Record] | None:
        """Hand out the next record, with its id: of the partition that waited longest (POLL-FAIR-1)."""
        free = [
            partition
            for partition in self.all_partitions()
            if partition.has_record_for(member.name) and not self._is_paused(partition, member.name)
        ]
        if not free:
            return None
        partition = min(free, key=lambda candidate: candidate.last_given)
        self._polls += 1
        partition.last_given = self._polls
        record = partition.topic.logs[partition.index][partition.committed]
        message_id = record.number
        if IDS_BY_CONSUMER in self.faults:
            member.given_ids += 1
            message_id = member.given_ids
        partition.flights.append(Flight(member.name, message_id, partition.committed))
        return message_id, record

    def acknowledge(self, consumer: str, message_id: int) -> GroupPartition | None:
        """Commit the offset of a record in flight; returns its partition, None if the consumer holds no such record."""
        for partition in self.all_partitions():
            flight = partition.flight_of(consumer, message_id)
            if flight is not None:
                partition.free(consumer)
                step_from = partition.committed if TWO_OWNERS in self.faults else flight.offset
                partition.committed = step_from + 1
                return partition
        return None

    def commit_all(self, consumer: str) -> None:
        """J16: commit every record that the consumer holds."""
        for partition in self.all_partitions():
            for flight in partition.flights:
                if flight.holder == consumer:
                    partition.committed = flight.offset + 1

    def holds(self, message_id: int) -> bool:
        """True if a record is in flight under this id."""
        return any(
            flight.message_id == message_id
            for partition in self.all_partitions()
            for flight in partition.flights
        )

    def _is_paused(self, partition: GroupPartition, consumer: str) -> bool:
        """J9: an owner that gives up one partition of the topic gets nothing of the others either."""
        return PAUSED_TOPIC in self.faults and any(
            other.is_waiting and other.owner == consumer for other in self.partitions[partition.topic.name]
        )
