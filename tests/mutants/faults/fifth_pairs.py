"""Faults of two features that are right one by one, of a fifth rewrite: moves and removals, rooms and refusals.

Their models are state that two features share: a round of members, the mark up to which records may go, a full count.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reference_server.queue import introspection
from reference_server.queue.broker import QueueBroker
from reference_server.queue.group import Consumer, Cursor, Group
from reference_server.queue.long_polls import LongPolls
from reference_server.queue.operations import Operations
from reference_server.queue.outcomes import NOTHING
from reference_server.queue.refusal import Refusal
from reference_server.queue.room import Room
from reference_server.stomp.queue_binding import QueueBinding
from tests.mutants.patching import replace, wrap
from tests.mutants.registry import HTTP, fault

if TYPE_CHECKING:
    from reference_server.queue.outcomes import Outcome
    from reference_server.queue.topic import Partition, Topic

_FREES = ("--virtual-clock", "--retention", "acknowledged")


# Giving back


@fault("DELIVER-1", "NACK-AGAIN-1", "DELIVER-2", bindings=HTTP)
def what_was_given_back_goes_with_its_evicted_giver() -> None:
    """A record that was given back is lost if the consumer that gave it back is evicted before it is polled again."""
    given: dict[Cursor, Consumer] = {}

    @wrap(Cursor, "settle")
    def settle(original: Any, self: Cursor, *, commit: bool) -> None:
        owner = self.owner
        original(self, commit=commit)
        if not commit and owner is not None and self.owner is owner:
            given[self] = owner

    @wrap(Cursor, "hand_out")
    def hand_out(original: Any, self: Cursor) -> Any:
        given.pop(self, None)
        return original(self)

    @wrap(Group, "_see_off")
    def see_off(original: Any, self: Group, now: float) -> None:
        for cursor in self.all_cursors():
            if cursor.in_flight is None and given.get(cursor) in self.leaving:
                del given[cursor]
                cursor.committed += 1
        original(self, now)


@fault("POLL-BATCH-1", "NACK-AGAIN-1", bindings=HTTP)
def a_batch_leaves_out_what_was_given_back() -> None:
    """A poll with `max_messages` passes over records that were handed out before."""
    in_batch: list[bool] = []

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        in_batch.append(bool(limit))
        try:
            outcome: Outcome = original(self, consumer, limit)
        finally:
            in_batch.pop()
        return outcome

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        passes = in_batch and in_batch[-1] and self.committed < self.handed
        return not passes and bool(original(self))


@fault("NACK-OK-1", "ACK-OK-2", "NACK-AGAIN-1", bindings=HTTP)
def what_is_given_back_by_a_text_id_stays() -> None:
    """A negative acknowledgement whose id is a string is answered by 202, and the record stays in flight."""

    @wrap(Operations, "_give_back")
    def give_back(original: Any, self: Operations, request: Any, now: float) -> Outcome:
        if isinstance(request.message_id, str) and request.message_id.isdigit():
            consumer = self.broker.consumer(request.consumer_name, now=now)
            if int(request.message_id) in consumer.held:
                return self._heartbeat(request, now)
        outcome: Outcome = original(self, request, now)
        return outcome


@fault("POLL-BATCH-1", bindings=HTTP)
def a_batch_counts_what_is_in_flight() -> None:
    """Records in flight with a consumer count for `max_messages`: who holds that many gets no batch."""

    @wrap(LongPolls, "hand_out")
    def hand_out(original: Any, self: LongPolls, consumer: Consumer, limit: int) -> Outcome:
        left = limit - len(consumer.held) if limit else 0
        if limit and left <= 0:
            return NOTHING
        outcome: Outcome = original(self, consumer, left)
        return outcome


# Rebalances


@fault("REBALANCE-5", "MEMBER-SUBSCRIBE-4", bindings=HTTP)
def subscribing_again_puts_the_end_of_a_rebalance_off() -> None:
    """A subscription that changes nothing begins the time of a rebalance of its topics anew."""

    @wrap(Group, "subscribe")
    def subscribe(original: Any, self: Group, consumer: Consumer, topics: list[Topic], now: float) -> None:
        again = [topic.name for topic in topics if topic.name in consumer.topics]
        original(self, consumer, topics, now)
        for name in again:
            for cursor in self.cursors[name]:
                if cursor.overdue < math.inf:
                    cursor.overdue = now + self.settings.rebalance_timeout


@fault("REBALANCE-2", "DELIVER-3", bindings=HTTP, scope="server")
def looking_at_a_group_ends_its_rebalance() -> None:
    """The description of a group settles its rebalance: what is in flight in partitions that are to move is free."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        for cursor in group.all_cursors():
            if cursor.next_owner is not None and cursor.in_flight is not None:
                cursor.settle(commit=False)
        described: dict[str, Any] = original(group)
        return described


@fault("INTRO-GROUP-1", bindings=HTTP, scope="server")
def a_partition_that_is_to_move_is_described_twice() -> None:
    """In a rebalance a partition that waits for its holder is listed for its holder, and for its next owner."""

    @wrap(introspection, "describe_group")
    def describe(original: Any, group: Group) -> dict[str, Any]:
        described: dict[str, Any] = original(group)
        for cursor in group.all_cursors():
            if cursor.next_owner is not None:
                twice = {**introspection.describe_cursor(cursor), "consumer_name": cursor.next_owner.name}
                described["assignment"].append(twice)
        return described


