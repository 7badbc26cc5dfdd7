"""Replies to acknowledgements and negative acknowledgements: ACK-*, NACK-*, LIVE-GONE-3, REBALANCE-5.

Condition, for an id m named by a registered consumer c: the operation succeeds if a record is in flight with c under
m, and is refused with 4xx otherwise. Success of an acknowledgement commits the record in c's group only; any other
outcome commits nothing.

No false alarm: if a rebalance may have taken the record back, or the consumer may have been evicted, both replies are
allowed, and the reply decides.
"""

from typing import TYPE_CHECKING, Any

from conformance.models.consumer_registry import (
    ACKNOWLEDGE,
    NEGATIVE_ACKNOWLEDGE,
    ConsumerOperation,
    ConsumerRegistry,
    OperationReply,
    is_refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.models.cursors import Cursor, InFlightRecord
    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import Member, TimeInterval
    from conformance.models.topics import Record, TopicModel


class Settlements:
    """Judge of acknowledgements and negative acknowledgements."""

    def __init__(
        self, judge: "Judge", groups: "Mapping[str, GroupModel]", consumers: ConsumerRegistry
    ) -> None:
        self._judge = judge
        self._groups = groups
        self._registry = consumers

    def observe_acknowledge(
        self, name: str, message_id: Any, reply: OperationReply, when: "TimeInterval"
    ) -> bool:
        """Judge an acknowledgement. Returns True if it was accepted."""
        flight = self._settle(ACKNOWLEDGE, name, message_id, reply, when)
        if flight is None:
            return False
        group, cursor = self._place_of(name, flight)
        cursor.commit(flight)
        group.polled_empty.clear()
        for other in self._groups.values():
            if other is not group and cursor.topic.name in other.cursors:
                other.cursors[cursor.topic.name].committed_elsewhere.add(flight.record.number)
        self.note_committed_by_all(cursor.topic, flight.record)
        return True

    def note_committed_by_all(self, topic: "TopicModel", *records: "Record") -> None:
        """Note which of the records, of all by default, may go: every group that reads the topic has committed them.

        Nothing is noted for a topic that no group reads (RETENTION-KEEP-2).
        """
        readers = [
            group.cursors[topic.name] for group in self._groups.values() if topic.name in group.cursors
        ]
        if topic.frees and readers:
            topic.may_be_gone.update(
                record.number
                for record in records or topic.records
                if all(reader.is_committed(record) for reader in readers)
            )

    def observe_negative_acknowledge(
        self, name: str, message_id: Any, reply: OperationReply, when: "TimeInterval"
    ) -> bool:
        """Judge a negative acknowledgement. Returns True if it was accepted."""
        flight = self._settle(NEGATIVE_ACKNOWLEDGE, name, message_id, reply, when)
        if flight is None:
            return False
        group, cursor = self._place_of(name, flight)
        cursor.release(flight, "nack")
        group.polled_empty.clear()
        return True

    def _place_of(self, name: str, flight: "InFlightRecord") -> "tuple[GroupModel, Cursor]":
        group = self._groups[self._registry.by_name[name].group]
        return group, group.cursors[flight.record.topic]

    def _settle(
        self,
        operation: ConsumerOperation,
        name: str,
        message_id: Any,
        reply: OperationReply,
        when: "TimeInterval",
    ) -> "InFlightRecord | None":
        """Return the record in flight that the operation settled; None if it was refused, as the text allows."""
        member = self._registry.current(name, when)
        if member is None or member.end_reason:
            self._registry.judge_named(operation, name, reply, when)
            if member is not None:
                self._suspect_late(operation, member, message_id)
            return None
        group = self._registry.group_of(member)
        flight = self._find_in_flight(group, name, message_id)
        if flight is None:
            self._judge_not_in_flight(operation, member, message_id, reply)
            self._suspect_foreign(operation, member, message_id)
            self._suspect_late(operation, member, message_id)
            self._registry.judge_named(operation, name, reply, when, otherwise_valid=False)
            return None
        taken_back = group.may_be_taken_back(flight, when)
        suspect = group.cursors[flight.record.topic].suspects.get(flight.record.number)
        if suspect is not None and (is_refusal(reply) or reply.status in operation.success_statuses):
            operation = operation._replace(served_clause=suspect)
        elif is_refusal(reply) and not taken_back and group.may_be_moving(flight, when):
            operation = operation._replace(served_clause="REBALANCE-2")
        if (
            self._registry.judge_named(operation, name, reply, when, otherwise_valid=not taken_back)
            is not None
        ):
            if taken_back:
                accepted = reply.status in operation.success_statuses
                self._judge(
                    operation.served_clause,
                    accepted,
                    expected=f"{operation.name}: status 202",
                    observed=reply,
                )
            return flight
        if taken_back and not member.end_reason and member.possible_eviction is None:
            member.released_ids[flight.message_id] = (flight.record.topic, flight.record.number)
            cursor = group.cursors[flight.record.topic]
            cursor.release(flight, "revoked")
            if suspect is not None:  # the refusal may come of the suspected operation as well
                cursor.suspects[flight.record.number] = suspect
            group.polled_empty.clear()
        return None

    def _judge_not_in_flight(
        self, operation: ConsumerOperation, member: "Member", message_id: Any, reply: OperationReply
    ) -> None:
        """Require a refusal of an id that is not in flight: ACK-UNKNOWN-1, ACK-OTHER-1, NACK-UNKNOWN-1, REBALANCE-5."""
        clause, status_clause = "NACK-UNKNOWN-1", "NACK-UNKNOWN-2"
        if operation is ACKNOWLEDGE:
            clause, status_clause = "ACK-UNKNOWN-1", "ACK-UNKNOWN-2"
            late = member.released_ids.get(message_id) if isinstance(message_id, int) else None
            if late is not None and late[0] not in member.unsubscribed_topics:
                clause = "REBALANCE-5"
            elif isinstance(message_id, int) and message_id in member.predecessor_ids:
                clause = "LIVE-GONE-3"
            elif next(self._in_flight_under(message_id), None) is not None:
                clause = "ACK-OTHER-1"
        if isinstance(message_id, int) and message_id in member.void_ids:
            clause, status_clause = "TOPIC-REMOVE-7", "TOPIC-REMOVE-8"
        why = f"message id {message_id!r} is not in flight with {member.name}"
        self._judge(clause, is_refusal(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
        if member.possible_eviction is None:
            self._judge(status_clause, reply.status == 409, expected=f"status 409: {why}", observed=reply)

    def _suspect_foreign(self, operation: ConsumerOperation, member: "Member", message_id: Any) -> None:
        """Suspect ACK-OTHER-1 if a record is missing after another consumer's refused acknowledgement."""
        for cursor, flight in self._in_flight_under(message_id):
            if operation is ACKNOWLEDGE and flight.consumer != member.name:
                cursor.suspects[flight.record.number] = "ACK-OTHER-1"

    def _suspect_late(self, operation: ConsumerOperation, member: "Member", message_id: Any) -> None:
        """Suspect LIVE-GONE-3 or ACK-UNKNOWN-1 if a record is missing after a refused late acknowledgement."""
        group = self._groups.get(member.group)
        if operation is not ACKNOWLEDGE or group is None or not isinstance(message_id, int):
            return
        topic, number = (member.predecessor_ids | member.released_ids).get(message_id, ("", 0))
        if topic in group.cursors:
            evicted = member.end_reason == "evicted" or message_id not in member.released_ids
            cursor = group.cursors[topic]
            is_held = any(of is cursor for of, _ in self._in_flight_under(message_id))
            if evicted:
                cursor.suspects[number] = "LIVE-GONE-3"
            elif not is_held:  # else `_suspect_foreign` has named ACK-OTHER-1
                cursor.suspects.setdefault(number, "ACK-UNKNOWN-1")

    def _in_flight_under(self, message_id: Any) -> "Iterator[tuple[Cursor, InFlightRecord]]":
        wanted = _as_id(message_id)
        for group in self._groups.values():
            for cursor in group.cursors.values():
                for flight in cursor.in_flight.values():
                    if flight.message_id == wanted:
                        yield cursor, flight

    def _find_in_flight(self, group: "GroupModel", name: str, message_id: Any) -> "InFlightRecord | None":
        wanted = _as_id(message_id)
        if wanted is None:
            return None
        for cursor in group.cursors.values():
            if (flight := cursor.find_in_flight(name, wanted)) is not None:
                return flight
        return None


def _as_id(value: Any) -> int | None:
    """Return the `message_id` of a request as a number, which may be a decimal string (ACK-OK-2); None if it is
    neither.
    """
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
