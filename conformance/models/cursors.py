"""One group's progress in one topic: what is committed, in flight, and in which order records may come."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.models.topics import Record, TopicModel


@dataclass(slots=True, eq=False)
class InFlightRecord:
    """A record handed to a consumer and not settled.

    `since` is the earliest time of its delivery, in seconds.
    """

    record: "Record"
    consumer: str
    message_id: int
    since: float


class Cursor:
    """The state of one topic in one group.

    `suspect` names a clause for the whole topic, until deliveries show that it was kept. `suspects` maps a
    record to the clause that a refused operation on it would have broken, and `release_reasons` to why it was
    given back; `committed_elsewhere` holds records that other groups acknowledged meanwhile. All of them only
    serve to name the right clause when a record fails to come.
    """

    def __init__(self, topic: "TopicModel") -> None:
        self.topic = topic
        self.uncommitted: dict[int, Record] = {record.number: record for record in topic.records}
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
        """Something happened that must not move the group's offsets: the clause that says so, or none ("")."""
        self._cause = clause
        self._cleared.clear()

    def cause(self, record: "Record") -> str:
        """The clause that is to blame if the record does not come as it should; empty if none in particular."""
        find = self.topic.partition_classes.find
        return "" if self._cause and find(record.node) in map(find, self._cleared) else self._cause

    def published(self, record: "Record") -> None:
        """A record was stored behind the others."""
        self.uncommitted[record.number] = record

    def is_committed(self, record: "Record") -> bool:
        """Whether this group acknowledged the record."""
        return record.number not in self.uncommitted

    def earlier(self, record: "Record") -> "Iterator[Record]":
        """The records before this one that the group has not acknowledged."""
        for number, other in self.uncommitted.items():
            if number >= record.number:
                return
            yield other

    def hand_out(self, record: "Record", consumer: str, message_id: int, since: float) -> InFlightRecord:
        """The record was handed out."""
        flight = self.in_flight[record.number] = InFlightRecord(record, consumer, message_id, since)
        self.delivered.add(record.number)
        self.release_reasons.pop(record.number, None)
        if self._cause:
            self._cleared.add(record.node)
        return flight

    def commit(self, flight: InFlightRecord) -> None:
        """The record was acknowledged by its holder."""
        del self.in_flight[flight.record.number]
        del self.uncommitted[flight.record.number]
        self.suspects.pop(flight.record.number, None)
        self.committed_since_rebalance = True

    def release(self, flight: InFlightRecord, reason: str) -> None:
        """The record went back: it must be delivered again."""
        del self.in_flight[flight.record.number]
        self.release_reasons[flight.record.number] = reason
        self.suspects.pop(flight.record.number, None)

    def held_by(self, consumer: str) -> list[InFlightRecord]:
        """The records in flight with this consumer."""
        return [flight for flight in self.in_flight.values() if flight.consumer == consumer]

    def find_in_flight(self, consumer: str, message_id: int) -> InFlightRecord | None:
        """The record in flight with this consumer under this id."""
        for flight in self.in_flight.values():
            if flight.message_id == message_id and flight.consumer == consumer:
                return flight
        return None

    def free_records(self) -> "Iterator[Record]":
        """Records that lie, for certain, in a partition with nothing in flight.

        Such a partition has a free record, though perhaps an earlier one than the record that shows it.
        """
        in_flight = [flight.record.node for flight in self.in_flight.values()]
        differ = self.topic.partition_classes.differ
        for number, record in self.uncommitted.items():
            if number not in self.in_flight and all(differ(record.node, node) for node in in_flight):
                yield record

    def owner(self, record: "Record") -> str | None:
        """The consumer known to own the record's partition since the last rebalance was settled."""
        same = self.topic.partition_classes.same
        for node, consumer in self.owners.items():
            if same(node, record.node):
                return consumer
        return None

    def owned_partitions(self, consumer: str) -> int:
        """How many different partitions the consumer certainly owns."""
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
        """A rebalance may be under way: nobody is known to own anything."""
        self.owners.clear()
