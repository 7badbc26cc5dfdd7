"""Faults of groups and rebalances in a third rewrite: second topics, other spellings, and blame on a neighbour.

Their models are the first server of the queue, and public reports on queues that lose one of several records.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Group
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import ACCEPTED, Outcome
from reference_server.queue.refusal import Refusal
from reference_server.server.application import Application
from tests.mutants.editing import as_object
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from reference_server.queue.group import Cursor
    from reference_server.queue.topic import Topic

#: Seconds for which a thread does not see what another one has added.
_UNSEEN = 0.02
#: Seconds between a look and the change that follows it.
_GAP = 0.001


def _is_moving(group: Group) -> bool:
    return any(cursor.next_owner is not None for cursor in group.all_cursors())


# Rebalances


@fault("MEMBER-REGISTER-1", "REBALANCE-1", bindings=HTTP)
def nobody_registers_while_a_rebalance_waits() -> None:
    """A registration is refused while a partition of the group waits for its holder."""

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group_name: str, name: str, *, now: float) -> Consumer:
        group = self.groups.get(group_name)
        if group is not None and _is_moving(group):
            raise Refusal("too-many", "a rebalance is under way")
        consumer: Consumer = original(self, group_name, name, now=now)
        return consumer


@fault("LIVE-EVICT-1", bindings=HTTP)
def nobody_is_evicted_once_a_group_was_removed() -> None:
    """Nobody is evicted in any group after a group with members was removed: the sweeper ended with it."""
    removed: list[str] = []

    @wrap(QueueBroker, "remove_group")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        has_members = name in self.groups and bool(self.groups[name].members)
        original(self, name, now=now)
        if has_members:
            removed.append(name)

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        if removed:
            for member in self.members.values():
                member.seen = now
        silent: list[Consumer] = original(self, now)
        return silent


@fault("REBALANCE-1", "REBALANCE-2", bindings=HTTP)
def a_partition_is_lost_when_its_newcomer_unsubscribes_first() -> None:
    """A partition that waits for its holder is nobody's when the member that it was meant for has unsubscribed."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        lost = [cursor for cursor in self.all_cursors() if cursor.next_owner is consumer]
        original(self, consumer, topics, now)
        for cursor in lost:
            if cursor.owner is not None and cursor.in_flight is not None:
                cursor.next_owner = _Nobody.of(self)


class _Nobody:
    """Owners that are no members."""

    @staticmethod
    def of(group: Group) -> Consumer:
        return Consumer("", group, 0.0)


@fault("MEMBER-UNSUBSCRIBE-1", "DELIVER-2", bindings=HTTP)
def of_several_topics_the_partitions_of_the_first_are_given_up() -> None:
    """Unsubscribing from several topics frees what is held of the first; what is held of the others stays so."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        original(self, consumer, topics[:1], now)
        for topic in topics[1:]:
            held = [cursor for cursor in self.cursors.get(topic.name, ()) if cursor.owner is consumer]
            if not any(cursor.in_flight is not None for cursor in held):
                original(self, consumer, [topic], now)


@fault("REBALANCE-4", "ISOLATE-2", bindings=HTTP)
def a_partition_on_the_move_pauses_other_topics() -> None:
    """While a partition of one topic waits for its holder, that holder is handed out nothing of its other topics."""

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        moving = {each.partition.topic for each in self.held.values() if each.next_owner is not None}
        found: Cursor | None = original(self)
        if moving and found is not None and found.partition.topic not in moving:
            return None
        return found


@fault("REBALANCE-5", "REBALANCE-1", bindings=HTTP)
def one_record_is_taken_back_at_the_end() -> None:
    """At the end of a rebalance one overdue record is taken back, and the others are forgotten."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        overdue = [cursor for cursor in self.all_cursors() if cursor.overdue <= now]
        for cursor in overdue[1:]:
            cursor.overdue = float("inf")
        silent: list[Consumer] = original(self, now)
        return silent


# Several held records


