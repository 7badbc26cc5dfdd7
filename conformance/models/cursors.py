"""Progress of one group in one topic: committed, released and in-flight records, and known owners.

A record of the topic is *uncommitted* until the group acknowledges it, *in flight* from its delivery to its
settlement or release, and *free* if it is uncommitted and no record of its partition is in flight.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.models.topics import Record, TopicModel


@dataclass(slots=True, eq=False)
class InFlightRecord:
    """A record delivered to a consumer and not settled.

    `since`: the earliest time of the delivery, in seconds of the group's time.
    """

    record: "Record"
    consumer: str
    message_id: int
    since: float


class Cursor:
    """State of one topic in one group.

    `uncommitted`: records not acknowledged, by number. `perhaps`: records that may have been freed before the group
    first subscribed (RETENTION-START-1), by number; the first delivery of a partition tells which of them are there.
    `records_at_start`: the number of records when the group first subscribed. `delivered`: numbers of the records
    ever delivered. `owners`: known owners of partitions, by node of `PartitionClasses`, since the last rebalance.

    Four attributes only serve to name the right clause for a missing record. `suspect` sets a clause for the whole
    topic, until a delivery of the partition clears it. `suspects`: the clause that a refused operation on the record
    would have broken, by record. `release_reasons`: why the record was released, by record. `committed_elsewhere`:
    records that other groups acknowledged meanwhile.
    """

    def __init__(self, topic: "TopicModel") -> None:
        self.topic = topic
        gone = topic.may_be_gone if topic.frees else set()
        self.perhaps = {record.number: record for record in topic.records if record.number in gone}
        self.uncommitted = {record.number: record for record in topic.records if record.number not in gone}
        self.records_at_start = len(topic.records)
        self.in_flight: dict[int, InFlightRecord] = {}
        self.delivered: set[int] = set()
        self.release_reasons: dict[int, str] = {}
        self.suspects: dict[int, str] = {}
        self.committed_elsewhere: set[int] = set()
        self.owners: dict[int, str] = {}
        self.committed_since_rebalance = False
        self._cause = ""
        self._cleared: set[int] = set()

    def suspect(self, clause: str) -> None:
        """Name `clause` for missing records from now on: an event happened that must not move the offsets. "" names
        none.
        """
        self._cause = clause
        self._cleared.clear()

    def cause(self, record: "Record") -> str:
        """Return the suspected clause for a missing record of this partition; "" if there is none."""
        find = self.topic.partition_classes.find
        return "" if self._cause and find(record.node) in map(find, self._cleared) else self._cause

    def published(self, record: "Record") -> None:
        """Append a stored record."""
        self.uncommitted[record.number] = record

    def is_committed(self, record: "Record") -> bool:
        """True if this group acknowledged the record, or it is known to be gone."""
        return record.number not in self.uncommitted and record.number not in self.perhaps

    def is_there(self, record: "Record") -> None:
        """Note that a record is delivered: those that may be gone of its partition are there behind it, and gone before
        it (RETENTION-FRONT-1).
        """
        found = [other for other in self.perhaps.values() if self.topic.same(other, record)]
        for other in found:
            del self.perhaps[other.number]
        there = {other.number: other for other in found if other.number >= record.number}
        if there:
            self.uncommitted = dict(sorted((self.uncommitted | there).items()))

    def earlier(self, record: "Record") -> "Iterator[Record]":
        """Yield the uncommitted records stored before this one."""
        for number, other in self.uncommitted.items():
            if number >= record.number:
                return
            yield other

    def hand_out(self, record: "Record", consumer: str, message_id: int, since: float) -> InFlightRecord:
        """Put a delivered record in flight."""
        flight = self.in_flight[record.number] = InFlightRecord(record, consumer, message_id, since)
        self.delivered.add(record.number)
        self.release_reasons.pop(record.number, None)
        if self._cause:
            self._cleared.add(record.node)
        return flight

    def commit(self, flight: InFlightRecord) -> None:
        """Commit a record that its holder acknowledged."""
        del self.in_flight[flight.record.number]
        del self.uncommitted[flight.record.number]
        self.suspects.pop(flight.record.number, None)
        self.committed_since_rebalance = True

    def release(self, flight: InFlightRecord, reason: str) -> None:
        """Release a record in flight; it must be delivered again. `reason`: a key of `REDELIVERY_CLAUSES`."""
        del self.in_flight[flight.record.number]
        self.release_reasons[flight.record.number] = reason
        self.suspects.pop(flight.record.number, None)

    def held_by(self, consumer: str) -> list[InFlightRecord]:
        """Return the records in flight with this consumer, oldest delivery first."""
        return [flight for flight in self.in_flight.values() if flight.consumer == consumer]

    def find_in_flight(self, consumer: str, message_id: int) -> InFlightRecord | None:
        """Return the record in flight with this consumer under this id, or None."""
        for flight in self.in_flight.values():
            if flight.message_id == message_id and flight.consumer == consumer:
                return flight
        return None

    def free_records(self) -> "Iterator[Record]":
        """Yield records whose partition must have no record in flight.

        Such a partition has a deliverable record: the yielded one, or an earlier one.
        """
        in_flight = [flight.record.node for flight in self.in_flight.values()]
        differ = self.topic.partition_classes.differ
        for number, record in self.uncommitted.items():
            if number not in self.in_flight and all(differ(record.node, node) for node in in_flight):
                yield record

    def owner(self, record: "Record") -> str | None:
        """Return the known owner of the record's partition since the last rebalance, or None."""
        same = self.topic.partition_classes.same
        for node, consumer in self.owners.items():
            if same(node, record.node):
                return consumer
        return None

    def owned_partitions(self, consumer: str) -> int:
        """Return a lower bound on the number of partitions that the consumer owns."""
        find = self.topic.partition_classes.find
        numbered = {
            self.topic.partition_classes.number(node)
            for node, owner in self.owners.items()
            if owner == consumer
        } - {None}
        nodes = {find(flight.record.node) for flight in self.held_by(consumer)}
        held = sum(1 for node in nodes if any(find(known) == node for known in self.owners))
        return max(len(numbered), held)

    def forget_owners(self) -> None:
        """Discard known owners: a rebalance may be under way."""
        self.owners.clear()
