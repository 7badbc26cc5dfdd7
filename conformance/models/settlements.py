"""What acknowledgements and negative acknowledgements do: ACK, NACK, the late ones of LIVE-GONE and REBALANCE."""

from typing import TYPE_CHECKING, Any

from conformance.models.consumer_registry import ACKNOWLEDGE, RETURN, Answer, Consumers, Naming, refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conformance.models.cursors import Cursor, Flight
    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import Member, When


class Settlements:
    """Judges the two operations that end a record's flight."""

    def __init__(self, judge: "Judge", groups: "Mapping[str, GroupModel]", consumers: Consumers) -> None:
        self._judge = judge
        self._groups = groups
        self._consumers = consumers

    def observe_acknowledge(self, name: str, message_id: Any, reply: Answer, when: "When") -> bool:
        """The consumer acknowledged an id. True if that was accepted."""
        flight = self._settle(ACKNOWLEDGE, name, message_id, reply, when)
        if flight is None:
            return False
        group, cursor = self._place_of(name, flight)
        cursor.commit(flight)
        group.came_up_empty.clear()
        for other in self._groups.values():
            if other is not group and cursor.topic.name in other.cursors:
                other.cursors[cursor.topic.name].committed_elsewhere.add(flight.record.number)
        return True

    def observe_return(self, name: str, message_id: Any, reply: Answer, when: "When") -> bool:
        """The consumer acknowledged an id negatively. True if that was accepted."""
        flight = self._settle(RETURN, name, message_id, reply, when)
        if flight is None:
            return False
        group, cursor = self._place_of(name, flight)
        cursor.free(flight, "nack")
        group.came_up_empty.clear()
        return True

    def _place_of(self, name: str, flight: "Flight") -> "tuple[GroupModel, Cursor]":
        group = self._groups[self._consumers.by_name[name].group]
        return group, group.cursors[flight.record.topic]

    def _settle(
        self, naming: Naming, name: str, message_id: Any, reply: Answer, when: "When"
    ) -> "Flight | None":
        """The flight that the operation ended; None if it was refused, and rightly."""
        member = self._consumers.current(name, when)
        if member is None or member.fate:
            self._consumers.named(naming, name, reply, when)
            if member is not None:
                self._suspect_late(naming, member, message_id)
            return None
        group = self._consumers.group_of(member)
        flight = self._flight_under(group, name, message_id)
        if flight is None:
            self._judge_not_in_flight(naming, member, message_id, reply)
            self._suspect_foreign(naming, member, message_id)
            self._suspect_late(naming, member, message_id)
            self._consumers.named(naming, name, reply, when, innocent=False)
            return None
        taken_back = group.may_be_taken_back(flight, when)
        suspect = group.cursors[flight.record.topic].suspects.get(flight.record.number)
        if suspect is not None and (refused(reply) or reply.status in naming.success):
            naming = naming._replace(served=suspect)
        elif refused(reply) and not taken_back and group.is_moving(flight, when):
            naming = naming._replace(served="REBALANCE-2")
        if self._consumers.named(naming, name, reply, when, innocent=not taken_back) is not None:
            if taken_back:
                accepted = reply.status in naming.success
                self._judge(
                    naming.served, accepted, expected=f"{naming.operation}: status 202", observed=reply
                )
            return flight
        if taken_back and not member.fate and member.doubt is None:
            member.late_ids[flight.message_id] = (flight.record.topic, flight.record.number)
            group.cursors[flight.record.topic].free(flight, "revoked")
            group.came_up_empty.clear()
        return None

    def _judge_not_in_flight(self, naming: Naming, member: "Member", message_id: Any, reply: Answer) -> None:
        """The id is not in flight with this consumer: ACK-UNKNOWN-1, ACK-OTHER-1, NACK-UNKNOWN-1, REBALANCE-5."""
        clause, status_clause = "NACK-UNKNOWN-1", "NACK-UNKNOWN-2"
        if naming is ACKNOWLEDGE:
            clause, status_clause = "ACK-UNKNOWN-1", "ACK-UNKNOWN-2"
            late = member.late_ids.get(message_id) if isinstance(message_id, int) else None
            if late is not None and late[0] not in member.dropped:
                clause = "REBALANCE-5"
            elif isinstance(message_id, int) and message_id in member.former_ids:
                clause = "LIVE-GONE-3"
            elif next(self._flights_under(message_id), None) is not None:
                clause = "ACK-OTHER-1"
        why = f"message id {message_id!r} is not in flight with {member.name}"
        self._judge(clause, refused(reply), expected=f"a refusal, 4xx: {why}", observed=reply)
        if member.doubt is None:
            self._judge(status_clause, reply.status == 409, expected=f"status 409: {why}", observed=reply)

    def _suspect_foreign(self, naming: Naming, member: "Member", message_id: Any) -> None:
        """ACK-OTHER-1 is to blame if a record never comes again after a stranger's refused acknowledgement."""
        for cursor, flight in self._flights_under(message_id):
            if naming is ACKNOWLEDGE and flight.consumer != member.name:
                cursor.suspects[flight.record.number] = "ACK-OTHER-1"

    def _suspect_late(self, naming: Naming, member: "Member", message_id: Any) -> None:
        """A late acknowledgement was refused: if it committed all the same, LIVE-GONE-3 or its like is to blame."""
        group = self._groups.get(member.group)
        if naming is not ACKNOWLEDGE or group is None or not isinstance(message_id, int):
            return
        topic, number = (member.former_ids | member.late_ids).get(message_id, ("", 0))
        if topic in group.cursors:
            evicted = member.fate == "evicted" or message_id not in member.late_ids
            clause = "LIVE-GONE-3" if evicted else "ACK-UNKNOWN-1"
            group.cursors[topic].suspects[number] = clause

    def _flights_under(self, message_id: Any) -> "Iterator[tuple[Cursor, Flight]]":
        wanted = _as_id(message_id)
        for group in self._groups.values():
            for cursor in group.cursors.values():
                for flight in cursor.flights.values():
                    if flight.message_id == wanted:
                        yield cursor, flight

    def _flight_under(self, group: "GroupModel", name: str, message_id: Any) -> "Flight | None":
        wanted = _as_id(message_id)
        if wanted is None:
            return None
        for cursor in group.cursors.values():
            if (flight := cursor.by_id(name, wanted)) is not None:
                return flight
        return None


def _as_id(value: Any) -> int | None:
    """A `message_id` of a request as a number: it may be sent as a decimal string (ACK-OK-2)."""
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdecimal() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
