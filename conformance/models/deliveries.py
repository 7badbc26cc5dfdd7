"""Replies to polls: POLL-*, ORDER-1, ORDER-2, DELIVER-*, REBALANCE-2, and POLL-BATCH-1.

Condition, for a record r of partition p delivered to a consumer c of group g: r was published, g has not committed
it, it is not in flight in g, every earlier record of p is committed in g, and no other record of p is in flight in g.
For an empty poll of c: no partition that c owns has a free record.

No false alarm: a record counts as in flight only while its holder cannot have been evicted and no rebalance can have
taken it back; two records count as one partition only if equal keys or the server's positions prove it; an empty poll
is judged only once every rebalance must be settled, for a record whose owner is known or that every subscriber failed
to get.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.models.assignments import judge_owner, judge_share_sizes
from conformance.models.clause_attribution import (
    clause_of_committed_record,
    clause_of_missing_record,
    clause_of_skipped_record,
    clauses_kept,
)
from conformance.models.consumer_registry import POLL, ConsumerRegistry, OperationReply
from conformance.models.record_matching import MatchedRecord, RecordMatcher

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from conformance.models.cursors import InFlightRecord
    from conformance.models.groups import GroupModel
    from conformance.models.judging import Judge
    from conformance.models.members import Member, TimeInterval
    from conformance.models.topics import Record, TopicModel


@dataclass(slots=True)
class PollOutcome:
    """Records that a poll delivered, and `due`: a record that must come once the rebalance is settled, and has not
    yet.
    """

    in_flight: "list[InFlightRecord]" = field(default_factory=list)
    served: bool = True
    due: "Record | None" = None


class Deliveries:
    """Judge of polls, given the known state of topics, groups and consumers."""

    def __init__(
        self,
        judge: "Judge",
        topics: "Mapping[str, TopicModel]",
        groups: "Mapping[str, GroupModel]",
        consumers: ConsumerRegistry,
        removed_texts: "Collection[tuple[str, str]]" = frozenset(),
    ) -> None:
        self._judge = judge
        self._groups = groups
        self._registry = consumers
        self._matcher = RecordMatcher(judge, topics, groups, removed_texts)

    def observe_poll(
        self,
        name: str,
        reply: OperationReply,
        when: "TimeInterval",
        *,
        max_messages: int | None = None,
        is_registered: bool = False,
    ) -> PollOutcome:
        """Judge the reply to a poll.

        `max_messages`: the size of the requested batch, None for a single record. `is_registered`: True if a later
        heartbeat proved the consumer registered.
        """
        member = self._registry.judge_named(POLL, name, reply, when, is_registered=is_registered)
        if member is None:
            return PollOutcome(served=False)
        group = self._registry.group_of(member)
        if reply.status != 200:
            return PollOutcome(due=self._judge_empty_poll(member, group, reply, when))
        items = [reply.body] if max_messages is None else self._batch(reply, max_messages)
        return PollOutcome([self._delivered(member, group, item, when) for item in items])

    def must_deliver(self, name: str, when: "TimeInterval") -> bool:
        """True if a poll of the consumer had to bring a record at every moment of `when`, by one that brought none."""
        member = self._registry.by_name.get(name)
        group = self._groups.get(member.group) if member is not None and not member.end_reason else None
        if member is None or group is None or not group.is_settled(when):
            return False
        group.polled_empty.add(name)
        return any(self._due(member, group, topic) is not None for topic in member.topics)

    def _batch(self, reply: OperationReply, max_messages: int) -> list[Any]:
        records = reply.body.get("records") if isinstance(reply.body, dict) else None
        self._judge(
            "POLL-BATCH-1",
            isinstance(records, list) and 1 <= len(records) <= max_messages,
            expected=f'{{"records": […]}} with 1 to {max_messages} records',
            observed=reply,
        )
        return records if isinstance(records, list) else []

    def _delivered(
        self, member: "Member", group: "GroupModel", item: Any, when: "TimeInterval"
    ) -> "InFlightRecord":
        delivery = self._matcher.match(member, group, item, when)
        cursor, number = delivery.cursor, delivery.record.number
        cursor.is_there(delivery.record)
        self._judge_in_flight(delivery)
        self._judge_order(delivery)
        if "redelivered" in item:
            again = number in cursor.delivered
            self._judge(
                "POLL-REDELIVERED-1",
                item["redelivered"] is again,
                expected="redelivered true: the record was handed out before"
                if again
                else "redelivered false: the record was never handed out before",
                observed=item,
            )
        self._pass(*clauses_kept(delivery.record, group, cursor))
        flight = cursor.hand_out(delivery.record, member.name, delivery.message_id, when.earliest)
        judge_owner(self._judge, delivery)
        return flight

    def _pass(self, *clauses: str) -> None:
        for clause in clauses:
            self._judge(clause, True, expected="delivered", observed="delivered")

    def _judge_in_flight(self, delivery: MatchedRecord) -> None:
        """ACK-COMMIT-1, DELIVER-3, REBALANCE-2: no delivery of a committed record, nor of one in flight."""
        member, group, cursor, record, _, item, when = delivery
        committed = cursor.is_committed(record)
        self._judge(
            clause_of_committed_record(record, cursor) if committed else "ACK-COMMIT-1",
            not committed,
            expected="no record that the group has acknowledged",
            observed=item,
        )
        flight = cursor.in_flight.get(record.number)
        if flight is None:
            self._judge("DELIVER-3", True, expected="not in flight", observed="not in flight")
            return
        moving = flight.consumer != member.name and not group.is_settled(when)
        self._judge(
            "REBALANCE-2" if moving and len(group.subscribers(record.topic)) > 1 else "DELIVER-3",
            not group.must_be_in_flight(flight, when),
            expected=f"no second delivery: {record} is in flight with {flight.consumer}",
            observed=f"{member.name} got {item}",
        )
        holder = group.members.get(flight.consumer)
        if (
            holder is not None
            and holder.possible_eviction is not None
            and not group.may_be_taken_back(flight, when)
        ):
            group.proved_evicted(holder, when)
        else:
            if holder is not None:
                holder.released_ids[flight.message_id] = (record.topic, record.number)
            cursor.release(flight, "revoked")

    def _judge_order(self, delivery: MatchedRecord) -> None:
        """ORDER-1 and ORDER-2; without positions, as far as the deliveries prove which records share a partition."""
        member, group, cursor, record, _, item, when = delivery
        topic = cursor.topic
        for other in cursor.earlier(record):
            if topic.same(other, record):
                self._judge(
                    clause_of_skipped_record(other, group, cursor, member.name, when),
                    False,
                    expected=f"{other} acknowledged before a later record of its partition is delivered",
                    observed=item,
                )
            topic.partition_classes.separate(other.node, record.node)
        for flight in cursor.in_flight.values():
            if group.must_be_in_flight(flight, when):
                self._judge(
                    "ORDER-2",
                    topic.partition_classes.separate(flight.record.node, record.node),
                    expected="one record of a partition in flight at a time",
                    observed=item,
                )
        self._pass("ORDER-1", "ORDER-2")
        partitions = topic.partition_classes.partitions
        if not topic.positions and partitions is not None and not topic.partition_classes.is_feasible():
            in_flight = sum(group.must_be_in_flight(flight, when) for flight in cursor.in_flight.values())
            self._judge(
                "ORDER-2" if in_flight >= partitions else "ORDER-1",
                False,
                expected=f"an order of deliveries that {partitions} partitions can explain",
                observed=item,
            )

    def _judge_empty_poll(
        self, member: "Member", group: "GroupModel", reply: OperationReply, when: "TimeInterval"
    ) -> "Record | None":
        """Judge an empty poll. Returns a record that is due after a rebalance that may still be under way, or None."""
        group.polled_empty.add(member.name)
        self._judge("POLL-EMPTY-2", reply.status == 204, expected="status 204", observed=reply)
        settled = group.is_settled(when)
        due = None
        for topic in sorted(member.topics):
            record = self._due(member, group, topic)
            if record is None:
                self._judge_exhausted(group, topic, when)
                continue
            if settled:
                self._judge(
                    clause_of_missing_record(record, group),
                    False,
                    expected=f"{record}: it is free, and its partition must have an owner",
                    observed=reply,
                )
            due = record
        if due is None and settled:
            self._pass("POLL-EMPTY-1")
        return due

    def _due(self, member: "Member", group: "GroupModel", topic: str) -> "Record | None":
        """Return a record that the poll had to deliver: one the consumer owns, or one that no subscriber got; or
        None.
        """
        subscribers = group.subscribers(topic)
        if len(subscribers) == 1:
            return group.due_record(topic, None)
        record = group.due_record(topic, member.name)
        everyone = all(
            other.possible_eviction is None and other.name in group.polled_empty for other in subscribers
        )
        return group.due_record(topic, None) if record is None and everyone else record

    def _judge_exhausted(self, group: "GroupModel", topic: str, when: "TimeInterval") -> None:
        """Record the clauses kept by polls that returned nothing of the topic to any of its subscribers."""
        subscribers = group.subscribers(topic)
        if not all(
            other.possible_eviction is None and other.name in group.polled_empty for other in subscribers
        ):
            return
        cursor = group.cursors[topic]
        if len(cursor.in_flight) > 1:
            self._pass("POLL-FAIR-1")
        if not cursor.uncommitted and cursor.topic.records:
            self._pass("DELIVER-1")
        if len(subscribers) > 1 and cursor.in_flight and not group.is_settled(when):
            self._pass("REBALANCE-2")
        if group.is_settled(when):
            cursor.suspect("")
        if len(self._groups) > 1:
            self._pass("ISOLATE-1")
        judge_share_sizes(self._judge, group, topic, when)
