"""Consumer groups: members, cursors on partitions, ownership, and the rebalance."""

import math
from collections import OrderedDict
from collections.abc import Iterator

from reference_server.queue.assignment import assign
from reference_server.queue.settings import QueueSettings
from reference_server.queue.topic import Partition, Topic

_PIECE = 2000
"""Partitions and members that are looked at in one piece of an eviction: some milliseconds."""


class Consumer:
    """A registered member. `seen` is the group's time of its last sign of life, in seconds (LIVE-SIGN-1).

    `waiting` counts its unanswered long polls: it is not evicted while there is one (POLL-WAIT-5). They end when it
    `is_stranded`: its last topic was removed (TOPIC-REMOVE-9).
    """

    __slots__ = ("assigned", "group", "held", "is_stranded", "name", "seen", "topics", "waiting")

    def __init__(self, name: str, group: "Group", seen: float) -> None:
        self.name = name
        self.group = group
        self.seen = seen
        self.topics: dict[str, None] = {}
        self.assigned: OrderedDict[Cursor, None] = OrderedDict()
        self.held: dict[int, Cursor] = {}
        self.waiting = 0
        self.is_stranded = False

    def next_cursor(self) -> "Cursor | None":
        """The next assigned partition with a record to hand out; the round goes on after it (POLL-FAIR-1)."""
        assigned = self.assigned
        for _ in range(len(assigned)):
            cursor = next(iter(assigned))
            assigned.move_to_end(cursor)
            if cursor.is_ready():
                return cursor
        return None


class Cursor:
    """A group's committed offset in one partition, the partition's owner, and the record in flight.

    `in_flight` is the messageId that the owner holds (at most one: ORDER-2). `next_owner` gets the partition once
    that is settled (REBALANCE-2), or at `overdue`, the group's time in seconds at which the record is taken back
    (REBALANCE-5). `handed` is one past the last offset ever handed out.
    """

    __slots__ = ("committed", "handed", "in_flight", "next_owner", "overdue", "owner", "partition")

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        # POLL-START-1, RETENTION-START-1: a new group starts at the oldest record.
        self.committed = self.handed = partition.oldest
        self.owner: Consumer | None = None
        self.next_owner: Consumer | None = None
        self.in_flight: int | None = None
        self.overdue = math.inf

    def is_ready(self) -> bool:
        """Return whether there is a record that the owner may get now."""
        return self.in_flight is None and self.committed < self.partition.end

    def hand_out(self) -> tuple[int, bool]:
        """Put the next record in flight with the owner; returns its messageId and whether it was handed out before."""
        assert self.owner is not None
        message_id = self.partition.ids[self.committed - self.partition.base]
        again = self.committed < self.handed
        self.handed = max(self.handed, self.committed + 1)
        self.in_flight = message_id
        self.owner.held[message_id] = self
        return message_id, again

    def settle(self, *, commit: bool) -> None:
        """Commit the record in flight, or free it. Then the partition passes to its next owner, if it has one."""
        assert self.owner is not None
        assert self.in_flight is not None
        del self.owner.held[self.in_flight]
        self.in_flight = None
        self.committed += commit
        if self.next_owner is not None:
            self.pass_to(self.next_owner)

    def pass_to(self, consumer: Consumer | None) -> None:
        """Change the owner; nothing may be in flight."""
        self.next_owner = None
        self.overdue = math.inf
        if consumer is self.owner:
            return
        if self.owner is not None:
            del self.owner.assigned[self]
        self.owner = consumer
        if consumer is not None:
            consumer.assigned[self] = None


