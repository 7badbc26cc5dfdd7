"""The model of the whole queue: one `observe_…` method for each operation, called with each reply in order.

Times are intervals in seconds (`TimeInterval`) of the group's time; every group may have a clock of its own. Every
method raises `Violation`, through the judge, if the text does not allow the reply.

Condition of the operations judged here: adding, removing and publishing succeed for known names, and are refused with
4xx for unknown, taken or malformed ones.

No false alarm: all names belong to this run, so no other client creates, removes or takes them.
"""

from typing import TYPE_CHECKING, Any

from conformance.models.consumer_registry import (
    HEARTBEAT,
    SUBSCRIBE,
    UNREGISTER,
    UNSUBSCRIBE,
    ConsumerRegistry,
    OperationReply,
    is_refusal,
    judge_refusal,
)
from conformance.models.deliveries import Deliveries, PollOutcome
from conformance.models.groups import GroupModel
from conformance.models.members import Member, TimeInterval, Timings
from conformance.models.settlements import Settlements
from conformance.models.topic_removal import RemovedTopics
from conformance.models.topics import Record, TopicModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.models.judging import Judge


class QueueModel:
    """Known state of the topics, groups and consumers that one run created, under names of its own."""

    def __init__(
        self,
        judge: "Judge",
        timings: Timings,
        *,
        partitions: int | None,
        positions: bool,
        frees: bool = False,
    ) -> None:
        """`frees`: True if the server has extension retention."""
        self._judge = judge
        self._timings = timings
        self._partitions = partitions
        self._positions = positions
        self._frees = frees
        self.topics: dict[str, TopicModel] = {}
        self.groups: dict[str, GroupModel] = {}
        self._removed: set[str] = set()
        self.registry = ConsumerRegistry(judge, self.groups)
        self._removed_topics = RemovedTopics(judge, self.topics, self.groups)
        self._deliveries = Deliveries(
            judge, self.topics, self.groups, self.registry, self._removed_topics.texts
        )
        self._settlements = Settlements(judge, self.groups, self.registry)

    # Topics

    def observe_add_topic(
        self, name: str, reply: OperationReply, partitions: int | None = None, *, is_alias: bool = False
    ) -> None:
        """Judge the reply to add-topic, sent with `partitions` unless None: TOPIC-ADD-1 to TOPIC-ADD-3.

        `is_alias`: True for the other spelling of the path (TOPIC-ALIAS-1).
        """
        if name in self.topics:
            judge_refusal(self._judge, ("TOPIC-ADD-2", "TOPIC-ADD-3"), 409, reply, "the topic exists")
            self.topics[name].was_added_again = True
            for group in self.groups.values():
                if name in group.cursors:
                    group.cursors[name].suspect("TOPIC-ADD-2")
            return
        was_removed = name in self._removed_topics.names
        clause = "TOPIC-ALIAS-1" if is_alias else "TOPIC-REMOVE-10" if was_removed else "TOPIC-ADD-1"
        self._judge(clause, reply.status == 200, expected="add-topic: status 200", observed=reply)
        topic = self.topics[name] = TopicModel(
            name, partitions or self._partitions, positions=self._positions, judge=self._judge
        )
        topic.frees = self._frees
        topic.was_removed_before = was_removed

    def observe_remove_topic(
        self, name: str, reply: OperationReply, when: "Mapping[str, TimeInterval]"
    ) -> None:
        """Judge the reply to remove-topic (extension topic-removal); `when` by the name of each group that reads it."""
        self._removed_topics.observe(name, reply, when)

    def observe_publish(
        self,
        topic: str,
        label: str | int,
        key: str | None,
        text: str,
        reply: OperationReply,
        *,
        is_alias: bool = False,
    ) -> Record | None:
        """Judge the reply to a well-formed publish. Returns the stored record, or None if the topic is unknown.

        `is_alias`: True for the other spelling of the path (PUB-ALIAS-1).
        """
        known = self.topics.get(topic)
        if known is None:
            judge_refusal(self._judge, ("PUB-TOPIC-1", "PUB-TOPIC-2"), 404, reply, "no such topic")
            return None
        clause = "PUB-ALIAS-1" if is_alias else "PUB-STORE-1" if key else "PUB-KEY-1"
        self._judge(clause, reply.status == 200, expected="publish: status 200", observed=reply)
        record = known.store(label, key, text, reply.body)
        for group in self.groups.values():
            if topic in group.cursors:
                group.cursors[topic].published(record)
                group.polled_empty.clear()
        return record

    def observe_bad_publish(self, reply: OperationReply) -> None:
        """Judge the reply to a publish that lacks a required member or has one of a wrong type (PUB-BODY-1)."""
        wanted = "a refusal, 4xx: a member is missing or of a wrong type"
        self._judge("PUB-BODY-1", is_refusal(reply), expected=wanted, observed=reply)

    # Groups

    def observe_add_group(self, name: str, reply: OperationReply, when: TimeInterval) -> None:
        """Judge the reply to adding a group, for the first time or again: GROUP-ADD-1, GROUP-ADD-2."""
        again = name in self.groups
        clause = "GROUP-ADD-2" if again else "GROUP-ADD-1"
        self._judge(clause, reply.status == 200, expected="consumer-group/add: status 200", observed=reply)
        if again:
            self.groups[name].refresh(when)
            for cursor in self.groups[name].cursors.values():
                cursor.suspect("GROUP-ADD-2")
        else:
            self.groups[name] = GroupModel(name, self._timings, was_removed_before=name in self._removed)

    def observe_remove_group(self, name: str, reply: OperationReply, when: TimeInterval) -> None:
        """Judge the reply to removing a group: its members and offsets are gone (GROUP-REMOVE-1 to GROUP-REMOVE-5)."""
        group = self.groups.get(name)
        if group is None:
            judge_refusal(self._judge, ("GROUP-REMOVE-4", "GROUP-REMOVE-5"), 404, reply, "no such group")
            return
        self._judge("GROUP-REMOVE-1", reply.status == 202, expected="remove: status 202", observed=reply)
        group.refresh(when)
        for member in list(group.members.values()):
            group.end(member, "removed")
        del self.groups[name]
        self._removed.add(name)
        for topic in group.cursors:
            self._settlements.note_committed_by_all(self.topics[topic])

    # Members

    def observe_register(
        self,
        group_name: str,
        name: str,
        reply: OperationReply,
        when: TimeInterval,
        *,
        at_holder: TimeInterval | None = None,
    ) -> None:
        """Judge the reply to a registration: MEMBER-REGISTER-1 to MEMBER-REGISTER-5, LIVE-GONE-4.

        `at_holder`: the same interval in the time of the group that holds the name now; `when` if None.
        """
        at_holder = at_holder or when
        holder = self.registry.current(name, at_holder)
        group = self.groups.get(group_name)
        if group is None:
            judge_refusal(
                self._judge, ("MEMBER-REGISTER-2", "MEMBER-REGISTER-3"), 404, reply, "no such group"
            )
            return
        if holder is not None and not holder.end_reason and holder.possible_eviction is None:
            judge_refusal(
                self._judge, ("MEMBER-REGISTER-4", "MEMBER-REGISTER-5"), 409, reply, "the name is taken"
            )
            holder.may_have_signed(at_holder)
            return
        if holder is not None and not holder.end_reason:
            if is_refusal(reply):
                holder.may_have_signed(at_holder)
                return
            self.registry.group_of(holder).proved_evicted(holder, at_holder)
        again = holder is not None and holder.end_reason == "evicted"
        clause = "LIVE-GONE-4" if again else "MEMBER-REGISTER-1"
        self._judge(clause, reply.status == 200, expected="register-consumer: status 200", observed=reply)
        member = self.registry.by_name[name] = Member(name, group_name, when)
        if again and holder is not None and holder.group == group_name:
            member.predecessor_ids = holder.released_ids
        group.members[name] = member

    def observe_unregister(self, name: str, reply: OperationReply, when: TimeInterval) -> None:
        """Judge the reply to unregister (extension unregister)."""
        member = self.registry.judge_named(UNREGISTER, name, reply, when)
        if member is not None:
            self.registry.group_of(member).end(member, "left", when)

    def observe_subscribe(
        self, name: str, topics: "Iterable[str]", reply: OperationReply, when: TimeInterval
    ) -> None:
        """Judge the reply to a subscription to known or unknown topics: MEMBER-SUBSCRIBE-1 to MEMBER-SUBSCRIBE-4."""
        wanted = list(topics)
        known = all(topic in self.topics for topic in wanted)
        holder = self.registry.by_name.get(name)
        again = holder is not None and set(wanted) <= holder.topics
        operation = SUBSCRIBE._replace(served_clause="MEMBER-SUBSCRIBE-4") if again else SUBSCRIBE
        member = self.registry.judge_named(operation, name, reply, when, otherwise_valid=known)
        if not known:
            self._must_refuse_topics(("MEMBER-SUBSCRIBE-2", "MEMBER-SUBSCRIBE-3"), wanted, reply)
            if holder is not None:
                holder.refused_topics.update(wanted)
        if member is None or not known or again:
            return
        group = self.registry.group_of(member)
        for topic in wanted:
            group.cursor(self.topics[topic])
        member.topics.update(wanted)
        group.trigger(when)

    def observe_unsubscribe(
        self, name: str, topics: "Iterable[str]", reply: OperationReply, when: TimeInterval
    ) -> None:
        """Judge the reply to unsubscribe. A topic without a subscription may be refused or ignored."""
        wanted = list(topics)
        known = all(topic in self.topics for topic in wanted)
        current = self.registry.current(name, when)
        subscribed = current is not None and set(wanted) <= current.topics
        member = self.registry.judge_named(
            UNSUBSCRIBE, name, reply, when, otherwise_valid=known and subscribed
        )
        if not known:
            self._must_refuse_topics(("MEMBER-UNSUBSCRIBE-2", "MEMBER-UNSUBSCRIBE-3"), wanted, reply)
        if member is None or not known:
            return
        group = self.registry.group_of(member)
        for topic in wanted:
            if topic in member.topics:
                member.topics.discard(topic)
                member.unsubscribed_topics.add(topic)
                member.refused_topics.discard(topic)
                group.release(member, topic, "unsubscribed")
                group.cursors[topic].suspect("MEMBER-UNSUBSCRIBE-4")
        group.trigger(when)

    def _must_refuse_topics(self, clauses: tuple[str, str], topics: list[str], reply: OperationReply) -> None:
        unknown = [topic for topic in topics if topic not in self.topics]
        judge_refusal(self._judge, clauses, 404, reply, f"no topic {unknown}")

    def observe_heartbeat(self, name: str, reply: OperationReply, when: TimeInterval) -> None:
        """Judge the reply to a heartbeat: LIVE-BEAT-1 to LIVE-BEAT-3."""
        self.registry.judge_named(HEARTBEAT, name, reply, when)

    # Deliveries

    def observe_poll(
        self,
        name: str,
        reply: OperationReply,
        when: TimeInterval,
        *,
        max_messages: int | None = None,
        is_registered: bool = False,
    ) -> PollOutcome:
        """Judge the reply to a poll; `max_messages` for a batch (extension batch-poll).

        `is_registered`: True if a heartbeat after a refused poll proved the consumer registered.
        """
        return self._deliveries.observe_poll(
            name, reply, when, max_messages=max_messages, is_registered=is_registered
        )

    def is_wrongly_empty(self, name: str, reply: OperationReply, when: TimeInterval) -> bool:
        """True if the reply to a poll of a registered consumer is an empty one, which breaks a clause."""
        is_empty = reply.status != 200 and not is_refusal(reply)
        return is_empty and self._deliveries.must_deliver(name, when)

    def observe_acknowledge(
        self, name: str, message_id: Any, reply: OperationReply, when: TimeInterval
    ) -> bool:
        """Judge the reply to an acknowledgement. Returns True if it was accepted."""
        return self._settlements.observe_acknowledge(name, message_id, reply, when)

    def observe_negative_acknowledge(
        self, name: str, message_id: Any, reply: OperationReply, when: TimeInterval
    ) -> bool:
        """Judge the reply to a negative acknowledgement. Returns True if it was accepted."""
        return self._settlements.observe_negative_acknowledge(name, message_id, reply, when)
