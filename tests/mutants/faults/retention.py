"""Faults of retention: records that go too early, in a wrong order or not at all, and wrong offsets after they went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor, Group
from reference_server.queue.room import Room
from reference_server.queue.topic import Partition
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reference_server.queue.topic import Record

_FREES = ("--virtual-clock", "--retention", "acknowledged")


def _free_by(end_of: Callable[[Room, Partition], int]) -> None:
    """Free records up to another offset, never past the end; groups go on behind what is gone."""

    @replace(Room, "_end_of_free_ones")
    def end(self: Room, partition: Partition) -> int:
        return min(end_of(self, partition), partition.end)

    _go_on_behind_what_is_gone()


def _go_on_behind_what_is_gone() -> None:
    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if self.in_flight is None:
            self.committed = max(self.committed, self.partition.oldest)
        return bool(original(self))


def _cursors(room: Room, partition: Partition) -> list[Cursor]:
    groups: Iterable[Group] = room._followers.get(partition.topic) or ()
    return [group.cursors[partition.topic][partition.index] for group in groups]


def _least(cursors: Iterable[Cursor]) -> int:
    return min((cursor.committed for cursor in cursors), default=0)


# Too early


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def one_group_is_enough_to_free() -> None:
    """A record goes as soon as one group has committed it."""
    _free_by(lambda room, part: max((each.committed for each in _cursors(room, part)), default=0))


@fault("RETENTION-KEEP-1", bindings=STOMP, flags=_FREES)
def the_first_group_alone_decides_what_goes() -> None:
    """A record goes when the group that subscribed first has committed it."""
    _free_by(lambda room, part: _least(_cursors(room, part)[:1]))


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def the_last_group_alone_decides_what_goes() -> None:
    """A record goes when the group that subscribed last has committed it."""
    _free_by(lambda room, part: _least(_cursors(room, part)[-1:]))


@fault("RETENTION-KEEP-1", bindings=STOMP, flags=_FREES)
def most_groups_are_enough_to_free() -> None:
    """A record goes when more than half of the groups have committed it."""

    def majority(room: Room, partition: Partition) -> int:
        offsets = sorted(each.committed for each in _cursors(room, partition))
        return offsets[(len(offsets) - 1) // 2] if offsets else 0

    _free_by(majority)


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def groups_that_have_not_begun_do_not_count() -> None:
    """A group that has committed nothing keeps no record."""
    _free_by(lambda room, part: _least(each for each in _cursors(room, part) if each.committed))


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def groups_without_members_keep_nothing() -> None:
    """A group whose members have all unsubscribed keeps no record of the topic."""
    _free_by(lambda room, part: _least(each for each in _cursors(room, part) if each.owner is not None))


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def what_is_in_flight_may_go() -> None:
    """A record in flight counts as committed."""
    _free_by(
        lambda room, part: min(
            (each.committed + (each.in_flight is not None) for each in _cursors(room, part)), default=0
        )
    )


@fault("RETENTION-KEEP-1", bindings=STOMP, flags=_FREES)
def what_is_in_flight_goes_from_its_holder() -> None:
    """A record in flight counts as committed, and its acknowledgement is refused once it went."""
    what_is_in_flight_may_go()

    @wrap(Partition, "free")
    def free(original: Any, self: Partition, end: int) -> Any:
        for cursor in found.get(self, ()):
            if cursor.in_flight is not None and cursor.committed < end and cursor.owner is not None:
                cursor.owner.held.pop(cursor.in_flight, None)
                cursor.in_flight = None
        return original(self, end)

    found: dict[Partition, list[Cursor]] = {}

    @wrap(Cursor, "__init__")
    def begin(original: Any, self: Cursor, partition: Partition) -> None:
        original(self, partition)
        found.setdefault(partition, []).append(self)


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def one_more_than_what_is_committed_goes() -> None:
    """The record behind the last committed one may go as well."""
    _free_by(lambda room, part: _least(_cursors(room, part)) + bool(_cursors(room, part)))


@fault("RETENTION-KEEP-1", "RETENTION-KEEP-2", bindings=HTTP, flags=_FREES)
def a_full_partition_frees_whatever_is_oldest() -> None:
    """A full partition frees its oldest record, whoever has not read it."""
    _free_by(lambda _room, part: part.end)


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def groups_skip_as_many_as_were_freed() -> None:
    """When records go, every group moves on by as many as went."""

    @wrap(Room, "_free")
    def free(original: Any, self: Room, partition: Partition, end: int) -> None:
        for cursor in _cursors(self, partition):
            if cursor.in_flight is None:
                cursor.committed = min(cursor.committed + end - partition.oldest, partition.end)
        original(self, partition, end)


@fault("RETENTION-KEEP-2", bindings=HTTP, flags=_FREES)
def what_nobody_reads_may_go() -> None:
    """Records of a topic that no group reads go when there is no room."""
    _free_by(lambda room, part: _least(_cursors(room, part)) if room._followers.get(part.topic) else part.end)


@fault("RETENTION-KEEP-2", bindings=STOMP, flags=_FREES)
def what_was_handed_out_may_go_with_its_group() -> None:
    """When the only group of a topic is removed, what it was handed out counts as committed."""
    handed: dict[Partition, int] = {}

    @wrap(Group, "dissolve")
    def dissolve(original: Any, self: Group) -> None:
        for cursor in self.all_cursors():
            handed[cursor.partition] = cursor.handed
        original(self)

    _free_by(
        lambda room, part: (
            _least(_cursors(room, part)) if room._followers.get(part.topic) else handed.get(part, 0)
        )
    )


# In a wrong order, or not at all


@fault("RETENTION-FRONT-1", bindings=HTTP, flags=_FREES)
def the_second_oldest_goes_first() -> None:
    """Of several records that may go the second one goes, so that a gap is left."""

    @wrap(Room, "_free")
    def free(original: Any, self: Room, partition: Partition, end: int) -> None:
        first = partition.oldest - partition.base
        if end == partition.oldest + 1 < self._end_of_free_ones(partition):
            partition.records[first + 1] = partition.records[first]
        original(self, partition, end)


@fault("RETENTION-ROOM-1", bindings=HTTP, flags=_FREES)
def nothing_is_ever_freed() -> None:
    """A full partition refuses records for ever, whatever was committed."""
    _free_by(lambda _room, _part: 0)


@fault("RETENTION-ROOM-1", bindings=STOMP, flags=_FREES)
def records_are_freed_once() -> None:
    """Each partition frees records once, and then is full for ever."""
    done: set[Partition] = set()

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        stored = original(self, name, record, **named)
        if stored[0].oldest:
            done.add(stored[0])
        return stored

    @wrap(Room, "_end_of_free_ones")
    def end(original: Any, self: Room, partition: Partition) -> Any:
        return 0 if partition in done else original(self, partition)


@fault("RETENTION-ROOM-1", bindings=HTTP, flags=_FREES)
def freed_octets_are_counted_for_ever() -> None:
    """Records go, and their octets still count against the bound of their partition."""

    @wrap(Partition, "free")
    def free(original: Any, self: Partition, end: int) -> Any:
        before = self.octets
        octets = original(self, end)
        self.octets = before
        return octets


@fault("RETENTION-ROOM-1", bindings=HTTP, flags=_FREES)
def a_removed_group_keeps_its_records() -> None:
    """Records that a group had not committed stay for ever once the group is removed."""
    kept: dict[tuple[str, int], int] = {}

    @wrap(Group, "dissolve")
    def dissolve(original: Any, self: Group) -> None:
        for cursor in self.all_cursors():
            kept[cursor.partition.topic, cursor.partition.index] = cursor.committed
        original(self)

    @wrap(Room, "_end_of_free_ones")
    def end(original: Any, self: Room, partition: Partition) -> Any:
        return min(original(self, partition), kept.get((partition.topic, partition.index), partition.end))


# Starts of new groups


def _start_at(offset: Callable[[Partition], int]) -> None:
    @wrap(Cursor, "__init__")
    def begin(original: Any, self: Cursor, partition: Partition) -> None:
        original(self, partition)
        if partition.oldest:
            self.committed = self.handed = offset(partition)


@fault("RETENTION-START-1", bindings=HTTP, flags=_FREES)
def a_new_group_waits_for_what_is_gone() -> None:
    """A new group starts at offset 0, which is gone, and gets nothing."""
    _start_at(lambda _partition: 0)

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        return self.committed >= self.partition.oldest and bool(original(self))


@fault("RETENTION-START-1", bindings=STOMP, flags=_FREES)
def a_new_group_starts_at_the_end() -> None:
    """A new group starts behind the newest record if records are gone."""
    _start_at(lambda partition: partition.end)


@fault("RETENTION-START-1", bindings=HTTP, flags=_FREES)
def a_new_group_starts_where_another_is() -> None:
    """A new group starts behind the first record that is left if records are gone."""
    _start_at(lambda partition: min(partition.oldest + 1, partition.end))


# Offsets


@fault("RETENTION-COUNT-1", bindings=HTTP, flags=_FREES)
def offsets_count_what_is_left() -> None:
    """The offset of a new record is the number of records that are left before it."""

    @wrap(QueueBroker, "publish")
    def publish(original: Any, self: QueueBroker, name: str, record: Record, **named: Any) -> Any:
        partition, offset = original(self, name, record, **named)
        return partition, offset - partition.oldest


@fault("RETENTION-COUNT-1", bindings=STOMP, flags=_FREES)
def delivered_offsets_count_what_is_left() -> None:
    """The offset in a delivered record is its place among the records that are left."""

    @wrap(QueueBroker, "poll")
    def poll(original: Any, self: QueueBroker, *arguments: Any) -> Any:
        found = original(self, *arguments)
        return found and found._replace(offset=found.offset - found.partition.oldest)


@fault("RETENTION-COUNT-1", bindings=HTTP, flags=_FREES)
def committed_offsets_count_what_is_left() -> None:
    """Committed offsets in introspection are less by the number of records that are gone."""

    @wrap(introspection, "describe_cursor")
    def describe(original: Any, cursor: Cursor) -> Any:
        row = original(cursor)
        return {**row, "committed": max(0, row["committed"] - cursor.partition.oldest)}


def _tell_oldest(value: Callable[[Partition], Any]) -> None:
    @wrap(introspection, "describe_topic")
    def describe(original: Any, topic: Any) -> Any:
        document = original(topic)
        for row, partition in zip(document["partitions"], topic.partitions, strict=True):
            row["oldestOffset"] = value(partition)
        return document


@fault("RETENTION-OLDEST-1", bindings=HTTP, flags=_FREES)
def the_oldest_offset_is_always_0() -> None:
    """The oldest offset in introspection is 0, whatever is gone."""
    _tell_oldest(lambda _partition: 0)


@fault("RETENTION-OLDEST-1", bindings=HTTP, flags=_FREES)
def the_oldest_offset_is_that_of_the_last_record_gone() -> None:
    """The oldest offset is too small by one where records are gone."""
    _tell_oldest(lambda partition: max(0, partition.oldest - 1))


@fault("RETENTION-OLDEST-1", bindings=HTTP, flags=_FREES)
def the_oldest_offset_is_the_number_of_records() -> None:
    """The oldest offset in introspection is the number of records that are left."""
    _tell_oldest(lambda partition: partition.end - partition.oldest)


@fault("RETENTION-OLDEST-1", bindings=HTTP, flags=_FREES)
def an_empty_partition_has_no_oldest_offset() -> None:
    """The oldest offset of a partition without records is null."""
    _tell_oldest(lambda partition: partition.oldest if partition.end > partition.oldest else None)


@fault("RETENTION-OLDEST-1", bindings=HTTP, flags=_FREES)
def the_oldest_offset_is_not_told() -> None:
    """Introspection has no oldest offset."""

    @wrap(introspection, "describe_topic")
    def describe(original: Any, topic: Any) -> Any:
        document = original(topic)
        for row in document["partitions"]:
            del row["oldestOffset"]
        return document
