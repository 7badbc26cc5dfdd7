"""The state of a shard as octets: what `Shard.dump` returns and `Shard.load` takes."""

import math
from collections import OrderedDict

import msgspec

from reference_server.kafka.commands import TopicRef
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.settings import QueueSettings
from reference_server.queue.topic import Topic


class Member(msgspec.Struct, array_like=True):
    """A consumer; `assigned` are topic and partition, in the order of its round."""

    name: str
    claim: int
    seen: float
    topics: list[str]
    assigned: list[tuple[str, int]]


class Position(msgspec.Struct, array_like=True):
    """A cursor; members are by name, None for none."""

    committed: int
    handed: int
    owner: str | None
    next_owner: str | None
    in_flight: int | None
    overdue: float | None


class GroupState(msgspec.Struct, array_like=True):
    """A group."""

    name: str
    members: list[Member]
    cursors: dict[str, list[Position]]


class ShardState(msgspec.Struct, array_like=True):
    """A shard; `ends` are those of the partitions of each topic, by serial."""

    topics: list[TopicRef]
    ends: dict[int, list[int]]
    groups: list[GroupState]
    forgotten: dict[int, float]
    revoked: dict[int, float]


def state_of(group: Group, claims: dict[str, int]) -> GroupState:
    """Return the state of a group. Nobody may be `leaving`."""
    members = [
        Member(
            each.name,
            claims[each.name],
            each.seen,
            list(each.topics),
            [(cursor.partition.topic, cursor.partition.index) for cursor in each.assigned],
        )
        for each in group.members.values()
    ]
    cursors = {
        topic: [
            Position(
                each.committed,
                each.handed,
                each.owner.name if each.owner else None,
                each.next_owner.name if each.next_owner else None,
                each.in_flight,
                None if each.overdue == math.inf else each.overdue,
            )
            for each in found
        ]
        for topic, found in group.cursors.items()
    }
    return GroupState(group.name, members, cursors)


def group_of(state: GroupState, settings: QueueSettings, topics: dict[str, Topic]) -> Group:
    """Return the group of a state."""
    group = Group(state.name, settings)
    for each in state.members:
        consumer = group.members[each.name] = Consumer(each.name, group, each.seen)
        consumer.topics = dict.fromkeys(each.topics)
    for name, positions in state.cursors.items():
        group.cursors[name] = []
        for partition, position in zip(topics[name].partitions, positions, strict=True):
            cursor = Cursor(partition)
            cursor.committed, cursor.handed = position.committed, position.handed
            cursor.owner = group.members[position.owner] if position.owner is not None else None
            cursor.next_owner = (
                group.members[position.next_owner] if position.next_owner is not None else None
            )
            cursor.in_flight = position.in_flight
            cursor.overdue = math.inf if position.overdue is None else position.overdue
            if cursor.owner is not None and cursor.in_flight is not None:
                cursor.owner.held[cursor.in_flight] = cursor
            group.cursors[name].append(cursor)
    for each in state.members:
        group.members[each.name].assigned = OrderedDict(
            (group.cursors[topic][index], None) for topic, index in each.assigned
        )
    return group
