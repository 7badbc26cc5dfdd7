"""Faults of groups, rebalances and timers in a fourth rewrite: timers that outlive their cause, plans that are kept.

Their models are group coordinators of logs and consumers of streams, and slips of a first server in Go or Java.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from reference_server.queue import broker as broker_module
from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.refusal import Refusal
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.patching import wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.topic import Topic


# Timers


@fault("LIVE-KEEP-1", "MEMBER-REGISTER-1", bindings=HTTP)
def the_timer_of_who_left_evicts_its_successor() -> None:
    """The timer of a consumer that unregistered goes on, and evicts the next consumer of that name."""
    timers: dict[str, float] = {}

    @wrap(QueueBroker, "unregister")
    def unregister(original: Any, self: QueueBroker, consumer: Consumer) -> None:
        timers[consumer.name] = consumer.seen + self.settings.heartbeat_timeout
        original(self, consumer)

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for member in self.members.values():
            if timers.get(member.name, math.inf) <= now:
                del timers[member.name]
                member.seen = -math.inf
        silent: list[Consumer] = original(self, now)
        return silent


@fault("DELIVER-3", "REBALANCE-5", bindings=HTTP)
def the_timer_of_a_rebalance_outlives_it() -> None:
    """When the time of a rebalance is over, what the new owner holds of a moved partition is taken back too."""
    timers: dict[Cursor, float] = {}

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        for cursor in self.cursors[topic]:
            if cursor.next_owner is not None:
                timers[cursor] = now + self.settings.rebalance_timeout

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for cursor in self.all_cursors():
            if timers.get(cursor, math.inf) <= now:
                del timers[cursor]
                if cursor.in_flight is not None:
                    cursor.settle(commit=False)
        silent: list[Consumer] = original(self, now)
        return silent


@fault("REBALANCE-1", "REBALANCE-5", bindings=HTTP)
def a_rebalance_begins_with_the_first_poll_of_the_newcomer() -> None:
    """The time of a rebalance runs from the first poll of the member that a partition is meant for."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        for cursor in self.cursors[topic]:
            cursor.overdue = math.inf

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        for cursor in consumer.group.all_cursors():
            if cursor.next_owner is consumer and cursor.overdue == math.inf:
                now = self.now + consumer.group.clock_offset
                cursor.overdue = now + self.settings.rebalance_timeout
        return original(self, consumer)


# Plans


@fault("REBALANCE-1", "ASSIGN-2", "ASSIGN-1", bindings=HTTP)
def a_rebalance_under_way_swallows_the_next() -> None:
    """While a partition of a topic waits for its holder, members that subscribe to the topic are not dealt in."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        if not any(cursor.next_owner is not None for cursor in self.cursors[topic]):
            original(self, topic, now)


@fault("ASSIGN-2", "ASSIGN-1", "REBALANCE-1", bindings=HTTP)
def who_stands_by_is_not_dealt_in_after_an_unsubscription() -> None:
    """Partitions that a member unsubscribes from go to members with partitions; who stands by goes on doing so."""

    @wrap(Group, "unsubscribe")
    def unsubscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        idle: dict[Consumer, list[str]] = {}
        for topic in topics:
            owners = {cursor.owner for cursor in self.cursors.get(topic.name, ())}
            for each in self.members.values():
                if each is not consumer and topic.name in each.topics and each not in owners:
                    idle.setdefault(each, []).append(topic.name)
        for each, names in idle.items():
            for name in names:
                del each.topics[name]
        original(self, consumer, topics, now)
        for each, names in idle.items():
            each.topics.update(dict.fromkeys(names))


@fault("LIVE-EVICT-1", bindings=HTTP)
def an_eviction_skips_the_next_member() -> None:
    """Of members that are due at one instant every second one is passed over: the list shrinks meanwhile."""
    passed: set[Consumer] = set()

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        timeout = self.settings.heartbeat_timeout
        due = [m for m in self.members.values() if not m.waiting and m.seen + timeout <= now]
        for member in due[1::2]:
            if member not in passed:
                passed.add(member)
                member.seen = now
        silent: list[Consumer] = original(self, now)
        return silent


# Subscriptions


@fault("DELIVER-3", "MEMBER-UNSUBSCRIBE-1", bindings=HTTP)
def giving_up_what_one_has_not_frees_what_one_holds() -> None:
    """Unsubscribing from a topic to which the consumer is not subscribed frees what it holds of others."""

    @wrap(QueueBroker, "unsubscribe")
    def unsubscribe(original: Any, self: QueueBroker, consumer: Consumer, names: Sequence[str]) -> None:
        original_topics = dict(consumer.topics)
        original(self, consumer, names)
        if any(name not in original_topics for name in names):
            for cursor in list(consumer.held.values()):
                cursor.settle(commit=False)


@fault("POLL-START-1", bindings=HTTP)
def a_new_group_starts_late_in_the_higher_partitions() -> None:
    """A new group starts at the end of all partitions but the first eight."""

    @wrap(Cursor, "__init__")
    def begin(original: Any, self: Cursor, partition: Any) -> None:
        original(self, partition)
        if partition.index >= 8:
            self.committed = self.handed = partition.end


@fault("POLL-START-1", "POLL-OK-1", bindings=HTTP)
def a_second_topic_is_read_from_its_end() -> None:
    """A member that is subscribed already reads a further topic from the end."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        late = [topic for topic in topics if consumer.topics and topic.name not in self.cursors]
        original(self, consumer, topics, now)
        for topic in late:
            for cursor in self.cursors[topic.name]:
                cursor.committed = cursor.handed = cursor.partition.end


