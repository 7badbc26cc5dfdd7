"""Faults of groups as a rewrite of the server would have them: state kept under the wrong key, or for too long.

Their models are public reports on Kafka's coordinator and assignors, Redis Streams, Pulsar, NATS and Spring's registry
of subscriptions, and slips of languages, such as an index of -1 that means the last element.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from reference_server.queue import group as groups
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor, Group
from reference_server.queue.operations import Operations
from reference_server.queue.refusal import Refusal
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.group import Consumer
    from reference_server.queue.topic import Topic


# Members


@fault("MEMBER-REGISTER-1", "ISOLATE-1", bindings=HTTP)
def a_name_stays_in_its_first_group() -> None:
    """A consumer that leaves and registers in another group is put into the first one: a map is written only once."""
    first: dict[str, str] = {}

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group_name: str, name: str, *, now: float) -> Consumer:
        kept = first.get(name, group_name)
        consumer: Consumer = original(self, kept if kept in self.groups else group_name, name, now=now)
        first.setdefault(name, consumer.group.name)
        return consumer


@fault("LIVE-KEEP-1", bindings=HTTP)
def a_timer_outlives_its_member() -> None:
    """A consumer that leaves and registers again is evicted by the timer of before, as Kafka was reported to do."""
    timers: dict[str, float] = {}

    @wrap(Operations, "_unregister")
    def unregister(original: Any, self: Operations, request: Any, now: float) -> Any:
        holder = self.broker.consumers.get(request.consumer_name)
        seen = None if holder is None else holder.seen
        outcome = original(self, request, now)
        if seen is not None:
            timers[request.consumer_name] = seen
        return outcome

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group_name: str, name: str, *, now: float) -> Consumer:
        consumer: Consumer = original(self, group_name, name, now=now)
        seen = timers.pop(name, consumer.seen)
        if seen + self.settings.heartbeat_timeout > consumer.seen:
            consumer.seen = seen
            self._deadlines.set(consumer.group, consumer.group.next_deadline())
        return consumer


# In flight


@fault("ISOLATE-1", "ACK-OK-1", bindings=HTTP)
def what_is_in_flight_belongs_to_the_last_group_that_polled_it() -> None:
    """Records in flight are kept by their ids for all groups, so the second group takes a record from the first one."""
    holders: dict[int, Cursor] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        message_id, again = original(self)
        holders[message_id] = self
        return message_id, again

    @wrap(QueueBroker, "settle")
    def settle(
        original: Any, self: QueueBroker, consumer: Consumer, message_id: int, *, commit: bool
    ) -> None:
        cursor = holders.get(message_id)
        if cursor is None or cursor.owner is not consumer:
            raise Refusal("not-in-flight", f"record {message_id} is not in flight", "message_id")
        original(self, consumer, message_id, commit=commit)


@fault("DELIVER-3", "ISOLATE-2", bindings=STOMP)
def unsubscribing_frees_what_is_held_of_other_topics() -> None:
    """A consumer that unsubscribes from one topic loses what it holds of the others, too."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, *arguments: Any) -> None:
        original(self, consumer, *arguments)
        for cursor in tuple(consumer.held.values()):
            cursor.settle(commit=False)


@fault("ACK-UNKNOWN-1", "DELIVER-2", bindings=HTTP)
def who_unsubscribed_may_acknowledge_what_it_held() -> None:
    """A record that its holder lost by unsubscribing is committed by a late acknowledgement while it is free."""
    lost: dict[tuple[Consumer, int], Cursor] = {}

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, *arguments: Any) -> None:
        held = dict(consumer.held)
        original(self, consumer, *arguments)
        lost.update({(consumer, key): each for key, each in held.items() if key not in consumer.held})

    @wrap(QueueBroker, "settle")
    def settle(
        original: Any, self: QueueBroker, consumer: Consumer, message_id: int, *, commit: bool
    ) -> None:
        cursor = None if message_id in consumer.held else lost.pop((consumer, message_id), None)
        if cursor is None:
            original(self, consumer, message_id, commit=commit)
        elif (
            cursor.is_ready() and cursor.partition.ids[cursor.committed - cursor.partition.base] == message_id
        ):
            cursor.committed += commit


@fault("POLL-REDELIVERED-1", bindings=HTTP)
def what_comes_again_is_new_for_another_consumer() -> None:
    """`redelivered` is false for a record that another consumer was handed before."""
    seen: defaultdict[tuple[Cursor, int], set[Any]] = defaultdict(set)

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        before = seen[self, self.committed]
        again = self.owner in before
        before.add(self.owner)
        return original(self)[0], again


@fault("POLL-REDELIVERED-1", bindings=STOMP)
def what_comes_behind_a_record_that_came_again_counts_as_one() -> None:
    """`redelivered` is true for the record behind a redelivered one: a flag of the partition that is cleared late."""
    flagged: set[Cursor] = set()

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        message_id, again = original(self)
        was_flagged = self in flagged
        (flagged.add if again else flagged.discard)(self)
        return message_id, again or was_flagged


