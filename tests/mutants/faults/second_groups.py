"""Faults of groups in a second rewrite: shares, moves that are called off, times of a group, and what names stand for.

Their models are public reports on static members of Kafka, on consumers of Redis Streams that are deleted and made
again, and on pending acknowledgements of NATS JetStream; the others are slips of a state machine.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from reference_server.queue import group as groups
from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.topic import Topic


# Shares


@fault("ASSIGN-2", "ASSIGN-3", bindings=HTTP)
def shares_are_counted_over_all_topics() -> None:
    """A free partition goes to the member that owns least in the whole group, not in the topic."""

    @replace(groups, "assign")
    def assign(owners: Sequence[Any], members: Sequence[Any]) -> list[Any]:
        if not members:
            return [None] * len(owners)
        fewest, larger = divmod(len(owners), len(members))
        elsewhere = {each: sum(1 for _ in each.assigned) - list(owners).count(each) for each in members}
        dealt: list[Any] = [owner if owner in elsewhere else None for owner in owners]
        for member in members:
            while dealt.count(member) > fewest + bool(larger):
                dealt[len(dealt) - 1 - dealt[::-1].index(member)] = None
        for index, owner in enumerate(dealt):
            if owner is None:
                dealt[index] = min(members, key=lambda each: elsewhere[each] + dealt.count(each))
        return dealt


@fault("ASSIGN-2", "ASSIGN-1", bindings=STOMP)
def who_stands_by_in_one_topic_stands_by_in_all() -> None:
    """A member that owns nothing of the topic it joined first gets nothing of later ones: one flag for all."""
    right = groups.assign

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        def stands_by(member: Consumer) -> bool:
            first = next(iter(member.topics), topic)
            return first != topic and all(cursor.owner is not member for cursor in self.cursors[first])

        def assign(owners: Sequence[Any], members: Sequence[Any]) -> list[Any]:
            return right(owners, [each for each in members if not stands_by(each)] or members)

        groups.assign = assign
        original(self, topic, now)
        groups.assign = right


@fault("ASSIGN-4", bindings=HTTP)
def a_departure_deals_all_partitions_anew() -> None:
    """With three members and more the shares are dealt anew when one leaves, though the heirs are clear."""
    right = groups.assign

    @replace(groups, "assign")
    def assign(owners: Sequence[Any], members: Sequence[Any]) -> list[Any]:
        present = [owner for owner in owners if owner in members]
        if len(members) > 2 and None in owners and present:
            return [members[index % len(members)] for index in range(len(owners))]
        return right(owners, members)


@fault("ASSIGN-1", "REBALANCE-1", bindings=HTTP)
def a_topic_joined_while_another_one_moves_waits_for_it() -> None:
    """A subscription deals out nothing while a partition of another topic of the group waits to move."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        others = [each for name, found in self.cursors.items() if name != topic for each in found]
        if not any(each.next_owner is not None for each in others):
            original(self, topic, now)


# Moves that are called off, or follow one another


@fault("DELIVER-3", "ACK-OK-1", bindings=HTTP)
def a_move_that_was_called_off_takes_the_record_back() -> None:
    """The newcomer leaves again, and at the end of the time its owner's record is taken back all the same."""
    planned: dict[Cursor, float] = {}

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        for cursor in self.cursors[topic]:
            if cursor.next_owner is not None:
                planned.setdefault(cursor, cursor.overdue)

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        planned.pop(self, None)
        original(self, commit=commit)

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for cursor in self.all_cursors():
            if cursor.in_flight is not None and planned.get(cursor, math.inf) <= now:
                cursor.settle(commit=False)
        silent: list[Consumer] = original(self, now)
        return silent

    @wrap(Group, "next_deadline")
    def deadline(original: Any, self: Group) -> float:
        due = min((planned.get(each, math.inf) for each in self.all_cursors()), default=math.inf)
        return min(original(self), due - self.clock_offset)