# Names


@fault("NAME-1", bindings=HTTP)
def a_group_must_not_be_named_like_a_topic() -> None:
    """A group is refused if a topic has its name."""

    @wrap(QueueBroker, "add_group")
    def add(original: Any, self: QueueBroker, name: str, *, now: float) -> Group:
        if name in self.topics:
            raise Refusal("name-invalid", "the name is that of a topic", "consumer_group_name")
        group: Group = original(self, name, now=now)
        return group


@fault("NAME-1", bindings=HTTP)
def names_of_every_object_are_taken() -> None:
    """The names `constructor`, `toString` and `__proto__` are taken: the state is in plain objects of JavaScript."""
    words = ("constructor", "toString", "__proto__", "hasOwnProperty", "valueOf")

    @wrap(broker_module, "check_name")
    def check(original: Any, name: str, *more: Any) -> Any:
        if name in words:
            raise Refusal("topic-exists", "it exists")
        return original(name, *more)


@fault("NAME-5", "NAME-3", bindings=HTTP)
def consumers_are_told_apart_by_64_characters() -> None:
    """Of the name of a consumer the first 64 characters count."""

    def cut(name: str) -> str:
        return name[:64]

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group_name: str, name: str, *, now: float) -> Any:
        return original(self, group_name, cut(name), now=now)

    @wrap(QueueBroker, "consumer")
    def consumer(original: Any, self: QueueBroker, name: str, *, now: float) -> Any:
        return original(self, cut(name), now=now)


# Descriptions


@fault("INTRO-GROUP-1", bindings=HTTP)
def the_description_of_a_group_is_cached() -> None:
    """A group's document is made anew when its members or their subscriptions change, and else repeated."""
    known: dict[str, tuple[object, dict[str, Any]]] = {}

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        state = [(name, list(member.topics)) for name, member in group.members.items()]
        if group.name not in known or known[group.name][0] != state:
            known[group.name] = (state, original(group))
        return known[group.name][1]


@fault("POLL-REDELIVERED-1", bindings=HTTP)
def who_gets_a_record_first_is_told_that_it_is_new() -> None:
    """The mark of a redelivery is missing where the record comes to another consumer than before."""
    holders: dict[int, str] = {}

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is not None:
            before = holders.get(delivery.message_id)
            holders[delivery.message_id] = consumer.name
            if before != consumer.name:
                delivery = delivery._replace(redelivered=False)
        return delivery


# Signs of life


@fault("LIVE-SIGN-1", "LIVE-BEAT-1", bindings=STOMP)
def only_the_session_that_registered_keeps_alive() -> None:
    """Operations of a consumer are signs of life in the session in which it was registered, and nowhere else."""
    owners: dict[str, object] = {}
    current: list[object] = [None]

    @wrap(QueueBinding, "perform")
    def perform(original: Any, self: QueueBinding, outlet: Any, frame: Any) -> bool:
        current[0] = outlet
        try:
            return bool(original(self, outlet, frame))
        finally:
            current[0] = None

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, group_name: str, name: str, *, now: float) -> Any:
        consumer = original(self, group_name, name, now=now)
        owners[name] = current[0]
        return consumer

    @wrap(QueueBroker, "consumer")
    def consumer(original: Any, self: QueueBroker, name: str, *, now: float) -> Any:
        known = self.consumers.get(name)
        seen = known.seen if known is not None else 0.0
        found = original(self, name, now=now)
        if owners.get(name) is not current[0]:
            found.seen = seen
        return found


@fault("PART-COUNT-1", bindings=HTTP)
def partitions_are_counted_in_an_octet() -> None:
    """The number of partitions of a topic is kept in one signed octet; where that is negative it counts from 256."""

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, name: str, partitions: int, octets: int, *, now: float) -> Any:
        most = msgspec.structs.asdict(self.settings)["topic_partitions"]
        kept = partitions & 0xFF if partitions <= most else partitions
        return original(self, name, kept or min(partitions, 1), octets, now=now)