class Group:
    """One consumer group. Its time is the queue's plus `clock_offset`, in seconds (CLOCK-3).

    `cursors` are by topic and partition index. `leaving` are evicted members that may still own partitions, which are
    reassigned in pieces, so that nobody waits for long. `wakeable`: partitions moved or were freed, so that long polls
    of members may have a record now. `moved` are the topics of rebalances that are not noted yet.
    """

    __slots__ = ("clock_offset", "cursors", "leaving", "members", "moved", "name", "settings", "wakeable")

    def __init__(self, name: str, settings: QueueSettings) -> None:
        self.name = name
        self.settings = settings
        self.clock_offset = 0.0
        self.members: dict[str, Consumer] = {}
        self.cursors: dict[str, list[Cursor]] = {}
        self.leaving: dict[Consumer, None] = {}
        self.wakeable = False
        self.moved: list[str] = []

    def subscribe(self, consumer: Consumer, topics: list[Topic], now: float) -> None:
        """Subscribe a member to topics (MEMBER-SUBSCRIBE-1); idempotent (MEMBER-SUBSCRIBE-4)."""
        for topic in topics:
            if topic.name in consumer.topics:
                continue
            consumer.topics[topic.name] = None
            if topic.name not in self.cursors:
                self._open(topic)
            self.rebalance(topic.name, now)

    def unsubscribe(self, consumer: Consumer, topics: list[Topic], now: float) -> None:
        """Unsubscribe a member; offsets stay (MEMBER-UNSUBSCRIBE-4), records it held are free (DELIVER-2)."""
        for topic in topics:
            if topic.name in consumer.topics:
                del consumer.topics[topic.name]
                self._release(consumer, topic.name)
                self.rebalance(topic.name, now)

    def leave(self, consumer: Consumer, now: float) -> None:
        """Remove a member."""
        del self.members[consumer.name]
        while consumer.topics:
            name = consumer.topics.popitem()[0]
            self._release(consumer, name)
            self.rebalance(name, now)

    def dissolve(self) -> None:
        """Forget members and offsets (GROUP-REMOVE-2, GROUP-REMOVE-3)."""
        self.cursors.clear()
        self.members.clear()
        self.leaving.clear()

    def forget(self, topic: str) -> list[Consumer]:
        """Forget a topic that was removed; return the members that wait and are left without a subscription."""
        for cursor in self.cursors.pop(topic):
            cursor.next_owner = None
            if cursor.in_flight is not None:  # TOPIC-REMOVE-7
                cursor.settle(commit=False)
            cursor.pass_to(None)
        readers = [each for each in (*self.members.values(), *self.leaving) if topic in each.topics]
        for reader in readers:
            del reader.topics[topic]
        return [reader for reader in readers if reader.waiting and not reader.topics]

    def rebalance(self, topic: str, now: float) -> None:
        """Reassign the partitions of a topic to the members that are subscribed to it.

        A partition with a record in flight moves when that is settled, or when it is overdue (REBALANCE-2, -5).
        """
        cursors = self.cursors[topic]
        members = [member for member in self.members.values() if topic in member.topics]
        after = assign([cursor.owner for cursor in cursors], members)
        for cursor, owner in zip(cursors, after, strict=True):
            if cursor.in_flight is None or owner is cursor.owner:
                cursor.pass_to(owner)
            else:
                cursor.next_owner = owner
                cursor.overdue = min(cursor.overdue, now + self.settings.rebalance_timeout)
        self.wakeable = True
        self.moved.append(topic)

    def expire(self, now: float) -> list[Consumer]:
        """Do what is due at the group's time `now`; returns the members that were evicted (LIVE-EVICT-1)."""
        timeout = self.settings.heartbeat_timeout
        # The same sum as in next_deadline: a difference could be rounded to a later time.
        silent = [m for m in self.members.values() if not m.waiting and m.seen + timeout <= now]
        for consumer in silent:
            del self.members[consumer.name]
            self.leaving[consumer] = None
        self._see_off(now)
        for cursor in self.all_cursors():
            if cursor.overdue <= now:  # REBALANCE-5
                cursor.settle(commit=False)
                self.wakeable = True
        return silent

    def _see_off(self, now: float) -> None:
        """Reassign a piece of what evicted members own; each topic is reassigned once for all of them."""
        left = _PIECE
        while self.leaving and left > 0:
            topics = next(reversed(self.leaving)).topics
            if not topics:
                self.leaving.popitem()
                continue
            topic = topics.popitem()[0]
            for consumer in self.leaving:
                consumer.topics.pop(topic, None)
                self._release(consumer, topic)
            left -= len(self.leaving) + len(self.cursors[topic])
            self.rebalance(topic, now)

    def next_deadline(self) -> float:
        """The queue's time in seconds at which `expire` has work; infinite if there is none."""
        timeout = self.settings.heartbeat_timeout
        silence = min((m.seen + timeout for m in self.members.values() if not m.waiting), default=math.inf)
        overdue = min((cursor.overdue for cursor in self.all_cursors()), default=math.inf)
        return min(silence, overdue) - self.clock_offset

    def all_cursors(self) -> Iterator[Cursor]:
        """Every cursor of the group, by topic and index."""
        for cursors in self.cursors.values():
            yield from cursors

    def _open(self, topic: Topic) -> None:
        self.cursors[topic.name] = [Cursor(partition) for partition in topic.partitions]

    def _release(self, consumer: Consumer, topic: str) -> None:
        for cursor in self.cursors[topic]:
            if cursor.owner is consumer:
                if cursor.in_flight is not None:
                    cursor.settle(commit=False)
                if cursor.owner is consumer:
                    cursor.pass_to(None)
            elif cursor.next_owner is consumer:
                # The owner holds a record of the partition: the rebalance that follows chooses again.
                cursor.next_owner = None
                cursor.overdue = math.inf
