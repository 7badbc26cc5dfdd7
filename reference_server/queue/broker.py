"""The queue: each operation is a method that either succeeds, or raises Refusal and changes nothing (REFUSE-1)."""

import math
from collections.abc import Iterable, Sequence
from sys import getsizeof
from typing import NamedTuple

from reference_server.budget import Budget
from reference_server.deadlines import Deadlines
from reference_server.events import Events
from reference_server.queue.bounds import check_range, check_room
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.names import check_name
from reference_server.queue.refusal import Refusal
from reference_server.queue.room import Room
from reference_server.queue.settings import QueueSettings
from reference_server.queue.topic import Partition, Record, Topic, octets_in

_RECORD_OCTETS = 80
"""Octets that a record takes besides its texts and numbers."""
_INSTANT = 0.001
"""Seconds between two pieces of an eviction, or of a removal."""


class Delivery(NamedTuple):
    """A record that a poll hands out; `redelivered` if the group was handed it before."""

    message_id: int
    partition: Partition
    offset: int
    record: Record
    redelivered: bool


class QueueBroker:
    """Topics, groups and consumers of one server. `now` is the queue's time in seconds, as of the last call."""

    def __init__(self, settings: QueueSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self.budget = budget or Budget(settings.total_bytes)
        self.events = Events()
        self.topics: dict[str, Topic] = {}
        self.groups: dict[str, Group] = {}
        self.consumers: dict[str, Consumer] = {}
        self._partitions = 0
        self._cursors = 0
        self._next_id = 1
        self._deadlines: Deadlines[Group] = Deadlines()
        """The next eviction or overdue record of each group, or a time before it."""
        self._followers: dict[str, dict[Group, None]] = {}
        """The groups that have cursors on a topic, by its name."""
        self._wakeable: dict[Consumer, None] = {}
        self._waiting = 0
        self.room = Room(settings, self.budget, self.topics, self._followers)
        self.now = 0.0

    # Time

    def tick(self, now: float) -> None:
        """Evict silent consumers and take back overdue records in every group (LIVE-EVICT-1, REBALANCE-5)."""
        self.now = now
        self.room.tick()
        if now >= self._deadlines.next:
            for group in self._deadlines.take_due(now):
                self._expire(group, now)

    def next_deadline(self) -> float:
        """The queue's time in seconds at which tick() has work, or an earlier one; infinite if there is none."""
        return min(self._deadlines.next, self.now + _INSTANT if self.room.removed else math.inf)

    def advance_group(self, name: str, seconds: float, *, now: float) -> float:
        """Advance the time of one group (CLOCK-3); returns the group's time. Raises Refusal (group-unknown)."""
        self.tick(now)
        group = self._group(name)
        group.clock_offset += seconds
        self._expire(group, now)
        self.finish(group)
        return now + group.clock_offset

    def _expire(self, group: Group, now: float) -> None:
        for consumer in group.expire(now + group.clock_offset):
            self.events.note("eviction", group=group.name, consumer=consumer.name)
            self._forget(consumer)
        # The rest of an eviction follows after an instant, in which others get their turn.
        self._deadlines.set(group, now + _INSTANT if group.leaving else group.next_deadline())
        self._wake_members(group)

    def finish(self, *groups: Group) -> None:
        """Do what is left of the evictions of these groups."""
        for group in groups:
            while group.leaving:
                self._expire(group, self.now)

    # Topics

    def add_topic(self, name: str, partitions: int, partition_bytes: int, *, now: float) -> Topic:
        """Add a topic (TOPIC-ADD-1); 0 partitions or bytes mean the default.

        Raises Refusal: name-invalid, topic-exists, member-value (PART-COUNT-2), too-many.
        """
        self.tick(now)
        settings = self.settings
        check_name(name, "topicName", settings.name_length)
        count = partitions or settings.partitions
        bound = partition_bytes or settings.partition_bytes
        check_range("partitions", partitions, settings.topic_partitions)
        check_range("partition_bytes", partition_bytes, settings.partition_bytes)
        if name in self.topics:  # TOPIC-ADD-2, TOPIC-ADD-3
            raise Refusal("topic-exists", f"topic {name!r} exists and stays as it was", "topicName")
        check_room(len(self.topics), settings.topics, "topics")
        check_room(self._partitions, settings.all_partitions, "partitions", count)
        topic = self.topics[name] = Topic(name, count, settings.brokers, bound)
        self._partitions += count
        return topic

    @property
    def published(self) -> int:
        """Number of records that were ever stored."""
        return self._next_id - 1

    def followers(self, topic_name: str) -> Iterable[Group]:
        """The groups that have cursors on a topic."""
        return self._followers.get(topic_name, ())

    def remove_topic(self, name: str, *, now: float) -> None:
        """Remove a topic, and all that groups keep about it (TOPIC-REMOVE-1). Raises Refusal (topic-unknown)."""
        self.tick(now)
        topic = self._topic(name, "topicName")
        for group in self._followers.pop(name, ()):
            self._cursors -= len(topic.partitions)
            for member in group.forget(name):
                member.is_stranded = True
                self._wakeable[member] = None
        del self.topics[name]
        self._partitions -= len(topic.partitions)
        self.room.remove(topic.partitions)

    def publish(self, topic_name: str, record: Record, *, now: float) -> tuple[Partition, int]:
        """Store a record (PUB-STORE-1); returns its partition and offset.

        Raises Refusal: topic-unknown, partition-full (PUB-FULL-1).
        """
        # No tick: an eviction that is due changes nothing about a publish.
        self.now = now
        topic = self._topic(topic_name)
        octets = octets_in(record)
        texts = getsizeof(record.message) + getsizeof(record.key) + getsizeof(record.label)
        all_octets = _RECORD_OCTETS + texts + getsizeof(record.timestamp)
        partition = topic.partition_for(record.key)
        room, bound = self.room, topic.partition_bytes
        if partition.octets + octets > bound and (
            octets > bound or not room.make(iter([partition]), lambda: partition.octets + octets <= bound)
        ):
            raise Refusal("partition-full", f"partition {partition.name} holds {bound} bytes at most")
        if not room.has_for(all_octets) and not room.make(
            room.everywhere(), lambda: room.has_for(all_octets)
        ):
            is_full = f"{self.settings.total_bytes} bytes or {self.settings.records} records"
            raise Refusal("partition-full", f"this server holds {is_full} at most")
        if not record.key:
            topic.take_turn()
        partition.octets += octets
        self.budget.used += all_octets
        room.records += 1
        offset = partition.end
        partition.records.append(record)
        partition.ids.append(self._next_id)
        partition.costs.append(all_octets)
        topic.described = None
        self._next_id += 1
        if self._waiting:
            for group in self._followers.get(topic_name, ()):
                self._wake_owner(group.cursors[topic_name][partition.index])
        return partition, offset

    # Groups and members

    def add_group(self, name: str, *, now: float) -> Group:
        """Add a group, or return the existing one (GROUP-ADD-1, -2). Raises Refusal: name-invalid, too-many."""
        self.tick(now)
        check_name(name, "consumer_group_name", self.settings.name_length)
        group = self.groups.get(name)
        if group is None:
            check_room(len(self.groups), self.settings.groups, "consumer groups")
            group = self.groups[name] = Group(name, self.settings)
        return group

    def remove_group(self, name: str, *, now: float) -> None:
        """Remove a group with its members and offsets (GROUP-REMOVE-1). Raises Refusal (group-unknown)."""
        self.tick(now)
        group = self._group(name)
        for consumer in group.members.values():
            self._forget(consumer)
        for topic, cursors in group.cursors.items():
            self._cursors -= len(cursors)
            del self._followers[topic][group]
        group.dissolve()
        self._deadlines.remove(group)
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
        check_room(len(self.consumers), self.settings.consumers, "consumers")
        consumer = Consumer(name, group, now + group.clock_offset)
        group.members[name] = self.consumers[name] = consumer
        self._deadlines.set(group, now + self.settings.heartbeat_timeout)
        return consumer

    def consumer(self, name: str, *, now: float) -> Consumer:
        """Find a consumer and note its sign of life, even if the operation is refused later (LIVE-BEAT-1, LIVE-SIGN-1).

        Every operation of a consumer begins here, so that `self.now` is its time.
        Raises Refusal (consumer-unknown), also for one that was evicted (LIVE-GONE-1).
        """
        self.tick(now)
        consumer = self.consumers.get(name)
        if consumer is None:
            eviction = f"it may have been evicted after {self.settings.heartbeat_timeout:g} s of silence"
            detail = f"no consumer {name!r} is registered; {eviction}"
            raise Refusal("consumer-unknown", detail, "consumer_name")
        self._sign_of_life(consumer, now)
        return consumer

    def unregister(self, consumer: Consumer) -> None:
        """Remove a consumer from its group (MEMBER-UNREGISTER-1)."""
        consumer.group.leave(consumer, self.now + consumer.group.clock_offset)
        self._forget(consumer)
        self._rebalanced(consumer.group)

    def subscribe(self, consumer: Consumer, topic_names: Sequence[str]) -> None:
        """Subscribe to topics, all or none (MEMBER-SUBSCRIBE-1, MEMBER-SUBSCRIBE-2).

        Raises Refusal: topic-unknown, too-many.
        """
        topics = self._topics(topic_names)
        group = consumer.group
        opened = [topic for topic in dict.fromkeys(topics) if topic.name not in group.cursors]
        partitions = sum(len(topic.partitions) for topic in opened)
        check_room(self._cursors, self.settings.cursors, "partitions that groups follow", partitions)
        self._cursors += partitions
        for topic in opened:
            self._followers.setdefault(topic.name, {})[group] = None
        group.subscribe(consumer, topics, self.now + group.clock_offset)
        self._rebalanced(group)

    def unsubscribe(self, consumer: Consumer, topic_names: Sequence[str]) -> None:
        """Unsubscribe from topics (MEMBER-UNSUBSCRIBE-1). Raises Refusal (topic-unknown)."""
        topics = self._topics(topic_names)
        consumer.group.unsubscribe(consumer, topics, self.now + consumer.group.clock_offset)
        self._rebalanced(consumer.group)

    # Records

    def poll(self, consumer: Consumer) -> Delivery | None:
        """Hand out the consumer's next record (POLL-OK-1); None if there is none now."""
        cursor = consumer.next_cursor()
        if cursor is None:
            return None
        message_id, redelivered = cursor.hand_out()
        offset = cursor.committed
        return Delivery(message_id, cursor.partition, offset, cursor.partition.record(offset), redelivered)

    def settle(self, consumer: Consumer, message_id: int, *, commit: bool) -> None:
        """Acknowledge a record, or give it back (ACK-OK-1, NACK-OK-1).

        Raises Refusal: not-in-flight (ACK-UNKNOWN-1, ACK-OTHER-1, NACK-UNKNOWN-1).
        """
        cursor = consumer.held.get(message_id)
        if cursor is None:
            detail = f"record {message_id} is not in flight with consumer {consumer.name!r}"
            raise Refusal("not-in-flight", detail, "message_id")
        cursor.settle(commit=commit)  # ACK-COMMIT-1, ACK-COMMIT-2, NACK-AGAIN-1
        if self._waiting:
            self._wake_owner(cursor)

    # Long polls

    def wait(self, consumer: Consumer) -> None:
        """Count one more long poll of the consumer that waits (POLL-WAIT-5)."""
        consumer.waiting += 1
        self._waiting += 1

    def wait_no_more(self, consumer: Consumer) -> None:
        """Count one less: that long poll was answered, and the consumer's silence begins now (POLL-WAIT-5)."""
        consumer.waiting -= 1
        self._waiting -= 1
        if self.consumers.get(consumer.name) is consumer:
            self._sign_of_life(consumer, self.now)
            self._deadlines.set(consumer.group, self.now + self.settings.heartbeat_timeout)

    def take_wakeable(self) -> list[Consumer]:
        """Waiting consumers that may have a record now, or are no longer registered, since the last call."""
        wakeable, self._wakeable = self._wakeable, {}
        return list(wakeable)

    # Parts of the above

    def _sign_of_life(self, consumer: Consumer, now: float) -> None:
        consumer.seen = now + consumer.group.clock_offset

    def _forget(self, consumer: Consumer) -> None:
        del self.consumers[consumer.name]
        if consumer.waiting:
            self._wakeable[consumer] = None

    def _rebalanced(self, group: Group) -> None:
        # An upper bound: there may be no record in flight in a partition that has to move.
        self._deadlines.set(group, self.now + self.settings.rebalance_timeout)
        self._wake_members(group)

    def _wake_members(self, group: Group) -> None:
        if group.moved:
            topics, members, one = len(group.moved), len(group.members), group.moved[0]
            group.moved = []
            self.events.note("rebalance", group=group.name, members=members, topics=topics, topic=one)
        if group.wakeable:
            group.wakeable = False
            if self._waiting:
                self._wakeable.update((member, None) for member in group.members.values() if member.waiting)

    def _wake_owner(self, cursor: Cursor) -> None:
        if cursor.owner is not None and cursor.owner.waiting:
            self._wakeable[cursor.owner] = None

    def _group(self, name: str) -> Group:
        group = self.groups.get(name)
        if group is None:
            raise Refusal("group-unknown", f"there is no consumer group {name!r}", "consumer_group_name")
        return group

    def _topic(self, name: str, member: str | None = None) -> Topic:
        topic = self.topics.get(name)
        if topic is None:
            shown = name if len(name) <= 130 else name[:130] + "…"
            raise Refusal("topic-unknown", f"there is no topic {shown!r}; /topic/add-topic adds one", member)
        return topic

    def _topics(self, names: Sequence[str]) -> list[Topic]:
        return [self._topic(name, "topic_list") for name in names]