@fault("REBALANCE-5", "REBALANCE-2", bindings=HTTP)
def the_time_of_a_move_counts_from_the_delivery() -> None:
    """A record that a move waits for is taken back when it was in flight for so long, however young the move is."""
    handed: dict[Cursor, float] = {}

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is not None:
            handed[consumer.held[delivery.message_id]] = self.now + consumer.group.clock_offset
        return delivery

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        for cursor in self.cursors[topic]:
            if cursor.next_owner is not None:
                cursor.overdue = handed.get(cursor, now) + self.settings.rebalance_timeout


@fault("REBALANCE-2", "DELIVER-3", "ACK-OK-1", bindings=STOMP)
def a_third_member_does_not_wait() -> None:
    """A partition that waits to move goes at once to a third member that comes meanwhile: it is free on paper."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        waiting = [c for t in topics for c in self.cursors.get(t.name, ()) if c.next_owner is not None]
        original(self, consumer, topics, now)
        for cursor in waiting:
            if cursor.next_owner is consumer and cursor.in_flight is not None:
                cursor.settle(commit=False)


@fault("ACK-OK-1", "REBALANCE-2", bindings=HTTP)
def a_move_ends_acknowledgements_of_its_topic() -> None:
    """From the start of a move on its holder's acknowledgements are refused, and its giving back is not."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        if commit and cursor is not None and cursor.next_owner is not None:
            number = -1
        original(self, consumer, number, commit=commit)


# Records in flight


@fault("NACK-OK-1", "NACK-AGAIN-1", bindings=HTTP)
def giving_back_frees_the_oldest() -> None:
    """Giving back one of several records frees the one that the consumer has held longest: a list's first element."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        if not commit and number in consumer.held:
            number = next(iter(consumer.held))
        original(self, consumer, number, commit=commit)


@fault("ACK-COMMIT-2", "ACK-COMMIT-1", bindings=STOMP)
def the_third_acknowledgement_settles_the_latest() -> None:
    """A consumer that holds three records or more settles the one it polled last, whichever it acknowledges."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        if commit and len(consumer.held) > 2 and number in consumer.held:
            number = next(reversed(consumer.held))
        original(self, consumer, number, commit=commit)


@fault("NACK-AGAIN-1", "ORDER-1", bindings=STOMP)
def what_is_given_back_comes_after_all_other_partitions() -> None:
    """A record that is given back is put aside until its consumer holds nothing else."""
    aside: dict[Cursor, Consumer] = {}

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        original(self, consumer, number, commit=commit)
        if cursor is not None and not commit:
            aside[cursor] = consumer

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        holder = aside.get(self)
        if holder is not None and holder is self.owner and holder.held:
            return False
        aside.pop(self, None)
        return bool(original(self))


