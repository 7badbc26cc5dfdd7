"""Faults of groups in a second rewrite: shares, moves that are called off, times of a group, and what names stand for.

Their models are public reports on static members of Kafka, on consumers of Redis Streams that are deleted and made
again, and on pending acknowledgements of NATS JetStream; the others are slips of a state machine.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reference_server.queue import group as groups
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
