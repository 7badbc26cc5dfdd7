"""Consumer groups: members, cursors on partitions, ownership, and the rebalance."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from reference_server.queue.assignment import assign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_server.queue.settings import QueueSettings
    from reference_server.queue.topic import Partition, Topic


class Consumer:
    """A registered member. `seen` is the group's time of its last sign of life (LIVE-SIGN-1).

    `waiting` counts its unanswered long polls: while there is one, it is alive (POLL-WAIT-5).
    """

    __slots__ = ("assigned", "group", "held", "name", "seen", "topics", "waiting")

    def __init__(self, name: str, group: Group, seen: float) -> None:
        self.name = name
        self.group = group
        self.seen = seen
        self.topics: set[str] = set()
        self.assigned: deque[Cursor] = deque()
        self.held: dict[int, Cursor] = {}
        self.waiting = 0

    def next_cursor(self) -> Cursor | None:
        """The next assigned partition with a record to hand out; the round goes on after it (POLL-FAIR-1)."""
        assigned = self.assigned
        for _ in range(len(assigned)):
            cursor = assigned[0]
            assigned.rotate(-1)
            if cursor.is_ready():
                return cursor
        return None


class Cursor:
    """Where a group stands in one partition, who owns it there, and what is in flight.

    `in_flight` is the messageId that the owner holds (at most one: ORDER-2), `heir` the consumer to whom the
    partition is to go once that is settled (REBALANCE-2), `overdue` the group's time at which it is taken back
    (REBALANCE-5). `handed` is one past the last offset ever handed out.
    """

    __slots__ = ("committed", "handed", "heir", "in_flight", "overdue", "owner", "partition")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.committed = 0  # POLL-START-1: a new group starts at the oldest record
        self.handed = 0
        self.owner: Consumer | None = None
        self.heir: Consumer | None = None
        self.in_flight: int | None = None
        self.overdue = math.inf

    def is_ready(self) -> bool:
        """Whether there is a record that the owner may get now."""
        return self.in_flight is None and self.committed < len(self.partition.records)

    def hand_out(self) -> tuple[int, bool]:
        """Put the next record in flight with the owner; returns its messageId and whether it was handed out before."""
        assert self.owner is not None
        message_id = self.partition.ids[self.committed]
        again = self.committed < self.handed
        self.handed = max(self.handed, self.committed + 1)
        self.in_flight = message_id
        self.owner.held[message_id] = self
        return message_id, again

    def settle(self, *, commit: bool) -> None:
        """End the flight: the record is committed or free again. Then the partition passes to its heir, if any."""
        assert self.owner is not None
        assert self.in_flight is not None
        del self.owner.held[self.in_flight]
        self.in_flight = None
        self.committed += commit
        if self.heir is not None:
            self.pass_to(self.heir)

    def pass_to(self, consumer: Consumer | None) -> None:
        """Change the owner, with nothing in flight."""
        self.heir = None
        self.overdue = math.inf
        if consumer is self.owner:
            return
        if self.owner is not None:
            self.owner.assigned.remove(self)
        self.owner = consumer
        if consumer is not None:
            consumer.assigned.append(self)


class Group:
    """One consumer group. Its time runs with the queue's, `ahead` seconds in front of it.

    `looked_at` is the queue's time at which the broker will look at it; infinite: at none.
    """

    __slots__ = ("ahead", "cursors", "looked_at", "members", "name", "settings", "stirred")

    def __init__(self, name: str, settings: QueueSettings) -> None:
        self.name = name
        self.settings = settings
        self.ahead = 0.0
        self.looked_at = math.inf
        self.members: dict[str, Consumer] = {}
        self.cursors: dict[str, list[Cursor]] = {}
        self.stirred = False

    def cursors_to_open(self, topics: list[Topic]) -> int:
        """How many partitions the group would follow anew if one of its members subscribed to these topics."""
        return sum(len(topic.partitions) for topic in set(topics) if topic.name not in self.cursors)

    def subscribe(self, consumer: Consumer, topics: list[Topic], now: float) -> None:
        """Let a member take part in topics (MEMBER-SUBSCRIBE-1); again changes nothing (MEMBER-SUBSCRIBE-4)."""
        for topic in topics:
            if topic.name in consumer.topics:
                continue
            consumer.topics.add(topic.name)
            if topic.name not in self.cursors:
                self._open(topic)
            self.rebalance(topic.name, now)

    def unsubscribe(self, consumer: Consumer, topics: list[Topic], now: float) -> None:
        """Let a member leave topics; offsets stay (MEMBER-UNSUBSCRIBE-4), what it held is free (DELIVER-2)."""
        for topic in topics:
            if topic.name in consumer.topics:
                consumer.topics.discard(topic.name)
                self._release(consumer, topic.name)
                self.rebalance(topic.name, now)

    def leave(self, consumer: Consumer, now: float) -> None:
        """Put a member out: it left or was evicted."""
        del self.members[consumer.name]
        topics = sorted(consumer.topics)
        consumer.topics.clear()
        for name in topics:
            self._release(consumer, name)
            self.rebalance(name, now)

    def dissolve(self) -> None:
        """Forget members and offsets (GROUP-REMOVE-2, GROUP-REMOVE-3)."""
        for cursor in self.all_cursors():
            cursor.partition.cursors.remove(cursor)
        self.cursors.clear()
        self.members.clear()

    def rebalance(self, topic: str, now: float) -> None:
        """Deal the partitions of a topic anew among those subscribed to it.

        A partition with a record in flight goes to its heir when that is settled, or when it is overdue.
        """
        cursors = self.cursors[topic]
        members = [member for member in self.members.values() if topic in member.topics]
        after = assign([cursor.owner for cursor in cursors], members)
        for cursor, owner in zip(cursors, after, strict=True):
            if cursor.in_flight is None or owner is cursor.owner:
                cursor.pass_to(owner)
            else:
                cursor.heir = owner
                cursor.overdue = min(cursor.overdue, now + self.settings.rebalance_timeout)
        self.stirred = True

    def expire(self, now: float) -> list[Consumer]:
        """Do what is due at the group's time `now`; returns the members that were evicted (LIVE-EVICT-1)."""
        timeout = self.settings.heartbeat_timeout
        # The very sum that next_deadline tells: a rounded difference could be late for it.
        silent = [m for m in self.members.values() if not m.waiting and m.seen + timeout <= now]
        for consumer in silent:
            self.leave(consumer, now)
        for cursor in self.all_cursors():
            if cursor.overdue <= now:  # REBALANCE-5
                cursor.settle(commit=False)
                self.stirred = True
        return silent

    def next_deadline(self) -> float:
        """The queue's time at which `expire` has work; infinite: never by itself."""
        timeout = self.settings.heartbeat_timeout
        silence = min((m.seen + timeout for m in self.members.values() if not m.waiting), default=math.inf)
        overdue = min((cursor.overdue for cursor in self.all_cursors()), default=math.inf)
        return min(silence, overdue) - self.ahead

    def all_cursors(self) -> Iterator[Cursor]:
        """Every cursor of the group, by topic and index."""
        for cursors in self.cursors.values():
            yield from cursors

    def _open(self, topic: Topic) -> None:
        self.cursors[topic.name] = [Cursor(partition) for partition in topic.partitions]
        for cursor in self.cursors[topic.name]:
            cursor.partition.cursors.append(cursor)

    def _release(self, consumer: Consumer, topic: str) -> None:
        for cursor in self.cursors[topic]:
            if cursor.owner is consumer:
                if cursor.in_flight is not None:
                    cursor.settle(commit=False)
                if cursor.owner is consumer:
                    cursor.pass_to(None)
            elif cursor.heir is consumer:
                # Its owner has it in flight: the rebalance that follows finds another heir, or lets it stay.
                cursor.heir = None
                cursor.overdue = math.inf
