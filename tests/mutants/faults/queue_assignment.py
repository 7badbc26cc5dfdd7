"""Faults in the assignment of partitions, and in rebalances."""

from __future__ import annotations

import math
from typing import Any

from reference_server.queue import group as groups
from reference_server.queue.broker import Delivery, QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.refusal import Refusal
from tests.mutants.editing import change_settings
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault


def _subscribers(group: Group, topic: str) -> list[Consumer]:
    return [member for member in group.members.values() if topic in member.topics]


@fault("ASSIGN-1", bindings=HTTP)
def idle_consumers_take_from_busy_ones() -> None:
    """A consumer without partitions gets a free record from another consumer's partition."""

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        found: Cursor | None = original(self)
        if found is None and not self.held:
            for topic in sorted(self.topics):
                for cursor in self.group.cursors[topic]:
                    if cursor.owner is not self and cursor.next_owner is None and cursor.is_ready():
                        cursor.pass_to(self)
                        return cursor
        return found


@fault("ASSIGN-1", "REBALANCE-1", bindings=STOMP, hard=True)
def a_partition_is_forgotten_when_the_third_leaves() -> None:
    """When three members of a topic become two, one partition has no owner."""
    before: dict[tuple[Group, str], int] = {}

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        count = len(_subscribers(self, topic))
        if before.get((self, topic)) == 3 and count == 2 and self.cursors[topic][-1].in_flight is None:
            self.cursors[topic][-1].pass_to(None)
        before[(self, topic)] = count


@fault("ASSIGN-2", bindings=HTTP)
def what_is_left_over_is_the_first_ones() -> None:
    """Of 8 partitions and 3 members the first gets 4."""

    @replace(groups, "assign")
    def assign(owners: list[Any], members: list[Any]) -> list[Any]:
        if not members:
            return [None] * len(owners)
        share, rest = divmod(len(owners), len(members))
        after = [member for member in members for _ in range(share)]
        return [members[0]] * rest + after


@fault("ASSIGN-2", bindings=STOMP)
def who_comes_fourth_gets_nothing() -> None:
    """Partitions are dealt out among three members at most."""

    @wrap(groups, "assign")
    def assign(original: Any, owners: list[Any], members: list[Any]) -> list[Any]:
        result: list[Any] = original(owners, members[:3])
        return result


@fault("ASSIGN-3", bindings=HTTP)
def nobody_may_stand_by() -> None:
    """A subscription to a topic that has as many subscribers as partitions is refused."""

    @wrap(QueueBroker, "subscribe")
    def subscribe(original: Any, self: QueueBroker, consumer: Consumer, names: list[str]) -> None:
        for topic in self._topics(names):
            taken = len(_subscribers(consumer.group, topic.name))
            if topic.name not in consumer.topics and taken >= len(topic.partitions):
                raise Refusal("too-many", "every partition has its consumer", "topic_list")
        original(self, consumer, names)


@fault("ASSIGN-3", "ASSIGN-1", bindings=STOMP)
def who_stands_by_shares_a_partition() -> None:
    """Consumers beyond the number of partitions get free records of the first partition."""

    @wrap(Consumer, "next_cursor")
    def next_cursor(original: Any, self: Consumer) -> Cursor | None:
        found: Cursor | None = original(self)
        if found is None and not self.assigned and not self.held:
            for topic in sorted(self.topics):
                cursor = self.group.cursors[topic][0]
                if cursor.is_ready() and len(_subscribers(self.group, topic)) > len(
                    self.group.cursors[topic]
                ):
                    cursor.pass_to(self)
                    return cursor
        return found


@fault("ASSIGN-4", bindings=HTTP)
def everything_is_dealt_out_from_the_start() -> None:
    """A rebalance deals all partitions in turn and ignores their present owners."""

    @replace(groups, "assign")
    def assign(owners: list[Any], members: list[Any]) -> list[Any]:
        return [members[index % len(members)] if members else None for index in range(len(owners))]


@fault("REBALANCE-1", "ASSIGN-1", bindings=HTTP)
def an_eviction_leaves_partitions_alone() -> None:
    """An eviction leaves the member's partitions without an owner until the next subscription or departure."""

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        deal = Group.rebalance
        Group.rebalance = lambda self, topic, now: None  # type: ignore[method-assign]
        try:
            result: list[Consumer] = original(self, now)
        finally:
            Group.rebalance = deal  # type: ignore[method-assign]
        return result