@fault("POLL-REDELIVERED-1", bindings=HTTP)
def a_group_without_members_forgets_what_it_was_handed() -> None:
    """`redelivered` is false for a record that was handed out before the last member unsubscribed."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        for cursor in self.cursors[topic]:
            if cursor.owner is None:
                cursor.handed = cursor.committed


# Times of one group


@fault("LIVE-KEEP-1", "POLL-WAIT-5", bindings=HTTP)
def silence_after_a_wait_begins_in_the_queues_time() -> None:
    """Behind a poll that waited, the silence of a consumer counts from the queue's time, without its group's lead."""

    @wrap(QueueBroker, "wait_no_more")
    def wait_no_more(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        original(self, consumer)
        if not consumer.waiting:
            consumer.seen -= consumer.group.clock_offset


@fault("LIVE-SIGN-1", bindings=HTTP)
def unsubscribing_is_no_sign_of_life() -> None:
    """Unsubscribing from a topic does not keep a consumer from being evicted."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        original(self, consumer, names)
        consumer.seen = last[consumer]

    last: dict[Consumer, float] = {}

    @wrap(QueueBroker, "_sign_of_life")
    def note(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        last[consumer] = consumer.seen
        original(self, consumer, now)


@fault("LIVE-SIGN-1", bindings=STOMP)
def giving_back_is_no_sign_of_life() -> None:
    """A negative acknowledgement does not keep a consumer from being evicted."""
    last: dict[Consumer, float] = {}

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        original(self, consumer, number, commit=commit)
        if not commit:
            consumer.seen = last[consumer]

    @wrap(QueueBroker, "_sign_of_life")
    def note(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        last[consumer] = consumer.seen
        original(self, consumer, now)


@fault("LIVE-EVICT-1", bindings=HTTP)
def a_group_with_one_member_keeps_it() -> None:
    """The only member of a group is not evicted: nobody is there to take over."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        if len(self.members) == 1:
            for member in self.members.values():
                member.seen = max(member.seen, now)
        silent: list[Consumer] = original(self, now)
        return silent


@fault("LIVE-EVICT-1", bindings=STOMP)
def who_never_polled_is_not_evicted() -> None:
    """A consumer that has subscribed and never polled is not evicted: its timer starts with its first poll."""
    polled: set[Consumer] = set()

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        polled.add(consumer)
        return original(self, consumer)

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for member in self.members.values():
            if member not in polled and member.topics:
                member.seen = max(member.seen, now)
        silent: list[Consumer] = original(self, now)
        return silent


# Names that come again


def _keep_topics_of(ended: str) -> None:
    kept: defaultdict[str, list[str]] = defaultdict(list)

    @wrap(QueueBroker, ended)
    def end(original: Any, self: QueueBroker, subject: Any, **named: Any) -> None:
        group = subject.group if isinstance(subject, Consumer) else self.groups.get(subject)
        members = (
            [subject] if isinstance(subject, Consumer) else list(group.members.values()) if group else []
        )
        for member in members:
            kept[member.name] = list(member.topics)
        original(self, subject, **named)

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group_name: str, name: str, *, now: float) -> Consumer:
        consumer: Consumer = original(self, group_name, name, now=now)
        topics = [topic for topic in kept.pop(name, []) if topic in self.topics]
        if topics:
            self.subscribe(consumer, topics)
        return consumer


@fault("POLL-NONE-1", "MEMBER-UNREGISTER-1", "MEMBER-REGISTER-1", bindings=HTTP)
def who_leaves_and_registers_again_has_its_topics() -> None:
    """A consumer that unregisters and registers again at once is subscribed as before, as a static member of Kafka."""
    _keep_topics_of("unregister")


@fault("POLL-NONE-1", "GROUP-REMOVE-2", "MEMBER-REGISTER-1", bindings=STOMP)
def members_of_a_removed_group_have_their_topics_again() -> None:
    """A consumer of a removed group that registers again is subscribed as before."""
    _keep_topics_of("remove_group")


# Introspection


@fault("INTRO-GROUP-1", bindings=HTTP)
def ten_members_are_described() -> None:
    """The description of a group has ten members at most, as a page of a list."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        return {**document, "members": document["members"][:10]}


@fault("INTRO-TOPIC-1", bindings=HTTP)
def thirty_two_partitions_are_described() -> None:
    """The description of a topic has 32 partitions at most."""

    @wrap(introspection, "describe_topic")
    def describe(original: Any, topic: Topic) -> dict[str, Any]:
        document: dict[str, Any] = original(topic)
        return {**document, "partitions": document["partitions"][:32]}


@fault("INTRO-GROUP-1", bindings=HTTP)
def the_end_is_that_of_the_last_delivery() -> None:
    """The `endOffset` of a partition in the description of a group is that at the group's last poll of it."""
    ends: dict[Cursor, int] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        ends[self] = self.partition.end
        result: tuple[int, bool] = original(self)
        return result

    @wrap(introspection, "describe_cursor")
    def describe(original: Any, cursor: Cursor) -> dict[str, Any]:
        end = ends.get(cursor, cursor.partition.end)
        return {**original(cursor), "endOffset": end, "lag": end - cursor.committed}


@fault("INTRO-GROUP-1", bindings=HTTP)
def topics_of_a_member_are_those_it_owns_partitions_of() -> None:
    """A member's `topics` are those of which it owns a partition, so that one that stands by has none."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        document: dict[str, Any] = original(group)
        for member in document["members"]:
            owned = group.members[member["consumer_name"]].assigned
            member["topics"] = sorted({cursor.partition.topic for cursor in owned})
        return document