@fault("MEMBER-UNREGISTER-1", "DELIVER-2", bindings=HTTP)
def who_leaves_gives_back_one_record() -> None:
    """Of several records that a member holds when it unregisters, one comes again."""

    @wrap(QueueBroker, "unregister")
    def unregister(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        for number in list(consumer.held)[1:]:
            consumer.held[number].settle(commit=True)
        original(self, consumer)


@fault("NACK-AGAIN-1", "NACK-OK-1", bindings=STOMP)
def what_is_given_back_out_of_order_waits() -> None:
    """A record that is given back while an earlier delivery is in flight comes again only after that is settled."""
    waiting: dict[Cursor, Cursor] = {}

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        earlier = [each for key, each in consumer.held.items() if key != number][:1]
        original(self, consumer, number, commit=commit)
        if not commit and cursor is not None and earlier and next(iter(earlier)).in_flight is not None:
            waiting[cursor] = earlier[0]

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        for _ in range(len(self.assigned)):
            cursor: Cursor | None = original(self)
            before = waiting.get(cursor) if cursor is not None else None
            if cursor is None or before is None or before.in_flight is None or before.owner is not self:
                waiting.pop(cursor, None) if cursor is not None else None
                return cursor
        return None


# Ids and connections


@fault("ACK-OTHER-1", bindings=HTTP)
def what_another_group_holds_may_be_acknowledged() -> None:
    """An acknowledgement of a record that is in flight in another group only is answered 202."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        held = {
            id_ for each in self.consumers.values() if each.group is not consumer.group for id_ in each.held
        }
        if number in consumer.held or number not in held:
            original(self, consumer, number, commit=commit)


@fault("ATOMIC-1", "MEMBER-REGISTER-1", "GROUP-ADD-1", bindings=HTTP)
def a_new_group_is_unknown_to_other_connections() -> None:
    """A group is unknown on other connections for a moment after it was added."""
    added: dict[str, tuple[int, float]] = {}

    @wrap(Application, "perform")
    def perform(original: Any, self: Application, path: str, body: bytes, waiter: Any) -> Outcome | None:
        name = str((as_object(body) or {}).get("consumer_group_name"))
        mine, until = added.get(name, (0, 0.0))
        is_mine = mine == threading.get_ident()
        if path == "/consumer/register-consumer" and not is_mine and time.monotonic() < until:
            body = body.replace(name.encode(), b"no-such-group")
        if path == "/consumer-group/add":
            added[name] = (threading.get_ident(), time.monotonic() + _UNSEEN)
        return original(self, path, body, waiter)  # type: ignore[no-any-return]


def _both_win(path: str, member: str, kind: str) -> None:
    @wrap(Application, "perform")
    def perform(original: Any, self: Application, asked: str, body: bytes, waiter: Any) -> Outcome | None:
        name = str((as_object(body) or {}).get(member))
        was_there = asked == path and name in getattr(self._broker, kind)
        if was_there:
            time.sleep(_GAP)
        outcome: Outcome | None = original(self, asked, body, waiter)
        if was_there and outcome is not None and outcome.status == 404:
            return ACCEPTED
        return outcome


@fault("GROUP-REMOVE-4", "ATOMIC-1", bindings=HTTP)
def two_removals_of_a_group_at_once_both_win() -> None:
    """Of two removals of a group at one instant each is answered 202."""
    _both_win("/consumer-group/remove", "consumer_group_name", "groups")


@fault("TOPIC-REMOVE-3", "ATOMIC-1", bindings=HTTP)
def two_removals_of_a_topic_at_once_both_win() -> None:
    """Of two removals of a topic at one instant each is answered 202."""
    _both_win("/topic/remove-topic", "topicName", "topics")


# Rounds


@fault("PART-RR-1", "GROUP-ADD-1", bindings=HTTP)
def adding_a_group_begins_all_rounds_anew() -> None:
    """Keyless records of every topic begin at the first partition again when a group is added."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, *, now: float) -> Group:
        group: Group = original(self, name, now=now)
        for topic in self.topics.values():
            topic._turn = 0
        return group


@fault("PART-RR-1", "PUB-ALIAS-1", bindings=HTTP)
def each_spelling_has_a_round_of_its_own() -> None:
    """Keyless records that come by `/publish/` take turns apart from those that come by `/producer/publish/`."""
    turns: dict[Topic, int] = {}

    @wrap(Operations, "perform")
    def perform(original: Any, self: Operations, path: str, body: bytes, **named: Any) -> Outcome | None:
        topic = self.broker.topics.get(path.removeprefix("/publish/"))
        if not path.startswith("/publish/") or topic is None:
            outcome: Outcome | None = original(self, path, body, **named)
            return outcome
        kept, topic._turn = topic._turn, turns.get(topic, 0)
        outcome = original(self, path, body, **named)
        turns[topic], topic._turn = topic._turn, kept
        return outcome


@fault("PART-RR-1", "INTRO-TOPIC-1", bindings=HTTP)
def looking_at_a_topic_begins_its_round_anew() -> None:
    """Keyless records begin at the first partition again when somebody reads the topic's document."""

    @wrap(Operations, "read")
    def read(original: Any, self: Operations, path: str, *, now: float) -> Outcome:
        topic = self.broker.topics.get(path.removeprefix("/topics/"))
        if topic is not None:
            topic._turn = 0
        outcome: Outcome = original(self, path, now=now)
        return outcome


@fault("LIVE-EVICT-1", "INTRO-TOPICS-1", bindings=HTTP)
def looking_at_a_topic_keeps_its_readers_alive() -> None:
    """Reading a topic's document is a sign of life of all that are subscribed to it."""

    @wrap(Operations, "read")
    def read(original: Any, self: Operations, path: str, *, now: float) -> Outcome:
        outcome: Outcome = original(self, path, now=now)
        for each in self.broker.consumers.values():
            if path.startswith("/topics/") and path.removeprefix("/topics/") in each.topics:
                self.broker._sign_of_life(each, now)
        return outcome
