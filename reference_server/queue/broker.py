"""The queue itself: every operation as a method that either happens or raises Refusal and changes nothing."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

from reference_server.queue.group import Consumer, Group
from reference_server.queue.names import check_name
from reference_server.queue.refusal import Refusal
from reference_server.queue.topic import Partition, Record, Topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_server.queue.group import Cursor
    from reference_server.queue.settings import QueueSettings


class Delivery(NamedTuple):
    """A record that a poll hands out; `redelivered`: it was handed out before in the group."""

    message_id: int
    partition: Partition
    offset: int
    record: Record
    redelivered: bool


class QueueBroker:
    """Topics, groups and consumers of one server. `now` is the queue's time in seconds; it never goes back."""

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self.topics: dict[str, Topic] = {}
        self.groups: dict[str, Group] = {}
        self.consumers: dict[str, Consumer] = {}
        self._octets = 0
        self._records = 0
        self._partitions = 0
        self._cursors = 0
        self._next_id = 1
        self._agenda: list[tuple[float, int, Group]] = []
        """When to look at which group: at its next deadline, or before it. Spares a look at all of them."""
        self._serial = itertools.count()
        self._stirred: dict[Consumer, None] = {}
        self._waiting = 0
        self.now = 0.0
        """The latest time that the queue was told."""

    # Time

    def tick(self, now: float) -> None:
        """Evict the silent and take back what is overdue, in every group (LIVE-EVICT-1, REBALANCE-5)."""
        self.now = now
        agenda = self._agenda
        if not agenda or now < agenda[0][0]:
            return
        due = []
        while agenda and agenda[0][0] <= now:
            when, _, group = heapq.heappop(agenda)
            if group.looked_at == when:  # else it is to be looked at earlier, or was removed
                group.looked_at = math.inf
                due.append(group)
        for group in due:
            self._expire(group, now)

    def next_deadline(self) -> float | None:
        """The queue's time, or one before it, at which tick() has work; None: nothing is due, ever."""
        return self._agenda[0][0] if self._agenda else None

    def advance_group(self, name: str, seconds: float, *, now: float) -> float:
        """Move the time of one group on (CLOCK-3); returns the group's time. Raises Refusal (group-unknown)."""
        self.tick(now)
        group = self._group(name)
        group.ahead += seconds
        self._expire(group, now)
        return now + group.ahead

    def _expire(self, group: Group, now: float) -> None:
        for consumer in group.expire(now + group.ahead):
            self._forget(consumer)
        self._look_at(group, group.next_deadline())
        self._stir(group)

    def _look_at(self, group: Group, when: float) -> None:
        """Have tick() look at a group at that time of the queue, or earlier."""
        if when < group.looked_at:
            group.looked_at = when
            heapq.heappush(self._agenda, (when, next(self._serial), group))

    # Topics

    def add_topic(
        self, name: str, partitions: int | None, partition_bytes: int | None, *, now: float
    ) -> Topic:
        """Add a topic (TOPIC-ADD-1). Raises Refusal: name-invalid, topic-exists, member-value, too-many."""
        self.tick(now)
        settings = self.settings
        check_name(name, "topicName", settings.name_length)
        if partitions is not None and not 1 <= partitions <= settings.topic_partitions:  # PART-COUNT-2
            raise Refusal(
                "member-value",
                f"partitions is {partitions}; from 1 to {settings.topic_partitions} are possible",
                "partitions",
            )
        if partition_bytes is not None and not 1 <= partition_bytes <= settings.partition_bytes:
            raise Refusal(
                "member-value",
                f"partition_bytes is {partition_bytes}; from 1 to {settings.partition_bytes} are possible",
                "partition_bytes",
            )
        if name in self.topics:  # TOPIC-ADD-2, TOPIC-ADD-3
            raise Refusal("topic-exists", f"topic {name!r} exists and stays as it was", "topicName")
        _room(len(self.topics), settings.topics, "topics")
        count = settings.partitions if partitions is None else partitions
        _room(self._partitions, settings.all_partitions, "partitions", count)
        bound = settings.partition_bytes if partition_bytes is None else partition_bytes
        topic = self.topics[name] = Topic(name, count, settings.brokers, bound)
        self._partitions += count
        return topic

    def publish(self, topic_name: str, record: Record, *, now: float) -> tuple[Partition, int]:
        """Store a record (PUB-STORE-1); returns its partition and offset.

        Raises Refusal: topic-unknown, partition-full (PUB-FULL-1).
        """
        # Whoever is due for eviction changes nothing about a publish: that can wait for the next tick.
        self.now = now
        topic = self.topics.get(topic_name)
        if topic is None:
            raise _unknown_topic(topic_name)
        octets = _octets(record.message) + (_octets(record.key) if record.key else 0)
        all_octets = octets + _octets(record.label) + _octets(record.timestamp)
        partition = topic.partition_for(record.key)
        if partition.octets + octets > topic.partition_bytes:
            raise Refusal(
                "partition-full", f"partition {partition.name} holds {topic.partition_bytes} bytes at most"
            )
        settings = self.settings
        if self._octets + all_octets > settings.total_bytes:
            raise Refusal("partition-full", f"this server holds {settings.total_bytes} bytes at most")
        if self._records >= settings.records:
            raise Refusal("partition-full", f"this server holds {settings.records} records at most")
        if not record.key:
            topic.take_turn()
        partition.octets += octets
        self._octets += all_octets
        self._records += 1
        offset = len(partition.records)
        partition.records.append(record)
        partition.ids.append(self._next_id)
        topic.described = None
        self._next_id += 1
        if self._waiting:
            for cursor in partition.cursors:
                self._stir_owner(cursor)
        return partition, offset

    # Groups and members

    def add_group(self, name: str, *, now: float) -> Group:
        """Add a group, or find it as it is (GROUP-ADD-1, GROUP-ADD-2). Raises Refusal: name-invalid, too-many."""
        self.tick(now)
        check_name(name, "consumer_group_name", self.settings.name_length)
        group = self.groups.get(name)
        if group is None:
            _room(len(self.groups), self.settings.groups, "consumer groups")
            group = self.groups[name] = Group(name, self.settings)
        return group

    def remove_group(self, name: str, *, now: float) -> None:
        """Remove a group with its members and offsets (GROUP-REMOVE-1). Raises Refusal (group-unknown)."""
        self.tick(now)
        group = self._group(name)
        for consumer in group.members.values():
            self._forget(consumer)
        self._cursors -= sum(1 for _ in group.all_cursors())
        group.dissolve()
        group.looked_at = -math.inf
        del self.groups[name]

    def register(self, group_name: str, name: str, *, now: float) -> Consumer:
        """Register a consumer (MEMBER-REGISTER-1).

        Raises Refusal: name-invalid, group-unknown, consumer-exists (the name is unique on the server), too-many.
        """
        self.tick(now)
        check_name(name, "consumer_name", self.settings.name_length)
        group = self._group(group_name)
        holder = self.consumers.get(name)
        if holder is not None:  # MEMBER-REGISTER-4, MEMBER-REGISTER-5
            self._sign_of_life(holder, now)
            raise Refusal("consumer-exists", f"a consumer {name!r} is registered already", "consumer_name")
        _room(len(self.consumers), self.settings.consumers, "consumers")
        consumer = Consumer(name, group, now + group.ahead)
        group.members[name] = self.consumers[name] = consumer
        self._look_at(group, now + self.settings.heartbeat_timeout)
        return consumer

    def consumer(self, name: str, *, now: float) -> Consumer:
        """Find a consumer, for whom this is a sign of life, whatever follows (LIVE-BEAT-1, LIVE-SIGN-1).

        Every operation of a consumer begins here, so that `self.now` is its time.
        Raises Refusal (consumer-unknown), also for one that was evicted (LIVE-GONE-1).
        """
        self.tick(now)
        consumer = self.consumers.get(name)
        if consumer is None:
            raise Refusal(
                "consumer-unknown",
                f"no consumer {name!r} is registered; it may have been evicted after "
                f"{self.settings.heartbeat_timeout:g} s of silence",
                "consumer_name",
            )
        self._sign_of_life(consumer, now)
        return consumer

    def unregister(self, consumer: Consumer) -> None:
        """Let a consumer leave (MEMBER-UNREGISTER-1)."""
        consumer.group.leave(consumer, self.now + consumer.group.ahead)
        self._forget(consumer)
        self._rebalanced(consumer.group)

    def subscribe(self, consumer: Consumer, topic_names: Sequence[str]) -> None:
        """Subscribe to topics, all or none (MEMBER-SUBSCRIBE-1, MEMBER-SUBSCRIBE-2).

        Raises Refusal: topic-unknown, too-many.
        """
        topics = self._topics(topic_names)
        group = consumer.group
        opened = group.cursors_to_open(topics)
        _room(self._cursors, self.settings.cursors, "partitions that groups follow", opened)
        self._cursors += opened
        group.subscribe(consumer, topics, self.now + group.ahead)
        self._rebalanced(group)

    def unsubscribe(self, consumer: Consumer, topic_names: Sequence[str]) -> None:
        """Leave topics (MEMBER-UNSUBSCRIBE-1). Raises Refusal (topic-unknown)."""
        topics = self._topics(topic_names)
        consumer.group.unsubscribe(consumer, topics, self.now + consumer.group.ahead)
        self._rebalanced(consumer.group)

    # Records

    def poll(self, consumer: Consumer) -> Delivery | None:
        """Hand out the consumer's next record (POLL-OK-1); None: there is none now."""
        cursor = consumer.next_cursor()
        if cursor is None:
            return None
        message_id, redelivered = cursor.hand_out()
        offset = cursor.committed
        return Delivery(message_id, cursor.partition, offset, cursor.partition.records[offset], redelivered)

    def settle(self, consumer: Consumer, message_id: int, *, commit: bool) -> None:
        """Acknowledge a record, or give it back (ACK-OK-1, NACK-OK-1).

        Raises Refusal: not-in-flight (ACK-UNKNOWN-1, ACK-OTHER-1, NACK-UNKNOWN-1).
        """
        cursor = consumer.held.get(message_id)
        if cursor is None:
            raise Refusal(
                "not-in-flight",
                f"record {message_id} is not in flight with consumer {consumer.name!r}",
                "message_id",
            )
        cursor.settle(commit=commit)  # ACK-COMMIT-1, ACK-COMMIT-2, NACK-AGAIN-1
        if self._waiting:
            self._stir_owner(cursor)

    # Long polls

    def wait(self, consumer: Consumer) -> None:
        """A long poll of the consumer begins to wait (POLL-WAIT-5)."""
        consumer.waiting += 1
        self._waiting += 1

    def wait_no_more(self, consumer: Consumer) -> None:
        """A long poll of the consumer has its answer: its silence begins now."""
        consumer.waiting -= 1
        self._waiting -= 1
        if self.consumers.get(consumer.name) is consumer:
            self._sign_of_life(consumer, self.now)
            self._look_at(consumer.group, self.now + self.settings.heartbeat_timeout)

    def take_stirred(self) -> list[Consumer]:
        """The waiting consumers for whom something may have come, or who are gone, since the last call."""
        stirred = list(self._stirred)
        self._stirred.clear()
        return stirred

    # Parts of the above

    def _sign_of_life(self, consumer: Consumer, now: float) -> None:
        consumer.seen = now + consumer.group.ahead

    def _forget(self, consumer: Consumer) -> None:
        del self.consumers[consumer.name]
        if consumer.waiting:
            self._stirred[consumer] = None

    def _rebalanced(self, group: Group) -> None:
        # Perhaps nothing is in flight that has to move; then tick() looks once in vain.
        self._look_at(group, self.now + self.settings.rebalance_timeout)
        self._stir(group)

    def _stir(self, group: Group) -> None:
        if group.stirred:
            group.stirred = False
            if self._waiting:
                self._stirred.update((member, None) for member in group.members.values() if member.waiting)

    def _stir_owner(self, cursor: Cursor) -> None:
        if cursor.owner is not None and cursor.owner.waiting:
            self._stirred[cursor.owner] = None

    def _group(self, name: str) -> Group:
        group = self.groups.get(name)
        if group is None:
            raise Refusal("group-unknown", f"there is no consumer group {name!r}", "consumer_group_name")
        return group

    def _topics(self, names: Sequence[str]) -> list[Topic]:
        topics = []
        for name in names:
            topic = self.topics.get(name)
            if topic is None:
                raise _unknown_topic(name, "topic_list")
            topics.append(topic)
        return topics


def _octets(value: str | float) -> int:
    if not isinstance(value, str):
        return 8
    return len(value) if value.isascii() else len(value.encode())


def _unknown_topic(name: str, member: str | None = None) -> Refusal:
    shown = name if len(name) <= 130 else name[:130] + "…"
    return Refusal("topic-unknown", f"there is no topic {shown!r}; /topic/add-topic adds one", member)


def _room(used: int, bound: int, things: str, more: int = 1) -> None:
    if used + more > bound:
        raise Refusal("too-many", f"this server holds {bound} {things} at most")
