"""The broker: topics, groups and consumers of the whole server, under one lock, and its timers."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.first_server import rebalance
from tests.first_server.bodies import Refused
from tests.first_server.faults import (
    ANY_HEARTBEAT,
    CASE_BLIND,
    COMMITTED_BY_EVICTION,
    EMPTY_KEY,
    FOREIGN_ID,
    GROUP_ANEW,
    HANGING_SUBSCRIPTIONS,
    KEPT_MEMBERS,
    NEGATIVE_ID,
    NONE,
    SHARED_OFFSETS,
    SILENT_POLLS,
    STUCK_SWEEPER,
    SUBSCRIBED_AGAIN,
    UNKNOWN_ID,
    UNSEEN_TOPIC,
)
from tests.first_server.groups import Group, Member
from tests.first_server.partitions import Record, Topic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.first_server.faults import Faults
    from tests.first_server.groups import GroupPartition

#: J8: one topic in so many is not seen at first by another connection, for so many seconds.
UNSEEN_ONE_OF = 10
UNSEEN_SECONDS = 1.0
#: J1: seconds between two looks at the clock while a subscription hangs.
HANGING_LOOK = 0.02


@dataclass(frozen=True)
class Settings:
    """Timings in seconds, and the enabled faults. Silent consumers are evicted every `eviction_grace` seconds."""

    heartbeat_timeout: float = 60.0
    eviction_grace: float = 60.0
    rebalance_timeout: float = 30.0
    faults: Faults = NONE


class Broker:
    """The queue. Each public method is one operation and raises Refused; safe for several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = settings.faults
        self._changed = threading.Condition()
        self._topics: dict[str, Topic] = {}
        self._groups: dict[str, Group] = {}
        self._consumers: dict[str, Member] = {}
        self._records = 0
        self._last_sweep = self._now = time.monotonic()
        self._sweeper_is_stuck = False

    # Topics

    def add_topic(self, name: str) -> None:
        """Add a topic (TOPIC-ADD-1, TOPIC-ADD-2)."""
        with self._changed:
            name = self._spelled(name)
            if name in self._topics:
                raise Refused(f"there is a topic {name!r} already")
            self._topics[name] = Topic(name, time.monotonic())

    def store(
        self, topic: str, message: str, key: str | None, timestamp: float | str, *, hash_is_torn: bool = False
    ) -> None:
        """Store a record at the end of its partition (PUB-STORE-1)."""
        with self._changed:
            place = self._topic(topic)
            if UNSEEN_TOPIC in self.faults and self._is_unseen(place):
                raise Refused(f"there is no topic {topic!r}")
            self._records += 1
            record = Record(self._records, topic, message, key, timestamp)
            place.append(record, hash_is_torn=hash_is_torn, hashes_empty=EMPTY_KEY in self.faults)

    # Groups

    def add_group(self, name: str) -> None:
        """Add a group, unless it is there (GROUP-ADD-1, GROUP-ADD-2)."""
        with self._changed:
            self._advance()
            group = self._groups.setdefault(name, Group(name, self.faults))
            if GROUP_ANEW in self.faults:
                for partition in group.all_partitions():
                    partition.committed = 0

    def remove_group(self, name: str) -> None:
        """Remove a group with its offsets and its members (GROUP-REMOVE-1 to GROUP-REMOVE-3)."""
        with self._changed:
            self._advance()
            group = self._group(name)
            del self._groups[name]
            if KEPT_MEMBERS not in self.faults:
                for consumer in group.members:
                    del self._consumers[consumer]
            self._changed.notify_all()

    # Consumers

    def register(self, group_name: str, consumer: str) -> None:
        """Register a consumer in a group (MEMBER-REGISTER-1 to MEMBER-REGISTER-4)."""
        with self._changed:
            self._advance()
            group = self._group(group_name)
            if consumer in self._consumers:
                raise Refused(f"there is a consumer {consumer!r} already")
            member = Member(consumer, group, self._now)
            group.members[consumer] = self._consumers[consumer] = member

    def subscribe(self, consumer: str, topics: Sequence[str]) -> None:
        """Subscribe a consumer to topics, all or none (MEMBER-SUBSCRIBE-1, MEMBER-SUBSCRIBE-2)."""
        with self._changed:
            self._hang_while_rebalancing(consumer)
            member = self._member(consumer)
            found = [self._topic(name) for name in topics]
            self._free_what_was_subscribed(member, topics)
            rebalance.join(member.group, member, found, self._overdue())
            self._hang_while_rebalancing(consumer)

    def unsubscribe(self, consumer: str, topics: Sequence[str]) -> None:
        """Take topics from a consumer (MEMBER-UNSUBSCRIBE-1, MEMBER-UNSUBSCRIBE-2)."""
        with self._changed:
            self._hang_while_rebalancing(consumer)
            member = self._member(consumer)
            for name in topics:
                self._topic(name)
            rebalance.unsubscribe(member.group, member, topics, self._overdue())
            self._changed.notify_all()
            self._hang_while_rebalancing(consumer)

    def poll(self, consumer: str) -> tuple[int, Record] | None:
        """The next record with its id, None if there is none now (POLL-OK-1, POLL-EMPTY-1)."""
        with self._changed:
            before = self._consumers[consumer].last_sign if consumer in self._consumers else 0.0
            member = self._member(consumer)
            if SILENT_POLLS in self.faults:
                member.last_sign = before
            return member.group.poll(member)

    def acknowledge(self, consumer: str, message_id: int) -> None:
        """Commit a record that the consumer holds (ACK-OK-1, ACK-UNKNOWN-1, ACK-OTHER-1)."""
        with self._changed:
            member = self._member(consumer)
            partition = member.group.acknowledge(consumer, message_id)
            if partition is not None:
                self._commit_elsewhere(partition)
                rebalance.settle(partition)
                self._changed.notify_all()
            elif not self._is_let_pass(message_id):
                raise Refused(f"record {message_id} is not in flight with consumer {consumer!r}")

    def heartbeat(self, consumer: str) -> None:
        """A sign of life (LIVE-BEAT-1, LIVE-BEAT-2)."""
        with self._changed:
            if consumer in self._consumers or ANY_HEARTBEAT not in self.faults:
                self._member(consumer)

    # Looking up

    def _topic(self, name: str) -> Topic:
        name = self._spelled(name)
        if name not in self._topics:
            raise Refused(f"there is no topic {name!r}")
        return self._topics[name]

    def _group(self, name: str) -> Group:
        if name not in self._groups:
            raise Refused(f"there is no consumer group {name!r}")
        return self._groups[name]

    def _member(self, name: str) -> Member:
        """Consumer of this name; the call is a sign of life (LIVE-SIGN-1)."""
        self._advance()
        if name not in self._consumers:
            raise Refused(f"there is no consumer {name!r}")
        member = self._consumers[name]
        member.last_sign = self._now
        return member

    # Time

    def _overdue(self) -> float:
        """Monotonic time in seconds at which a rebalance that starts now takes back records in flight."""
        return self._now + self.settings.rebalance_timeout

    def _advance(self) -> None:
        """Run what is due: the search for silent consumers, and the ends of rebalances."""
        self._now = time.monotonic()
        period = self.settings.eviction_grace
        sweeps = (self._now - self._last_sweep) // period if period else 0
        self._last_sweep = self._last_sweep + sweeps * period if period else self._now
        if sweeps or not period:
            self._take_back(self._last_sweep)
            self._sweep(self._last_sweep)
        self._take_back(self._now)

    def _take_back(self, now: float) -> None:
        for group in self._living_groups():
            rebalance.take_back(group, now)

    def _sweep(self, now: float) -> None:
        """Evict consumers that were silent for the heartbeat timeout (LIVE-KEEP-1, LIVE-EVICT-1)."""
        timeout = self.settings.heartbeat_timeout
        silent = [member for member in self._consumers.values() if now - member.last_sign >= timeout]
        if STUCK_SWEEPER in self.faults:
            self._sweeper_is_stuck = self._sweeper_is_stuck or self._is_waited_for(silent)
            if self._sweeper_is_stuck:
                return
        for member in silent:
            del self._consumers[member.name]
            if COMMITTED_BY_EVICTION in self.faults:
                member.group.commit_all(member.name)
            rebalance.leave(member.group, member, now + self.settings.rebalance_timeout)

    def _living_groups(self) -> Iterator[Group]:
        """Each group that has members, once."""
        return iter({id(member.group): member.group for member in self._consumers.values()}.values())

    # Deviations

    def _spelled(self, topic: str) -> str:
        """J24: the spelling under which a topic is kept."""
        return topic.lower() if CASE_BLIND in self.faults else topic

    def _free_what_was_subscribed(self, member: Member, topics: Sequence[str]) -> None:
        """J20: free the records of the topics that a consumer is subscribed to already."""
        if SUBSCRIBED_AGAIN in self.faults:
            for name in member.topics & set(topics):
                for partition in member.group.partitions[name]:
                    partition.free(member.name)

    def _commit_elsewhere(self, partition: GroupPartition) -> None:
        """J17: commit the offset of a partition in every group that reads it."""
        if SHARED_OFFSETS in self.faults:
            for group in self._living_groups():
                for other in group.partitions.get(partition.topic.name, [])[partition.index :][:1]:
                    other.committed = max(other.committed, partition.committed)

    def _is_unseen(self, topic: Topic) -> bool:
        """J8: the first record of one topic of ten comes before its connection sees the topic."""
        number = list(self._topics).index(topic.name) + 1
        is_unlucky = number % UNSEEN_ONE_OF == 0
        is_new = topic.is_empty and time.monotonic() - topic.added < UNSEEN_SECONDS
        return is_unlucky and is_new

    def _hang_while_rebalancing(self, consumer: str) -> None:
        """J1: wait until no rebalance of the consumer's group waits for a holder."""
        if HANGING_SUBSCRIPTIONS not in self.faults:
            return
        while (member := self._consumers.get(consumer)) is not None and member.group.is_rebalancing:
            self._changed.wait(HANGING_LOOK)
            self._advance()

    def _is_waited_for(self, silent: Sequence[Member]) -> bool:
        """J2: True if a rebalance waits for one of these silent consumers."""
        return any(
            partition.is_waiting and partition.owner == member.name
            for member in silent
            for partition in member.group.all_partitions()
        )

    def _is_let_pass(self, message_id: int) -> bool:
        """J12a to J12c: True if an acknowledgement of another's record is answered 202 all the same."""
        if message_id < 0:
            return NEGATIVE_ID in self.faults
        is_held = any(group.holds(message_id) for group in self._living_groups())
        return (FOREIGN_ID if is_held else UNKNOWN_ID) in self.faults