@fault("REBALANCE-1", "ASSIGN-2", bindings=STOMP)
def who_joins_waits_for_a_departure() -> None:
    """A new subscriber gets no partitions before another member leaves, unless it is the only subscriber."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Any], now: float) -> None:
        deal = Group.rebalance

        def when_alone(group: Group, topic: str, now: float) -> None:
            if len(_subscribers(group, topic)) == 1:
                deal(group, topic, now)

        Group.rebalance = when_alone  # type: ignore[method-assign]
        try:
            original(self, consumer, topics, now)
        finally:
            Group.rebalance = deal  # type: ignore[method-assign]


@fault("REBALANCE-1", "REBALANCE-5", bindings=HTTP)
def a_rebalance_takes_too_long() -> None:
    """A record that holds up a move is taken back a second too late."""
    change_settings(rebalance_timeout=lambda seconds: seconds + 1)


@fault("REBALANCE-2", bindings=HTTP)
def a_partition_moves_with_its_record_in_flight() -> None:
    """A partition moves at once, and its record in flight becomes free."""

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        original(self, topic, now)
        for cursor in self.cursors[topic]:
            if cursor.next_owner is not None:
                cursor.settle(commit=False)


@fault("REBALANCE-2", bindings=STOMP, hard=True)
def a_partition_has_two_owners_for_a_moment() -> None:
    """While a partition waits to move, its next owner gets the record behind the one in flight."""
    early: dict[Cursor, int] = {}

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, consumer: Consumer) -> Any:
        delivery = original(self, consumer)
        if delivery is not None:
            return delivery
        for cursor in consumer.group.all_cursors():
            offset = cursor.committed + 1
            if (
                cursor.next_owner is consumer
                and offset < cursor.partition.end
                and early.get(cursor) != offset
            ):
                early[cursor] = offset
                partition = cursor.partition
                return _delivery_of(partition, offset)
        return None


def _delivery_of(partition: Any, offset: int) -> Any:
    """A delivery that leaves no trace in the cursor."""
    return Delivery(partition.ids[offset], partition, offset, partition.records[offset], False)


@fault("REBALANCE-2", "REBALANCE-5", bindings=HTTP, hard=True)
def what_is_held_is_taken_back_early() -> None:
    """A rebalance takes a record in flight back after half of the timeout."""
    change_settings(rebalance_timeout=lambda seconds: seconds / 2)


@fault("REBALANCE-3", bindings=HTTP)
def a_busy_owner_keeps_what_is_to_move() -> None:
    """A partition that has to move stays with its owner as long as there are records in it."""

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        next_owner, overdue = self.next_owner, self.overdue
        is_last = self.committed + commit >= self.partition.end
        if next_owner is not None and next_owner.group is self.owner.group and not is_last and commit:  # type: ignore[union-attr]
            self.next_owner, self.overdue = None, math.inf
            original(self, commit=commit)
            self.next_owner, self.overdue = next_owner, overdue
        else:
            original(self, commit=commit)


@fault("REBALANCE-3", bindings=HTTP)
def what_its_owner_gives_back_does_not_move() -> None:
    """A partition that has to move moves with an acknowledgement only: what is given back comes again to its owner."""

    @wrap(QueueBroker, "settle")
    def settle(
        original: Any, self: QueueBroker, consumer: Consumer, message_id: int, *, commit: bool
    ) -> None:
        cursor = consumer.held.get(message_id)
        if commit or cursor is None:
            original(self, consumer, message_id, commit=commit)
            return
        waiting, cursor.next_owner = cursor.next_owner, None
        original(self, consumer, message_id, commit=commit)
        cursor.next_owner = waiting


@fault("REBALANCE-4", bindings=HTTP)
def a_rebalance_stops_the_group() -> None:
    """While a partition of a topic waits to move, the whole topic gives nothing."""

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if not original(self):
            return False
        cursors = self.owner.group.cursors[self.partition.topic] if self.owner is not None else []
        return all(cursor.next_owner is None for cursor in cursors)


@fault("REBALANCE-5", bindings=HTTP)
def what_is_held_is_never_taken_back() -> None:
    """A partition that has to move waits without limit for its record in flight to be settled."""
    change_settings(rebalance_timeout=lambda _seconds: 1e6)


@fault("REBALANCE-5", bindings=STOMP, hard=True)
def what_was_taken_back_may_be_acknowledged() -> None:
    """A late acknowledgement of a record that a rebalance has taken back is accepted, and commits that record."""
    taken: dict[tuple[Consumer, int], tuple[Cursor, int]] = {}

    @wrap(Group, "expire")
    def expire(original: Any, self: Group, now: float) -> list[Consumer]:
        for cursor in self.all_cursors():
            if cursor.overdue <= now and cursor.owner is not None and cursor.in_flight is not None:
                taken[(cursor.owner, cursor.in_flight)] = cursor, cursor.committed
        result: list[Consumer] = original(self, now)
        return result

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor, offset = taken.get((consumer, number), (None, -1))
        if number in consumer.held or cursor is None or cursor.committed != offset:
            original(self, consumer, number, commit=commit)
        elif cursor.in_flight is not None:
            cursor.settle(commit=commit)
        else:
            cursor.committed += commit