# Subscriptions


@fault("MEMBER-UNSUBSCRIBE-1", "MEMBER-SUBSCRIBE-4", bindings=HTTP)
def subscriptions_are_counted() -> None:
    """Who subscribes to a topic twice has to unsubscribe from it twice."""
    counts: defaultdict[tuple[Consumer, str], int] = defaultdict(int)

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        for topic in topics:
            counts[consumer, topic.name] += 1
        original(self, consumer, topics, now)

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        for topic in topics:
            counts[consumer, topic.name] -= 1
        original(self, consumer, [each for each in topics if counts[consumer, each.name] <= 0], now)


@fault("ASSIGN-2", "MEMBER-SUBSCRIBE-1", bindings=HTTP)
def giving_up_what_is_not_subscribed_ends_the_newest_subscription() -> None:
    """Who unsubscribes from a topic without a subscription ends that of its newest reader: index -1 is the last one."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        for topic in topics:
            readers = [each for each in self.members.values() if topic.name in each.topics]
            original(self, readers[-1] if readers and consumer not in readers else consumer, [topic], now)


@fault("ASSIGN-2", bindings=STOMP)
def a_topic_that_is_listed_twice_is_two_shares() -> None:
    """A consumer whose list has a topic twice gets the share of two members."""
    doubled: set[tuple[Consumer, str]] = set()
    right = groups.assign

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        names = [topic.name for topic in topics]
        doubled.update((consumer, name) for name in names if names.count(name) > 1)
        original(self, consumer, topics, now)

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        twice = {each for each in self.members.values() if (each, topic) in doubled}

        def assign(owners: Sequence[Any], members: Sequence[Any]) -> list[Any]:
            stand_ins = {object(): each for each in members if each in twice}
            dealt = right(owners, [*members, *stand_ins])
            return [stand_ins.get(each, each) for each in dealt]

        groups.assign = assign if twice else right
        original(self, topic, now)


# Assignment and rebalance


def _deal_by(change: Any) -> None:
    right = groups.assign

    @replace(groups, "assign")
    def assign(owners: Sequence[Any], members: Sequence[Any]) -> list[Any]:
        owning = [member for member in members if member in owners]
        if None in owners and owning:
            return list(change(list(owners), list(members), owning, right))
        return right(owners, members)


@fault("ASSIGN-2", "ASSIGN-3", bindings=HTTP)
def who_stands_by_takes_nothing_over() -> None:
    """What a leaver owned is dealt among the other owners: who stands by was put aside when it joined."""
    _deal_by(lambda owners, _members, owning, right: right(owners, owning))


@fault("ASSIGN-2", bindings=STOMP)
def a_leaver_has_one_heir() -> None:
    """All that a leaver owned goes to the member that owns least."""

    def deal(owners: list[Any], members: list[Any], _owning: list[Any], _right: Any) -> list[Any]:
        heir = min(members, key=owners.count)
        return [heir if owner is None else owner for owner in owners]

    _deal_by(deal)


@fault("ASSIGN-4", bindings=HTTP)
def the_newest_member_has_the_larger_share() -> None:
    """A share that is larger by one goes to the newest member, for which one more partition has to move."""
    right = groups.assign

    @replace(groups, "assign")
    def assign(owners: Sequence[Any], members: Sequence[Any]) -> list[Any]:
        newest = members[-1] if members else None
        dealt = right(owners, members)
        most = max((dealt.count(each) for each in members), default=0)
        if newest is None or len(members) < 2 or dealt.count(newest) == most:
            return dealt
        giver = next(each for each in members if dealt.count(each) == most)
        dealt[dealt.index(giver)] = newest
        return dealt


@fault("REBALANCE-5", "REBALANCE-1", bindings=HTTP)
def one_record_at_a_time_is_taken_back() -> None:
    """Of several records that are overdue at one time, one is taken back: the list changes under its loop."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for cursor in [each for each in self.all_cursors() if each.overdue <= now][1:]:
            cursor.overdue = now + self.settings.rebalance_timeout
        silent: list[Consumer] = original(self, now)
        return silent


@fault("REBALANCE-5", "DELIVER-2", bindings=STOMP)
def what_is_taken_back_counts_as_acknowledged() -> None:
    """A record that a rebalance takes back is committed, and its next owner gets the one behind it."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for cursor in self.all_cursors():
            if cursor.overdue <= now and cursor.in_flight is not None:
                cursor.settle(commit=True)
        silent: list[Consumer] = original(self, now)
        return silent


@fault("REBALANCE-5", "REBALANCE-1", bindings=HTTP)
def a_sign_of_life_puts_the_taking_back_off() -> None:
    """A record that is to be taken back stays with its holder as long as that gives signs of life."""

    @wrap(QueueBroker, "_sign_of_life")
    def note(original: Any, self: QueueBroker, consumer: Consumer, now: float) -> None:
        original(self, consumer, now)
        for cursor in consumer.held.values():
            if cursor.next_owner is not None:
                cursor.overdue = consumer.seen + self.settings.rebalance_timeout
