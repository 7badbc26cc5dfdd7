"""What a poll may return: POLL, ORDER, DELIVER, ASSIGN, REBALANCE."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.models import blame
from conformance.models.existence import POLL, Answer, Consumers
from conformance.models.topics import position_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.models.cursors import Cursor, Flight
    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import Member, When
    from conformance.models.topics import Record, TopicModel


@dataclass(slots=True)
class Polled:
    """What a poll brought. `due`: a record that must come once the group's rebalance is settled, but has not yet."""

    flights: "list[Flight]" = field(default_factory=list)
    served: bool = True
    due: "Record | None" = None


class Deliveries:
    """Judges polls against what is known of topics, groups and consumers."""

    def __init__(
        self,
        judge: "Judge",
        topics: "Mapping[str, TopicModel]",
        groups: "Mapping[str, GroupModel]",
        consumers: Consumers,
    ) -> None:
        self._judge = judge
        self._topics = topics
        self._groups = groups
        self._consumers = consumers

    def observe_poll(
        self, name: str, reply: Answer, when: "When", *, max_messages: int | None = None
    ) -> Polled:
        """The consumer polled; `max_messages` if it asked for a batch."""
        member = self._consumers.named(POLL, name, reply, when)
        if member is None:
            return Polled(served=False)
        group = self._consumers.group_of(member)
        if reply.status != 200:
            return Polled(due=self._came_up_empty(member, group, reply, when))
        items: list[Any] = [reply.body]
        if max_messages is not None:
            items = self._batch(reply, max_messages)
        return Polled([self._delivered(member, group, item, when) for item in items])

    def _batch(self, reply: Answer, max_messages: int) -> list[Any]:
        records = reply.body.get("records") if isinstance(reply.body, dict) else None
        fits = isinstance(records, list) and 1 <= len(records) <= max_messages
        self._judge("POLL-BATCH-1", fits, expected=f'{{"records": [1 to {max_messages} records]}}', observed=reply)
        return records if isinstance(records, list) else []

    def _delivered(self, member: "Member", group: "GroupModel", item: Any, when: "When") -> "Flight":
        record, message_id = self._recognise(member, group, item, when)
        cursor = group.cursors[record.topic]
        self._judge_in_flight(member, group, cursor, record, item, when)
        self._judge_order(member, group, cursor, record, item, when)
        if "redelivered" in item:
            self._judge(
                "POLL-REDELIVERED-1",
                item["redelivered"] is (record.number in cursor.delivered),
                expected=f"redelivered {record.number in cursor.delivered}: {record}",
                observed=item,
            )
        flight = cursor.take(record, member.name, message_id, when.earliest)
        self._judge_owner(member, group, cursor, record, item, when)
        return flight

    def _recognise(self, member: "Member", group: "GroupModel", item: Any, when: "When") -> "tuple[Record, int]":
        """POLL-OK-1 and -2, DELIVER-4, POLL-NONE-1, PUB-TEXT-1: the record that the reply carries."""
        shaped = _is_shaped(item)
        empty = not isinstance(item, dict) or item.get("messageId") is None
        self._judge(
            "POLL-EMPTY-1" if empty else "POLL-OK-1",
            shaped,
            expected="200 with messageId and message {message, key, topicName, timestamp}, or another status",
            observed=item,
        )
        message, message_id = item["message"], item["messageId"]
        topic = self._topics.get(message["topicName"])
        record = topic.by_text.get(message["message"]) if topic is not None else None
        if topic is None or record is None:
            self._judge("DELIVER-4", False, expected="a record that was published and accepted", observed=item)
            raise AssertionError("a failed MUST raises")
        if topic.name not in member.topics:
            dropped = "MEMBER-UNSUBSCRIBE-1" if topic.name in member.dropped else "POLL-NONE-1"
            self._judge(
                dropped, False, expected=f"only records of {sorted(member.topics)}, its subscriptions", observed=item
            )
        self._judge(
            "PUB-TEXT-1",
            (message["key"] or None) == record.key,
            expected=f"key {record.key!r} as published",
            observed=item,
        )
        if topic.positions and record.offset is not None:
            self._judge(
                "PUB-POSITION-1",
                position_of(item) in ((topic.placement.number(record.node), record.offset), (None, None)),
                expected=f"partition {topic.placement.number(record.node)}, offset {record.offset} as when published",
                observed=item,
            )
        twin = self._in_flight_under(message_id, record, when)
        self._judge(
            "POLL-OK-2",
            twin is None,
            expected="an integer messageId that no other record in flight has",
            observed=f"{item}; under the same id in flight: {twin}" if twin else item,
        )
        return record, message_id

    def _in_flight_under(self, message_id: int, record: "Record", when: "When") -> "Record | None":
        for group in self._groups.values():
            for cursor in group.cursors.values():
                for flight in cursor.flights.values():
                    if flight.message_id == message_id and flight.record is not record:
                        return flight.record if group.is_sure(flight, when) else None
        return None

    def _judge_in_flight(
        self, member: "Member", group: "GroupModel", cursor: "Cursor", record: "Record", item: Any, when: "When"
    ) -> None:
        """ACK-COMMIT-1, DELIVER-3, REBALANCE-2: a record comes twice only where something gave it back."""
        committed = cursor.is_committed(record)
        self._judge(
            blame.for_acknowledged(record, cursor) if committed else "ACK-COMMIT-1",
            not committed,
            expected=f"no record that group {group.name} has acknowledged",
            observed=item,
        )
        flight = cursor.flights.get(record.number)
        if flight is None:
            return
        moving = flight.consumer != member.name and not group.is_settled(when)
        sure = group.is_sure(flight, when)
        clause = "REBALANCE-2" if moving and len(group.subscribers(record.topic)) > 1 else "DELIVER-3"
        self._judge(
            clause,
            not sure,
            expected=f"no second delivery: {record} is in flight with {flight.consumer}, neither settled nor released",
            observed=item,
        )
        holder = group.members.get(flight.consumer)
        if holder is not None and holder.doubt is not None and not group.may_be_taken_back(flight, when):
            group.proved_gone(holder, when)
        else:
            if holder is not None:
                holder.late_ids[flight.message_id] = (record.topic, record.number)
            cursor.free(flight, "revoked")

    def _judge_order(
        self, member: "Member", group: "GroupModel", cursor: "Cursor", record: "Record", item: Any, when: "When"
    ) -> None:
        """ORDER-1 and ORDER-2, or what else would let a record be overtaken; where partitions are told, exactly."""
        topic = cursor.topic
        for other in cursor.earlier(record):
            if topic.same(other, record):
                self._judge(
                    blame.for_overtaking(other, group, cursor, member.name, when),
                    False,
                    expected=f"{other} acknowledged before a later record of its partition is delivered",
                    observed=item,
                )
            topic.placement.separate(other.node, record.node)
        for flight in list(cursor.flights.values()):
            if group.is_sure(flight, when) and not topic.placement.separate(flight.record.node, record.node):
                self._judge("ORDER-2", False, expected=f"{flight.record} settled first", observed=item)
        self._judge("ORDER-1", True, expected="in order", observed="in order")
        self._judge("ORDER-2", True, expected="one in flight", observed="one in flight")
        if not topic.positions:
            crowded = topic.placement.partitions is not None and len(cursor.flights) >= topic.placement.partitions
            sure = sum(group.is_sure(flight, when) for flight in cursor.flights.values())
            self._judge(
                "ORDER-2" if crowded and sure >= (topic.placement.partitions or 0) else "ORDER-1",
                topic.placement.feasible(),
                expected=f"an order of deliveries that {topic.placement.partitions} partitions can explain",
                observed=item,
            )

    def _judge_owner(
        self, member: "Member", group: "GroupModel", cursor: "Cursor", record: "Record", item: Any, when: "When"
    ) -> None:
        """ASSIGN-1 and ASSIGN-2, once every rebalance must be settled; before that owners may be in transition."""
        subscribers = group.subscribers(record.topic)
        if len(subscribers) < 2 or not group.is_settled(when) or not group.membership_is_certain(record.topic):
            return
        owner = cursor.owner(record)
        self._judge(
            "ASSIGN-1",
            owner is None or owner == member.name,
            expected=f"the partition's records only to its owner, {owner}, until the next rebalance",
            observed=f"{member.name} got {item}",
        )
        cursor.owners[record.node] = member.name
        partitions = cursor.topic.placement.partitions
        if partitions is None:
            return
        most = -(-partitions // len(subscribers))
        owned = cursor.owned(member.name)
        self._judge(
            "ASSIGN-2",
            owned <= most,
            expected=f"at most {most} of {partitions} partitions for each of {len(subscribers)} consumers",
            observed=f"{member.name} got records of {owned} partitions, the last {item}",
        )

    def _came_up_empty(
        self, member: "Member", group: "GroupModel", reply: Answer, when: "When"
    ) -> "Record | None":
        """POLL-FAIR-1 and all that promises a delivery: nothing came. The record that is due, if it may still come."""
        group.came_up_empty.add(member.name)
        self._judge("POLL-EMPTY-2", reply.status == 204, expected="status 204", observed=reply)
        settled = group.is_settled(when)
        due = None
        for topic in sorted(member.topics):
            record = self._due(member, group, topic)
            if record is None:
                self._judge_balance(group, topic, when)
                continue
            if settled:
                self._judge(
                    blame.for_missing(record, group, self._groups.values()),
                    False,
                    expected=f"a record: {record} is free, and {member.name} or its like must own the partition",
                    observed=reply,
                )
            due = record
        if due is None and settled:
            self._judge("POLL-EMPTY-1", True, expected="empty", observed="empty")
            for topic in member.topics:
                group.cursors[topic].reason = ""
            if len(self._groups) > 1:
                self._judge("ISOLATE-1", True, expected="all came", observed="all came")
        return due

    def _due(self, member: "Member", group: "GroupModel", topic: str) -> "Record | None":
        subscribers = group.subscribers(topic)
        if len(subscribers) == 1:
            return group.owed(topic, None)
        record = group.owed(topic, member.name)
        everyone = all(other.doubt is None and other.name in group.came_up_empty for other in subscribers)
        return group.owed(topic, None) if record is None and everyone else record

    def _judge_balance(self, group: "GroupModel", topic: str, when: "When") -> None:
        """ASSIGN-2 from below: with a record of every partition in flight, each subscriber has its share."""
        cursor, subscribers = group.cursors[topic], group.subscribers(topic)
        partitions = cursor.topic.placement.partitions
        if (
            partitions is None
            or len(subscribers) < 2
            or len(cursor.flights) < partitions
            or not group.is_settled(when)
            or not group.membership_is_certain(topic)
        ):
            return
        shares = {other.name: cursor.owned(other.name) for other in subscribers}
        if sum(shares.values()) == partitions:
            least = partitions // len(subscribers)
            self._judge(
                "ASSIGN-2",
                min(shares.values()) >= least,
                expected=f"at least {least} of {partitions} partitions for each of {len(subscribers)} consumers",
                observed=shares,
            )


def _is_shaped(item: Any) -> bool:
    """The members of a delivered record that the text requires: POLL-OK-1."""
    if not isinstance(item, dict):
        return False
    message, message_id = item.get("message"), item.get("messageId")
    return (
        isinstance(message_id, int)
        and not isinstance(message_id, bool)
        and isinstance(message, dict)
        and isinstance(message.get("message"), str)
        and isinstance(message.get("topicName"), str)
        and isinstance(message.get("key", 0), str | None)
        and "timestamp" in message
    )
