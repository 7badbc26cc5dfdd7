"""Oddities of retention and of the removal of topics: when records go, how many, and what a removal ends besides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Cursor, Group
from reference_server.queue.room import Room
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, STOMP, variant

if TYPE_CHECKING:
    from reference_server.queue.group import Consumer
    from reference_server.queue.topic import Partition

_FREES = ("--virtual-clock", "--retention", "acknowledged")
_AT_LEISURE = 7
"""Operations that a broker waits before it frees what it may."""
_QUEUE = (
    "RETENTION-KEEP",
    "RETENTION-START",
    "RETENTION-FRONT",
    "RETENTION-COUNT",
    "RETENTION-OLDEST",
    "PUB",
    "DELIVER",
    "POLL",
)


def _free_all(broker: QueueBroker) -> None:
    """Free all that may go in every topic that a group reads."""
    for topic in broker._followers:
        for partition in broker.topics[topic].partitions:
            if (end := broker.room._end_of_free_ones(partition)) > partition.oldest:
                broker.room._free(partition, end)


@variant("When a server frees records is open.", bindings=HTTP + STOMP, flags=_FREES)
def what_is_committed_goes_at_once() -> None:
    """A record goes as soon as every group that reads its topic has committed it."""

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, *arguments: Any, **named: Any) -> None:
        original(self, consumer, *arguments, **named)
        for topic in consumer.topics:
            for partition in self.topics[topic].partitions:
                if (end := self.room._end_of_free_ones(partition)) > partition.oldest:
                    self.room._free(partition, end)

    @wrap(QueueBroker, "remove_group")
    def remove(original: Any, self: QueueBroker, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        _free_all(self)


@variant(
    "When a server frees records is open: SHOULD make room, and may never do.",
    bindings=HTTP,
    near=_QUEUE,
    flags=_FREES,
)
def nothing_ever_goes() -> None:
    """Nothing is ever freed."""
    replace(Room, "_end_of_free_ones")(lambda _self, _partition: 0)


@variant("A server that frees records from time to time may be late.", bindings=HTTP, flags=_FREES)
def what_is_committed_goes_at_leisure() -> None:
    """A full partition refuses records until the broker gets round to freeing what it may."""
    turns = [0]

    @wrap(Room, "make")
    def make(original: Any, self: Room, candidates: Any, fits: Any) -> bool:
        return bool(original(self, iter(()), fits))

    @wrap(QueueBroker, "tick")
    def tick(original: Any, self: QueueBroker, now: float) -> None:
        original(self, now)
        turns[0] += 1
        if turns[0] % _AT_LEISURE == 0:
            _free_all(self)


@variant("When a server frees records is open.", bindings=STOMP, flags=_FREES)
def all_that_may_go_goes_when_there_is_no_room() -> None:
    """A full partition frees all that is committed, not just as much as is needed."""

    @wrap(Room, "make")
    def make(original: Any, self: Room, candidates: Any, fits: Any) -> bool:
        if fits():
            return True
        some = list(candidates)
        for partition in some:
            if (end := self._end_of_free_ones(partition)) > partition.oldest:
                self._free(partition, end)
        return bool(original(self, iter(some), fits))


@variant("When a server frees records is open.", bindings=HTTP, flags=_FREES)
def records_go_in_pairs() -> None:
    """Records go two at a time, and the first of a pair not before the second one may."""

    @wrap(Room, "_end_of_free_ones")
    def end(original: Any, self: Room, partition: Partition) -> int:
        return int(original(self, partition)) // 2 * 2


@variant(
    "The waiting poll of a consumer that has other topics may go on, or be answered as an empty one.",
    bindings=HTTP,
)
def a_removal_ends_all_polls_of_its_readers() -> None:
    """A removal ends the polls of all who were subscribed to the topic, also if they have others."""

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> list[Consumer]:
        readers = [each for each in self.members.values() if topic in each.topics and each.waiting]
        original(self, topic)
        return readers


@variant(
    "A removal may start a rebalance in the groups that read the topic.",
    bindings=STOMP,
)
def a_removal_deals_the_other_topics_anew() -> None:
    """When a topic is removed, members that read others as well swap what they own and don't hold."""

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> list[Consumer]:
        stranded: list[Consumer] = original(self, topic)
        for name, cursors in self.cursors.items():
            members = [member for member in self.members.values() if name in member.topics]
            for cursor in cursors:
                if len(members) == 2 and cursor.in_flight is None and cursor.owner in members:
                    cursor.pass_to(members[1 - members.index(cursor.owner)])
        self.wakeable = True
        return stranded


@variant(
    "A record that is in flight with nobody has no messageId, which is free to be used again (POLL-OK-2).",
    bindings=HTTP,
    flags=_FREES,
)
def ids_are_positions() -> None:
    """A messageId is made of topic, partition and offset, and comes again in a topic of the same name."""
    places: dict[str, int] = {}

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> tuple[int, bool]:
        assert self.owner is not None
        message_id, again = original(self)
        del self.owner.held[message_id]
        place = places.setdefault(self.partition.topic, len(places))
        message_id = (place << 32) + (self.partition.index << 20) + self.committed
        self.in_flight = message_id
        self.owner.held[message_id] = self
        return message_id, again


@variant("A removed topic is one that doesn't exist.", bindings=HTTP)
def a_removal_takes_its_time_behind_the_reply() -> None:
    """Records of removed topics are kept until the next topic is removed."""
    kept: list[list[Partition]] = []

    @wrap(Room, "remove")
    def remove(original: Any, self: Room, partitions: list[Partition]) -> None:
        kept.append(partitions)
        if len(kept) > 1:
            original(self, kept.pop(0))