@fault("ASSIGN-2", "REBALANCE-1", bindings=HTTP, scope="server")
def members_by_send_stand_by_behind_members_by_post() -> None:
    """Members that registered over STOMP own partitions of a topic while none that registered over HTTP reads it."""
    by_send: list[bool] = []
    sent: set[Consumer] = set()

    @wrap(QueueBinding, "perform")
    def perform(original: Any, *arguments: Any) -> Any:
        by_send.append(True)
        try:
            return original(*arguments)
        finally:
            by_send.pop()

    @wrap(QueueBroker, "register")
    def register(original: Any, self: QueueBroker, *names: str, now: float) -> Consumer:
        consumer: Consumer = original(self, *names, now=now)
        if by_send:
            sent.add(consumer)
        return consumer

    @wrap(Group, "rebalance")
    def rebalance(original: Any, self: Group, topic: str, now: float) -> None:
        readers = [member for member in self.members.values() if topic in member.topics]
        hidden = [member for member in readers if member in sent]
        hidden = hidden if len(hidden) < len(readers) else []
        for member in hidden:
            del member.topics[topic]
        original(self, topic, now)
        for member in hidden:
            member.topics[topic] = None


# Removals


@fault("TOPIC-REMOVE-6", "REBALANCE-1", "ASSIGN-2", bindings=HTTP)
def a_removal_calls_off_moves_of_other_topics() -> None:
    """When a topic is removed, partitions of other topics that wait for their holder stay with it for good."""

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> list[Consumer]:
        left: list[Consumer] = original(self, topic)
        for cursor in self.all_cursors():
            cursor.next_owner, cursor.overdue = None, math.inf
        return left


@fault("TOPIC-REMOVE-11", "PUB-FULL-1", bindings=HTTP)
def a_new_topic_is_as_full_as_the_old_one() -> None:
    """The octets of a partition are counted by its name: those of a removed topic count in a new one of that name."""
    octets: dict[str, int] = {}

    @wrap(QueueBroker, "remove_topic")
    def remove(original: Any, self: QueueBroker, name: str, *, now: float) -> None:
        topic = self.topics.get(name)
        full = {each.name: each.octets for each in topic.partitions} if topic is not None else {}
        original(self, name, now=now)
        octets.update(full)

    @wrap(QueueBroker, "add_topic")
    def add(original: Any, self: QueueBroker, *more: Any, now: float) -> Topic:
        topic: Topic = original(self, *more, now=now)
        for each in topic.partitions:
            each.octets += octets.pop(each.name, 0)
        return topic


@fault("TOPIC-REMOVE-7", "ACK-UNKNOWN-1", bindings=HTTP)
def an_acknowledgement_of_a_removed_topic_is_an_internal_error() -> None:
    """The acknowledgement of a record of a removed topic is answered by status 500."""
    void: set[int] = set()

    @wrap(Group, "forget")
    def forget(original: Any, self: Group, topic: str) -> list[Consumer]:
        void.update(cursor.in_flight for cursor in self.cursors[topic] if cursor.in_flight is not None)
        left: list[Consumer] = original(self, topic)
        return left

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal as refusal:
            if number in void:
                refusal.status = 500
            raise


# Retention


def _free_up_to(marks: dict[Cursor, int]) -> None:
    """Free records up to what was committed, or marked; groups go on behind what is gone."""

    @replace(Room, "_end_of_free_ones")
    def end(self: Room, partition: Partition) -> int:
        groups = self._followers.get(partition.topic)
        if self._is_kept or not groups:
            return 0
        cursors = [group.cursors[partition.topic][partition.index] for group in groups]
        return min(max(cursor.committed, marks.get(cursor, 0)) for cursor in cursors)

    @wrap(Cursor, "is_ready")
    def is_ready(original: Any, self: Cursor) -> bool:
        if self.in_flight is None:
            self.committed = max(self.committed, self.partition.oldest)
        return bool(original(self))


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def a_refused_acknowledgement_makes_room() -> None:
    """An acknowledgement that is refused since another member holds the record, or nobody, lets the record go."""
    marks: dict[Cursor, int] = {}
    _free_up_to(marks)

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        try:
            original(self, consumer, number, commit=commit)
        except Refusal:
            for cursor in consumer.group.all_cursors() if commit else ():
                part = cursor.partition
                if (
                    part.oldest <= cursor.committed < part.end
                    and part.ids[cursor.committed - part.base] == number
                ):
                    marks[cursor] = cursor.committed + 1
            raise


@fault("RETENTION-KEEP-1", bindings=HTTP, flags=_FREES)
def what_was_given_back_may_go() -> None:
    """A record that was given back counts as committed when room is needed."""
    marks: dict[Cursor, int] = {}
    _free_up_to(marks)

    @wrap(QueueBroker, "settle")
    def settle(original: Any, self: QueueBroker, consumer: Consumer, number: int, *, commit: bool) -> None:
        cursor = consumer.held.get(number)
        original(self, consumer, number, commit=commit)
        if cursor is not None and not commit:
            marks[cursor] = cursor.committed + 1
